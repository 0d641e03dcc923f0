//! The periods of a range, by the calendar of a zone.

use musubi_model::Timestamp;

use super::zone::{Zone, date_of, days_in_month, days_of};
use crate::PeriodDuration;

/// The periods, one after another, that begin with a moment.
///
/// The k-th begins k times their length after it: first the months are counted on in the calendar of
/// the zone, to the last day of the month if it has no such day; then the days; that is looked up on
/// the zone's clock, the first time if it shows it twice and as much later as the clock jumps if it
/// never does; and then the rest of the length passes. So a month after the 31st of January begins
/// the second period, and two months after it, on the 31st of March, the third.
///
/// Where a zone left out a whole day, a period may have no time in it.
#[derive(Clone, Debug)]
pub struct Periods {
    start: Timestamp,
    period: PeriodDuration,
    zone: Zone,
    /// What the zone's clock shows at the start, in microseconds since 1970-01-01T00:00:00.
    local: i64,
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Behind the year 9999 in every zone, in microseconds.
const NEVER: i64 = 253_500_000_000_000_000;

/// More months than from year 0 to the year 10,000.
const MOST_MONTHS: i64 = 13 * 10_001;

/// More days than from year 0 to the year 10,000.
const MOST_DAYS: i64 = 367 * 10_001;

impl Periods {
    /// Periods of this length, of which the first begins at `start`. With a length of zero there is
    /// one that never ends.
    pub fn from(start: Timestamp, period: PeriodDuration, zone: Zone) -> Self {
        let local = zone.local(start.as_micros());
        Self { start, period, zone, local }
    }

    /// Where the first begins, and of which length they are in which zone.
    pub fn parts(&self) -> (Timestamp, &PeriodDuration, &Zone) {
        (self.start, &self.period, &self.zone)
    }

    /// When the period of a moment begins and ends; the end is in the next one. None before the first.
    /// What would end after the year 9999 ends with it.
    ///
    /// Takes the same time however many periods there are before it.
    pub fn period_of(&self, time: Timestamp) -> Option<(Timestamp, Timestamp)> {
        if time < self.start {
            return None;
        }
        if self.period.is_zero() {
            return Some((self.start, Timestamp::from_micros(i64::MAX)));
        }
        let time = time.as_micros();
        let mut number = self.estimate(time);
        // The calendar strays from its mean by some days at most, and the clocks by some hours.
        while number > 0 && self.begins(number) > time {
            number -= 1;
        }
        let mut end = self.begins(number.saturating_add(1));
        while end <= time {
            number = number.saturating_add(1);
            end = self.begins(number.saturating_add(1));
        }
        let start = if number == 0 { self.start.as_micros() } else { self.begins(number) };
        // The first begins with the start as it is written.
        let start = if start == self.start.as_micros() {
            self.start
        } else {
            Timestamp::from_micros(start)
        };
        Some((start, Timestamp::from_micros(end)))
    }

    fn estimate(&self, time: i64) -> i64 {
        let passed = i128::from(time) - i128::from(self.start.as_micros());
        let number = passed / self.period.mean_micros().max(1);
        i64::try_from(number).unwrap_or(0).max(0)
    }

    /// When the period of this number begins, counted from 0; [`NEVER`] if that is beyond all times.
    fn begins(&self, number: i64) -> i64 {
        let PeriodDuration { months, days, micros } = self.period;
        let calendar = if months == 0 && days == 0 {
            Some(self.start.as_micros())
        } else {
            let months = i64::from(months).checked_mul(number).filter(|it| *it <= MOST_MONTHS);
            let days = i64::from(days).checked_mul(number).filter(|it| *it <= MOST_DAYS);
            months.zip(days).map(|(months, days)| self.zone.moment(self.shown_after(months, days)))
        };
        let clock = micros.checked_mul(number);
        let begins = calendar.zip(clock).and_then(|(calendar, clock)| calendar.checked_add(clock));
        begins.map_or(NEVER, |begins| begins.min(NEVER))
    }

    /// What the clock shows when so many months, and then so many days, have passed.
    fn shown_after(&self, months: i64, days: i64) -> i64 {
        let (day, clock) =
            (self.local.div_euclid(MICROS_PER_DAY), self.local.rem_euclid(MICROS_PER_DAY));
        let (year, month, date) = date_of(day);
        let month = year * 12 + (month - 1) + months;
        let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        let date = date.min(days_in_month(year, month));
        let shown = (days_of(year, month, date) + days).saturating_mul(MICROS_PER_DAY);
        shown.saturating_add(clock).min(NEVER)
    }
}

#[cfg(test)]
mod tests;
