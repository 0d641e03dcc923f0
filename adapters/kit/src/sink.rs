//! Where adapters write to.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use musubi_model::{Entity, EntityFragment, EntityId, Tenant};

use crate::DeadLetter;

/// What is written together or not at all: what one item of a source became.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// Entities, each with id and type. An entity that is there gets the fragment's attributes
    /// (others stay as they are, a Null deletes); one that is not is created, if the fragment
    /// names a type.
    pub entities: Vec<EntityFragment>,
    /// What the adapter has to remember with it.
    pub state: Vec<StateWrite>,
    /// What could not be used.
    pub dead_letters: Vec<DeadLetter>,
}

/// A piece of an adapter's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateWrite {
    /// Its name, unique in the adapter and tenant; at most 2,000 bytes.
    pub key: String,
    /// What to remember; none to forget.
    pub value: Option<Arc<[u8]>>,
}

/// What an adapter remembers: key and value.
pub type Remembered = (String, Arc<[u8]>);

/// Why the broker did not take a delivery, and never will.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Rejection {
    /// A sentence that names the place.
    pub reason: String,
}

/// Why nothing is known of what became of a call; the same call may be made again.
#[derive(Debug, thiserror::Error)]
#[error("the broker cannot be written to now: {reason}")]
pub struct SinkError {
    /// What happened.
    pub reason: String,
}

/// The broker, as an adapter sees it. Two implementations: in the process of the broker, and
/// over HTTP.
///
/// When [`write`](Self::write) has answered, what it says is written is durable. Deliveries of
/// one call are carried out in their order. Every write is idempotent: the same delivery twice
/// leaves the same entities.
pub trait Sink: Send + Sync + std::fmt::Debug {
    /// Writes deliveries on behalf of the adapter of that name: one result per delivery, in
    /// order.
    fn write<'a>(
        &'a self,
        tenant: &'a Tenant,
        adapter: &'a str,
        deliveries: Vec<Delivery>,
    ) -> BoxFuture<'a, Result<Vec<Result<(), Rejection>>, SinkError>>;

    /// The current state of these entities, in order; none where there is no entity.
    fn read<'a>(
        &'a self,
        tenant: &'a Tenant,
        ids: &'a [EntityId],
    ) -> BoxFuture<'a, Result<Vec<Option<Arc<Entity>>>, SinkError>>;

    /// The entities of a type whose id begins so, at most `limit` of them, in the order of their
    /// creation, after so many.
    fn list<'a>(
        &'a self,
        tenant: &'a Tenant,
        id_prefix: &'a str,
        offset: usize,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Entity>>, SinkError>>;

    /// What the adapter remembers under keys that begin so: key and value, sorted by key.
    fn state<'a>(
        &'a self,
        tenant: &'a Tenant,
        adapter: &'a str,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Remembered>, SinkError>>;
}
