//! What happens when nothing goes wrong.

use std::time::Duration;

use musubi_model::Tenant;
use musubi_notify::NotifierOptions;
use musubi_store::RecordKind;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::receiver::Receiver;
use crate::town::{Town, id, ledger, quick, to};

#[tokio::test]
async fn a_change_is_delivered_and_booked() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let running = town.run(quick());
    let mut body = to("1", &receiver.url("/a"));
    body["notification"]["endpoint"]["receiverInfo"] =
        json!([{"key": "Authorization", "value": "Bearer abc"}]);
    let subscription = town.subscribe(&body).await;
    town.write(7).await;
    let arrivals = receiver.expect("/a", 1).await;
    let arrival = &arrivals[0];
    assert_eq!(arrival.count(), 7);
    assert_eq!(arrival.body["type"], "Notification");
    assert_eq!(arrival.body["subscriptionId"], subscription.as_str());
    assert_eq!(arrival.headers["content-type"], "application/json");
    assert_eq!(arrival.headers["authorization"], "Bearer abc");
    assert!(arrival.headers["link"].to_str().unwrap().contains("json-ld#context"));
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
    let status = running.notifications.delivery(&Tenant::default(), &subscription);
    assert_eq!((status.times_sent, status.times_failed), (1, 0));
    assert_eq!(status.status(), Some("ok"));
    assert!(status.last_success.is_some());
    assert_eq!(running.notifications.oldest_pending(), None);
    assert!(town.records(RecordKind::Outbox).await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn changes_arrive_in_the_order_of_the_log() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let running = town.run(NotifierOptions { batch_changes: 7, ..quick() });
    for name in ["a", "b"] {
        town.subscribe(&to(name, &receiver.url(&format!("/{name}")))).await;
    }
    for count in 0..50 {
        town.write(count).await;
    }
    running.settled().await;
    for name in ["a", "b"] {
        assert_eq!(receiver.told(&format!("/{name}")), (0..50).collect::<Vec<_>>());
        assert_eq!(running.ledger(&id(name)), ledger([50, 0, 0, 0]));
    }
    assert_eq!(running.notifications.totals(), ledger([100, 0, 0, 0]));
}

#[tokio::test]
async fn what_is_due_is_a_function_of_the_log() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    town.write(0).await;
    let subscription = town.subscribe(&to("1", &receiver.url("/a"))).await;
    town.write(1).await;
    town.patch(&subscription, &json!({"isActive": false})).await;
    town.write(2).await;
    town.patch(&subscription, &json!({"isActive": true})).await;
    town.write(3).await;
    let gone = town.subscribe(&to("2", &receiver.url("/b"))).await;
    town.write(4).await;
    town.unsubscribe(&gone).await;
    town.write(5).await;
    let running = town.run(quick());
    running.settled().await;
    assert_eq!(receiver.told("/a"), [1, 3, 4, 5]);
    assert_eq!(running.ledger(&subscription), ledger([4, 0, 0, 0]));
    assert_eq!(running.notifications.ledger(&Tenant::default(), &gone), None);
    assert_eq!(running.notifications.totals(), ledger([4, 0, 0, 1]), "the one of the other");
    assert!(receiver.arrivals("/b").is_empty());
}

#[tokio::test]
async fn a_throttled_subscription_gets_the_first_change_of_each_interval() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let mut body = to("1", &receiver.url("/a"));
    body["throttling"] = json!(10);
    let subscription = town.subscribe(&body).await;
    let mut running = town.run(quick());
    for count in 0..9 {
        town.write(count).await;
        town.pass(Duration::from_secs(4));
        if count == 4 {
            running.caught_up().await;
            running.stop().await;
            running = town.run(quick());
        }
    }
    running.settled().await;
    assert_eq!(receiver.told("/a"), [0, 3, 6]);
    assert_eq!(running.ledger(&subscription), ledger([3, 0, 0, 6]));
}

#[tokio::test]
async fn tenants_stay_apart() {
    let (mut town, receiver) = (Town::new(), Receiver::start().await);
    town.subscribe(&to("1", &receiver.url("/default"))).await;
    town.tenant = "kyoto".parse().unwrap();
    town.subscribe(&to("1", &receiver.url("/kyoto"))).await;
    let running = town.run(quick());
    town.write(5).await;
    running.settled().await;
    assert!(receiver.arrivals("/default").is_empty());
    let arrivals = receiver.arrivals("/kyoto");
    assert_eq!(arrivals.len(), 1);
    assert_eq!(arrivals[0].headers["ngsild-tenant"], "kyoto");
    let tenant = "kyoto".parse().unwrap();
    assert_eq!(running.notifications.ledger(&tenant, &id("1")), Some(ledger([1, 0, 0, 0])));
    assert_eq!(running.ledger(&id("1")), ledger([0, 0, 0, 0]));
}

#[tokio::test]
async fn the_metrics_say_what_became_of_what_was_due() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    town.subscribe(&to("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    town.write(1).await;
    running.settled().await;
    let mut registry = Registry::default();
    running.notifications.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    for line in [
        "notify_due 1",
        "notify_delivered 1",
        "notify_pending 0",
        "notify_attempts_total{outcome=\"delivered\"} 1",
        "notify_changes_read_total 2",
        "notify_open_breakers 0",
        "notify_subscriptions 1",
        "notify_oldest_pending_seconds 0",
        "notify_matching_seconds_count",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
