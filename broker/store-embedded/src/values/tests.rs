use std::sync::Arc;
use std::time::Duration;

use musubi_model::{
    Attribute, AttributeType, Entity, EntityId, Instance, Json, Position, Revision, Timestamp,
    Value,
};
use musubi_query::{Filter, Literal, Query};
use musubi_store::Found;
use parking_lot::RwLock;
use tokio::time::Instant;

use super::*;
use crate::plan::Plan;
use crate::table::Table;

fn path(name: &str) -> AttributePath {
    AttributePath { links: vec![], names: vec![name.parse().unwrap()], members: vec![] }
}

fn id(number: u64) -> EntityId {
    format!("urn:x:{number}").parse().unwrap()
}

/// An entity with a value of `urn:a`, if it has one.
fn found(number: u64, json: &str) -> Found {
    let time = Timestamp::EPOCH;
    let instance = || Instance {
        value: Value { kind: AttributeType::Property, json: Json::parse(json).unwrap() },
        observed_at: None,
        created_at: time,
        modified_at: time,
        qualifiers: None,
    };
    let attribute = || Attribute {
        name: "urn:a".parse().unwrap(),
        instances: std::iter::once(instance()).collect(),
    };
    let entity = Entity {
        id: id(number),
        types: vec!["urn:x:Type".parse().unwrap()],
        scopes: Vec::new(),
        created_at: time,
        modified_at: time,
        expires_at: None,
        attributes: if json.is_empty() { Vec::new() } else { vec![attribute()] },
    };
    Found { position: Position(number), revision: Revision(number), entity: Arc::new(entity) }
}

fn far() -> Instant {
    Instant::now() + Duration::from_hours(1)
}

/// What an index says that is made of the entities as they are now.
fn anew(table: &Table, path: &AttributePath) -> Marks {
    let entries = table.live().iter().flat_map(|slot| {
        let keys = keys(path, &table.at(slot).unwrap().entity);
        keys.entries(slot).collect::<Vec<_>>()
    });
    Marks::of(entries, 0)
}

/// The numbers of the entities that may satisfy all comparisons.
fn numbers(table: &RwLock<Table>, comparisons: &[Comparison]) -> Option<Vec<u64>> {
    let table = table.read();
    let comparisons: Vec<_> = comparisons.iter().collect();
    let slots = table.indexes.values.slots(&path("urn:a"), &comparisons, &Room::default())?;
    Some(slots.iter().map(|slot| table.at(slot).unwrap().position.0).collect())
}

fn number(number: f64) -> Literal {
    Literal::Number(number)
}

/// Values of every kind, one after another; none now and then.
fn value(number: u64) -> String {
    match number % 8 {
        0 => String::new(),
        1 => "true".to_owned(),
        2 => format!("\"text {}\"", number % 5),
        3 => format!("[{}, {}]", number % 7, number % 11),
        4 => "[1, 2, 3, 4, 5, 6]".to_owned(),
        5 => format!("\"2025-01-0{}\"", 1 + number % 9),
        _ => format!("{}", number % 100),
    }
}

/// Writes of every kind, none of which depends on the ones before.
fn write(table: &RwLock<Table>, seed: u64, writes: u64) {
    let mut random = seed;
    for _ in 0..writes {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (number, choice) = ((random >> 33) % 40, random >> 40);
        if choice % 9 == 0 {
            table.write().remove(&id(number));
        } else {
            table.write().put(&found(number, &value(choice)));
        }
    }
}

#[test]
fn an_index_follows_every_write() {
    let table =
        RwLock::new(Table::load((0..30).map(|number| found(number, &value(number))).collect()));
    assert!(form(&table, &path("urn:a"), far()));
    assert!(!form(&table, &path("urn:a"), far()), "there is one");
    for round in 0..200 {
        write(&table, round, 10);
        let table = table.read();
        let index = table.indexes.values.formed(&path("urn:a")).unwrap();
        assert_eq!(*index, anew(&table, &path("urn:a")));
    }
}

