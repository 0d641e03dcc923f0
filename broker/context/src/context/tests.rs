use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::generated;

fn context(document: &Value) -> Context {
    compiled(document).unwrap()
}

fn compiled(document: &Value) -> Result<Context, ContextError> {
    let document = document.to_string();
    Context::from_source(&ContextSource { url: None, member: document.clone(), document })
}

fn check(context: &Context, pairs: &[(&str, &str)]) {
    for (term, iri) in pairs {
        assert_eq!(context.expand(term), *iri, "{term}");
        assert_eq!(context.compact(iri), *term, "{iri}");
    }
}

const DEFAULT: &str = "https://uri.etsi.org/ngsi-ld/default-context/";

#[test]
fn the_core_context_gives_its_terms_and_the_default_vocabulary() {
    let core = Context::core();
    check(
        &core,
        &[
            ("location", "https://uri.etsi.org/ngsi-ld/location"),
            ("Point", "https://purl.org/geojson/vocab#Point"),
            ("title", "http://purl.org/dc/terms/title"),
            ("speed", &format!("{DEFAULT}speed")),
            ("気温", &format!("{DEFAULT}気温")),
            ("ngsi-ld:other", "https://uri.etsi.org/ngsi-ld/other"),
            ("https://example.org/a", "https://example.org/a"),
            ("urn:ngsi-ld:Vehicle:1", "urn:ngsi-ld:Vehicle:1"),
        ],
    );
    assert_eq!(core.expand("id"), "@id");
    assert_eq!(core.expand("type"), "@type");
    assert_eq!(
        core.coercion("observedAt"),
        Some(&Coercion::Datatype("https://uri.etsi.org/ngsi-ld/DateTime".into()))
    );
    assert_eq!(core.coercion("object"), Some(&Coercion::Id));
    assert_eq!(core.url(), Some(CORE_CONTEXT_URL));
    assert_eq!(core.member(), format!("\"{CORE_CONTEXT_URL}\""));
}

#[test]
fn terms_are_defined_as_json_ld_says() {
    let context = context(&json!({
        "@version": 1.1,
        "@base": "https://ignored.example/",
        "ex": "https://example.org/",
        "speed": "https://example.org/ns#speed",
        "fuel": "ex:fuel",
        "late": {"@id": "later:x", "@type": "@id"},
        "later": "https://later.example/#",
        "kind": {"@id": "ex:kind", "@type": "@vocab", "@container": ["@set"]},
        "when": {"@id": "ex:when", "@type": "DateTime"},
        "raw": {"@id": "ex:raw", "@type": "@json", "@container": "@list"},
        "own": {"@id": "ngsi-ld:own"},
        "plain": {"@type": "@id"},
        "art": "@type",
        "notAPrefix": {"@id": "https://no.example/"},
        "butThisIs": {"@id": "https://yes.example/-", "@prefix": true}
    }));
    check(
        &context,
        &[
            ("speed", "https://example.org/ns#speed"),
            ("fuel", "https://example.org/fuel"),
            ("ex:unknown", "https://example.org/unknown"),
            ("late", "https://later.example/#x"),
            ("kind", "https://example.org/kind"),
            ("own", "https://uri.etsi.org/ngsi-ld/own"),
            ("plain", &format!("{DEFAULT}plain")),
            ("butThisIs:x", "https://yes.example/-x"),
            ("https://no.example/x", "https://no.example/x"),
            ("other", &format!("{DEFAULT}other")),
        ],
    );
    assert_eq!(context.expand("notAPrefix:x"), "notAPrefix:x");
    assert_eq!(context.expand("art"), "@type");
    assert_eq!(context.coercion("late"), Some(&Coercion::Id));
    assert_eq!(context.coercion("kind"), Some(&Coercion::Vocab));
    assert_eq!(context.coercion("raw"), Some(&Coercion::Json));
    assert_eq!(context.coercion("speed"), None);
}

#[test]
fn a_later_context_changes_an_earlier_one_and_null_forgets() {
    let a = json!({"a": "https://one.example/a", "p": "https://one.example/"});
    let b = json!({"a": "https://two.example/a", "b": "p:b"});
    let both = context(&json!([a, b]));
    check(&both, &[("a", "https://two.example/a"), ("b", "https://one.example/b")]);
    let reset = context(&json!([a, null, {"c": "https://three.example/c"}]));
    check(&reset, &[("a", &format!("{DEFAULT}a")), ("c", "https://three.example/c")]);
    let removed = context(&json!([a, {"a": null}]));
    assert!(removed.attribute("a").is_err());
    // What is out of use as a term is not written as one.
    assert_eq!(removed.compact(&format!("{DEFAULT}a")), "ngsi-ld:default-context/a");
}

