//! Many entities in one request (CIM 009, clauses 5.6.7 to 5.6.10 and 5.6.20): each for itself,
//! and those of the same id in their order.

use std::borrow::Cow;
use std::iter;
use std::sync::Arc;

use musubi_model::{
    Cause, Entity, EntityFragment, EntityId, NotUpdated, Older, Overwrite, Timestamp, UpdateResult,
};
use musubi_store::{Expect, Found};
use rustc_hash::FxHashSet;

use crate::commit::{Change, Current, Plan, Task};
use crate::schemas::Extent;
use crate::{Conditions, Error, Right, Session};

/// What an upsert does to an entity that is there (CIM 009, clause 5.6.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpsertMode {
    /// It takes its place.
    #[default]
    Replace,
    /// It appends its attributes, overwriting those that are there.
    Update,
}

/// What a batch did (CIM 009, clause 5.2.16). Every item is in exactly one of the lists, and an
/// id that came twice may be there twice.
#[derive(Debug, Default)]
pub struct BatchResult {
    /// The entities that came into being.
    pub created: Vec<EntityId>,
    /// The entities that were there and were changed or deleted.
    pub changed: Vec<EntityId>,
    /// The items that failed.
    pub errors: Vec<(EntityId, Error)>,
}

impl BatchResult {
    /// The entities for which something was done, each once.
    pub fn success(&self) -> Vec<EntityId> {
        once(self.created.iter().chain(&self.changed))
    }

    /// The entities that came into being, each once.
    pub fn created_once(&self) -> Vec<EntityId> {
        once(&self.created)
    }
}

fn once<'a>(ids: impl IntoIterator<Item = &'a EntityId>) -> Vec<EntityId> {
    let mut seen = FxHashSet::default();
    ids.into_iter().filter(|id| seen.insert(*id)).cloned().collect()
}

impl Session {
    /// Creates entities (CIM 009, clause 5.6.7).
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store did not answer; then some of it may have been done. What is
    /// wrong with a single entity is in the result.
    pub async fn create_entities(
        &self,
        fragments: Vec<EntityFragment>,
    ) -> Result<BatchResult, Error> {
        self.caller.require(Right::CreateEntities)?;
        self.batch(fragments, Action::Create).await
    }

    /// Creates entities, or replaces or updates those that are there (CIM 009, clause 5.6.8).
    ///
    /// # Errors
    ///
    /// As for [`create_entities`](Self::create_entities).
    pub async fn upsert_entities(
        &self,
        fragments: Vec<EntityFragment>,
        mode: UpsertMode,
    ) -> Result<BatchResult, Error> {
        self.caller.require(Right::CreateEntities)?;
        self.caller.require(Right::ChangeEntities)?;
        self.batch(fragments, Action::Upsert(mode)).await
    }

    /// Appends attributes to entities that are there (CIM 009, clause 5.6.9). Without overwriting,
    /// an entity with an attribute that was there already counts as an error, and gets its other
    /// attributes nevertheless.
    ///
    /// # Errors
    ///
    /// As for [`create_entities`](Self::create_entities).
    pub async fn update_entities(
        &self,
        fragments: Vec<EntityFragment>,
        overwrite: Overwrite,
    ) -> Result<BatchResult, Error> {
        self.caller.require(Right::ChangeEntities)?;
        self.require_tenant().await?;
        self.batch(fragments, Action::Update(overwrite)).await
    }

    /// Merges fragments into entities that are there (CIM 009, clause 5.6.20).
    ///
    /// # Errors
    ///
    /// As for [`create_entities`](Self::create_entities).
    pub async fn merge_entities(
        &self,
        fragments: Vec<EntityFragment>,
    ) -> Result<BatchResult, Error> {
        self.caller.require(Right::ChangeEntities)?;
        self.require_tenant().await?;
        self.batch(fragments, Action::Merge).await
    }

    /// Deletes entities (CIM 009, clause 5.6.10).
    ///
    /// # Errors
    ///
    /// As for [`create_entities`](Self::create_entities).
    pub async fn delete_entities(&self, ids: Vec<EntityId>) -> Result<BatchResult, Error> {
        self.caller.require(Right::DeleteEntities)?;
        self.require_tenant().await?;
        let item = |id| Item {
            id,
            fragment: EntityFragment::default(),
            action: Action::Delete,
            conditions: self.conditions.clone(),
        };
        let items = ids.into_iter().map(item).collect();
        self.settle(items).await
    }

    async fn batch(
        &self,
        fragments: Vec<EntityFragment>,
        action: Action,
    ) -> Result<BatchResult, Error> {
        let mut items = Vec::with_capacity(fragments.len());
        for fragment in fragments {
            let Some(id) = fragment.id.clone() else {
                return Err(Error::BadRequestData("an entity without id in a batch".to_owned()));
            };
            let conditions = self.conditions.clone();
            items.push(Item { id, fragment, action, conditions });
        }
        self.settle(items).await
    }

