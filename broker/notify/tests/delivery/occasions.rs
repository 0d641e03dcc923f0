//! What is due without a change: at intervals, and at the beginning.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use musubi_model::Tenant;
use musubi_notify::NotifierOptions;
use musubi_store::{RecordKind, Store};
use serde_json::{Value, json};

use crate::receiver::{Arrival, Receiver};
use crate::store::Unreliable;
use crate::town::{Town, body, ledger, quick, to};

mod silence;

fn sensor(number: usize) -> Value {
    json!({
        "id": format!("urn:ngsi-ld:Sensor:{number}"),
        "type": "Sensor",
        "count": {"type": "Property", "value": number},
    })
}

/// A subscription that has a tick every ten seconds.
fn every_ten(name: &str, uri: &str) -> Value {
    let mut body = to(name, uri);
    body["timeInterval"] = json!(10);
    body
}

fn beginning(name: &str, uri: &str) -> Value {
    let mut body = to(name, uri);
    body["initialNotification"] = json!(true);
    body
}

const TEN: Duration = Duration::from_secs(10);

fn counts(arrivals: &[Arrival]) -> Vec<u64> {
    arrivals.iter().map(Arrival::count).collect()
}

#[tokio::test]
async fn a_tick_tells_all_that_matches_and_changes_tell_nothing() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    for number in [1, 2] {
        town.write_entity(&sensor(number)).await;
    }
    town.write_entity(&json!({"id": "urn:ngsi-ld:Other:1", "type": "Other"})).await;
    let subscription = town.subscribe(&every_ten("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    town.write(7).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 0, 0]));
    town.pass(TEN);
    let first = &receiver.expect("/a", 1).await[0];
    running.settled().await;
    let data = first.body["data"].as_array().unwrap();
    assert_eq!(data.len(), 2);
    assert_eq!((&data[0]["count"]["value"], &data[1]["count"]["value"]), (&json!(7), &json!(2)));
    assert_eq!(first.body["subscriptionId"], json!(subscription.as_str()));
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
    town.pass(TEN);
    let both = receiver.expect("/a", 2).await;
    running.settled().await;
    assert_ne!(both[0].id(), both[1].id());
    assert_eq!(running.ledger(&subscription), ledger([2, 0, 0, 0]));
    assert!(town.records(RecordKind::Occasion).await.is_empty());
}

#[tokio::test]
async fn a_tick_at_which_nothing_matches_is_suppressed_without_a_request() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&every_ten("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    running.caught_up().await;
    town.pass(TEN);
    running.until("tick", |it| it.totals().suppressed == 1).await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 0, 1]));
    assert!(receiver.arrivals("/a").is_empty());
    let standing = running.notifications.standing(&Tenant::default(), &subscription).unwrap();
    assert_eq!(standing.status.times_sent, 0);
}

#[tokio::test]
async fn a_tick_with_much_to_tell_is_several_notifications_and_counts_as_one() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    for number in 0..1_200 {
        town.write_entity(&sensor(number)).await;
    }
    let subscription = town.subscribe(&every_ten("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    running.caught_up().await;
    receiver.answer("/a", &[200, 503]);
    town.pass(TEN);
    // The second page fails, so both are sent again with the ids that they had.
    let arrivals = receiver.expect("/a", 4).await;
    running.settled().await;
    let sizes = arrivals.iter().map(|it| it.body["data"].as_array().unwrap().len());
    assert_eq!(sizes.collect::<Vec<_>>(), [1_000, 200, 1_000, 200]);
    assert_ne!(arrivals[0].id(), arrivals[1].id());
    assert_eq!(arrivals[0].id(), arrivals[2].id());
    assert_eq!(arrivals[1].id(), arrivals[3].id());
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
}

#[tokio::test]
async fn a_page_that_is_cut_otherwise_has_another_id() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    for number in 0..1_200 {
        town.write_entity(&sensor(number)).await;
    }
    let subscription = town.subscribe(&every_ten("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    running.caught_up().await;
    receiver.hold(true);
    receiver.answer("/a", &[503]);
    town.pass(TEN);
    receiver.expect("/a", 1).await;
    // With it gone, the first page ends one later.
    town.delete_entity("urn:ngsi-ld:Sensor:7").await;
    receiver.hold(false);
    let arrivals = receiver.expect("/a", 3).await;
    running.settled().await;
    let mut told: HashMap<&str, HashSet<&str>> = HashMap::new();
    for arrival in &arrivals {
        let data = arrival.body["data"].as_array().unwrap();
        let ids = data.iter().map(|it| it["id"].as_str().unwrap()).collect();
        let before = told.entry(arrival.id()).or_insert_with(|| HashSet::clone(&ids));
        assert_eq!(*before, ids, "one id, one set of entities");
    }
    assert_eq!(told.len(), 3);
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
}

#[tokio::test]
async fn the_letter_of_a_page_has_its_id_and_says_what_was_not_sent() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    for number in 0..2_200 {
        town.write_entity(&sensor(number)).await;
    }
    let subscription = town.subscribe(&every_ten("1", &receiver.url("/a"))).await;
    let running = town.run(NotifierOptions { refusals: 1, ..quick() });
    running.caught_up().await;
    receiver.answer("/a", &[200, 410]);
    town.pass(TEN);
    let arrivals = receiver.expect("/a", 2).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 1, 0]));
    let [letter] = &town.dead_letters().await[..] else { panic!("one is expected") };
    assert_eq!(letter.id, arrivals[1].id());
    assert_eq!(body(letter), arrivals[1].body);
    let rest = "; 200 more entities were to be told after these, and were not";
    assert!(letter.reason.ends_with(rest), "{}", letter.reason);
}

