//! The plain reference.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use musubi_model::{
    AttrName, AttributeType, Entity, EntityChange, EntityId, Position, Revision, Sequence, Tenant,
    TypeName,
};
use musubi_query::{EntityQuery, LinkedEntities, OrderKey, Start};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    AttributeSummary, Change, Expect, Found, Group, Outcome, Page, Record, RecordChange, RecordKey,
    RecordQuery, RecordWrite, Store, StoreError, Subject, TypeSummary, Write,
};

/// A store in memory that is meant to be obviously right: no index, one lock, every question
/// answered by looking at everything. It says what other stores have to answer, and serves tests
/// that need a store.
///
/// Nothing is durable in it but by [`reopen`](Self::reopen).
#[derive(Debug)]
pub struct ReferenceStore {
    state: Mutex<State>,
    newest: watch::Sender<Sequence>,
}

#[derive(Clone, Debug, Default)]
struct State {
    entities: BTreeMap<(Tenant, EntityId), Found>,
    records: BTreeMap<RecordKey, (Revision, Arc<[u8]>)>,
    log: Vec<Arc<Change>>,
    /// The last number given out of each kind. They are never given again.
    newest: Sequence,
    revision: u64,
    position: u64,
}

impl ReferenceStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::over(State::default())
    }

    /// A store of its own over a copy of what this one holds now, as if the process had ended and
    /// begun again.
    pub fn reopen(&self) -> Self {
        Self::over(self.state.lock().clone())
    }

    /// The entity of this id, for the suite.
    pub(crate) fn entity(&self, tenant: &Tenant, id: &EntityId) -> Option<Arc<Entity>> {
        let key = (tenant.clone(), id.clone());
        self.state.lock().entities.get(&key).map(|found| found.entity.clone())
    }

    /// Whether there is such a record, for the suite.
    pub(crate) fn has_record(&self, key: &RecordKey) -> bool {
        self.state.lock().records.contains_key(key)
    }

    fn over(state: State) -> Self {
        let newest = watch::Sender::new(state.newest);
        Self { state: Mutex::new(state), newest }
    }
}

impl Default for ReferenceStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for ReferenceStore {
    fn commit(&self, groups: Vec<Group>) -> BoxFuture<'_, Result<Vec<Outcome>, StoreError>> {
        async move {
            let mut state = self.state.lock();
            let outcomes = groups.into_iter().map(|group| state.commit(group)).collect();
            // Announced under the lock, so that what is announced only grows.
            self.newest
                .send_if_modified(|newest| std::mem::replace(newest, state.newest) != state.newest);
            Ok(outcomes)
        }
        .boxed()
    }

    fn select<'a>(
        &'a self,
        tenant: &'a Tenant,
        query: &'a EntityQuery,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        async move { Ok(self.state.lock().select(tenant, query)) }.boxed()
    }

    fn types<'a>(
        &'a self,
        tenant: &'a Tenant,
    ) -> BoxFuture<'a, Result<Vec<TypeSummary>, StoreError>> {
        async move { Ok(self.state.lock().types(tenant)) }.boxed()
    }

    fn attributes<'a>(
        &'a self,
        tenant: &'a Tenant,
        of_type: Option<&'a TypeName>,
    ) -> BoxFuture<'a, Result<Vec<AttributeSummary>, StoreError>> {
        async move { Ok(self.state.lock().attributes(tenant, of_type)) }.boxed()
    }

    fn changes(
        &self,
        after: Sequence,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Change>>, StoreError>> {
        async move {
            let state = self.state.lock();
            let later = state.log.iter().filter(|change| change.sequence > after);
            Ok(later.take(limit).cloned().collect())
        }
        .boxed()
    }

    fn newest(&self) -> watch::Receiver<Sequence> {
        self.newest.subscribe()
    }

    fn durable(&self) -> watch::Receiver<Sequence> {
        self.newest()
    }

    fn truncate(&self, upto: Sequence) -> BoxFuture<'_, Result<(), StoreError>> {
        self.state.lock().log.retain(|change| change.sequence > upto);
        ready(Ok(())).boxed()
    }

    fn records<'a>(
        &'a self,
        query: &'a RecordQuery,
    ) -> BoxFuture<'a, Result<Vec<Record>, StoreError>> {
        async move { Ok(self.state.lock().records(query)) }.boxed()
    }
}

