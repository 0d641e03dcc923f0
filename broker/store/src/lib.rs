//! What the broker asks of a store: the trait and its contract, a plain reference, and the
//! conformance suite that every store passes.

mod change;
pub mod conformance;
mod error;
mod group;
mod record;
mod reference;
mod store;

pub use change::{Change, RecordChange, Subject};
pub use error::StoreError;
pub use group::{Expect, Group, Outcome, Write};
pub use record::{Record, RecordKey, RecordKind, RecordQuery, RecordWrite};
pub use reference::ReferenceStore;
pub use store::{AttributeSummary, Found, Page, Store, TypeSummary};
