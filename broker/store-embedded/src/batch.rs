//! A batch in the making: what groups do, on top of what earlier groups of the batch did.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use musubi_model::{
    Entity, EntityChange, EntityId, Position, Revision, Sequence, Tenant, Timestamp,
};
use musubi_store::{
    Change, EvolutionWrite, Expect, Found, Group, Outcome, RecordChange, RecordKey, RecordWrite,
    Subject, Write,
};
use smallvec::SmallVec;

use crate::codec::{self, Ceilings, RowError};
use crate::engine::{Engine, EngineError, Place, Rows};
use crate::records::{Stored, is_resident};
use crate::store::Resident;
use crate::tables::SharedTable;

/// Numbers of each kind that are reserved at a time, by one small row.
const RESERVED: u64 = 65_536;

/// The last number given out of each kind. Sequences have no gaps; revisions and positions may, so
/// that they need not be written with every batch to be never given out twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) newest: Sequence,
    pub(crate) revision: u64,
    pub(crate) position: u64,
    /// What the engine knows to be reserved.
    pub(crate) ceilings: Ceilings,
}

/// What one group does, once it is durable. Most groups are one write.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) entities: SmallVec<[(Tenant, EntityId, Option<Found>); 1]>,
    pub(crate) records: Vec<(RecordKey, Option<Stored>)>,
    /// Changes with their sizes in bytes.
    pub(crate) changes: SmallVec<[(Arc<Change>, usize); 1]>,
}

/// Why a group could be neither added nor refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DraftError {
    /// A row cannot be made, or read.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The engine failed when it was asked for what is there.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A batch in the making.
pub(crate) struct Draft<'r> {
    resident: &'r Resident,
    engine: &'r Engine,
    counters: Counters,
    rows: Rows,
    tenants: HashMap<Tenant, TenantDraft, RandomState>,
    records: HashMap<RecordKey, Option<Stored>, RandomState>,
    effects: Vec<Effects>,
    buffers: Buffers,
}

/// What rows are made in, one after another.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) key: Vec<u8>,
    pub(crate) row: Vec<u8>,
    /// An entity's bytes; empty if it was deleted.
    pub(crate) entity: Vec<u8>,
}

#[derive(Debug)]
struct TenantDraft {
    table: Option<SharedTable>,
    /// Clients choose the ids, so they must not know how these are hashed.
    entities: HashMap<EntityId, Option<Found>, RandomState>,
}

/// Whose doing a change is, and when.
#[derive(Clone, Debug)]
struct Origin {
    time: Timestamp,
    cause: musubi_model::Cause,
}

impl TenantDraft {
    fn of(table: Option<SharedTable>) -> Self {
        Self { table, entities: HashMap::default() }
    }
}

impl<'r> Draft<'r> {
    pub(crate) fn new((resident, engine): (&'r Resident, &'r Engine), counters: Counters) -> Self {
        Self {
            resident,
            engine,
            counters,
            rows: Rows::default(),
            tenants: HashMap::default(),
            records: HashMap::default(),
            effects: Vec::new(),
            buffers: Buffers::default(),
        }
    }

    /// Adds a group, or refuses it.
    pub(crate) fn add(&mut self, group: Group) -> Result<Outcome, DraftError> {
        // Most groups are one write, whose entity need not be looked for twice.
        let mut only = match group.writes.as_slice() {
            [only] => Some(self.entity(only)),
            _ => None,
        };
        if let Some(index) = self.first_refusal(&group, only.as_ref())? {
            return Ok(Outcome::Refused(index));
        }
        let Group { time, cause, writes, records, evolutions } = group;
        let origin = Origin { time, cause };
        let mut effects = Effects::default();
        let mut revisions = Vec::with_capacity(writes.len() + records.len());
        for write in writes {
            let old = only.take().unwrap_or_else(|| self.entity(&write));
            revisions.push(self.write_entity((write, old), &origin, &mut effects)?);
        }
        for write in records {
            revisions.push(self.write_record(write, &origin, &mut effects)?);
        }
        for EvolutionWrite { tenant, change } in evolutions {
            self.buffers.entity.clear();
            self.log(tenant, Subject::Evolution(change), &origin, &mut effects)?;
        }
        self.effects.push(effects);
        Ok(Outcome::Committed { newest: self.counters.newest, revisions })
    }

