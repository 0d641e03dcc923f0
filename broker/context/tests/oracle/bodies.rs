//! Generated bodies in the normalized representation.

use musubi_context::Context;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::contexts;

/// Names that a body may use, whatever the context says of them.
fn name() -> impl Strategy<Value = String> + Clone {
    prop::sample::select(vec![
        "speed",
        "kind",
        "気温",
        "a",
        "b",
        "other",
        "Škola",
        "ex:a",
        "ex:other",
        "p:b",
        "title",
        "https://e.example/t",
        "urn:x:y",
        "ngsi-ld:z",
    ])
    .prop_map(str::to_owned)
}

fn vocabulary() -> impl Strategy<Value = Value> {
    let one = prop_oneof![name(), Just("12:30".to_owned()), Just("in use".to_owned())]
        // White space makes no IRI.
        .prop_map(|text| text.replace(' ', "_"))
        .boxed();
    one_or_more(one)
}

fn one_or_more(texts: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => texts.clone().prop_map(Value::from),
        1 => prop::collection::btree_set(texts, 2..4).prop_map(|texts| json!(texts)),
    ]
}

fn target() -> impl Strategy<Value = String> + Clone {
    prop::sample::select(vec!["urn:ngsi-ld:T:1", "urn:ngsi-ld:T:2", "https://e.example/1"])
        .prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-1000..1000_i32).prop_map(|number| json!(f64::from(number) / 8.0)),
        "[a-z\"\\\\\n{}é気温 ]{0,6}".prop_map(Value::from),
        Just(json!("speed")),
        Just(json!("urn:ngsi-ld:T:1")),
    ]
}

/// A kind, and a value of it.
fn value() -> impl Strategy<Value = (&'static str, &'static str, Value)> {
    let of = |kind: &'static str, member: &'static str| move |value: Value| (kind, member, value);
    let object = || btree_map("[a-z]{1,3}", scalar(), 1..3).prop_map(|members| json!(members));
    let plain = prop_oneof![
        4 => scalar(),
        1 => vec(scalar(), 2..4).prop_map(Value::Array),
        1 => object(),
    ];
    let point = (-180..180_i32, -90..90_i32)
        .prop_map(|(x, y)| json!({"type": "Point", "coordinates": [x, y]}));
    let texts = prop_oneof![
        2 => "[a-z気]{1,4}".prop_map(Value::from),
        1 => vec("[a-z気]{1,4}", 2..3).prop_map(|texts| json!(texts)),
    ];
    let languages = btree_map("en|ja|de-AT|zh-Hant|@none", texts, 1..3);
    let targets = vec(target(), 1..4).prop_map(|targets| {
        targets.into_iter().map(|target| json!({"object": target})).collect::<Value>()
    });
    prop_oneof![
        3 => plain.prop_map(of("Property", "value")),
        1 => point.prop_map(of("GeoProperty", "value")),
        2 => one_or_more(target()).prop_map(of("Relationship", "object")),
        1 => languages.prop_map(|map| json!(map)).prop_map(of("LanguageProperty", "languageMap")),
        2 => vocabulary().prop_map(of("VocabProperty", "vocab")),
        1 => object().prop_map(of("JsonProperty", "json")),
        1 => vec(scalar(), 1..4).prop_map(Value::Array).prop_map(of("ListProperty", "valueList")),
        1 => targets.prop_map(of("ListRelationship", "objectList")),
    ]
}

fn instance(depth: u32) -> BoxedStrategy<Map<String, Value>> {
    let attributes =
        if depth == 0 { Just(Map::new()).boxed() } else { attributes(depth - 1, 0..3).boxed() };
    (
        value(),
        option::weighted(0.3, Just("2024-01-11T09:00:00Z")),
        option::weighted(0.2, Just("CEL")),
        option::weighted(0.3, vocabulary()),
        prop_oneof![3 => Just(Map::new()), 1 => attributes],
    )
        .prop_map(|((kind, member, value), observed_at, unit_code, names, attributes)| {
            let mut instance = attributes;
            instance.insert("type".to_owned(), json!(kind));
            instance.insert(member.to_owned(), value);
            instance.extend(observed_at.map(|time| ("observedAt".to_owned(), json!(time))));
            let has_unit = matches!(kind, "Property" | "GeoProperty" | "ListProperty");
            instance.extend(
                unit_code.filter(|_| has_unit).map(|unit| ("unitCode".to_owned(), json!(unit))),
            );
            let member = match kind {
                "Relationship" | "ListRelationship" => Some("objectType"),
                "LanguageProperty" => None,
                _ => Some("valueType"),
            };
            if let (Some(member), Some(names)) = (member, names) {
                let single = names.as_array().map_or(names.clone(), |names| names[0].clone());
                // A type is a name, and a data type any IRI.
                let fits = member == "valueType" || single.as_str() != Some("12:30");
                if fits && single.as_str() != Some("in_use") {
                    instance.insert(member.to_owned(), single);
                }
            }
            instance
        })
        .boxed()
}

