//! Many entities deleted, or reduced, by a query (CIM 009, clause 5.6.21).

use std::iter;
use std::sync::Arc;

use musubi_model::{AttrName, Cause, Entity, EntityId, Timestamp};
use musubi_query::{EntityQuery, Filter, Start};
use musubi_store::{Expect, Found};

use crate::commit::{Change, Current, Plan, Task};
use crate::{BatchResult, Error, Right, Session};

/// What is done with the entities that a purge finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// They are deleted.
    Entities,
    /// They lose these members.
    Drop(Members),
    /// They lose all members but these.
    Keep(Members),
}

/// Members of an entity that a purge can take away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Whether the scope is one of them.
    pub scope: bool,
    /// The attributes.
    pub attributes: Vec<AttrName>,
}

/// How many entities are read and committed at once.
const PAGE: usize = 500;

/// The most entities that an answer about a purge names.
const MAX_NAMED: usize = 10_000;

impl Session {
    /// Deletes or reduces the entities that satisfy the filter (CIM 009, clause 5.6.21), page by
    /// page in the order of their creation. Those that others change meanwhile are looked at
    /// again, so none is touched that does not satisfy the filter any more.
    ///
    /// If nothing failed, the result has no errors; only then may it leave out entities that were
    /// purged, because there were more than 10,000.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`]; [`Error::Store`] if the store does not answer, also if the
    /// query takes too long; then some entities may have been purged. [`Error::Contended`] if so
    /// many entities were purged that the result cannot name them, and some could not be.
    pub async fn purge_entities(&self, filter: Filter, what: Purge) -> Result<BatchResult, Error> {
        self.caller.require(match what {
            Purge::Entities => Right::DeleteEntities,
            Purge::Drop(_) | Purge::Keep(_) => Right::ChangeEntities,
        })?;
        self.require_tenant().await?;
        let purge = Arc::new((self.caller.narrow(filter), what));
        let mut purged = Purged::default();
        let mut after = None;
        loop {
            let query = EntityQuery {
                filter: purge.0.clone(),
                at: Some(self.now()),
                start: after.map_or(Start::Offset(0), Start::After),
                limit: PAGE,
                ..EntityQuery::default()
            };
            let page = self.broker.store().select(&self.tenant, &query).await?;
            after = page.items.last().filter(|_| page.more).map(|found| found.position);
            let task = |found: Found| Item { id: found.entity.id.clone(), purge: purge.clone() };
            let items: Vec<Item> = page.items.into_iter().map(task).collect();
            let ids: Vec<EntityId> = items.iter().map(|item| item.id.clone()).collect();
            let results = self.carry_out(items).await?;
            for (id, settled) in ids.into_iter().zip(results) {
                purged.note(id, settled.map(|(done, _)| done));
            }
            if after.is_none() || purged.result.errors.len() > MAX_NAMED {
                return purged.answer();
            }
        }
    }
}

/// What a purge has done so far.
#[derive(Debug, Default)]
struct Purged {
    result: BatchResult,
    count: usize,
}

impl Purged {
    fn note(&mut self, id: EntityId, done: Result<Done, Error>) {
        match done {
            Ok(Done::Purged) => {
                self.count += 1;
                if self.count <= MAX_NAMED {
                    self.result.changed.push(id);
                }
            }
            Ok(Done::NotConcerned) => {}
            Err(error) => self.result.errors.push((id, error)),
        }
    }

    fn answer(self) -> Result<BatchResult, Error> {
        let failed = self.result.errors.len();
        if failed > 0 && (self.count > MAX_NAMED || failed > MAX_NAMED) {
            return Err(Error::Contended(format!(
                "{} entities were purged; one of the others",
                self.count
            )));
        }
        Ok(self.result)
    }
}

/// What became of one entity.
enum Done {
    Purged,
    /// It is not there any more, or does not satisfy the filter any more.
    NotConcerned,
}

struct Item {
    id: EntityId,
    purge: Arc<(Filter, Purge)>,
}

impl Task for Item {
    type Answer = Done;

    fn ids(&self) -> impl Iterator<Item = &EntityId> {
        iter::once(&self.id)
    }

    fn decide(&self, current: &Current, now: Timestamp) -> Result<Plan<Done>, Error> {
        let (filter, purge) = &*self.purge;
        let found = current.get(&self.id).filter(|found| filter.matches(&found.entity));
        let mut plan = Plan {
            cause: Cause::Request,
            writes: Vec::new(),
            records: Vec::new(),
            answer: Done::NotConcerned,
        };
        let Some(found) = found else { return Ok(plan) };
        plan.answer = Done::Purged;
        let state = purge.apply(&found.entity, now);
        if state.as_ref() != Some(&*found.entity) {
            let (id, expect) = (self.id.clone(), Expect::At(found.revision));
            plan.writes.push(Change { id, expect, state: state.map(Arc::new) });
        }
        Ok(plan)
    }
}

impl Purge {
    /// What is left of an entity; itself if it has nothing to lose.
    fn apply(&self, entity: &Entity, now: Timestamp) -> Option<Entity> {
        let (members, listed_goes) = match self {
            Self::Entities => return None,
            Self::Drop(members) => (members, true),
            Self::Keep(members) => (members, false),
        };
        let goes = |listed: bool| listed == listed_goes;
        let mut state = entity.clone();
        state.attributes.retain(|attribute| !goes(members.attributes.contains(&attribute.name)));
        if goes(members.scope) {
            state.scopes.clear();
        }
        if state != *entity {
            state.modified_at = now;
        }
        Some(state)
    }
}