#[test]
fn the_core_context_wins() {
    let context = context(&json!([{
        "@vocab": "https://evil.example/",
        "Property": "https://evil.example/Property",
        "type": "https://evil.example/type",
        "ngsi-ld": "https://evil.example/",
        "ort": "https://uri.etsi.org/ngsi-ld/location",
        "mine": {"@type": "@id"}
    }]));
    check(
        &context,
        &[
            ("Property", "https://uri.etsi.org/ngsi-ld/Property"),
            ("location", "https://uri.etsi.org/ngsi-ld/location"),
            ("ngsi-ld:x", "https://uri.etsi.org/ngsi-ld/x"),
            // The vocabulary of the core context comes last.
            ("free", &format!("{DEFAULT}free")),
            // But a vocabulary is in force for the terms beside it.
            ("mine", "https://evil.example/mine"),
        ],
    );
    assert_eq!(context.expand("type"), "@type");
    assert_eq!(context.expand("ort"), "https://uri.etsi.org/ngsi-ld/location");
}

#[test]
fn of_several_terms_the_shortest_is_written_whatever_their_order() {
    for document in [
        json!({"speed": "https://e.example/s", "v": "https://e.example/s", "w": "https://e.example/s"}),
        json!({"w": "https://e.example/s", "v": "https://e.example/s", "speed": "https://e.example/s"}),
    ] {
        assert_eq!(context(&document).compact("https://e.example/s"), "v");
    }
    let prefixes = context(&json!({
        "a": "https://e.example/", "long": "https://e.example/deep/", "b": "https://e.example/deep/"
    }));
    assert_eq!(prefixes.compact("https://e.example/deep/x"), "b:x");
    assert_eq!(prefixes.compact("https://e.example/deep/"), "b");
    assert_eq!(prefixes.compact("https://e.example/x"), "a:x");
    assert_eq!(prefixes.compact("https://e.example///x"), "https://e.example///x");
}

#[test]
fn a_compact_iri_that_is_a_term_of_its_own_is_not_written_for_another() {
    let context = context(&json!([
        {"p": "https://a.example/"}, {"p:x": "https://a.example/x"}, {"p": "https://b.example/"}
    ]));
    assert_eq!(context.expand("p:x"), "https://a.example/x");
    assert_eq!(context.compact("https://a.example/x"), "p:x");
    assert_eq!(context.compact("https://b.example/x"), "https://b.example/x");
    assert_eq!(context.compact("https://b.example/y"), "p:y");
}

