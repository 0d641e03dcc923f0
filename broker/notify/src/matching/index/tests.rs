use std::collections::BTreeMap;

use musubi_model::{Entity, EntityId};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::matching::matcher::match_among;
use crate::testing::{change, entity, subscription, time};

pub(in crate::matching) mod generated;

use generated::{QUERIES, SCOPE_QUERIES, a_change, a_subscription, neighbors};

const TENANTS: [&str; 2] = ["", "kyoto"];

fn tenant(number: usize) -> Tenant {
    TENANTS[number].parse().unwrap()
}

fn subscription_id(number: u32) -> SubscriptionId {
    format!("urn:ngsi-ld:Subscription:{number}").parse().unwrap()
}

fn numbered(members: &Value, number: u32) -> Arc<Subscription> {
    let mut members = members.clone();
    members["id"] = json!(subscription_id(number).as_str());
    Arc::new(subscription(&members))
}

/// What the entities of the tests are linked with.
#[derive(Debug)]
struct Town(BTreeMap<EntityId, Arc<Entity>>);

impl Town {
    fn new() -> Self {
        let entities = neighbors().into_iter().map(|json| Arc::new(entity(&json, time(1))));
        Self(entities.map(|entity| (entity.id.clone(), entity)).collect())
    }
}

impl LinkedEntities for Town {
    fn entity(&self, id: &EntityId) -> Option<Arc<Entity>> {
        self.0.get(id).cloned()
    }
}

/// The ids of those to whom a change is due, the undecided ones asked in these surroundings.
fn ids(due: Due<'_>, is_due: impl Fn(&Subscription) -> bool) -> Vec<SubscriptionId> {
    let undecided = due.undecided.into_iter().filter(|it| is_due(it));
    let mut ids: Vec<_> =
        due.decided.into_iter().chain(undecided).map(|it| it.id().clone()).collect();
    ids.sort_unstable();
    ids
}

thread_local! {
    /// A subscription with each of the queries.
    static ASKED: Vec<Subscription> = {
        let selected = |name: &str, query: &str| {
            let triggers = ["entityCreated", "entityUpdated", "entityDeleted"];
            subscription(&json!({
                "entities": [{"type": "*"}],
                "notificationTrigger": triggers,
                name: query,
            }))
        };
        let queries = QUERIES.iter().map(|query| selected("q", query));
        queries.chain(SCOPE_QUERIES.iter().map(|query| selected("scopeQ", query))).collect()
    };
}

