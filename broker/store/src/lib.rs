//! What the broker asks of a store: the trait and its contract, a plain reference, and the
//! conformance suite that every store passes.

mod backup;
mod change;
pub mod conformance;
mod error;
mod group;
mod history;
mod record;
mod reference;
mod reference_history;
mod store;

pub use backup::{BackupError, BackupStream, Backups};
pub use change::{Change, RecordChange, Subject};
pub use error::StoreError;
pub use group::{EvolutionWrite, Expect, Group, Outcome, Write};
pub use history::{History, HistoryError, Outline};
pub use record::{Record, RecordKey, RecordKind, RecordQuery, RecordWrite};
pub use reference::ReferenceStore;
pub use reference_history::ReferenceHistory;
pub use store::{AttributeSummary, Found, Look, Page, Shown, Store, TypeSummary};
