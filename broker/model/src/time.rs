//! Points in time, as the specification writes them (CIM 009, clause 4.6.3).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroI64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01T00:00:00Z, from year 0 to year 9999.
///
/// Read from an RFC 3339 date and time with a zone, or strictly as the specification has it
/// ([`parse_utc`](Self::parse_utc)); written in UTC with a `Z` and as many digits of the second as
/// it needs (none, three or six), or as a client gave it: one that was read in UTC with three or
/// six digits is written with them, zeros too. Two times of the same moment are equal, however
/// they are written.
///
/// ```
/// use musubi_model::Timestamp;
///
/// let time: Timestamp = "2024-01-11T18:00:00+09:00".parse()?;
/// assert_eq!(time.to_string(), "2024-01-11T09:00:00Z");
/// # Ok::<(), musubi_model::InvalidTimestamp>(())
/// ```
// The microseconds, and once or twice STEP if three or six digits of the second are always
// written. So it stays one number, and one that was kept without digits means what it meant. Its
// highest bit is turned over, so that the one number which is left out is none that occurs: a time
// that may be missing takes no more room.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(from = "Bits", into = "Bits")]
pub struct Timestamp(NonZeroI64);

/// A time as it is kept.
#[derive(Serialize, Deserialize)]
struct Bits(i64);

/// Why a string is no point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as in 2024-01-11T09:00:00Z, and {0:?} is not")]
pub struct InvalidTimestamp(String);

const FIRST: i64 = -62_167_219_200_000_000;
const LAST: i64 = 253_402_300_799_999_999;

/// More than all microseconds from [`FIRST`] to [`LAST`].
const STEP: i64 = 1 << 59;

/// Which part of a second is written, even if it is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Precision {
    /// None.
    Needed,
    /// Three digits.
    Milliseconds,
    /// Six digits.
    Microseconds,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(NonZeroI64::MIN);

    /// The point that is so many microseconds after 1970-01-01T00:00:00Z, brought into the years
    /// 0 to 9999.
    pub fn from_micros(micros: i64) -> Self {
        Self::from_bits(micros.clamp(FIRST, LAST))
    }

    /// The point that is so many seconds after 1970-01-01T00:00:00Z, brought into the years 0 to
    /// 9999.
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(1_000_000))
    }

    /// Reads a time as the specification wants it (CIM 009, clause 4.6.3): `YYYY-MM-DDThh:mm:ss`,
    /// a fraction of one to six digits after a point or a comma if there is one, and a `Z`.
    ///
    /// # Errors
    ///
    /// [`InvalidTimestamp`] for any other form, times with another zone among them.
    pub fn parse_utc(text: &str) -> Result<Self, InvalidTimestamp> {
        utc(text.as_bytes()).ok_or_else(|| InvalidTimestamp(text.chars().take(80).collect()))
    }

    /// Microseconds since 1970-01-01T00:00:00Z; negative before.
    pub fn as_micros(self) -> i64 {
        // Most are written as is needed, and a division takes longer than all else with a time.
        let bits = self.to_bits();
        if (FIRST..FIRST + STEP).contains(&bits) {
            return bits;
        }
        // Wrapping, because a row that was damaged may hold any number.
        bits.wrapping_sub(FIRST).rem_euclid(STEP) + FIRST
    }

    /// The point so many microseconds later.
    #[must_use]
    pub fn plus_micros(self, micros: i64) -> Self {
        Self::from_micros(self.as_micros().saturating_add(micros))
    }

    /// The one number that holds the moment and the digits with which it is written; to be kept,
    /// and given to [`from_bits`](Self::from_bits).
    pub fn to_bits(self) -> i64 {
        self.0.get() ^ i64::MIN
    }

    /// The time of which [`to_bits`](Self::to_bits) is this number; any number is some time.
    pub fn from_bits(bits: i64) -> Self {
        NonZeroI64::new(bits ^ i64::MIN).map_or(Self::EPOCH, Self)
    }

    /// Whether both are the same moment, written with the same digits.
    pub fn is_written_like(self, other: Self) -> bool {
        self.0 == other.0
    }

    /// The same moment, written with at least these digits.
    fn written(self, precision: Precision) -> Self {
        let steps = match precision {
            Precision::Needed => 0,
            Precision::Milliseconds => 1,
            Precision::Microseconds => 2,
        };
        Self::from_bits(self.as_micros() + steps * STEP)
    }

    fn precision(self) -> Precision {
        match self.to_bits().wrapping_sub(FIRST).div_euclid(STEP) {
            1 => Precision::Milliseconds,
            2 => Precision::Microseconds,
            _ => Precision::Needed,
        }
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::EPOCH
    }
}

