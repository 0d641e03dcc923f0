use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant};
use proptest::prelude::*;

use super::*;
use crate::{
    Accumulator, Aggregation, AggregationMethod as Method, PeriodAggregates, RollUp, TimeRelation,
    evolution_page,
};

/// Textbook formulas over all the values of a period.
fn textbook(method: Method, values: &[f64]) -> f64 {
    let count = f64::from(u32::try_from(values.len()).unwrap());
    let sum: f64 = values.iter().sum();
    let mean = sum / count;
    match method {
        Method::TotalCount => count,
        Method::DistinctCount => {
            let distinct: BTreeSet<u64> = values.iter().map(|it| (it + 0.0).to_bits()).collect();
            f64::from(u32::try_from(distinct.len()).unwrap())
        }
        Method::Sum => sum,
        Method::Avg => mean,
        Method::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        Method::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Method::Stddev => {
            (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
        }
        Method::Sumsq => values.iter().map(|value| value * value).sum(),
    }
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-7 * (1.0 + one.abs().max(other.abs()))
}

/// The values of each period, found by walking from one to the next.
fn walked(
    start: i64,
    span: Span,
    zone: &TimeZone,
    samples: &[(i64, f64)],
) -> BTreeMap<(i64, i64), Vec<f64>> {
    let first = Instant::from_microsecond(start).unwrap().to_zoned(zone.clone());
    let begins = |number: i64| {
        let at = first.checked_add(span.checked_mul(number).unwrap()).unwrap();
        at.timestamp().as_microsecond()
    };
    let mut periods = BTreeMap::new();
    let (mut number, mut from, mut to) = (0, start, begins(1));
    for (time, value) in samples {
        while to <= *time {
            number += 1;
            (from, to) = (to, begins(number + 1));
        }
        periods.entry((from, to)).or_insert_with(Vec::new).push(*value);
    }
    periods
}

fn lengths() -> impl Strategy<Value = (Span, String)> {
    prop::sample::select(vec![
        (Span::new().days(1), "P1D".to_owned()),
        (Span::new().months(1), "P1M".to_owned()),
        (Span::new().weeks(1), "P1W".to_owned()),
        (Span::new().hours(6), "PT6H".to_owned()),
        (Span::new().years(1), "P1Y".to_owned()),
        (Span::new().months(1).days(3).hours(5), "P1M3DT5H".to_owned()),
        (Span::new().days(1).minutes(90), "P1DT90M".to_owned()),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_values_come_to_is_what_the_formulas_say_of_each_period(
        zone in prop::sample::select(vec![
            "UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia",
        ]),
        start in 946_684_800..1_893_456_000_i64,
        (span, period) in lengths(),
        samples in prop::collection::vec((0..63_072_000_i64, -1_000..1_000_i32), 1..60),
        is_open in any::<bool>(),
    ) {
        let mut samples: Vec<(i64, f64)> = samples
            .into_iter()
            .map(|(offset, value)| ((start + offset) * 1_000_000, f64::from(value) / 8.0))
            .collect();
        samples.sort_by_key(|(time, _)| *time);
        let origin = if is_open { samples[0].0 } else { start * 1_000_000 };
        let expected = walked(origin, span, &TimeZone::get(zone).unwrap(), &samples);

        let zone = zone.parse().unwrap();
        let methods = Method::ALL.to_vec();
        let period = period.parse().unwrap();
        let query = TemporalQuery {
            range: (!is_open).then(|| TimeRelation::After(Timestamp::from_seconds(start))),
            aggregation: Some(Aggregation { methods, period, zone }),
            ..TemporalQuery::default()
        };
        let attribute = name("speed");
        let mut aggregates = PeriodAggregates::new(&attribute, &query).unwrap();
        let mut builder = Builder::new("1");
        for (time, value) in &samples {
            aggregates.add_number(Timestamp::from_micros(*time), *value).unwrap();
            let mut one = recorded(AttributeType::Property, &value.to_string(), Some(0));
            one.instance.observed_at = Some(Timestamp::from_micros(*time));
            builder = builder.with("speed", one);
        }
        let found = aggregates.finish().unwrap().unwrap();
        let page = evolution_page(&[builder.0], &query).unwrap();
        prop_assert_eq!(&page.items[0].aggregates, &vec![found.clone()]);
        for (method, told) in found.methods {
            prop_assert_eq!(told.len(), expected.len());
            for (aggregate, ((from, to), values)) in told.iter().zip(&expected) {
                let when = (aggregate.start.as_micros(), aggregate.end.as_micros());
                prop_assert_eq!(when, (*from, *to));
                let (given, wanted) = (aggregate.value.as_f64().unwrap(), textbook(method, values));
                prop_assert!(near(given, wanted), "{} {} {}", method, given, wanted);
            }
        }
    }

    #[test]
    fn rolled_up_numbers_come_to_the_same_as_the_numbers(
        groups in prop::collection::vec(prop::collection::vec(-1e6..1e6_f64, 0..12), 1..6),
        alone in prop::collection::vec(-1e6..1e6_f64, 0..6),
    ) {
        let methods: Vec<Method> =
            Method::ALL.into_iter().filter(|method| *method != Method::DistinctCount).collect();
        let mut accumulator = Accumulator::new(&methods);
        let mut values = alone.clone();
        for number in &alone {
            accumulator.add_number(*number);
        }
        for group in &groups {
            values.extend(group);
            let roll_up = RollUp {
                total: u64::try_from(group.len()).unwrap(),
                count: u64::try_from(group.len()).unwrap(),
                sum: textbook(Method::Sum, group),
                sumsq: textbook(Method::Sumsq, group),
                min: textbook(Method::Min, group),
                max: textbook(Method::Max, group),
            };
            accumulator.merge(&roll_up).unwrap();
        }
        for method in methods {
            let told = accumulator.value(method).unwrap();
            if values.is_empty() {
                prop_assert!(told.is_none() || method == Method::TotalCount);
                continue;
            }
            let (given, wanted) = (told.unwrap().as_f64().unwrap(), textbook(method, &values));
            let greatest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
            let is_near = near(given, wanted)
                || method == Method::Stddev && (given - wanted).abs() <= 1e-6 * greatest;
            prop_assert!(is_near, "{} {} {}", method, given, wanted);
        }
        let mut counting = Accumulator::new(&[Method::DistinctCount]);
        let one = RollUp { total: 1, count: 1, sum: 1.0, sumsq: 1.0, min: 1.0, max: 1.0 };
        prop_assert!(counting.merge(&one).is_err());
    }
}
