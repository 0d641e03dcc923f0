//! Times as sources write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use musubi_model::Timestamp;
use serde_json::Value;

/// POSIX seconds above this are milliseconds: 100,000,000,000 s is in the year 5138.
const MILLISECONDS_FROM: f64 = 1e11;

/// The time that a value means: RFC 3339; a local time without a zone, in `zone`; POSIX seconds
/// or milliseconds as a number, or a text of digits.
///
/// The error is a sentence.
pub(crate) fn parse(value: &Value, zone: Option<&TimeZone>) -> Result<Timestamp, String> {
    match value {
        Value::Number(number) => posix(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => written(text.trim(), zone),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err("a time is a text or a number".to_owned())
        }
    }
}

fn posix(number: f64) -> Result<Timestamp, String> {
    let seconds = if number.abs() >= MILLISECONDS_FROM { number / 1000.0 } else { number };
    // From 2000 to 9999. What is earlier is a clock that was never set.
    if !(946_684_800.0..253_402_300_800.0).contains(&seconds) {
        return Err(format!("{number} is no time since the year 2000"));
    }
    let micros = format!("{:.0}", seconds * 1_000_000.0);
    micros.parse().map(Timestamp::from_micros).map_err(|_| format!("{number} is no time"))
}

fn written(text: &str, zone: Option<&TimeZone>) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() != 8 {
        return posix(text.parse().unwrap_or(f64::NAN));
    }
    let shown: String = text.chars().take(40).collect();
    // A zone is there, but with a space where the T should be.
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp::from_micros(time.as_microsecond()));
    }
    let local: DateTime = text.parse().map_err(|_| format!("{shown:?} is no time"))?;
    let zone = zone.ok_or_else(|| format!("{shown:?} names no time zone"))?;
    local
        .to_zoned(zone.clone())
        .map(|time| Timestamp::from_micros(time.timestamp().as_microsecond()))
        .map_err(|error| format!("{shown:?} is no time: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_as_sources_write_them() {
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        let check = |value: Value, expected: Option<&str>| {
            let time = parse(&value, Some(&tokyo)).ok().map(|time| time.to_string());
            assert_eq!(time.as_deref(), expected, "{value}");
        };
        check(json!("2024-05-01T12:00:00+09:00"), Some("2024-05-01T03:00:00Z"));
        check(json!("2024-05-01T12:00:00"), Some("2024-05-01T03:00:00Z"));
        check(json!("2024-05-01 12:00:00"), Some("2024-05-01T03:00:00Z"));
        check(json!("2022-07-18T09:34:15.775023242+00:00"), Some("2022-07-18T09:34:15.775023Z"));
        check(json!(1_672_985_642), Some("2023-01-06T06:14:02Z"));
        check(json!(1_672_985_642_500_i64), Some("2023-01-06T06:14:02.500Z"));
        check(json!("1672985642"), Some("2023-01-06T06:14:02Z"));
        check(json!(86_400), None);
        check(json!(-1), None);
        check(json!("yesterday"), None);
        check(json!(true), None);
    }

    #[test]
    fn a_local_time_without_a_zone_is_no_time() {
        assert!(parse(&json!("2024-05-01T12:00:00"), None).is_err());
    }
}
