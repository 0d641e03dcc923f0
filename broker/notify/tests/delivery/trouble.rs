//! Endpoints that fail.

use std::sync::Arc;
use std::time::Duration;

use musubi_model::Tenant;
use musubi_notify::NotifierOptions;
use musubi_store::RecordKind;
use serde_json::json;
use serde_json::value::RawValue;

use crate::receiver::{Arrival, Receiver};
use crate::store::Unreliable;
use crate::town::{Town, id, ledger, one_by_one, quick, to};

/// Does not come back by itself to what failed once.
fn patient() -> NotifierOptions {
    let pause = Duration::from_hours(1);
    NotifierOptions { first_retry: pause, longest_retry: pause, ..quick() }
}

#[tokio::test]
async fn a_failure_is_retried_with_the_same_id_and_nothing_overtakes_it() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    // Every answer asks for an hour of patience; the longest pause is shorter.
    receiver.answer("/a", &[500, 503, 429, 404]);
    let subscription = town.subscribe(&one_by_one("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    town.write(1).await;
    town.write(2).await;
    running.settled().await;
    let arrivals = receiver.arrivals("/a");
    let counts: Vec<_> = arrivals.iter().map(Arrival::count).collect();
    assert_eq!(counts, [1, 1, 1, 1, 1, 2]);
    assert!(arrivals[..5].iter().all(|it| it.body == arrivals[0].body));
    assert_ne!(arrivals[0].id(), arrivals[5].id());
    assert_eq!(running.ledger(&subscription), ledger([2, 0, 0, 0]));
    let status = running.notifications.delivery(&Tenant::default(), &subscription);
    assert_eq!((status.times_sent, status.times_failed), (6, 4));
    assert_eq!(status.status(), Some("ok"));
}

#[tokio::test]
async fn an_endpoint_that_is_down_delays_nobody_else() {
    let town = Town::new();
    let (up, down) = (Receiver::start().await, Receiver::start().await);
    down.always("/a", 503);
    for n in 0..4 {
        town.subscribe(&to(&format!("down{n}"), &down.url("/a"))).await;
    }
    let good = town.subscribe(&to("up", &up.url("/a"))).await;
    let running = town.run(NotifierOptions { deliveries: 2, lane_window: 4, ..quick() });
    for count in 0..30 {
        town.write(count).await;
    }
    up.expect_told("/a", 30).await;
    running
        .until("delivery", |it| {
            it.ledger(&Tenant::default(), &good).is_some_and(|it| it.delivered == 30)
        })
        .await;
    for n in 0..4 {
        let found = running.ledger(&id(&format!("down{n}")));
        assert_eq!(found, ledger([0, 30, 0, 0]));
    }
    assert!(running.notifications.oldest_pending().is_some());
    assert!(running.notifications.log_needed_from().0 <= 6);
}

#[tokio::test]
async fn an_endpoint_that_answers_nothing_delays_nobody_else() {
    let town = Town::new();
    let (up, silent) = (Receiver::start().await, Receiver::start().await);
    silent.hold(true);
    for n in 0..4 {
        town.subscribe(&to(&format!("silent{n}"), &silent.url("/a"))).await;
    }
    let good = town.subscribe(&to("up", &up.url("/a"))).await;
    let options = NotifierOptions { deliveries: 4, deliveries_per_endpoint: 2, ..quick() };
    let running = town.run(options);
    for count in 0..30 {
        town.write(count).await;
    }
    silent.expect("/a", 1).await;
    running
        .until("delivery", |it| {
            it.ledger(&Tenant::default(), &good).is_some_and(|it| it.delivered == 30)
        })
        .await;
    assert_eq!(silent.arrivals("/a").len(), 1, "no more than that before it has answered");
    silent.hold(false);
    running.settled().await;
    assert_eq!(running.notifications.totals(), ledger([150, 0, 0, 0]));
}

#[tokio::test]
async fn what_does_not_fit_into_memory_is_read_from_the_outbox() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.hold(true);
    let subscription = town.subscribe(&to("1", &receiver.url("/a"))).await;
    let options = NotifierOptions { lane_window: 3, batch_changes: 4, batch_pairs: 2, ..quick() };
    let running = town.run(options);
    for count in 0..100 {
        town.write(count).await;
    }
    running.caught_up().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 100, 0, 0]));
    assert!(town.records(RecordKind::Outbox).await.len() >= 16);
    receiver.hold(false);
    running.settled().await;
    assert_eq!(receiver.told("/a"), (0..100).collect::<Vec<_>>());
    assert_eq!(running.ledger(&subscription), ledger([100, 0, 0, 0]));
    assert!(town.records(RecordKind::Outbox).await.is_empty());
}

