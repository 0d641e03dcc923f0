//! The life of a shelter: planned → opening → open ⇄ full → closing → closed.
//!
//! What is reported wins: a transition that should not happen is made and flagged, because the
//! people are there whatever the table says.

use musubi_model::Timestamp;

/// The state that a shelter is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is foreseen, and nobody is there.
    Planned,
    /// It is being made ready.
    Opening,
    /// People are taken in.
    Open,
    /// It is open, and there is no room.
    Full,
    /// People are leaving; nobody is taken in.
    Closing,
    /// It was open, and is no longer.
    Closed,
    /// It is always open.
    Permanent,
    /// Nobody has said.
    #[default]
    Unknown,
    /// It is damaged or otherwise out of use.
    Suspended,
}

impl Status {
    const NAMES: [(Self, &'static str); 9] = [
        (Self::Planned, "planned"),
        (Self::Opening, "opening"),
        (Self::Open, "open"),
        (Self::Full, "full"),
        (Self::Closing, "closing"),
        (Self::Closed, "closed"),
        (Self::Permanent, "permanent"),
        (Self::Unknown, "unknown"),
        (Self::Suspended, "suspended"),
    ];

    /// The value of the `status` attribute.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(status, _)| *status == self).map_or("unknown", |(_, name)| name)
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }

    /// Whether people are there.
    pub fn is_open(self) -> bool {
        match self {
            Self::Open | Self::Full | Self::Closing | Self::Permanent => true,
            Self::Planned | Self::Opening | Self::Closed | Self::Unknown | Self::Suspended => false,
        }
    }

    /// Whether the lifecycle foresees the step from this state to `next`.
    pub fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (_, Self::Unknown | Self::Suspended) | (Self::Unknown | Self::Suspended, _) => true,
            (from, to) if from == to => true,
            (Self::Planned, Self::Opening | Self::Open | Self::Closed)
            | (Self::Opening, Self::Open | Self::Full | Self::Closed)
            | (Self::Open, Self::Full | Self::Closing | Self::Closed)
            | (Self::Full, Self::Open | Self::Closing | Self::Closed)
            | (Self::Closing, Self::Open | Self::Closed)
            | (Self::Closed, Self::Planned | Self::Opening | Self::Open) => true,
            _ => false,
        }
    }
}

/// How crowded a shelter is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// There is room.
    Free,
    /// There is little room.
    Congested,
    /// There is none.
    Full,
    /// It cannot be said: the capacity or the count is not known.
    #[default]
    Unknown,
}

impl Congestion {
    /// The value of the `congestionLevel` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Congested => "congested",
            Self::Full => "full",
            Self::Unknown => "unknown",
        }
    }

    /// The level of this name; [`Unknown`](Self::Unknown) for any other.
    pub fn from_name(name: &str) -> Self {
        match name {
            "free" => Self::Free,
            "congested" => Self::Congested,
            "full" => Self::Full,
            _ => Self::Unknown,
        }
    }
}

/// When a shelter counts as crowded, as parts of its capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// From here on it is full.
    pub full: f64,
    /// From here on it is congested.
    pub congested: f64,
    /// How far the count has to fall below a threshold before the level falls, so that one person
    /// at the door does not make it flicker.
    pub hysteresis: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { full: 1.0, congested: 0.7, hysteresis: 0.05 }
    }
}

impl Thresholds {
    /// The level at this part of the capacity, coming from `before`.
    pub fn level(&self, rate: f64, before: Congestion) -> Congestion {
        let held = |level: Congestion, threshold: f64| {
            rate >= threshold || (before == level && rate >= threshold - self.hysteresis)
        };
        if held(Congestion::Full, self.full) {
            Congestion::Full
        } else if held(Congestion::Congested, self.congested)
            || (before == Congestion::Full && rate >= self.congested - self.hysteresis)
        {
            Congestion::Congested
        } else {
            Congestion::Free
        }
    }
}

/// What is known of how a shelter is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shelter {
    /// Its state.
    pub status: Status,
    /// People who are there.
    pub people: Option<u64>,
    /// Households that are there.
    pub households: Option<u64>,
    /// People who can stay the night.
    pub capacity: Option<u64>,
    /// How crowded it is.
    pub congestion: Congestion,
    /// When it was opened the last time.
    pub opened_at: Option<Timestamp>,
    /// When it was closed the last time.
    pub closed_at: Option<Timestamp>,
    /// What is odd about the newest report, in a sentence.
    pub data_quality: Option<String>,
}

