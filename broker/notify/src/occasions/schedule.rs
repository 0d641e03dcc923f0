//! When the notifications of a `timeInterval` are due (CIM 009, clause 5.8.6).

use std::collections::BTreeSet;

use musubi_model::Timestamp;
use rustc_hash::FxHashMap;

use crate::engine::account::AccountKey;

/// The shortest interval that is kept, in microseconds: a subscription that asks for less has a
/// tick every 100 ms.
pub(crate) const SHORTEST: i64 = 100_000;

/// The ticks of one subscription: `anchor` + k × `interval`, from k = 1 on. The anchor itself is
/// no tick; it is the tick before, or the moment at which the interval was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    anchor: Timestamp,
    /// Microseconds; at least [`SHORTEST`].
    interval: i64,
}

impl Schedule {
    /// Ticks that many microseconds apart.
    pub(crate) fn new(anchor: Timestamp, interval: i64) -> Self {
        Self { anchor, interval: interval.max(SHORTEST) }
    }

    /// The first tick after `now`: whatever should have come before that has not is left out. A
    /// clock that stands more than an interval before the anchor was set back, and the ticks are
    /// counted from it anew.
    pub(crate) fn after(self, now: Timestamp) -> Timestamp {
        let gone = now.as_micros().saturating_sub(self.anchor.as_micros());
        if gone < self.interval.saturating_neg() {
            return now.plus_micros(self.interval);
        }
        // The division is of a number that is not negative by one that is not zero.
        let count = gone.max(0) / self.interval;
        self.anchor.plus_micros(count.saturating_add(1).saturating_mul(self.interval))
    }

    /// The newest tick that has come by `now`; none if there was none since the anchor.
    fn come_by(self, now: Timestamp) -> Option<Timestamp> {
        let gone = now.as_micros().saturating_sub(self.anchor.as_micros());
        let count = gone / self.interval;
        (count > 0).then(|| self.anchor.plus_micros(count.saturating_mul(self.interval)))
    }
}

/// The next tick of every subscription that has a `timeInterval`.
#[derive(Debug, Default)]
pub(crate) struct Timetable {
    all: FxHashMap<AccountKey, (Schedule, Timestamp)>,
    next: BTreeSet<(Timestamp, AccountKey)>,
    /// The time when it was last looked at.
    seen: Timestamp,
}

impl Timetable {
    /// Puts a subscription on the table, or on another schedule.
    pub(crate) fn put(&mut self, key: AccountKey, schedule: Schedule, now: Timestamp) {
        self.remove(&key);
        self.plan(key, schedule, schedule.after(now));
    }

    fn plan(&mut self, key: AccountKey, schedule: Schedule, next: Timestamp) {
        self.next.insert((next, key.clone()));
        self.all.insert(key, (schedule, next));
    }

    /// Takes a subscription from the table; nothing happens if it is not there.
    pub(crate) fn remove(&mut self, key: &AccountKey) {
        if let Some((_, next)) = self.all.remove(key) {
            self.next.remove(&(next, key.clone()));
        }
    }

