//! Subscriptions by boxes on a map, and by ranges of a value.
//!
//! The boxes are in grids, each in that of which the cells are as large as the box or less than twice
//! as large; so a box is in four cells, or sixteen where numbers end, and a cell that is looked at
//! holds hardly more boxes than meet there. A place is looked for in one cell of each grid that is in
//! use, which is one piece of memory each; a tree would be a chain of them.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::slots::{Slot, Slots};

/// The corners of a box, the lower ones first; a range of values is a box without height.
pub(super) type Corners = [[f64; 2]; 2];

/// Lists by boxes. Subscriptions to the same box are in one list.
#[derive(Debug, Default)]
pub(super) struct Regions {
    /// By the size of their cells.
    grids: BTreeMap<Size, Grid>,
    lists: FxHashMap<[u64; 4], Slots>,
}

/// The size of a cell: a power of two with this exponent.
type Size = i32;

/// The boxes that have a place in common with each cell.
type Grid = FxHashMap<[i64; 2], Vec<Corners>>;

/// The exponents of the smallest cells and the largest.
const SIZES: (Size, Size) = (-40, 1_023);

/// How much larger than its cells a number may be, as an exponent: few numbers are told apart any better.
const FAR: Size = 44;

impl Regions {
    pub(super) fn add(&mut self, corners: Corners, slot: Slot) {
        let list = self.lists.entry(bits(corners)).or_default();
        if list.is_empty() {
            let size = size_for(corners);
            let grid = self.grids.entry(size).or_default();
            for cell in Cells::of(corners, size).each() {
                grid.entry(cell).or_default().push(corners);
            }
        }
        list.add(slot);
    }

    pub(super) fn take(&mut self, corners: Corners, slot: Slot) {
        let key = bits(corners);
        let Some(list) = self.lists.get_mut(&key) else { return };
        list.take(slot);
        if !list.is_empty() {
            return;
        }
        self.lists.remove(&key);
        let size = size_for(corners);
        let Some(grid) = self.grids.get_mut(&size) else { return };
        for cell in Cells::of(corners, size).each() {
            if let Some(boxes) = grid.get_mut(&cell) {
                boxes.retain(|other| bits(*other) != key);
                if boxes.is_empty() {
                    grid.remove(&cell);
                }
            }
        }
        if grid.is_empty() {
            self.grids.remove(&size);
        }
    }

    /// How many ask for the very same box.
    pub(super) fn company(&self, corners: Corners) -> usize {
        self.lists.get(&bits(corners)).map_or(0, Slots::len)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Those whose box has a place in common with this one; some more than once.
    pub(super) fn meeting(&self, corners: Corners, found: &mut Vec<Slot>) {
        let mut look = |boxes: &Vec<Corners>| {
            for region in boxes.iter().filter(|region| meet(**region, corners)) {
                if let Some(list) = self.lists.get(&bits(*region)) {
                    list.append_to(found);
                }
            }
        };
        for (size, grid) in &self.grids {
            let cells = Cells::of(corners, *size);
            if cells.are_more_than(grid.len()) {
                grid.iter()
                    .filter(|(cell, _)| cells.have(**cell))
                    .for_each(|(_, boxes)| look(boxes));
            } else {
                cells.each().filter_map(|cell| grid.get(&cell)).for_each(&mut look);
            }
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let lists: usize = self.lists.values().map(Slots::heap_bytes).sum();
        let entry = size_of::<[u64; 4]>() + size_of::<Slots>() + 1;
        let cell = size_of::<[i64; 2]>() + size_of::<Vec<Corners>>() + 1;
        let grids = self.grids.values().map(|grid| {
            let boxes: usize = grid.values().map(Vec::capacity).sum();
            grid.capacity() * cell + boxes * size_of::<Corners>()
        });
        lists + self.lists.capacity() * entry + grids.sum::<usize>()
    }
}

/// The cells of a grid that a box has a place in common with: from one corner to the other.
#[derive(Clone, Copy, Debug)]
struct Cells([[i64; 2]; 2]);

impl Cells {
    fn of(corners: Corners, size: Size) -> Self {
        let scale = 2.0_f64.powi(-size);
        Self(corners.map(|corner| corner.map(|number| cell(number * scale))))
    }

    fn are_more_than(&self, most: usize) -> bool {
        let Self([[west, south], [east, north]]) = self;
        let width = east.abs_diff(*west).saturating_add(1);
        let height = north.abs_diff(*south).saturating_add(1);
        usize::try_from(width.saturating_mul(height)).unwrap_or(usize::MAX) > most
    }

    fn have(&self, [x, y]: [i64; 2]) -> bool {
        let Self([[west, south], [east, north]]) = *self;
        (west..=east).contains(&x) && (south..=north).contains(&y)
    }

    fn each(self) -> impl Iterator<Item = [i64; 2]> {
        let Self([[west, south], [east, north]]) = self;
        (west..=east).flat_map(move |x| (south..=north).map(move |y| [x, y]))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "what is beyond the grid is in its last cell")]
fn cell(number: f64) -> i64 {
    number.floor() as i64
}

/// The smallest size that is not smaller than the box, and not much smaller than its numbers.
fn size_for([[west, south], [east, north]]: Corners) -> Size {
    let (least, most) = SIZES;
    let extent = (east - west).max(north - south);
    let is_power = extent.to_bits().trailing_zeros() >= 52;
    let far = [west, south, east, north].map(exponent).into_iter().max().unwrap_or(most);
    (exponent(extent) + i32::from(!is_power)).max(far - FAR).clamp(least, most)
}

/// The exponent of a number's highest bit.
fn exponent(number: f64) -> Size {
    // It is in the upper bits behind the sign: of 1 it is 1,023.
    i32::try_from((number.to_bits() >> 52) & 0x7FF).unwrap_or_default() - 1_023
}

fn meet([low, high]: Corners, [other_low, other_high]: Corners) -> bool {
    let along = |low: f64, high: f64, other_low: f64, other_high: f64| {
        low <= other_high && other_low <= high
    };
    let ([west, south], [east, north]) = (low, high);
    let ([other_west, other_south], [other_east, other_north]) = (other_low, other_high);
    along(west, east, other_west, other_east) && along(south, north, other_south, other_north)
}

fn bits([[west, south], [east, north]]: Corners) -> [u64; 4] {
    // Zero has two signs, which are the same place.
    [west, south, east, north].map(|number| (number + 0.0).to_bits())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => -8.0..8.0_f64,
            2 => (-8..8).prop_map(f64::from),
            1 => Just(0.0),
            1 => Just(-0.0),
            1 => -180.0..180.0_f64,
            1 => prop_oneof![Just(f64::MIN), Just(f64::MAX), Just(1e-300), Just(1e300), Just(-1e40)],
        ]
    }

