//! `enforce`, held against the plain validator on generated schemas and entities.

use jsonschema::error::ValidationErrorKind;
use musubi_broker::{Error, SchemaMode};
use musubi_model::Overwrite;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{entity, fragment, key_values, plain, register, session};

const ID: &str = "urn:a:1";

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-3_i64..4).prop_map(Value::from),
        (-3_i32..4).prop_map(|number| json!(f64::from(number))),
        Just(json!(1.5)),
    ]
}

/// What one attribute may have to be.
fn rule() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({ "type": "integer" })),
        Just(json!({ "type": "string", "maxLength": 2 })),
        Just(json!({ "type": ["number", "array"] })),
        Just(json!({ "type": "object", "required": ["ja"] })),
        number().prop_map(|limit| json!({ "minimum": limit })),
        Just(json!({ "enum": ["x", 1, "open"] })),
        Just(json!({ "items": { "type": "integer" }, "maxItems": 2 })),
        Just(json!({ "format": "date-time" })),
        Just(json!({ "pattern": "^[a-z]+$" })),
        Just(json!(false)),
        Just(json!({ "$ref": "#/$defs/shared" })),
    ];
    leaf.prop_recursive(2, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, two)| json!({ "anyOf": [one, two] })),
            (inner.clone(), inner.clone()).prop_map(|(one, two)| json!({ "allOf": [one, two] })),
            inner.prop_map(|one| json!({ "not": one })),
        ]
    })
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(vec!["a", "b", "c"], 0..=3)
}

fn schema() -> impl Strategy<Value = Value> {
    let rules = (rule(), rule(), rule());
    let more = prop_oneof![
        4 => Just(json!({})),
        1 => Just(json!({ "additionalProperties": false })),
        1 => Just(json!({ "if": { "required": ["a"] }, "then": { "required": ["b"] } })),
        1 => Just(json!({ "dependentRequired": { "a": ["c"] } })),
        1 => Just(json!({ "properties": { "type": { "const": "Thing" } } })),
    ];
    (rules, names(), names(), rule(), more).prop_map(|(rules, which, required, shared, more)| {
        let all = [("a", rules.0), ("b", rules.1), ("c", rules.2)];
        let mut properties: Value = all
            .into_iter()
            .filter(|(name, _)| which.contains(name))
            .map(|(name, rule)| (name.to_owned(), rule))
            .collect();
        properties["id"] = json!(true);
        properties["type"] = json!({ "type": "string" });
        let leaf = if shared.to_string().contains("$ref") { json!({}) } else { shared };
        let mut schema =
            json!({ "properties": properties, "required": required, "$defs": { "shared": leaf } });
        for (keyword, value) in more.as_object().unwrap() {
            schema[keyword] = value.clone();
        }
        schema
    })
}

fn attribute() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        number(),
        Just(json!("x")),
        Just(json!("long text")),
        Just(json!("2026-06-01T09:00:00Z")),
        Just(json!([1, 2.0])),
        Just(json!(["x", 1])),
        Just(json!({ "ja": 1 })),
        Just(json!(true)),
    ];
    prop_oneof![
        6 => value.clone().prop_map(|value| json!({ "type": "Property", "value": value })),
        1 => Just(json!({ "type": "LanguageProperty", "languageMap": { "ja": "x", "en": "y" } })),
        1 => Just(json!({ "type": "Relationship", "object": "urn:a:2" })),
        1 => Just(json!({ "type": "VocabProperty", "vocab": "open" })),
        1 => Just(json!({ "type": "VocabProperty", "vocab": ["open", "x"] })),
        1 => value.prop_map(|value| json!({ "type": "JsonProperty", "json": { "ja": value } })),
        1 => Just(json!({ "type": "ListProperty", "valueList": [1, 2] })),
        1 => number().prop_map(|value| json!({
            "type": "Property", "value": value, "unitCode": "MTR", "b": { "type": "Property", "value": 1 }
        })),
    ]
}

fn body() -> impl Strategy<Value = Value> {
    (names(), attribute(), attribute(), attribute()).prop_map(|(which, a, b, c)| {
        let mut body = json!({ "id": ID, "type": "Thing" });
        for (name, attribute) in [("a", a), ("b", b), ("c", c)] {
            if which.contains(&name) {
                body[name] = attribute;
            }
        }
        body
    })
}