/// The places at which a subscription is not found by a change that concerns it.
fn missed(subscription: &Subscription, change: &EntityChange, town: &Town) -> Option<String> {
    let concerns = match_among(subscription, change, time(10), town)
        || unconcerned(subscription, change, time(10), town).is_none();
    let most = standing(subscription).into_iter().map(|(_, it)| covers(subscription, it).len());
    for number in 0..most.max().unwrap_or(0) {
        let mut places = Places::default();
        let mut stood = Vec::new();
        for (prefixes, selector) in standing(subscription) {
            let covers = covers(subscription, selector);
            let cover = covers[number % covers.len()].clone();
            places.add(&prefixes, &cover, 7);
            stood.push((prefixes, cover));
        }
        let mut found = Vec::new();
        places.candidates(image(change).unwrap(), &change.changed, &mut found);
        if concerns && !found.contains(&7) {
            return Some(format!("{stood:?}"));
        }
        for (prefixes, cover) in &stood {
            places.take(prefixes, cover, 7);
        }
        assert!(places.is_empty(), "{stood:?}");
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_index_finds_what_asking_every_subscription_finds(
        subscriptions in proptest::collection::vec((0..2_usize, 0..60_u32, a_subscription()), 0..60),
        removed in proptest::collection::vec((0..2_usize, 0..60_u32), 0..12),
        changes in proptest::collection::vec((0..2_usize, a_change()), 1..8),
    ) {
        let town = Town::new();
        let mut index = SubscriptionIndex::default();
        let mut all = BTreeMap::new();
        for (number, id, members) in subscriptions {
            let subscription = numbered(&members, id);
            index.insert(&tenant(number), Arc::clone(&subscription));
            all.insert((number, subscription.id().clone()), subscription);
        }
        for (number, id) in removed {
            let id = subscription_id(id);
            index.remove(&tenant(number), &id);
            all.remove(&(number, id));
        }
        for (number, (before, after)) in changes {
            let change = change(before.as_ref(), after.as_ref());
            let expected = |is_due: &dyn Fn(&Subscription) -> bool| -> Vec<SubscriptionId> {
                let those = all.iter().filter(|((other, _), it)| *other == number && is_due(it));
                those.map(|((_, id), _)| id.clone()).collect()
            };
            let is_due = |it: &Subscription| match_among(it, &change, time(10), &town);
            let found = ids(index.due(&tenant(number), &change, time(10)), is_due);
            prop_assert_eq!(found, expected(&is_due));
            let is_alive = |it: &Subscription| unconcerned(it, &change, time(10), &town).is_none();
            let found = ids(index.alive(&tenant(number), &change, time(10)), is_alive);
            prop_assert_eq!(found, expected(&is_alive));
        }
    }

    #[test]
    fn wherever_a_subscription_stands_it_is_found(
        members in a_subscription(),
        changes in proptest::collection::vec(a_change(), 1..8),
    ) {
        let subscription = subscription(&members);
        for (before, after) in &changes {
            let change = change(before.as_ref(), after.as_ref());
            prop_assert_eq!(missed(&subscription, &change, &Town::new()), None);
        }
    }

    #[test]
    fn whatever_is_asked_of_an_entity_it_is_found(states in a_change()) {
        let (change, town) = (change(states.0.as_ref(), states.1.as_ref()), Town::new());
        ASKED.with(|asked| {
            for subscription in asked {
                prop_assert_eq!(missed(subscription, &change, &town), None);
            }
            Ok(())
        })?;
    }

    #[test]
    fn an_index_that_was_emptied_keeps_nothing(
        subscriptions in proptest::collection::vec((0..40_u32, a_subscription()), 0..40),
        order in proptest::collection::vec(0..40_u32, 40),
    ) {
        let mut index = TenantIndex::default();
        for (number, members) in &subscriptions {
            let subscription = numbered(members, *number);
            index.remove(subscription.id());
            index.insert(subscription);
        }
        for number in order.into_iter().chain(0..40) {
            index.remove(&subscription_id(number));
        }
        prop_assert!(index.slots.is_empty() && index.entries.iter().all(Option::is_none));
        prop_assert_eq!(index.free.len(), index.entries.len());
        prop_assert!(index.changes.is_empty() && index.silences.is_empty());
    }
}

/// How many are asked about a change of an entity among many subscriptions.
fn asked(subscriptions: impl Iterator<Item = Value>, state: &Value) -> usize {
    let mut index = TenantIndex::default();
    for (number, members) in (0_u32..).zip(subscriptions) {
        index.insert(numbered(&members, number));
    }
    let change = change(None, Some(state));
    index.candidates(&index.changes, &change).count()
}

#[test]
fn what_narrows_a_subscription_narrows_the_candidates() {
    let state = json!({
        "id": "urn:ngsi-ld:Shelter:0001",
        "type": "Shelter",
        "scope": ["/Town/B7"],
        "count": {"type": "Property", "value": 500},
        "status": {"type": "Property", "value": ["a", "word 7"]},
        "at": {"type": "Property", "value": "2024-01-11T09:00:00Z"},
        "inside": {"type": "Relationship", "object": "urn:ngsi-ld:Building:7"},
        "location": {
            "type": "GeoProperty",
            "value": {"type": "Point", "coordinates": [136.5, 37.5]},
        },
    });
    let check = |what: &str, narrow: &dyn Fn(usize) -> Value| {
        let subscriptions = (0..1_000).map(|number| {
            let mut members = json!({"entities": [{"type": "Shelter"}]});
            for (name, value) in narrow(number).as_object().unwrap() {
                members[name] = value.clone();
            }
            members
        });
        let asked = asked(subscriptions, &state);
        assert!(asked <= 12, "{what}: {asked} are asked");
    };
    check(
        "id",
        &|n| json!({"entities": [{"type": "*", "id": format!("urn:ngsi-ld:Shelter:{n:04}")}]}),
    );
    check("type", &|n| json!({"entities": [{"type": format!("Type{n}")}]}));
    check("watched attribute", &|n| json!({"watchedAttributes": [format!("other{n}")]}));
    check("text", &|n| json!({"q": format!("status==\"word {n}\"")}));
    check("relationship", &|n| json!({"q": format!("inside==urn:ngsi-ld:Building:{n}")}));
    check("number", &|n| json!({"q": format!("count=={n}")}));
    check("one of several", &|n| json!({"q": format!("count=={n}|status==\"word {n}\"")}));
    check("conjunction", &|n| json!({"q": format!("count>=0;(status==\"word {n}\";count<900)")}));
    check("lower end", &|n| json!({"q": format!("count>{}", 495 + n)}));
    check("upper end", &|n| json!({"q": format!("count<{}", 505 - i64::try_from(n).unwrap())}));
    check("range", &|n| json!({"q": format!("count=={n}..{}", n + 5)}));
    check("two ends", &|n| json!({"q": format!("count>{n};count<{}", n + 5)}));
    check("time", &|n| json!({"q": format!("at>2024-01-11T09:{:02}:{:02}Z", n / 60, n % 60)}));
    check("presence", &|n| json!({"q": format!("other{n}~=a")}));
    check("linked", &|n| json!({"q": format!("rel{n}{{count}}>5")}));
    check("scope", &|n| json!({"scopeQ": format!("/Town/B{n}")}));
    check("scope and below", &|n| json!({"scopeQ": format!("/Town/B{n}/#")}));
    check(
        "beginning of the id",
        &|n| json!({"entities": [{"type": "*", "idPattern": format!("^urn:ngsi-ld:Shelter:{n:04}.*")}]}),
    );
    check("near", &|n| {
        let longitude = 136.0 + f64::from(u32::try_from(n).unwrap()) * 0.01;
        let coordinates = format!("[{longitude},37.5]");
        json!({"geoQ": {"georel": "near;maxDistance==1000", "geometry": "Point", "coordinates": coordinates}})
    });
    check("not active", &|_| json!({"isActive": false}));
    check("periodic", &|_| json!({"timeInterval": 60}));
}

#[test]
fn many_to_the_same_are_all_found_and_quickly_gone() {
    let members = |number: u32| match number % 3 {
        0 => json!({"entities": [{"type": "Shelter"}], "q": "count>5"}),
        1 => json!({"entities": [{"type": "Shelter"}], "q": "count==7"}),
        _ => json!({"entities": [{"type": "Shelter"}], "q": "count==6..8"}),
    };
    let mut index = SubscriptionIndex::default();
    for number in 0..600 {
        index.insert(&tenant(0), numbered(&members(number), number));
    }
    let state = json!({
        "id": "urn:ngsi-ld:Shelter:1",
        "type": "Shelter",
        "count": {"type": "Property", "value": 7},
    });
    let change = change(None, Some(&state));
    assert_eq!(index.due(&tenant(0), &change, time(10)).decided.len(), 600);
    for number in 0..599 {
        index.remove(&tenant(0), &subscription_id(number));
    }
    assert_eq!(index.due(&tenant(0), &change, time(10)).decided.len(), 1);
    index.remove(&tenant(0), &subscription_id(599));
    assert!(index.tenants.is_empty());
}

#[test]
fn of_several_values_one_may_be_the_one_that_is_asked_for() {
    let check = |value: Value, query: &str| {
        let state = json!({
            "id": "urn:ngsi-ld:Shelter:1",
            "type": "Shelter",
            "count": {"type": "Property", "value": value},
        });
        let subscription = subscription(&json!({"entities": [{"type": "Shelter"}], "q": query}));
        let change = change(None, Some(&state));
        assert!(match_among(&subscription, &change, time(10), &Town::new()), "{value} {query}");
        assert_eq!(missed(&subscription, &change, &Town::new()), None, "{value} {query}");
    };
    for value in [json!([1, 3]), json!([3, 1]), json!([9, 3, "a", 1])] {
        check(value.clone(), "count==2..3");
        check(value.clone(), "count==0..1");
        check(value.clone(), "count==3,7");
        check(value, "count==1;count==3");
    }
    check(json!(-0.0), "count==0");
    check(json!(0), "count>=-0");
    check(json!(["2024-01-10", "2024-01-12"]), "count==2024-01-11..2024-01-13");
    check(json!("2024-01-11T18:00:00+09:00"), "count==2024-01-11T09:00:00Z");
}
