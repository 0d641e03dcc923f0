use std::collections::BTreeMap;
use std::sync::Arc;

use musubi_model::{
    AttributeFragment, AttributeType, Entity, EntityFragment, EntityId, FragmentValue,
    InstanceFragment, Json, Timestamp, Value,
};
use proptest::prelude::*;

use super::*;
use crate::cursor::Cursor;
use crate::test_terms::ExampleTerms;
use crate::{InvalidQuery, LinkedEntities, Query};

fn read(text: &str) -> Result<AttributePath, InvalidQuery> {
    let mut cursor = Cursor::new("q", text)?;
    let path = AttributePath::read(&mut cursor, &ExampleTerms)?;
    assert!(cursor.at_end(), "{text}");
    Ok(path)
}

/// A path, written shortly: `relationship(types)>…>names[members]`.
fn shown(path: &AttributePath) -> String {
    let short = |name: &str| name.trim_start_matches("https://example.org/").to_owned();
    let links = path.links.iter().map(|link| {
        let types: Vec<String> = link.types.iter().map(|name| short(name.as_str())).collect();
        format!("{}({})>", short(link.relationship.as_str()), types.join(" "))
    });
    let names: Vec<String> = path.names.iter().map(|name| short(name.as_str())).collect();
    let members = path.members.iter().map(|member| format!("[{member}]"));
    let parts: Vec<String> = links.chain([names.join(".")]).chain(members).collect();
    parts.concat()
}

#[test]
fn a_path_is_read() {
    let check = |text: &str, expected: &str| {
        assert_eq!(shown(&read(text).unwrap()), expected, "{text}");
    };
    check("a", "a");
    check("a.b.c[d.e f]", "a.b.c[d][e f]");
    check("ex:a", "ex:a");
    check("温度.精度", "温度.精度");
    check("rel{a}", "rel()>a");
    check("rel{a.b[c]}", "rel()>a.b[c]");
    check("rel{T:a}", "rel(T)>a");
    check("rel{T1,T2:a}", "rel(T1 T2)>a");
    check("rel{T:rel2{a}}", "rel(T)>rel2()>a");
    check("rel{T1,T2:rel2{U:rel3{a.b}}}", "rel(T1 T2)>rel2(U)>rel3()>a.b");
    check("rel{ex:T:a}", "rel(ex:T)>a");
    check("rel{ex:T:ex:a}", "rel(ex:T)>ex:a");
    check("rel{S,ex:T:a}", "rel(S ex:T)>a");
    check("rel{ T:a }", "rel(T)>a");
}

#[test]
fn what_is_no_path_is_refused_with_the_place() {
    let check = |text: &str, expected: &str| {
        let refusal = read(text).unwrap_err();
        assert_eq!(format!("{} {}", refusal.at, refusal.reason), expected, "{text}");
    };
    let name = "the name of an attribute was expected";
    check("", &format!("1 {name}"));
    check("rel{", &format!("5 {name}"));
    check("rel{T:}", &format!("7 {name}"));
    check("rel{:a}", "5 a type was expected");
    check("rel{T,:a}", "7 a type was expected");
    check("rel{T,a}", "8 ':' was expected behind the types");
    check("rel{9:a}", "5 a type was expected");
    check("rel{a", "6 '}' was expected");
    check("rel{a b}", "7 '}' was expected");
    check("rel{rel2{a}", "12 '}' was expected");
    let nothing_else =
        "'{' follows the name of a relationship of the entity itself, and nothing else";
    check("a.rel{b}", &format!("6 {nothing_else}"));
    check("a[b]{c}", &format!("5 {nothing_else}"));
    let deep = format!("{}a{}", "r{".repeat(9), "}".repeat(9));
    check(&deep, "17 a path follows at most 8 links");
    let deep = format!("{}a{}", "r{".repeat(8), "}".repeat(8));
    assert_eq!(read(&deep).unwrap().links.len(), AttributePath::MAX_LINKS);
}

