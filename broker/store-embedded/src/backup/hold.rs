//! What keeps the log from being truncated.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::store::Shared;

/// How many hold the log.
#[derive(Debug, Default)]
pub(crate) struct Holds(Mutex<u64>);

impl Holds {
    /// Does something that nobody may hold the log against, if nobody does; none if somebody does.
    /// Who wants to hold it meanwhile waits.
    pub(crate) fn unless_held<T>(&self, act: impl FnOnce() -> T) -> Option<T> {
        let holders = self.0.lock();
        (*holders == 0).then(act)
    }
}

/// Keeps the log of a store from being truncated, for as long as it is there. What is to be dropped
/// meanwhile is dropped by a later call.
#[derive(Debug)]
pub struct LogHold(Arc<Shared>);

impl LogHold {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        *shared.holds.0.lock() += 1;
        Self(shared.clone())
    }
}

impl Drop for LogHold {
    fn drop(&mut self) {
        let mut holders = self.0.holds.0.lock();
        *holders = holders.saturating_sub(1);
    }
}
