//! Leaves an endpoint alone that keeps failing.

use std::time::Duration;

use tokio::time::Instant;

/// What may be sent to an endpoint now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// Anything.
    Free,
    /// One delivery, to see whether it is back.
    Probe,
    /// Nothing until then.
    Closed(Instant),
}

/// The memory of an endpoint's failures.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Breaker {
    /// It works, apart from so many failures in a row.
    Working { failures: u32 },
    /// It does not; for the so-manieth time since it last did.
    Open { until: Instant, times: u32 },
}

impl Breaker {
    pub(crate) fn permit(&self, now: Instant) -> Permit {
        match *self {
            Self::Working { .. } => Permit::Free,
            Self::Open { until, .. } if until <= now => Permit::Probe,
            Self::Open { until, .. } => Permit::Closed(until),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Whether the last sign of it was a bad one.
    pub(crate) fn has_failed(&self) -> bool {
        !matches!(self, Self::Working { failures: 0 })
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::Working { failures: 0 };
    }

    /// Counts a failure. With `limit` of them in a row, and with every probe that fails, the
    /// endpoint is left alone for the pause that belongs to the number of times.
    pub(crate) fn failed(&mut self, now: Instant, limit: u32, pause: impl Fn(u32) -> Duration) {
        *self = match *self {
            Self::Working { failures } if failures + 1 < limit => {
                Self::Working { failures: failures + 1 }
            }
            Self::Working { .. } => Self::Open { until: now + pause(1), times: 1 },
            Self::Open { until, times } if until <= now => {
                let times = times.saturating_add(1);
                Self::Open { until: now + pause(times), times }
            }
            // The end of a delivery that began before.
            Self::Open { until, times } => Self::Open { until, times },
        }
    }

    /// Leaves an endpoint that has just failed alone for so long, if it asked for that: who says
    /// when to come back is not asked before, by anybody.
    pub(crate) fn leave_alone(&mut self, now: Instant, asked: Duration) {
        if asked.is_zero() {
            return;
        }
        let asked = now + asked;
        *self = match *self {
            Self::Working { .. } => Self::Open { until: asked, times: 1 },
            Self::Open { until, times } => Self::Open { until: until.max(asked), times },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_keeps_failing_is_left_alone_and_then_probed() {
        let pause = |times: u32| Duration::from_secs(u64::from(times) * 10);
        let mut breaker = Breaker::Working { failures: 0 };
        let start = Instant::now();
        breaker.failed(start, 2, pause);
        assert_eq!(breaker.permit(start), Permit::Free);
        breaker.failed(start, 2, pause);
        let until = start + Duration::from_secs(10);
        assert_eq!(breaker.permit(start), Permit::Closed(until));
        breaker.failed(start, 2, pause);
        assert_eq!(breaker.permit(start), Permit::Closed(until), "a late failure changes nothing");
        assert_eq!(breaker.permit(until), Permit::Probe);
        breaker.failed(until, 2, pause);
        assert_eq!(breaker.permit(until), Permit::Closed(until + Duration::from_secs(20)));
        breaker.succeeded();
        assert_eq!(breaker.permit(until), Permit::Free);
        breaker.failed(until, 2, pause);
        assert_eq!(breaker.permit(until), Permit::Free, "the count starts anew");
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_asks_for_a_pause_gets_it_at_its_first_failure() {
        let (now, minute) = (Instant::now(), Duration::from_mins(1));
        let pause = |_: u32| Duration::from_secs(10);
        let mut breaker = Breaker::Working { failures: 0 };
        breaker.failed(now, 5, pause);
        breaker.leave_alone(now, Duration::ZERO);
        assert_eq!(breaker.permit(now), Permit::Free);
        breaker.failed(now, 5, pause);
        breaker.leave_alone(now, minute);
        assert_eq!(breaker.permit(now), Permit::Closed(now + minute));
        breaker.failed(now, 5, pause);
        breaker.leave_alone(now, minute / 2);
        assert_eq!(breaker.permit(now), Permit::Closed(now + minute), "never sooner");
        assert_eq!(breaker.permit(now + minute), Permit::Probe);
        breaker.failed(now + minute, 5, pause);
        breaker.leave_alone(now + minute, minute);
        assert_eq!(breaker.permit(now + minute), Permit::Closed(now + 2 * minute));
    }
}
