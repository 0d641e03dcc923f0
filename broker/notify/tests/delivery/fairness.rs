//! Many who want notifications, and some who are slow.

use std::time::Duration;

use musubi_notify::NotifierOptions;
use serde_json::json;

use crate::receiver::Receiver;
use crate::town::{Town, id, ledger, one_by_one, quick, to};

#[tokio::test]
async fn endpoints_that_answer_nothing_delay_nobody_else() {
    let mut town = Town::new();
    let (silent, up) = (Receiver::start_many(20).await, Receiver::start().await);
    for (n, receiver) in silent.iter().enumerate() {
        receiver.hold(true);
        for m in 0..3 {
            town.subscribe(&to(&format!("silent{n}-{m}"), &receiver.url("/a"))).await;
        }
    }
    town.tenant = "other".parse().unwrap();
    town.subscribe(&to("up", &up.url("/a"))).await;
    let slow = Duration::from_millis(200);
    let running = town.run(NotifierOptions { deliveries: 8, slow, ..quick() });
    town.write(0).await;
    up.expect_told("/a", 1).await;
    town.tenant = musubi_model::Tenant::default();
    for count in 0..5 {
        town.write(count).await;
    }
    running.caught_up().await;
    town.tenant = "other".parse().unwrap();
    for count in 1..30 {
        town.write(count).await;
        up.expect_told("/a", usize::try_from(count).unwrap() + 1).await;
    }
    assert!(silent.iter().all(|receiver| receiver.arrivals("/a").len() <= 1), "one at a time");
    for receiver in &silent {
        receiver.hold(false);
    }
    running.settled().await;
    assert_eq!(running.notifications.totals(), ledger([330, 0, 0, 0]));
}

#[tokio::test]
async fn what_an_endpoint_does_to_one_tenant_is_nothing_to_another() {
    let (mut town, receiver) = (Town::new(), Receiver::start().await);
    receiver.always("/down", 503);
    let hour = Duration::from_hours(1);
    let options = NotifierOptions { first_retry: hour, longest_retry: hour, ..quick() };
    town.tenant = "first".parse().unwrap();
    let down = town.subscribe(&to("down", &receiver.url("/down"))).await;
    town.tenant = "other".parse().unwrap();
    let up = town.subscribe(&to("up", &receiver.url("/up"))).await;
    let running = town.run(options);
    town.tenant = "first".parse().unwrap();
    town.write(1).await;
    let is_left_alone = |it: &musubi_notify::Notifications, tenant: &str, id| {
        it.standing(&tenant.parse().unwrap(), id).is_some_and(|it| it.is_left_alone)
    };
    running.until("pause", |it| is_left_alone(it, "first", &down)).await;
    town.tenant = "other".parse().unwrap();
    for count in 0..5 {
        town.write(count).await;
        receiver.expect_told("/up", usize::try_from(count).unwrap() + 1).await;
    }
    assert!(!is_left_alone(&running.notifications, "other", &up));
    assert_eq!(receiver.arrivals("/down").len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_asks_for_a_pause_is_asked_by_nobody_else_meanwhile() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.fail(true);
    for n in 0..20 {
        town.subscribe(&to(&format!("{n}"), &receiver.url("/a"))).await;
    }
    // The endpoint asks for an hour.
    let longest_retry = Duration::from_secs(1);
    let running = town.run(NotifierOptions { longest_retry, ..quick() });
    let begun = tokio::time::Instant::now();
    town.write(1).await;
    receiver.expect("/a", 1).await;
    running.caught_up().await;
    receiver.fail(false);
    running.settled().await;
    assert!(begun.elapsed() >= longest_retry);
    assert_eq!(receiver.arrivals("/a").len(), 21, "one was asked to wait, and all waited");
}

#[tokio::test]
async fn the_many_subscriptions_of_one_tenant_do_not_delay_another() {
    let (mut town, receiver) = (Town::new(), Receiver::start().await);
    for n in 0..300 {
        town.subscribe(&to(&format!("large{n}"), &receiver.url("/large"))).await;
    }
    town.tenant = "small".parse().unwrap();
    town.subscribe(&to("small", &receiver.url("/small"))).await;
    receiver.hold(true);
    let running = town.run(NotifierOptions { deliveries: 2, ..quick() });
    town.tenant = musubi_model::Tenant::default();
    town.write(1).await;
    receiver.expect("/large", 1).await;
    running.caught_up().await;
    town.tenant = "small".parse().unwrap();
    town.write(2).await;
    running.caught_up().await;
    receiver.hold(false);
    running.settled().await;
    let turn = receiver.all().iter().position(|it| it.path == "/small");
    assert!(turn.is_some_and(|turn| turn < 10), "{turn:?} of 301");
}

#[tokio::test]
async fn a_subscription_that_moves_away_from_a_hanging_endpoint_is_served_at_the_new_one() {
    let (town, hanging, up) = (Town::new(), Receiver::start().await, Receiver::start().await);
    hanging.hold(true);
    for name in ["a", "b"] {
        town.subscribe(&one_by_one(name, &hanging.url(&format!("/{name}")))).await;
    }
    let running = town.run(quick());
    town.write(1).await;
    town.write(2).await;
    running.caught_up().await;
    // One of the two is under way, and the other one waits for its turn.
    let is_a_first = !hanging.all_after(1).await[0].path.ends_with('b');
    let (first, second) = if is_a_first { ("a", "b") } else { ("b", "a") };
    let endpoint = json!({"notification": {"endpoint": {"uri": up.url("/new")}}});
    town.patch(&id(second), &endpoint).await;
    up.expect_told("/new", 2).await;
    assert_eq!(up.told("/new"), [1, 2]);
    // The one that is under way ends where it began, and goes on where it belongs now.
    town.patch(&id(first), &endpoint).await;
    running.caught_up().await;
    hanging.hold(false);
    running.settled().await;
    assert_eq!(hanging.all().len(), 1);
    assert_eq!(up.told("/new"), [1, 2, 2]);
    assert_eq!(running.notifications.totals(), ledger([4, 0, 0, 0]));
}