fn check<S: Strategy>(cases: u32, inputs: &S, test: impl Fn(&Runtime, S::Value)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(inputs, |input| {
            test(&runtime, input);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_creation_is_accepted_if_the_plain_validator_accepts_the_simplified_entity() {
    check(400, &(schema(), body()), |runtime, (schema, body)| {
        runtime.block_on(async {
            let free = session();
            free.create_entity(fragment(&body)).await.unwrap();
            let simplified = key_values(&entity(&free, ID).await.unwrap());
            let expected = plain(&schema).is_valid(&simplified);

            let session = session();
            register(&session, SchemaMode::Enforce, &schema).await;
            match session.create_entity(fragment(&body)).await {
                Ok(_) => assert!(expected, "{schema} let {simplified} through"),
                Err(Error::BadRequestData(_)) => {
                    assert!(!expected, "{schema} refused {simplified}");
                    assert!(entity(&session, ID).await.is_none());
                }
                Err(error) => panic!("{error}"),
            }
        });
    });
}

#[test]
fn a_replacement_is_accepted_if_the_plain_validator_accepts_the_simplified_entity() {
    check(200, &(schema(), body(), body()), |runtime, (schema, old, new)| {
        runtime.block_on(async {
            let free = session();
            free.create_entity(fragment(&new)).await.unwrap();
            let simplified = key_values(&entity(&free, ID).await.unwrap());
            let expected = plain(&schema).is_valid(&simplified);

            let session = session();
            session.create_entity(fragment(&old)).await.unwrap();
            register(&session, SchemaMode::Enforce, &schema).await;
            let id = ID.parse().unwrap();
            let done = session.replace_entity(&id, None, fragment(&new)).await;
            assert_eq!(done.is_ok(), expected, "{schema} of {simplified}: {done:?}");
        });
    });
}

#[test]
fn a_part_is_accepted_if_the_plain_validator_misses_only_what_is_missing() {
    check(400, &(schema(), body(), body()), |runtime, (schema, old, part)| {
        runtime.block_on(async {
            let plain = plain(&schema);
            let missing_alone = |entity: &Value| {
                plain.iter_errors(entity).all(|error| {
                    let is_required = matches!(error.kind(), ValidationErrorKind::Required { .. });
                    is_required && error.instance_path().is_empty()
                })
            };
            let session = session();
            session.create_entity(fragment(&old)).await.unwrap();
            let before = key_values(&entity(&session, ID).await.unwrap());
            if !missing_alone(&before) {
                return;
            }
            let free = crate::support::session();
            free.create_entity(fragment(&old)).await.unwrap();
            let id = ID.parse().unwrap();
            free.append_attributes(&id, None, fragment(&part), Overwrite::Yes).await.unwrap();
            let after = key_values(&entity(&free, ID).await.unwrap());
            let expected = missing_alone(&after);

            register(&session, SchemaMode::Enforce, &schema).await;
            let done = session.append_attributes(&id, None, fragment(&part), Overwrite::Yes).await;
            assert_eq!(done.is_ok(), expected, "{schema}: {before} to {after}: {done:?}");
            let kept = key_values(&entity(&session, ID).await.unwrap());
            assert_eq!(kept, if expected { after } else { before });
        });
    });
}

#[tokio::test]
async fn every_instance_of_an_attribute_is_checked() {
    let session = session();
    let schema = json!({ "properties": { "a": { "maximum": 5 } } });
    register(&session, SchemaMode::Enforce, &schema).await;
    let of = |last: i64| {
        json!({
            "id": ID, "type": "Thing",
            "a": [
                { "type": "Property", "value": 1 },
                { "type": "Property", "value": 2, "datasetId": "urn:d:1" },
                { "type": "Property", "value": last, "datasetId": "urn:d:2" }
            ]
        })
    };
    let error = session.create_entity(fragment(&of(7))).await.unwrap_err();
    assert!(error.to_string().contains("7 is greater than the maximum of 5"), "{error}");
    session.create_entity(fragment(&of(5))).await.unwrap();
}
