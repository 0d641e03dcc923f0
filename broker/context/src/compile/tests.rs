use serde_json::json;

use super::*;
use crate::Coercion;
use crate::core_context::CORE;

fn compiled(context: &Value) -> Result<Table, ContextError> {
    compile_alone(context, &CORE)
}

fn iri(context: &Value, term: &str) -> Option<String> {
    let table = compiled(context).unwrap();
    table.term(term)?.iri().map(ToString::to_string)
}

fn refused(context: &Value, said: &str) {
    match compiled(context) {
        Err(ContextError::Invalid(reason)) => assert!(reason.contains(said), "{context}: {reason}"),
        other => panic!("{context}: {other:?}"),
    }
}

#[test]
fn a_term_without_an_id_is_a_compact_iri_or_of_the_vocabulary() {
    for (context, term, expected) in [
        (json!({"@vocab": "https://v.example/", "a": {}}), "a", "https://v.example/a"),
        (json!({"@vocab": "https://v.example/", "a/b": {}}), "a/b", "https://v.example/a/b"),
        (json!({"@vocab": "https://v.example/", "a:": {}}), "a:", "a:"),
        (json!({"ex": "https://e.example/", "ex:a": {}}), "ex:a", "https://e.example/a"),
        // A compact IRI as a term counts with any term before its colon.
        (json!({"no": {"@id": "urn:no:"}, "no:a": {"@type": "@id"}}), "no:a", "urn:no:a"),
        (json!({"urn:x:y": {"@type": "@id"}}), "urn:x:y", "urn:x:y"),
        (json!({"a": "a"}), "a", "https://uri.etsi.org/ngsi-ld/default-context/a"),
    ] {
        assert_eq!(iri(&context, term).as_deref(), Some(expected), "{context}");
    }
    refused(&json!({"@vocab": null, "a": {}}), "no @vocab");
    refused(&json!({"@vocab": null, "a/b": {}}), "no @vocab");
    refused(&json!({"ex": null, "ex:a": {}}), "no IRI");
}

#[test]
fn a_vocabulary_may_be_made_of_what_is_there() {
    for (context, expected) in [
        (
            json!([{"ex": "https://e.example/"}, {"@vocab": "ex:ns#", "a": {}}]),
            "https://e.example/ns#a",
        ),
        (json!([{"ex": "https://e.example/"}, {"@vocab": "ex", "a": {}}]), "https://e.example/a"),
        (
            json!([{"@vocab": "https://e.example/"}, {"@vocab": "sub/", "a": {}}]),
            "https://e.example/sub/a",
        ),
    ] {
        assert_eq!(iri(&context, "a").as_deref(), Some(expected), "{context}");
    }
    for vocab in [json!("_:b"), json!("@type"), json!("type"), json!(5)] {
        refused(&json!({"@vocab": vocab}), "@vocab");
    }
}

#[test]
fn a_text_without_a_scheme_belongs_to_the_vocabulary_whatever_its_colons() {
    let vocab = json!({"@vocab": "https://v.example/", "a": "12:30", "b": "x_y:z", "c": ":d"});
    for (term, expected) in [
        ("a", "https://v.example/12:30"),
        ("b", "https://v.example/x_y:z"),
        ("c", "https://v.example/:d"),
    ] {
        assert_eq!(iri(&vocab, term).as_deref(), Some(expected));
    }
}

#[test]
fn types_are_looked_up_before_they_are_judged() {
    let context = json!({
        "id2": "@id",
        "a": {"@id": "urn:a", "@type": "id2"},
        "b": {"@id": "urn:b", "@type": "vocab2"}, "vocab2": "@vocab",
        "c": {"@id": "urn:c", "@container": "@type"},
        "d": {"@id": "urn:d", "@type": "@none"}
    });
    let table = compiled(&context).unwrap();
    let coercion = |term: &str| table.term(term).and_then(|term| term.coercion.clone());
    assert_eq!(coercion("a"), Some(Coercion::Id));
    assert_eq!(coercion("b"), Some(Coercion::Vocab));
    assert_eq!(coercion("c"), Some(Coercion::Id));
    assert_eq!(coercion("d"), None);
    for coercion in ["@future", "@type", "_:b", "type"] {
        refused(&json!({"a": {"@id": "urn:a", "@type": coercion}}), "@type");
    }
    let by_type =
        |coercion: &str| json!({"a": {"@id": "urn:a", "@container": "@type", "@type": coercion}});
    refused(&by_type("@json"), "@type");
    assert!(compiled(&by_type("@vocab")).is_ok());
}

