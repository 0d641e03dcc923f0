//! Which entities have not changed for as long as a subscription's `silentFor` says.

use std::collections::BTreeSet;

use musubi_model::{EntityId, Timestamp};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::SubscriptionId;

/// The value of a silence record: an entity that a subscription was told to be silent, and that has
/// not been told to have returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Silence {
    pub(crate) subscription: SubscriptionId,
    pub(crate) entity: EntityId,
    pub(crate) told: Told,
}

/// The namespace of the UUIDs that stand for entities in the keys of records.
const ENTITIES: Uuid = Uuid::from_u128(0x5a0e_73c4_1b92_4f6d_8e35_c27a_90d1_64bf);

impl Silence {
    /// The key of the record of this subscription and entity.
    pub(crate) fn key(subscription: &SubscriptionId, entity: &EntityId) -> String {
        // Both ids together may be longer than a key.
        format!("{subscription}/{}", Uuid::new_v5(&ENTITIES, entity.as_str().as_bytes()))
    }
}

/// What was told of a silent entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Its last change.
    pub(crate) since: Timestamp,
    /// When its silence had lasted for as long as the subscription says.
    pub(crate) at: Timestamp,
}

/// An entity that is not silent.
#[derive(Clone, Copy, Debug)]
struct Heard {
    last: Timestamp,
    /// Where it stands among the deadlines: at its own or before it, so that a change does not
    /// have to move it.
    deadline: Timestamp,
}

/// The entities that one subscription watches: when each of them last changed, and which of them
/// the subscription knows to be silent.
#[derive(Debug)]
pub(crate) struct SilenceWatch {
    /// How long an entity may be silent, in microseconds.
    patience: i64,
    /// Nobody is told before this.
    not_before: Timestamp,
    /// The latest moment that was told. Nothing is told of an earlier one, so that what is told in
    /// the order of its moments is told in the order in which it came, whatever the clock does.
    latest: Timestamp,
    heard: FxHashMap<EntityId, Heard>,
    deadlines: BTreeSet<(Timestamp, EntityId)>,
    told: FxHashMap<EntityId, Told>,
    /// Those told, as long as it is not known whether they still match.
    unseen: BTreeSet<EntityId>,
}

/// What a change means for a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing that has to be told.
    None,
    /// The entity was told to be silent, and has returned at that moment.
    Returned(Told, Timestamp),
}

impl SilenceWatch {
    /// A watch over no entities yet. What was told before is still known, and holds if
    /// [`found`](Self::found) confirms it.
    pub(crate) fn new(
        patience: i64,
        not_before: Timestamp,
        told: impl IntoIterator<Item = (EntityId, Told)>,
    ) -> Self {
        let told: FxHashMap<EntityId, Told> = told.into_iter().collect();
        let latest = told.values().map(|told| told.at).max().unwrap_or(Timestamp::EPOCH);
        Self {
            patience: patience.max(0),
            not_before,
            latest,
            heard: FxHashMap::default(),
            deadlines: BTreeSet::new(),
            unseen: told.keys().cloned().collect(),
            told,
        }
    }

    fn deadline(&self, last: Timestamp) -> Timestamp {
        last.plus_micros(self.patience).max(self.not_before)
    }

    fn listen(&mut self, entity: &EntityId, last: Timestamp) {
        let deadline = self.deadline(last);
        if let Some(heard) = self.heard.get_mut(entity) {
            heard.last = last;
            // A later deadline is looked up when the one that is noted has come.
            if deadline >= heard.deadline {
                return;
            }
            self.deadlines.remove(&(heard.deadline, entity.clone()));
        }
        self.heard.insert(entity.clone(), Heard { last, deadline });
        self.deadlines.insert((deadline, entity.clone()));
    }

    /// An entity that matches has changed.
    pub(crate) fn changed(&mut self, entity: &EntityId, at: Timestamp) -> News {
        self.unseen.remove(entity);
        let told = self.told.remove(entity);
        self.listen(entity, at);
        told.map_or(News::None, |told| News::Returned(told, self.moment(at)))
    }

    /// The moment of what is told of `at`.
    fn moment(&mut self, at: Timestamp) -> Timestamp {
        if at < self.latest {
            self.latest = self.latest.plus_micros(1);
        } else {
            self.latest = at;
        }
        self.latest
    }

