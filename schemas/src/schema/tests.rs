use serde_json::json;

use super::*;

#[track_caller]
fn refused(document: &Value, at: &str, reason: &str) {
    let error = Schema::compile(document.clone()).unwrap_err();
    assert_eq!(error.at, at, "{error} of {document}");
    assert!(error.reason.contains(reason), "{error} of {document}");
}

#[track_caller]
fn schema(document: Value) -> Schema {
    Schema::compile(document).unwrap()
}

fn reasons(schema: &Schema, entity: &Value) -> Vec<(Option<String>, String)> {
    schema.violations(entity).map(|violation| (violation.attribute, violation.reason)).collect()
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    refused(&json!(true), "/", "object");
    refused(&json!([]), "/", "object");
    refused(&json!({ "type": "strng" }), "/type", "strng");
    refused(
        &json!({ "properties": { "a/b": { "minimum": "1" } } }),
        "/properties/a~1b/minimum",
        "1",
    );
    refused(&json!({ "required": "a" }), "/required", "array");
    refused(
        &json!({ "$schema": "http://json-schema.org/draft-07/schema#" }),
        "/$schema",
        "2020-12",
    );
    refused(&json!({ "pattern": "(" }), "/pattern", "regex");
}

#[test]
fn a_schema_may_name_its_dialect() {
    schema(json!({ "$schema": "https://json-schema.org/draft/2020-12/schema" }));
    schema(json!({ "$schema": "https://json-schema.org/draft/2020-12/schema#" }));
    schema(json!({}));
}

#[test]
fn a_schema_that_is_too_long_is_refused() {
    let long = "x".repeat(Schema::MAX_BYTES);
    refused(&json!({ "description": long }), "/", "bytes");
}

#[test]
fn nothing_is_fetched() {
    for reference in [
        "https://example.org/schema.json",
        "http://127.0.0.1:1/schema.json#/$defs/a",
        "file:///etc/passwd",
        "other.json",
        "#/$defs/missing",
        "#missing",
        "urn:musubi:schema:Unknown:1",
        "",
    ] {
        let document = json!({ "properties": { "a": { "$ref": reference } } });
        let result = Schema::compile(document.clone());
        assert!(result.is_err(), "{document}");
    }
}

#[test]
fn a_reference_to_something_else_is_refused_with_its_place() {
    let hint = "put it under $defs";
    refused(&json!({ "$ref": "https://example.org/x#/a" }), "/$ref", hint);
    refused(&json!({ "anyOf": [{}, { "$ref": "other.json" }] }), "/anyOf/1/$ref", hint);
    refused(&json!({ "items": { "$ref": "#/$defs/a~1b" } }), "/items/$ref", hint);
}

#[test]
fn references_lead_to_what_is_in_the_document() {
    let document = json!({
        "$id": "https://example.jp/schemas/town",
        "properties": {
            "byPointer": { "$ref": "#/$defs/count" },
            "byAnchor": { "$ref": "#number" },
            "byId": { "$ref": "https://example.jp/schemas/level" },
            "byRelativeId": { "$ref": "level" },
            "byModel": { "$ref": "urn:musubi:schema:EvacuationShelter:1#/properties/status" }
        },
        "$defs": {
            "count": { "$anchor": "number", "type": "integer", "minimum": 0 },
            "level": { "$id": "level", "enum": ["low", "high"] }
        }
    });
    let schema = schema(document);
    let good = json!({
        "byPointer": 1, "byAnchor": 2, "byId": "low", "byRelativeId": "high", "byModel": "open"
    });
    assert!(schema.accepts(&good));
    for (name, bad) in [
        ("byPointer", json!(-1)),
        ("byAnchor", json!("2")),
        ("byId", json!("middle")),
        ("byRelativeId", json!(1)),
        ("byModel", json!("ajar")),
    ] {
        let mut entity = good.clone();
        entity[name] = bad;
        let found = reasons(&schema, &entity);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0.as_deref(), Some(name));
    }
}

#[test]
fn a_schema_that_leads_back_to_itself_is_refused() {
    let back = "back to itself";
    refused(&json!({ "$ref": "#" }), "/$ref", back);
    refused(&json!({ "allOf": [{ "$ref": "#" }] }), "/allOf/0/$ref", back);
    refused(&json!({ "properties": { "a": { "$ref": "#" } } }), "/properties/a/$ref", back);
    let mutual = json!({
        "$ref": "#/$defs/a",
        "$defs": { "a": { "items": { "$ref": "#/$defs/b" } }, "b": { "not": { "$ref": "#/$defs/a" } } }
    });
    refused(&mutual, "/$ref/items/$ref/not/$ref", back);
    refused(&json!({ "$dynamicRef": "#a" }), "/$dynamicRef", "not supported");
}

