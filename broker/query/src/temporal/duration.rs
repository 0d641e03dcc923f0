//! Durations of the calendar.

use std::str::FromStr;

/// A duration as ISO 8601 writes it, `P[n]Y[n]M[n]DT[n]H[n]M[n]S` or `P[n]W` (CIM 009, clause
/// 4.5.19.1): whole numbers, the seconds with a fraction of up to six digits if need be. Zero means
/// "the whole range".
///
/// ```
/// use musubi_query::PeriodDuration;
///
/// let duration: PeriodDuration = "P1Y2M3DT4H".parse()?;
/// assert_eq!((duration.months, duration.days), (14, 3));
/// assert_eq!(duration.micros, 4 * 3_600_000_000);
/// assert!("PT0S".parse::<PeriodDuration>()?.is_zero());
/// assert!("pt1h".parse::<PeriodDuration>().is_err());
/// # Ok::<(), musubi_query::InvalidDuration>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeriodDuration {
    /// Months of the calendar, twelve for a year; at most [`MAX_YEARS`](Self::MAX_YEARS) years.
    pub months: u32,
    /// Days of the calendar, seven for a week; at most as many as there are in so many years.
    pub days: u32,
    /// Microseconds of the clock; at most as many as there are in so many years.
    pub micros: i64,
}

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a duration is written as in PT1H, P1D, P1W or P1Y2M3DT4H5M6S, is at most {most} years long, and \
     {0:?} is not one",
    most = PeriodDuration::MAX_YEARS
)]
pub struct InvalidDuration(pub(crate) String);

const MAX_MONTHS: u32 = PeriodDuration::MAX_YEARS * 12;
const MAX_DAYS: u32 = PeriodDuration::MAX_YEARS * 366;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 24 * 3_600 * MICROS_PER_SECOND;

impl PeriodDuration {
    /// The longest duration, in years: no two moments are further apart.
    pub const MAX_YEARS: u32 = 10_000;

    /// Whether it is no time at all, which stands for the whole range of the query.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// About how long it is, in microseconds: the months as long as they are in the mean. At least 1
    /// if it is not zero.
    pub(super) fn mean_micros(&self) -> i128 {
        // 400 years have 146,097 days.
        let months = i128::from(self.months) * 146_097 * i128::from(MICROS_PER_DAY) / 4_800;
        months + i128::from(self.days) * i128::from(MICROS_PER_DAY) + i128::from(self.micros)
    }

    fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('P')?;
        if let Some(weeks) = text.strip_suffix('W') {
            let days = number(weeks)?.checked_mul(7)?;
            return Self::of(0, days, 0);
        }
        let (date, time) = match text.split_once('T') {
            Some((_, "")) => return None,
            Some((date, time)) => (date, time),
            None => (text, ""),
        };
        if date.is_empty() && time.is_empty() {
            return None;
        }
        let mut rest = date;
        let years = take(&mut rest, 'Y')?;
        let months = take(&mut rest, 'M')?;
        let days = take(&mut rest, 'D')?;
        let mut clock = time;
        let hours = take(&mut clock, 'H')?;
        let minutes = take(&mut clock, 'M')?;
        let micros = seconds(clock)?;
        if !rest.is_empty() {
            return None;
        }
        let months = years.checked_mul(12)?.checked_add(months)?;
        let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
        let minutes = minutes.checked_mul(60 * MICROS_PER_SECOND)?;
        Self::of(months, days, minutes.checked_add(micros)?)
    }

    fn of(months: i64, days: i64, micros: i64) -> Option<Self> {
        let months = u32::try_from(months).ok().filter(|months| *months <= MAX_MONTHS)?;
        let days = u32::try_from(days).ok().filter(|days| *days <= MAX_DAYS)?;
        let most = i64::from(MAX_DAYS).checked_mul(MICROS_PER_DAY)?;
        (micros <= most).then_some(Self { months, days, micros })
    }
}

impl FromStr for PeriodDuration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        Self::read(text).ok_or_else(|| InvalidDuration(text.chars().take(80).collect()))
    }
}

