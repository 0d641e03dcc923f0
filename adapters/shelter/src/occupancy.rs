//! How many people are there, out of absolute counts and of comings and goings.
//!
//! A count at a time T is the baseline; what came and went after T is added to it. So the order
//! in which messages arrive does not matter, and none counts twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use musubi_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Status;

/// An absolute count, and what was said along with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// When it was counted.
    pub(crate) at: Timestamp,
    /// People. Below zero if more were seen to go than to come.
    pub(crate) people: i64,
    /// Households.
    pub(crate) households: Option<u64>,
    /// The state.
    pub(crate) status: Option<Status>,
}

/// The count of one shelter, as the adapter remembers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Occupancy {
    baseline: Option<Baseline>,
    /// What came and went after the baseline, in the order of time.
    events: BTreeMap<(Timestamp, Arc<str>), i64>,
    /// When each of the events was, by its id.
    times: HashMap<Arc<str>, Timestamp>,
    /// The sum of the events.
    change: i64,
    unsaved: Unsaved,
}

/// What has changed since it was last asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unsaved {
    /// The new baseline.
    pub(crate) baseline: Option<Baseline>,
    /// Events to remember (when, and how many) and to forget, by id.
    pub(crate) events: BTreeMap<Arc<str>, Option<(Timestamp, i64)>>,
}

/// What an input did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It counts.
    Applied,
    /// It counted already.
    Duplicate,
    /// Something newer had been said before it came.
    Late,
}

impl Occupancy {
    /// The most events that are remembered by themselves. Beyond, the older half becomes part of
    /// the baseline: what is older than that is late.
    pub(crate) const MAX_EVENTS: usize = 20_000;

    /// What was remembered.
    pub(crate) fn remembered(
        baseline: Option<Baseline>,
        events: impl Iterator<Item = (Arc<str>, Timestamp, i64)>,
    ) -> Self {
        let mut occupancy = Self { baseline, ..Self::default() };
        let since = occupancy.baseline.as_ref().map(|known| known.at);
        for (event, at, delta) in events.filter(|(_, at, _)| Some(*at) > since) {
            occupancy.insert(event, at, delta);
        }
        occupancy
    }

    /// Takes an absolute count. Another one of the same moment corrects the first.
    pub(crate) fn report(&mut self, baseline: Baseline) -> Effect {
        match &self.baseline {
            Some(known) if *known == baseline => return Effect::Duplicate,
            Some(known) if known.at > baseline.at => return Effect::Late,
            Some(_) | None => {}
        }
        self.forget_until(baseline.at);
        self.rebase(baseline);
        Effect::Applied
    }

    /// Takes a coming (positive) or going (negative).
    pub(crate) fn check_in(&mut self, event: &str, at: Timestamp, delta: i64) -> Effect {
        if self.times.contains_key(event) {
            return Effect::Duplicate;
        }
        if self.baseline.as_ref().is_some_and(|known| at <= known.at) {
            return Effect::Late;
        }
        let event: Arc<str> = event.into();
        self.unsaved.events.insert(Arc::clone(&event), Some((at, delta)));
        self.insert(event, at, delta);
        if self.events.len() > Self::MAX_EVENTS {
            self.fold();
        }
        Effect::Applied
    }

    /// The people who are there. More goings than comings make none, never less.
    pub(crate) fn people(&self) -> u64 {
        let baseline = self.baseline.as_ref().map_or(0, |known| known.people);
        u64::try_from(baseline.saturating_add(self.change)).unwrap_or(0)
    }

