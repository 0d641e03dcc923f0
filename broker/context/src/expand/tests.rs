use musubi_model::{
    AttributeType, DEFAULT_VOCAB, FragmentValue, InstanceFragment, JsonError, Limits, NGSI_LD,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{ContextSource, generated};

type Expand = fn(&Node<'_>, &Context) -> Result<EntityFragment, InvalidBody>;

fn with(expand: Expand, body: &Value, context: &Context) -> Result<EntityFragment, InvalidBody> {
    let text = body.to_string();
    let node: Result<Node<'_>, JsonError> = Node::parse(&text, Limits::default());
    expand(&node.unwrap(), context)
}

/// The entity with this one attribute.
fn entity_with(name: &str, attribute: &Value) -> Result<EntityFragment, InvalidBody> {
    let body = json!({"id": "urn:ngsi-ld:T:1", "type": "T", name: attribute});
    with(expand_entity, &body, &Context::core())
}

fn fragment_with(name: &str, attribute: &Value) -> Result<EntityFragment, InvalidBody> {
    with(expand_fragment, &json!({name: attribute}), &Context::core())
}

/// The only instance of the only attribute.
fn single(fragment: Result<EntityFragment, InvalidBody>) -> InstanceFragment {
    let fragment = fragment.unwrap();
    assert_eq!(fragment.attributes.len(), 1);
    assert_eq!(fragment.attributes[0].instances.len(), 1);
    fragment.attributes[0].instances[0].clone()
}

fn typed(instance: &InstanceFragment) -> (AttributeType, Value) {
    match &instance.value {
        Some(FragmentValue::Typed(value)) => (value.kind, value.json.to_value()),
        other => panic!("{other:?}"),
    }
}

fn check(given: &Value, kind: AttributeType, value: &Value) {
    assert_eq!(typed(&single(entity_with("a", given))), (kind, value.clone()), "{given}");
}

fn refused(given: &Value, at: &str) {
    refused_as("a", given, at);
}

fn refused_as(name: &str, given: &Value, at: &str) {
    match entity_with(name, given) {
        Err(error) => assert_eq!(error.at, at, "{given}: {error}"),
        Ok(fragment) => panic!("{name} {given}: {fragment:?}"),
    }
}

/// A value of a kind, as it is written in full and in short, and what is kept.
fn both_ways(kind: AttributeType, given: &Value, kept: &Value) {
    check(&json!({"type": kind.as_str(), kind.member(): given}), kind, kept);
    check(&json!({kind.member(): given}), kind, kept);
}

#[test]
fn the_eight_kinds_are_read_normalized_and_concise() {
    let vocab = |term: &str| json!(format!("{DEFAULT_VOCAB}{term}"));
    for value in [json!(5), json!([1]), json!("x"), json!({"b": null}), json!(false)] {
        both_ways(AttributeType::Property, &value, &value);
        check(&value, AttributeType::Property, &value);
    }
    let point = json!({"type": "Point", "coordinates": [1.5, 2]});
    both_ways(AttributeType::GeoProperty, &point, &point);
    check(&point, AttributeType::GeoProperty, &point);
    let text = json!({"type": "GeoProperty", "value": point.to_string()});
    check(&text, AttributeType::GeoProperty, &point);
    for value in [json!("urn:a"), json!(["urn:a", "urn:b"])] {
        both_ways(AttributeType::Relationship, &value, &value);
    }
    let map = json!({"en": ["a", "b"], "@none": "c"});
    both_ways(AttributeType::LanguageProperty, &map, &map);
    both_ways(AttributeType::VocabProperty, &json!("monument"), &vocab("monument"));
    both_ways(AttributeType::VocabProperty, &json!(["a", "urn:b"]), &json!([vocab("a"), "urn:b"]));
    for value in [json!({"id": 1, "type": null}), json!([{"a": 1}, {}])] {
        both_ways(AttributeType::JsonProperty, &value, &value);
    }
    let list = json!([1, [2], {"a": 3}]);
    both_ways(AttributeType::ListProperty, &list, &list);
    let targets = json!(["urn:a", {"object": "urn:b"}]);
    both_ways(AttributeType::ListRelationship, &targets, &json!(["urn:a", "urn:b"]));
    let written_out = json!({"@type": "https://uri.etsi.org/ngsi-ld/Property", "value": true});
    check(&written_out, AttributeType::Property, &json!(true));
}

#[test]
fn a_declared_property_may_hold_a_geometry() {
    let value = json!({"type": "Point", "coordinates": [1, 2]});
    check(&json!({"type": "Property", "value": value}), AttributeType::Property, &value);
}

#[test]
fn an_array_is_read_as_instances_only_if_it_holds_some() {
    for value in [json!([]), json!([{"a": 1}]), json!([{"type": "phone"}, 5])] {
        check(&value, AttributeType::Property, &value);
    }
    let both = json!([{"type": "Property", "value": 1}, {"value": 2, "datasetId": "urn:b"}]);
    let fragment = entity_with("a", &both).unwrap();
    let instances = &fragment.attributes[0].instances;
    assert_eq!(instances.len(), 2);
    assert_eq!(instances[1].dataset_id.as_ref().unwrap().as_str(), "urn:b");
    let none = json!([{"value": 1, "datasetId": "@none"}, {"value": 2, "datasetId": "urn:b"}]);
    assert_eq!(entity_with("a", &none), Ok(fragment));
    refused(&json!([{"value": 1}, {"value": 2, "datasetId": "@none"}]), "/a");
    refused(&json!([{"value": 1, "datasetId": "urn:b"}, {"value": 2, "datasetId": "urn:b"}]), "/a");
    refused(&json!([{"value": 1}, 5]), "/a/1");
    refused(&json!([{"value": 1, "datasetId": "no uri"}]), "/a/0/datasetId");
}

#[test]
fn the_members_of_an_instance_are_read() {
    let instance = single(entity_with(
        "a",
        &json!({
            "type": "Property",
            "value": 5,
            "observedAt": "2020-01-01T00:00:00,5Z",
            "unitCode": "CEL",
            "expiresAt": "2100-01-01T00:00:00Z",
            "valueType": "xsd:double",
            "datasetId": "urn:d",
            "createdAt": 5, "modifiedAt": {}, "deletedAt": null, "instanceId": "x",
            "accuracy": {"type": "Property", "value": 1, "by": {"object": "urn:x"}},
            "note": "bare"
        }),
    ));
    assert_eq!(instance.observed_at, Patch::Set("2020-01-01T00:00:00.5Z".parse().unwrap()));
    assert_eq!(instance.unit_code, Patch::Set("CEL".into()));
    assert_eq!(instance.expires_at, Patch::Set("2100-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!(instance.value_type, Patch::Set("xsd:double".into()));
    assert_eq!(instance.dataset_id.as_ref().unwrap().as_str(), "urn:d");
    let names: Vec<&str> = instance.attributes.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, [format!("{DEFAULT_VOCAB}accuracy"), format!("{DEFAULT_VOCAB}note")]);
    let accuracy = &instance.attributes[0].instances[0];
    assert_eq!(typed(&accuracy.attributes[0].instances[0]).0, AttributeType::Relationship);
    let typed =
        single(entity_with("a", &json!({"object": "urn:a", "objectType": ["A", "B", "A"]})));
    let names = ["A", "B"].map(|name| format!("{DEFAULT_VOCAB}{name}").parse().unwrap());
    assert_eq!(typed.object_type, Patch::Set(names.to_vec()));
}

#[test]
fn values_that_do_not_fit_their_kind_are_refused_where_they_stand() {
    for (given, at) in [
        (json!(null), "/a"),
        (json!({"type": "Property"}), "/a"),
        (json!({"type": "Property", "value": null}), "/a/value"),
        (json!({"type": "Relationship"}), "/a"),
        (json!({"type": "Relationship", "object": "no uri"}), "/a/object"),
        (json!({"type": "Relationship", "object": ["urn:a", 5]}), "/a/object/1"),
        (json!({"type": "Relationship", "object": []}), "/a/object"),
        (json!({"type": "GeoProperty", "value": "not a geometry"}), "/a/value"),
        (
            json!({"type": "GeoProperty", "value": {"type": "GeometryCollection", "geometries": []}}),
            "/a/value",
        ),
        (json!({"type": "Point", "coordinates": [1]}), "/a"),
        (json!({"value": {"type": "Point", "coordinates": [1]}}), "/a/value"),
        (json!({"type": "LanguageProperty"}), "/a"),
        (json!({"type": "LanguageProperty", "languageMap": {}}), "/a/languageMap"),
        (json!({"type": "LanguageProperty", "languageMap": "x"}), "/a/languageMap"),
        (json!({"languageMap": {"en": 5}}), "/a/languageMap/en"),
        (json!({"languageMap": {"en": ["a", 5]}}), "/a/languageMap/en"),
        (json!({"languageMap": {"": "x"}}), "/a/languageMap/"),
        (json!({"vocab": 5}), "/a/vocab"),
        (json!({"vocab": ["a", "not a uri"]}), "/a/vocab/1"),
        (json!({"json": 5}), "/a/json"),
        (json!({"json": [5]}), "/a/json"),
        (json!({"valueList": 5}), "/a/valueList"),
        (json!({"objectList": "urn:a"}), "/a/objectList"),
        (json!({"objectList": ["not a uri"]}), "/a/objectList/0"),
        (json!({"objectList": [{"object": "not a uri"}]}), "/a/objectList/0/object"),
        (json!({"objectList": [{"object": "urn:a", "b": 1}]}), "/a/objectList/0"),
        (json!({"type": "Unknown", "value": 5}), "/a/type"),
        (json!({"type": 5, "value": 5}), "/a/type"),
        (json!({"type": "home", "street": "x"}), "/a/type"),
        (json!({"unitCode": "CEL"}), "/a"),
    ] {
        refused(&given, at);
    }
}

#[test]
fn members_that_a_kind_does_not_have_are_refused() {
    let property = |member: &str, value: Value| {
        let mut body = json!({"type": "Property", "value": 1});
        body[member] = value;
        body
    };
    for (member, value) in [
        ("object", json!("urn:a")),
        ("languageMap", json!({"en": "a"})),
        ("valueList", json!([1])),
        ("previousValue", json!(1)),
        ("entity", json!({})),
        ("entityIdSealed", json!("urn:a")),
        ("entityTypeSealed", json!("T")),
        ("objectType", json!("T")),
        ("lang", json!("en")),
        ("@context", json!({})),
        ("@graph", json!([])),
        ("my attr", json!(1)),
        ("9a", json!(1)),
        ("id", json!("urn:a")),
    ] {
        refused(&property(member, value), &format!("/a/{member}"));
    }
    for (given, at) in [
        (json!({"type": "Relationship", "object": "urn:a", "unitCode": "CEL"}), "/a/unitCode"),
        (json!({"type": "Relationship", "object": "urn:a", "valueType": "x"}), "/a/valueType"),
        (json!({"type": "Relationship", "value": 1}), "/a/value"),
        (
            json!({"type": "Relationship", "object": "urn:a", "previousObject": "urn:b"}),
            "/a/previousObject",
        ),
        (json!({"json": {}, "unitCode": "CEL"}), "/a/unitCode"),
        (json!({"type": "JsonProperty", "value": {}}), "/a/value"),
        (json!({"type": "ListProperty", "valueList": [], "value": 1}), "/a/value"),
        (json!({"languageMap": {"en": "a"}, "unitCode": "CEL"}), "/a/unitCode"),
        (json!({"languageMap": {"en": "a"}, "valueType": "other"}), "/a/valueType"),
        (json!({"vocab": "a", "unitCode": "CEL"}), "/a/unitCode"),
        (json!({"value": 1, "unitCode": ""}), "/a/unitCode"),
        (json!({"value": 1, "unitCode": 5}), "/a/unitCode"),
        (json!({"value": 1, "observedAt": "yesterday"}), "/a/observedAt"),
        (json!({"value": 1, "observedAt": "2020-01-01T00:00:00+02:00"}), "/a/observedAt"),
        (json!({"value": 1, "observedAt": {"value": "2020-01-01T00:00:00Z"}}), "/a/observedAt"),
        (json!({"value": 1, "b": {"type": "Property"}}), "/a/b"),
        (json!({"value": 1, "b": {"value": 1, "c": null}}), "/a/b/c"),
    ] {
        refused(&given, at);
    }
    check(
        &json!({"languageMap": {"en": "a"}, "valueType": "langString"}),
        AttributeType::LanguageProperty,
        &json!({"en": "a"}),
    );
}

#[test]
fn names_of_the_data_model_are_no_attributes() {
    for name in [
        "datasetId",
        "instanceId",
        "observedAt",
        "unitCode",
        "value",
        "object",
        "languageMap",
        "lang",
        "previousValue",
        "entityTypeSealed",
        "json",
        "ngsi-ld:observedAt",
        "ngsi-ld:hasValue",
        "https://uri.etsi.org/ngsi-ld/createdAt",
        "@graph",
        "@value",
        "my attr",
        "9a",
        "a-b",
        "",
        "a:b c",
    ] {
        refused_as(
            name,
            &json!({"type": "Property", "value": 1}),
            &format!("/{}", name.replace('/', "~1")),
        );
    }
    for name in
        ["Škola", "výška_1", "気温", "urn:example:a", "https://e.example/a-b", "title", "vocab"]
    {
        assert!(entity_with(name, &json!(1)).is_ok(), "{name}");
    }
}

#[test]
fn core_geometries_are_geometries() {
    for name in ["location", "observationSpace", "operationSpace"] {
        refused_as(name, &json!({"type": "Property", "value": 1}), &format!("/{name}"));
        refused_as(name, &json!(1), &format!("/{name}"));
        let point = json!({"type": "Point", "coordinates": [1, 2]});
        assert!(entity_with(name, &json!({"type": "GeoProperty", "value": point})).is_ok());
    }
}

#[test]
fn a_proof_says_what_it_seals() {
    let proof = |value: Value, id: Value, name: Value| json!({"type": "Property", "value": value, "entityIdSealed": id, "entityTypeSealed": name});
    let instance = single(entity_with(
        "ngsildproof",
        &proof(json!({"proofValue": "z"}), json!("urn:a"), json!("T")),
    ));
    assert_eq!(instance.attributes.len(), 2);
    assert_eq!(
        typed(&instance.attributes[1].instances[0]),
        (AttributeType::VocabProperty, json!(format!("{DEFAULT_VOCAB}T")))
    );
    refused_as("ngsildproof", &proof(json!("text"), json!("urn:a"), json!("T")), "/ngsildproof");
    let number = proof(json!({}), json!("urn:a"), json!(42));
    refused_as("ngsildproof", &number, "/ngsildproof/entityTypeSealed");
}

#[test]
fn an_entity_has_an_id_and_types() {
    let core = Context::core();
    let check = |body: Value, at: &str| match with(expand_entity, &body, &core) {
        Err(error) => assert_eq!(error.at, at, "{body}: {error}"),
        Ok(fragment) => panic!("{body}: {fragment:?}"),
    };
    check(json!([]), "/");
    check(json!({"type": "T"}), "/");
    check(json!({"id": "urn:a"}), "/");
    check(json!({"id": "not a uri", "type": "T"}), "/id");
    check(json!({"id": "urn:ngsi-ld:null", "type": "T"}), "/id");
    check(json!({"id": 5, "type": "T"}), "/id");
    check(json!({"id": "urn:a", "@id": "urn:b", "type": "T"}), "/@id");
    check(json!({"id": "urn:a", "type": []}), "/type");
    check(json!({"id": "urn:a", "type": ["T", 5]}), "/type/1");
    check(json!({"id": "urn:a", "type": "9T"}), "/type");
    check(json!({"id": "urn:a", "type": "type"}), "/type");
    check(json!({"id": "urn:a", "type": "urn:ngsi-ld:null"}), "/type");
    check(json!({"id": "urn:a", "type": "T", "@type": "U"}), "/@type");
    check(json!({"id": "urn:a", "type": "T", "scope": "9bad"}), "/scope");
    check(json!({"id": "urn:a", "type": "T", "scope": ["/ok", "a-b"]}), "/scope/1");
    check(json!({"id": "urn:a", "type": "T", "scope": 5}), "/scope");
    check(json!({"id": "urn:a", "type": "T", "scope": "urn:ngsi-ld:null"}), "/scope");
    check(json!({"id": "urn:a", "type": "T", "expiresAt": "soon"}), "/expiresAt");
    check(json!({"id": "urn:a", "type": "T", "a": 1, "ngsi-ld:default-context/a": 2}), "/");
    for hidden in [
        '\u{202e}',
        '\u{200b}',
        '\u{feff}',
        '\u{2028}',
        '\u{a0}',
        '<',
        '\u{fe0f}',
        '\u{e0100}',
        '\u{fdd0}',
        '\u{fffe}',
        '\u{115f}',
        '\u{3164}',
        '\u{ffa0}',
        '\u{2800}',
    ] {
        check(json!({"id": format!("urn:ngsi-ld:Vehicle:A{hidden}B"), "type": "T"}), "/id");
    }
    let body = json!({
        "@id": "urn:ngsi-ld:Ciudad:Par\u{ed}s", "@type": ["T", "U", "T"], "@context": 5, "createdAt": 5,
        "scope": ["a", "/a", "/b"], "expiresAt": "2100-01-01T00:00:00Z"
    });
    let fragment = with(expand_entity, &body, &core).unwrap();
    assert_eq!(fragment.types.len(), 2);
    assert_eq!(fragment.scopes, Patch::Set(vec!["/a".parse().unwrap(), "/b".parse().unwrap()]));
    assert_eq!(fragment.expires_at, Patch::Set("2100-01-01T00:00:00Z".parse().unwrap()));
    assert!(fragment.attributes.is_empty());
}

#[test]
fn aliases_of_keywords_are_understood() {
    let document =
        json!({"kennung": "@id", "art": "@type", "Auto": "https://e.example/Auto"}).to_string();
    let source = ContextSource { url: None, member: document.clone(), document };
    let context = Context::from_source(&source).unwrap();
    let body = json!({"kennung": "urn:a", "art": "Auto"});
    let fragment = with(expand_entity, &body, &context).unwrap();
    assert_eq!(fragment.types, ["https://e.example/Auto".parse().unwrap()]);
    let attribute = |node: Value| with(expand_fragment, &json!({"a": node}), &context);
    let instance = single(attribute(json!({"art": "JsonProperty", "json": {"art": 1}})));
    assert_eq!(typed(&instance), (AttributeType::JsonProperty, json!({"art": 1})));
    let twice = json!({"art": "Property", "type": "Property", "value": 1});
    assert_eq!(attribute(twice).unwrap_err().at, "/a/type");
    let twice = json!({"@type": "Property", "type": "Property", "value": 1});
    assert_eq!(attribute(twice).unwrap_err().at, "/a/type");
    assert_eq!(attribute(json!({"kennung": "urn:b", "value": 1})).unwrap_err().at, "/a/kennung");
}

#[test]
fn what_a_context_makes_nothing_of_is_no_value_of_a_vocabulary() {
    let document = json!({"gone": null, "ex:gone": null, "art": "@type"}).to_string();
    let source = ContextSource { url: None, member: document.clone(), document };
    let context = Context::from_source(&source).unwrap();
    for term in ["gone", "ex:gone", "art", "@type", "@future", "a b"] {
        let vocab = json!({"a": {"vocab": term}});
        let error = with(expand_fragment, &vocab, &context).unwrap_err();
        assert_eq!(error.at, "/a/vocab", "{term}");
    }
    for term in ["gone", "ex:gone", "art"] {
        let value = json!({"a": {"value": 1, "valueType": term}});
        let error = with(expand_fragment, &value, &context).unwrap_err();
        assert_eq!(error.at, "/a/valueType", "{term}");
    }
    let time = single(with(expand_fragment, &json!({"a": {"vocab": "12:30"}}), &context));
    assert_eq!(typed(&time).1, json!(format!("{DEFAULT_VOCAB}12:30")));
    assert_eq!(context.compact(&format!("{DEFAULT_VOCAB}12:30")), "12:30");
}

#[test]
fn nothing_is_taken_away_from_an_entity_that_is_made() {
    for (given, at) in [
        (json!("urn:ngsi-ld:null"), "/a"),
        (json!({"value": "urn:ngsi-ld:null"}), "/a/value"),
        (json!({"type": "Relationship", "object": "urn:ngsi-ld:null"}), "/a/object"),
        (json!({"languageMap": {"@none": "urn:ngsi-ld:null"}}), "/a/languageMap"),
        (json!({"valueList": ["urn:ngsi-ld:null"]}), "/a/valueList"),
        (json!({"value": 1, "unitCode": "urn:ngsi-ld:null"}), "/a/unitCode"),
        (json!({"value": 1, "b": {"value": "urn:ngsi-ld:null"}}), "/a/b/value"),
    ] {
        refused(&given, at);
    }
}

#[test]
fn a_fragment_may_take_away() {
    for given in [
        json!("urn:ngsi-ld:null"),
        json!({"value": "urn:ngsi-ld:null"}),
        json!({"type": "Property", "value": "urn:ngsi-ld:null"}),
        json!({"type": "GeoProperty", "value": "urn:ngsi-ld:null"}),
        json!({"object": "urn:ngsi-ld:null"}),
        json!({"languageMap": {"@none": "urn:ngsi-ld:null"}}),
        json!({"languageMap": "urn:ngsi-ld:null"}),
        json!({"vocab": "urn:ngsi-ld:null"}),
        json!({"json": "urn:ngsi-ld:null"}),
        json!({"valueList": ["urn:ngsi-ld:null"]}),
        json!({"objectList": ["urn:ngsi-ld:null"]}),
        json!({"objectList": [{"object": "urn:ngsi-ld:null"}]}),
    ] {
        for name in ["a", "location"] {
            assert_eq!(
                single(fragment_with(name, &given)).value,
                Some(FragmentValue::Null),
                "{given}"
            );
        }
    }
    let partial = single(fragment_with(
        "a",
        &json!({"type": "Property", "observedAt": "urn:ngsi-ld:null", "unitCode": "urn:ngsi-ld:null",
                "expiresAt": "urn:ngsi-ld:null", "valueType": "urn:ngsi-ld:null", "b": "urn:ngsi-ld:null"}),
    ));
    assert_eq!(partial.value, None);
    assert_eq!(partial.observed_at, Patch::Remove);
    assert_eq!((partial.unit_code, partial.value_type), (Patch::Remove, Patch::Remove));
    assert_eq!(partial.attributes[0].instances[0].value, Some(FragmentValue::Null));
    let inside = single(fragment_with("a", &json!({"value": {"b": "urn:ngsi-ld:null"}})));
    assert_eq!(typed(&inside).1, json!({"b": "urn:ngsi-ld:null"}));
    let head = json!({"scope": "urn:ngsi-ld:null", "expiresAt": "urn:ngsi-ld:null"});
    let head = with(expand_fragment, &head, &Context::core()).unwrap();
    assert_eq!((head.scopes, head.expires_at), (Patch::Remove, Patch::Remove));
    assert!(fragment_with("a", &json!({"value": 1, "datasetId": "urn:ngsi-ld:null"})).is_err());
    assert!(fragment_with("a", &json!({"value": null})).is_err());
}

#[test]
fn an_attribute_alone_is_an_instance() {
    let alone = |body: Value| {
        let text = body.to_string();
        let node = Node::parse(&text, Limits::default()).unwrap();
        expand_attribute("urn:a".parse().unwrap(), &node, &Context::core())
    };
    let partial = alone(json!({"accuracy": {"type": "Property", "value": 1}})).unwrap();
    assert_eq!(partial.instances[0].value, None);
    assert_eq!(partial.instances[0].attributes.len(), 1);
    assert_eq!(alone(json!({})).unwrap().instances[0], InstanceFragment::default());
    assert_eq!(
        typed(&alone(json!(55)).unwrap().instances[0]),
        (AttributeType::Property, json!(55))
    );
    let point = json!({"type": "Point", "coordinates": [1, 2]});
    assert_eq!(
        typed(&alone(point.clone()).unwrap().instances[0]),
        (AttributeType::GeoProperty, point)
    );
    let many = alone(json!([{"value": 1}, {"value": 2, "datasetId": "urn:d"}])).unwrap();
    assert_eq!(many.instances.len(), 2);
    assert_eq!(
        alone(json!("urn:ngsi-ld:null")).unwrap().instances[0].value,
        Some(FragmentValue::Null)
    );
    assert_eq!(alone(json!({"value": null})).unwrap_err().at, "/value");
    assert_eq!(alone(json!(null)).unwrap_err().at, "/");
}

#[test]
fn keys_and_values_leave_the_kind_open_unless_they_say_it() {
    let simplified =
        |value: Value| with(expand_simplified_fragment, &json!({"a": value}), &Context::core());
    for value in [json!(5), json!("x"), json!([1]), json!({"b": 1, "c": 2}), json!({"value": 1})] {
        assert_eq!(
            single(simplified(value.clone())).value,
            Some(FragmentValue::Simplified((&value).into()))
        );
    }
    assert_eq!(
        typed(&single(simplified(json!({"vocab": "x"})))),
        (AttributeType::VocabProperty, json!(format!("{DEFAULT_VOCAB}x")))
    );
    assert_eq!(
        typed(&single(simplified(json!({"json": {"a": 1}})))).0,
        AttributeType::JsonProperty
    );
    assert_eq!(
        typed(&single(simplified(json!({"languageMap": {"en": "a"}})))).0,
        AttributeType::LanguageProperty
    );
    assert_eq!(single(simplified(json!("urn:ngsi-ld:null"))).value, Some(FragmentValue::Null));
    let many = simplified(json!({"dataset": {"@none": 1, "urn:d": "urn:ngsi-ld:null"}})).unwrap();
    let instances = &many.attributes[0].instances;
    assert_eq!(instances[0].value, Some(FragmentValue::Simplified((&json!(1)).into())));
    assert_eq!(instances[1].dataset_id.as_ref().unwrap().as_str(), "urn:d");
    assert_eq!(instances[1].value, Some(FragmentValue::Null));
    for (wrong, at) in [
        (json!(null), "/a"),
        (json!({"dataset": {}}), "/a/dataset"),
        (json!({"dataset": {"no uri": 1}}), "/a/dataset/no uri"),
        (json!({"dataset": {"urn:d": null}}), "/a/dataset/urn:d"),
        (json!({"languageMap": 5}), "/a/languageMap"),
    ] {
        assert_eq!(simplified(wrong.clone()).unwrap_err().at, at, "{wrong}");
    }
}

#[test]
fn an_error_escapes_its_pointer() {
    refused(&json!({"value": 1, "https://e.example/a~b": null}), "/a/https:~1~1e.example~1a~0b");
    let error = entity_with("a", &json!({"object": 5})).unwrap_err();
    assert_eq!(error.to_string(), "/a/object: a URI is a string");
}

#[test]
fn many_attributes_are_each_given_once() {
    let mut body = json!({"id": "urn:a", "type": "T"});
    for number in 0..100 {
        body[format!("a{number}")] = json!(number);
    }
    assert!(with(expand_entity, &body, &Context::core()).is_ok());
    body[format!("{NGSI_LD}default-context/a99")] = json!(1);
    assert!(with(expand_entity, &body, &Context::core()).is_err());
}

proptest! {
    #[test]
    fn expansion_survives_any_body(body in generated::body()) {
        let core = Context::core();
        for expand in [expand_entity as Expand, expand_fragment, expand_simplified_fragment] {
            if let Err(error) = with(expand, &body, &core) {
                prop_assert!(error.at.starts_with('/') && !error.reason.is_empty());
            }
        }
        let text = body.to_string();
        let node = Node::parse(&text, Limits::default()).unwrap();
        let _ = expand_attribute("urn:a".parse().unwrap(), &node, &core);
    }
}