/// What is known of an attribute.
#[derive(Debug, Default)]
struct Gathered {
    entities: u64,
    kinds: BTreeSet<AttributeType>,
    types: BTreeSet<TypeName>,
}

/// The entities of a tenant, by id.
struct Town<'a>(BTreeMap<&'a EntityId, &'a Arc<Entity>>);

impl LinkedEntities for Town<'_> {
    fn entity(&self, id: &EntityId) -> Option<Arc<Entity>> {
        self.0.get(id).map(|entity| Arc::clone(entity))
    }
}

impl State {
    fn commit(&mut self, group: Group) -> Outcome {
        if let Some(index) = self.first_refusal(&group) {
            return Outcome::Refused(index);
        }
        let Group { time, cause, writes, records, evolutions } = group;
        let mut revisions = Vec::new();
        let mut subjects = Vec::new();
        for write in writes {
            let tenant = write.tenant.clone();
            let (revision, change) = self.write_entity(write);
            revisions.push(revision);
            subjects.extend(change.map(|change| (tenant, Subject::Entity(change))));
        }
        for write in records {
            let (kind, tenant) = (write.key.kind, write.key.tenant.clone());
            let (revision, change) = self.write_record(write);
            revisions.push(revision);
            let logged = change.filter(|_| kind.is_logged());
            subjects.extend(logged.map(|change| (tenant, Subject::Record(change))));
        }
        let past = evolutions.into_iter();
        subjects.extend(past.map(|write| (write.tenant, Subject::Evolution(write.change))));
        for (tenant, subject) in subjects {
            self.newest.0 += 1;
            let (sequence, cause) = (self.newest, cause.clone());
            self.log.push(Arc::new(Change { sequence, tenant, time, cause, subject }));
        }
        Outcome::Committed { newest: self.newest, revisions }
    }

    fn first_refusal(&self, group: &Group) -> Option<usize> {
        let writes = group.writes.iter().map(|write| {
            let key = (write.tenant.clone(), write.id.clone());
            (write.expect, self.entities.get(&key).map(|found| found.revision))
        });
        let records = group.records.iter().map(|write| {
            (write.expect, self.records.get(&write.key).map(|(revision, _)| *revision))
        });
        writes.chain(records).position(|(expect, current)| match expect {
            Expect::Absent => current.is_some(),
            Expect::At(revision) => current != Some(revision),
            Expect::Any => false,
        })
    }

    fn write_entity(&mut self, write: Write) -> (Revision, Option<EntityChange>) {
        let revision = self.next_revision();
        let key = (write.tenant, write.id.clone());
        let old = self.entities.get(&key).cloned();
        let position = match &old {
            Some(found) => found.position,
            None => self.next_position(),
        };
        let change = (old.is_some() || write.state.is_some()).then(|| {
            let before = old.as_ref().map(|found| &*found.entity);
            EntityChange::between(write.id, (revision, position), before, write.state.clone())
        });
        match write.state {
            Some(entity) => self.entities.insert(key, Found { position, revision, entity }),
            None => self.entities.remove(&key),
        };
        (revision, change)
    }

    fn write_record(&mut self, write: RecordWrite) -> (Revision, Option<RecordChange>) {
        let revision = self.next_revision();
        let RecordWrite { key, value, .. } = write;
        let (kind, name) = (key.kind, key.key.clone());
        let old = match value.clone() {
            Some(value) => self.records.insert(key, (revision, value)),
            None => self.records.remove(&key),
        };
        let change = (old.is_some() || value.is_some()).then_some(RecordChange {
            kind,
            key: name,
            revision,
            value,
        });
        (revision, change)
    }

    fn next_revision(&mut self) -> Revision {
        self.revision += 1;
        Revision(self.revision)
    }

    fn next_position(&mut self) -> Position {
        self.position += 1;
        Position(self.position)
    }