    /// An entity was found that matches and changed last at `last`. If it has changed since it was
    /// told to be silent, which happens while a subscription is paused, it has returned.
    pub(crate) fn found(&mut self, entity: &EntityId, last: Timestamp) -> News {
        self.unseen.remove(entity);
        match self.told.get(entity) {
            Some(told) if last <= told.since => return News::None,
            Some(_) | None => {}
        }
        self.changed(entity, last)
    }

    /// An entity is gone, or no longer matches. Says whether it was told to be silent.
    pub(crate) fn forget(&mut self, entity: &EntityId) -> bool {
        if let Some(heard) = self.heard.remove(entity) {
            self.deadlines.remove(&(heard.deadline, entity.clone()));
        }
        self.unseen.remove(entity);
        self.told.remove(entity).is_some()
    }

    /// All that match have been found: those told of which nothing was seen are forgotten, and
    /// given back.
    pub(crate) fn all_found(&mut self) -> Vec<EntityId> {
        let gone: Vec<_> = std::mem::take(&mut self.unseen).into_iter().collect();
        for entity in &gone {
            self.told.remove(entity);
        }
        gone
    }

    /// The earliest moment at which an entity may have been silent for long enough.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The entities whose silence has lasted long enough by `now`, the longest first, at most
    /// `limit` of them. Each is told once.
    pub(crate) fn tell(&mut self, now: Timestamp, limit: usize) -> Vec<(EntityId, Told)> {
        let mut silent = Vec::new();
        while silent.len() < limit && self.next().is_some_and(|at| at <= now) {
            let Some((_, entity)) = self.deadlines.pop_first() else { break };
            let Some(heard) = self.heard.remove(&entity) else { continue };
            let at = self.deadline(heard.last);
            if at > now {
                // It has changed since this deadline was noted.
                self.listen(&entity, heard.last);
                continue;
            }
            let told = Told { since: heard.last, at: self.moment(at) };
            self.told.insert(entity.clone(), told);
            silent.push((entity, told));
        }
        silent
    }

    /// All that it keeps in mind.
    pub(crate) fn entities(&self) -> impl Iterator<Item = &EntityId> {
        self.heard.keys().chain(self.told.keys())
    }

    /// What was told, and holds.
    pub(crate) fn told(&self) -> impl Iterator<Item = (&EntityId, &Told)> {
        self.told.iter()
    }

    /// How many entities it keeps in mind.
    pub(crate) fn len(&self) -> usize {
        self.heard.len() + self.told.len()
    }

