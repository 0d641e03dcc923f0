//! Time zones: between moments and what the clocks and calendars of a place show.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A time zone of the IANA database, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

/// Why a text names no zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time zone is named as in Asia/Tokyo or UTC, and {0:?} is not known")]
pub struct InvalidZone(String);

impl FromStr for Zone {
    type Err = InvalidZone;

    fn from_str(text: &str) -> Result<Self, InvalidZone> {
        let unknown = |_| InvalidZone(text.chars().take(80).collect());
        TimeZone::get(text).map(Self).map_err(unknown)
    }
}

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// The days of 400 years, after which the calendar and its weekdays are the same again.
const CYCLE_DAYS: i64 = 146_097;

/// Behind this moment, 400 years earlier are looked at: the rules of no zone change any more, and
/// jiff ends within the year 9999.
const LATE: i64 = 237_000_000_000 * MICROS_PER_SECOND;

const CYCLE: i64 = CYCLE_DAYS * SECONDS_PER_DAY * MICROS_PER_SECOND;

impl Zone {
    /// The zone in which the specification counts.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// What clock and calendar show at a moment, both in microseconds since 1970-01-01T00:00:00.
    pub(super) fn local(&self, moment: i64) -> i64 {
        let (shifted, _) = shift(moment);
        let Ok(time) = jiff::Timestamp::from_microsecond(shifted) else { return moment };
        moment + i64::from(self.0.to_offset(time).seconds()) * MICROS_PER_SECOND
    }

    /// The moment at which they show this. Of two, the first; where the clocks jump over it, as much
    /// later as they jump.
    pub(super) fn moment(&self, local: i64) -> i64 {
        let (shifted, by) = shift(local);
        let Ok(time) = jiff::Timestamp::from_microsecond(shifted) else { return local };
        let shown: DateTime = jiff::tz::Offset::UTC.to_datetime(time);
        match self.0.to_ambiguous_timestamp(shown).compatible() {
            Ok(time) => time.as_microsecond() + by,
            Err(_) => local,
        }
    }
}

/// A time that jiff has and that stands equally in the calendar, and how much earlier it is.
fn shift(micros: i64) -> (i64, i64) {
    if micros < LATE { (micros, 0) } else { (micros - CYCLE, CYCLE) }
}

/// The days since 1970-01-01 of a year, a month from 1 and a day from 1 on.
pub(super) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin with March have the leap day at their end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let before = year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5;
    era * CYCLE_DAYS + before + day - 1 - 719_468
}

/// The year, the month from 1 and the day from 1 on that so many days after 1970-01-01 are.
pub(super) fn date_of(days: i64) -> (i64, i64, i64) {
    let (era, day) =
        ((days + 719_468).div_euclid(CYCLE_DAYS), (days + 719_468).rem_euclid(CYCLE_DAYS));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    if month < 10 {
        (era * 400 + year, month + 3, date)
    } else {
        (era * 400 + year + 1, month - 9, date)
    }
}

/// How many days the month has.
pub(super) fn days_in_month(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_of(next_year, next, 1) - days_of(year, month, 1)
}
