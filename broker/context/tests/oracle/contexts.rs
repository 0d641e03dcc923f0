//! Generated user contexts: valid ones, and ones with an error in them.

use musubi_context::Context;
use musubi_model::FragmentValue;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Texts of which a generated context may have something to say.
pub(crate) const TEXTS: [&str; 21] = [
    "speed",
    "kind",
    "気温",
    "a",
    "b",
    "ex",
    "p",
    "r",
    "art",
    "ex:a",
    "ex:other",
    "p:b",
    "r:x",
    "p:b:c",
    "a/b",
    "ngsi-ld:z",
    "urn:x:y",
    "https://e.example/t",
    "12:30",
    "other",
    "location",
];

/// What a text in the place of a vocabulary's term stands for to us; none if a body with it is
/// refused.
pub(crate) fn meaning(context: &Context, text: &str) -> Option<String> {
    let attribute = json!({"type": "VocabProperty", "vocab": text});
    let body = json!({"id": "urn:a", "type": "urn:t", "urn:name": attribute});
    let fragment = crate::ours::expanded(&body, context).ok()?;
    match fragment.attributes.first()?.instances.first()?.value.as_ref()? {
        FragmentValue::Typed(value) => value.json.as_text().map(std::borrow::Cow::into_owned),
        FragmentValue::Simplified(_) | FragmentValue::Null => None,
    }
}

fn term() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "speed",
        "kind",
        "気温",
        "a",
        "b",
        "ex",
        "p",
        "r",
        "art",
        "ex:a",
        "p:b",
        "a/b",
        "r:x",
        "location",
        "https://e.example/t",
    ])
    .prop_map(str::to_owned)
}

/// What a term may be said to stand for.
fn iri() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec![
            "https://e.example/", "https://e.example/ns#", "https://e.example/ns", "urn:x:",
            "https://e.example/speed", "https://例.example/気温", "urn:x:y",
        ]),
        4 => prop::sample::select(vec![
            "ex:a", "ex:b", "p:b", "p:b:c", "r:x", "ngsi-ld:z", "ngsi-ld:location",
        ]),
        1 => prop::sample::select(vec![
            "a", "speed", "kind", "@type", "@id", "@future", "p", "a/b", "12:30", "location",
        ]),
    ]
    .prop_map(str::to_owned)
}

/// A context in full: one object, or several and perhaps a null between them.
pub(crate) fn any() -> impl Strategy<Value = Value> {
    let piece = prop_oneof![9 => object(definition(iri().boxed()).boxed()), 1 => Just(Value::Null)];
    prop_oneof![
        2 => object(definition(iri().boxed()).boxed()),
        1 => vec(piece, 1..4).prop_map(Value::Array),
    ]
}

/// A context that counts neither on terms of the core context nor on its vocabulary.
pub(crate) fn complete() -> impl Strategy<Value = Value> {
    let whole = prop::sample::select(vec![
        "https://e.example/",
        "https://e.example/ns#",
        "urn:x:",
        "urn:x:y",
        "ex:a",
        "p:b",
    ]);
    let named = (whole, any_members()).prop_map(|(id, mut members)| {
        members.insert("@id".to_owned(), json!(id));
        Value::Object(members)
    });
    let text = prop::sample::select(vec!["https://e.example/", "https://e.example/ns#", "urn:x:"])
        .prop_map(Value::from);
    object(prop_oneof![2 => text, 3 => named].boxed()).prop_map(|mut context| {
        let members = context.as_object_mut().unwrap();
        for term in ["location", "ex:a", "p:b", "r:x", "a/b", "https://e.example/t"] {
            members.remove(term);
        }
        // What the user context says has to be said before it is used.
        members.insert("ex".to_owned(), json!("https://ex.example/"));
        members.insert("p".to_owned(), json!("https://p.example/#"));
        context
    })
}

