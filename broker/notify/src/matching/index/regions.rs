//! Subscriptions by boxes on a map, and by ranges of a value.

use rstar::primitives::Rectangle;
use rstar::{AABB, RTree};
use rustc_hash::FxHashMap;

use super::slots::{Slot, Slots};

/// The corners of a box; a range of values is a point, of which the first number is the lower end
/// and the second the upper one.
pub(super) type Corners = [[f64; 2]; 2];

/// Lists by boxes. Subscriptions to the same box are in one list.
#[derive(Debug, Default)]
pub(super) struct Regions {
    tree: RTree<Rectangle<[f64; 2]>>,
    lists: FxHashMap<[u64; 4], Slots>,
}

impl Regions {
    pub(super) fn add(&mut self, corners: Corners, slot: Slot) {
        let list = self.lists.entry(bits(corners)).or_default();
        if list.is_empty() {
            self.tree.insert(Rectangle::from_aabb(envelope(corners)));
        }
        list.add(slot);
    }

    pub(super) fn take(&mut self, corners: Corners, slot: Slot) {
        let key = bits(corners);
        let Some(list) = self.lists.get_mut(&key) else { return };
        list.take(slot);
        if list.is_empty() {
            self.lists.remove(&key);
            self.tree.remove(&Rectangle::from_aabb(envelope(corners)));
        }
    }

    /// How many ask for the very same box.
    pub(super) fn company(&self, corners: Corners) -> usize {
        self.lists.get(&bits(corners)).map_or(0, Slots::len)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Those whose box has a place in common with this one.
    pub(super) fn meeting(&self, corners: Corners, found: &mut Vec<Slot>) {
        for region in self.tree.locate_in_envelope_intersecting(&envelope(corners)) {
            if let Some(list) = self.lists.get(&bits([region.lower(), region.upper()])) {
                list.append_to(found);
            }
        }
    }

    /// Those whose range has a value in common with this one.
    pub(super) fn around(&self, (low, high): (f64, f64), found: &mut Vec<Slot>) {
        self.meeting([[f64::MIN, low], [high, f64::MAX]], found);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let lists: usize = self.lists.values().map(Slots::heap_bytes).sum();
        let entry = size_of::<[u64; 4]>() + size_of::<Slots>() + 1;
        // A node of the tree has at most six children and mostly four.
        let nodes = self.tree.size() * size_of::<Rectangle<[f64; 2]>>() * 2;
        lists + self.lists.capacity() * entry + nodes
    }
}

fn envelope([low, high]: Corners) -> AABB<[f64; 2]> {
    AABB::from_corners(low, high)
}

fn bits([[west, south], [east, north]]: Corners) -> [u64; 4] {
    // Zero has two signs, and the tree takes them for the same.
    [west, south, east, north].map(|number| (number + 0.0).to_bits())
}
