//! Queries that look into linked entities: those are fetched where an answer depends on them.
//!
//! They are seen as they are when the change is read, which is soon after it happened. A change of
//! a linked entity makes nothing due by itself: only changes of the subscribed entities do
//! (CIM 009, clause 5.8.6).

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use musubi_model::{Entity, EntityChange, EntityId, Tenant, Timestamp};
use musubi_query::{AttributePath, EntityQuery, Filter, LinkedEntities};
use musubi_store::{Store, StoreError};
use rustc_hash::FxHashMap;

use crate::Subscription;
use crate::matching::index::{Due, SubscriptionIndex};
use crate::matching::matcher::{match_among, unconcerned};

/// Entities that are fetched at once.
const FETCHED_AT_ONCE: usize = 1_000;

/// The subscriptions to which the change at `time` is due, ordered by id.
///
/// # Errors
///
/// [`StoreError`] if an answer depends on linked entities and the store does not give them.
pub(crate) async fn due(
    index: &SubscriptionIndex,
    store: &dyn Store,
    tenant: &Tenant,
    change: &EntityChange,
    time: Timestamp,
) -> Result<Vec<Arc<Subscription>>, StoreError> {
    let due = index.due(tenant, change, time);
    decide(due, store, (tenant, time), |subscription, linked| {
        match_among(subscription, change, time, linked)
    })
    .await
}

/// The subscriptions with `silentFor` that take the change at `time` for a sign of life, ordered
/// by id.
///
/// # Errors
///
/// As [`due`].
pub(crate) async fn alive(
    index: &SubscriptionIndex,
    store: &dyn Store,
    tenant: &Tenant,
    change: &EntityChange,
    time: Timestamp,
) -> Result<Vec<Arc<Subscription>>, StoreError> {
    let due = index.alive(tenant, change, time);
    decide(due, store, (tenant, time), |subscription, linked| {
        unconcerned(subscription, change, time, linked).is_none()
    })
    .await
}

/// Whether the change at `time` is due to the subscription: as
/// [`match_subscription`](crate::match_subscription), with the entities that its query looks into.
///
/// # Errors
///
/// [`StoreError`] if the answer depends on linked entities and the store does not give them.
pub async fn is_due(
    store: &dyn Store,
    tenant: &Tenant,
    subscription: &Subscription,
    change: &EntityChange,
    time: Timestamp,
) -> Result<bool, StoreError> {
    among_linked(store, tenant, time, |linked| match_among(subscription, change, time, linked))
        .await
}

async fn decide(
    due: Due<'_>,
    store: &dyn Store,
    (tenant, time): (&Tenant, Timestamp),
    is_due: impl Fn(&Subscription, &dyn LinkedEntities) -> bool,
) -> Result<Vec<Arc<Subscription>>, StoreError> {
    let mut decided: Vec<_> = due.decided.into_iter().cloned().collect();
    if due.undecided.is_empty() {
        return Ok(decided);
    }
    let undecided = &due.undecided;
    let together = all_linked(store, tenant, time, |linked| {
        undecided.iter().copied().filter(|it| is_due(it, linked)).cloned().collect::<Vec<_>>()
    });
    match together.await? {
        Some(mut found) => decided.append(&mut found),
        // One that looks at very many must not take from the others what they look at.
        None => {
            for subscription in undecided {
                if among_linked(store, tenant, time, |linked| is_due(subscription, linked)).await? {
                    decided.push(Arc::clone(subscription));
                }
            }
        }
    }
    decided.sort_unstable_by(|one, other| one.id().cmp(other.id()));
    Ok(decided)
}

/// What `ask` says once it has all linked entities that it asks for. It is asked again as long as
/// it wants more. At most [`AttributePath::MAX_LINKED`] are fetched; what is beyond that counts as
/// not being there.
pub(crate) async fn among_linked<T>(
    store: &dyn Store,
    tenant: &Tenant,
    at: Timestamp,
    ask: impl Fn(&dyn LinkedEntities) -> T,
) -> Result<T, StoreError> {
    let mut fetched = Fetched::default();
    loop {
        let answer = ask(&fetched);
        let wanted = std::mem::take(fetched.wanted.get_mut());
        if wanted.is_empty() {
            return Ok(answer);
        }
        fetched.fetch(store, tenant, at, wanted).await?;
    }
}

/// The same, but nothing if those are too many.
async fn all_linked<T>(
    store: &dyn Store,
    tenant: &Tenant,
    at: Timestamp,
    ask: impl Fn(&dyn LinkedEntities) -> T,
) -> Result<Option<T>, StoreError> {
    let mut fetched = Fetched::default();
    loop {
        let answer = ask(&fetched);
        let wanted = std::mem::take(fetched.wanted.get_mut());
        if wanted.is_empty() {
            return Ok(Some(answer));
        }
        if wanted.len() > fetched.room() {
            return Ok(None);
        }
        fetched.fetch(store, tenant, at, wanted).await?;
    }
}

/// What is known of linked entities, and what was asked for in vain.
#[derive(Debug, Default)]
struct Fetched {
    known: FxHashMap<EntityId, Option<Arc<Entity>>>,
    /// In an order, so that it is always the same ones for which there is no room.
    wanted: RefCell<BTreeSet<EntityId>>,
}

impl LinkedEntities for Fetched {
    fn entity(&self, id: &EntityId) -> Option<Arc<Entity>> {
        if let Some(known) = self.known.get(id) {
            return known.clone();
        }
        self.wanted.borrow_mut().insert(id.clone());
        None
    }
}

impl Fetched {
    /// How many more are fetched.
    fn room(&self) -> usize {
        AttributePath::MAX_LINKED.saturating_sub(self.known.len())
    }

    async fn fetch(
        &mut self,
        store: &dyn Store,
        tenant: &Tenant,
        at: Timestamp,
        wanted: BTreeSet<EntityId>,
    ) -> Result<(), StoreError> {
        let ids: Vec<EntityId> = wanted.iter().take(self.room()).cloned().collect();
        self.known.extend(wanted.into_iter().map(|id| (id, None)));
        for ids in ids.chunks(FETCHED_AT_ONCE) {
            let query = EntityQuery {
                filter: Filter::Ids(ids.to_vec()),
                at: Some(at),
                limit: ids.len(),
                ..EntityQuery::default()
            };
            let found = store.select(tenant, &query).await?.items;
            let found = found.into_iter().map(|it| (it.entity.id.clone(), Some(it.entity)));
            self.known.extend(found);
        }
        Ok(())
    }
}

/// Linked entities of which nothing is known, but that somebody asks for them.
#[derive(Debug, Default)]
pub(crate) struct Unknown(Cell<bool>);

impl Unknown {
    pub(crate) fn was_asked(&self) -> bool {
        self.0.get()
    }
}

impl LinkedEntities for Unknown {
    fn entity(&self, _: &EntityId) -> Option<Arc<Entity>> {
        self.0.set(true);
        None
    }
}

#[cfg(test)]
mod tests;
