//! The kinds of load.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// An entity is created, and the oldest of those created so is deleted.
    Create,
    /// An attribute is changed that nobody is told of.
    Patch,
    /// An attribute is changed that a receiver and a stream are told of.
    Change,
    /// An entity is read.
    Get,
    /// A page of 20 is read.
    Page,
    /// The one entity is read that satisfies a condition.
    Query,
    /// A device publishes.
    Mqtt,
}

impl Kind {
    pub(super) const ALL: [Self; 7] =
        [Self::Create, Self::Patch, Self::Change, Self::Get, Self::Page, Self::Query, Self::Mqtt];

    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Create => "`POST`",
            Self::Patch => "`PATCH`",
            Self::Change => "`PATCH` with subscriptions",
            Self::Get => "`GET`",
            Self::Page => "page",
            Self::Query => "`q`",
            Self::Mqtt => "MQTT",
        }
    }

    /// How many connections have a request under way.
    pub(super) fn connections(self) -> u32 {
        match self {
            Self::Create | Self::Patch | Self::Change | Self::Get => 8,
            Self::Page | Self::Query => 4,
            Self::Mqtt => 2,
        }
    }

    /// The status of a good answer.
    pub(super) fn expected(self) -> u16 {
        match self {
            Self::Create => 201,
            Self::Patch | Self::Change | Self::Mqtt => 204,
            Self::Get | Self::Page | Self::Query => 200,
        }
    }
}

/// How late a request may leave and still be timed from when it left.
const PUNCTUAL: Duration = Duration::from_millis(2);

/// When the requests of a kind are due.
#[derive(Debug)]
pub(super) struct Turns {
    start: Instant,
    time: Duration,
    /// Requests per second, evenly spread; as many as there can be if there is none.
    rate: Option<f64>,
    given: Mutex<f64>,
}

impl Turns {
    /// The turns of so much time from now on.
    pub(super) fn new(rate: Option<f64>, time: Duration) -> Self {
        Self { start: Instant::now(), time, rate, given: Mutex::default() }
    }

    /// Waits for the next turn. Gives from when on its answer is timed; nothing when the time is over.
    pub(super) async fn next(&self) -> Option<Instant> {
        let Some(rate) = self.rate else {
            return (self.start.elapsed() < self.time).then(Instant::now);
        };
        let turn = {
            let mut given = self.given.lock();
            *given += 1.0;
            *given - 1.0
        };
        let planned = Duration::from_secs_f64(turn / rate.max(0.001));
        if planned >= self.time {
            return None;
        }
        let planned = self.start + planned;
        sleep_until(planned).await;
        let now = Instant::now();
        Some(if now.duration_since(planned) > PUNCTUAL { planned } else { now })
    }
}