#[test]
fn a_schema_that_doubles_from_step_to_step_is_refused() {
    let mut definitions = serde_json::Map::new();
    for step in 0..40 {
        let next = json!({ "$ref": format!("#/$defs/d{}", step + 1) });
        definitions.insert(format!("d{step}"), json!({ "anyOf": [next.clone(), next] }));
    }
    definitions.insert("d40".to_owned(), json!({ "type": "string" }));
    let document = json!({ "$ref": "#/$defs/d0", "$defs": definitions });
    let error = Schema::compile(document).unwrap_err();
    assert!(error.reason.contains("places"), "{error}");
}

#[test]
fn a_long_chain_of_references_is_refused() {
    let mut definitions = serde_json::Map::new();
    for step in 0..3000 {
        let next = json!({ "$ref": format!("#/$defs/d{}", step + 1) });
        definitions.insert(format!("d{step}"), next);
    }
    definitions.insert("d3000".to_owned(), json!({ "type": "string" }));
    let document = json!({ "$ref": "#/$defs/d0", "$defs": definitions });
    let error = Schema::compile(document).unwrap_err();
    assert!(error.reason.contains("deeper"), "{error}");
}

#[test]
fn patterns_are_those_of_linear_time() {
    let of = |pattern: &str| json!({ "properties": { "a": { "pattern": pattern } } });
    assert!(Schema::compile(of("^[0-9]{3}-[0-9]{4}$")).is_ok());
    // It would take time without end where patterns backtrack.
    let hungry = schema(of("^(a+)+$"));
    let long = format!("{}b", "a".repeat(5000));
    assert!(!hungry.accepts(&json!({ "a": long })));
    assert!(Schema::compile(of("^(?=a)b")).is_err());
    assert!(Schema::compile(of(r"(a)\1")).is_err());
    let many: Vec<Value> =
        (0..=Schema::MAX_PATTERNS).map(|n| json!({ "pattern": format!("a{n}") })).collect();
    let error = Schema::compile(json!({ "allOf": many })).unwrap_err();
    assert!(error.reason.contains("patterns"), "{error}");
}

#[test]
fn a_whole_number_is_an_integer_however_it_is_written() {
    let schema = schema(json!({ "properties": { "a": { "type": "integer" } } }));
    for good in [json!(20), json!(20.0), json!(-3), json!(1e3)] {
        assert!(schema.accepts(&json!({ "a": good })), "{good}");
    }
    assert!(!schema.accepts(&json!({ "a": 20.5 })));
}

#[test]
fn formats_are_checked() {
    let schema = schema(json!({ "properties": { "a": { "format": "date-time" } } }));
    assert!(schema.accepts(&json!({ "a": "2026-06-01T09:00:00+09:00" })));
    assert!(!schema.accepts(&json!({ "a": "yesterday" })));
    assert!(schema.accepts(&json!({ "a": 5 })), "a format is a matter of strings");
}

#[test]
fn a_violation_names_the_attribute_the_place_and_what_was_expected() {
    let schema = schema(json!({
        "description": "A thing.",
        "properties": {
            "level": { "type": "number", "maximum": 60, "description": "How high it is." },
            "address": {
                "description": "Where it is.",
                "properties": { "post/code": { "pattern": "^[0-9]+$" } }
            },
            "name": { "description": "What it is called." }
        },
        "required": ["name"]
    }));
    let entity = json!({ "level": 75, "address": { "post/code": "A" } });
    let found: Vec<Violation> = schema.violations(&entity).collect();
    let of = |attribute: &str| {
        found.iter().find(|one| one.attribute.as_deref() == Some(attribute)).unwrap()
    };
    assert_eq!(found.len(), 3);
    assert_eq!(of("level").reason, "75 is greater than the maximum of 60");
    assert_eq!(of("level").reason_without_value, "the value is greater than the maximum of 60");
    assert_eq!(of("level").description.as_deref(), Some("How high it is."));
    assert_eq!(of("level").inside(), "");
    assert_eq!(of("address").inside(), "/post~1code");
    assert_eq!(of("address").description.as_deref(), Some("Where it is."));
    assert!(of("name").is_missing);
    assert_eq!(of("name").description.as_deref(), Some("What it is called."));
    assert!(!of("level").is_missing);
}

#[test]
fn a_long_value_is_not_shown() {
    let schema = schema(json!({ "properties": { "a": { "type": "number" } } }));
    let long = "secret ".repeat(100);
    let found: Vec<Violation> = schema.violations(&json!({ "a": long })).collect();
    assert!(!found[0].reason.contains("secret"), "{}", found[0].reason);
    assert!(found[0].reason.contains("number"), "{}", found[0].reason);
}

#[test]
fn what_there_is_too_much_of_is_named() {
    let schema = schema(json!({
        "properties": { "a": {} }, "additionalProperties": false
    }));
    let found: Vec<Violation> = schema.violations(&json!({ "a": 1, "b": 2 })).collect();
    assert_eq!(found[0].attribute.as_deref(), Some("b"));
}
