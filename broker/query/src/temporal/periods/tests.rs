use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use proptest::prelude::*;

use super::*;
use crate::temporal::zone::{date_of, days_of};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn periods(start: &str, period: &str, zone: &str) -> Periods {
    Periods::from(time(start), period.parse().unwrap(), zone.parse().unwrap())
}

fn period_of(periods: &Periods, at: &str) -> String {
    match periods.period_of(time(at)) {
        Some((start, end)) => format!("{start} {end}"),
        None => "none".to_owned(),
    }
}

#[test]
fn a_period_has_its_beginning_and_not_its_end() {
    let hours = periods("2020-08-01T12:03:00Z", "PT1H", "UTC");
    let check = |at: &str, expected: &str| assert_eq!(period_of(&hours, at), expected, "{at}");
    check("2020-08-01T12:02:59.999999Z", "none");
    check("2020-08-01T12:03:00Z", "2020-08-01T12:03:00Z 2020-08-01T13:03:00Z");
    check("2020-08-01T13:02:59.999999Z", "2020-08-01T12:03:00Z 2020-08-01T13:03:00Z");
    check("2020-08-01T13:03:00Z", "2020-08-01T13:03:00Z 2020-08-01T14:03:00Z");
}

#[test]
fn months_are_counted_from_the_start_and_do_not_drift() {
    let months = periods("2024-01-31T00:00:00Z", "P1M", "UTC");
    let check = |at: &str, expected: &str| assert_eq!(period_of(&months, at), expected, "{at}");
    check("2024-02-01T00:00:00Z", "2024-01-31T00:00:00Z 2024-02-29T00:00:00Z");
    check("2024-03-01T00:00:00Z", "2024-02-29T00:00:00Z 2024-03-31T00:00:00Z");
    check("2025-02-28T00:00:00Z", "2025-02-28T00:00:00Z 2025-03-31T00:00:00Z");
    let years = periods("2024-02-29T00:00:00Z", "P1Y", "UTC");
    assert_eq!(
        period_of(&years, "2028-03-01T00:00:00Z"),
        "2028-02-29T00:00:00Z 2029-02-28T00:00:00Z"
    );
}

#[test]
fn a_day_is_that_of_its_zone() {
    let check = |start: &str, zone: &str, at: &str, expected: &str| {
        assert_eq!(period_of(&periods(start, "P1D", zone), at), expected, "{zone} {at}");
    };
    let tokyo = "2024-01-01T15:00:00Z 2024-01-02T15:00:00Z";
    check("2023-12-31T15:00:00Z", "Asia/Tokyo", "2024-01-02T14:59:59Z", tokyo);
    // 23 and 25 hours.
    let spring = "2024-03-30T23:00:00Z 2024-03-31T22:00:00Z";
    check("2023-12-31T23:00:00Z", "Europe/Berlin", "2024-03-31T12:00:00Z", spring);
    let autumn = "2024-10-26T22:00:00Z 2024-10-27T23:00:00Z";
    check("2023-12-31T23:00:00Z", "Europe/Berlin", "2024-10-27T22:30:00Z", autumn);
    // The clocks of Lord Howe jump by half an hour, in the other half of the year.
    let half = "2024-10-05T13:30:00Z 2024-10-06T13:00:00Z";
    check("2024-06-30T13:30:00Z", "Australia/Lord_Howe", "2024-10-06T12:00:00Z", half);
    // Half past two does not exist on that day: it counts as half past three.
    let gap = "2024-03-31T01:30:00Z 2024-04-01T00:30:00Z";
    check("2024-03-01T01:30:00Z", "Europe/Berlin", "2024-03-31T02:00:00Z", gap);
    // Half past two exists twice: the first counts.
    let fold = "2024-10-27T00:30:00Z 2024-10-28T01:30:00Z";
    check("2024-10-01T00:30:00Z", "Europe/Berlin", "2024-10-27T01:10:00Z", fold);
}

#[test]
fn a_day_that_a_zone_left_out_is_in_no_period() {
    let days = periods("2011-12-01T10:00:00Z", "P1D", "Pacific/Apia");
    let check = |at: &str, expected: &str| assert_eq!(period_of(&days, at), expected, "{at}");
    check("2011-12-30T09:59:00Z", "2011-12-29T10:00:00Z 2011-12-30T10:00:00Z");
    check("2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z 2011-12-31T10:00:00Z");
}

