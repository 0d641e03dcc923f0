//! What is worth a write.

use serde_json::json;
use smallvec::smallvec;

use super::*;
use musubi_model::AttributeType;

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

fn name(term: &str) -> AttrName {
    format!("https://example.org/{term}").parse().unwrap()
}

fn property(term: &str, value: &Tree, observed: Option<i64>) -> AttributeFragment {
    let value = Value { kind: AttributeType::Property, json: Json::from(value) };
    AttributeFragment {
        name: name(term),
        instances: smallvec![InstanceFragment {
            value: Some(FragmentValue::Typed(value)),
            observed_at: observed.map_or(Patch::Keep, |seconds| Patch::Set(time(seconds))),
            ..InstanceFragment::default()
        }],
    }
}

fn dock(attributes: Vec<AttributeFragment>) -> EntityFragment {
    EntityFragment {
        id: Some("urn:ngsi-ld:Dock:1".parse().unwrap()),
        types: vec!["https://example.org/Dock".parse().unwrap()],
        attributes,
        ..EntityFragment::default()
    }
}

fn stored() -> Entity {
    let bikes = property("bikes", &json!(3), Some(0));
    let named = property("name", &json!("駅前"), None);
    Entity::create(dock(vec![bikes, named]), time(0)).unwrap()
}

fn written(filtered: &Filtered) -> Vec<&str> {
    match filtered {
        Filtered::Write(fragment) => fragment
            .attributes
            .iter()
            .map(|attribute| attribute.name.as_str().rsplit('/').next().unwrap())
            .collect(),
        Filtered::Unchanged | Filtered::Late => panic!("{filtered:?}"),
    }
}

#[test]
fn a_new_entity_is_written_whole() {
    let filter = ChangeFilter::new(vec![name("bikes")], None);
    let fragment = dock(vec![property("bikes", &json!(3), Some(0))]);
    assert_eq!(filter.filter(None, fragment.clone(), time(0)), Filtered::Write(fragment));
}

#[test]
fn the_same_values_at_a_later_time_are_not_written() {
    let filter = ChangeFilter::default();
    let fragment = dock(vec![
        property("bikes", &json!(3.0), Some(60)),
        property("name", &json!("\u{99c5}\u{524d}"), None),
    ]);
    assert_eq!(filter.filter(Some(&stored()), fragment, time(60)), Filtered::Unchanged);
}

#[test]
fn only_what_differs_is_written() {
    let filter = ChangeFilter::default();
    let fragment =
        dock(vec![property("bikes", &json!(4), Some(60)), property("name", &json!("駅前"), None)]);
    assert_eq!(written(&filter.filter(Some(&stored()), fragment, time(60))), ["bikes"]);
}

#[test]
fn another_unit_kind_or_sub_attribute_is_a_change() {
    let filter = ChangeFilter::default();
    let mut with_unit = property("bikes", &json!(3), Some(60));
    with_unit.instances[0].unit_code = Patch::Set("C62".into());
    let mut of_kind = property("bikes", &json!(3), Some(60));
    of_kind.instances[0].value = Some(FragmentValue::Typed(Value {
        kind: AttributeType::JsonProperty,
        json: Json::from(&json!(3)),
    }));
    let mut with_accuracy = property("bikes", &json!(3), Some(60));
    with_accuracy.instances[0].attributes = vec![property("accuracy", &json!(1), None)];
    let mut of_dataset = property("bikes", &json!(3), Some(60));
    of_dataset.instances[0].dataset_id = Some("urn:ds:1".parse().unwrap());
    for attribute in [with_unit, of_kind, with_accuracy, of_dataset] {
        let filtered = filter.filter(Some(&stored()), dock(vec![attribute]), time(60));
        assert_eq!(written(&filtered), ["bikes"]);
    }
}

#[test]
fn an_ignored_attribute_is_written_only_along_with_another() {
    let filter = ChangeFilter::new(vec![name("rssi")], None);
    let alone = dock(vec![property("rssi", &json!(-80), Some(60))]);
    assert_eq!(filter.filter(Some(&stored()), alone, time(60)), Filtered::Unchanged);
    let both =
        dock(vec![property("rssi", &json!(-80), Some(60)), property("bikes", &json!(5), Some(60))]);
    assert_eq!(written(&filter.filter(Some(&stored()), both, time(60))), ["rssi", "bikes"]);
}

