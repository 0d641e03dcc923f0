use musubi_model::{AttributeType, JsonError, Limits, Timestamp};
use proptest::prelude::*;
use serde_json::{Value as Body, json};

use super::*;
use crate::generated;

fn with<T>(
    body: &Body,
    expand: impl FnOnce(&Node<'_>, &Context) -> Result<T, InvalidBody>,
) -> Result<T, InvalidBody> {
    let text = body.to_string();
    let node: Result<Node<'_>, JsonError> = Node::parse(&text, Limits::default());
    expand(&node.unwrap(), &Context::core())
}

/// The instances of an attribute of this name.
fn records(name: &str, attribute: &Body) -> Result<Vec<RecordFragment>, InvalidBody> {
    let body = json!({"id": "urn:ngsi-ld:T:1", "type": "T", name: attribute});
    let fragment = with(&body, expand_temporal)?;
    Ok(fragment.attributes.into_iter().flat_map(|(_, records)| records).collect())
}

fn typed(record: &RecordFragment) -> (AttributeType, Body) {
    match &record.instance.value {
        Some(FragmentValue::Typed(value)) => (value.kind, value.json.to_value()),
        other => panic!("{other:?}"),
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[track_caller]
fn refused(name: &str, given: &Body, at: &str) {
    match records(name, given) {
        Err(error) => assert_eq!(error.at, at, "{given}: {error}"),
        Ok(records) => panic!("{given}: {records:?}"),
    }
}

#[test]
fn an_attribute_has_instances_of_the_same_data_set_and_time() {
    let [a, b] = ["2020-09-01T12:03:00Z", "2020-09-01T12:05:00Z"];
    let given = json!([
        {"type": "Property", "value": 120, "observedAt": a},
        {"value": 80, "observedAt": b, "datasetId": "urn:d:1"},
        {"value": 81, "observedAt": b, "datasetId": "urn:d:1", "instanceId": "urn:x:1"},
    ]);
    let found = records("speed", &given).unwrap();
    let values: Vec<Body> = found.iter().map(|record| typed(record).1).collect();
    assert_eq!(values, [json!(120), json!(80), json!(81)]);
    assert_eq!(found[0].instance.observed_at, Patch::Set(time(a)));
    assert_eq!(found[2].instance.dataset_id, Some("urn:d:1".parse().unwrap()));
    assert!(found.iter().all(|record| record.deleted_at.is_none()));
}

#[test]
fn an_attribute_may_be_one_instance_or_a_value() {
    for (given, kind, value) in [
        (json!({"value": 5}), AttributeType::Property, json!(5)),
        (json!(5), AttributeType::Property, json!(5)),
        (json!({"a": 5}), AttributeType::Property, json!({"a": 5})),
        (json!([{"object": "urn:a:1"}]), AttributeType::Relationship, json!("urn:a:1")),
        (json!([{"json": {"a": 1}}]), AttributeType::JsonProperty, json!({"a": 1})),
        (json!([{"vocab": "urn:v:1"}]), AttributeType::VocabProperty, json!("urn:v:1")),
        (json!([{"valueList": [1, 1]}]), AttributeType::ListProperty, json!([1, 1])),
        (json!([{"objectList": ["urn:a:1"]}]), AttributeType::ListRelationship, json!(["urn:a:1"])),
        (
            json!([{"languageMap": {"ja": "避難所"}}]),
            AttributeType::LanguageProperty,
            json!({"ja": "避難所"}),
        ),
        (
            json!([{"type": "Point", "coordinates": [1, 2]}]),
            AttributeType::GeoProperty,
            json!({"type": "Point", "coordinates": [1, 2]}),
        ),
    ] {
        let found = records("a", &given).unwrap();
        assert_eq!(found.len(), 1, "{given}");
        assert_eq!(typed(&found[0]), (kind, value), "{given}");
    }
    assert_eq!(records("a", &json!([])).unwrap(), []);
}

#[test]
fn a_null_tells_that_an_instance_of_that_kind_was_deleted() {
    let at = "2024-12-09T17:16:12.031483Z";
    for (given, kind) in [
        (json!({"value": NULL, "deletedAt": at}), AttributeType::Property),
        (json!({"object": NULL, "deletedAt": at}), AttributeType::Relationship),
        (json!({"languageMap": {"@none": NULL}, "deletedAt": at}), AttributeType::LanguageProperty),
        (json!({"type": "VocabProperty", "vocab": NULL}), AttributeType::VocabProperty),
        (json!({"json": NULL}), AttributeType::JsonProperty),
        (json!({"valueList": [NULL]}), AttributeType::ListProperty),
        (json!({"objectList": NULL}), AttributeType::ListRelationship),
        (json!({"type": "GeoProperty", "value": NULL}), AttributeType::GeoProperty),
    ] {
        let found = records("a", &json!([given])).unwrap();
        assert_eq!(typed(&found[0]), (kind, json!(NULL)), "{given}");
        let told = given.get("deletedAt").map(|_| time(at));
        assert_eq!(found[0].deleted_at, told, "{given}");
    }
    // What was not deleted was not deleted at any time, whatever the body says.
    let found = records("a", &json!([{"value": 1, "deletedAt": at}])).unwrap();
    assert_eq!(found[0].deleted_at, None);
    refused("a", &json!([{"value": NULL, "deletedAt": "yesterday"}]), "/a/0/deletedAt");
}

#[test]
fn a_null_has_no_other_place() {
    refused("expiresAt", &json!(NULL), "/expiresAt");
    refused("a", &json!([{"value": 1, "observedAt": NULL}]), "/a/0/observedAt");
    refused("a", &json!([{"value": 1, "b": {"value": NULL}}]), "/a/0/b/value");
    refused("a", &json!([{"value": 1, "b": NULL}]), "/a/0/b");
    refused("a", &json!([{"value": null}]), "/a/0/value");
}

#[test]
fn every_instance_is_a_whole_one() {
    refused("a", &json!([1, 2]), "/a/0");
    refused("a", &json!([{"value": 1}, 2]), "/a/1");
    refused("a", &json!([{"observedAt": "2020-09-01T12:03:00Z"}]), "/a/0");
    refused("a", &json!([{"type": "Property"}]), "/a/0");
    refused("a", &json!([{"type": "Relationship", "value": 5}]), "/a/0/value");
    refused("a", &json!([{"value": 1, "observedAt": "2020-09-01"}]), "/a/0/observedAt");
    refused("location", &json!([{"value": 1}]), "/location/0");
    refused("observedAt", &json!([{"value": 1}]), "/observedAt");
}

#[test]
fn scopes_are_plain_or_a_property_over_time() {
    let at = "2026-03-01T10:00:00Z";
    let check = |given: Body, expected: &[Body]| {
        let found = records("scope", &given).unwrap();
        let values: Vec<Body> = found.iter().map(|record| typed(record).1).collect();
        assert_eq!(values, expected, "{given}");
    };
    check(json!("/A/B"), &[json!("/A/B")]);
    check(json!("A"), &[json!("/A")]);
    check(json!(["/A", "/B", "/A"]), &[json!(["/A", "/B"])]);
    check(json!([]), &[]);
    check(json!([{"type": "Property", "value": "/A", "observedAt": at}]), &[json!("/A")]);
    check(json!({"value": ["/A", "/B"]}), &[json!(["/A", "/B"])]);
    check(
        json!([{"value": "/A", "observedAt": at}, {"value": [], "deletedAt": at}]),
        &[json!("/A"), json!(NULL)],
    );
    let found = records("scope", &json!([{"value": NULL, "deletedAt": at}])).unwrap();
    assert_eq!(found[0].deleted_at, Some(time(at)));
    refused("scope", &json!(5), "/scope");
    refused("scope", &json!(["/A", 5]), "/scope/1");
    refused("scope", &json!(["/A", {"value": "/B"}]), "/scope/0");
    refused("scope", &json!([{"value": "a b"}]), "/scope/0/value");
    refused("scope", &json!([{"observedAt": at}]), "/scope/0");
    refused("scope", &json!([{"value": "/A", "unitCode": "CEL"}]), "/scope/0/unitCode");
    refused("scope", &json!([{"type": "Relationship", "value": "/A"}]), "/scope/0/type");
    refused("scope", &json!([{"value": "/A", "observedAt": NULL}]), "/scope/0/observedAt");
}

#[test]
fn an_evolution_has_an_id_and_a_type_and_each_attribute_once() {
    let refused = |body: Body, at: &str| {
        let error = with(&body, expand_temporal).unwrap_err();
        assert_eq!(error.at, at, "{body}: {error}");
    };
    refused(json!({"type": "T"}), "/");
    refused(json!({"id": "urn:a:1"}), "/");
    refused(json!({"id": "", "type": "T"}), "/id");
    refused(json!({"id": "invalidId", "type": "T"}), "/id");
    refused(json!({"id": "urn:a:1", "@id": "urn:a:1", "type": "T"}), "/@id");
    refused(json!({"id": "urn:a:1", "type": "T", "@type": "T"}), "/@type");
    let twice = json!({"a": 1, "https://uri.etsi.org/ngsi-ld/default-context/a": 2, "type": "T", "id": "urn:a:1"});
    refused(twice, "/");
    let part = with(&json!({"a": [{"value": 1}]}), expand_temporal_fragment).unwrap();
    assert_eq!((part.id, part.types.len(), part.attributes.len()), (None, 0, 1));
}

#[test]
fn a_request_has_no_more_instances_than_it_may() {
    let most = EvolutionFragment::MAX_INSTANCES;
    let body = |count: usize| json!({"a": vec![json!({"value": 1}); count - 1], "b": 1});
    assert!(with(&body(most), expand_temporal_fragment).is_ok());
    let error = with(&body(most + 1), expand_temporal_fragment).unwrap_err();
    assert_eq!(error.at, "/b", "{error}");
}

#[test]
fn one_instance_is_corrected() {
    let name: AttrName = Context::core().attribute("speed").unwrap();
    let expand = |body: &Body| with(body, |node, context| expand_record(&name, node, context));
    for body in [
        json!({"type": "Property", "value": 129}),
        json!([{"value": 129}]),
        json!({"speed": [{"value": 129}]}),
        json!({"speed": {"value": 129, "instanceId": "urn:x:1"}}),
    ] {
        let record = expand(&body).unwrap();
        assert_eq!(typed(&record), (AttributeType::Property, json!(129)), "{body}");
    }
    for (body, at) in [
        (json!([]), "/"),
        (json!([{"value": 1}, {"value": 2}]), "/"),
        (json!({}), "/"),
        (json!({"observedAt": "2020-09-01T12:03:00Z"}), "/"),
        (json!({"speed": [{"value": 1}, {"value": 2}]}), "/speed"),
        (json!({"speed": 5}), "/speed"),
        (json!({"other": [{"value": 1}]}), "/"),
        (json!([5]), "/0"),
    ] {
        let error = expand(&body).unwrap_err();
        assert_eq!(error.at, at, "{body}: {error}");
    }
    let scope = SCOPE.parse().unwrap();
    let body = json!({"value": "/A"});
    let record = with(&body, |node, context| expand_record(&scope, node, context)).unwrap();
    assert_eq!(typed(&record), (AttributeType::Property, json!("/A")));
}

proptest! {
    #[test]
    fn expansion_survives_any_body(body in generated::body()) {
        for expand in [expand_temporal, expand_temporal_fragment] {
            if let Err(error) = with(&body, expand) {
                prop_assert!(error.at.starts_with('/') && !error.reason.is_empty());
            }
        }
        for name in ["urn:a", SCOPE] {
            let name = name.parse().unwrap();
            let _ = with(&body, |node, context| expand_record(&name, node, context));
        }
        let _ = with(&json!({ "scope": body }), expand_temporal_fragment);
    }
}