#[test]
fn periods_reach_from_the_first_moment_to_the_last() {
    let check = |start: &str, period: &str, zone: &str, at: &str, expected: &str| {
        assert_eq!(period_of(&periods(start, period, zone), at), expected, "{period} {zone}");
    };
    let (first, last) = ("0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z");
    let smallest = "9999-12-31T23:59:59.999999Z 9999-12-31T23:59:59.999999Z";
    check(first, "PT0.000001S", "UTC", last, smallest);
    check(first, "P1D", "UTC", last, "9999-12-31T00:00:00Z 9999-12-31T23:59:59.999999Z");
    check(first, "P10000Y", "UTC", last, "0000-01-01T00:00:00Z 9999-12-31T23:59:59.999999Z");
    check(last, "P1M", "Pacific/Kiritimati", last, &format!("{last} {last}"));
    check(last, "PT1H", "Etc/GMT+12", last, &format!("{last} {last}"));
    check(first, "PT0S", "UTC", "2024-01-01T00:00:00Z", &format!("{first} {last}"));
    let tokyo = "9999-12-31T15:00:00Z 9999-12-31T23:59:59.999999Z";
    check("2023-12-31T15:00:00Z", "P1D", "Asia/Tokyo", last, tokyo);
}

#[test]
fn what_is_no_zone_is_refused() {
    for text in ["", "Mars/Olympus", "+09:00", "../etc/passwd", "Asia/Tokyo\0"] {
        assert!(text.parse::<Zone>().is_err(), "{text:?}");
    }
    assert_eq!("UTC".parse::<Zone>().unwrap(), Zone::UTC);
}

/// The beginnings of all periods up to a moment, one by one, as jiff counts in the zone.
fn beginnings(start: i64, period: Span, zone: &TimeZone, upto: i64) -> Vec<i64> {
    let zoned = jiff::Timestamp::from_microsecond(start).unwrap().to_zoned(zone.clone());
    let mut beginnings = vec![start];
    for number in 1_i64.. {
        let begins = zoned.checked_add(period.checked_mul(number).unwrap()).unwrap();
        let begins = begins.timestamp().as_microsecond();
        beginnings.push(begins);
        if begins > upto {
            break;
        }
    }
    beginnings
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "America/Sao_Paulo",
];

fn lengths() -> impl Strategy<Value = (u32, u32, i64)> {
    let clock = prop_oneof![Just(0), 1..90_000_i64];
    let mixed = (0..30_u32, 0..40_u32, clock);
    mixed.prop_filter("some length", |(months, days, hours)| *months + *days > 0 || *hours > 3_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_period_is_found_where_walking_one_by_one_finds_it(
        zone in prop::sample::select(ZONES.to_vec()),
        // From 1850 on, with the change of the clocks on the way.
        start in -3_786_825_600..2_500_000_000_i64,
        (months, days, seconds) in lengths(),
        offsets in prop::collection::vec(0..40_000_000_i64, 6),
    ) {
        let start = start * 1_000_000;
        let times: Vec<i64> = offsets.iter().map(|offset| start + offset * 1_000_000).collect();
        let latest = *times.iter().max().unwrap();
        let tz = TimeZone::get(zone).unwrap();
        let span = Span::new().months(months).days(days).seconds(seconds);
        let walked = beginnings(start, span, &tz, latest);
        let period = PeriodDuration { months, days, micros: seconds * 1_000_000 };
        let periods = Periods::from(Timestamp::from_micros(start), period, zone.parse().unwrap());
        for time in times {
            let next = walked.iter().position(|begins| *begins > time).unwrap();
            let expected = (walked[next - 1], walked[next]);
            let (from, to) = periods.period_of(Timestamp::from_micros(time)).unwrap();
            prop_assert_eq!((from.as_micros(), to.as_micros()), expected);
        }
    }

    #[test]
    fn every_moment_is_in_one_period_and_the_next_begins_where_it_ends(
        zone in prop::sample::select(ZONES.to_vec()),
        start in -62_167_219_200..253_402_300_799_i64,
        passed in 0..300_000_000_000_i64,
        (months, days, seconds) in lengths(),
    ) {
        let period = PeriodDuration { months, days, micros: seconds * 1_000_000 };
        let start = Timestamp::from_seconds(start);
        let periods = Periods::from(start, period, zone.parse().unwrap());
        let time = start.plus_micros(passed * 1_000_000);
        let (from, to) = periods.period_of(time).unwrap();
        prop_assert!(start <= from && from <= time && (time < to || to == time.plus_micros(1)));
        let next = periods.period_of(to).unwrap();
        prop_assert!(next.0 == to || to >= Timestamp::from_micros(i64::MAX), "{to} {}", next.0);
    }

    #[test]
    fn the_calendar_is_that_of_jiff(day in -719_528..2_932_896_i64) {
        let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
        let date = epoch.checked_add(day.days()).unwrap();
        let parts = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
        prop_assert_eq!(date_of(day), parts);
        prop_assert_eq!(days_of(parts.0, parts.1, parts.2), day);
        prop_assert_eq!(days_in_month(parts.0, parts.1), i64::from(date.date().days_in_month()));
    }
}