#[test]
fn what_is_written_while_an_index_is_made_is_in_it() {
    for round in 0..50 {
        let table =
            RwLock::new(Table::load((0..30).map(|number| found(number, &value(number))).collect()));
        let path = path("urn:a");
        let begun = form::begin(&table, &path).unwrap();
        write(&table, round, 30);
        let marks = form::read(&table, &path, &begun.slots, far()).unwrap();
        write(&table, round + 100, 300);
        form::finish(&begun, marks, far()).unwrap();
        let table = table.read();
        assert_eq!(*table.indexes.values.formed(&path).unwrap(), anew(&table, &path));
    }
}

#[test]
fn an_index_that_takes_too_long_is_given_up() {
    let table = RwLock::new(Table::load((0..30).map(|number| found(number, "1")).collect()));
    assert!(!form(&table, &path("urn:a"), Instant::now()));
    assert!(table.read().indexes.values.indexes.is_empty());
    assert!(form(&table, &path("urn:a"), far()));
}

#[test]
fn both_ends_of_a_range_find_what_is_between() {
    let values = ["-3", "-0.5", "0", "-0.0", "2", "7.5", "[1, 9]", "\"2\"", "true", ""];
    let table =
        RwLock::new(Table::load((0..).zip(values).map(|(n, value)| found(n, value)).collect()));
    assert!(form(&table, &path("urn:a"), far()));
    let check = |comparisons: &[Comparison], expected: &[u64]| {
        assert_eq!(numbers(&table, comparisons).unwrap(), expected, "{comparisons:?}");
    };
    check(&[Comparison::Less(number(0.0))], &[0, 1, 2, 3]);
    check(&[Comparison::Equal(vec![number(-0.0)])], &[2, 3]);
    check(&[Comparison::Greater(number(7.5))], &[5, 6]);
    let between = Literal::Range(Box::new(number(-1.0)), Box::new(number(2.0)));
    check(&[Comparison::Equal(vec![between])], &[1, 2, 3, 4, 6]);
    // One of the values 1 and 9 is more than 2, and the other less than 8.
    let ends = [Comparison::GreaterOrEqual(number(2.0)), Comparison::LessOrEqual(number(8.0))];
    check(&ends, &[4, 5, 6]);
    check(&[Comparison::Equal(vec![Literal::Text("2".to_owned())])], &[7]);
    check(&[Comparison::Equal(vec![Literal::Boolean(true), number(2.0)])], &[4, 8]);
    assert_eq!(numbers(&table, &[Comparison::NotEqual(vec![number(2.0)])]), None);
    assert_eq!(numbers(&table, &[Comparison::Less(Literal::Text("b".to_owned()))]), None);
}

#[test]
fn texts_that_are_times_are_found_by_their_moment() {
    let values = ["\"2025-03-01T00:00:00+09:00\"", "\"2025-02-28T14:00:00Z\"", "\"2025-03-01\""];
    let table =
        RwLock::new(Table::load((0..).zip(values).map(|(n, value)| found(n, value)).collect()));
    assert!(form(&table, &path("urn:a"), far()));
    let time = |text: &str| Literal::Time(text.to_owned());
    let since = Comparison::GreaterOrEqual(time("2025-02-28T15:00:00Z"));
    assert_eq!(numbers(&table, &[since]).unwrap(), [0]);
    assert_eq!(numbers(&table, &[Comparison::Less(time("2025-03-02"))]).unwrap(), [2]);
}

#[test]
fn what_too_many_may_satisfy_is_not_gathered() {
    let most = u64::try_from(WIDEST).unwrap();
    let entities = (0..=most).map(|n| found(n, if n == 0 { "0" } else { "1" }));
    let table = RwLock::new(Table::load(entities.collect()));
    assert!(form(&table, &path("urn:a"), far()));
    let ones = [Comparison::Equal(vec![number(1.0)])];
    assert_eq!(numbers(&table, &ones).map(|found| found.len()), Some(WIDEST));
    assert_eq!(numbers(&table, &[Comparison::Greater(number(0.0))]), None);
}

