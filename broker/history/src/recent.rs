//! What is in no segment yet.
//!
//! One table takes what the changes after a certain one say. When it is full it is frozen: it takes
//! nothing more, a new one begins, and it is written as a segment. Readers hold the tables that there
//! were at the moment of their question, so that it does not matter to them when that happens.

mod entity;
mod entries;
mod row;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::ops::{AddAssign, Bound};
use std::sync::Arc;

use musubi_model::{EntityId, EvolutionStep, Recordings, Sequence, Tenant};
use musubi_store::Change;
use parking_lot::{RwLock, RwLockReadGuard};

pub(crate) use self::entity::RecentEntity;
use self::row::Rows;
use crate::chunk::ChunkStats;
use crate::segment::Names;
use crate::series::EntityKey;

/// What a row of the table takes beside its texts, about.
const ROW: usize = 96;

/// What the changes after a certain one say.
#[derive(Debug)]
pub(crate) struct Recent {
    after: Sequence,
    content: RwLock<Content>,
}

#[derive(Debug, Default)]
struct Content {
    total: Added,
    entities: BTreeMap<Tenant, Entities>,
    rows: Rows,
}

type Entities = BTreeMap<EntityId, Kept>;

/// How an entity is kept.
#[derive(Debug)]
pub(crate) enum Kept {
    /// As the row that a segment will have of it: one change alone was about it.
    Row(Box<[u8]>),
    /// In full.
    Full(Arc<RecentEntity>),
}

/// What came into a table.
#[derive(Clone, Copy, Debug, Default)]
struct Added {
    /// What it takes, about.
    bytes: usize,
    instances: usize,
}

impl AddAssign for Added {
    fn add_assign(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.instances = self.instances.saturating_add(other.instances);
    }
}

impl Recent {
    /// An empty table for the changes after this one.
    pub(crate) fn new(after: Sequence) -> Self {
        Self { after, content: RwLock::default() }
    }

    /// Takes in what a change does. Changes come in their order, each once.
    pub(crate) fn apply(&self, change: &Change) {
        if let Some(recordings) = change.recordings() {
            self.content.write().record(&change.tenant, change.sequence, recordings);
        } else if let Some(step) = change.evolution_step() {
            self.content.write().step(&change.tenant, (self.after, change.sequence), step);
        }
    }

    /// Bytes that it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        let content = self.content.read();
        content.total.bytes.saturating_add(content.rows.names.size())
    }

    /// How many instances were recorded in it.
    pub(crate) fn instances(&self) -> usize {
        self.content.read().total.instances
    }

    /// Whether nothing was said of any entity.
    pub(crate) fn is_empty(&self) -> bool {
        self.content.read().entities.is_empty()
    }

    /// What is known here of an entity, as it is now.
    pub(crate) fn entity(&self, key: &EntityKey) -> Option<Arc<RecentEntity>> {
        let content = self.content.read();
        match content.entities.get(&key.tenant)?.get(&key.id)? {
            Kept::Row(row) => Some(Arc::new(full(&content.rows.names.names, row))),
            Kept::Full(entity) => Some(entity.clone()),
        }
    }

    /// The next entities of a tenant after this one, in order.
    pub(crate) fn ids(
        &self,
        tenant: &Tenant,
        after: Option<&EntityId>,
        limit: usize,
    ) -> Vec<EntityId> {
        let content = self.content.read();
        let Some(entities) = content.entities.get(tenant) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = entities.range::<EntityId, _>((from, Bound::Unbounded));
        rest.take(limit).map(|(id, _)| id.clone()).collect()
    }

    /// All of it, for the one who writes a segment. Nothing can be taken in for as long as it is held.
    pub(crate) fn hold(&self) -> Held<'_> {
        Held(self.content.read())
    }
}

/// See [`Recent::hold`].
#[derive(Debug)]
pub(crate) struct Held<'a>(RwLockReadGuard<'a, Content>);

impl Held<'_> {
    /// The names that have numbers in rows.
    pub(crate) fn names(&self) -> &Names {
        &self.0.rows.names.names
    }

    /// What is known of all instances that are in rows, or were.
    pub(crate) fn stats(&self) -> &ChunkStats {
        &self.0.rows.stats
    }

    /// The entities, in order.
    pub(crate) fn entities(&self) -> impl Iterator<Item = (&Tenant, &EntityId, &Kept)> {
        let tenants = self.0.entities.iter();
        tenants.flat_map(|(tenant, entities)| {
            entities.iter().map(move |(id, kept)| (tenant, id, kept))
        })
    }
}

impl Content {
    /// Takes in what a change records, if it does nothing else.
    fn record(&mut self, tenant: &Tenant, sequence: Sequence, mut recordings: Recordings<'_>) {
        let Self { total, entities, rows } = self;
        let id = recordings.id;
        let kept = match entities_of(entities, tenant).entry(id.clone()) {
            Place::Occupied(known) => known.into_mut(),
            Place::Vacant(place) => {
                if let Some(row) = rows.make(sequence, &mut recordings) {
                    let bytes = ROW + id.as_str().len() + row.len();
                    *total += Added { bytes, instances: recordings.records.len() };
                    place.insert(Kept::Row(row));
                    return;
                }
                place.insert(Kept::new(id, total))
            }
        };
        let added = kept.open(&rows.names.names, total).record(sequence, recordings);
        *total += added;
    }

    /// Takes in what a change does, of the changes after one.
    fn step(
        &mut self,
        tenant: &Tenant,
        (after, sequence): (Sequence, Sequence),
        step: EvolutionStep,
    ) {
        let Self { total, entities, rows } = self;
        let kept = match entities_of(entities, tenant).entry(step.id.clone()) {
            Place::Occupied(known) => known.into_mut(),
            Place::Vacant(place) => place.insert(Kept::new(&step.id, total)),
        };
        let added = kept.open(&rows.names.names, total).step(after, sequence, step);
        *total += added;
    }
}

impl Kept {
    /// Nothing yet of an entity.
    fn new(id: &EntityId, total: &mut Added) -> Self {
        let entity = RecentEntity::nothing();
        total.bytes = total.bytes.saturating_add(entity.bytes() + id.as_str().len());
        Self::Full(Arc::new(entity))
    }

    /// The entity in full, to be changed.
    fn open(&mut self, names: &Names, total: &mut Added) -> &mut RecentEntity {
        loop {
            match self {
                Self::Full(entity) => return Arc::make_mut(entity),
                Self::Row(row) => {
                    let entity = full(names, row);
                    let bytes = total.bytes.saturating_sub(ROW + row.len());
                    total.bytes = bytes.saturating_add(entity.bytes());
                    *self = Self::Full(Arc::new(entity));
                }
            }
        }
    }
}

fn entities_of<'e>(
    entities: &'e mut BTreeMap<Tenant, Entities>,
    tenant: &Tenant,
) -> &'e mut Entities {
    entities.entry(tenant.clone()).or_default()
}

/// What a row says that was made in this table: it is read as it was written.
fn full(names: &Names, row: &[u8]) -> RecentEntity {
    RecentEntity::of_row(names, row).unwrap_or_else(|error| {
        tracing::error!(%error, "what is new of an entity cannot be read");
        RecentEntity::nothing()
    })
}
