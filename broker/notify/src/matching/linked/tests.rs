use musubi_store::{Expect, Group, ReferenceStore, Write};
use serde_json::{Value, json};

use super::*;
use crate::testing::{change, entity, subscription, time};

async fn town(entities: &[Value]) -> ReferenceStore {
    let store = ReferenceStore::new();
    let writes = entities.iter().map(|json| {
        let entity = entity(json, time(1));
        let state = Some(Arc::new(entity.clone()));
        Write { tenant: Tenant::default(), id: entity.id, expect: Expect::Any, state }
    });
    let group = Group { time: time(1), writes: writes.collect(), ..Group::default() };
    store.commit(vec![group]).await.unwrap();
    store
}

fn device(id: &str, level: f64, near: &str) -> Value {
    json!({
        "id": format!("urn:ngsi-ld:Device:{id}"),
        "type": "Device",
        "batteryLevel": {"type": "Property", "value": level},
        "near": {"type": "Relationship", "object": format!("urn:ngsi-ld:Device:{near}")},
    })
}

fn vehicle(target: &str) -> Value {
    json!({
        "id": "urn:ngsi-ld:Vehicle:1",
        "type": "Vehicle",
        "speed": {"type": "Property", "value": 30},
        "isConnectedTo": {"type": "Relationship", "object": format!("urn:ngsi-ld:Device:{target}")},
    })
}

/// To which queries the creation of the vehicle is due.
async fn due_to(store: &ReferenceStore, queries: &[&str], vehicle: &Value) -> Vec<usize> {
    let tenant = Tenant::default();
    let mut index = SubscriptionIndex::default();
    let mut all = Vec::new();
    for (number, query) in queries.iter().enumerate() {
        let id = format!("urn:ngsi-ld:Subscription:{number}");
        let members = json!({"id": id, "entities": [{"type": "Vehicle"}], "q": query});
        let subscription = Arc::new(subscription(&members));
        index.insert(&tenant, Arc::clone(&subscription));
        all.push(subscription);
    }
    let change = change(None, Some(vehicle));
    let found = due(&index, store, &tenant, &change, time(10)).await.unwrap();
    for subscription in &all {
        let is_among = found.iter().any(|it| it.id() == subscription.id());
        let alone = is_due(store, &tenant, subscription, &change, time(10)).await.unwrap();
        assert_eq!(is_among, alone, "{subscription:?}");
    }
    let number = |it: &Arc<Subscription>| it.id().as_str().rsplit(':').next()?.parse().ok();
    found.iter().filter_map(number).collect()
}

#[tokio::test]
async fn a_query_looks_into_linked_entities() {
    let store = town(&[device("low", 0.3, "full"), device("full", 0.95, "low")]).await;
    let queries = [
        "isConnectedTo{batteryLevel}<0.5",
        "isConnectedTo{batteryLevel}>0.5",
        "isConnectedTo{near{batteryLevel}}<0.5",
        "speed>50;isConnectedTo{batteryLevel}<0.5",
        "speed>50|isConnectedTo{batteryLevel}<0.5",
        "!isConnectedTo{near{batteryLevel}}",
        "isConnectedTo{Room:batteryLevel}",
        "speed==30",
    ];
    assert_eq!(due_to(&store, &queries, &vehicle("low")).await, [0, 4, 7]);
    assert_eq!(due_to(&store, &queries, &vehicle("full")).await, [1, 2, 7]);
    assert_eq!(due_to(&store, &queries, &vehicle("gone")).await, [5, 7]);
}

#[tokio::test]
async fn a_linked_entity_that_has_expired_is_not_there() {
    let mut passing = device("low", 0.3, "low");
    passing["expiresAt"] = json!(time(9).to_string());
    let store = town(&[passing]).await;
    assert_eq!(due_to(&store, &["isConnectedTo{batteryLevel}"], &vehicle("low")).await, [0; 0]);
}

#[tokio::test]
async fn nobody_asks_the_store_if_everything_else_fails() {
    let tenant = Tenant::default();
    let mut index = SubscriptionIndex::default();
    let members = json!({
        "entities": [{"type": "Vehicle"}],
        "q": "speed>50;isConnectedTo{batteryLevel}<0.5",
    });
    index.insert(&tenant, Arc::new(subscription(&members)));
    let change = change(None, Some(&vehicle("low")));
    let due = index.due(&tenant, &change, time(10));
    assert!(due.decided.is_empty() && due.undecided.is_empty());
}

#[tokio::test]
async fn one_that_looks_at_very_many_takes_nothing_from_the_others() {
    // What the broad ones look at is not there; what the narrow one does is, and last by name.
    let near = json!({
        "id": "urn:ngsi-ld:Zone:1", "type": "Zone",
        "level": {"type": "Property", "value": 1},
    });
    let store = town(&[near]).await;
    let many = |kind: &str| -> Vec<String> {
        (0..AttributePath::MAX_LINKED).map(|it| format!("urn:ngsi-ld:{kind}:{it}")).collect()
    };
    let vehicle = json!({
        "id": "urn:ngsi-ld:Vehicle:1", "type": "Vehicle",
        "sees": {"type": "Relationship", "object": many("Device")},
        "hears": {"type": "Relationship", "object": many("Room")},
        "in": {"type": "Relationship", "object": "urn:ngsi-ld:Zone:1"},
    });
    let broad = ["sees{level}==1", "!hears{level}"];
    assert_eq!(due_to(&store, &[broad[0], "in{level}==1", broad[1]], &vehicle).await, [1, 2]);
    assert_eq!(due_to(&store, &["in{level}==1", broad[1]], &vehicle).await, [0, 1]);
}
