use musubi_model::AttributeType;

use super::*;
use crate::{
    EvolutionStart, Filter, GeoQuery, Shown, TemporalProperty, TimeRelation, TypeSelection,
    evolution_page,
};

fn between(from: i64, to: i64) -> TemporalQuery {
    let range = Some(TimeRelation::Between(minute(from), minute(to)));
    TemporalQuery { range, ..TemporalQuery::default() }
}

fn vehicle() -> Evolution {
    Builder::new("1")
        .property("speed", "120", 3)
        .property("speed", "80", 5)
        .property("speed", "100", 7)
        .property("fuel", "67", 3)
        .property("fuel", "53", 65)
        .0
}

#[test]
fn the_instances_in_the_range_are_there_and_no_others() {
    let check = |range: TimeRelation, expected: Option<&str>| {
        let query = TemporalQuery { range: Some(range), ..TemporalQuery::default() };
        assert_eq!(wanted(&vehicle(), &query).as_deref(), expected, "{range:?}");
    };
    check(TimeRelation::After(minute(7)), Some("fuel: 53; speed: 100"));
    check(TimeRelation::Before(minute(7)), Some("fuel: 67; speed: 120 80"));
    check(TimeRelation::Between(minute(5), minute(65)), Some("speed: 80 100"));
    check(TimeRelation::Between(minute(65), minute(5)), None);
    check(TimeRelation::Between(minute(5), minute(5)), None);
    check(TimeRelation::After(minute(66)), None);
    check(TimeRelation::Before(minute(3)), None);
}

#[test]
fn every_kind_of_time_can_be_asked_for() {
    let evolution = Builder::new("1")
        .property("speed", "1", 3)
        .with("speed", recorded(AttributeType::Property, "2", None))
        .deletion("speed", 90)
        .0;
    let check = |property: TemporalProperty, range: Option<TimeRelation>, expected| {
        let query = TemporalQuery { property, range, ..TemporalQuery::default() };
        assert_eq!(wanted(&evolution, &query).as_deref(), expected, "{property:?} {range:?}");
    };
    let all = Some(TimeRelation::After(minute(-100)));
    check(TemporalProperty::ObservedAt, all, Some("speed: 1"));
    check(TemporalProperty::ModifiedAt, all, Some("speed: urn:ngsi-ld:null 2 1"));
    check(TemporalProperty::CreatedAt, all, Some("speed: 2 urn:ngsi-ld:null 1"));
    check(TemporalProperty::DeletedAt, all, Some("speed: urn:ngsi-ld:null"));
    check(TemporalProperty::DeletedAt, Some(TimeRelation::Before(minute(90))), None);
    // Without a range all are there, but for the question for deletions.
    check(TemporalProperty::ObservedAt, None, Some("speed: 1 urn:ngsi-ld:null 2"));
    check(TemporalProperty::DeletedAt, None, Some("speed: urn:ngsi-ld:null"));
}

#[test]
fn an_entity_needs_one_of_the_attributes_that_are_asked_for() {
    let check = |attributes: &[&str], keep_empty: bool, expected: Option<&str>| {
        let attributes = Some(attributes.iter().map(|term| name(term)).collect());
        let query = TemporalQuery { attributes, keep_empty, ..between(0, 10) };
        assert_eq!(wanted(&vehicle(), &query).as_deref(), expected);
    };
    check(&["speed", "other"], false, Some("speed: 120 80 100"));
    check(&["other"], false, None);
    check(&["other"], true, Some(""));
    let query = TemporalQuery { keep_empty: true, ..between(100, 200) };
    assert_eq!(wanted(&vehicle(), &query).as_deref(), Some(""));
    let query = TemporalQuery { keep_empty: true, filter: Filter::Ids(vec![]), ..between(0, 10) };
    assert_eq!(wanted(&vehicle(), &query), None, "it is not the one that is retrieved");
}

#[test]
fn id_and_types_are_what_the_filter_sees() {
    let check = |filter: Filter, expected: bool| {
        let query = TemporalQuery { filter, ..between(0, 10) };
        assert_eq!(wanted(&vehicle(), &query).is_some(), expected, "{:?}", query.filter);
    };
    let of_type = |term: &str| {
        let any_of = vec![vec![format!("https://example.org/{term}").parse().unwrap()]];
        Filter::Type(TypeSelection { any_of })
    };
    check(of_type("Vehicle"), true);
    check(of_type("Bus"), false);
    check(Filter::Ids(vec!["urn:ngsi-ld:Vehicle:1".parse().unwrap()]), true);
    check(Filter::HasAny(vec![name("speed")]), false);
}

#[test]
fn a_value_of_any_instance_in_the_range_selects_the_entity_with_all_of_them() {
    let check = |text: &str, expected: bool| {
        let attributes = Some(vec![name("speed")]);
        let query = TemporalQuery { values: Some(values(text)), attributes, ..between(0, 60) };
        let expected = expected.then_some("speed: 120 80 100");
        assert_eq!(wanted(&vehicle(), &query).as_deref(), expected, "{text}");
    };
    check("speed>110", true);
    check("speed>120", false);
    check("speed==80;speed==100", true);
    check("speed!=80", true);
    check("fuel==67", true);
    check("fuel==53", false);
    check("!heading", true);
    check("!fuel", false);
}

#[test]
fn a_record_of_a_deletion_is_no_value() {
    let evolution = Builder::new("1").property("speed", "1", 3).deletion("heading", 5).0;
    let check = |text: &str, expected: bool| {
        let query = TemporalQuery { values: Some(values(text)), ..TemporalQuery::default() };
        assert_eq!(wanted(&evolution, &query).is_some(), expected, "{text}");
    };
    check("heading", false);
    check("!heading", true);
    check("heading==\"urn:ngsi-ld:null\"", false);
}