#[test]
fn after_the_heartbeat_what_was_observed_is_written_again() {
    let filter = ChangeFilter::new(Vec::new(), Some(Duration::from_mins(15)));
    let at = |seconds: i64| {
        let fragment = dock(vec![
            property("bikes", &json!(3), Some(seconds)),
            property("name", &json!("駅前"), None),
        ]);
        filter.filter(Some(&stored()), fragment, time(seconds))
    };
    assert_eq!(at(899), Filtered::Unchanged);
    assert_eq!(written(&at(900)), ["bikes"]);
}

#[test]
fn what_is_older_than_the_broker_knows_is_late() {
    let filter = ChangeFilter::default();
    let fragment = dock(vec![property("bikes", &json!(9), Some(-1))]);
    assert_eq!(filter.filter(Some(&stored()), fragment, time(60)), Filtered::Late);
    let partly =
        dock(vec![property("bikes", &json!(9), Some(-1)), property("name", &json!("x"), None)]);
    assert_eq!(written(&filter.filter(Some(&stored()), partly, time(60))), ["name"]);
}

#[test]
fn a_null_is_written_if_there_is_something_to_delete() {
    let filter = ChangeFilter::default();
    let null = |term: &str| {
        let mut attribute = property(term, &json!(0), None);
        attribute.instances[0].value = Some(FragmentValue::Null);
        filter.filter(Some(&stored()), dock(vec![attribute]), time(60))
    };
    assert_eq!(written(&null("bikes")), ["bikes"]);
    assert_eq!(null("docks"), Filtered::Unchanged);
}

#[test]
fn a_new_type_is_a_change_of_its_own() {
    let filter = ChangeFilter::default();
    let mut fragment = dock(Vec::new());
    fragment.types.push("https://example.org/Other".parse().unwrap());
    assert_eq!(written(&filter.filter(Some(&stored()), fragment, time(0))), Vec::<&str>::new());
}

mod what_is_left_says_the_same {
    use musubi_model::Overwrite;
    use proptest::prelude::*;

    use super::*;

    /// Attributes of few names and values, so that many are the same.
    fn attributes() -> impl Strategy<Value = Vec<AttributeFragment>> {
        let one = (0..4_usize, 0..3_i64, proptest::option::of(0..2_i64));
        proptest::collection::vec(one, 0..6).prop_map(|list| {
            let mut attributes: Vec<AttributeFragment> = Vec::new();
            for (term, value, unit) in list {
                let mut attribute = property(&format!("a{term}"), &json!(value), Some(60));
                attribute.instances[0].unit_code =
                    unit.map_or(Patch::Keep, |unit| Patch::Set(format!("U{unit}").into()));
                if attributes.iter().all(|other| other.name != attribute.name) {
                    attributes.push(attribute);
                }
            }
            attributes
        })
    }

    /// Values and units by attribute, which is what a reader is told.
    fn said(entity: &Entity) -> Vec<(String, String, Option<String>)> {
        let mut said: Vec<_> = entity
            .attributes
            .iter()
            .map(|attribute| {
                let instance = &attribute.instances[0];
                let json = instance.value.json.as_str().to_owned();
                (attribute.name.to_string(), json, instance.unit_code().map(str::to_owned))
            })
            .collect();
        said.sort();
        said
    }

    proptest! {
        #[test]
        fn as_the_whole(before in attributes(), after in attributes()) {
            let stored = Entity::create(dock(before), time(0)).unwrap();
            let append = |fragment: EntityFragment| {
                stored.append(fragment, Overwrite::Yes, time(60)).unwrap().0
            };
            let whole = append(dock(after.clone()));
            match ChangeFilter::default().filter(Some(&stored), dock(after), time(60)) {
                Filtered::Write(rest) => {
                    prop_assert!(!rest.attributes.is_empty());
                    prop_assert_ne!(said(&stored), said(&whole));
                    prop_assert_eq!(said(&append(rest)), said(&whole));
                }
                Filtered::Unchanged => prop_assert_eq!(said(&stored), said(&whole)),
                Filtered::Late => prop_assert!(false, "nothing here is late"),
            }
        }
    }
}
