//! Where NGSI-LD says something else than JSON-LD, or less, and what we do there.

use serde_json::{Value, json};

use crate::ours::{compiled, expanded, rendered};
use crate::reference;

fn body(name: &str, attribute: &Value) -> Value {
    json!({"id": "urn:ngsi-ld:T:1", "type": "T", name: attribute})
}

/// The normalized representation of a body, in the context of the body.
fn turned(context: &Value, body: &Value) -> Result<Value, String> {
    let context = compiled(context).map_err(|error| error.to_string())?;
    expanded(body, &context).map(|fragment| rendered(fragment, &context))
}

/// A body that comes back as it was, though the crate finds something else in it.
fn stays(context: &Value, body: &Value, at: &str, found: &Value) {
    assert_eq!(turned(context, body).as_ref(), Ok(body), "{context}");
    let theirs = reference::expand(context, body).unwrap();
    assert_eq!(theirs.pointer(at), Some(found), "{theirs}");
}

fn refused(context: &Value, body: &Value, reason: &str) {
    let error = turned(context, body).unwrap_err();
    assert!(error.contains(reason), "{context} {body}: {error}");
}

/// CIM 009, clauses 4.5.1 to 4.5.5: identifiers, targets and data sets are URIs. Terms are names
/// of types and attributes and values of a vocabulary (clause 5.5.7), so nothing is expanded here;
/// an id in the path of a request has no context either.
#[test]
fn identifiers_are_never_compact() {
    let context = json!({"ex": "https://e.example/"});
    let mut body = body("a", &json!({"type": "Relationship", "object": "ex:2"}));
    body["id"] = json!("ex:1");
    stays(&context, &body, "/@id", &json!("https://e.example/1"));
}

/// CIM 009, clause 4.5.1: an entity has a URI, so there is nothing to resolve against `@base`.
#[test]
fn identifiers_are_never_relative() {
    let context = json!({"@base": "https://e.example/"});
    let mut body = body("a", &json!({"type": "Property", "value": 1}));
    body["id"] = json!("thing");
    refused(&context, &body, "/id");
    assert!(reference::expand(&context, &body).is_ok());
}

/// CIM 009, clause 4.5.2: the value of a Property is JSON. JSON-LD takes an object in it for a
/// node, drops its nulls, merges its arrays and expands its keys; we keep what came.
#[test]
fn the_value_of_a_property_is_data() {
    let context = json!({"b": "https://e.example/b", "gone": null});
    let value = json!({"b": [[1, null], []], "gone": 1, "c": null});
    stays(
        &context,
        &body("a", &json!({"type": "Property", "value": value})),
        "/https:~1~1uri.etsi.org~1ngsi-ld~1default-context~1a/0/https:~1~1uri.etsi.org~1ngsi-ld~1hasValue/0",
        &json!({"https://e.example/b": [{"@value": 1}]}),
    );
}

/// CIM 009, clause 4.5.18: the language of a text is that of its key in a language map. A
/// `@language` of the context says it of every text, codes and times included.
#[test]
fn a_context_gives_no_language_to_a_text() {
    let at = "/https:~1~1uri.etsi.org~1ngsi-ld~1default-context~1a/0/https:~1~1uri.etsi.org~1ngsi-ld~1hasValue/0";
    stays(
        &json!({"@language": "ja"}),
        &body("a", &json!({"type": "Property", "value": "x"})),
        at,
        &json!({"@language": "ja", "@value": "x"}),
    );
}

/// JSON-LD 1.1 API, clause 4.1.2, step 5.8.3: a vocabulary is an IRI once it has been expanded. One
/// that is relative and stands after none is relative to nothing; the crate keeps it.
#[test]
fn a_vocabulary_relative_to_nothing_is_refused() {
    let context = json!([{"@vocab": null}, {"@vocab": "#"}]);
    let error = compiled(&context).unwrap_err();
    assert!(error.to_string().contains("@vocab is no IRI"), "{error}");
    assert!(reference::should_refuse(&error), "{error}");
    assert!(reference::texts(&context, &["speed"]).is_ok());
    assert!(compiled(&json!([{"@vocab": "https://e.example/"}, {"@vocab": "#"}])).is_ok());
}