/// Values with as many indexes as there may be, of these paths.
fn full(paths: &[AttributePath]) -> Values {
    let mut values = Values::default();
    for path in paths.iter().take(MAX_PATHS) {
        let number = values.begin(path).unwrap();
        assert!(values.begin(path).is_none(), "it is being made");
        assert!(values.end(number, Marks::default()).is_none());
    }
    values
}

fn paths() -> Vec<AttributePath> {
    (0..=MAX_PATHS).map(|number| path(&format!("urn:{number}"))).collect()
}

#[test]
fn the_index_that_was_not_asked_for_longest_makes_room() {
    let paths = paths();
    let mut values = full(&paths);
    let one = [&Comparison::Equal(vec![number(1.0)])];
    for _ in 0..RECENT {
        for path in paths.iter().take(MAX_PATHS).filter(|other| **other != path("urn:5")) {
            values.slots(path, &one, &Room::default()).unwrap();
        }
    }
    let number = values.begin(paths.last().unwrap()).unwrap();
    assert!(
        values.slots(&path("urn:5"), &one, &Room::default()).is_some(),
        "it stays until the other is made"
    );
    assert!(values.begin(&path("urn:further")).is_none(), "one is being made");
    // Asked for just now, so it is another one that goes.
    assert_eq!(values.end(number, Marks::default()).unwrap().path, path("urn:0"));
    assert_eq!(values.indexes.len(), MAX_PATHS);
}

#[test]
fn an_index_that_was_asked_for_of_late_makes_no_room() {
    let paths = paths();
    let mut values = full(&paths);
    let further = paths.last().unwrap();
    let refused = (0..1_000).take_while(|_| values.begin(further).is_none()).count();
    // That it was refused counts, so an index that nobody asks for goes in the end.
    assert!((1..=64).contains(&refused), "{refused}");
}

#[test]
fn an_index_whose_maker_panics_is_given_up() {
    let table = RwLock::new(Table::load((0..30).map(|number| found(number, "1")).collect()));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _begun = form::begin(&table, &path("urn:a")).unwrap();
        panic!("a bug that the test asked for");
    }));
    assert!(panicked.is_err());
    assert!(table.read().indexes.values.indexes.is_empty());
    assert!(form(&table, &path("urn:a"), far()));
}

#[test]
fn a_plan_gathers_no_more_however_many_comparisons_it_has() {
    let most = u64::try_from(WIDEST).unwrap();
    let table = RwLock::new(Table::load((0..most).map(|n| found(n, &n.to_string())).collect()));
    assert!(form(&table, &path("urn:a"), far()));
    let table = table.read();
    let room = Room::default();
    let ask = |from: f64, room: &Room| {
        let values = &table.indexes.values;
        values.slots(&path("urn:a"), &[&Comparison::GreaterOrEqual(number(from))], room)
    };
    let gathered: Vec<_> = (0..10_000).map_while(|_| ask(100.0, &room)).collect();
    assert!((1..=4).contains(&gathered.len()), "{}", gathered.len());
    assert!(ask(100.0, &Room::default()).is_some(), "another plan has room of its own");
    // What finds nothing costs something too.
    let room = Room::default();
    assert!((0..10_000).any(|_| ask(1e9, &room).is_none()));
}

#[test]
fn a_plan_without_room_leaves_out_no_entity_that_matches() {
    let table = RwLock::new(Table::load((0..9_000).map(|n| found(n, &n.to_string())).collect()));
    assert!(form(&table, &path("urn:a"), far()));
    let table = table.read();
    let compare = |comparison| Query::Compare { path: path("urn:a"), comparison };
    let greater = |from: u32| compare(Comparison::Greater(number(f64::from(from))));
    let any = Query::Or((1_000..3_000).map(greater).collect());
    let all = Query::And(vec![greater(8_990), any.clone()]);
    for query in [any, all] {
        let filter = Filter::Query(query);
        let slots = Plan::new(&table, &filter).slots(&table);
        let matching =
            table.live().iter().filter(|slot| filter.matches(&table.at(*slot).unwrap().entity));
        assert!(matching.into_iter().all(|slot| slots.contains(slot)));
    }
}