impl Shelter {
    /// The shelter after somebody said at `at` that so many people are there, and in which state
    /// it is; without a state it is open.
    #[must_use]
    pub fn reported(
        &self,
        at: Timestamp,
        people: Option<u64>,
        status: Option<Status>,
        thresholds: &Thresholds,
    ) -> Self {
        let mut next = Self { people: people.or(self.people), data_quality: None, ..self.clone() };
        let congestion = next.level(thresholds);
        let wanted = match status {
            Some(status) => status,
            None if congestion == Congestion::Full => Status::Full,
            None if self.status == Status::Permanent => Status::Permanent,
            None => Status::Open,
        };
        if !self.status.may_become(wanted) {
            next.data_quality =
                Some(format!("reported {} after {}", wanted.as_str(), self.status.as_str()));
        }
        if wanted.is_open() && !self.status.is_open() {
            next.opened_at = Some(at);
        }
        if wanted == Status::Closed {
            return next.closed(at);
        }
        next.status = wanted;
        next.congestion = congestion;
        next
    }

    /// The shelter after it was closed at `at`.
    #[must_use]
    pub fn closed(&self, at: Timestamp) -> Self {
        let closed_at = if self.status == Status::Closed { self.closed_at } else { Some(at) };
        Self {
            status: Status::Closed,
            people: Some(0),
            households: self.households.map(|_| 0),
            congestion: Congestion::Unknown,
            closed_at,
            ..self.clone()
        }
    }

    /// The part of the capacity that is taken.
    pub fn rate(&self) -> Option<f64> {
        let capacity = self.capacity.filter(|capacity| *capacity > 0)?;
        Some(small(self.people?) / small(capacity))
    }

    fn level(&self, thresholds: &Thresholds) -> Congestion {
        self.rate().map_or(Congestion::Unknown, |rate| thresholds.level(rate, self.congestion))
    }
}

/// A head count as a number with a fraction. Nobody counts more people than fit into 32 bits.
fn small(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_level_falls_only_when_the_count_has_fallen_well_below() {
        let thresholds = Thresholds::default();
        let mut level = Congestion::Unknown;
        let mut seen = Vec::new();
        for rate in [0.5, 0.69, 0.7, 0.66, 0.64, 0.99, 1.0, 0.96, 0.94, 0.5] {
            level = thresholds.level(rate, level);
            seen.push(level.as_str());
        }
        assert_eq!(
            seen,
            ["free", "free", "congested", "congested", "free", "congested", "full", "full", "congested", "free"]
        );
    }

    #[test]
    fn a_shelter_opens_once_and_closes_once() {
        let thresholds = Thresholds::default();
        let first = Shelter::default().reported(at(1), Some(10), None, &thresholds);
        assert_eq!((first.status, first.opened_at), (Status::Open, Some(at(1))));
        let second = first.reported(at(2), Some(12), None, &thresholds);
        assert_eq!((second.people, second.opened_at), (Some(12), Some(at(1))));
        let closed = second.closed(at(3));
        assert_eq!((closed.status, closed.people, closed.closed_at), (Status::Closed, Some(0), Some(at(3))));
        assert_eq!(closed.closed(at(4)).closed_at, Some(at(3)));
    }

    #[test]
    fn an_odd_transition_is_made_and_flagged() {
        let shelter = Shelter { status: Status::Closed, ..Shelter::default() };
        let next = shelter.reported(at(1), Some(10), Some(Status::Full), &Thresholds::default());
        assert_eq!(next.status, Status::Full);
        assert!(next.data_quality.unwrap().contains("full after closed"));
    }

    #[test]
    fn full_is_derived_from_the_count() {
        let shelter = Shelter { capacity: Some(100), ..Shelter::default() };
        let full = shelter.reported(at(1), Some(100), None, &Thresholds::default());
        assert_eq!((full.status, full.congestion), (Status::Full, Congestion::Full));
        let still = full.reported(at(2), Some(96), None, &Thresholds::default());
        assert_eq!(still.status, Status::Full);
        let open = still.reported(at(3), Some(94), None, &Thresholds::default());
        assert_eq!((open.status, open.congestion), (Status::Open, Congestion::Congested));
    }
}
