//! The operations of the API, as methods that know nothing about HTTP.
//!
//! [`Broker`] is the cheap handle that a process holds; [`Broker::session`] is the only door to an
//! operation, for one caller in one tenant. Every operation names the right that it needs in its
//! first line, reads what it has to know, decides with the pure functions of [`musubi_model`], and
//! commits to the store. Nothing here calls a notifier: whoever has to know reads the log.

mod attributes;
mod batch;
mod broker;
mod caller;
mod commit;
mod dead_letters;
mod entities;
mod error;
mod ingest;
mod query;
mod session;
mod subscriptions;
mod tenants;
mod types;

pub use batch::{BatchResult, UpsertMode};
pub use broker::{Broker, BrokerOptions};
pub use caller::{Caller, Right};
pub use dead_letters::{DeadLetter, Replay};
pub use entities::Selection;
pub use error::Error;
pub use ingest::{Committed, Ingest};
pub use session::Session;
pub use subscriptions::{Listed, SubscriptionPage};

// What the operations take and give is named by the crates below; a caller needs only this one.
pub use musubi_store::{
    Expect, Found, Page, RecordKey, RecordKind, RecordWrite, StoreError, TypeSummary,
};
