//! How often and when something was used. Counted on the hot path, so with relaxed atomics and
//! nothing else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A clock that only counts: microseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks(Instant);

impl Ticks {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// The microseconds until `now`. Never 0, which stands for "never".
    pub(super) fn at(self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.0).as_micros();
        u64::try_from(passed).unwrap_or(u64::MAX).max(1)
    }
}

/// The uses of one thing.
#[derive(Debug, Default)]
pub(super) struct Usage {
    hits: AtomicU64,
    last: AtomicU64,
}

impl Usage {
    /// One more use, at this tick.
    pub(super) fn count(&self, tick: u64) {
        self.hits.fetch_add(1, Ordering::Relaxed);
        self.touch(tick);
    }

    /// A use that is not counted.
    pub(super) fn touch(&self, tick: u64) {
        self.last.store(tick, Ordering::Relaxed);
    }

    pub(super) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// The tick of the last use; 0 if there was none.
    pub(super) fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// How long the last use is ago, if there was one.
    pub(super) fn ago(&self, tick: u64) -> Option<Duration> {
        let last = self.last();
        (last > 0).then(|| Duration::from_micros(tick.saturating_sub(last)))
    }
}
