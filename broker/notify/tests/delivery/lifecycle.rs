//! Subscriptions that are paused, expire, or go.

use std::time::Duration;

use musubi_model::Tenant;
use musubi_notify::NotifierOptions;
use musubi_store::RecordKind;
use serde_json::json;

use crate::receiver::Receiver;
use crate::town::{Town, ledger, one_by_one, quick, to};

fn small() -> NotifierOptions {
    NotifierOptions { lane_window: 2, batch_changes: 3, ..quick() }
}

#[tokio::test]
async fn what_is_pending_for_a_deleted_subscription_is_suppressed() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.hold(true);
    let subscription = town.subscribe(&to("1", &receiver.url("/a"))).await;
    let running = town.run(small());
    for count in 0..20 {
        town.write(count).await;
    }
    receiver.expect("/a", 1).await;
    running.caught_up().await;
    town.unsubscribe(&subscription).await;
    running.settled().await;
    assert_eq!(running.notifications.ledger(&Tenant::default(), &subscription), None);
    assert_eq!(running.notifications.totals(), ledger([0, 0, 0, 20]));
    for kind in [RecordKind::Outbox, RecordKind::Ledger] {
        assert!(town.records(kind).await.is_empty(), "{kind:?}");
    }
    assert_eq!(town.records(RecordKind::Cursor).await.len(), 1);
    receiver.hold(false);
    // The same id again is another subscription with another account.
    town.subscribe(&to("1", &receiver.url("/b"))).await;
    town.write(99).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
    assert_eq!(running.notifications.totals(), ledger([1, 0, 0, 20]));
    assert_eq!(receiver.arrivals("/a").len(), 1);
    running.stop().await;
    let running = town.run(small());
    running.settled().await;
    assert_eq!(running.notifications.totals(), ledger([1, 0, 0, 20]));
}

#[tokio::test]
async fn a_pause_holds_what_is_pending_and_nothing_becomes_due_in_it() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.hold(true);
    let subscription = town.subscribe(&one_by_one("1", &receiver.url("/a"))).await;
    let mut running = town.run(small());
    for count in 0..8 {
        town.write(count).await;
    }
    receiver.expect("/a", 1).await;
    running.caught_up().await;
    town.patch(&subscription, &json!({"isActive": false})).await;
    town.write(100).await;
    running.caught_up().await;
    receiver.hold(false);
    running.until("end of the delivery under way", |it| it.totals().delivered == 1).await;
    assert_eq!(running.ledger(&subscription), ledger([1, 7, 0, 0]));
    running.stop().await;
    running = town.run(small());
    running.caught_up().await;
    assert_eq!(running.ledger(&subscription), ledger([1, 7, 0, 0]));
    town.patch(&subscription, &json!({"isActive": true})).await;
    running.settled().await;
    assert_eq!(receiver.told("/a"), (0..8).collect::<Vec<_>>());
    assert_eq!(running.ledger(&subscription), ledger([8, 0, 0, 0]));
}

#[tokio::test]
async fn a_long_pause_suppresses_what_it_held() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.always("/a", 503);
    let subscription = town.subscribe(&to("1", &receiver.url("/a"))).await;
    let running = town.run(NotifierOptions { max_age: Duration::from_secs(30), ..small() });
    for count in 0..8 {
        town.write(count).await;
    }
    receiver.expect("/a", 1).await;
    town.patch(&subscription, &json!({"isActive": false})).await;
    running.caught_up().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 8, 0, 0]));
    town.pass(Duration::from_secs(31));
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 0, 8]));
}

#[tokio::test]
async fn what_is_pending_for_an_expired_subscription_is_suppressed() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.always("/a", 503);
    let mut body = to("1", &receiver.url("/a"));
    body["expiresAt"] = json!("2023-11-14T22:14:00Z");
    let subscription = town.subscribe(&body).await;
    let running = town.run(small());
    for count in 0..8 {
        town.write(count).await;
    }
    receiver.expect("/a", 1).await;
    running.caught_up().await;
    town.pass(Duration::from_mins(1));
    running.settled().await;
    town.write(9).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 0, 8]));
}