    async fn settle(&self, items: Vec<Item>) -> Result<BatchResult, Error> {
        let ids: Vec<EntityId> = items.iter().map(|item| item.id.clone()).collect();
        let results = self.carry_out(items).await?;
        let mut result = BatchResult::default();
        for (id, settled) in ids.into_iter().zip(results) {
            match settled {
                Ok((Done::Created, _)) => result.created.push(id),
                Ok((Done::Changed, _)) => result.changed.push(id),
                Ok((Done::InPart(left), _)) => result.errors.push((id, in_part(&left))),
                Err(error) => result.errors.push((id, error)),
            }
        }
        Ok(result)
    }
}

/// What is to be done with each entity of a batch.
#[derive(Clone, Copy, Debug)]
enum Action {
    Create,
    Upsert(UpsertMode),
    Update(Overwrite),
    Merge,
    Delete,
}

struct Item {
    id: EntityId,
    fragment: EntityFragment,
    action: Action,
    conditions: Conditions,
}

/// What became of one item.
enum Done {
    Created,
    Changed,
    InPart(Vec<NotUpdated>),
}

impl Task for Item {
    type Answer = Done;

    fn ids(&self) -> impl Iterator<Item = &EntityId> {
        iter::once(&self.id)
    }

    fn extent(&self) -> Extent {
        match self.action {
            Action::Create | Action::Upsert(UpsertMode::Replace) => Extent::Whole,
            Action::Upsert(UpsertMode::Update)
            | Action::Update(_)
            | Action::Merge
            | Action::Delete => Extent::Part,
        }
    }

    fn decide(&self, current: &Current, now: Timestamp) -> Result<Plan<Done>, Error> {
        let found = current.get(&self.id);
        let (state, answer) = match (self.action, found) {
            (Action::Create, Some(_)) => {
                return Err(Error::AlreadyExists(format!("entity {}", self.id)));
            }
            (Action::Create | Action::Upsert(_), None) => {
                (Some(Entity::create(&self.fragment, now)?), Done::Created)
            }
            (Action::Update(_) | Action::Merge | Action::Delete, None) => {
                return Err(Error::no_entity(&self.id));
            }
            (Action::Upsert(UpsertMode::Replace), Some(found)) => self.replace(found, now)?,
            (Action::Upsert(UpsertMode::Update), Some(found)) => {
                self.append(found, Overwrite::Yes, now)?
            }
            (Action::Update(overwrite), Some(found)) => self.append(found, overwrite, now)?,
            (Action::Merge, Some(found)) => {
                let (fragment, older) = self.newer(found);
                (Some(found.entity.merge(&*fragment, now)?), done(not_updated(older)))
            }
            (Action::Delete, Some(_)) => (None, Done::Changed),
        };
        let unchanged = found.is_some_and(|found| state.as_ref() == Some(&*found.entity));
        let expect = found.map_or(Expect::Absent, |found| Expect::At(found.revision));
        let change = Change { id: self.id.clone(), expect, state: state.map(Arc::new) };
        let writes = if unchanged { Vec::new() } else { vec![change] };
        Ok(Plan { cause: Cause::Request, writes, records: Vec::new(), answer })
    }
}

impl Item {
    /// The fragment without what is no news, and what was taken out of it.
    fn newer(&self, found: &Found) -> (Cow<'_, EntityFragment>, Vec<Older>) {
        self.conditions.newer(&self.fragment, &found.entity)
    }

    fn append(
        &self,
        found: &Found,
        overwrite: Overwrite,
        now: Timestamp,
    ) -> Result<(Option<Entity>, Done), Error> {
        let (fragment, older) = self.newer(found);
        let (entity, UpdateResult { not_updated: left, .. }) =
            found.entity.append(&*fragment, overwrite, now)?;
        let left = left.into_iter().chain(not_updated(older)).collect();
        Ok((Some(entity), done(left)))
    }

    fn replace(&self, found: &Found, now: Timestamp) -> Result<(Option<Entity>, Done), Error> {
        let (fragment, older) = self.newer(found);
        let mut entity = found.entity.replace(&*fragment, now)?;
        entity.put_back(&found.entity, &older);
        Ok((Some(entity), done(not_updated(older))))
    }
}

fn not_updated(older: Vec<Older>) -> Vec<NotUpdated> {
    older.into_iter().map(NotUpdated::from).collect()
}

fn done(left: Vec<NotUpdated>) -> Done {
    if left.is_empty() { Done::Changed } else { Done::InPart(left) }
}

fn in_part(left: &[NotUpdated]) -> Error {
    let names: Vec<String> =
        left.iter().map(|one| format!("{}: {}", one.name, one.reason)).collect();
    Error::BadRequestData(names.join("; "))
}
