use musubi_model::{Attribute, AttributeType, Instance, Json, Value};
use proptest::prelude::*;

use super::*;
use crate::test_terms::ExampleTerms;
use crate::{Comparison, Query};

const TEXTS: [&str; 7] = [
    "a",
    "b",
    "2024-01-11",
    "2024-01-11T09:00:00Z",
    "2024-01-11T10:00:00+01:00",
    "09:00:00Z",
    "urn:a:1",
];

fn a_scalar() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        (-3..4_i32).prop_map(Into::into),
        Just(serde_json::json!(-0.0)),
        proptest::sample::select(&TEXTS[..]).prop_map(Into::into),
        any::<bool>().prop_map(Into::into),
        Just(serde_json::Value::Null),
        proptest::sample::select(&TEXTS[..]).prop_map(|text| serde_json::json!({"@value": text})),
        proptest::sample::select(&TEXTS[..]).prop_map(|text| serde_json::json!({"en": text})),
    ]
}

fn an_instance() -> impl Strategy<Value = Instance> {
    let value = prop_oneof![
        3 => a_scalar(),
        1 => proptest::collection::vec(a_scalar(), 0..3).prop_map(Into::into),
        1 => a_scalar().prop_map(|value| serde_json::json!({"m": value})),
    ];
    (proptest::sample::select(&AttributeType::ALL[..]), value).prop_map(|(kind, value)| Instance {
        value: Value { kind, json: Json::from(&value) },
        observed_at: Some(Timestamp::from_seconds(1_704_963_600)),
        created_at: Timestamp::EPOCH,
        modified_at: Timestamp::EPOCH,
        qualifiers: None,
    })
}

fn an_entity() -> impl Strategy<Value = Entity> {
    proptest::collection::vec(an_instance(), 1..3).prop_map(|instances| Entity {
        id: "urn:a:b".parse().unwrap(),
        types: vec!["urn:t".parse().unwrap()],
        scopes: Vec::new(),
        created_at: Timestamp::EPOCH,
        modified_at: Timestamp::EPOCH,
        expires_at: None,
        attributes: vec![Attribute {
            name: crate::Terms::attribute(&ExampleTerms, "x").unwrap(),
            instances: instances.into_iter().collect(),
        }],
    })
}

fn a_query() -> impl Strategy<Value = String> {
    let path = proptest::sample::select(vec!["x", "x[m]", "x[en]"]);
    let comparison = proptest::sample::select(vec!["==", "<", "<=", ">", ">="]);
    let literal = proptest::sample::select(vec![
        "0",
        "1",
        "-2",
        "2.0",
        "\"a\"",
        "\"2024-01-11\"",
        "2024-01-11",
        "2024-01-11T09:00:00Z",
        "2024-01-11T09:00:01Z",
        "09:00:00Z",
        "urn:a:1",
    ]);
    let range = proptest::sample::select(vec!["-1..2", "2024-01-10..2024-01-12", "\"a\"..\"b\""]);
    prop_oneof![
        4 => (path.clone(), comparison, literal)
            .prop_map(|(path, comparison, literal)| format!("{path}{comparison}{literal}")),
        1 => (path, range).prop_map(|(path, range)| format!("{path}=={range}")),
    ]
}

/// Whether the marks leave it open that the comparison holds.
fn may_hold(entity: &Entity, path: &AttributePath, comparison: &Comparison) -> bool {
    let mut seen = Vec::new();
    path.marks(entity, &mut |mark| {
        seen.push(match mark {
            Mark::Text(text) => Mark::Text(Cow::Owned(text.into_owned())),
            Mark::Number(number) => Mark::Number(number),
            Mark::Boolean(boolean) => Mark::Boolean(boolean),
            Mark::Time(axis, at) => Mark::Time(axis, at),
        });
    });
    let stands = |literal: &Literal, fits: fn(f64, f64) -> bool| {
        let Some(wanted) = literal.mark() else { return false };
        let Some((axis, at)) = wanted.place() else { return true };
        let places = seen.iter().filter_map(Mark::place);
        places.into_iter().any(|(other, there)| other == axis && fits(there, at))
    };
    match comparison {
        Comparison::Equal(literals) => literals.iter().any(|literal| match literal {
            Literal::Range(from, to) => {
                stands(from, |value, end| value >= end) && stands(to, |value, end| value <= end)
            }
            Literal::Number(_) | Literal::Text(_) | Literal::Boolean(_) | Literal::Time(_) => {
                seen.iter().any(|mark| Some(mark) == literal.mark().as_ref())
            }
        }),
        Comparison::Greater(literal) | Comparison::GreaterOrEqual(literal) => {
            stands(literal, |value, end| value >= end)
        }
        Comparison::Less(literal) | Comparison::LessOrEqual(literal) => {
            stands(literal, |value, end| value <= end)
        }
        Comparison::NotEqual(_) | Comparison::Like(_) | Comparison::NotLike(_) => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn a_comparison_holds_only_where_the_marks_allow_it(entity in an_entity(), text in a_query()) {
        let query = Query::parse(&text, &ExampleTerms).unwrap();
        let Query::Compare { path, comparison } = &query else { panic!("{text}") };
        prop_assert!(path.has_marks());
        if query.matches(&entity) {
            prop_assert!(may_hold(&entity, path, comparison), "{} {:?}", text, entity);
        }
    }
}

#[test]
fn system_attributes_and_linked_values_have_no_marks() {
    let check = |text: &str, expected: bool| {
        let query = Query::parse(text, &ExampleTerms).unwrap();
        let Query::Compare { path, .. } = &query else { panic!("{text}") };
        assert_eq!(path.has_marks(), expected, "{text}");
    };
    check("x==1", true);
    check("x.y[z]==1", true);
    check("modifiedAt>2024-01-11T09:00:00Z", false);
    check("x.observedAt>2024-01-11T09:00:00Z", false);
    check("x.unitCode==\"CEL\"", false);
    check("rel{x}==1", false);
}