impl From<Bits> for Timestamp {
    fn from(Bits(bits): Bits) -> Self {
        Self::from_bits(bits)
    }
}

impl From<Timestamp> for Bits {
    fn from(time: Timestamp) -> Self {
        Self(time.to_bits())
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.as_micros() == other.as_micros()
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_micros().cmp(&other.as_micros())
    }
}

impl Hash for Timestamp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_micros().hash(state);
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(time) = utc(text.as_bytes()) {
            return Ok(time);
        }
        let refuse = || InvalidTimestamp(text.chars().take(80).collect());
        // jiff also accepts a space or a lower-case t; the specification does not.
        if text.as_bytes().get(10) != Some(&b'T') {
            return Err(refuse());
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| refuse())?;
        let micros = instant.as_microsecond();
        if (FIRST..=LAST).contains(&micros) { Ok(Self::from_bits(micros)) } else { Err(refuse()) }
    }
}

/// A time as it is written: ASCII.
#[derive(Clone, Copy, Debug)]
pub struct TimestampText {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl TimestampText {
    /// `9999-12-31T23:59:59.999999Z`.
    const LONGEST: usize = 27;

    /// The text.
    pub fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(written).unwrap_or_default()
    }

    /// Appends a number in so many digits, and then a character.
    fn push(&mut self, number: i64, digits: usize, then: u8) {
        let mut rest = number;
        let place = self.bytes.get_mut(self.length..).unwrap_or_default();
        for byte in place.iter_mut().take(digits).rev() {
            *byte = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        if let Some(byte) = place.get_mut(digits) {
            *byte = then;
        }
        self.length += digits + 1;
    }
}

impl Timestamp {
    /// The time as it is written, made without the machinery of formatting: answers are full of
    /// times.
    pub fn text(self) -> TimestampText {
        let micros = self.as_micros();
        let seconds = micros.div_euclid(1_000_000);
        let fraction = micros.rem_euclid(1_000_000);
        let (year, month, day) = civil(seconds.div_euclid(86_400));
        let second = seconds.rem_euclid(86_400);
        let mut text = TimestampText { bytes: [0; TimestampText::LONGEST], length: 0 };
        text.push(year, 4, b'-');
        text.push(month, 2, b'-');
        text.push(day, 2, b'T');
        text.push(second / 3600, 2, b':');
        text.push(second / 60 % 60, 2, b':');
        let precision = match (fraction, fraction % 1000, self.precision()) {
            (0, _, precision) => precision,
            (_, 0, Precision::Needed | Precision::Milliseconds) => Precision::Milliseconds,
            _ => Precision::Microseconds,
        };
        text.push(second % 60, 2, if precision == Precision::Needed { b'Z' } else { b'.' });
        match precision {
            Precision::Needed => {}
            Precision::Milliseconds => text.push(fraction / 1000, 3, b'Z'),
            Precision::Microseconds => text.push(fraction, 6, b'Z'),
        }
        text
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

/// A time in the form that [`Timestamp::parse_utc`] describes.
fn utc(text: &[u8]) -> Option<Timestamp> {
    let (head, tail) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, separator)| head.get(*at) != Some(separator)) {
        return None;
    }
    let field = |from: usize, to: usize| number(head.get(from..to)?);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    let date_is_real = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !date_is_real || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, precision) = match tail {
        [b'Z'] => (0, Precision::Needed),
        [b'.' | b',', digits @ .., b'Z'] if (1..=6).contains(&digits.len()) => {
            let missing = u32::try_from(6 - digits.len()).ok()?;
            let precision = match digits.len() {
                3 => Precision::Milliseconds,
                6 => Precision::Microseconds,
                _ => Precision::Needed,
            };
            (number(digits)? * 10_i64.pow(missing), precision)
        }
        _ => return None,
    };
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Timestamp::from_micros(seconds * 1_000_000 + micros).written(precision))
}

