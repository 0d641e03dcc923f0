//! Subscriptions by the least, the greatest or the range of a value.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::regions::Regions;
use super::slots::{Slot, Slots};

/// Between which values, both included, one has to be; at least one end is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bounds {
    AtLeast(f64),
    AtMost(f64),
    Between(f64, f64),
}

/// Lists by what they ask of one value.
#[derive(Debug, Default)]
pub(super) struct Thresholds {
    at_least: BTreeMap<Place, Slots>,
    at_most: BTreeMap<Place, Slots>,
    between: Regions,
}

/// A place on an axis.
#[derive(Clone, Copy, Debug)]
struct Place(f64);

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Place {}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Thresholds {
    pub(super) fn add(&mut self, bounds: Bounds, slot: Slot) {
        match bounds {
            Bounds::AtLeast(end) => self.at_least.entry(Place(end)).or_default().add(slot),
            Bounds::AtMost(end) => self.at_most.entry(Place(end)).or_default().add(slot),
            Bounds::Between(low, high) => self.between.add(range(low, high), slot),
        }
    }

    pub(super) fn take(&mut self, bounds: Bounds, slot: Slot) {
        match bounds {
            Bounds::AtLeast(end) => take(&mut self.at_least, end, slot),
            Bounds::AtMost(end) => take(&mut self.at_most, end, slot),
            Bounds::Between(low, high) => self.between.take(range(low, high), slot),
        }
    }

    /// How many ask for the very same.
    pub(super) fn company(&self, bounds: Bounds) -> usize {
        let list = match bounds {
            Bounds::AtLeast(end) => self.at_least.get(&Place(end)),
            Bounds::AtMost(end) => self.at_most.get(&Place(end)),
            Bounds::Between(low, high) => return self.between.company(range(low, high)),
        };
        list.map_or(0, Slots::len)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at_least.is_empty() && self.at_most.is_empty() && self.between.is_empty()
    }

    /// Those that one of several values may meet, of which these are the least and the greatest.
    pub(super) fn met_by(&self, (least, greatest): (f64, f64), found: &mut Vec<Slot>) {
        for list in self.at_least.range(..=Place(greatest)).map(|(_, list)| list) {
            list.append_to(found);
        }
        for list in self.at_most.range(Place(least)..).map(|(_, list)| list) {
            list.append_to(found);
        }
        if !self.between.is_empty() {
            self.between.meeting(range(least, greatest), found);
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let lists = self.at_least.values().chain(self.at_most.values());
        let entry = size_of::<(Place, Slots)>();
        // A node of a tree is full to two thirds or so.
        lists.map(|list| entry * 3 / 2 + list.heap_bytes()).sum::<usize>()
            + self.between.heap_bytes()
    }
}

fn range(low: f64, high: f64) -> super::regions::Corners {
    [[low, 0.0], [high, 0.0]]
}

fn take(lists: &mut BTreeMap<Place, Slots>, end: f64, slot: Slot) {
    if let Entry::Occupied(mut list) = lists.entry(Place(end)) {
        list.get_mut().take(slot);
        if list.get().is_empty() {
            list.remove();
        }
    }
}