#[test]
fn what_is_protected_stays() {
    let protected = json!({"@protected": true, "a": {"@id": "urn:a", "@container": "@set"}});
    let both = |second: Value| json!([protected, second]);
    for same in [json!({"a": {"@id": "urn:a", "@container": ["@set"]}}), json!({"b": "urn:b"})] {
        assert_eq!(iri(&both(same), "a").as_deref(), Some("urn:a"));
    }
    for other in [
        json!({"a": "urn:b"}),
        json!({"a": "urn:a"}),
        json!({"a": null}),
        json!({"a": {"@id": "urn:a", "@container": "@set", "@type": "@id"}}),
        json!({"a": {"@id": "urn:a", "@container": "@set", "@language": "ja"}}),
    ] {
        refused(&both(other), "protected");
    }
    refused(&both(Value::Null), "protected");
    let apart = json!([{"@protected": true, "a": {"@id": "urn:a", "@protected": false}}, null]);
    assert!(compiled(&apart).is_ok());
    let one = json!([{"a": {"@id": "urn:a", "@protected": true}, "b": "urn:b"}, {"b": "urn:c"}]);
    assert_eq!(iri(&one, "b").as_deref(), Some("urn:c"));
    // No context protects a term against the core, which a copy of an older core would try.
    let core = json!([{"@protected": true, "type": "@type", "location": "urn:l"}, null, {"location": "urn:m"}]);
    assert!(compiled(&core).is_ok());
}

#[test]
fn a_definition_that_is_to_be_ignored_takes_the_earlier_one_away() {
    let context = json!([{"a": "urn:a"}, {"a": "@future"}]);
    assert!(compiled(&context).unwrap().term("a").is_none());
}

#[test]
fn what_changes_nothing_has_to_be_valid_all_the_same() {
    for header in [
        json!({"@base": null, "@language": null, "@direction": null, "@propagate": true}),
        json!({"@base": "https://b.example/", "@language": "ja", "@direction": "rtl"}),
        json!({"@protected": false, "@version": 1.1}),
        json!({"@type": {"@container": "@set", "@protected": true}}),
        json!({"a": {"@id": "urn:a", "@language": "ja", "@direction": "ltr", "@nest": "@nest"}}),
        json!({"a": {"@id": "urn:a", "@container": "@index", "@index": "urn:i"}}),
    ] {
        assert!(compiled(&header).is_ok(), "{header}");
    }
    let of = |member: &str, value: Value| json!({"a": {"@id": "urn:a", member: value}});
    for (context, said) in [
        (json!({"@base": 5}), "@base"),
        (json!({"@language": []}), "@language"),
        (json!({"@direction": "up"}), "@direction"),
        (json!({"@propagate": false}), "@propagate"),
        (json!({"@propagate": "no"}), "@propagate"),
        (json!({"@protected": 1}), "@protected"),
        (json!({"@version": "1.1"}), "@version"),
        (json!({"@type": "urn:type"}), "@type"),
        (json!({"@type": {}}), "@type"),
        (json!({"@type": {"@container": "@list"}}), "@type"),
        (json!({"@value": {"@container": "@set"}}), "@value"),
        (of("@language", json!(5)), "@language"),
        (of("@direction", json!("up")), "@direction"),
        (of("@nest", json!("@id")), "@nest"),
        (of("@protected", json!("yes")), "@protected"),
        (of("@index", json!("urn:i")), "@index"),
        (of("@container", json!(["@list", "@set"])), "@container"),
        (json!({"a": {"@id": "@type", "@prefix": true}}), "prefix"),
        (json!({"ex": "urn:x:", "ex:a": {"@prefix": false}}), "@prefix"),
    ] {
        refused(&context, said);
    }
}