fn attributes(
    depth: u32,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Map<String, Value>> {
    let instances = prop_oneof![
        4 => instance(depth).prop_map(Value::Object),
        1 => vec(instance(depth), 2..4).prop_map(|mut instances| {
            for (index, instance) in instances.iter_mut().enumerate().skip(1) {
                instance.insert("datasetId".to_owned(), json!(format!("urn:dataset:{index}")));
            }
            json!(instances)
        }),
    ];
    btree_map(name(), instances, count).prop_map(|attributes| attributes.into_iter().collect())
}

/// A context, and a body in it.
pub(crate) fn with_context() -> impl Strategy<Value = (Value, Value)> {
    let types = one_or_more(name());
    let scopes =
        prop_oneof![Just(None), Just(Some(json!("/a/b"))), Just(Some(json!(["/a", "/名古屋/c"]))),];
    (contexts::for_bodies(), types, scopes, attributes(1, 0..5), any::<bool>()).prop_map(
        |(context, types, scopes, attributes, at)| {
            let compiled = crate::ours::compiled(&context).unwrap();
            let mut body = usable(attributes, &compiled);
            body.insert("id".to_owned(), json!("urn:ngsi-ld:Thing:1"));
            body.insert(if at { "@type" } else { "type" }.to_owned(), types);
            body.extend(scopes.map(|scopes| ("scope".to_owned(), scopes)));
            (context, usable_types(Value::Object(body), &compiled))
        },
    )
}

/// Without the names that the context makes unusable: it takes them out of use, makes them stand
/// for a keyword or a member of the data model, or for something of which no name can be made.
fn usable(attributes: Map<String, Value>, context: &Context) -> Map<String, Value> {
    let fits = |name: &str| is_usable(name, context);
    attributes
        .into_iter()
        .filter(|(name, _)| fits(name) || is_member(name))
        .map(|(name, value)| {
            let value = match name.as_str() {
                "vocab" | "valueType" | "objectType" => only(value, &fits),
                _ if is_member(&name) => value,
                _ => usable_instances(value, context),
            };
            (name, value)
        })
        .collect()
}

/// The same inside of one instance or of several.
fn usable_instances(instances: Value, context: &Context) -> Value {
    let one = |instance: Value| match instance {
        Value::Object(members) => usable(members, context).into(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            instance
        }
    };
    match instances {
        Value::Array(instances) => instances.into_iter().map(one).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            one(instances)
        }
    }
}

fn is_usable(name: &str, context: &Context) -> bool {
    let iri = context.expand(name);
    contexts::meaning(context, name).is_some() && !iri.ends_with("ngsi-ld/location")
}

/// The names that fit, or one that always does.
fn only(names: Value, fits: &impl Fn(&str) -> bool) -> Value {
    let names = names.as_array().cloned().unwrap_or_else(|| vec![names]);
    let mut names = names.into_iter().filter(|name| name.as_str().is_some_and(fits));
    let first = names.next().unwrap_or_else(|| json!("urn:always"));
    let others: Vec<Value> = names.collect();
    if others.is_empty() { first } else { [vec![first], others].concat().into() }
}

fn usable_types(mut body: Value, context: &Context) -> Value {
    for member in ["type", "@type"] {
        if let Some(types) = body.get_mut(member) {
            *types = only(types.take(), &|name: &str| is_usable(name, context));
        }
    }
    body
}

/// Whether a member of an instance is one of the data model and no sub-attribute.
fn is_member(name: &str) -> bool {
    matches!(
        name,
        "type"
            | "value"
            | "object"
            | "languageMap"
            | "vocab"
            | "json"
            | "valueList"
            | "objectList"
            | "observedAt"
            | "unitCode"
            | "datasetId"
            | "valueType"
            | "objectType"
    )
}

/// The body with each name as we write it.
pub(crate) fn in_written_names(body: &Value, context: &Context) -> Value {
    let Value::Object(members) = body else { return body.clone() };
    let written = |name: &Value| {
        let name = name.as_str().unwrap();
        Value::from(context.compact(&context.expand(name)))
    };
    let all = |names: &Value| match names.as_array() {
        // Two names of one type are one type.
        Some(names) => {
            let mut several: Vec<Value> = Vec::new();
            for name in names.iter().map(written) {
                if !several.contains(&name) {
                    several.push(name);
                }
            }
            several
        }
        None => vec![written(names)],
    };
    let one_or_more = |mut names: Vec<Value>| match names.len() {
        1 => names.remove(0),
        _ => Value::Array(names),
    };
    let is_entity = members.contains_key("id");
    let members = members.iter().map(|(name, value)| match name.as_str() {
        "type" | "@type" if is_entity => ("type".to_owned(), one_or_more(all(value))),
        "objectType" => (name.clone(), one_or_more(all(value))),
        "vocab" => match value.as_array() {
            Some(terms) => (name.clone(), terms.iter().map(written).collect()),
            None => (name.clone(), written(value)),
        },
        "valueType" => (name.clone(), written(value)),
        "id" | "scope" => (name.clone(), value.clone()),
        _ if !is_entity && is_member(name) => (name.clone(), value.clone()),
        _ => {
            let value = match value.as_array() {
                Some(instances) => {
                    instances.iter().map(|one| in_written_names(one, context)).collect()
                }
                None => in_written_names(value, context),
            };
            (written(&json!(name)).as_str().unwrap().to_owned(), value)
        }
    });
    Value::Object(members.collect())
}