/// A number of a few digits.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
    })
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The inverse of [`civil`].
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The Gregorian date so many days after 1970-01-01 (Howard Hinnant's algorithm, which has no
/// table and no loop).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_is_written_with_the_digits_that_it_needs() {
        let check = |given: &str, written: &str| {
            assert_eq!(given.parse::<Timestamp>().unwrap().to_string(), written, "{given}");
        };
        check("2020-08-01T12:05:00Z", "2020-08-01T12:05:00Z");
        check("2020-08-01T12:05:00.5Z", "2020-08-01T12:05:00.500Z");
        check("2020-08-01T12:05:00.120Z", "2020-08-01T12:05:00.120Z");
        check("2020-08-01T12:05:00.000001Z", "2020-08-01T12:05:00.000001Z");
        check("2024-02-29T00:00:00+09:00", "2024-02-28T15:00:00Z");
    }

    #[test]
    fn a_time_is_written_as_it_was_given() {
        for text in [
            "2020-08-01T12:05:00.000Z",
            "2020-08-01T12:05:00.000000Z",
            "2020-08-01T12:05:00.120000Z",
            "0000-01-01T00:00:00.000Z",
            "9999-12-31T23:59:59.999000Z",
        ] {
            let time = Timestamp::parse_utc(text).unwrap();
            assert_eq!(time.to_string(), text);
            let bytes = postcard::to_stdvec(&time).unwrap();
            assert_eq!(postcard::from_bytes::<Timestamp>(&bytes).unwrap().to_string(), text);
            let plain = Timestamp::from_micros(time.as_micros());
            assert_eq!((time, time.cmp(&plain)), (plain, Ordering::Equal), "{text}");
            assert!(time < plain.plus_micros(1) || text.starts_with("9999"), "{text}");
        }
    }

    #[test]
    fn any_number_that_was_kept_is_some_time() {
        for kept in [i64::MIN, i64::MIN + 1, FIRST - 1, LAST + 1, LAST + 3 * STEP, i64::MAX] {
            let bytes = postcard::to_stdvec(&kept).unwrap();
            let time: Timestamp = postcard::from_bytes(&bytes).unwrap();
            assert!(time.as_micros() >= FIRST, "{kept}");
            assert_eq!(time.cmp(&time), Ordering::Equal);
            let _ = (time.to_string(), time.plus_micros(1));
        }
    }

    #[test]
    fn a_time_that_may_be_missing_takes_no_more_room() {
        assert_eq!(size_of::<Option<Timestamp>>(), size_of::<Timestamp>());
        for bits in [FIRST, -1, 0, 1, LAST, LAST + 2 * STEP, i64::MAX] {
            assert_eq!(Timestamp::from_bits(bits).to_bits(), bits);
        }
        assert_eq!(Timestamp::default(), Timestamp::from_micros(0));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2020-08-01",
            "2020-08-01 12:05:00Z",
            "2020-08-01T12:05:00",
            "2020-13-01T00:00:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_strict_form_has_z_and_at_most_six_digits() {
        let check = |text: &str, written: Option<&str>| {
            let read = Timestamp::parse_utc(text).ok().map(|time| time.to_string());
            assert_eq!(read.as_deref(), written, "{text}");
        };
        check("2017-12-24T12:00:00Z", Some("2017-12-24T12:00:00Z"));
        check("2017-12-24T12:00:00,5Z", Some("2017-12-24T12:00:00.500Z"));
        check("2000-02-29T23:59:59.999999Z", Some("2000-02-29T23:59:59.999999Z"));
        check("0000-01-01T00:00:00Z", Some("0000-01-01T00:00:00Z"));
        check("9999-12-31T23:59:59Z", Some("9999-12-31T23:59:59Z"));
        check("1900-02-29T00:00:00Z", None);
        check("2017-12-24T12:00:00+02:00", None);
        check("2017-12-24T12:00:00", None);
        check("2017-12-24T12:00:00.Z", None);
        check("2017-12-24T12:00:00.1234567Z", None);
        check("2017-12-24T24:00:00Z", None);
        check("2017-12-24T12:00:60Z", None);
        check("2017-00-24T12:00:00Z", None);
        check("2017-12-24t12:00:00z", None);
        check("2017-12-24T12:00:0éZ", None);
        check("not-a-date", None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in FIRST..=LAST) {
            let time = Timestamp::from_micros(micros);
            prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
            prop_assert_eq!(Timestamp::parse_utc(&time.to_string()).unwrap(), time);
        }

        #[test]
        fn the_calendar_is_that_of_jiff(micros in 0..=LAST) {
            let time = Timestamp::from_micros(micros);
            let theirs = jiff::Timestamp::from_microsecond(micros).unwrap();
            prop_assert_eq!(time.to_string().parse::<jiff::Timestamp>().unwrap(), theirs);
            prop_assert_eq!(Timestamp::parse_utc(&theirs.to_string()).unwrap(), time);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