/// Whether a way along numbered links leads from one number to another; of some links the parity
/// of the target is asked for.
fn leads(
    from: usize,
    way: &[(usize, Option<usize>)],
    wanted: usize,
    targets: &dyn Fn(usize, usize) -> Vec<usize>,
) -> bool {
    let Some(((by, kind), rest)) = way.split_first() else { return from == wanted };
    targets(from, *by).into_iter().any(|to| {
        to < 5 && kind.is_none_or(|kind| to % 2 == kind) && leads(to, rest, wanted, targets)
    })
}

/// A town of entities.
struct Town(BTreeMap<EntityId, Arc<Entity>>);

impl LinkedEntities for Town {
    fn entity(&self, id: &EntityId) -> Option<Arc<Entity>> {
        self.0.get(id).cloned()
    }
}

/// An entity of one type, with attributes that each have instances of a kind and a value.
fn entity(id: &str, kind: &str, attributes: &[(&str, &[(AttributeType, &str)])]) -> Arc<Entity> {
    let instance = |(number, (kind, text)): (usize, &(AttributeType, &str))| InstanceFragment {
        value: Some(FragmentValue::Typed(Value { kind: *kind, json: Json::parse(text).unwrap() })),
        dataset_id: (number > 0).then(|| format!("urn:d:{number}").parse().unwrap()),
        ..InstanceFragment::default()
    };
    let fragment = EntityFragment {
        id: Some(id.parse().unwrap()),
        types: vec![format!("https://example.org/{kind}").parse().unwrap()],
        attributes: attributes
            .iter()
            .map(|(term, instances)| AttributeFragment {
                name: format!("https://example.org/{term}").parse().unwrap(),
                instances: instances.iter().enumerate().map(instance).collect(),
            })
            .collect(),
        ..EntityFragment::default()
    };
    Arc::new(Entity::create(fragment, Timestamp::EPOCH).unwrap())
}

fn town(entities: impl IntoIterator<Item = Arc<Entity>>) -> Town {
    Town(entities.into_iter().map(|entity| (entity.id.clone(), entity)).collect())
}

const ONE: AttributeType = AttributeType::Relationship;
const LIST: AttributeType = AttributeType::ListRelationship;
const VALUE: AttributeType = AttributeType::Property;

#[test]
fn a_query_looks_into_linked_entities() {
    let station = entity(
        "urn:station",
        "Station",
        &[
            ("sensor", &[(ONE, "\"urn:sensor:1\""), (ONE, "\"urn:sensor:2\"")]),
            ("parts", &[(LIST, "[\"urn:sensor:2\",\"urn:missing\"]")]),
            ("many", &[(ONE, "[\"urn:missing\",\"urn:sensor:1\"]")]),
            ("lost", &[(ONE, "\"urn:missing\"")]),
            ("text", &[(VALUE, "\"urn:sensor:1\"")]),
        ],
    );
    let first = entity(
        "urn:sensor:1",
        "Device",
        &[("humidity", &[(VALUE, "40")]), ("owner", &[(ONE, "\"urn:owner\"")])],
    );
    let second = entity(
        "urn:sensor:2",
        "Spare",
        &[("humidity", &[(VALUE, "60")]), ("home", &[(ONE, "\"urn:station\"")])],
    );
    let owner = entity("urn:owner", "Person", &[("name", &[(VALUE, "{\"first\":\"Aki\"}")])]);
    let town = town([station.clone(), first, second, owner]);
    let check = |text: &str, expected: bool| {
        let query = Query::parse(text, &ExampleTerms).unwrap();
        assert_eq!(query.matches_among(&station, &town), expected, "{text}");
        if expected && !text.starts_with('!') {
            assert!(!query.matches(&station), "{text}: nothing is known of other entities");
        }
    };
    check("sensor{humidity}==40", true);
    check("sensor{humidity}==60", true);
    check("sensor{humidity}==50", false);
    check("sensor{humidity}!=40", true);
    check("parts{humidity}!=60", false);
    check("parts{humidity}>50", true);
    check("many{humidity}==40", true);
    check("sensor{humidity}", true);
    check("sensor{pressure}", false);
    check("!sensor{pressure}", true);
    check("!sensor{humidity}", false);
    check("sensor{Device:humidity}==40", true);
    check("sensor{Device:humidity}==60", false);
    check("sensor{Spare,Device:humidity}==60", true);
    check("sensor{Person:humidity}", false);
    check("sensor{owner{name[first]}}==\"Aki\"", true);
    check("sensor{Device:owner{Person:name[first]}}~=\"^A\"", true);
    check("sensor{Spare:owner{Person:name[first]}}", false);
    check("sensor{owner{createdAt}}==1970-01-01T00:00:00Z", true);
    check("sensor{owner}==urn:owner", true);
    check("sensor{home{sensor{home{sensor{humidity}}}}}==40", true);
    check("lost{humidity}", false);
    check("lost{humidity}!=1", false);
    check("text{humidity}", false);
    check("unknown{humidity}", false);
    check("(sensor{humidity}==1|sensor{humidity}==40);sensor{owner}", true);
    let depth = |text| Query::parse(text, &ExampleTerms).unwrap().link_depth();
    assert_eq!(depth("a;(b{c}|d{e{f}}==1);!g{h}"), 2);
    assert_eq!(depth("a.b[c]>1"), 0);
}

