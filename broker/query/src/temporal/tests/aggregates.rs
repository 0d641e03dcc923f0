use std::collections::BTreeMap;

use super::*;
use crate::{
    Accumulator, Aggregation, AggregationMethod as Method, AggregationRefusal, PeriodAggregates,
    TimeRelation, Zone, evolution_page,
};

fn query(methods: &[Method], period: &str) -> TemporalQuery {
    let methods = methods.to_vec();
    let aggregation = Aggregation { methods, period: period.parse().unwrap(), zone: Zone::UTC };
    TemporalQuery { aggregation: Some(aggregation), ..TemporalQuery::default() }
}

/// What the values of each period of an attribute come to: `method value start end`, with minutes.
fn told(evolution: &Evolution, query: &TemporalQuery) -> Vec<String> {
    let page = evolution_page(std::slice::from_ref(evolution), query).unwrap();
    let minutes = |time: Timestamp| (time.as_micros() - minute(0).as_micros()) / 60_000_000;
    let mut lines = Vec::new();
    for attribute in page.items.iter().flat_map(|item| &item.aggregates) {
        let term = attribute.name.as_str().trim_start_matches("https://example.org/");
        for (method, aggregates) in &attribute.methods {
            lines.extend(aggregates.iter().map(|it| {
                let (start, end) = (minutes(it.start), minutes(it.end));
                format!("{term} {method} {} {start} {end}", it.value.as_str())
            }));
        }
    }
    lines
}

fn vehicle() -> Evolution {
    Builder::new("1")
        .property("speed", "120", 3)
        .property("speed", "80", 5)
        .property("speed", "100", 7)
        .property("fuel", "67", 3)
        .property("fuel", "53", 65)
        .property("fuel", "40", 127)
        .property("scope", "\"/A\"", 5)
        .0
}

#[test]
fn periods_begin_with_the_range_or_with_the_first_value() {
    let fuel = ["fuel avg 67 3 63", "fuel avg 53 63 123", "fuel avg 40 123 183"];
    let expected: Vec<&str> = fuel.into_iter().chain(["speed avg 100 3 63"]).collect();
    assert_eq!(told(&vehicle(), &query(&[Method::Avg], "PT1H")), expected);
    let attributes = Some(vec![name("fuel")]);
    let query = TemporalQuery { attributes, ..query(&[Method::Max, Method::Min], "P1D") };
    let check = |range: Option<TimeRelation>, expected: &[&str]| {
        assert_eq!(
            told(&vehicle(), &TemporalQuery { range, ..query.clone() }),
            expected,
            "{range:?}"
        );
    };
    check(None, &["fuel max 67 3 1443", "fuel min 40 3 1443"]);
    let after = TimeRelation::After(minute(-60));
    check(Some(after), &["fuel max 67 -60 1380", "fuel min 40 -60 1380"]);
    let between = TimeRelation::Between(minute(0), minute(100));
    check(Some(between), &["fuel max 67 0 1440", "fuel min 53 0 1440"]);
    check(Some(TimeRelation::Before(minute(3))), &[]);
}

#[test]
fn no_duration_is_the_whole_range() {
    let attributes = Some(vec![name("fuel")]);
    let query = TemporalQuery { attributes, ..query(&[Method::Sum], "PT0S") };
    let check = |range: Option<TimeRelation>, expected: &str| {
        assert_eq!(
            told(&vehicle(), &TemporalQuery { range, ..query.clone() }),
            [expected],
            "{range:?}"
        );
    };
    check(None, "fuel sum 160 3 127");
    check(Some(TimeRelation::After(minute(0))), "fuel sum 160 0 127");
    check(Some(TimeRelation::Before(minute(100))), "fuel sum 120 3 100");
    check(Some(TimeRelation::Between(minute(0), minute(200))), "fuel sum 160 0 200");
}

#[test]
fn the_last_periods_are_told_and_nothing_is_cut() {
    let query = TemporalQuery { last: Some(1), instances: 1, ..query(&[Method::Sum], "PT1H") };
    assert_eq!(told(&vehicle(), &query), ["fuel sum 40 123 183", "speed sum 300 3 63"]);
    let page = evolution_page(&[vehicle()], &query).unwrap();
    assert_eq!(page.cut, None);
    assert!(page.items.iter().all(|item| shown(&item.evolution).is_empty()));
}

#[test]
fn deletions_are_no_values_and_data_sets_count_together() {
    let evolution = Builder::new("1")
        .property("speed", "1", 1)
        .dataset("speed", "3", 2, "urn:d:a")
        .deletion("speed", 3)
        .deletion("gone", 4)
        .0;
    let methods = [Method::TotalCount, Method::Avg];
    let expected = ["speed totalCount 2 1 61", "speed avg 2 1 61"];
    assert_eq!(told(&evolution, &query(&methods, "PT1H")), expected);
}