    fn of_tenant(&self, tenant: &Tenant) -> Vec<&Found> {
        let entities = self.entities.iter().filter(|((owner, _), _)| owner == tenant);
        let mut found: Vec<_> = entities.map(|(_, found)| found).collect();
        found.sort_by_key(|found| found.position);
        found
    }

    fn select(&self, tenant: &Tenant, query: &EntityQuery) -> Page {
        let seen = |found: &Found| match query.at {
            None => Some(found.clone()),
            Some(at) => Some(Found { entity: found.entity.alive_at(at)?, ..found.clone() }),
        };
        let town: Vec<Found> = self.of_tenant(tenant).into_iter().filter_map(seen).collect();
        let linked = Town(town.iter().map(|found| (&found.entity.id, &found.entity)).collect());
        let matching = town.iter();
        let matching = matching.filter(|found| query.filter.matches_among(&found.entity, &linked));
        let mut matching: Vec<(OrderKey, &Found)> =
            matching.map(|found| (query.order.key(&found.entity), found)).collect();
        // Those that stand equal stay in the order of their creation.
        matching.sort_by(|(one, _), (other, _)| query.order.compare(one, other));
        let matching: Vec<&Found> = matching.into_iter().map(|(_, found)| found).collect();
        let total = query.count.then(|| u64::try_from(matching.len()).unwrap_or(u64::MAX));
        let mut rest: Vec<_> = match query.start {
            Start::Offset(offset) => matching.into_iter().skip(offset).collect(),
            Start::After(position) => {
                matching.into_iter().filter(|found| found.position > position).collect()
            }
        };
        let more = rest.len() > query.limit;
        rest.truncate(query.limit);
        Page { items: rest.into_iter().cloned().collect(), total, more }
    }

    fn types(&self, tenant: &Tenant) -> Vec<TypeSummary> {
        let mut types: BTreeMap<TypeName, (u64, BTreeSet<AttrName>)> = BTreeMap::new();
        for found in self.of_tenant(tenant) {
            let entity: &Entity = &found.entity;
            for name in &entity.types {
                let (entities, attributes) = types.entry(name.clone()).or_default();
                *entities += 1;
                attributes.extend(entity.attributes.iter().map(|attribute| attribute.name.clone()));
            }
        }
        let summarize = |(name, (entities, attributes)): (TypeName, (u64, BTreeSet<AttrName>))| {
            TypeSummary { name, entities, attributes: attributes.into_iter().collect() }
        };
        types.into_iter().map(summarize).collect()
    }

    fn attributes(&self, tenant: &Tenant, of_type: Option<&TypeName>) -> Vec<AttributeSummary> {
        let mut attributes: BTreeMap<AttrName, Gathered> = BTreeMap::new();
        for found in self.of_tenant(tenant) {
            let entity: &Entity = &found.entity;
            if of_type.is_some_and(|name| !entity.types.contains(name)) {
                continue;
            }
            for attribute in &entity.attributes {
                let gathered = attributes.entry(attribute.name.clone()).or_default();
                gathered.entities += 1;
                gathered.kinds.extend(attribute.instances.iter().map(|one| one.value.kind));
                gathered.types.extend(entity.types.iter().cloned());
            }
        }
        let summarize = |(name, gathered): (AttrName, Gathered)| AttributeSummary {
            name,
            entities: gathered.entities,
            kinds: gathered.kinds.into_iter().collect(),
            types: gathered.types.into_iter().collect(),
        };
        attributes.into_iter().map(summarize).collect()
    }

    fn records(&self, query: &RecordQuery) -> Vec<Record> {
        let wanted = |key: &RecordKey| {
            key.kind == query.kind
                && query.tenant.as_ref().is_none_or(|tenant| key.tenant == *tenant)
                && key.key.starts_with(&query.prefix)
                && query
                    .after
                    .as_ref()
                    .is_none_or(|(tenant, after)| (&key.tenant, &key.key) > (tenant, after))
        };
        let found = self.records.iter().filter(|(key, _)| wanted(key));
        let records = found.map(|(key, (revision, value))| Record {
            key: key.clone(),
            revision: *revision,
            value: value.clone(),
        });
        records.take(query.limit).collect()
    }
}