#[test]
fn a_text_with_a_colon_is_a_name_only_if_it_is_absolute() {
    let context = context(&json!({"ex": "https://e.example/", "気温": "https://k.example/"}));
    for (term, iri) in [("ex:a", "https://e.example/a"), ("気温:x", "https://k.example/x")] {
        assert_eq!(context.attribute(term).unwrap().as_str(), iri);
    }
    for wrong in ["unknown_prefix:a", "12:30", ":a", "風:x", "@future"] {
        assert!(context.attribute(wrong).is_err(), "{wrong}");
        assert!(context.entity_type(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_name_of_the_default_vocabulary_gives_way_to_a_term_of_the_context() {
    let context = context(&json!({"almostFull": "https://ngsi-ld-test-suite/context#almostFull"}));
    check(
        &context,
        &[
            ("almostFull", "https://ngsi-ld-test-suite/context#almostFull"),
            ("ngsi-ld:default-context/almostFull", &format!("{DEFAULT}almostFull")),
        ],
    );
}

#[test]
fn a_term_that_cannot_be_written_as_a_name_is_read_only() {
    let context = context(&json!({"my attr": "https://e.example/a", "q\"": "https://e.example/q"}));
    assert_eq!(context.expand("my attr"), "https://e.example/a");
    assert_eq!(context.compact("https://e.example/a"), "https://e.example/a");
    assert_eq!(context.compact("https://e.example/q"), "https://e.example/q");
}

#[test]
fn what_is_wrong_with_a_context_is_said() {
    for (document, said) in [
        (json!(5), "a context is a URL"),
        (json!([[]]), "a context is a URL"),
        (json!({"a": 5}), "\"a\""),
        (json!({"a": {"@id": 5}}), "@id"),
        (json!({"a": {"@id": "https://e.example/", "@context": {}}}), "scoped @context"),
        (json!({"a": {"@reverse": "https://e.example/"}}), "@reverse"),
        (json!({"a": {"@id": "https://e.example/", "unknown": 1}}), "unknown"),
        (json!({"a": {"@id": "https://e.example/", "@type": 1}}), "@type"),
        (json!({"a": {"@id": "https://e.example/", "@container": "@bag"}}), "@container"),
        (json!({"a": "b:x", "b": "a:y"}), "by itself"),
        (json!({"a": "@context"}), "@context"),
        (json!({"@id": "https://e.example/"}), "@id"),
        (json!({"": "https://e.example/"}), "empty"),
        (json!({"ex": "https://e.example/", "ex:a": "https://other.example/a"}), "another one"),
        (json!({"@vocab": null, "a": {}}), "@vocab"),
        (json!({"@vocab": 5}), "@vocab"),
        (json!({"@version": 1.0}), "1.1"),
        (json!({"@import": "https://e.example/"}), "@import"),
        (json!("https://e.example/context.jsonld"), "complete in itself"),
    ] {
        match compiled(&document) {
            Err(ContextError::Invalid(reason)) => {
                assert!(reason.contains(said), "{document}: {reason}");
            }
            other => panic!("{document}: {other:?}"),
        }
    }
}

#[test]
fn the_limits_of_a_context_hold() {
    let many: serde_json::Map<_, _> =
        (0..20_001).map(|n| (format!("t{n}"), json!("https://e.example/"))).collect();
    assert!(compiled(&Value::Object(many)).unwrap_err().to_string().contains("20000 terms"));
    let pieces = Value::Array(vec![json!({}); 1001]);
    assert!(compiled(&pieces).unwrap_err().to_string().contains("1000 contexts"));
    let chain: serde_json::Map<_, _> =
        (0..5000).map(|n| (format!("t{n}"), json!(format!("t{}:x", n + 1)))).collect();
    assert!(compiled(&Value::Object(chain)).unwrap_err().to_string().contains("too many others"));
    let long = json!({"a": format!("https://e.example/{}", "x".repeat(3000))});
    assert!(compiled(&long).is_err());
}

#[test]
fn a_core_context_in_disguise_is_accepted() {
    let copy: Value = serde_json::from_str(include_str!("../core-v1.9.jsonld")).unwrap();
    let mut copy = copy["@context"].clone();
    copy["ngsildproof"]["@context"] = json!({});
    check(&context(&copy), &[("location", "https://uri.etsi.org/ngsi-ld/location")]);
}

#[test]
fn names_are_shared_and_checked() {
    let context =
        context(&json!({"speed": "https://e.example/speed", "bad": "https://e.example/ /"}));
    let first = context.attribute("speed").unwrap();
    let second = context.attribute("speed").unwrap();
    assert!(Arc::ptr_eq(first.shared(), second.shared()));
    assert_eq!(context.entity_type("speed").unwrap().as_str(), "https://e.example/speed");
    for wrong in ["bad", "type", "id", "@graph", "my attr", ""] {
        assert!(context.attribute(wrong).is_err(), "{wrong}");
        assert!(context.entity_type(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_context_comes_back_from_its_source() {
    let document = json!([{"a": "https://e.example/a"}, null, {"b": "https://e.example/b"}]);
    let first = context(&document);
    let text = serde_json::to_string(&first.source()).unwrap();
    let again = Context::from_source(&serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(again.source(), first.source());
    check(&again, &[("b", "https://e.example/b"), ("a", &format!("{DEFAULT}a"))]);
    let core = Context::from_source(&Context::core().source()).unwrap();
    assert_eq!(core.member(), Context::core().member());
}

proptest! {
    #[test]
    fn what_is_compacted_expands_to_the_same(
        context in generated::context(),
        iri in generated::iri(),
    ) {
        let short = context.compact(&iri).into_owned();
        prop_assert_eq!(context.expand(&short), iri.as_str(), "by way of {}", short);
    }

    #[test]
    fn a_term_of_its_own_iri_comes_back(
        terms in proptest::collection::btree_map("[a-z]{1,6}", 0..1000_u32, 1..20),
    ) {
        let document: serde_json::Map<_, _> = terms
            .iter()
            .enumerate()
            .map(|(index, (term, _))| (format!("x{term}"), json!(format!("https://e.example/{index}"))))
            .collect();
        let context = context(&Value::Object(document.clone()));
        for (term, iri) in &document {
            prop_assert_eq!(context.expand(term), iri.as_str().unwrap());
            prop_assert_eq!(context.compact(iri.as_str().unwrap()), term.as_str());
        }
    }

    #[test]
    fn compilation_survives_any_document(document in generated::context_document()) {
        if let Ok(context) = compiled(&document) {
            let _ = (context.expand("a"), context.expand("a:b"), context.compact("a:b"));
        }
    }
}

#[test]
fn of_prefixes_made_of_one_another_the_longest_are_tried() {
    let base = |length: usize| format!("urn:{}", "a".repeat(length));
    let many: serde_json::Map<String, Value> =
        (1..1000).map(|n| (format!("p{n}"), json!({"@id": base(n), "@prefix": true}))).collect();
    let many = context(&Value::Object(many));
    assert_eq!(many.compact(&base(1000)), "p999:a");
    assert!(many.0.own.prefixes_of(&base(1000)).count() < 100);
}