#[test]
fn two_ends_leave_out_texts_whose_moments_are_not_between() {
    let days = (1..=9).map(|day| found(day, &format!("\"2025-01-0{day}T00:00:00Z\"")));
    let table = RwLock::new(Table::load(days.collect()));
    assert!(form(&table, &path("urn:a"), far()));
    let time = |day: u32| Literal::Time(format!("2025-01-0{day}T00:00:00Z"));
    let ends = [Comparison::GreaterOrEqual(time(3)), Comparison::LessOrEqual(time(5))];
    assert_eq!(numbers(&table, &ends).unwrap(), [3, 4, 5]);
}

#[test]
fn an_index_leaves_out_no_entity_that_satisfies_all_comparisons() {
    let mut random = 11_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let texts = [
        "2025-01-01",
        "2025-01-02",
        "2025-01-01T00:00:00Z",
        "2025-01-02T00:00:00Z",
        "2025-01-03T09:00:00+09:00",
        "10:00:00",
        "11:00:00",
        "1",
        "2",
        "x",
    ];
    let text =
        |next: &mut dyn FnMut(u64) -> u64| texts[usize::try_from(next(10)).unwrap()].to_owned();
    let single = |next: &mut dyn FnMut(u64) -> u64| match next(6) {
        0 => "true".to_owned(),
        1 | 2 => next(4).to_string(),
        _ => format!("{:?}", text(next)),
    };
    let entities = (0..600).map(|number| {
        let values: Vec<String> = (0..=next(3)).map(|_| single(&mut next)).collect();
        match values.as_slice() {
            [value] => found(number, value),
            _ => found(number, &format!("[{}]", values.join(","))),
        }
    });
    let table = RwLock::new(Table::load(entities.collect()));
    assert!(form(&table, &path("urn:a"), far()));
    let literal = |next: &mut dyn FnMut(u64) -> u64| match next(6) {
        0 => Literal::Boolean(true),
        1 => Literal::Number(f64::from(u32::try_from(next(4)).unwrap())),
        2 => Literal::Text(text(next)),
        _ => Literal::Time(texts[usize::try_from(next(7)).unwrap()].to_owned()),
    };
    let (mut satisfied, mut narrowed) = (0, 0);
    for _ in 0..5_000 {
        let comparisons: Vec<Comparison> = (0..=next(3))
            .map(|_| match next(6) {
                0 => Comparison::Equal(vec![literal(&mut next), literal(&mut next)]),
                1 => Comparison::Equal(vec![literal(&mut next)]),
                2 => Comparison::Greater(literal(&mut next)),
                3 => Comparison::GreaterOrEqual(literal(&mut next)),
                4 => Comparison::Less(literal(&mut next)),
                _ => Comparison::LessOrEqual(literal(&mut next)),
            })
            .collect();
        let compare = |comparison: &Comparison| Query::Compare {
            path: path("urn:a"),
            comparison: comparison.clone(),
        };
        let filter = Filter::Query(Query::And(comparisons.iter().map(compare).collect()));
        let Some(numbers) = numbers(&table, &comparisons) else { continue };
        let table = table.read();
        for slot in table.live() {
            let found = table.at(slot).unwrap();
            if filter.matches(&found.entity) {
                satisfied += 1;
                assert!(numbers.contains(&found.position.0), "{comparisons:?} {found:?}");
            }
        }
        narrowed += usize::from(numbers.len() < 300);
    }
    assert!(satisfied > 10_000 && narrowed > 1_000, "{satisfied} {narrowed}");
}
