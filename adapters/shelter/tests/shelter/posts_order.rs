//! In which order, in which bodies and how often something is posted does not matter.

use std::collections::{BTreeMap, HashSet};

use musubi_model::Tenant;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::Town;

/// Something that happened at a shelter: a second, and a number that is a head count or a coming
/// or going.
#[derive(Clone, Debug)]
struct Happening {
    shelter: u8,
    second: u32,
    number: i64,
    is_report: bool,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = (0_u8..3, 0_u32..50, -9_i64..30, prop::bool::weighted(0.2)).prop_map(
        |(shelter, second, number, is_report)| Happening { shelter, second, number, is_report },
    );
    prop::collection::vec(one, 1..40).prop_map(|mut all| {
        // Two head counts of one moment contradict each other: the one that comes last wins.
        let mut seen = HashSet::new();
        all.retain(|one| !one.is_report || seen.insert((one.shelter, one.second)));
        all
    })
}

/// How many people must be where: the newest count, and what came and went after it.
fn expected(all: &[Happening]) -> BTreeMap<String, u64> {
    let mut people = BTreeMap::new();
    for shelter in 0..3 {
        let here = || all.iter().filter(|one| one.shelter == shelter);
        let newest = here().filter(|one| one.is_report).max_by_key(|one| one.second);
        let since = newest.map(|one| one.second);
        let events = here().filter(|one| !one.is_report && Some(one.second) > since);
        let change: i64 = events.map(|one| one.number).sum();
        let baseline = newest.map_or(0, |one| one.number.abs());
        if here().next().is_some() {
            let count = u64::try_from(baseline + change).unwrap_or(0);
            people.insert(shelter.to_string(), count);
        }
    }
    people
}

fn body(index: usize, one: &Happening) -> (&'static str, Value) {
    let (shelter, at) = (one.shelter.to_string(), format!("2024-02-01T09:00:{:02}Z", one.second));
    if one.is_report {
        ("reports", json!({ "shelter": shelter, "at": at, "people": one.number.abs() }))
    } else {
        let event = format!("event {index}");
        let delta = one.number;
        ("checkins", json!({ "eventId": event, "shelter": shelter, "at": at, "delta": delta }))
    }
}

/// Posts in this order, in bodies of so many items, with a restart after each so many bodies, and
/// everything once more; and gives how many people are where.
async fn run(
    all: &[Happening],
    order: &[usize],
    size: usize,
    restart: usize,
) -> BTreeMap<String, u64> {
    let town = Town::new();
    let mut adapter = town.posts();
    for round in 0..2 {
        for (number, chunk) in order.chunks(size).enumerate() {
            for what in ["reports", "checkins"] {
                let items: Vec<Value> = chunk
                    .iter()
                    .map(|index| body(*index, &all[*index]))
                    .filter_map(|(kind, item)| (kind == what).then_some(item))
                    .collect();
                if items.is_empty() {
                    continue;
                }
                let text = Value::from(items.clone()).to_string();
                let answer =
                    adapter.receive(what, &Tenant::default(), text.as_bytes()).await.unwrap();
                let number = |name: &str| answer[name].as_u64().unwrap();
                let taken = number("applied") + number("duplicate") + number("late");
                assert_eq!(taken, u64::try_from(items.len()).unwrap(), "{answer}");
                assert!(round == 0 || number("applied") == 0, "counted twice: {answer}");
            }
            if number % restart == 0 {
                adapter = town.posts();
            }
        }
    }
    let shelters = 0..3_u8;
    shelters
        .filter_map(|shelter| {
            let id = shelter.to_string();
            let people = town.people(&id)?;
            assert_eq!(town.status(&id), "open");
            Some((id, people))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn people_are_counted_alike_in_every_order(
        (all, order) in happenings().prop_flat_map(|all| {
            let order: Vec<usize> = (0..all.len()).collect();
            (Just(all), Just(order).prop_shuffle())
        }),
        size in 1_usize..8,
        restart in 1_usize..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let people = runtime.block_on(run(&all, &order, size, restart));
        prop_assert_eq!(people, expected(&all));
    }
}