    /// When the next tick is.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.next.first().map(|(at, _)| *at)
    }

    /// The ticks that have come by `now`, at most `limit` of them: one of each subscription, the
    /// newest. Those before it, which nobody asked for in time, are left out.
    pub(crate) fn take(&mut self, now: Timestamp, limit: usize) -> Vec<(AccountKey, Timestamp)> {
        if now < self.seen {
            self.set_back(now);
        }
        self.seen = now;
        let mut ticks = Vec::new();
        while ticks.len() < limit && self.next.first().is_some_and(|(at, _)| *at <= now) {
            let Some((at, key)) = self.next.pop_first() else { break };
            let Some((schedule, _)) = self.all.remove(&key) else { continue };
            let tick = schedule.come_by(now).unwrap_or(at);
            let schedule = Schedule { anchor: tick, ..schedule };
            self.plan(key.clone(), schedule, schedule.after(now));
            ticks.push((key, tick));
        }
        ticks
    }

    /// Plans anew what is further away than it can be with a clock that was not set back.
    fn set_back(&mut self, now: Timestamp) {
        let is_far = |schedule: Schedule, next: Timestamp| {
            let ahead = next.as_micros().saturating_sub(now.as_micros());
            ahead > schedule.interval.saturating_mul(2)
        };
        let far: Vec<_> = self
            .all
            .iter()
            .filter(|(_, (schedule, next))| is_far(*schedule, *next))
            .map(|(key, (schedule, _))| (key.clone(), *schedule))
            .collect();
        for (key, schedule) in far {
            self.put(key, Schedule { anchor: now, ..schedule }, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000 + seconds)
    }

    fn key(name: &str) -> AccountKey {
        let id = format!("urn:ngsi-ld:Subscription:{name}").parse().unwrap();
        AccountKey { tenant: "town".parse().unwrap(), id }
    }

    #[test]
    fn the_next_tick_is_a_multiple_of_the_interval_after_the_anchor() {
        let schedule = Schedule::new(at(0), 10 * SECOND);
        let check = |now: i64, expected: i64| {
            assert_eq!(schedule.after(at(now)), at(expected), "at {now}");
        };
        check(0, 10);
        check(9, 10);
        check(10, 20);
        check(11, 20);
        // A day on, nothing that was missed is made up.
        check(86_405, 86_410);
        // Set back a little, it waits; set back by more, it counts from there.
        check(-1, 10);
        check(-10, 10);
        check(-11, -1);
        check(-86_400, -86_390);
    }

    #[test]
    fn an_interval_may_be_a_fraction_of_a_second_but_no_less_than_a_tenth() {
        let quarter = Schedule::new(at(0), SECOND / 4);
        assert_eq!(quarter.after(at(0)), at(0).plus_micros(250_000));
        assert_eq!(quarter.after(at(0).plus_micros(600_000)), at(0).plus_micros(750_000));
        for interval in [i64::MIN, -1, 0, 1, 99_999] {
            let tenth = Schedule::new(at(0), interval);
            assert_eq!(tenth.after(at(0)), at(0).plus_micros(100_000), "{interval}");
        }
    }

    proptest! {
        #[test]
        fn the_next_tick_is_always_ahead_and_never_further_than_two_intervals(
            anchor: i64, interval: i64, now in -1_000_000_000_000_000..1_000_000_000_000_000_i64,
        ) {
            let interval = interval.rem_euclid(366 * 86_400 * SECOND);
            let schedule = Schedule::new(Timestamp::from_micros(anchor), interval);
            let now = Timestamp::from_micros(now);
            let ahead = schedule.after(now).as_micros() - now.as_micros();
            prop_assert!(ahead > 0);
            prop_assert!(ahead <= 2 * interval.max(SHORTEST));
        }
    }

    #[test]
    fn a_tick_is_taken_once_and_the_next_one_follows_in_the_rhythm() {
        let mut table = Timetable::default();
        table.put(key("a"), Schedule::new(at(0), 10 * SECOND), at(0));
        table.put(key("b"), Schedule::new(at(5), 20 * SECOND), at(5));
        assert_eq!(table.next(), Some(at(10)));
        assert_eq!(table.take(at(9), 9), []);
        assert_eq!(table.take(at(10), 9), [(key("a"), at(10))]);
        assert_eq!(table.take(at(10), 9), []);
        assert_eq!(table.take(at(27), 9), [(key("a"), at(20)), (key("b"), at(25))]);
        assert_eq!(table.next(), Some(at(30)));
        table.remove(&key("a"));
        assert_eq!(table.next(), Some(at(45)));
        table.remove(&key("b"));
        assert_eq!(table.next(), None);
    }

    #[test]
    fn of_ticks_that_nobody_asked_for_in_time_only_the_newest_is_had() {
        let mut table = Timetable::default();
        table.put(key("a"), Schedule::new(at(0), 10 * SECOND), at(0));
        assert_eq!(table.take(at(3_605), 9), [(key("a"), at(3_600))]);
        assert_eq!(table.next(), Some(at(3_610)));
    }

    #[test]
    fn a_clock_that_is_set_back_by_an_hour_does_not_stop_the_ticks_for_an_hour() {
        let mut table = Timetable::default();
        table.put(key("a"), Schedule::new(at(0), 10 * SECOND), at(0));
        assert_eq!(table.take(at(3_600), 9), [(key("a"), at(3_600))]);
        assert_eq!(table.take(at(3), 9), []);
        assert_eq!(table.next(), Some(at(13)));
        // By a few seconds: the next tick is late by them, and none comes twice.
        assert_eq!(table.take(at(13), 9), [(key("a"), at(13))]);
        assert_eq!(table.take(at(10), 9), []);
        assert_eq!(table.next(), Some(at(23)));
    }

    #[test]
    fn many_ticks_of_one_moment_are_had_in_portions() {
        let mut table = Timetable::default();
        for name in 0..10 {
            table.put(key(&name.to_string()), Schedule::new(at(0), SECOND), at(0));
        }
        let mut had: Vec<_> = table.take(at(1), 4);
        had.extend(table.take(at(1), 4));
        had.extend(table.take(at(1), 4));
        had.extend(table.take(at(1), 4));
        had.sort();
        had.dedup();
        assert_eq!(had.len(), 10);
    }
}