/// Valid contexts whose terms may name attributes: nothing in them makes JSON-LD look at an
/// attribute as something else than an object.
pub(crate) fn for_bodies() -> impl Strategy<Value = Value> {
    let container = prop::sample::select(vec![json!("@set"), json!("@list"), json!(["@set"])]);
    let coercion = prop::sample::select(vec![
        "@id",
        "@vocab",
        "@none",
        "DateTime",
        "https://e.example/type",
        "ex:type",
    ]);
    let named = (iri(), option::of(container), option::of(coercion)).prop_map(
        |(id, container, coercion)| {
            let mut members = Map::from_iter([("@id".to_owned(), json!(id))]);
            members.extend(container.map(|container| ("@container".to_owned(), container)));
            members.extend(coercion.map(|coercion| ("@type".to_owned(), json!(coercion))));
            Value::Object(members)
        },
    );
    let definition = prop_oneof![2 => iri().prop_map(Value::from), 2 => named];
    let pieces = prop_oneof![
        2 => object(definition.clone().boxed()),
        1 => vec(object(definition.boxed()), 1..3).prop_map(Value::Array),
    ];
    pieces.prop_filter("it is valid", |context| crate::ours::compiled(context).is_ok())
}

fn definition(iri: BoxedStrategy<String>) -> impl Strategy<Value = Value> {
    let named =
        (option::weighted(0.8, iri.clone()), any_members()).prop_map(|(id, mut members)| {
            members.extend(id.map(|id| ("@id".to_owned(), json!(id))));
            Value::Object(members)
        });
    prop_oneof![
        5 => iri.prop_map(Value::from),
        5 => named,
        1 => Just(Value::Null),
    ]
}

/// Members of a definition beside its `@id`, mostly valid ones.
fn any_members() -> impl Strategy<Value = Map<String, Value>> {
    let coercion = prop::sample::select(vec![
        "@id",
        "@vocab",
        "@json",
        "@none",
        "ex:type",
        "https://e.example/type",
        "a",
        "art",
        "_:b",
    ]);
    let container = prop::sample::select(vec![
        json!("@list"),
        json!("@set"),
        json!("@language"),
        json!("@index"),
        json!("@graph"),
        json!("@id"),
        json!("@type"),
        json!(["@set", "@index"]),
        json!(["@graph", "@id"]),
        json!(["@list", "@set"]),
    ]);
    (
        option::weighted(0.3, coercion),
        option::weighted(0.2, container),
        option::weighted(0.1, prop::bool::ANY),
        option::weighted(0.1, prop_oneof![Just(json!("ja")), Just(json!(null))]),
        option::weighted(0.05, prop_oneof![Just(json!("rtl")), Just(json!(null))]),
        option::weighted(0.05, Just(true)),
    )
        .prop_map(|(coercion, container, prefix, language, direction, protected)| {
            let mut members = Map::new();
            members.extend(coercion.map(|coercion| ("@type".to_owned(), json!(coercion))));
            members.extend(container.map(|container| ("@container".to_owned(), container)));
            members.extend(prefix.map(|prefix| ("@prefix".to_owned(), json!(prefix))));
            members.extend(language.map(|language| ("@language".to_owned(), language)));
            members.extend(direction.map(|direction| ("@direction".to_owned(), direction)));
            members.extend(protected.map(|protected| ("@protected".to_owned(), json!(protected))));
            members
        })
}

fn object(definition: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    let vocab = prop::sample::select(vec![
        json!("https://v.example/"),
        json!("https://v.example/#"),
        json!("ex:v/"),
        json!("#"),
        json!(null),
    ]);
    let header = (
        option::weighted(0.2, vocab),
        option::weighted(0.1, Just(json!("https://base.example/"))),
        option::weighted(0.1, Just(json!("ja"))),
        option::weighted(0.1, Just(json!(1.1))),
        option::weighted(0.05, Just(json!(true))),
    );
    (header, btree_map(term(), definition, 0..7)).prop_map(|(header, terms)| {
        let (vocab, base, language, version, protected) = header;
        let mut context: Map<String, Value> = terms.into_iter().collect();
        // A protected term of the core's name is in `deviations`.
        if protected.is_some() {
            context.remove("location");
        } else if let Some(Value::Object(location)) = context.get_mut("location") {
            location.remove("@protected");
        }
        context.extend(vocab.map(|vocab| ("@vocab".to_owned(), vocab)));
        context.extend(base.map(|base| ("@base".to_owned(), base)));
        context.extend(language.map(|language| ("@language".to_owned(), language)));
        context.extend(version.map(|version| ("@version".to_owned(), version)));
        context.extend(protected.map(|protected| ("@protected".to_owned(), protected)));
        Value::Object(context)
    })
}
