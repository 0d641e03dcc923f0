use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{change, subscription, time};

const TENANTS: [&str; 2] = ["", "kyoto"];
const TYPES: [&str; 3] = ["Shelter", "Park", "Dock"];
const NAMES: [&str; 3] = ["count", "status", "name"];
const TRIGGERS: [&str; 6] = [
    "entityCreated",
    "entityUpdated",
    "entityDeleted",
    "attributeCreated",
    "attributeUpdated",
    "attributeDeleted",
];

fn some_of(names: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(names, 1..=names.len())
}

fn id() -> impl Strategy<Value = String> {
    (0..4).prop_map(|n| format!("urn:ngsi-ld:E:{n}"))
}

fn a_selector() -> impl Strategy<Value = Value> {
    let types = prop_oneof![
        Just("*".to_owned()),
        some_of(&TYPES).prop_map(|types| types.join(",")),
        some_of(&TYPES).prop_map(|types| format!("({})", types.join(";"))),
    ];
    let which = prop_oneof![
        Just(json!({})),
        id().prop_map(|id| json!({"id": id})),
        proptest::collection::vec(id(), 1..3).prop_map(|ids| json!({"id": ids})),
        (0..4).prop_map(|n| json!({"idPattern": format!(":{n}$")})),
    ];
    (types, which).prop_map(|(types, mut selector)| {
        selector["type"] = json!(types);
        selector
    })
}

fn a_subscription() -> impl Strategy<Value = Value> {
    let entities = proptest::option::weighted(0.8, proptest::collection::vec(a_selector(), 1..3));
    let watched = proptest::option::of(some_of(&NAMES));
    let triggers = proptest::option::of(some_of(&TRIGGERS));
    let query = proptest::option::weighted(0.3, 0..3_i32);
    (entities, watched, triggers, query, any::<bool>()).prop_map(
        |(entities, watched, triggers, query, is_active)| {
            let mut members =
                json!({"isActive": is_active || entities.is_some(), "localOnly": true});
            let mut put = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    members[name] = value;
                }
            };
            put("entities", entities.map(Value::from));
            put("watchedAttributes", watched.map(Value::from));
            put("notificationTrigger", triggers.map(Value::from));
            put("q", query.map(|limit| json!(format!("count>{limit}"))));
            members
        },
    )
}

fn a_state(id: String) -> impl Strategy<Value = Option<Value>> {
    let values =
        proptest::collection::btree_map(proptest::sample::select(&NAMES[..]), 0..4_i32, 0..4);
    proptest::option::weighted(0.7, (some_of(&TYPES), values)).prop_map(move |state| {
        state.map(|(types, values)| {
            let mut entity = json!({"id": id, "type": types});
            for (name, value) in values {
                entity[name] = json!({"type": "Property", "value": value});
            }
            entity
        })
    })
}

fn a_change() -> impl Strategy<Value = (Option<Value>, Option<Value>)> {
    id().prop_flat_map(|id| (a_state(id.clone()), a_state(id)))
        .prop_filter("something has to be there", |(before, after)| {
            before.is_some() || after.is_some()
        })
}

proptest! {
    #[test]
    fn the_index_finds_what_asking_every_subscription_finds(
        subscriptions in proptest::collection::vec((0..2_usize, 0..8_u32, a_subscription()), 0..12),
        removed in proptest::collection::vec((0..2_usize, 0..8_u32), 0..4),
        changes in proptest::collection::vec((0..2_usize, a_change()), 1..8),
    ) {
        let mut index = SubscriptionIndex::default();
        let mut all = std::collections::BTreeMap::new();
        for (tenant, n, mut members) in subscriptions {
            members["id"] = json!(format!("urn:ngsi-ld:Subscription:{n}"));
            let subscription = Arc::new(subscription(&members));
            index.insert(&TENANTS[tenant].parse().unwrap(), subscription.clone());
            all.insert((tenant, subscription.id().clone()), subscription);
        }
        for (tenant, n) in removed {
            let id = format!("urn:ngsi-ld:Subscription:{n}").parse::<SubscriptionId>().unwrap();
            index.remove(&TENANTS[tenant].parse().unwrap(), &id);
            all.remove(&(tenant, id));
        }
        for (tenant, (before, after)) in changes {
            let change = change(before.as_ref(), after.as_ref());
            let naive: Vec<_> = all
                .iter()
                .filter(|((other, _), it)| {
                    *other == tenant && match_subscription(it, &change, time(10))
                })
                .map(|((_, id), _)| id.clone())
                .collect();
            let found = index.due(&TENANTS[tenant].parse().unwrap(), &change, time(10));
            let found: Vec<_> = found.into_iter().map(|it| it.id().clone()).collect();
            prop_assert_eq!(found, naive);
        }
    }

    #[test]
    fn an_index_that_was_emptied_keeps_nothing(
        subscriptions in proptest::collection::vec(a_subscription(), 0..8),
    ) {
        let mut index = SubscriptionIndex::default();
        let tenant = Tenant::default();
        for (n, members) in subscriptions.iter().enumerate() {
            let mut members = members.clone();
            members["id"] = json!(format!("urn:ngsi-ld:Subscription:{n}"));
            index.insert(&tenant, Arc::new(subscription(&members)));
        }
        if let Some(inner) = index.tenants.get(&tenant) {
            prop_assert_eq!(inner.subscriptions.len(), subscriptions.len());
        }
        for n in 0..subscriptions.len() {
            let id = format!("urn:ngsi-ld:Subscription:{n}").parse().unwrap();
            if let Some(inner) = index.tenants.get_mut(&tenant)
                && let Some(subscription) = inner.subscriptions.remove(&id)
            {
                inner.unplace(&subscription);
            }
        }
        if let Some(inner) = index.tenants.get(&tenant) {
            prop_assert!(inner.by_id.is_empty() && inner.by_type.is_empty());
            prop_assert!(inner.by_attribute.is_empty() && inner.rest.is_empty());
        }
    }
}
