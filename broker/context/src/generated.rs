//! Generated contexts and entities for property tests.

use musubi_model::{
    AttrName, Attribute, AttributeType, Entity, Instance, Json, Qualifiers, Timestamp, Value,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use crate::{Context, ContextSource};

/// An IRI such that contexts of [`context`] have something to say of it.
pub(crate) fn iri() -> impl Strategy<Value = String> {
    let base = prop::sample::select(vec![
        "https://uri.etsi.org/ngsi-ld/default-context/",
        "https://uri.etsi.org/ngsi-ld/",
        "https://example.org/",
        "https://example.org/ns#",
        "https://example.org/ns",
        "urn:example:",
    ]);
    (base, "[a-eä][a-e]{0,2}|speed|location|a:b|a/b")
        .prop_map(|(base, name)| format!("{base}{name}"))
}

/// A context with a few terms, prefixes among them.
pub(crate) fn context() -> impl Strategy<Value = Context> {
    let prefix = prop::sample::select(vec![
        "https://example.org/",
        "https://example.org/ns#",
        "https://uri.etsi.org/ngsi-ld/default-context/",
        "https://uri.etsi.org/ngsi-ld/",
    ])
    .prop_map(str::to_owned);
    let definition = prop_oneof![3 => iri(), 1 => prefix].prop_map(serde_json::Value::from);
    let definition = prop_oneof![9 => definition, 1 => Just(serde_json::Value::Null)];
    btree_map("[a-eä][a-e]{0,2}|speed|location", definition, 0..12).prop_map(|terms| {
        let document = json!(terms).to_string();
        let source = ContextSource { url: None, member: document.clone(), document };
        Context::from_source(&source).unwrap()
    })
}

/// Something that may or may not be a context.
pub(crate) fn context_document() -> impl Strategy<Value = serde_json::Value> {
    let text = prop::sample::select(vec![
        "a",
        "b",
        "a:b",
        "b:a",
        "a/b",
        "@id",
        "@type",
        "@vocab",
        "@json",
        "@context",
        "@foo",
        "",
        ":",
        "https://e.example/",
        "https://e.example/#",
        "_:b",
        "@list",
    ])
    .prop_map(serde_json::Value::from);
    let leaf = prop_oneof![
        8 => text,
        1 => Just(json!(null)),
        1 => Just(json!(1.1)),
        1 => Just(json!(true)),
    ];
    let key = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "a:b",
        "@id",
        "@type",
        "@vocab",
        "@version",
        "@container",
        "@context",
        "@prefix",
        "@reverse",
        "@base",
        "@import",
        "",
        "a/b",
    ]);
    leaf.prop_recursive(3, 40, 8, move |inner| {
        let members = btree_map(key.clone(), inner.clone(), 0..8);
        prop_oneof![
            3 => members.prop_map(|members| json!(members)),
            1 => vec(inner, 0..4).prop_map(serde_json::Value::from),
        ]
    })
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(serde_json::Value::from),
        (-1.0e9..1.0e9).prop_map(|number: f64| json!(number)),
        "[a-z\"\\\\\n{}é ]{0,6}".prop_map(serde_json::Value::from),
        Just(json!("Point")),
        Just(json!("Property")),
    ];
    let key = prop::sample::select(vec![
        "a",
        "b",
        "type",
        "value",
        "object",
        "coordinates",
        "unitCode",
        "datasetId",
        "json",
    ]);
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            btree_map(key.clone(), inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    let of = |kind: AttributeType| {
        move |json: serde_json::Value| Value { kind, json: Json::from(&json) }
    };
    let object = btree_map("[a-z]{1,3}", any_json(), 0..3).prop_map(|members| json!(members));
    let uris = prop_oneof![
        iri().prop_map(serde_json::Value::from),
        vec(iri(), 1..4).prop_map(serde_json::Value::from),
    ];
    let texts = prop_oneof![
        "[a-z\"]{0,5}".prop_map(serde_json::Value::from),
        vec("[a-z]{0,5}", 0..3).prop_map(serde_json::Value::from),
    ];
    prop_oneof![
        3 => any_json().prop_filter("null is no value", |json| !json.is_null())
            .prop_map(of(AttributeType::Property)),
        1 => (-180..180_i32, -90..90_i32)
            .prop_map(|(x, y)| json!({"type": "Point", "coordinates": [x, y]}))
            .prop_map(of(AttributeType::GeoProperty)),
        1 => uris.clone().prop_map(of(AttributeType::Relationship)),
        1 => uris.prop_map(of(AttributeType::VocabProperty)),
        1 => btree_map("[a-z]{2}(-[A-Z]{2})?|@none", texts, 1..3)
            .prop_map(|map| json!(map)).prop_map(of(AttributeType::LanguageProperty)),
        1 => object.prop_map(of(AttributeType::JsonProperty)),
        1 => vec(any_json(), 0..4).prop_map(serde_json::Value::from)
            .prop_map(of(AttributeType::ListProperty)),
        1 => vec(iri(), 0..4).prop_map(serde_json::Value::from)
            .prop_map(of(AttributeType::ListRelationship)),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..2_000_000_000_000_000_i64).prop_map(Timestamp::from_micros)
}

