//! How old things are, by a clock that may jump.

use std::time::Duration;

use musubi_model::Timestamp;
use tokio::time::Instant;

/// By how much the clock may deviate before it is said to have jumped.
const JUMP: Duration = Duration::from_mins(1);

/// Tells the age of what is pending. The clock of the machine is compared with the one that only
/// ever goes on. When they disagree, it has been set, and the time since then is all that is
/// known: nothing is older than that.
#[derive(Debug)]
pub(crate) struct Aging {
    /// What both clocks said at the beginning, or after the last jump.
    anchor: (Timestamp, Instant),
    /// What the clock said when it had last jumped, in an earlier process perhaps.
    jumped_at: Option<Timestamp>,
}

impl Aging {
    /// Begins when the clock says `now`.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { anchor: (now, Instant::now()), jumped_at: None }
    }

    /// Goes on after another process, which knew of this jump and was last there at this time. A
    /// jump ahead between the two looks like an absence; one back shows.
    pub(crate) fn resume(&mut self, jumped_at: Option<Timestamp>, there: Option<Timestamp>) {
        let now = self.anchor.0;
        let is_set_back = there.is_some_and(|there| is_far_ahead(there, now));
        self.jumped_at = if is_set_back { Some(now) } else { jumped_at };
    }

    /// Looks at both clocks. Returns by how many seconds the clock has jumped, if it has.
    pub(crate) fn look(&mut self, now: Timestamp) -> Option<i64> {
        let (wall, steady) = self.anchor;
        let passed = i64::try_from(steady.elapsed().as_micros()).unwrap_or(i64::MAX);
        let deviation = now.as_micros().saturating_sub(wall.plus_micros(passed).as_micros());
        if u128::from(deviation.unsigned_abs()) <= JUMP.as_micros() {
            return None;
        }
        self.anchor = (now, Instant::now());
        self.jumped_at = Some(now);
        Some(deviation / 1_000_000)
    }

    /// When the clock had last jumped.
    pub(crate) fn jumped_at(&self) -> Option<Timestamp> {
        self.jumped_at
    }

    /// Whether something of this time is older than `age`.
    pub(crate) fn is_older(&self, time: Timestamp, now: Timestamp, age: Duration) -> bool {
        // The clock may have been set back a little since then.
        let jumped_at = self.jumped_at.filter(|jump| !is_far_ahead(*jump, now));
        let from = if is_far_ahead(time, now) {
            // It comes from before the clock was set back.
            jumped_at.unwrap_or(self.anchor.0)
        } else {
            jumped_at.map_or(time, |jump| jump.max(time))
        };
        let micros = now.as_micros().saturating_sub(from.as_micros());
        u64::try_from(micros).is_ok_and(|micros| Duration::from_micros(micros) > age)
    }
}

/// Whether this is later than a clock that has not jumped can have said. It may have been ahead
/// by almost [`JUMP`] then, and behind by as much now.
fn is_far_ahead(time: Timestamp, now: Timestamp) -> bool {
    let micros = time.as_micros().saturating_sub(now.as_micros());
    u128::try_from(micros).is_ok_and(|micros| micros > 2 * JUMP.as_micros())
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const HOUR: i64 = 3600;
    const START: i64 = 1_700_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(START + seconds)
    }

    /// Whether it is older than an hour.
    fn is_old(aging: &Aging, time: i64, now: i64) -> bool {
        aging.is_older(at(time), at(now), Duration::from_hours(1))
    }

    async fn pass(hours: u64) {
        advance(Duration::from_hours(hours)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_jump_age_is_what_has_passed() {
        let mut aging = Aging::new(at(0));
        pass(2).await;
        for deviation in [-60, 0, 60] {
            assert_eq!(aging.look(at(2 * HOUR + deviation)), None);
        }
        assert!(is_old(&aging, HOUR - 1, 2 * HOUR));
        assert!(!is_old(&aging, HOUR, 2 * HOUR));
        // The clock was set back a little; it is not old for that.
        assert!(!is_old(&aging, 2 * HOUR + 50, 2 * HOUR));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_jump_ahead_nothing_is_older_than_the_jump() {
        let mut aging = Aging::new(at(0));
        let years = 50_000 * HOUR;
        assert_eq!(aging.look(at(years)), Some(years));
        assert_eq!(aging.look(at(years)), None, "once is enough");
        assert!(!is_old(&aging, 0, years));
        assert!(!is_old(&aging, 0, years - 30), "set back a little since");
        pass(1).await;
        assert_eq!(aging.look(at(years + HOUR)), None);
        assert!(!is_old(&aging, 0, years + HOUR));
        assert!(is_old(&aging, 0, years + HOUR + 1));
        assert!(!is_old(&aging, years + 1, years + HOUR + 1), "it came after the jump");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_jump_back_nothing_is_kept_for_ever() {
        let mut aging = Aging::new(at(0));
        assert_eq!(aging.look(at(-100 * HOUR)), Some(-100 * HOUR));
        for time in [0, -101 * HOUR] {
            assert!(!is_old(&aging, time, -100 * HOUR));
            assert!(!is_old(&aging, time, -99 * HOUR));
            assert!(is_old(&aging, time, -99 * HOUR + 1), "{time}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_of_several_jumps_counts() {
        let mut aging = Aging::new(at(0));
        aging.look(at(100 * HOUR));
        aging.look(at(0));
        assert!(!is_old(&aging, 100 * HOUR, HOUR));
        assert!(is_old(&aging, 100 * HOUR, HOUR + 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_is_remembered_by_the_next_process() {
        let mut aging = Aging::new(at(2 * HOUR));
        aging.resume(Some(at(HOUR + 1)), Some(at(2 * HOUR)));
        assert!(!is_old(&aging, 0, 2 * HOUR));
        assert!(is_old(&aging, 0, 2 * HOUR + 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_back_between_two_processes_shows() {
        let mut aging = Aging::new(at(0));
        aging.resume(Some(at(9 * HOUR)), Some(at(10 * HOUR)));
        assert_eq!(aging.jumped_at(), Some(at(0)));
        for time in [-5 * HOUR, 10 * HOUR] {
            assert!(!is_old(&aging, time, HOUR));
            assert!(is_old(&aging, time, HOUR + 1), "{time}");
        }
        // Without anybody who knew, the beginning counts for what lies ahead.
        let mut aging = Aging::new(at(0));
        aging.resume(None, None);
        assert!(!is_old(&aging, 10 * HOUR, HOUR));
        assert!(is_old(&aging, 10 * HOUR, HOUR + 1));
    }
}