/// A number of digits alone, not negative.
fn number(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Takes what stands before the designator, if it is there, from the beginning; else it is 0.
fn take(rest: &mut &str, designator: char) -> Option<i64> {
    let Some((digits, behind)) = rest.split_once(designator) else { return Some(0) };
    *rest = behind;
    number(digits)
}

/// All that may be left of a time: the seconds, in microseconds.
fn seconds(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let text = text.strip_suffix('S')?;
    let (whole, fraction) = match text.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let micros = match fraction {
        Some(digits) if digits.len() <= 6 => {
            number(digits)?;
            number(&format!("{digits:0<6}"))?
        }
        Some(_) => return None,
        None => 0,
    };
    number(whole)?.checked_mul(MICROS_PER_SECOND)?.checked_add(micros)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_is_read() {
        let check = |text: &str, months: u32, days: u32, seconds: f64| {
            let read: PeriodDuration = text.parse().unwrap();
            let micros = (seconds * 1e6).round();
            #[expect(clippy::cast_possible_truncation, reason = "the numbers below are small")]
            let micros = micros as i64;
            assert_eq!(read, PeriodDuration { months, days, micros }, "{text}");
        };
        check("P3Y6M4DT12H30M5S", 42, 4, 45_005.0);
        check("PT1H", 0, 0, 3_600.0);
        check("PT1M", 0, 0, 60.0);
        check("P1M", 1, 0, 0.0);
        check("P2W", 0, 14, 0.0);
        check("P1DT0.5S", 0, 1, 0.5);
        check("PT0,000001S", 0, 0, 0.000_001);
        check("PT90M", 0, 0, 5_400.0);
        check("P10000Y", 120_000, 0, 0.0);
        check("P0Y0M007D", 0, 7, 0.0);
    }

    #[test]
    fn nothing_else_is_a_duration() {
        for text in [
            "",
            "P",
            "PT",
            "P1",
            "1D",
            "p1d",
            "P1d",
            "pt1h",
            "-P1D",
            "P-1D",
            "+P1D",
            "P+1D",
            "P1DT",
            "P1H",
            "PT1D",
            "P1M1Y",
            "PT1S1M",
            "P1Y1Y",
            "P1W1D",
            "PW",
            "P1Y1W",
            "P1.5D",
            "PT1.5H",
            "PT.5S",
            "PT1.S",
            "PT1.0000001S",
            "P0003-06-04T12:30:05",
            "P00030604T123005",
            " P1D",
            "P1D ",
            "P1 D",
            "P１D",
            "P1DT1HT1M",
            "bogus",
            "R/P1D",
            "PTS",
            "PYMD",
        ] {
            assert!(text.parse::<PeriodDuration>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_absurd_duration_is_refused() {
        for text in [
            "P10001Y",
            "P120001M",
            "P9999999999D",
            "PT9999999999999999999999S",
            "P99999999999999999999Y",
            "P9223372036854775807W",
            "PT9223372036854775807H",
            "PT153722867280912930M1S",
            "P768614336404564651Y",
        ] {
            assert!(text.parse::<PeriodDuration>().is_err(), "{text}");
        }
    }

    #[test]
    fn zero_is_zero_however_it_is_written() {
        for text in ["PT0S", "P0D", "P0W", "P0Y0M0DT0H0M0.000S"] {
            assert!(text.parse::<PeriodDuration>().unwrap().is_zero(), "{text}");
        }
        assert!(!"PT0.000001S".parse::<PeriodDuration>().unwrap().is_zero());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[PTYMWDHS0-9.,]{0,24}|.{0,12}") {
            let _ = text.parse::<PeriodDuration>();
        }

        #[test]
        fn what_the_parts_say_is_what_it_is(
            parts in [0..9_999_u32, 0..99, 0..99_999, 0..99_999, 0..99_999, 0..99_999, 0..1_000_000],
        ) {
            let [years, months, days, hours, minutes, seconds, fraction] = parts;
            let text = format!("P{years}Y{months}M{days}DT{hours}H{minutes}M{seconds}.{fraction:06}S");
            let clock = i64::from(hours) * 3_600 + i64::from(minutes) * 60 + i64::from(seconds);
            let expected = PeriodDuration {
                months: years * 12 + months,
                days,
                micros: clock * 1_000_000 + i64::from(fraction),
            };
            if expected.months <= 120_000 {
                prop_assert_eq!(text.parse::<PeriodDuration>().unwrap(), expected);
            }
        }
    }
}