#[tokio::test]
async fn of_many_ticks_that_were_missed_one_is_had_and_after_a_restart_none() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    town.write(1).await;
    let subscription = town.subscribe(&every_ten("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    running.caught_up().await;
    // As after a machine was asleep.
    town.pass(TEN * 60);
    receiver.expect("/a", 1).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
    running.stop().await;
    town.pass(TEN * 60 + TEN / 2);
    let control = town.subscribe(&every_ten("2", &receiver.url("/control"))).await;
    let running = town.run(quick());
    running.caught_up().await;
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
    // The rhythm is what it was: the first one's next tick is five seconds before the other's.
    town.pass(TEN / 2);
    receiver.expect("/a", 2).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([2, 0, 0, 0]));
    assert_eq!(running.ledger(&control), ledger([0, 0, 0, 0]));
    town.pass(TEN / 2);
    receiver.expect("/control", 1).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([2, 0, 0, 0]));
}

#[tokio::test]
async fn a_tick_takes_the_place_of_one_that_could_not_be_delivered() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    town.write(1).await;
    let subscription = town.subscribe(&every_ten("1", &receiver.url("/a"))).await;
    receiver.always("/a", 503);
    let slow = Duration::from_hours(1);
    let running = town.run(NotifierOptions { first_retry: slow, longest_retry: slow, ..quick() });
    running.caught_up().await;
    for tick in 0..5 {
        town.pass(TEN);
        let is_due = |it: &musubi_notify::Notifications| it.totals().due == tick + 1;
        running.until("tick", is_due).await;
        if tick == 0 {
            receiver.expect("/a", 1).await;
            running
                .until("failure", |it| {
                    let standing = it.standing(&Tenant::default(), &subscription).unwrap();
                    standing.status.times_failed == 1
                })
                .await;
        }
        assert_eq!(running.ledger(&subscription), ledger([0, 1, 0, tick]));
    }
    assert_eq!(town.records(RecordKind::Occasion).await.len(), 1);
    running.stop().await;
    receiver.always("/a", 200);
    let running = town.run(quick());
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 4]));
}

#[tokio::test]
async fn a_tick_that_was_under_way_at_a_kill_is_told_again_with_the_same_id() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    town.write(1).await;
    let subscription = town.subscribe(&every_ten("1", &receiver.url("/a"))).await;
    receiver.hold(true);
    let running = town.run(quick());
    running.caught_up().await;
    town.pass(TEN);
    receiver.expect("/a", 1).await;
    assert_eq!(running.ledger(&subscription), ledger([0, 1, 0, 0]));
    running.kill().await;
    receiver.hold(false);
    let running = town.run(quick());
    running.settled().await;
    let arrivals = receiver.arrivals("/a");
    assert_eq!(arrivals.len(), 2);
    assert_eq!(arrivals[0].id(), arrivals[1].id());
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
    // Nor does the tick come once more under another id.
    running.kill().await;
    let running = town.run(quick());
    running.caught_up().await;
    town.pass(TEN);
    receiver.expect("/a", 3).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([2, 0, 0, 0]));
}

#[tokio::test]
async fn there_are_no_ticks_in_a_pause_after_the_end_or_for_one_that_is_gone() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    town.write(1).await;
    let paused = town.subscribe(&every_ten("1", &receiver.url("/a"))).await;
    let gone = town.subscribe(&every_ten("2", &receiver.url("/a"))).await;
    let mut body = every_ten("3", &receiver.url("/a"));
    body["expiresAt"] = json!("2023-11-14T22:13:25Z");
    let expired = town.subscribe(&body).await;
    let control = town.subscribe(&every_ten("4", &receiver.url("/control"))).await;
    let running = town.run(quick());
    town.patch(&paused, &json!({"isActive": false})).await;
    town.unsubscribe(&gone).await;
    running.caught_up().await;
    for tick in 1..=2 {
        town.pass(TEN);
        receiver.expect("/control", tick).await;
        running.settled().await;
    }
    assert_eq!(running.ledger(&paused), ledger([0, 0, 0, 0]));
    assert_eq!(running.ledger(&expired), ledger([0, 0, 0, 0]));
    assert!(receiver.arrivals("/a").is_empty());
    // Resumed, it goes on in its old rhythm.
    town.pass(TEN / 2);
    town.patch(&paused, &json!({"isActive": true})).await;
    running.caught_up().await;
    town.pass(TEN / 2);
    receiver.expect("/a", 1).await;
    receiver.expect("/control", 3).await;
    running.settled().await;
    assert_eq!(running.ledger(&paused), ledger([1, 0, 0, 0]));
    assert_eq!(running.ledger(&control), ledger([3, 0, 0, 0]));
}

