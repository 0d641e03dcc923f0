//! The suite that every store passes.
//!
//! [`check`] drives a store and the plain [`ReferenceStore`](crate::ReferenceStore) with the same
//! generated commits and asks both the same generated questions. Numbers that a store is free to
//! choose, positions and revisions, are compared by what the contract says of them: order,
//! uniqueness, and that an expectation at a returned revision holds. Everything else has to be
//! equal.
//!
//! What the contract leaves open, the suite leaves open too: whether a page of limit 0 says that
//! there is more, whether a total is said unasked, whether the log keeps what it may drop, and what
//! revision a deletion of nothing answers. Where one answer is needed it asks for the reference's:
//! a group is refused because of the first expectation that does not hold, and its changes stand in
//! the log in its order.
//!
//! A store is brought in as a [`Subject`], which makes a [`Place`] for each case. This one brings
//! in the reference itself; a place of a store on a disk is a new folder.
//!
//! ```
//! use std::sync::Arc;
//!
//! use futures_util::FutureExt;
//! use futures_util::future::{BoxFuture, ready};
//! use musubi_store::conformance::{Failure, Place, Plan, Subject, check};
//! use musubi_store::{ReferenceStore, Store};
//!
//! struct InMemory;
//!
//! struct Memory(Arc<ReferenceStore>);
//!
//! impl Subject for InMemory {
//!     fn place(&self) -> Box<dyn Place> {
//!         Box::new(Memory(Arc::default()))
//!     }
//! }
//!
//! impl Place for Memory {
//!     fn open(&mut self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>> {
//!         self.0 = Arc::new(self.0.reopen());
//!         let store: Arc<dyn Store> = self.0.clone();
//!         ready(Ok(store)).boxed()
//!     }
//!
//!     fn close(&mut self, _store: Arc<dyn Store>) -> BoxFuture<'_, Result<(), Failure>> {
//!         ready(Ok(())).boxed()
//!     }
//!
//!     fn kill(&mut self, _store: Arc<dyn Store>) -> BoxFuture<'_, Result<(), Failure>> {
//!         ready(Ok(())).boxed()
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() {
//!     let plan = Plan { cases: 2, population: 0, rounds: 0, ..Plan::default() };
//!     if let Err(violation) = check(&InMemory, plan).await {
//!         panic!("{violation}");
//!     }
//! }
//! ```

mod beside;
mod commits;
mod draft;
pub mod generate;
mod history;
mod ledger;
mod log;
mod numbered;
mod pages;
mod records;
mod scenario;
mod subject;
mod trial;
mod violation;
mod wide;

pub use history::{HistoryOverStore, HistoryPlace, HistoryPlan, HistorySubject, check_history};
pub use subject::{Failure, Place, Plan, Subject};
pub use violation::{Rule, Violation};

/// Runs the suite until the first violation: the generated cases of `plan`, the case with many
/// entities, and the rounds of tasks beside each other, each over a place of its own.
///
/// To be called on a runtime of tokio, better one of several threads, with a clock that runs: the
/// suite spawns tasks that write and read beside each other.
///
/// # Errors
///
/// The first [`Violation`], which says how to see it again.
pub async fn check(subject: &dyn Subject, plan: Plan) -> Result<(), Violation> {
    for case in 0..plan.cases {
        scenario::live(subject, plan.seed.wrapping_add(u64::from(case)), plan.steps).await?;
    }
    if plan.population > 0 {
        wide::live(subject, plan.seed, plan.population).await?;
    }
    for round in 0..plan.rounds {
        beside::live(subject, plan.seed.wrapping_add(u64::from(round))).await?;
    }
    Ok(())
}