    fn corners() -> impl Strategy<Value = Corners> {
        let small = prop_oneof![Just(0.0), 0.0..2.0_f64, 0.0..1e-9_f64];
        let from_size = (number(), number(), small.clone(), small)
            .prop_map(|(x, y, width, height)| [[x, y], [x + width, y + height]]);
        let any = (number(), number(), number(), number())
            .prop_map(|(a, b, c, d)| [[a.min(c), b.min(d)], [a.max(c), b.max(d)]]);
        prop_oneof![3 => from_size, 1 => any]
    }

    proptest! {
        #[test]
        fn those_are_found_that_a_look_at_each_finds(
            boxes in proptest::collection::vec(corners(), 1..60),
            taken in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
            asked in proptest::collection::vec(corners(), 1..20),
        ) {
            let mut regions = Regions::default();
            let mut plain = BTreeMap::new();
            for (slot, corners) in (0..).zip(&boxes) {
                regions.add(*corners, slot);
                plain.insert(slot, *corners);
            }
            for index in taken {
                let slot = Slot::try_from(index.index(boxes.len())).unwrap();
                if let Some(corners) = plain.remove(&slot) {
                    regions.take(corners, slot);
                }
            }
            for corners in asked.iter().chain(&boxes) {
                let mut found = Vec::new();
                regions.meeting(*corners, &mut found);
                found.sort_unstable();
                found.dedup();
                let expected: Vec<Slot> = plain
                    .iter()
                    .filter(|(_, region)| meet(**region, *corners))
                    .map(|(slot, _)| *slot)
                    .collect();
                prop_assert_eq!(found, expected, "{:?}", corners);
            }
            for (slot, corners) in plain {
                regions.take(corners, slot);
            }
            prop_assert!(regions.is_empty() && regions.grids.is_empty());
        }

        #[test]
        fn a_box_is_in_few_cells_of_its_own_grid(corners in corners()) {
            let cells = Cells::of(corners, size_for(corners));
            prop_assert!(!cells.are_more_than(16), "{:?}", cells);
        }
    }

    #[test]
    fn a_box_over_all_that_can_be_said_is_in_few_cells() {
        for corners in [[[f64::MIN; 2], [f64::MAX; 2]], [[f64::MAX; 2]; 2], [[1.7e12; 2]; 2]] {
            let cells = Cells::of(corners, size_for(corners));
            assert!(!cells.are_more_than(16), "{cells:?}");
        }
    }
}
