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

/// Indexes the values at a path. False if that is not done in time, if there is such an index or
/// one is being made, or if there is no room for one.
///
/// The entities are read slice by slice, and what is written meanwhile is noted and done to the
/// index in the end, in the order of the writes: whichever of its states an entity was read in, the
/// edits that made that state come by again, and those after it take its marks out.
pub(crate) fn form(table: &RwLock<Table>, path: &AttributePath, deadline: Instant) -> bool {
    let Some(begun) = begin(table, path) else { return false };
    let marks = read(table, path, &begun.slots, deadline);
    let is_formed = marks.is_some_and(|marks| finish(table, &begun, marks, deadline).is_some());
    if !is_formed {
        let mut table = table.write();
        if table.version().epoch == begun.epoch {
            table.indexes.values.abandon(begun.number);
        }
    }
    is_formed
}

/// An index that is being made.
#[derive(Debug)]
pub(super) struct Begun {
    number: u64,
    /// The slots that have the attribute.
    pub(super) slots: RoaringBitmap,
    /// The epoch of the table to whose slots it belongs.
    epoch: u64,
}

/// Has every write noted from now on.
pub(super) fn begin(table: &RwLock<Table>, path: &AttributePath) -> Option<Begun> {
    let mut table = table.write();
    let slots = table.indexes.attribute(path.names.first()?)?.present.clone();
    let (number, gone) = table.indexes.values.begin(path)?;
    let epoch = table.version().epoch;
    drop(table);
    // It may be large, so it is freed without the lock.
    drop(gone);
    Some(Begun { number, slots, epoch })
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
pub(super) fn finish(
    table: &RwLock<Table>,
    begun: &Begun,
    mut marks: Marks,
    deadline: Instant,
) -> Option<()> {
    loop {
        let mut table = table.write();
        if table.version().epoch != begun.epoch {
            return None;
        }
        let index = table.indexes.values.forming(begun.number)?;
        let State::Forming(edits) = &mut index.state else { return None };
        let edits = std::mem::take(edits);
        if edits.len() <= LAST_EDITS {
            apply(&mut marks, edits);
            index.state = State::Formed(marks);
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
