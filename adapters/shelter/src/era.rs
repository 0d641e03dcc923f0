//! Moments as Japanese offices write them: 「令和6年1月11日午後6時」, in Japan's one time zone.

use musubi_model::Timestamp;
use unicode_normalization::UnicodeNormalization as _;

/// Why a text is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a moment is written as in 令和6年1月11日午後6時 or 2024-01-11 18:00, and {0:?} is not")]
pub(crate) struct InvalidMoment(String);

/// The eras that a table may still name, and the year before their first.
const ERAS: [(&str, i16); 3] = [("令和", 2018), ("平成", 1988), ("昭和", 1925)];

/// Reads a moment: an era date with an optional hour and minute, or a date and time in digits, or
/// RFC 3339. Without a zone it is Japan's. Full-width digits are as good as others, and a day of
/// the week in parentheses is left aside.
///
/// # Errors
///
/// [`InvalidMoment`] if the text is none of these.
pub(crate) fn parse_moment(text: &str) -> Result<Timestamp, InvalidMoment> {
    let normal: String = text.trim().nfkc().collect();
    if let Ok(time) = normal.parse() {
        return Ok(time);
    }
    let refuse = || InvalidMoment(text.chars().take(60).collect());
    era(&normal).or_else(|| digits(&normal)).ok_or_else(refuse)
}

fn era(text: &str) -> Option<Timestamp> {
    let (before, rest) =
        ERAS.iter().find_map(|(name, before)| Some((*before, text.strip_prefix(name)?)))?;
    let (year, rest) = rest.split_once('年')?;
    let year: i16 = if year.trim() == "元" { 1 } else { year.trim().parse().ok()? };
    let (month, rest) = rest.split_once('月')?;
    let (day, rest) = rest.split_once('日')?;
    let rest = without_weekday(rest.trim());
    let (hour, minute) = clock_time(rest.trim_end_matches("時点").trim_end_matches("現在"))?;
    moment(
        (before.checked_add(year)?, month.trim().parse().ok()?, day.trim().parse().ok()?),
        (hour, minute, 0),
    )
}

/// `(木)午後6時` without the day of the week.
fn without_weekday(text: &str) -> &str {
    let inside = text.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    match inside {
        Some((day, rest)) if day.chars().count() <= 3 => rest.trim(),
        Some(_) | None => text,
    }
}

/// `午後6時30分`, `18時`, `午前0時`; nothing means midnight.
fn clock_time(text: &str) -> Option<(i8, i8)> {
    let text = text.trim();
    if text.is_empty() {
        return Some((0, 0));
    }
    let (shift, rest) = match (text.strip_prefix("午前"), text.strip_prefix("午後")) {
        (Some(rest), _) => (0, rest),
        (_, Some(rest)) => (12, rest),
        _ => (0, text),
    };
    // 時 may have been cut off together with 時点.
    let (hour, minute) = rest.split_once('時').unwrap_or((rest, ""));
    let hour: i8 = hour.trim().parse().ok()?;
    let hour = if shift == 12 && hour < 12 { hour + 12 } else { hour };
    let minute = match minute.trim() {
        "" => 0,
        "半" => 30,
        text => text.trim_end_matches('分').parse().ok()?,
    };
    Some((hour, minute))
}

/// `2024-01-11 18:00:30`, `2024-01-11T18:00` or `2024/1/11`.
fn digits(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "0:0"));
    let mut date = date.split(['-', '/']);
    let day = (date.next()?.parse().ok()?, date.next()?.parse().ok()?, date.next()?.parse().ok()?);
    let mut time = time.trim().split(':');
    let (hour, minute) = (time.next()?.parse().ok()?, time.next()?.parse().ok()?);
    let second = time.next().map_or(Some(0), |second| second.parse().ok())?;
    if date.next().is_some() || time.next().is_some() {
        return None;
    }
    moment(day, (hour, minute, second))
}

fn moment(
    (year, month, day): (i16, i8, i8),
    (hour, minute, second): (i8, i8, i8),
) -> Option<Timestamp> {
    let civil = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let japan = jiff::tz::TimeZone::fixed(jiff::tz::offset(9));
    let instant = civil.to_zoned(japan).ok()?.timestamp();
    Some(Timestamp::from_micros(instant.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_form_that_offices_use() {
        let check = |text: &str, expected: &str| {
            assert_eq!(parse_moment(text).unwrap().to_string(), expected, "{text}");
        };
        check("令和6年1月11日午後6時", "2024-01-11T09:00:00Z");
        check("令和６年１月９日午後６時時点", "2024-01-09T09:00:00Z");
        check("令和6年1月13日午前6時", "2024-01-12T21:00:00Z");
        check("令和元年5月1日", "2019-04-30T15:00:00Z");
        check("令和6年1月11日18時30分", "2024-01-11T09:30:00Z");
        check("令和6年1月11日午前0時", "2024-01-10T15:00:00Z");
        check("令和6年1月11日午後0時半", "2024-01-11T03:30:00Z");
        check("2024-01-11 18:00", "2024-01-11T09:00:00Z");
        check("2024/01/11 18:00", "2024-01-11T09:00:00Z");
        check("2024/1/11", "2024-01-10T15:00:00Z");
        check("2024-01-11T18:00:30", "2024-01-11T09:00:30Z");
        check("令和6年1月11日（木）午後6時現在", "2024-01-11T09:00:00Z");
        check("2024-01-11T18:00:00+09:00", "2024-01-11T09:00:00Z");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "令和",
            "令和6年13月1日",
            "昨日の夕方",
            "令和6年1月11日午後25時",
            "令和6年1月11日(そのつぎ)",
            "2024-01-11-5",
            "2024-01-11 18:00:00:00",
            "2024-01-11 18:00:61",
        ] {
            assert!(parse_moment(text).is_err(), "{text}");
        }
    }
}