#[test]
fn a_value_on_the_last_moment_of_all_is_in_its_period_once() {
    let mut evolution = Builder::new("1").property("speed", "1", 1).property("speed", "2", 2).0;
    for recorded in &mut evolution.attributes[0].instances {
        recorded.instance.observed_at = Some(Timestamp::from_micros(i64::MAX));
    }
    for period in ["P1D", "PT0.000001S", "P10000Y", "PT0S"] {
        let told = told(&evolution, &query(&[Method::TotalCount], period));
        assert_eq!(told.len(), 1, "{period} {told:?}");
    }
}

/// What all methods say of some values of one period, in the order of their names.
fn all_of(kind: AttributeType, values: &[&str]) -> BTreeMap<&'static str, String> {
    let mut told = BTreeMap::new();
    for method in Method::ALL {
        let mut accumulator = Accumulator::new(&[method]);
        let add = |value: &&str| {
            let json = Json::parse(value).unwrap();
            accumulator.add(&Value { kind, json }, None)
        };
        let added: Result<Vec<()>, _> = values.iter().map(add).collect();
        let value = match added {
            Ok(_) => accumulator.value(method).unwrap().unwrap().as_str().to_owned(),
            Err(refusal) => format!("not of {}", refusal.value),
        };
        told.insert(method.as_str(), value);
    }
    told
}

fn check_all(kind: AttributeType, values: &[&str], expected: [&str; 8]) {
    let names = ["avg", "distinctCount", "max", "min", "stddev", "sum", "sumsq", "totalCount"];
    let expected: BTreeMap<&str, String> =
        names.into_iter().zip(expected.map(str::to_owned)).collect();
    assert_eq!(all_of(kind, values), expected, "{kind:?} {values:?}");
}

#[test]
fn each_method_says_of_each_kind_of_value_what_the_tables_say() {
    let property = |values: &[&str], expected| check_all(AttributeType::Property, values, expected);
    property(
        &["1", "2.5", "1.0", "-4"],
        ["0.125", "3", "2.5", "-4", stddev(), "0.5", "24.25", "4"],
    );
    property(&["7"], ["7", "1", "7", "7", "0", "7", "49", "1"]);
    property(&["true", "false", "true", "false"], ["0.5", "2", "1", "0", "0.5", "2", "2", "4"]);
    let no = "not of a string";
    property(&["\"b\"", "\"a\"", "\"\u{e9}\""], [no, "3", "\"\u{e9}\"", "\"a\"", no, no, no, "3"]);
    let no = "not of an object";
    property(&["{\"a\":1,\"b\":2}", "{\"b\":2.0,\"a\":1}"], [no, "1", no, no, no, no, no, "2"]);
    let no = "not of an array";
    property(&["[1,2,3]", "[]", "[1,2.0,3]"], ["2", "2", "3", "0", no, "6", no, "3"]);
    let no = "not of a date and time";
    let (early, late) = ("\"2024-01-01T00:00:00.5Z\"", "\"2024-01-01T00:00:01Z\"");
    property(&[early, late], [no, "2", late, early, no, no, no, "2"]);
    let no = "not of a date";
    property(
        &["\"2024-02-01\"", "\"2023-12-31\""],
        [no, "2", "\"2024-02-01\"", "\"2023-12-31\"", no, no, no, "2"],
    );
    let no = "not of a time of day";
    property(
        &["\"08:00:00Z\"", "\"08:30:01Z\""],
        ["\"08:15:00.500Z\"", "2", "\"08:30:01Z\"", "\"08:00:00Z\"", no, no, no, "2"],
    );
    let no = "not of a relationship";
    let targets = ["\"urn:a\"", "[\"urn:a\",\"urn:b\"]", "\"urn:b\""];
    check_all(AttributeType::Relationship, &targets, [no, "2", no, no, no, no, no, "3"]);
    check_all(AttributeType::ListRelationship, &targets[1..2], [no, "2", no, no, no, no, no, "1"]);
    let no = "not of an object";
    let labels = ["{\"en\":\"a\"}", "{\"en\":\"b\"}"];
    check_all(AttributeType::LanguageProperty, &labels, [no, "2", no, no, no, no, no, "2"]);
    let no = "not of a URI";
    check_all(AttributeType::VocabProperty, &["\"urn:v\""], [no, "1", no, no, no, no, no, "1"]);
    let no = "not of an array";
    check_all(AttributeType::ListProperty, &["[5,6]"], ["2", "1", "2", "2", no, "2", no, "1"]);
    let no = "not of null";
    check_all(AttributeType::JsonProperty, &["null"], [no, "1", no, no, no, no, no, "1"]);
    let no = "not of a string";
    let time = "\"08:00:00Z\"";
    check_all(AttributeType::JsonProperty, &[time], [no, "1", time, time, no, no, no, "1"]);
}

/// Of 1, 2.5, 1 and -4: the root of the mean of the squares less the square of the mean.
fn stddev() -> &'static str {
    "2.45903944661325"
}

