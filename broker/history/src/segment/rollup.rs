//! What remains of many instances: how many there were, and figures of their numbers.

use musubi_query::TemporalProperty;

/// How long the period of a roll-up is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Level {
    /// An hour, from its first microsecond in UTC.
    Hour,
    /// A day, from its first microsecond in UTC.
    Day,
}

impl Level {
    /// Microseconds of one period.
    pub(crate) fn micros(self) -> i64 {
        match self {
            Self::Hour => 3_600_000_000,
            Self::Day => 86_400_000_000,
        }
    }

    /// The start of the period in which this moment is.
    pub(crate) fn start_of(self, micros: i64) -> i64 {
        micros.saturating_sub(micros.rem_euclid(self.micros()))
    }
}

/// What the instances of one series in one period amount to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RollUp {
    pub(crate) level: Level,
    /// Where the period begins; microseconds since 1970-01-01T00:00:00Z.
    pub(crate) start: i64,
    /// By which time of theirs the instances were put into the period.
    pub(crate) property: TemporalProperty,
    /// How many instances there were.
    pub(crate) count: u64,
    /// How many of them had a number or a boolean, and what those amount to.
    pub(crate) numbers: Figures,
}

/// What numbers amount to. Booleans count as 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) sum_of_squares: f64,
    /// Positive infinity if there are none.
    pub(crate) min: f64,
    /// Negative infinity if there are none.
    pub(crate) max: f64,
}

impl Default for Figures {
    fn default() -> Self {
        Self { count: 0, sum: 0.0, sum_of_squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Figures {
    /// Takes one number in.
    pub(crate) fn add(&mut self, number: f64) {
        self.count = self.count.saturating_add(1);
        self.sum = finite(self.sum + number);
        self.sum_of_squares = finite(number.mul_add(number, self.sum_of_squares));
        self.min = self.min.min(number);
        self.max = self.max.max(number);
    }

    /// Takes in what other numbers amount to.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = finite(self.sum + other.sum);
        self.sum_of_squares = finite(self.sum_of_squares + other.sum_of_squares);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

impl RollUp {
    /// Of no instances.
    pub(crate) fn empty(level: Level, property: TemporalProperty, start: i64) -> Self {
        Self { level, start, property, count: 0, numbers: Figures::default() }
    }

    /// What must ascend within a series.
    pub(crate) fn key(&self) -> (Level, u8, i64) {
        (self.level, property_code(self.property), self.start)
    }

    /// Takes one instance in, with its number if it has one.
    pub(crate) fn add(&mut self, number: Option<f64>) {
        self.count = self.count.saturating_add(1);
        if let Some(number) = number {
            self.numbers.add(number);
        }
    }

    /// Takes in another of the same period.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.numbers.merge(&other.numbers);
    }
}

/// The number, or the greatest there is.
fn finite(number: f64) -> f64 {
    number.clamp(f64::MIN, f64::MAX)
}

/// The number under which a temporal property is kept.
pub(crate) fn property_code(property: TemporalProperty) -> u8 {
    match property {
        TemporalProperty::ObservedAt => 0,
        TemporalProperty::CreatedAt => 1,
        TemporalProperty::ModifiedAt => 2,
        TemporalProperty::DeletedAt => 3,
    }
}
