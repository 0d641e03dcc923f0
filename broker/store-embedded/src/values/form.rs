//! Making an index while others read and write.

use std::sync::Arc;

use musubi_model::Entity;
use musubi_query::AttributePath;
use parking_lot::RwLock;
use roaring::RoaringBitmap;
use tokio::time::Instant;

use super::marks::{Entry, Marks, keys};
use super::{Edit, State};
use crate::fetch::{TOGETHER, fetch};
use crate::table::Table;

/// The most entities whose pointers are taken under one lock.
const SLICE: usize = 1_024;

/// The most edits that are made under the lock when the index is put in.
const LAST_EDITS: usize = 256;

/// Indexes the values at a path. False if that is not done in half of the time, if there is such an
/// index or one is being made, or if there is no room for one.
///
/// The entities are read slice by slice, and what is written meanwhile is noted and done to the
/// index in the end, in the order of the writes: whichever of its states an entity was read in, the
/// edits that made that state come by again, and those after it take its marks out.
pub(crate) fn form(table: &RwLock<Table>, path: &AttributePath, deadline: Instant) -> bool {
    let now = Instant::now();
    // The query needs the rest, with the index or without.
    let deadline = now + deadline.saturating_duration_since(now) / 2;
    let Some(begun) = begin(table, path) else { return false };
    let marks = read(table, path, &begun.slots, deadline);
    marks.is_some_and(|marks| finish(&begun, marks, deadline).is_some())
}

/// An index that is being made. It is given up if it goes before it is finished.
#[derive(Debug)]
pub(super) struct Begun<'t> {
    table: &'t RwLock<Table>,
    number: u64,
    /// The slots that have the attribute.
    pub(super) slots: RoaringBitmap,
    /// The epoch of the table to whose slots it belongs.
    epoch: u64,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut table = self.table.write();
        if table.version().epoch == self.epoch {
            table.indexes.values.abandon(self.number);
        }
    }
}

/// Has every write noted from now on.
pub(super) fn begin<'t>(table: &'t RwLock<Table>, path: &AttributePath) -> Option<Begun<'t>> {
    let mut locked = table.write();
    let name = path.names.first()?;
    locked.indexes.attribute(name)?;
    let number = locked.indexes.values.begin(path)?;
    let slots = locked.indexes.attribute(name).map(|index| index.present.clone());
    let epoch = locked.version().epoch;
    Some(Begun { table, number, slots: slots.unwrap_or_default(), epoch })
}

/// The index of the entities in these slots as they are found; none if the time is up.
pub(super) fn read(
    table: &RwLock<Table>,
    path: &AttributePath,
    slots: &RoaringBitmap,
    deadline: Instant,
) -> Option<Marks> {
    let room = usize::try_from(slots.len()).unwrap_or(usize::MAX);
    let mut entries: Vec<Entry> = Vec::with_capacity(room);
    let mut slots = slots.iter();
    let mut slice: Vec<(u32, Arc<Entity>)> = Vec::with_capacity(SLICE);
    loop {
        {
            let table = table.read();
            let slots = slots.by_ref().take(SLICE);
            let found = slots.map(|slot| (slot, table.at(slot).map(|found| found.entity.clone())));
            slice.extend(found.filter_map(|(slot, entity)| Some((slot, entity?))));
        }
        if slice.is_empty() && slots.len() == 0 {
            return Some(Marks::of(entries.into_iter(), room));
        }
        for some in slice.chunks(TOGETHER) {
            fetch(some.iter().map(|(_, entity)| &**entity), path.names.first());
            for (slot, entity) in some {
                entries.extend(keys(path, entity).entries(*slot));
            }
        }
        slice.clear();
        if Instant::now() >= deadline {
            return None;
        }
    }
}

/// Does to the index what was written meanwhile, and puts it in.
pub(super) fn finish(begun: &Begun<'_>, mut marks: Marks, deadline: Instant) -> Option<()> {
    loop {
        let mut table = begun.table.write();
        if table.version().epoch != begun.epoch {
            return None;
        }
        let index = table.indexes.values.forming(begun.number)?;
        let State::Forming(edits) = &mut index.state else { return None };
        let edits = std::mem::take(edits);
        if edits.len() <= LAST_EDITS {
            apply(&mut marks, edits);
            let gone = table.indexes.values.end(begun.number, marks);
            drop(table);
            // It may be large, so it is freed without the lock.
            drop(gone);
            return Some(());
        }
        drop(table);
        apply(&mut marks, edits);
        // Applying is quicker than committing, so it is as good as there.
        if Instant::now() >= deadline {
            return None;
        }
    }
}

fn apply(marks: &mut Marks, edits: Vec<Edit>) {
    for edit in edits {
        marks.edit(edit);
    }
}
