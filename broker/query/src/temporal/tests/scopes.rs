use super::*;
use crate::{ScopeQuery, TimeRelation};

fn scoped(query: &str) -> TemporalQuery {
    TemporalQuery {
        range: Some(TimeRelation::Between(minute(0), minute(60))),
        scope: Some(ScopeQuery::parse(query).unwrap()),
        ..TemporalQuery::default()
    }
}

/// In `/R` from two hours before the range on, in `/S` from its middle on, and in none from its last
/// ten minutes on.
fn vehicle() -> Evolution {
    Builder::new("1")
        .property("scope", "\"/R\"", -120)
        .property("scope", "[\"/S\",\"/T/U\"]", 30)
        .deletion("scope", 50)
        .property("speed", "1", -10)
        .property("speed", "2", 15)
        .property("speed", "3", 30)
        .property("speed", "4", 45)
        .property("speed", "5", 50)
        .0
}

fn vehicle_with_observed_deletion() -> Evolution {
    let mut evolution = vehicle();
    for record in &mut evolution.scopes {
        if record.deleted_at.is_some() {
            record.instance.observed_at = record.deleted_at;
        }
    }
    evolution
}

#[test]
fn a_scope_is_valid_from_its_time_until_the_next_one() {
    let check = |query: &str, expected: Option<&str>| {
        let found = wanted(&vehicle_with_observed_deletion(), &scoped(query));
        assert_eq!(found.as_deref(), expected, "{query}");
    };
    check("/R", Some("speed: 2; scope: /R"));
    check("/S", Some("speed: 3 4; scope: [/S,/T/U]"));
    check("/T/#", Some("speed: 3 4; scope: [/S,/T/U]"));
    check("/#", Some("speed: 2 3 4; scope: /R [/S,/T/U]"));
    check("/S;/R", None);
    check("/Q", None);
    let check = |range: TimeRelation, query: &str, expected: Option<&str>| {
        let query = TemporalQuery { range: Some(range), ..scoped(query) };
        assert_eq!(wanted(&vehicle(), &query).as_deref(), expected, "{range:?}");
    };
    check(TimeRelation::After(minute(30)), "/R", None);
    check(TimeRelation::After(minute(29)), "/R", Some("scope: /R"));
    check(TimeRelation::Before(minute(30)), "/S", None);
    check(TimeRelation::Between(minute(30), minute(31)), "/S", Some("speed: 3; scope: [/S,/T/U]"));
    check(TimeRelation::Between(minute(40), minute(31)), "/S", None);
}

#[test]
fn without_a_question_for_scopes_those_in_the_range_are_there() {
    let query = TemporalQuery { scope: None, ..scoped("/R") };
    let found = wanted(&vehicle_with_observed_deletion(), &query);
    assert_eq!(found.as_deref(), Some("speed: 2 3 4 5; scope: [/S,/T/U] urn:ngsi-ld:null"));
    let alone = Builder::new("2").property("scope", "\"/R\"", 5).0;
    assert_eq!(wanted(&alone, &query).as_deref(), Some("scope: /R"));
    let attributes = Some(vec![name("speed")]);
    let query = TemporalQuery { attributes, ..query };
    assert_eq!(wanted(&alone, &query), None);
    let attributes = Some(vec![name("speed"), name("scope")]);
    let query = TemporalQuery { attributes, ..query };
    assert_eq!(wanted(&alone, &query).as_deref(), Some("scope: /R"));
}

#[test]
fn of_two_scopes_of_one_moment_the_later_record_counts() {
    let mut second = recorded(AttributeType::Property, "\"/B\"", Some(5));
    second.number.sequence = Sequence(2);
    let evolution = Builder::new("1")
        .with("scope", second)
        .property("scope", "\"/A\"", 5)
        .property("speed", "1", 6)
        .0;
    assert_eq!(wanted(&evolution, &scoped("/A")), None);
    assert_eq!(wanted(&evolution, &scoped("/B")).as_deref(), Some("speed: 1; scope: /B"));
}