    /// Whether it keeps this entity in mind.
    pub(crate) fn knows(&self, entity: &EntityId) -> bool {
        self.heard.contains_key(entity) || self.told.contains_key(entity)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000 + seconds)
    }

    fn sensor(number: u32) -> EntityId {
        format!("urn:ngsi-ld:Sensor:{number}").parse().unwrap()
    }

    fn watch(seconds: i64) -> SilenceWatch {
        SilenceWatch::new(seconds * SECOND, Timestamp::EPOCH, [])
    }

    fn told(since: i64, told: i64) -> Told {
        Told { since: at(since), at: at(told) }
    }

    #[test]
    fn an_entity_is_told_once_when_it_is_silent_and_once_when_it_returns() {
        let mut watch = watch(10);
        assert_eq!(watch.changed(&sensor(1), at(0)), News::None);
        assert_eq!(watch.tell(at(9), 9), []);
        assert_eq!(watch.tell(at(11), 9), [(sensor(1), told(0, 10))]);
        assert_eq!(watch.tell(at(100), 9), []);
        assert_eq!(watch.changed(&sensor(1), at(100)), News::Returned(told(0, 10), at(100)));
        assert_eq!(watch.changed(&sensor(1), at(101)), News::None);
        assert_eq!(watch.tell(at(110), 9), []);
        assert_eq!(watch.tell(at(111), 9), [(sensor(1), told(101, 111))]);
    }

    #[test]
    fn a_change_moves_the_deadline_and_what_is_forgotten_has_none() {
        let mut watch = watch(10);
        for number in 1..=3 {
            watch.found(&sensor(number), at(0));
        }
        watch.changed(&sensor(1), at(5));
        assert!(!watch.forget(&sensor(2)));
        assert_eq!(watch.tell(at(10), 9), [(sensor(3), told(0, 10))]);
        assert_eq!(watch.next(), Some(at(15)));
        assert!(watch.forget(&sensor(3)));
        assert_eq!(watch.changed(&sensor(3), at(12)), News::None);
        assert_eq!(watch.len(), 2);
    }

    #[test]
    fn nobody_is_told_before_the_moment_from_which_the_watch_holds() {
        let mut watch = SilenceWatch::new(10 * SECOND, at(50), []);
        watch.found(&sensor(1), at(0));
        watch.found(&sensor(2), at(45));
        assert_eq!(watch.tell(at(49), 9), []);
        assert_eq!(watch.tell(at(54), 9), [(sensor(1), told(0, 50))]);
        assert_eq!(watch.tell(at(55), 9), [(sensor(2), told(45, 55))]);
    }

    #[test]
    fn what_was_told_before_is_neither_repeated_nor_left_without_an_end() {
        let before = [1, 2, 3].map(|number| (sensor(number), told(0, 10)));
        let mut watch = SilenceWatch::new(10 * SECOND, Timestamp::EPOCH, before);
        // The first is as it was, the second has changed since, the third no longer matches.
        assert_eq!(watch.found(&sensor(1), at(0)), News::None);
        assert_eq!(watch.found(&sensor(2), at(60)), News::Returned(told(0, 10), at(60)));
        assert_eq!(watch.all_found(), [sensor(3)]);
        assert_eq!(watch.tell(at(65), 9), []);
        assert_eq!(watch.told().collect::<Vec<_>>(), [(&sensor(1), &told(0, 10))]);
        assert_eq!(watch.changed(&sensor(1), at(65)), News::Returned(told(0, 10), at(65)));
        assert_eq!(watch.changed(&sensor(3), at(65)), News::None);
        assert_eq!(watch.all_found(), []);
    }

    #[test]
    fn a_clock_that_jumps_ahead_and_back_tells_early_and_once() {
        let mut watch = watch(10);
        watch.changed(&sensor(1), at(0));
        assert_eq!(watch.tell(at(3_600), 9).len(), 1);
        assert_eq!(watch.tell(at(1), 9), []);
        // What is told has moments in the order in which it came.
        let after = |micros| at(10).plus_micros(micros);
        assert_eq!(watch.changed(&sensor(1), at(2)), News::Returned(told(0, 10), after(1)));
        assert_eq!(watch.tell(at(12), 9), [(sensor(1), told(2, 12))]);
        assert_eq!(
            watch.changed(&sensor(1), at(3)),
            News::Returned(told(2, 12), at(12).plus_micros(1))
        );
        // A change that was stamped ahead, and one with the right time after it.
        watch.changed(&sensor(2), at(3_600));
        watch.changed(&sensor(2), at(20));
        assert_eq!(watch.tell(at(29), 9), [(sensor(1), told(3, 13))]);
        assert_eq!(watch.tell(at(30), 9), [(sensor(2), told(20, 30))]);
    }

    #[test]
    fn many_are_told_in_portions() {
        let mut watch = watch(1);
        for number in 0..10 {
            watch.found(&sensor(number), at(0));
        }
        let portions: Vec<_> = (0..4).map(|_| watch.tell(at(1), 4).len()).collect();
        assert_eq!(portions, [4, 4, 2, 0]);
    }

    proptest! {
        #[test]
        fn it_says_what_a_plain_list_of_last_changes_says(
            events in prop::collection::vec((0..4_u32, 0..5_u8, 0..8_i64), 1..200),
        ) {
            let mut watch = watch(10);
            let mut last = BTreeMap::new();
            let mut silent = BTreeSet::new();
            let mut now = 0;
            for (number, what, pause) in events {
                now += pause;
                match what {
                    0 => {
                        prop_assert_eq!(watch.forget(&sensor(number)), silent.remove(&number));
                        last.remove(&number);
                    }
                    1 | 2 => {
                        let news = watch.changed(&sensor(number), at(now));
                        prop_assert_eq!(news != News::None, silent.remove(&number));
                        last.insert(number, now);
                    }
                    _ => {
                        let told: BTreeSet<_> =
                            watch.tell(at(now), 99).into_iter().map(|(entity, _)| entity).collect();
                        let expected: Vec<u32> = last
                            .iter()
                            .filter(|(number, last)| !silent.contains(*number) && **last + 10 <= now)
                            .map(|(number, _)| *number)
                            .collect();
                        let named: BTreeSet<_> = expected.iter().map(|it| sensor(*it)).collect();
                        prop_assert_eq!(told, named);
                        silent.extend(expected);
                    }
                }
                prop_assert_eq!(watch.len(), last.len());
            }
        }
    }
}