/// CIM 009, clause 5.5.7: a context does not reshape the elements of NGSI-LD. A container or type
/// that JSON-LD would find in the members of an attribute changes nothing.
#[test]
fn a_context_does_not_reshape_an_attribute() {
    let attribute = json!({"type": "Property", "value": "x", "unitCode": "CEL"});
    for definition in [
        json!({"@container": "@index"}),
        json!({"@container": "@graph"}),
        json!({"@container": "@id"}),
        json!({"@container": ["@graph", "@id"]}),
        json!({"@type": "@json"}),
    ] {
        let context = json!({"@vocab": "https://e.example/", "a": definition});
        let body = body("a", &attribute);
        assert_eq!(turned(&context, &body), Ok(body), "{context}");
    }
}

/// CIM 009, clause 5.5.7: scoped contexts are not for users, and what could reshape an element in
/// other ways is refused for the same reason.
#[test]
fn what_reshapes_is_refused() {
    let body = body("a", &json!({"type": "Property", "value": 1}));
    let id = "https://e.example/a";
    for (context, reason) in [
        (json!({"a": {"@id": id, "@context": {}}}), "scoped"),
        (json!({"a": {"@id": id, "@context": null}}), "scoped"),
        (json!({"a": {"@reverse": id}}), "@reverse"),
        (json!({"@propagate": false}), "@propagate"),
    ] {
        refused(&context, &body, reason);
        assert!(reference::expand(&context, &body).is_ok(), "{context}");
    }
    refused(&json!({"@import": id}), &body, "@import");
    for member in ["@graph", "@included", "@reverse", "@nest", "@index"] {
        let mut body = body.clone();
        body[member] = json!({});
        refused(&json!({}), &body, "keyword");
    }
    let nested = json!({"type": "Property", "value": 1, "@context": {"b": "urn:b"}});
    let mut body = body.clone();
    body["a"] = nested;
    refused(&json!({}), &body, "@context of its own");
}

/// CIM 009, clause 5.5.4: data that the context cannot read is an error. JSON-LD drops a member
/// of which the term stands for nothing; then a 201 would acknowledge what is not there.
#[test]
fn what_cannot_be_read_is_refused_and_not_dropped() {
    let context = json!({"gone": null});
    let property = json!({"type": "Property", "value": 1});
    let theirs = reference::expand(&context, &body("gone", &property)).unwrap();
    assert_eq!(theirs.as_object().unwrap().len(), 2, "{theirs}");
    refused(&context, &body("gone", &property), "out of use");
    refused(&context, &body("@future", &property), "is no name");
    let vocab = json!({"type": "VocabProperty", "vocab": "gone"});
    refused(&context, &body("a", &vocab), "does not expand");
}

/// CIM 009, clause 4.5.5: of two values of one attribute each has a data set of its own. JSON-LD
/// puts two members together whose terms mean the same.
#[test]
fn two_terms_of_one_attribute_are_one_too_many() {
    let context = json!({"b": "https://uri.etsi.org/ngsi-ld/default-context/a"});
    let property = json!({"type": "Property", "value": 1});
    let mut body = body("a", &property);
    body["b"] = property;
    assert!(reference::expand(&context, &body).is_ok());
    refused(&context, &body, "given twice");
}

/// CIM 009, clause 5.5.7: the core has absolute precedence, so it wins over a term that a context
/// protects, where JSON-LD calls that an error.
#[test]
fn the_core_wins_over_a_protected_term() {
    let context = json!({"@protected": true, "location": "https://e.example/location"});
    let point = json!({"type": "Point", "coordinates": [1, 2]});
    let body = body("location", &json!({"type": "GeoProperty", "value": point}));
    assert_eq!(turned(&context, &body), Ok(body.clone()));
    assert!(reference::expand(&context, &body).is_err());
    let iri = compiled(&context).unwrap().expand("location").into_owned();
    assert_eq!(iri, "https://uri.etsi.org/ngsi-ld/location");
}

/// JSON-LD 1.1 API, clause 5.2.2: what stands before the first colon may be any term. Here we are
/// with JSON-LD, and the crate is not: it wants the scheme of an IRI.
#[test]
fn a_prefix_may_be_of_any_script() {
    let context = compiled(&json!({"気温": "https://e.example/"})).unwrap();
    assert_eq!(context.expand("気温:x"), "https://e.example/x");
    assert_eq!(context.compact("https://e.example/x"), "気温:x");
}