#[tokio::test]
async fn a_store_that_does_not_show_the_outbox_for_a_while_ends_nothing() {
    let store = Arc::new(Unreliable::default());
    let (town, receiver) = (Town::over(store.clone()), Receiver::start().await);
    receiver.hold(true);
    let subscription = town.subscribe(&one_by_one("1", &receiver.url("/a"))).await;
    let options = NotifierOptions { lane_window: 3, batch_changes: 4, batch_pairs: 2, ..quick() };
    let running = town.run(options);
    for count in 0..20 {
        town.write(count).await;
    }
    running.caught_up().await;
    store.hide_from_now_on();
    receiver.hold(false);
    running.settled().await;
    assert_eq!(receiver.told("/a"), (0..20).collect::<Vec<_>>());
    assert_eq!(running.ledger(&subscription), ledger([20, 0, 0, 0]));
    assert!(store.hidden() > 0);
}

#[tokio::test(start_paused = true)]
async fn while_much_is_pending_rows_are_few_and_nothing_is_forgotten() {
    let town = Town::new();
    // Nobody listens there.
    let subscription = town.subscribe(&to("1", "http://127.0.0.1:9/")).await;
    let running = town.run(patient());
    let mut count = 0;
    let mut write_some = async || {
        for _ in 0..1010 {
            town.write(count).await;
            count += 1;
            // The notifier gets its turn.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
        running.caught_up().await;
        town.records(RecordKind::Outbox).await.len()
    };
    for written in [1010, 2020] {
        let rows = write_some().await;
        assert!((16..40).contains(&rows), "{rows} rows of {written} changes");
    }
    assert_eq!(running.ledger(&subscription), ledger([0, 2020, 0, 0]));
    running.kill().await;
    let running = town.run(patient());
    running.caught_up().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 2020, 0, 0]));
    // Over real sockets time has to pass.
    tokio::time::resume();
    let receiver = Receiver::start().await;
    let endpoint = json!({"endpoint": {"uri": receiver.url("/a")}});
    town.patch(&subscription, &json!({"notification": endpoint})).await;
    running.settled().await;
    assert_eq!(receiver.witnessed("/a"), (0..2020).collect::<Vec<_>>());
    assert!(town.records(RecordKind::Outbox).await.is_empty());
}

#[tokio::test]
async fn what_fails_too_often_is_among_the_dead_letters() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.answer("/a", &[500, 500, 500]);
    let subscription = town.subscribe(&one_by_one("1", &receiver.url("/a"))).await;
    let running = town.run(NotifierOptions { attempts: 3, ..quick() });
    let sequence = town.write(1).await;
    town.write(2).await;
    running.settled().await;
    let arrivals = receiver.arrivals("/a");
    assert_eq!(arrivals.iter().map(Arrival::count).collect::<Vec<_>>(), [1, 1, 1, 2]);
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 1, 0]));
    let [letter] = &town.dead_letters().await[..] else { panic!("one is expected") };
    assert_eq!(letter.id, arrivals[0].id());
    assert_eq!(letter.kind, "notification");
    assert_eq!(letter.subscription, subscription);
    assert_eq!(letter.sequence, sequence);
    assert_eq!(letter.reason, "the endpoint answered 500 Internal Server Error");
    assert_eq!(letter.payload.as_deref().map(RawValue::get), Some(&*arrivals[0].text));
    assert!(receiver.url("").ends_with(&letter.endpoint));
}

