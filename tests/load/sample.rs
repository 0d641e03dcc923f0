//! Several measurements of one thing.

use std::fmt;
use std::time::Duration;

/// Measurements of one thing, in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// Adds a measurement.
    pub(crate) fn add(&mut self, value: f64) {
        let place = self.0.partition_point(|other| *other < value);
        self.0.insert(place, value);
    }

    /// The middle one; of two in the middle their mean; 0 of none.
    pub(crate) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        let upper = self.0.get(middle).copied().unwrap_or(0.0);
        if self.0.len().is_multiple_of(2) {
            let lower = middle.checked_sub(1).and_then(|place| self.0.get(place));
            lower.map_or(upper, |lower| lower.midpoint(upper))
        } else {
            upper
        }
    }

    /// The lowest; 0 of none.
    pub(crate) fn lowest(&self) -> f64 {
        self.0.first().copied().unwrap_or(0.0)
    }

    fn highest(&self) -> f64 {
        self.0.last().copied().unwrap_or(0.0)
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sample = Self::default();
        values.into_iter().for_each(|value| sample.add(value));
        sample
    }
}

/// The median, and from where to where the measurements go: `1,234 (1,100–1,300)`.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, lowest, highest] = [self.median(), self.lowest(), self.highest()].map(number);
        write!(f, "{median} ({lowest}–{highest})")
    }
}

/// How many per second.
pub(crate) fn rate(count: u32, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { f64::from(count) / seconds } else { 0.0 }
}

/// A number as people read it: thousands apart from 1,000 on, decimals below 100.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        small if small < 10.0 => 2,
        middle if middle < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    if decimals > 0 {
        return text;
    }
    let mut apart = String::with_capacity(text.len() + text.len() / 3);
    for (place, digit) in text.chars().enumerate() {
        if place > 0 && (text.len() - place).is_multiple_of(3) && digit.is_ascii_digit() {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}
