//! The operations of the API, as methods that know nothing about HTTP.
//!
//! [`Broker`] is the cheap handle that a process holds; [`Broker::session`] is the only door to an
//! operation, for one caller in one tenant. Every operation names the right that it needs in its
//! first line, reads what it has to know, decides with the pure functions of [`musubi_model`], and
//! commits to the store. Nothing here calls a notifier: whoever has to know reads the log.

mod attributes;
mod backup;
mod batch;
mod broker;
mod caller;
mod commit;
mod conditions;
mod contexts;
mod dead_letters;
mod entities;
mod entity_maps;
mod error;
mod expiry;
mod identity;
mod ingest;
mod purge;
mod query;
mod rules;
mod schemas;
mod seal;
mod session;
mod standings;
mod streams;
mod subscriptions;
mod sweeper;
mod temporal;
mod tenants;
mod trace;
mod turns;
mod types;

pub use batch::{BatchResult, UpsertMode};
pub use broker::{Broker, BrokerOptions};
pub use caller::{Caller, Right};
pub use conditions::{Conditions, OutOfOrder, Versions};
pub use contexts::{ContextEntry, ContextKind, ServedContext};
pub use dead_letters::{DeadLetter, LetterFilter, LetterPage, Payloads, Purged, Replay, Replayed};
pub use entities::{Common, Selection};
pub use entity_maps::{EntityMap, EntityMapId, MapOfAnswer, MapTerms, MapWish};
pub use error::Error;
pub use identity::{SourceIdentity, notification_key};
pub use ingest::{Committed, Ingest};
pub use purge::{Members, Purge};
pub use rules::{TenantSet, WriteRules};
pub use schemas::{SchemaMode, SchemaSource, SchemaWarning, SchemaWarnings, TypeSchema};
pub use seal::{InvalidVersion, Places, Seal, Version};
pub use session::Session;
pub use standings::{Account, AccountPage};
pub use streams::{Stream, StreamEvent};
pub use subscriptions::{Listed, SubscriptionPage};
pub use sweeper::{SweepRound, Sweeper, SweeperOptions};
pub use temporal::{IdOrder, Imported, KeptEvolution, Upserted};
pub use trace::{ChangeName, InvalidChangeName, Trace};

// What the operations take and give is named by the crates below; a caller needs only this one.
pub use musubi_notify::{FeedEnd, StreamOptions};
pub use musubi_store::{
    AttributeSummary, BackupError, BackupStream, Backups, Expect, Found, Look, Page, RecordKey,
    RecordKind, RecordWrite, Shown, StoreError, TypeSummary,
};
