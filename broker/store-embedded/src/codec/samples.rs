//! Entities in which everything may occur, for the tests of what is written and read.

use musubi_model::{
    Attribute, AttributeType, Entity, Instance, Json, Qualifiers, Timestamp, Value,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::{bool, option};

/// Names of attributes and types: few, so that entities share some.
const NAMES: [&str; 4] = ["urn:x:a", "urn:x:b", "https://example.org/c", "urn:x:長い名"];

/// An entity.
pub(super) fn entity() -> impl Strategy<Value = Entity> {
    let types = subsequence(&NAMES[..], 0..4).prop_shuffle();
    let scopes = subsequence(vec!["/a", "/b/c", "/名古屋"], 0..3).prop_shuffle();
    let times = (time(), time(), option::weighted(0.2, time()));
    (select(vec!["urn:x:1", "urn:x:2"]), types, scopes, times, attributes(1)).prop_map(
        |(id, types, scopes, (created_at, modified_at, expires_at), attributes)| Entity {
            id: id.parse().unwrap(),
            types: types.iter().map(|name| name.parse().unwrap()).collect(),
            scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
            created_at,
            modified_at,
            expires_at,
            attributes,
        },
    )
}

/// Any time, with any digits, and some that occur again.
fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        any::<i64>().prop_map(Timestamp::from_bits),
        select(vec!["2024-05-01T00:00:00Z", "2024-05-01T00:00:00.000Z"])
            .prop_map(|text| Timestamp::parse_utc(text).unwrap()),
    ]
}

/// Attributes, each name once, in any order.
fn attributes(depth: u32) -> BoxedStrategy<Vec<Attribute>> {
    let instances = vec(vec(instance(depth), 1..3), NAMES.len());
    (subsequence(&NAMES[..], 0..=NAMES.len()).prop_shuffle(), instances)
        .prop_map(|(names, instances)| {
            let attribute = |(name, instances): (&str, Vec<Instance>)| Attribute {
                name: name.parse().unwrap(),
                instances: instances.into(),
            };
            names.into_iter().zip(instances).map(attribute).collect()
        })
        .boxed()
}

fn instance(depth: u32) -> impl Strategy<Value = Instance> {
    let json = prop_oneof![
        select(vec!["1", "2.50", "\"ä\"", "{\"a\":[1,\"é\"]}", "true"]).prop_map(str::to_owned),
        "[a-z]{0,140}".prop_map(|text| format!("\"{text}\"")),
    ];
    let value = (select(&AttributeType::ALL[..]), json);
    let times = (option::of(time()), time(), time());
    (value, times, option::weighted(0.2, qualifiers(depth))).prop_map(
        |((kind, json), (observed_at, created_at, modified_at), qualifiers)| Instance {
            value: Value { kind, json: Json::parse(&json).unwrap() },
            observed_at,
            created_at,
            modified_at,
            qualifiers: qualifiers.map(Box::new),
        },
    )
}

fn qualifiers(depth: u32) -> BoxedStrategy<Qualifiers> {
    let below = if depth == 0 { Just(Vec::new()).boxed() } else { attributes(depth - 1) };
    let codes = (option::of("[A-Z]{3}"), option::of(select(&NAMES[..])));
    let types = subsequence(&NAMES[..], 0..3);
    (option::of(select(&NAMES[..])), option::of(time()), codes, types, below, bool::ANY)
        .prop_map(|(dataset, expires_at, (unit_code, value_type), types, below, is_bare)| {
            if is_bare {
                return Qualifiers::default();
            }
            Qualifiers {
                dataset_id: dataset.map(|dataset| dataset.parse().unwrap()),
                unit_code: unit_code.map(Into::into),
                expires_at,
                value_type: value_type.map(Into::into),
                object_type: types.iter().map(|name| name.parse().unwrap()).collect(),
                attributes: below,
            }
        })
        .boxed()
}
