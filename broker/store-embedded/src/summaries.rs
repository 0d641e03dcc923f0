//! What there is of types and attributes, told by the indexes alone.
//!
//! On a large table this takes longer than a writer should wait, so the lock is lent to those who
//! want it in between. What they write meanwhile may be in the answer or not.

use std::time::Duration;

use musubi_model::{AttrName, TypeName};
use musubi_store::{AttributeSummary, StoreError, TypeSummary};
use parking_lot::{RwLock, RwLockReadGuard};
use roaring::RoaringBitmap;
use tokio::time::Instant;

use crate::table::Table;

/// Slots in one container of a bitmap. Comparing two containers is the unit of work here; it takes
/// less than a microsecond.
const CONTAINER: u64 = 1 << 16;

/// The work after which the lock is lent.
const TURN: u64 = 1_024;

/// The work that is done on the caller's thread.
const INLINE: u64 = 4_096;

/// A table's lock that is held for a short time at a time, and for so long in all.
struct Turns<'t> {
    table: RwLockReadGuard<'t, Table>,
    work: u64,
    limit: Duration,
    deadline: Instant,
    is_late: bool,
}

impl<'t> Turns<'t> {
    fn new(table: &'t RwLock<Table>, limit: Duration) -> Self {
        let deadline = Instant::now() + limit;
        Self { table: table.read(), work: 0, limit, deadline, is_late: false }
    }

    /// Passes while there is time left. There may be as many types and attributes as clients like.
    fn in_time(&self) -> Result<(), StoreError> {
        if self.is_late {
            let limit = u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX);
            return Err(StoreError::TooComplex(limit));
        }
        Ok(())
    }

    /// The table, for so many comparisons of bitmaps.
    fn take(&mut self, comparisons: usize) -> &Table {
        self.work = self.work.saturating_add(work(&self.table, comparisons));
        if self.work > TURN {
            self.work = 0;
            RwLockReadGuard::bump(&mut self.table);
            self.is_late = Instant::now() >= self.deadline;
        }
        &self.table
    }
}

/// The work of so many comparisons of bitmaps over this table.
fn work(table: &Table, comparisons: usize) -> u64 {
    let containers = table.live().max().map_or(1, |last| u64::from(last) / CONTAINER + 1);
    containers.saturating_mul(u64::try_from(comparisons).unwrap_or(u64::MAX))
}

/// Whether all types, or all attributes, are summarized in no time.
pub(crate) fn is_little(table: &RwLock<Table>) -> bool {
    let table = table.read();
    let types = table.indexes.types().count();
    work(&table, types.saturating_mul(table.indexes.attributes().count())) <= INLINE
}

/// What there is of each type, if that is found out in so much time.
pub(crate) fn types(
    table: &RwLock<Table>,
    limit: Duration,
) -> Result<Vec<TypeSummary>, StoreError> {
    let mut turns = Turns::new(table, limit);
    let (types, attributes) = names(&turns.table);
    let summary = |name| {
        let summary = of_type(&mut turns, name, &attributes);
        turns.in_time().map(|()| summary)
    };
    types.iter().map(summary).filter_map(Result::transpose).collect()
}

/// What there is of each attribute, over the entities of one type or of all, if that is found out
/// in so much time.
pub(crate) fn attributes(
    table: &RwLock<Table>,
    of_type: Option<&TypeName>,
    limit: Duration,
) -> Result<Vec<AttributeSummary>, StoreError> {
    let mut turns = Turns::new(table, limit);
    let (types, attributes) = names(&turns.table);
    let summary = |name| {
        let summary = of_attribute(&mut turns, name, &types, of_type);
        turns.in_time().map(|()| summary)
    };
    attributes.into_iter().map(summary).filter_map(Result::transpose).collect()
}

/// The names of all types and attributes, sorted.
fn names(table: &Table) -> (Vec<TypeName>, Vec<AttrName>) {
    let mut types: Vec<_> = table.indexes.types().cloned().collect();
    let mut attributes: Vec<_> = table.indexes.attributes().map(|(name, _)| name.clone()).collect();
    types.sort_unstable();
    attributes.sort_unstable();
    (types, attributes)
}

fn of_type(turns: &mut Turns<'_>, name: &TypeName, names: &[AttrName]) -> Option<TypeSummary> {
    let entities = turns.take(1).indexes.of_type(name)?.len();
    let mut attributes = Vec::new();
    for attribute in names {
        let indexes = &turns.take(1).indexes;
        if let (Some(slots), Some(index)) = (indexes.of_type(name), indexes.attribute(attribute))
            && !index.present.is_disjoint(slots)
        {
            attributes.push(attribute.clone());
        }
    }
    Some(TypeSummary { name: name.clone(), entities, attributes })
}

fn of_attribute(
    turns: &mut Turns<'_>,
    name: AttrName,
    types: &[TypeName],
    of_type: Option<&TypeName>,
) -> Option<AttributeSummary> {
    let indexes = &turns.take(9).indexes;
    let index = indexes.attribute(&name)?;
    // Of all entities these are the slots of the index itself, which is looked up again each time
    // because the lock is lent.
    let within: Option<RoaringBitmap> = match of_type {
        Some(of_type) => Some(&index.present & indexes.of_type(of_type)?),
        None => None,
    };
    let entities = within.as_ref().map_or(index.present.len(), RoaringBitmap::len);
    if entities == 0 {
        return None;
    }
    let is_among =
        |slots: &RoaringBitmap| within.as_ref().is_none_or(|within| !within.is_disjoint(slots));
    let kinds = index.kinds().filter(|(_, slots)| is_among(slots));
    let mut kinds: Vec<_> = kinds.map(|(kind, _)| kind).collect();
    kinds.sort_unstable();
    let mut of_these = Vec::new();
    for type_name in types {
        let indexes = &turns.take(1).indexes;
        let present = within.as_ref().or(indexes.attribute(&name).map(|index| &index.present));
        if let (Some(present), Some(slots)) = (present, indexes.of_type(type_name))
            && !present.is_disjoint(slots)
        {
            of_these.push(type_name.clone());
        }
    }
    Some(AttributeSummary { name, entities, kinds, types: of_these })
}