#[test]
fn a_geometry_counts_if_it_was_there_in_the_range() {
    let point = |at: &str| format!("{{\"type\":\"Point\",\"coordinates\":{at}}}");
    let place = |at: &str, minutes| recorded(AttributeType::GeoProperty, &point(at), Some(minutes));
    let evolution =
        Builder::new("1").with("place", place("[1,1]", 3)).with("place", place("[9,9]", 65)).0;
    let check = |at: &str, expected: bool| {
        let geo = GeoQuery::parse("equals", "Point", at, Some("place"), &ExampleTerms).unwrap();
        let query = TemporalQuery { geo: Some(geo), ..between(0, 60) };
        assert_eq!(wanted(&evolution, &query).is_some(), expected, "{at}");
    };
    check("[1,1]", true);
    check("[9,9]", false);
}

#[test]
fn of_data_sets_those_are_there_that_are_asked_for() {
    let evolution = Builder::new("1")
        .property("speed", "120", 3)
        .dataset("speed", "80", 5, "urn:d:a")
        .dataset("speed", "60", 6, "urn:d:b")
        .property("fuel", "67", 3)
        .0;
    let check = |datasets: &[Option<&str>], keep_empty: bool, expected: Option<&str>| {
        let datasets = datasets.iter().map(|text| text.map(|text| text.parse().unwrap()));
        let datasets = Some(datasets.collect());
        let query = TemporalQuery { keep_empty, datasets, ..between(0, 10) };
        assert_eq!(wanted(&evolution, &query).as_deref(), expected);
    };
    check(&[Some("urn:d:a")], false, Some("speed: 80"));
    check(&[Some("urn:d:a"), None], false, Some("fuel: 67; speed: 120 80"));
    check(&[None], false, Some("fuel: 67; speed: 120"));
    check(&[Some("urn:d:c")], false, None);
    check(&[Some("urn:d:c")], true, Some(""));
}

#[test]
fn the_last_ones_are_those_of_each_attribute_by_time() {
    let evolution = Builder::new("1")
        .property("speed", "3", 7)
        .property("speed", "1", 3)
        .dataset("speed", "2", 5, "urn:d:a")
        .property("fuel", "67", 3)
        .property("scope", "\"/A\"", 3)
        .property("scope", "\"/B\"", 4)
        .0;
    let check = |last: usize, expected: &str| {
        let query = TemporalQuery { last: Some(last), ..between(0, 10) };
        assert_eq!(wanted(&evolution, &query).as_deref(), Some(expected), "{last}");
    };
    check(1, "fuel: 67; speed: 3; scope: /B");
    check(2, "fuel: 67; speed: 2 3; scope: /A /B");
    check(usize::MAX, "fuel: 67; speed: 1 2 3; scope: /A /B");
}

#[test]
fn what_is_not_shown_still_counts() {
    let check = |shown: Shown, expected: &str| {
        let query = TemporalQuery { shown, ..between(0, 10) };
        assert_eq!(wanted(&vehicle(), &query).as_deref(), Some(expected));
    };
    check(Shown::Only(vec![name("fuel")]), "fuel: 67");
    check(Shown::Without(vec![name("fuel")]), "speed: 120 80 100");
    check(Shown::Only(vec![]), "");
}

#[test]
fn entities_come_page_by_page_in_the_order_of_their_ids() {
    let all: Vec<Evolution> = ["3", "1", "4", "2", "10"]
        .map(|short| Builder::new(short).property("speed", "1", 3).0)
        .into_iter()
        .chain([Builder::new("0").property("speed", "1", 300).0])
        .collect();
    let check = |start: EvolutionStart, limit: usize, ids: &[&str], more: bool| {
        let query = TemporalQuery { start, limit, count: true, ..between(0, 10) };
        let page = evolution_page(&all, &query).unwrap();
        let found = page.items.iter().map(|item| item.evolution.id.as_str());
        let found: Vec<_> = found.map(|id| id.trim_start_matches("urn:ngsi-ld:Vehicle:")).collect();
        assert_eq!((found.as_slice(), page.more, page.total), (ids, more, Some(5)));
    };
    let after = |short: &str| {
        EvolutionStart::After(format!("urn:ngsi-ld:Vehicle:{short}").parse().unwrap())
    };
    check(EvolutionStart::Offset(0), 2, &["1", "10"], true);
    check(EvolutionStart::Offset(2), 3, &["2", "3", "4"], false);
    check(EvolutionStart::Offset(9), 3, &[], false);
    check(after("10"), 2, &["2", "3"], true);
    check(after("4"), 2, &[], false);
    check(after("15"), 9, &["2", "3", "4"], false);
    check(EvolutionStart::Offset(0), 0, &[], true);
}

#[test]
fn whoever_is_not_to_go_on_stops_between_two_values() {
    let evolution = (1..=50).fold(Builder::new("1"), |it, at| it.property("speed", "1", at)).0;
    let query = TemporalQuery { values: Some(values("speed>5")), ..TemporalQuery::default() };
    let mut left = 10;
    let mut goes_on = || {
        left -= 1;
        left > 0
    };
    assert_eq!(crate::admits_while(&evolution, &query, &mut goes_on), Err(crate::Stopped));
    assert_eq!(left, 0, "it is not asked any more");
    assert_eq!(crate::admits_while(&evolution, &query, &mut || true), Ok(None));
}
