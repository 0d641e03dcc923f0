//! When to ask a feed again, and when it is too old to be believed. Pure.

use std::time::Duration;

use musubi_model::Timestamp;

/// A feed that promises nothing new for longer than this is asked again all the same.
const LONGEST: Duration = Duration::from_hours(1);
/// A near-real-time file is never older than this.
const FRESH: Duration = Duration::from_mins(5);
/// The wait after the first failure; it doubles with every further one.
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// The longest wait after failures.
const LAST_RETRY: Duration = Duration::from_mins(5);

/// What a file says about its age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// `last_updated`.
    pub(crate) last_updated: Option<Timestamp>,
    /// `ttl`, in seconds.
    pub(crate) ttl: u64,
    /// `max-age` of the HTTP answer.
    pub(crate) max_age: Option<Duration>,
}

impl Freshness {
    /// How long to wait from `now` before the file is asked for again: until it says that it
    /// will have changed, but at least `min_interval` and at most an hour (or `min_interval`, if
    /// that is longer). `jitter` from 0 to 1 adds up to a twentieth, so that many feeds are not
    /// asked at once.
    pub(crate) fn wait(&self, now: Timestamp, min_interval: Duration, jitter: f64) -> Duration {
        let expires = self.last_updated.map_or(Duration::ZERO, |updated| {
            let micros = i64::try_from(self.ttl)
                .ok()
                .and_then(|ttl| ttl.checked_mul(1_000_000))
                .map_or(i64::MAX, |ttl| updated.as_micros().saturating_add(ttl))
                .saturating_sub(now.as_micros());
            Duration::from_micros(u64::try_from(micros).unwrap_or(0))
        });
        let wanted = expires.max(self.max_age.unwrap_or_default()).min(LONGEST);
        let wait = wanted.max(min_interval);
        wait + wait.mul_f64(jitter.clamp(0.0, 1.0) / 20.0)
    }

    /// How old the data is.
    pub(crate) fn age(&self, now: Timestamp) -> Option<Duration> {
        let micros = now.as_micros().saturating_sub(self.last_updated?.as_micros());
        Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
    }

    /// Whether the data is older than its publisher may let it become: five minutes, or three
    /// times the `ttl`.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        let limit = FRESH.max(Duration::from_secs(self.ttl.saturating_mul(3)));
        self.age(now).is_some_and(|age| age > limit)
    }
}

/// How long to wait after so many failures in a row (at least one).
pub(crate) fn retry_wait(failures: u32, jitter: f64) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
    let wait = FIRST_RETRY.saturating_mul(factor).min(LAST_RETRY);
    wait + wait.mul_f64(jitter.clamp(0.0, 1.0) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000 + seconds)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_file_is_asked_for_again_when_it_says_that_it_has_changed() {
        let check = |freshness: Freshness, min: u64, expected: u64| {
            assert_eq!(
                freshness.wait(at(0), seconds(min), 0.0),
                seconds(expected),
                "{freshness:?}"
            );
        };
        let said = |updated: i64, ttl: u64| Freshness {
            last_updated: Some(at(updated)),
            ttl,
            max_age: None,
        };
        check(said(0, 60), 30, 60);
        check(said(-20, 60), 30, 40);
        check(said(-50, 60), 30, 30);
        check(said(-500, 0), 30, 30);
        check(said(0, 86_400), 30, 3600);
        check(said(0, u64::MAX), 30, 3600);
        check(said(0, 86_400), 7200, 7200);
        check(said(1_000_000, 0), 30, 3600);
        check(Freshness { max_age: Some(seconds(120)), ..said(0, 60) }, 30, 120);
        check(Freshness::default(), 30, 30);
    }

    #[test]
    fn jitter_adds_at_most_a_twentieth() {
        let wait = Freshness::default().wait(at(0), seconds(100), 1.0);
        assert_eq!(wait, seconds(105));
    }

    #[test]
    fn data_is_stale_after_five_minutes_or_three_ttl() {
        let check = |age: i64, ttl: u64, stale: bool| {
            let freshness = Freshness { last_updated: Some(at(-age)), ttl, max_age: None };
            assert_eq!(freshness.is_stale(at(0)), stale, "{age} {ttl}");
        };
        check(300, 60, false);
        check(301, 60, true);
        check(301, 200, false);
        check(601, 200, true);
        check(-10, 0, false);
        assert!(!Freshness::default().is_stale(at(0)));
    }

    #[test]
    fn failures_in_a_row_wait_longer_and_not_for_ever() {
        let waits: Vec<u64> =
            [1, 2, 3, 8, 9, 100].map(|failures| retry_wait(failures, 0.0).as_secs()).to_vec();
        assert_eq!(waits, [2, 4, 8, 256, 300, 300]);
    }
}