fn instance(depth: u32) -> BoxedStrategy<Instance> {
    let attributes = if depth == 0 { Just(Vec::new()).boxed() } else { attributes(depth - 1) };
    let attributes = prop_oneof![3 => Just(Vec::new()), 1 => attributes];
    let times = (option::of(time()), time(), time(), option::weighted(0.2, time()));
    let codes = (option::weighted(0.3, "[A-Z]{3}"), option::weighted(0.2, iri()), vec(iri(), 0..3));
    (value(), times, codes, attributes)
        .prop_map(|(value, times, (unit_code, value_type, object_type), attributes)| {
            let (observed_at, created_at, modified_at, expires_at) = times;
            let is_relationship =
                matches!(value.kind, AttributeType::Relationship | AttributeType::ListRelationship);
            let has_unit = matches!(
                value.kind,
                AttributeType::Property | AttributeType::GeoProperty | AttributeType::ListProperty
            );
            let value_type = value_type
                .filter(|_| !is_relationship && value.kind != AttributeType::LanguageProperty);
            let mut object_type = if is_relationship { object_type } else { Vec::new() };
            object_type.sort();
            object_type.dedup();
            let qualifiers = Qualifiers {
                dataset_id: None,
                unit_code: unit_code.filter(|_| has_unit).map(Into::into),
                expires_at,
                value_type: value_type.map(Into::into),
                object_type: object_type.iter().map(|iri| iri.parse().unwrap()).collect(),
                attributes,
            };
            let qualifiers = (qualifiers != Qualifiers::default()).then(|| Box::new(qualifiers));
            Instance { value, observed_at, created_at, modified_at, qualifiers }
        })
        .boxed()
}

/// Each instance gets a data set of its own, the first mostly the default one.
fn attribute(depth: u32) -> impl Strategy<Value = Attribute> {
    let instances = prop_oneof![4 => vec(instance(depth), 1), 1 => vec(instance(depth), 2..4)];
    (attribute_name(), instances, any::<bool>()).prop_map(|(name, mut instances, first)| {
        for (index, instance) in instances.iter_mut().enumerate() {
            if index > 0 || first {
                let mut qualifiers = instance.qualifiers.take().unwrap_or_default();
                qualifiers.dataset_id = Some(format!("urn:dataset:{index}").parse().unwrap());
                instance.qualifiers = Some(qualifiers);
            }
        }
        Attribute { name, instances: instances.into() }
    })
}

fn attribute_name() -> impl Strategy<Value = AttrName> {
    iri()
        .prop_filter("location is a GeoProperty", |iri| !iri.ends_with("ngsi-ld/location"))
        .prop_map(|iri| iri.parse().unwrap())
}

fn attributes(depth: u32) -> BoxedStrategy<Vec<Attribute>> {
    vec(attribute(depth), 0..5)
        .prop_map(|mut attributes| {
            attributes.sort_by(|a, b| a.name.cmp(&b.name));
            attributes.dedup_by(|a, b| a.name == b.name);
            attributes
        })
        .boxed()
}

/// An entity with every name expanded.
pub(crate) fn entity() -> impl Strategy<Value = Entity> {
    let types = vec(iri(), 1..3);
    let scopes = prop::sample::subsequence(vec!["/a", "/b/c", "/名古屋"], 0..3);
    let times = (time(), time(), option::weighted(0.2, time()));
    (types, scopes, times, attributes(2)).prop_map(|(mut types, scopes, times, attributes)| {
        types.sort();
        types.dedup();
        let (created_at, modified_at, expires_at) = times;
        Entity {
            id: "urn:ngsi-ld:Thing:1".parse().unwrap(),
            types: types.iter().map(|iri| iri.parse().unwrap()).collect(),
            scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
            created_at,
            modified_at,
            expires_at,
            attributes,
        }
    })
}

/// Something that may or may not be an entity: JSON whose keys and texts mean something.
pub(crate) fn body() -> impl Strategy<Value = serde_json::Value> {
    let text = prop::sample::select(vec![
        "urn:a",
        "urn:ngsi-ld:null",
        "Property",
        "Relationship",
        "GeoProperty",
        "LanguageProperty",
        "Point",
        "T",
        "",
        "2020-01-01T00:00:00Z",
        "@none",
        "my attr",
        "/a/b",
    ])
    .prop_map(serde_json::Value::from);
    let leaf = prop_oneof![
        6 => text,
        1 => Just(json!(null)),
        1 => any::<i8>().prop_map(serde_json::Value::from),
        1 => Just(json!({"type": "Point", "coordinates": [1, 2]})),
    ];
    let key = prop::sample::select(vec![
        "id",
        "type",
        "a",
        "b",
        "location",
        "value",
        "object",
        "languageMap",
        "vocab",
        "json",
        "valueList",
        "objectList",
        "dataset",
        "datasetId",
        "observedAt",
        "unitCode",
        "scope",
        "expiresAt",
        "@none",
        "en",
        "ngsildproof",
        "entityTypeSealed",
        "@graph",
        "createdAt",
    ]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            3 => btree_map(key.clone(), inner.clone(), 0..6).prop_map(|members| json!(members)),
            1 => vec(inner, 0..4).prop_map(serde_json::Value::from),
        ]
    })
}
