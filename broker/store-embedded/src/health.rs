//! Whether the store can write, and when it next tries to again.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use musubi_store::StoreError;
use tokio::sync::watch;
use tokio::time::Instant;

const HEALTHY: u8 = 0;
const FAILED: u8 = 1;
const FULL: u8 = 2;
const CLOSED: u8 = 3;

/// The state that callers ask for before they queue.
#[derive(Debug)]
pub(crate) struct Health {
    state: AtomicU8,
    healthy: watch::Sender<bool>,
    ended: watch::Sender<bool>,
}

/// Why a store does not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// The engine failed and is being opened again.
    #[error("the engine failed and is being opened again")]
    Failed,
    /// There is too little room, and the engine may have failed for it.
    #[error("there is too little room on the disk")]
    Full,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(HEALTHY),
            healthy: watch::Sender::new(true),
            ended: watch::Sender::new(false),
        }
    }

    /// What stands in the way of a write; none if nothing does.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        match self.state.load(Ordering::Acquire) {
            HEALTHY => None,
            FULL => Some(Trouble::Full),
            CLOSED => Some(Trouble::Closed),
            _ => Some(Trouble::Failed),
        }
    }

    pub(crate) fn set(&self, trouble: Option<Trouble>) {
        let state = match trouble {
            None => HEALTHY,
            Some(Trouble::Failed) => FAILED,
            Some(Trouble::Full) => FULL,
            Some(Trouble::Closed) => CLOSED,
        };
        self.state.store(state, Ordering::Release);
        self.healthy.send_if_modified(|healthy| {
            std::mem::replace(healthy, trouble.is_none()) != trouble.is_none()
        });
        if trouble == Some(Trouble::Closed) {
            self.ended.send_replace(true);
        }
    }

    pub(crate) fn watch_end(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.healthy.subscribe()
    }
}

impl Trouble {
    /// The answer to a caller that wanted this.
    pub(crate) fn answer(self, doing: &'static str) -> StoreError {
        match self {
            Self::Full => StoreError::Full,
            Self::Failed | Self::Closed => {
                StoreError::Unavailable { doing, source: Box::new(self) }
            }
        }
    }
}

/// When to try again: soon at first, then less and less often.
#[derive(Debug)]
pub(crate) struct Backoff {
    delay: Duration,
    due: Instant,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    pub(crate) fn new() -> Self {
        Self { delay: Self::FIRST, due: Instant::now() + Self::FIRST }
    }

    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// The same delay again: nothing was tried that could have failed.
    pub(crate) fn again(&mut self) {
        self.due = Instant::now() + Self::FIRST.max(self.delay / 2);
    }

    /// A longer delay: it failed.
    pub(crate) fn failed(&mut self) {
        self.delay = (self.delay * 2).min(Self::LONGEST);
        self.due = Instant::now() + self.delay;
    }
}
