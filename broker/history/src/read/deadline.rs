//! How long an answer may take.

use std::time::Duration;

use musubi_store::StoreError;
use tokio::time::Instant;

/// How long an answer may take, and how much it may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    end: Instant,
    limit: Duration,
    instances: usize,
    bytes: usize,
}

impl Deadline {
    /// From now on.
    pub(crate) fn after(limit: Duration, instances: usize, bytes: usize) -> Self {
        Self { end: Instant::now() + limit, limit, instances, bytes }
    }

    /// Whether there is time left.
    pub(crate) fn goes_on(&self) -> bool {
        Instant::now() < self.end
    }

    /// Refuses once the time is up.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.goes_on() { Ok(()) } else { Err(self.refusal()) }
    }

    /// Refuses so many instances in memory at once, if they are too many.
    pub(crate) fn check_instances(&self, instances: usize) -> Result<(), StoreError> {
        if instances <= self.instances { Ok(()) } else { Err(self.refusal()) }
    }

    /// Refuses so much text in memory at once, if it is too much.
    pub(crate) fn check_bytes(&self, bytes: usize) -> Result<(), StoreError> {
        if bytes <= self.bytes { Ok(()) } else { Err(self.refusal()) }
    }

    /// The most text, in bytes, that an answer may have which is cut: what is put together for it is
    /// some times as much, but not more than may be held.
    pub(crate) fn most_bytes(&self) -> usize {
        self.bytes / 4
    }

    pub(crate) fn refusal(&self) -> StoreError {
        StoreError::TooComplex(u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX))
    }
}
