//! The way in for adapters that run in this process: many small all-or-nothing writes at once.

use std::borrow::Cow;
use std::sync::Arc;

use musubi_model::{
    AttributeFragment, Cause, Entity, EntityFragment, EntityId, FragmentValue, InstanceFragment,
    Instances, Overwrite, Revision, Sequence, Timestamp,
};
use musubi_store::{Expect, RecordKind, RecordQuery, RecordWrite};

use crate::commit::{Change, Current, Plan, Task};
use crate::{Conditions, Error, Right, Session};

/// What is written together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Ingest {
    /// Entities, each with an id. One that is there gets the attributes, which take the place of
    /// those it has, and loses those that are Null; one that is not there is created, for which
    /// it needs a type.
    pub entities: Vec<EntityFragment>,
    /// What is to be remembered with it.
    pub records: Vec<RecordWrite>,
    /// Who brings it about.
    pub cause: Cause,
}

/// What a write became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The newest change in the log at the time; 0 if nothing had to be written.
    pub newest: Sequence,
    /// The new revision of each entity and then of each record, in order.
    pub revisions: Vec<Revision>,
}

/// How many records are read at once.
const SLICE: usize = 1000;

impl Session {
    /// Writes on behalf of adapters: one result per item, in order. Items that concern the same
    /// entity are carried out in their order, the others at once. Where the tenant's rules say so,
    /// instances that were observed no later than those that are there are left out.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store did not answer; then nothing is known of the items and all
    /// may be given again. What is wrong with a single item is its own result.
    pub async fn ingest(&self, items: Vec<Ingest>) -> Result<Vec<Result<Committed, Error>>, Error> {
        self.caller.require(Right::Ingest)?;
        let task = |item| Ingestion { item, conditions: self.conditions.clone() };
        let results = self.carry_out(items.into_iter().map(task).collect()).await?;
        Ok(results.into_iter().map(|result| result.map(|((), committed)| committed)).collect())
    }

    /// What adapters remember under keys that begin with `prefix`: key and value, sorted by key.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store did not answer.
    pub async fn adapter_state(&self, prefix: &str) -> Result<Vec<(String, Arc<[u8]>)>, Error> {
        self.caller.require(Right::Ingest)?;
        let mut state: Vec<(String, Arc<[u8]>)> = Vec::new();
        loop {
            let after = state.last().map(|(key, _)| (self.tenant.clone(), key.clone()));
            let query = RecordQuery {
                kind: RecordKind::AdapterState,
                tenant: Some(self.tenant.clone()),
                prefix: prefix.to_owned(),
                after,
                limit: SLICE,
            };
            let records = self.broker.store().records(&query).await?;
            let complete = records.len() < SLICE;
            state.extend(records.into_iter().map(|record| (record.key.key, record.value)));
            if complete {
                return Ok(state);
            }
        }
    }
}

/// An item, and what the tenant's rules say.
struct Ingestion {
    item: Ingest,
    conditions: Conditions,
}

impl Task for Ingestion {
    type Answer = ();

    fn ids(&self) -> impl Iterator<Item = &EntityId> {
        self.item.entities.iter().filter_map(|fragment| fragment.id.as_ref())
    }

    fn decide(&self, current: &Current, now: Timestamp) -> Result<Plan<()>, Error> {
        let item = &self.item;
        let mut writes: Vec<Change> = Vec::with_capacity(item.entities.len());
        for fragment in &item.entities {
            let Some(id) = &fragment.id else {
                return Err(Error::BadRequestData("an entity without id".to_owned()));
            };
            // An item may mention an entity twice; a group may not.
            if let Some(earlier) = writes.iter_mut().find(|change| change.id == *id) {
                let state = self.written(fragment, earlier.state.as_deref(), now)?;
                earlier.state = Some(Arc::new(state));
                continue;
            }
            let found = current.get(id);
            let there = found.map(|found| &*found.entity);
            let state = self.written(fragment, there, now)?;
            writes.push(Change {
                id: id.clone(),
                expect: found.map_or(Expect::Absent, |found| Expect::At(found.revision)),
                state: Some(Arc::new(state)),
            });
        }
        Ok(Plan { cause: item.cause.clone(), writes, records: item.records.clone(), answer: () })
    }
}

impl Ingestion {
    /// The entity that a fragment makes of what is there.
    fn written(
        &self,
        fragment: &EntityFragment,
        there: Option<&Entity>,
        now: Timestamp,
    ) -> Result<Entity, Error> {
        let mut fragment = Cow::Borrowed(fragment);
        let deleted =
            if has_deletions(&fragment) { take_deletions(fragment.to_mut()) } else { Vec::new() };
        let Some(there) = there else { return Ok(Entity::create(&*fragment, now)?) };
        // A late measurement is nothing that its sender could do better: it is left out, and done.
        let (fragment, _) = self.conditions.newer(&fragment, there);
        let (mut entity, _) = there.append(&*fragment, Overwrite::Yes, now)?;
        for attribute in deleted {
            for instance in attribute.instances {
                let which = instance.dataset_id.map_or(Instances::Default, Instances::Dataset);
                if let Some(without) = entity.delete_attribute(&attribute.name, &which, now) {
                    entity = without;
                }
            }
        }
        Ok(entity)
    }
}

fn is_null(instance: &InstanceFragment) -> bool {
    matches!(instance.value, Some(FragmentValue::Null))
}

/// Whether the fragment has instances that are Null.
fn has_deletions(fragment: &EntityFragment) -> bool {
    fragment.attributes.iter().flat_map(|attribute| &attribute.instances).any(is_null)
}

/// Takes the instances that are Null out of the fragment.
fn take_deletions(fragment: &mut EntityFragment) -> Vec<AttributeFragment> {
    let mut deleted = Vec::new();
    for attribute in &mut fragment.attributes {
        let (nulls, kept) = attribute.instances.drain(..).partition(is_null);
        attribute.instances = kept;
        deleted.push(AttributeFragment { name: attribute.name.clone(), instances: nulls });
    }
    fragment.attributes.retain(|attribute| !attribute.instances.is_empty());
    deleted
}