    /// The rows, what they mean, and the counters behind them.
    pub(crate) fn end(mut self) -> (Rows, Vec<Effects>, Counters) {
        let Counters { revision, position, ceilings, .. } = self.counters;
        if revision > ceilings.revision || position > ceilings.position {
            let ceilings =
                Ceilings { revision: revision + RESERVED, position: position + RESERVED };
            if !self.rows.is_empty() {
                self.rows.ceilings(&codec::ceilings_row(ceilings));
                self.counters.ceilings = ceilings;
            }
        }
        (self.rows, self.effects, self.counters)
    }

    /// The first write whose expectation does not hold; `only` is what is there of the only entity.
    fn first_refusal(
        &mut self,
        group: &Group,
        only: Option<&Option<Found>>,
    ) -> Result<Option<usize>, DraftError> {
        let holds = |expect: Expect, current: Option<Revision>| match expect {
            Expect::Absent => current.is_none(),
            Expect::At(revision) => current == Some(revision),
            Expect::Any => true,
        };
        for (index, write) in group.writes.iter().enumerate() {
            if write.expect == Expect::Any {
                continue;
            }
            let revision = |found: &Option<Found>| found.as_ref().map(|found| found.revision);
            let current = only.map_or_else(|| revision(&self.entity(write)), revision);
            if !holds(write.expect, current) {
                return Ok(Some(index));
            }
        }
        for (index, write) in group.records.iter().enumerate() {
            let is_open = write.expect == Expect::Any;
            if !is_open && !holds(write.expect, self.record_revision(&write.key)?) {
                return Ok(Some(group.writes.len() + index));
            }
        }
        Ok(None)
    }

    fn entity(&mut self, write: &Write) -> Option<Found> {
        if !self.tenants.contains_key(&write.tenant) {
            let table = self.resident.tables.get(&write.tenant);
            self.tenants.insert(write.tenant.clone(), TenantDraft::of(table));
        }
        let draft = self.tenants.get(&write.tenant)?;
        match draft.entities.get(&write.id) {
            Some(found) => found.clone(),
            None => draft.table.as_ref()?.read().get(&write.id).cloned(),
        }
    }

    fn record_revision(&self, key: &RecordKey) -> Result<Option<Revision>, DraftError> {
        match self.records.get(key) {
            Some(stored) => Ok(stored.as_ref().map(|(revision, _)| *revision)),
            None if is_resident(key.kind) => {
                Ok(self.resident.records.get(key).map(|(revision, _)| revision))
            }
            None => Ok(stored_revision(self.engine, key)?),
        }
    }

    /// Whether there may be something to delete. Of what is not in memory this is not worth a look:
    /// such records stand in no log, and to delete one that is not there leaves nothing behind.
    fn may_be_there(&self, key: &RecordKey) -> bool {
        match self.records.get(key) {
            Some(stored) => stored.is_some(),
            None => !is_resident(key.kind) || self.resident.records.get(key).is_some(),
        }
    }