#[test]
fn the_walk_ends_where_it_has_seen_enough() {
    let far = AttributePath::MAX_LINKED + 1;
    let ids: Vec<String> = (1..=far).map(|number| format!("\"urn:{number}\"")).collect();
    let ids = format!("[{}]", ids.join(","));
    let hub = entity("urn:hub", "Hub", &[("all", &[(ONE, &ids)])]);
    let other = |number: usize| {
        entity(&format!("urn:{number}"), "T", &[("number", &[(VALUE, &number.to_string())])])
    };
    let town = town([other(1), other(far - 1), other(far)]);
    let holds = |number: usize| {
        let query = Query::parse(&format!("all{{number}}=={number}"), &ExampleTerms).unwrap();
        query.matches_among(&hub, &town)
    };
    assert!(holds(1) && holds(far - 1));
    assert!(!holds(far));
}

proptest! {
    #[test]
    fn the_walk_is_that_of_a_plain_recursion(
        edges in prop::collection::vec((0..5_usize, 0..2_usize, 0..6_usize), 0..12),
        way in prop::collection::vec((0..2_usize, prop::option::of(0..2_usize)), 1..4),
        wanted in 0..5_usize,
    ) {
        let targets = |from: usize, by: usize| -> Vec<usize> {
            let edges = edges.iter().filter(|edge| edge.0 == from && edge.1 == by);
            edges.map(|edge| edge.2).collect()
        };
        // Number 5 does not exist; even numbers are of type T0, odd ones of type T1.
        let build = |number: usize| {
            let text = |by| {
                let ids: Vec<String> = targets(number, by).iter().map(|to| format!("\"urn:e:{to}\"")).collect();
                format!("[{}]", ids.join(","))
            };
            let (first, second, value) = (text(0), text(1), number.to_string());
            let first: &[(AttributeType, &str)] = &[(LIST, &first)];
            let second: &[(AttributeType, &str)] = &[(ONE, &second)];
            entity(&format!("urn:e:{number}"), &format!("T{}", number % 2), &[
                ("r0", first), ("r1", second), ("value", &[(VALUE, &value)]),
            ])
        };
        let mut text = String::from("value");
        for (by, kind) in way.iter().rev() {
            let hint = kind.map(|kind| format!("T{kind}:")).unwrap_or_default();
            text = format!("r{by}{{{hint}{text}}}");
        }
        let entities: Vec<Arc<Entity>> = (0..5).map(build).collect();
        let town = town(entities.clone());
        let query = Query::parse(&format!("{text}=={wanted}"), &ExampleTerms).unwrap();
        let expected = leads(0, &way, wanted, &targets);
        prop_assert_eq!(query.matches_among(&entities[0], &town), expected, "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-c.:,\\[\\]{}]{0,30}|.{0,30}") {
        let _ = Query::parse(&text, &ExampleTerms);
    }
}
