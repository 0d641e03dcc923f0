//! How an answer is cut in time.

use musubi_model::{Recorded, Timestamp};

use crate::{Cut, EvolutionItem, TemporalQuery, in_range};

/// Cuts the items of a page, if they have more than [`TemporalQuery::instances`] together, or more
/// text than [`TemporalQuery::bytes`], at one moment for all of them (CIM 009, clause 6.3.10): the most recent instances go, or with
/// [`TemporalQuery::last`] the least recent ones. The instances of one moment stay together; if those
/// of the very first one are too many, the first of them stay, by entity, attribute and number, the
/// scopes behind the attributes.
///
/// A scope of before the range that was still valid in it does not count and always stays. The items
/// are those of [`admits`](crate::admits); an attribute of which nothing is left stays without
/// instances.
pub fn cut_page(items: &mut [EvolutionItem], query: &TemporalQuery) -> Option<Cut> {
    let counted = items.iter().flat_map(recorded).filter(|recorded| in_range(recorded, query));
    let mut sizes: Vec<(Timestamp, usize)> =
        counted.map(|recorded| (query.property.moment(recorded), recorded.text_size())).collect();
    sizes.sort_unstable_by_key(|(time, _)| *time);
    if query.last.is_some() {
        sizes.reverse();
    }
    // The first that does not fit; its moment is not in the answer unless it begins it.
    let (first, beyond) = (sizes.first()?.0, first_beyond(&sizes, query)?);
    let stays = |time: Timestamp| match (first == beyond, query.last.is_some()) {
        (true, _) => time == first,
        (false, false) => time < beyond,
        (false, true) => time > beyond,
    };
    let mut room = Room::of(query);
    let mut kept: Option<Cut> = None;
    for item in items {
        let attributes = item.evolution.attributes.iter_mut();
        let lists = attributes.map(|attribute| &mut attribute.instances);
        for list in lists.chain([&mut item.evolution.scopes]) {
            list.retain(|recorded| {
                let time = query.property.moment(recorded);
                if !in_range(recorded, query) {
                    return true;
                }
                if !stays(time) || !room.takes(recorded.text_size()) {
                    return false;
                }
                kept = Some(extended(kept, time));
                true
            });
        }
    }
    kept
}

/// The moment of the first instance that does not fit into an answer, of instances with their sizes
/// in the order in which they are taken in; none if all fit. Which one of a moment is the first does
/// not matter.
pub fn first_beyond(sizes: &[(Timestamp, usize)], query: &TemporalQuery) -> Option<Timestamp> {
    let mut room = Room::of(query);
    sizes.iter().find(|(_, size)| !room.takes(*size)).map(|(time, _)| *time)
}

/// How many more instances an answer may have.
#[derive(Debug)]
struct Room {
    instances: usize,
    bytes: usize,
    is_empty: bool,
}

impl Room {
    fn of(query: &TemporalQuery) -> Self {
        Self { instances: query.instances.max(1), bytes: query.bytes, is_empty: true }
    }

    /// Takes an instance in, if there is room for it; behind the first for which there is none,
    /// there is none for any.
    fn takes(&mut self, size: usize) -> bool {
        let left = self.bytes.checked_sub(size);
        if self.instances == 0 || (left.is_none() && !self.is_empty) {
            self.instances = 0;
            return false;
        }
        self.instances -= 1;
        self.bytes = left.unwrap_or(0);
        self.is_empty = false;
        true
    }
}

fn recorded(item: &EvolutionItem) -> impl Iterator<Item = &Recorded> {
    let attributes = item.evolution.attributes.iter();
    attributes.flat_map(|attribute| &attribute.instances).chain(&item.evolution.scopes)
}

fn extended(cut: Option<Cut>, time: Timestamp) -> Cut {
    let cut = cut.unwrap_or(Cut { first: time, last: time });
    Cut { first: cut.first.min(time), last: cut.last.max(time) }
}
