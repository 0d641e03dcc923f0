use super::*;
use crate::{AttributeType, InstanceNumber, Json, Sequence};

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn property(json: &str) -> RecordFragment {
    let value = Value { kind: AttributeType::Property, json: Json::parse(json).unwrap() };
    let value = Some(FragmentValue::Typed(value));
    let instance = InstanceFragment { value, ..InstanceFragment::default() };
    RecordFragment { instance, deleted_at: None }
}

fn observed(mut record: RecordFragment, seconds: i64) -> RecordFragment {
    record.instance.observed_at = Patch::Set(time(seconds));
    record
}

fn evolution(attributes: Vec<(&str, Vec<RecordFragment>)>) -> EvolutionFragment {
    let attributes =
        attributes.into_iter().map(|(name, records)| (name.parse().unwrap(), records)).collect();
    EvolutionFragment { id: None, types: Vec::new(), attributes }
}

#[test]
fn instances_are_recorded_in_order_with_the_times_of_the_system() {
    let given = evolution(vec![
        ("urn:b", vec![observed(property("1"), 5), property("2")]),
        ("urn:a", vec![observed(property("3"), 200)]),
    ]);
    let recorded = given.record(time(100)).unwrap();
    let told: Vec<_> = recorded
        .iter()
        .map(|(name, new)| (name.as_str(), new.instance.value.json.as_str()))
        .collect();
    assert_eq!(told, [("urn:b", "1"), ("urn:b", "2"), ("urn:a", "3")]);
    let observed: Vec<_> = recorded.iter().map(|(_, new)| new.instance.observed_at).collect();
    assert_eq!(observed, [Some(time(5)), None, Some(time(200))]);
    for (_, new) in &recorded {
        assert_eq!((new.instance.created_at, new.instance.modified_at), (time(100), time(100)));
        assert_eq!(new.deleted_at, None);
    }
}

#[test]
fn scopes_hold_from_the_first_moment_that_is_told_of() {
    let scope = |given: Vec<RecordFragment>| {
        let given = evolution(vec![(SCOPE, vec![property("\"/A\"")]), ("urn:a", given)]);
        given.record(time(100)).unwrap()[0].1.instance.observed_at
    };
    assert_eq!(scope(vec![observed(property("1"), 7), observed(property("1"), 5)]), Some(time(5)));
    assert_eq!(scope(vec![property("1")]), Some(time(100)));
    // What is foreseen has not begun.
    assert_eq!(scope(vec![observed(property("1"), 200)]), Some(time(100)));
    let null = property("\"urn:ngsi-ld:null\"");
    let given = evolution(vec![(SCOPE, vec![null]), ("urn:a", vec![observed(property("1"), 5)])]);
    let recorded = given.record(time(100)).unwrap();
    assert_eq!(recorded[0].1.deleted_at, Some(time(100)));
    assert_eq!(recorded[0].1.instance.observed_at, Some(time(100)));
    let given = evolution(vec![(SCOPE, vec![observed(property("\"/A\""), 9)])]);
    assert_eq!(given.record(time(100)).unwrap()[0].1.instance.observed_at, Some(time(9)));
}

#[test]
fn a_deletion_has_a_moment() {
    let null = || property("\"urn:ngsi-ld:null\"");
    let moment = |record: RecordFragment| {
        let recorded = evolution(vec![("urn:a", vec![record])]).record(time(100)).unwrap();
        assert_eq!(recorded[0].1.instance.value.json.as_str(), "\"urn:ngsi-ld:null\"");
        recorded[0].1.deleted_at
    };
    assert_eq!(moment(null()), Some(time(100)));
    assert_eq!(moment(observed(null(), 5)), Some(time(5)));
    let told = RecordFragment { deleted_at: Some(time(7)), ..observed(null(), 5) };
    assert_eq!(moment(told), Some(time(7)));
}

#[test]
fn what_is_not_whole_or_too_much_is_refused() {
    let none = RecordFragment { instance: InstanceFragment::default(), deleted_at: None };
    assert!(evolution(vec![("urn:a", vec![none])]).record(time(1)).is_err());
    let hidden = property(r#"{"a": "urn:ngsi-ld:null"}"#);
    assert!(evolution(vec![("urn:a", vec![hidden])]).record(time(1)).is_err());
    let many = |count| evolution(vec![("urn:a", vec![property("1"); count])]).record(time(1));
    assert!(many(EvolutionFragment::MAX_INSTANCES).is_ok());
    assert!(many(EvolutionFragment::MAX_INSTANCES + 1).is_err());
    let types = (0..=Entity::MAX_TYPES).map(|n| format!("urn:t:{n}").parse().unwrap()).collect();
    let crowded = EvolutionFragment { types, ..EvolutionFragment::default() };
    assert!(crowded.record(time(1)).is_err());
}

#[test]
fn a_correction_replaces_all_but_what_makes_the_instance_that_one() {
    let name: AttrName = "urn:a".parse().unwrap();
    let mut first = observed(property("1"), 5);
    first.instance.dataset_id = Some("urn:d:1".parse().unwrap());
    first.instance.unit_code = Patch::Set("CEL".into());
    let given = evolution(vec![("urn:a", vec![first])]).record(time(100)).unwrap();
    let number = InstanceNumber { sequence: Sequence(3), ordinal: 4 };
    let instance = given[0].1.instance.clone();
    let recorded = Recorded { number, instance, deleted_at: None };

    let corrected = recorded.correct(&name, property("2"), time(200)).unwrap();
    assert_eq!(corrected.number, number);
    let instance = &corrected.instance;
    assert_eq!(instance.value.json.as_str(), "2");
    assert_eq!(instance.dataset_id(), recorded.instance.dataset_id());
    assert_eq!((instance.created_at, instance.modified_at), (time(100), time(200)));
    assert_eq!(instance.observed_at, Some(time(5)));
    assert_eq!(instance.unit_code(), None);

    let later = recorded.correct(&name, observed(property("2"), 6), time(200)).unwrap();
    assert_eq!(later.instance.observed_at, Some(time(6)));
    let deleted = recorded.correct(&name, property("\"urn:ngsi-ld:null\""), time(200)).unwrap();
    assert_eq!(deleted.deleted_at, Some(time(5)));
    let back = deleted.correct(&name, property("1"), time(300)).unwrap();
    assert_eq!(back.deleted_at, None);

    let mut moved = property("2");
    moved.instance.dataset_id = Some("urn:d:2".parse().unwrap());
    assert!(recorded.correct(&name, moved, time(200)).is_err());
    let none = RecordFragment { instance: InstanceFragment::default(), deleted_at: None };
    assert!(recorded.correct(&name, none, time(200)).is_err());
}
