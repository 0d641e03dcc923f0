//! Records: small typed documents beside the entities.

use std::sync::Arc;

use musubi_model::{Revision, Tenant};
use serde::{Deserialize, Serialize};

use crate::Expect;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum RecordKind {
    /// A tenant that exists; the key is empty.
    Tenant = 1,
    /// A subscription, by its id. In the log.
    Subscription = 2,
    /// Where a consumer of the log stands, by the consumer's name.
    Cursor = 3,
    /// What is due to subscriptions and not settled yet, by log position.
    Outbox = 4,
    /// The counters of a subscription, by its id.
    Ledger = 5,
    /// What could not be delivered or mapped, by its id.
    DeadLetter = 6,
    /// What an adapter remembers, by adapter and name.
    AdapterState = 7,
    /// A JSON-LD context that this broker hosts, by its identifier.
    Context = 8,
    /// What the broker knows of itself, by name; of the default tenant.
    Broker = 9,
    /// The JSON Schema of an entity type, by the expanded name of the type.
    Schema = 10,
    /// What is due to a subscription and is no change in the log, by subscription, moment and kind.
    Occasion = 11,
    /// Since when an entity is silent whose silence a subscription minds, by subscription and entity.
    Silence = 12,
    /// An `EntityMap`: what it is, and apart from that the ids that it lists, by its id.
    EntityMap = 13,
}

impl RecordKind {
    /// All kinds.
    pub const ALL: [Self; 13] = [
        Self::Tenant,
        Self::Subscription,
        Self::Cursor,
        Self::Outbox,
        Self::Ledger,
        Self::DeadLetter,
        Self::AdapterState,
        Self::Context,
        Self::Broker,
        Self::Schema,
        Self::Occasion,
        Self::Silence,
        Self::EntityMap,
    ];

    /// Whether changes of such records stand in the log, as those of entities do.
    pub fn is_logged(self) -> bool {
        match self {
            Self::Subscription => true,
            Self::Tenant
            | Self::Cursor
            | Self::Outbox
            | Self::Ledger
            | Self::DeadLetter
            | Self::AdapterState
            | Self::Context
            | Self::Broker
            | Self::Schema
            | Self::Occasion
            | Self::Silence
            | Self::EntityMap => false,
        }
    }
}

/// Where a record is. Ordered by kind, tenant, and key as bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey {
    /// What it is.
    pub kind: RecordKind,
    /// Whose it is; the default tenant for records of the whole broker.
    pub tenant: Tenant,
    /// Which one of that kind: at most 3,000 bytes.
    pub key: String,
}

/// A record as it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it is.
    pub key: RecordKey,
    /// Its version.
    pub revision: Revision,
    /// What it holds. The meaning is its owner's.
    pub value: Arc<[u8]>,
}

/// One record's new value.
#[derive(Clone, Debug)]
pub struct RecordWrite {
    /// Where it is.
    pub key: RecordKey,
    /// What must hold.
    pub expect: Expect,
    /// The new value; none deletes the record.
    pub value: Option<Arc<[u8]>>,
}

/// Which records are wanted.
#[derive(Clone, Debug)]
pub struct RecordQuery {
    /// Of this kind.
    pub kind: RecordKind,
    /// Of this tenant; none means of all.
    pub tenant: Option<Tenant>,
    /// With a key that begins so. Empty means all.
    pub prefix: String,
    /// After this tenant and key, in the order of [`RecordKey`].
    pub after: Option<(Tenant, String)>,
    /// At most so many.
    pub limit: usize,
}