#[tokio::test]
async fn what_is_refused_a_few_times_is_among_the_dead_letters() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.always("/a", 410);
    receiver.always("/moved", 307);
    let refused = town.subscribe(&one_by_one("1", &receiver.url("/a"))).await;
    let moved = town.subscribe(&one_by_one("2", &receiver.url("/moved"))).await;
    let forbidden = town.subscribe(&one_by_one("3", "http://169.254.169.254/latest")).await;
    let running = town.run(NotifierOptions { refusals: 2, ..quick() });
    for count in [1, 2, 3] {
        town.write(count).await;
    }
    running.settled().await;
    assert_eq!(receiver.told("/a"), [1, 1, 2, 3], "the others are refused for good at once");
    for subscription in [refused, moved, forbidden] {
        assert_eq!(running.ledger(&subscription), ledger([0, 0, 3, 0]));
    }
    assert_eq!(town.dead_letters().await.len(), 9);
}

#[tokio::test]
async fn a_refusal_after_an_outage_is_one_of_a_few() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.answer("/a", &[503, 500, 503, 404, 200, 410, 410, 503, 410, 200]);
    let subscription = town.subscribe(&one_by_one("1", &receiver.url("/a"))).await;
    let running = town.run(NotifierOptions { refusals: 2, ..quick() });
    for count in [1, 2, 3, 4] {
        town.write(count).await;
    }
    running.settled().await;
    // The second is refused twice, and what the third fails with is no refusal.
    assert_eq!(receiver.told("/a"), [1, 1, 1, 1, 1, 2, 2, 3, 3, 3, 4]);
    assert_eq!(running.ledger(&subscription), ledger([3, 0, 1, 0]));
}

#[tokio::test]
async fn what_is_too_old_is_given_up_together_with_what_waits_behind_it() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.always("/a", 503);
    receiver.hold(true);
    let subscription = town.subscribe(&to("1", &receiver.url("/a"))).await;
    let running = town.run(NotifierOptions { max_age: Duration::from_secs(30), ..quick() });
    town.write(0).await;
    receiver.expect("/a", 1).await;
    for count in 1..10 {
        town.write(count).await;
    }
    running.caught_up().await;
    town.pass(Duration::from_secs(31));
    receiver.hold(false);
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 10, 0]));
    assert_eq!(receiver.arrivals("/a").len(), 1, "one attempt is enough to know");
    let mut told: Vec<_> = town.dead_letters().await.iter().map(|letter| letter.changes).collect();
    told.sort_unstable();
    assert_eq!(told, [1, 9], "what waits behind it goes together");
}

#[tokio::test]
async fn a_changed_subscription_is_tried_at_once() {
    let (town, wrong, right) = (Town::new(), Receiver::start().await, Receiver::start().await);
    wrong.always("/a", 503);
    let subscription = town.subscribe(&to("1", &wrong.url("/a"))).await;
    let running = town.run(patient());
    town.write(1).await;
    wrong.expect("/a", 1).await;
    let endpoint = json!({"endpoint": {"uri": right.url("/a")}});
    town.patch(&subscription, &json!({"notification": endpoint})).await;
    right.expect("/a", 1).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
}

#[tokio::test]
async fn a_cooldown_is_kept_although_it_is_longer_than_the_longest_pause() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.answer("/a", &[500]);
    let mut body = to("1", &receiver.url("/a"));
    body["notification"]["endpoint"]["cooldown"] = json!(700);
    town.subscribe(&body).await;
    let running = town.run(quick());
    let begun = tokio::time::Instant::now();
    town.write(1).await;
    running.settled().await;
    assert_eq!(receiver.arrivals("/a").len(), 2);
    assert!(begun.elapsed() >= Duration::from_millis(700));
}

#[tokio::test]
async fn a_change_that_is_gone_from_the_log_is_accounted_for() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.always("/a", 503);
    let subscription = town.subscribe(&to("1", &receiver.url("/a"))).await;
    let running = town.run(patient());
    let sequence = town.write(1).await;
    receiver.expect("/a", 1).await;
    running.caught_up().await;
    running.stop().await;
    town.store.truncate(sequence).await.unwrap();
    let running = town.run(patient());
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 1, 0]));
    let [letter] = &town.dead_letters().await[..] else { panic!("one is expected") };
    assert_eq!(letter.reason, "the change is no longer in the log");
    assert!(letter.payload.is_none());
}
