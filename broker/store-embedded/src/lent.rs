//! Pages that are shown while the table is locked, so that nobody has to count who holds their
//! entities: threads that ask for the same page at once would wait for each other at every count.

use musubi_model::{Attribute, Instance};
use musubi_query::EntityQuery;
use musubi_store::{Found, Look, Shown};
use roaring::RoaringBitmap;
use smallvec::SmallVec;

use crate::fetch::{TOGETHER, fetch};
use crate::scan::from_start;
use crate::table::Table;

/// The most entities that are lent while the table is locked, and the most that they may weigh: bytes
/// of values, and for each instance about as many as stand around one.
const LENT: usize = 100;
const LENT_BYTES: usize = 128 << 10;
const AROUND: usize = 64;
/// So many entities are mostly still near the processor from the last time.
const NEAR: usize = 10_000;

/// Shows a page of slots that all match, and of which nothing has expired, unless that is so much
/// that it would take long.
pub(crate) fn show(
    table: &Table,
    slots: &RoaringBitmap,
    query: &EntityQuery,
    look: &mut Look<'_>,
) -> Option<Shown> {
    if query.limit > LENT {
        return None;
    }
    let total = query.count.then(|| slots.len());
    let mut items = SmallVec::<[&Found; LENT]>::new();
    let mut more = false;
    if let Some(mut matching) = from_start(table, slots, query) {
        // One more than are wanted tells whether there are more.
        let mut room = [0; LENT + 1];
        // In roaring 0.12.0 this is wrong for a container that is one full run. Nothing here makes runs
        // (`optimize`, `insert_range`).
        let found = matching.next_many(room.get_mut(..=query.limit)?);
        more = found.len() > query.limit;
        for slot in found.iter().take(query.limit) {
            if let Some(found) = table.at(*slot) {
                items.push(found);
            }
        }
    }
    if table.len() > NEAR {
        for together in items.chunks(TOGETHER) {
            fetch(together.iter().map(|found| &*found.entity), None);
        }
    }
    if !are_little(&items) {
        return None;
    }
    look(&items);
    Some(Shown { total, more, last: items.last().map(|found| found.position) })
}

/// Whether entities are soon shown.
fn are_little(items: &[&Found]) -> bool {
    let mut weight = 0_usize;
    for found in items {
        weight = weight.saturating_add(weigh(&found.entity.attributes));
        if weight > LENT_BYTES {
            return false;
        }
    }
    true
}

fn weigh(attributes: &[Attribute]) -> usize {
    let mut weight = 0;
    for attribute in attributes {
        for Instance { value, qualifiers, .. } in &attribute.instances {
            weight += AROUND + value.json.as_str().len();
            if let Some(qualifiers) = qualifiers {
                weight += weigh(&qualifiers.attributes);
            }
        }
    }
    weight
}
