//! More to deliver than fits into memory, and nobody who takes it.

use std::time::Duration;

use musubi_notify::NotifierOptions;
use musubi_store::RecordKind;
use serde_json::json;

use crate::receiver::Receiver;
use crate::town::{Town, id, ledger, quick, to};

/// So little memory that almost everything stays in the store.
fn small() -> NotifierOptions {
    NotifierOptions { lane_window: 4, batch_changes: 5, attempts: u32::MAX, ..quick() }
}

#[tokio::test]
async fn many_who_are_far_behind_get_everything_in_order_when_their_endpoint_is_back() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let names: Vec<_> = (0..12).map(|n| n.to_string()).collect();
    for name in &names {
        town.subscribe(&to(name, &receiver.url(&format!("/{name}")))).await;
    }
    receiver.fail(true);
    let mut running = town.run(small());
    for count in 0..150 {
        town.write(count).await;
        if count % 50 == 49 {
            running.caught_up().await;
            running.kill().await;
            running = town.run(small());
        }
    }
    running.caught_up().await;
    assert_eq!(running.notifications.totals(), ledger([0, 12 * 150, 0, 0]));
    receiver.fail(false);
    running.settled().await;
    for name in &names {
        let path = format!("/{name}");
        assert_eq!(receiver.witnessed(&path), (0..150).collect::<Vec<_>>(), "{path}");
        assert_eq!(running.ledger(&id(name)), ledger([150, 0, 0, 0]));
    }
    assert!(town.records(RecordKind::Outbox).await.is_empty());
}

#[tokio::test]
async fn those_who_go_or_end_while_much_is_pending_leave_nothing_behind() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    for n in 0..6 {
        let mut body = to(&n.to_string(), &receiver.url("/a"));
        if n % 3 == 1 {
            body["expiresAt"] = json!("2023-11-14T22:14:00Z");
        }
        town.subscribe(&body).await;
    }
    receiver.fail(true);
    let running = town.run(small());
    for count in 0..100 {
        town.write(count).await;
    }
    running.caught_up().await;
    assert!(town.records(RecordKind::Outbox).await.len() >= 16);
    for n in [0, 3] {
        town.unsubscribe(&id(&n.to_string())).await;
        // Another one of the same name, of whom nothing is pending.
        town.subscribe(&to(&n.to_string(), &receiver.url("/new"))).await;
    }
    town.pass(Duration::from_mins(1));
    running.until("the end of some", |it| it.totals().suppressed == 400).await;
    receiver.fail(false);
    running.settled().await;
    assert_eq!(running.notifications.totals(), ledger([200, 0, 0, 400]));
    assert_eq!(running.ledger(&id("0")), ledger([0, 0, 0, 0]));
    assert!(town.records(RecordKind::Outbox).await.is_empty());
}

#[tokio::test]
async fn more_alerts_than_fit_into_memory_are_told_once_each_also_after_a_kill() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let mut body = to("1", &receiver.url("/a"));
    body["silentFor"] = json!("PT10S");
    let subscription = town.subscribe(&body).await;
    receiver.fail(true);
    let mut running = town.run(small());
    for number in 0..100 {
        let id = format!("urn:ngsi-ld:Sensor:{number}");
        let count = json!({"type": "Property", "value": number});
        town.write_entity(&json!({"id": id, "type": "Sensor", "count": count})).await;
    }
    running.caught_up().await;
    town.pass(Duration::from_secs(11));
    running.until("all alerts", |it| it.totals().due == 100).await;
    assert_eq!(running.ledger(&subscription), ledger([0, 100, 0, 0]));
    assert_eq!(town.records(RecordKind::Occasion).await.len(), 100);
    running.kill().await;
    running = town.run(small());
    running.caught_up().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 100, 0, 0]));
    receiver.fail(false);
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([100, 0, 0, 0]));
    let mut told: Vec<_> = receiver
        .arrivals("/a")
        .iter()
        .map(|arrival| arrival.body["silence"]["entity"].as_str().unwrap().to_owned())
        .collect();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 100);
    assert!(town.records(RecordKind::Occasion).await.is_empty());
}

#[tokio::test]
async fn alerts_of_a_subscription_that_goes_are_suppressed_and_their_records_go_too() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let mut body = to("1", &receiver.url("/a"));
    body["silentFor"] = json!("PT10S");
    let subscription = town.subscribe(&body).await;
    receiver.fail(true);
    let running = town.run(small());
    for number in 0..80 {
        let id = format!("urn:ngsi-ld:Sensor:{number}");
        town.write_entity(&json!({"id": id, "type": "Sensor"})).await;
    }
    running.caught_up().await;
    town.pass(Duration::from_secs(11));
    running.until("all alerts", |it| it.totals().due == 80).await;
    town.unsubscribe(&subscription).await;
    running.until("their end", |it| it.totals() == ledger([0, 0, 0, 80])).await;
    running.settled().await;
    running.stop().await;
    // What was not deleted in time goes when the notifier begins again.
    let running = town.run(small());
    running.settled().await;
    running.stop().await;
    assert!(town.records(RecordKind::Occasion).await.is_empty());
}