    /// When the newest thing that counts happened.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        let event = self.events.last_key_value().map(|((at, _), _)| *at);
        event.max(self.baseline.as_ref().map(|known| known.at))
    }

    /// How many events are remembered by themselves.
    pub(crate) fn events(&self) -> usize {
        self.events.len()
    }

    /// What has changed since this was last asked for, or since it was remembered.
    pub(crate) fn take_unsaved(&mut self) -> Unsaved {
        std::mem::take(&mut self.unsaved)
    }

    fn insert(&mut self, event: Arc<str>, at: Timestamp, delta: i64) {
        self.times.insert(Arc::clone(&event), at);
        self.events.insert((at, event), delta);
        self.change = self.change.saturating_add(delta);
    }

    fn rebase(&mut self, baseline: Baseline) {
        self.unsaved.baseline = Some(baseline.clone());
        self.baseline = Some(baseline);
    }

    /// Forgets the events up to a moment, and says what they came to.
    fn forget_until(&mut self, at: Timestamp) -> i64 {
        let later = self.events.split_off(&(at.plus_micros(1), Arc::from("")));
        let mut forgotten = 0_i64;
        for ((_, event), delta) in std::mem::replace(&mut self.events, later) {
            forgotten = forgotten.saturating_add(delta);
            self.times.remove(&event);
            self.unsaved.events.insert(event, None);
        }
        self.change = self.change.saturating_sub(forgotten);
        forgotten
    }

    /// Makes the older half of the events part of the baseline.
    fn fold(&mut self) {
        let middle = self.events.keys().nth(self.events.len() / 2).map(|(at, _)| *at);
        let Some(at) = middle else { return };
        let before = self.baseline.as_ref().map_or(0, |known| known.people);
        let people = before.saturating_add(self.forget_until(at));
        self.rebase(Baseline { at, people, households: None, status: None });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn count(seconds: i64, people: i64) -> Baseline {
        Baseline { at: at(seconds), people, households: None, status: None }
    }

    #[test]
    fn a_count_resets_and_only_what_came_later_is_added() {
        let mut occupancy = Occupancy::default();
        assert_eq!(occupancy.check_in("a", at(10), 3), Effect::Applied);
        assert_eq!(occupancy.check_in("a", at(10), 3), Effect::Duplicate);
        assert_eq!(occupancy.people(), 3);
        assert_eq!(occupancy.report(count(20, 50)), Effect::Applied);
        assert_eq!(occupancy.people(), 50);
        assert_eq!(occupancy.check_in("b", at(15), 9), Effect::Late);
        assert_eq!(occupancy.check_in("c", at(21), -2), Effect::Applied);
        assert_eq!(occupancy.people(), 48);
        assert_eq!(occupancy.report(count(19, 7)), Effect::Late);
        assert_eq!(occupancy.people(), 48);
        assert_eq!(occupancy.newest(), Some(at(21)));
    }

    #[test]
    fn a_late_count_keeps_the_events_that_came_after_it() {
        let mut occupancy = Occupancy::default();
        occupancy.check_in("a", at(10), 3);
        occupancy.check_in("b", at(30), 4);
        assert_eq!(occupancy.report(count(20, 100)), Effect::Applied);
        assert_eq!((occupancy.people(), occupancy.events()), (104, 1));
    }

    #[test]
    fn a_count_of_the_same_moment_corrects_the_first() {
        let mut occupancy = Occupancy::default();
        occupancy.report(count(20, 100));
        assert_eq!(occupancy.report(count(20, 100)), Effect::Duplicate);
        assert_eq!(occupancy.report(count(20, 90)), Effect::Applied);
        let closed = Baseline { status: Some(Status::Closed), ..count(20, 90) };
        assert_eq!(occupancy.report(closed.clone()), Effect::Applied);
        assert_eq!(occupancy.report(closed), Effect::Duplicate);
    }

    #[test]
    fn there_are_never_fewer_than_none() {
        let mut occupancy = Occupancy::default();
        occupancy.check_in("a", at(1), -5);
        assert_eq!(occupancy.people(), 0);
        occupancy.check_in("b", at(2), 6);
        assert_eq!(occupancy.people(), 1);
    }

    #[test]
    fn what_is_unsaved_is_what_a_restart_needs() {
        let mut occupancy = Occupancy::default();
        occupancy.check_in("a", at(10), 3);
        occupancy.take_unsaved();
        occupancy.check_in("b", at(30), 4);
        occupancy.report(count(20, 100));
        let unsaved = occupancy.take_unsaved();
        assert_eq!(unsaved.baseline, Some(count(20, 100)));
        let expected = [("a".into(), None), ("b".into(), Some((at(30), 4)))];
        assert_eq!(unsaved.events, BTreeMap::from(expected));
        assert_eq!(occupancy.take_unsaved(), Unsaved::default());
    }

    #[test]
    fn too_many_events_become_part_of_the_baseline_and_are_not_lost() {
        let mut occupancy = Occupancy::default();
        let most = i64::try_from(Occupancy::MAX_EVENTS).unwrap();
        for index in 0..=most {
            assert_eq!(occupancy.check_in(&index.to_string(), at(index), 1), Effect::Applied);
        }
        assert_eq!(occupancy.people(), u64::try_from(most + 1).unwrap());
        assert!(occupancy.events() <= Occupancy::MAX_EVENTS / 2);
        // Once more, and not twice.
        assert_eq!(occupancy.check_in("7", at(7), 1), Effect::Late);
        let newest = most.to_string();
        assert_eq!(occupancy.check_in(&newest, at(most), 1), Effect::Duplicate);
        let unsaved = occupancy.take_unsaved();
        let kept = unsaved.events.iter().filter_map(|(event, kept)| {
            let (at, delta) = (*kept)?;
            Some((Arc::clone(event), at, delta))
        });
        let mut again = Occupancy::remembered(unsaved.baseline, kept);
        assert_eq!(again.people(), occupancy.people());
        assert_eq!(again.take_unsaved(), Unsaved::default());
        assert_eq!(again, occupancy);
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
                        occupancy.report(count(*second, number.abs()));
                    } else {
                        occupancy.check_in(&index.to_string(), at(*second), *number);
                    }
                }
                (occupancy.people(), occupancy.newest())
            };
            let order: Vec<_> = inputs.iter().copied().enumerate().collect();
            let mut turned = order.clone();
            let middle = turn % turned.len();
            turned.rotate_left(middle);
            prop_assert_eq!(run(&order), run(&turned));
            turned.reverse();
            prop_assert_eq!(run(&order), run(&turned));
        }
    }
}
