//! The end of what expires (CIM 009, clause 4.22).
//!
//! No reader sees what has expired, swept or not. To sweep is to make the removal durable: the
//! entity is deleted, or loses the instances and sub-attributes that have expired, in a commit of
//! its own whose cause is [`Cause::Expiry`]. A subscription hears of it then, as of a deletion by a
//! request: `entityDeleted` and `attributeDeleted` fire, and a sub-attribute's end is an update of
//! its attribute. `modifiedAt` of an entity that stays is the time of the sweep; that of its
//! instances stays.

use std::sync::Arc;

use musubi_model::{Cause, Entity, EntityId, Position, Timestamp};
use musubi_query::{EntityQuery, Filter, Start};
use musubi_store::{Expect, Found};

use crate::commit::{Change, Plan};
use crate::{Error, Session};

/// What a step of a sweep did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Swept {
    /// How many entities were deleted or lost parts.
    pub(crate) entities: usize,
    /// Where to go on; none if there is nothing further.
    pub(crate) next: Option<Position>,
}

impl Session {
    /// Deletes those of these entities that have expired by then; whether any were there.
    pub(crate) async fn remove_expired(
        &self,
        ids: Vec<EntityId>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let limit = ids.len();
        let filter = Filter::All(vec![Filter::Ids(ids), Filter::ExpiresBy(now)]);
        let mut found = self.some(filter, limit, None).await?;
        found.retain(|found| found.entity.alive_at(now).is_none());
        let any = !found.is_empty();
        self.bury(&found, now).await?;
        Ok(any)
    }

    /// Removes what has expired by `now` of at most `limit` entities after a position.
    pub(crate) async fn sweep(
        &self,
        after: Option<Position>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Swept, Error> {
        let query = EntityQuery {
            filter: Filter::ExpiresBy(now),
            at: None,
            start: after.map_or(Start::Offset(0), Start::After),
            limit,
            ..EntityQuery::default()
        };
        let page = self.broker.store().select(&self.tenant, &query).await?;
        let entities = self.bury(&page.items, now).await?;
        let next = page.items.last().filter(|_| page.more).map(|found| found.position);
        Ok(Swept { entities, next })
    }

    /// Commits these entities without what has expired by `now`; how many of them. One that was
    /// written meanwhile is left to who wrote it: its life may have been extended.
    async fn bury(&self, found: &[Found], now: Timestamp) -> Result<usize, Error> {
        let groups = found.iter().map(|found| {
            let change = Change {
                id: found.entity.id.clone(),
                expect: Expect::At(found.revision),
                state: remains(&found.entity, now),
            };
            let (writes, records) = (vec![change], Vec::new());
            let plan = Plan { cause: Cause::Expiry, writes, records, answer: () };
            self.group(plan, now).0
        });
        let groups: Vec<_> = groups.collect();
        if groups.is_empty() {
            return Ok(0);
        }
        Ok(self.commit(groups).await?.iter().filter(|outcome| outcome.is_ok()).count())
    }
}

/// What is left of an entity; none if it has expired as a whole.
fn remains(entity: &Arc<Entity>, now: Timestamp) -> Option<Arc<Entity>> {
    let alive = entity.alive_at(now)?;
    Some(Arc::new(Entity { modified_at: now, ..Entity::clone(&alive) }))
}
