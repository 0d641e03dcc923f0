//! What the suite is run on, and how long.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::Store;

/// Why a place could not be opened or closed.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A kind of store, as the suite needs it.
pub trait Subject: Send + Sync {
    /// A new place for a store's data, with nothing in it: for a store on a disk a new folder.
    /// Called once per case; what goes wrong with it is reported by [`Place::open`].
    fn place(&self) -> Box<dyn Place>;
}

/// The data of one store. It outlives the store that is open over it, and is removed when the
/// place is dropped.
pub trait Place: Send {
    /// Opens a store over the data: the first time over none, later over what the last store
    /// left. The suite has at most one open at a time.
    ///
    /// # Errors
    ///
    /// Whatever kept the store from opening; the suite reports it as a violation.
    fn open(&mut self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>>;

    /// Ends the store as a clean shutdown of the process does. `store` is the last handle that
    /// the suite has, and no call is under way.
    ///
    /// # Errors
    ///
    /// Whatever kept the store from closing; the suite reports it as a violation.
    fn close(&mut self, store: Arc<dyn Store>) -> BoxFuture<'_, Result<(), Failure>>;

    /// Ends the store as a kill of the process does: nothing that only a shutdown would write is
    /// written. `store` is the last handle that the suite has, but commits that it no longer
    /// waits for may still be under way inside.
    ///
    /// A store on a disk may copy its files as they are, let the store go, and open the copy the
    /// next time: after a kill the system still has what the process had written. A store that
    /// cannot tell the two apart does the same as for [`close`](Self::close).
    ///
    /// # Errors
    ///
    /// Whatever kept the store from ending; the suite reports it as a violation.
    fn kill(&mut self, store: Arc<dyn Store>) -> BoxFuture<'_, Result<(), Failure>>;
}

/// How much the suite tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The seed of the first case; each further case has the next one. The same seed makes the
    /// same case.
    pub seed: u64,
    /// How many cases of generated steps.
    pub cases: u32,
    /// How many steps in each. A step is a commit, or a few questions, or a reopening.
    pub steps: u32,
    /// How many entities there are in the one case with many of them; 0 leaves that case out.
    pub population: usize,
    /// How many rounds of tasks that write and read beside each other.
    pub rounds: u32,
}

impl Default for Plan {
    /// What takes a few seconds in a debug build.
    fn default() -> Self {
        Self { seed: 1, cases: 24, steps: 60, population: 4_500, rounds: 2 }
    }
}
