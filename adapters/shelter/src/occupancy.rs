//! How many people are there, out of absolute counts and of comings and goings.
//!
//! A count at a time T is the baseline; what came and went after T is added to it. So the order
//! in which messages arrive does not matter, and none counts twice.

use std::collections::BTreeMap;

use musubi_model::Timestamp;
use serde::{Deserialize, Serialize};

/// The count of one shelter, as the adapter remembers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupancy {
    /// The newest absolute count: when, and how many.
    pub baseline: Option<(Timestamp, u64)>,
    /// What came and went after it, by event id: when, and how many.
    pub events: BTreeMap<String, (Timestamp, i64)>,
}

/// What an input did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It counts.
    Applied,
    /// It counted already.
    Duplicate,
    /// Something newer had been said before it came.
    Late,
}

impl Occupancy {
    /// The most events remembered of one shelter between two absolute counts. More are refused,
    /// so that a broken reader at a door cannot fill the store.
    pub const MAX_EVENTS: usize = 20_000;

    /// Takes an absolute count.
    pub fn report(&mut self, at: Timestamp, people: u64) -> Effect {
        match self.baseline {
            Some((known, count)) if known == at && count == people => Effect::Duplicate,
            Some((known, _)) if known > at => Effect::Late,
            Some(_) | None => {
                self.baseline = Some((at, people));
                self.events.retain(|_, (when, _)| *when > at);
                Effect::Applied
            }
        }
    }

    /// Takes a coming (positive) or going (negative).
    pub fn check_in(&mut self, event: &str, at: Timestamp, delta: i64) -> Effect {
        if self.events.contains_key(event) {
            return Effect::Duplicate;
        }
        if self.baseline.is_some_and(|(known, _)| at <= known) {
            return Effect::Late;
        }
        self.events.insert(event.to_owned(), (at, delta));
        Effect::Applied
    }

    /// The people who are there. More goings than comings make none, never less.
    pub fn people(&self) -> u64 {
        let baseline = self.baseline.map_or(0, |(_, people)| people);
        let change = self.events.values().fold(0_i64, |sum, (_, delta)| sum.saturating_add(*delta));
        baseline.saturating_add_signed(change)
    }

    /// When the newest thing that counts happened.
    pub fn newest(&self) -> Option<Timestamp> {
        let event = self.events.values().map(|(at, _)| *at).max();
        event.max(self.baseline.map(|(at, _)| at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_count_resets_and_only_what_came_later_is_added() {
        let mut occupancy = Occupancy::default();
        assert_eq!(occupancy.check_in("a", at(10), 3), Effect::Applied);
        assert_eq!(occupancy.check_in("a", at(10), 3), Effect::Duplicate);
        assert_eq!(occupancy.people(), 3);
        assert_eq!(occupancy.report(at(20), 50), Effect::Applied);
        assert_eq!(occupancy.people(), 50);
        assert_eq!(occupancy.check_in("b", at(15), 9), Effect::Late);
        assert_eq!(occupancy.check_in("c", at(21), -2), Effect::Applied);
        assert_eq!(occupancy.people(), 48);
        assert_eq!(occupancy.report(at(19), 7), Effect::Late);
        assert_eq!(occupancy.people(), 48);
    }

    #[test]
    fn a_late_count_keeps_the_events_that_came_after_it() {
        let mut occupancy = Occupancy::default();
        occupancy.check_in("a", at(10), 3);
        occupancy.check_in("b", at(30), 4);
        assert_eq!(occupancy.report(at(20), 100), Effect::Applied);
        assert_eq!(occupancy.people(), 104);
    }

    #[test]
    fn there_are_never_fewer_than_none() {
        let mut occupancy = Occupancy::default();
        occupancy.check_in("a", at(1), -5);
        assert_eq!(occupancy.people(), 0);
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            mut inputs in prop::collection::vec((0_i64..40, -9_i64..9, any::<bool>()), 1..30),
            turn in 0_usize..30,
        ) {
            // Two counts at one moment contradict each other: the one that comes last wins.
            let mut seen = std::collections::HashSet::new();
            inputs.retain(|(second, _, is_count)| !is_count || seen.insert(*second));
            let run = |order: &[(usize, (i64, i64, bool))]| {
                let mut occupancy = Occupancy::default();
                for (index, (second, number, is_count)) in order {
                    if *is_count {
                        occupancy.report(at(*second), number.unsigned_abs());
                    } else {
                        occupancy.check_in(&index.to_string(), at(*second), *number);
                    }
                }
                occupancy.people()
            };
            let order: Vec<_> = inputs.iter().copied().enumerate().collect();
            let mut turned = order.clone();
            let middle = turn % turned.len();
            turned.rotate_left(middle);
            prop_assert_eq!(run(&order), run(&turned));
        }
    }
}