#[tokio::test]
async fn another_interval_is_counted_from_the_change_and_another_name_changes_nothing() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    town.write(1).await;
    let subscription = town.subscribe(&every_ten("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    town.pass(TEN / 2);
    town.patch(&subscription, &json!({"subscriptionName": "another"})).await;
    running.caught_up().await;
    town.pass(TEN / 2);
    receiver.expect("/a", 1).await;
    running.settled().await;
    town.pass(TEN / 2);
    town.patch(&subscription, &json!({"timeInterval": 20})).await;
    let control = town.subscribe(&every_ten("2", &receiver.url("/control"))).await;
    running.caught_up().await;
    town.pass(TEN);
    receiver.expect("/control", 1).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
    town.pass(TEN);
    receiver.expect("/a", 2).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([2, 0, 0, 0]));
    assert_eq!(running.ledger(&control), ledger([2, 0, 0, 0]));
    // Without an interval, changes are told again.
    town.patch(&subscription, &json!({"timeInterval": "urn:ngsi-ld:null"})).await;
    town.write(9).await;
    assert_eq!(receiver.expect("/a", 3).await[2].count(), 9);
}

#[tokio::test(start_paused = true)]
async fn ticks_that_cannot_be_saved_do_not_pile_up() {
    let store = Arc::new(Unreliable::default());
    let town = Town::over(Arc::clone(&store) as Arc<dyn Store>);
    // Nobody listens there.
    let subscription = town.subscribe(&every_ten("1", "http://127.0.0.1:9/")).await;
    let running = town.run(quick());
    running.caught_up().await;
    store.fill(true);
    for due in 1..=50 {
        town.pass(TEN);
        running.until("tick", |it| it.totals().due == due).await;
    }
    assert_eq!(running.ledger(&subscription), ledger([0, 1, 0, 49]));
    store.fill(false);
    running.stop().await;
    // The last one, unless it was given up meanwhile.
    assert!(town.records(RecordKind::Occasion).await.len() <= 1);
    assert!(store.most() < 10, "{} records in one group", store.most());
}

#[tokio::test]
async fn a_beginning_is_told_once_and_before_the_first_change() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    for number in [1, 2] {
        town.write_entity(&sensor(number)).await;
    }
    let subscription = town.subscribe(&beginning("1", &receiver.url("/a"))).await;
    town.write(5).await;
    town.write(6).await;
    let running = town.run(quick());
    running.settled().await;
    let arrivals = receiver.arrivals("/a");
    let told: Vec<_> =
        arrivals.iter().map(|it| it.body["data"].as_array().unwrap().len()).collect();
    assert_eq!(told[0], 2);
    // What matches at its beginning is told as it is when it is told.
    assert_eq!(arrivals[0].body["data"][0]["count"]["value"], json!(6));
    let last = arrivals.last().unwrap().body["data"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["count"]["value"], json!(6));
    assert_eq!(running.ledger(&subscription), ledger([3, 0, 0, 0]));
    town.patch(&subscription, &json!({"subscriptionName": "another"})).await;
    town.patch(&subscription, &json!({"isActive": false})).await;
    town.patch(&subscription, &json!({"isActive": true})).await;
    running.settled().await;
    running.stop().await;
    let running = town.run(quick());
    town.write(7).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([4, 0, 0, 0]));
}

#[tokio::test]
async fn there_is_no_beginning_where_nothing_matches_or_in_a_pause() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let empty = town.subscribe(&beginning("1", &receiver.url("/a"))).await;
    let mut body = beginning("2", &receiver.url("/a"));
    body["isActive"] = json!(false);
    let paused = town.subscribe(&body).await;
    let running = town.run(quick());
    running.settled().await;
    assert_eq!(running.ledger(&empty), ledger([0, 0, 0, 1]));
    town.write(1).await;
    town.patch(&paused, &json!({"isActive": true})).await;
    running.settled().await;
    assert_eq!(running.ledger(&paused), ledger([0, 0, 0, 0]));
    assert_eq!(counts(&receiver.arrivals("/a")), [1]);
}

#[tokio::test]
async fn a_beginning_that_was_under_way_at_a_kill_is_told_again_with_the_same_id() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    town.write(1).await;
    receiver.hold(true);
    let subscription = town.subscribe(&beginning("1", &receiver.url("/a"))).await;
    for _ in 0..3 {
        let before = receiver.arrivals("/a").len();
        let running = town.run(quick());
        receiver.expect("/a", before + 1).await;
        assert_eq!(running.ledger(&subscription), ledger([0, 1, 0, 0]));
        running.kill().await;
    }
    receiver.hold(false);
    let running = town.run(quick());
    running.settled().await;
    let arrivals = receiver.arrivals("/a");
    assert!(arrivals.iter().all(|it| it.id() == arrivals[0].id()));
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
}