    fn write_entity(
        &mut self,
        (write, old): (Write, Option<Found>),
        origin: &Origin,
        effects: &mut Effects,
    ) -> Result<Revision, RowError> {
        let revision = self.next_revision();
        let Write { tenant, id, mut state, .. } = write;
        if old.is_none() && state.is_none() {
            return Ok(revision);
        }
        let position = match &old {
            Some(found) => found.position,
            None => self.next_position(),
        };
        if let Some(entity) = &mut state {
            self.resident.interner.share(entity);
        }
        self.buffers.state(&mut self.rows, (&tenant, &id), (revision, position), state.as_deref());
        let before = old.as_ref().map(|found| &found.entity);
        let numbers = (revision, position);
        let change = EntityChange::replacing(id.clone(), numbers, before, state.clone());
        self.log(tenant.clone(), Subject::Entity(change), origin, effects)?;
        let found = state.map(|entity| Found { position, revision, entity });
        if let Some(draft) = self.tenants.get_mut(&tenant) {
            draft.entities.insert(id.clone(), found.clone());
        }
        effects.entities.push((tenant, id, found));
        Ok(revision)
    }

    fn write_record(
        &mut self,
        write: RecordWrite,
        origin: &Origin,
        effects: &mut Effects,
    ) -> Result<Revision, RowError> {
        let RecordWrite { key, value, .. } = write;
        let revision = self.next_revision();
        if value.is_none() && !self.may_be_there(&key) {
            return Ok(revision);
        }
        let row_key = codec::record_key(&key);
        match &value {
            Some(value) => {
                self.rows.put(Place::Records, &row_key, &codec::record_row(revision, value));
            }
            None => self.rows.delete(Place::Records, &row_key),
        }
        if key.kind.is_logged() {
            let (kind, name) = (key.kind, key.key.clone());
            let change = RecordChange { kind, key: name, revision, value: value.clone() };
            self.buffers.entity.clear();
            self.log(key.tenant.clone(), Subject::Record(change), origin, effects)?;
        }
        let stored = value.map(|value| (revision, value));
        self.records.insert(key.clone(), stored.clone());
        effects.records.push((key, stored));
        Ok(revision)
    }

    /// Adds a change to the log. The bytes of an after-image are in their buffer.
    fn log(
        &mut self,
        tenant: Tenant,
        subject: Subject,
        origin: &Origin,
        effects: &mut Effects,
    ) -> Result<(), RowError> {
        self.counters.newest.0 += 1;
        let (sequence, time, cause) = (self.counters.newest, origin.time, origin.cause.clone());
        let change = Change { sequence, tenant, time, cause, subject };
        let Buffers { row, entity, .. } = &mut self.buffers;
        codec::log_row(&change, entity, row)?;
        self.rows.log(sequence, row);
        effects.changes.push((Arc::new(change), row.len()));
        Ok(())
    }

    fn next_revision(&mut self) -> Revision {
        self.counters.revision += 1;
        Revision(self.counters.revision)
    }

    fn next_position(&mut self) -> Position {
        self.counters.position += 1;
        Position(self.counters.position)
    }
}

/// The version of a record in the engine.
pub(crate) fn stored_revision(
    engine: &Engine,
    key: &RecordKey,
) -> Result<Option<Revision>, DraftError> {
    let row = engine.record(&codec::record_key(key))?;
    Ok(row.map(|row| codec::read_record_revision(&row)).transpose()?)
}

impl Buffers {
    /// Writes an entity's state, or deletes it, and keeps the entity's bytes.
    pub(crate) fn state(
        &mut self,
        rows: &mut Rows,
        (tenant, id): (&Tenant, &EntityId),
        numbers: (Revision, Position),
        entity: Option<&Entity>,
    ) {
        codec::state_key(tenant, id, &mut self.key);
        if let Some(entity) = entity {
            codec::entity_bytes(entity, &mut self.entity);
            codec::state_row(numbers, &self.entity, &mut self.row);
            rows.put(Place::State, &self.key, &self.row);
        } else {
            self.entity.clear();
            rows.delete(Place::State, &self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn nobody_can_know_which_ids_collide_in_a_batch() {
        let id: EntityId = "urn:x:1".parse().unwrap();
        let hash = || TenantDraft::of(None).entities.hasher().hash_one(&id);
        assert_ne!(hash(), hash());
    }
}
