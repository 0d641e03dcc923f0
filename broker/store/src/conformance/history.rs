//! The suite that every history passes.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::subject::Failure;
use super::violation::Violation;
use crate::{History, Store};

mod changes;
mod questions;
mod trial;

/// A store, and a history that reads its log.
pub type HistoryOverStore = (Arc<dyn Store>, Arc<dyn History>);

/// A kind of history, as the suite needs it.
pub trait HistorySubject: Send + Sync {
    /// A new place for the data of a history and of the store whose log it reads, with nothing in
    /// it. Called once per case.
    fn place(&self) -> Box<dyn HistoryPlace>;
}

/// The data of one history and of its store. It outlives those that are open over it.
pub trait HistoryPlace: Send {
    /// Opens both over the data: the first time over none, later over what the last ones left.
    ///
    /// # Errors
    ///
    /// Whatever kept them from opening; the suite reports it as a violation.
    fn open(&mut self) -> BoxFuture<'_, Result<HistoryOverStore, Failure>>;

    /// Ends both. These are the last handles that the suite has, and no call is under way. A history
    /// that can be killed does well to be killed now and then.
    ///
    /// # Errors
    ///
    /// Whatever kept them from ending; the suite reports it as a violation.
    fn close(
        &mut self,
        store: Arc<dyn Store>,
        history: Arc<dyn History>,
    ) -> BoxFuture<'_, Result<(), Failure>>;

    /// Lets the history do now what it does in its own time: write to the disk what is in memory, or
    /// put its files together. It may do nothing.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the suite reports it as a violation.
    fn tidy(&mut self) -> BoxFuture<'_, Result<(), Failure>> {
        ready(Ok(())).boxed()
    }
}

/// How much the suite of histories tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryPlan {
    /// The seed of the first case; each further case has the next one. The same seed makes the same
    /// case.
    pub seed: u64,
    /// How many cases.
    pub cases: u32,
    /// How many steps in each. A step is a few commits, or a few questions, or one of the rest.
    pub steps: u32,
}

impl Default for HistoryPlan {
    /// What takes a few seconds in a debug build.
    fn default() -> Self {
        Self { seed: 1, cases: 24, steps: 40 }
    }
}

/// Runs the suite until the first violation: drives a store with generated changes, those of state and
/// those of the past itself, and asks the history over it generated questions, of which the plain
/// [`ReferenceHistory`](crate::ReferenceHistory) says what has to come. It truncates the store's log
/// where the history allows it, and opens both again.
///
/// What the contract leaves open is left open: whether a page of limit 0 says that there is more,
/// whether a total is said unasked, and which of several reasons a refusal gives.
///
/// # Errors
///
/// The first [`Violation`], which says how to see it again.
pub async fn check_history(
    subject: &dyn HistorySubject,
    plan: HistoryPlan,
) -> Result<(), Violation> {
    for case in 0..plan.cases {
        trial::live(subject, plan.seed.wrapping_add(u64::from(case)), plan.steps).await?;
    }
    Ok(())
}