#[test]
fn a_declared_type_says_what_a_value_is() {
    let check =
        |json: &str, value_type: Option<&str>, method: Method, expected: Result<&str, &str>| {
            let mut accumulator = Accumulator::new(&[method]);
            let value = Value { kind: AttributeType::Property, json: Json::parse(json).unwrap() };
            let found = match accumulator.add(&value, value_type) {
                Ok(()) => Ok(accumulator.value(method).unwrap().unwrap().as_str().to_owned()),
                Err(refusal) => Err(refusal.value),
            };
            assert_eq!(found.as_deref(), expected.as_ref().map(|it| *it), "{json}");
        };
    let time = "{\"@type\":\"Time\",\"@value\":\"10:00:00Z\"}";
    check(time, None, Method::Avg, Ok("\"10:00:00Z\""));
    check("{\"@value\":5}", None, Method::Sum, Ok("5"));
    check("{\"@id\":\"urn:a\"}", None, Method::Min, Err("a URI"));
    check("\"urn:a\"", Some("xsd:anyURI"), Method::Max, Err("a URI"));
    check("\"urn:a\"", None, Method::Max, Ok("\"urn:a\""));
    check("\"urn:a\"", Some("https://schema.org/URL"), Method::Max, Ok("\"urn:a\""));
}

#[test]
fn a_refusal_says_attribute_method_and_value() {
    let evolution = Builder::new("1").property("speed", "1", 1).property("speed", "\"fast\"", 2).0;
    let refusal = evolution_page(&[evolution], &query(&[Method::Max, Method::Sum], "PT1H"));
    let expected = AggregationRefusal::NotApplicable {
        attribute: name("speed"),
        method: Method::Sum,
        value: "a string",
    };
    assert_eq!(refusal, Err(expected.clone()));
    let text = "sum of https://example.org/speed cannot be told, because it has a value that is \
                a string";
    assert_eq!(expected.to_string(), text);
    let evolution = Builder::new("1").property("t", "1", 1).property("t", "\"10:00:00Z\"", 2).0;
    assert!(evolution_page(&[evolution], &query(&[Method::Avg], "PT1H")).is_err());
}

#[test]
fn more_aggregates_than_an_answer_may_have_are_refused() {
    let attribute = name("speed");
    let query = query(&[Method::Sum, Method::Avg], "PT1S");
    let add = |query: &TemporalQuery, periods: i64| {
        let mut aggregates = PeriodAggregates::new(&attribute, query).unwrap();
        (0..periods).try_for_each(|second| {
            aggregates.add_number(minute(0).plus_micros(second * 1_000_000), 1.0)
        })?;
        aggregates.finish()
    };
    let most = i64::try_from(Aggregation::MOST / 2).unwrap();
    assert!(add(&query, most).is_ok());
    assert_eq!(add(&query, most + 1), Err(AggregationRefusal::TooMany));
    let last = TemporalQuery { last: Some(3), ..query };
    let found = add(&last, most + 1).unwrap().unwrap();
    assert!(found.methods.iter().all(|(_, told)| told.len() == 3));
}

#[test]
fn a_long_text_counts_as_several_aggregates() {
    let attribute = name("speed");
    let query = query(&[Method::Max], "PT1S");
    let long = format!("\"{}\"", "x".repeat(256 * 50_000));
    let add = |periods: i64| {
        let mut aggregates = PeriodAggregates::new(&attribute, &query).unwrap();
        (0..periods).try_for_each(|minutes| {
            aggregates.add(&recorded(AttributeType::Property, &long, Some(minutes)))
        })?;
        aggregates.finish()
    };
    assert!(add(1).is_ok());
    assert_eq!(add(2), Err(AggregationRefusal::TooMany));
}

#[test]
fn more_different_values_than_are_told_apart_are_refused() {
    let attribute = name("speed");
    let query = query(&[Method::DistinctCount], "PT0S");
    let mut aggregates = PeriodAggregates::new(&attribute, &query).unwrap();
    let mut number = 0.0;
    for _ in 0..Aggregation::MOST_DISTINCT {
        number += 1.0;
        aggregates.add_number(minute(0), number).unwrap();
    }
    aggregates.add_number(minute(0), 1.0).unwrap();
    let refused = aggregates.add_number(minute(0), number + 1.0);
    assert_eq!(refused, Err(AggregationRefusal::TooManyDistinct));
}

#[test]
fn nothing_that_is_told_is_beyond_the_numbers() {
    let cases: [&[f64]; 4] = [
        &[f64::MAX, f64::MAX, f64::MIN],
        &[f64::MIN, f64::MAX],
        &[f64::MIN_POSITIVE, -0.0, f64::NAN, f64::INFINITY],
        &[1e300, -1e300, 1e308],
    ];
    for values in cases {
        let mut accumulator = Accumulator::new(&Method::ALL);
        for value in values {
            accumulator.add_number(*value);
        }
        for method in Method::ALL {
            let json = accumulator.value(method).unwrap().unwrap();
            assert!(json.as_f64().is_some_and(f64::is_finite), "{method} {values:?} {json:?}");
        }
    }
}
