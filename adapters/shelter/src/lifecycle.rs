//! The life of a shelter: planned → opening → open ⇄ full → closing → closed.
//!
//! What is said wins: a transition that should not happen is made and flagged, because the people
//! are there whatever the table says. Where only people are counted, the state follows them as far
//! as a count can say it: people make an open shelter of one that was not, but nobody's absence
//! closes one, and a shelter that is being closed is not opened by those who still leave.

use musubi_model::Timestamp;

/// Nobody counts more people in one place. A larger number is a mistake.
pub(crate) const MAX_PEOPLE: u64 = 1_000_000;

/// The state that a shelter is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
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
    /// All states, with their names.
    pub(crate) const NAMES: [(Self, &'static str); 9] = [
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
    pub(crate) fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(status, _)| *status == self).map_or("unknown", |(_, name)| name)
    }

    /// The state of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }

    /// Whether people are there.
    pub(crate) fn is_open(self) -> bool {
        match self {
            Self::Open | Self::Full | Self::Closing | Self::Permanent => true,
            Self::Planned | Self::Opening | Self::Closed | Self::Unknown | Self::Suspended => false,
        }
    }

    /// Whether the lifecycle foresees the step from this state to `next`.
    pub(crate) fn may_become(self, next: Self) -> bool {
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
pub(crate) enum Congestion {
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
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Congested => "congested",
            Self::Full => "full",
            Self::Unknown => "unknown",
        }
    }

    /// The level of this name; [`Unknown`](Self::Unknown) for any other.
    pub(crate) fn from_name(name: &str) -> Self {
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
pub(crate) struct Thresholds {
    /// From here on it is full.
    pub(crate) full: f64,
    /// From here on it is congested.
    pub(crate) congested: f64,
    /// How far the count has to fall below a threshold before the level falls, so that one person
    /// at the door does not make it flicker.
    pub(crate) hysteresis: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { full: 1.0, congested: 0.7, hysteresis: 0.05 }
    }
}

impl Thresholds {
    /// The level at this part of the capacity, coming from `before`.
    pub(crate) fn level(&self, rate: f64, before: Congestion) -> Congestion {
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
pub(crate) struct Shelter {
    /// Its state.
    pub(crate) status: Status,
    /// People who are there.
    pub(crate) people: Option<u64>,
    /// Households that are there.
    pub(crate) households: Option<u64>,
    /// People who can stay the night.
    pub(crate) capacity: Option<u64>,
    /// How crowded it is.
    pub(crate) congestion: Congestion,
    /// When it was opened the last time.
    pub(crate) opened_at: Option<Timestamp>,
    /// When it was closed the last time.
    pub(crate) closed_at: Option<Timestamp>,
    /// What is odd about the newest observation, in a sentence.
    pub(crate) data_quality: Option<String>,
}

/// What somebody says of the state of a shelter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stated {
    /// Nothing: people were counted, that is all.
    Nothing,
    /// It stands in a list of those that are open.
    Listed,
    /// It is in this state.
    As(Status),
}

/// What somebody says of a shelter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Observation {
    /// The moment of which it is said.
    pub(crate) at: Timestamp,
    /// People; none if they were not counted.
    pub(crate) people: Option<u64>,
    /// Households; none if they were not counted.
    pub(crate) households: Option<u64>,
    /// The state.
    pub(crate) stated: Stated,
}

impl Observation {
    /// So many people are there.
    pub(crate) fn count(at: Timestamp, people: u64) -> Self {
        Self { at, people: Some(people), households: None, stated: Stated::Nothing }
    }

    /// The shelter was closed, and everybody has left.
    pub(crate) fn closing(at: Timestamp) -> Self {
        Self { stated: Stated::As(Status::Closed), ..Self::count(at, 0) }
    }
}

impl Shelter {
    /// The shelter after an observation.
    pub(crate) fn observed(&self, said: &Observation, thresholds: &Thresholds) -> Self {
        let mut next = Self {
            people: said.people.or(self.people),
            households: said.households.or(self.households),
            data_quality: None,
            ..self.clone()
        };
        let congestion = next.level(thresholds);
        next.status = match said.stated {
            Stated::As(status) => status,
            Stated::Listed => self.listed(congestion),
            Stated::Nothing => self.counted(congestion, next.people.unwrap_or(0)),
        };
        next.data_quality = self.doubt(&next);
        if next.status == Status::Closed {
            next.congestion = Congestion::Unknown;
            next.households = said.households.or(self.households.map(|_| 0));
            if self.status != Status::Closed {
                next.closed_at = Some(said.at);
            }
        } else {
            next.congestion = congestion;
            next.opened(self, said);
        }
        next
    }

    /// The state of a shelter that stands in a list of open ones. That it is open does not speak
    /// against its being about to close, or open at all times.
    fn listed(&self, congestion: Congestion) -> Status {
        match self.status {
            Status::Closing | Status::Permanent => self.status,
            Status::Open
            | Status::Full
            | Status::Planned
            | Status::Opening
            | Status::Closed
            | Status::Unknown
            | Status::Suspended => open_or_full(congestion),
        }
    }

    /// The state of a shelter where people were counted and nothing else was said.
    fn counted(&self, congestion: Congestion, people: u64) -> Status {
        match self.status {
            Status::Closing | Status::Permanent | Status::Suspended => self.status,
            Status::Closed if people == 0 => self.status,
            Status::Open
            | Status::Full
            | Status::Planned
            | Status::Opening
            | Status::Closed
            | Status::Unknown => open_or_full(congestion),
        }
    }

    /// What is odd about `next` coming after this, in a sentence.
    fn doubt(&self, next: &Self) -> Option<String> {
        let (before, after) = (self.status.as_str(), next.status.as_str());
        let people = next.people.unwrap_or(0);
        if !self.status.may_become(next.status) {
            return Some(format!("{after} after {before}"));
        }
        let is_empty = matches!(next.status, Status::Closed | Status::Suspended);
        (is_empty && people > 0).then(|| format!("{after} with {people} people"))
    }

    /// Notes when it was opened, if it is open and was not.
    fn opened(&mut self, before: &Self, said: &Observation) {
        let at = said.at;
        if !self.status.is_open() {
            return;
        }
        if !before.status.is_open() {
            if before.closed_at == Some(at) && before.opened_at.is_some() {
                // The closing of this very moment is taken back: it was a mistake.
                self.closed_at = None;
            } else {
                self.opened_at = Some(at);
            }
            if said.households.is_none() {
                // Those that were there before it was closed are not those that are there now.
                self.households = None;
            }
        } else if self.closed_at.is_none_or(|closed| closed < at)
            && self.opened_at.is_some_and(|opened| at < opened)
        {
            // What happened earlier comes later.
            self.opened_at = Some(at);
        }
    }

    /// The part of the capacity that is taken.
    pub(crate) fn rate(&self) -> Option<f64> {
        let capacity = self.capacity.filter(|capacity| *capacity > 0)?;
        Some(small(self.people?) / small(capacity))
    }

    fn level(&self, thresholds: &Thresholds) -> Congestion {
        self.rate().map_or(Congestion::Unknown, |rate| thresholds.level(rate, self.congestion))
    }
}

fn open_or_full(congestion: Congestion) -> Status {
    if congestion == Congestion::Full { Status::Full } else { Status::Open }
}

/// A head count as a number with a fraction. Nobody counts more people than fit into 32 bits.
fn small(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
