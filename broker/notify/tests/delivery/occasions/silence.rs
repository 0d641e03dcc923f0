//! What is due because an entity has not changed for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_model::{Sequence, Tenant, TypeName};
use musubi_query::EntityQuery;
use musubi_store::{
    AttributeSummary, Change, Group, Outcome, Page, Record, RecordKind, RecordQuery,
    ReferenceStore, Store, StoreError, TypeSummary,
};
use serde_json::{Value, json};

use super::sensor;
use crate::receiver::{Arrival, Receiver};
use crate::town::{Running, Town, body, ledger, quick, to};

/// A subscription that is told of sensors that are silent for ten seconds.
fn silent(name: &str, uri: &str) -> Value {
    let mut body = to(name, uri);
    body["silentFor"] = json!("PT10S");
    body
}

const TEN: Duration = Duration::from_secs(10);

/// Which entity, and what of it.
fn told(arrivals: &[Arrival]) -> Vec<(&str, &str)> {
    arrivals
        .iter()
        .map(|arrival| {
            let silence = &arrival.body["silence"];
            let entity = silence["entity"].as_str().unwrap();
            (entity.rsplit(':').next().unwrap(), silence["status"].as_str().unwrap())
        })
        .collect()
}

async fn due(running: &Running, number: u64) {
    running.until("what is due", |it| it.totals().due == number).await;
    running.settled().await;
}

#[tokio::test]
async fn an_entity_is_told_once_when_it_is_silent_and_once_when_it_returns() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&silent("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    for number in [1, 2] {
        town.write_entity(&sensor(number)).await;
    }
    running.settled().await;
    town.pass(TEN / 2);
    town.write_entity(&sensor(2)).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 0, 0]));
    town.pass(TEN / 2);
    due(&running, 1).await;
    assert_eq!(town.records(RecordKind::Silence).await.len(), 1);
    town.pass(TEN / 2);
    due(&running, 2).await;
    town.pass(TEN * 10);
    town.write(9).await;
    town.write(10).await;
    due(&running, 3).await;
    assert_eq!(
        told(&receiver.arrivals("/a")),
        [("1", "silent"), ("2", "silent"), ("1", "returned")]
    );
    let arrivals = receiver.arrivals("/a");
    assert_eq!(arrivals[0].body["data"][0]["id"], "urn:ngsi-ld:Sensor:1");
    assert_eq!(arrivals[0].body["silence"]["since"], arrivals[2].body["silence"]["since"]);
    assert_eq!(running.ledger(&subscription), ledger([3, 0, 0, 0]));
    assert_eq!(town.records(RecordKind::Silence).await.len(), 1);
    assert!(town.records(RecordKind::Occasion).await.is_empty());
    // And again.
    town.pass(TEN);
    due(&running, 4).await;
    assert_eq!(told(&receiver.arrivals("/a")[3..]), [("1", "silent")]);
}

#[tokio::test]
async fn what_was_there_before_the_subscription_is_watched_too() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    town.write_entity(&sensor(1)).await;
    town.pass(TEN * 2);
    for number in 2..1_100 {
        town.write_entity(&sensor(number)).await;
    }
    let subscription = town.subscribe(&silent("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    // A notifier that is new knows nothing of the time before, and waits as long again.
    town.pass(TEN / 2);
    running.caught_up().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 0, 0]));
    town.pass(TEN);
    due(&running, 1_099).await;
    assert_eq!(running.ledger(&subscription), ledger([1_099, 0, 0, 0]));
    // The next subscription is told at once of what is silent already.
    let other = town.subscribe(&silent("2", &receiver.url("/b"))).await;
    due(&running, 2 * 1_099).await;
    assert_eq!(running.ledger(&other), ledger([1_099, 0, 0, 0]));
    assert_eq!(town.records(RecordKind::Silence).await.len(), 2 * 1_099);
    town.unsubscribe(&other).await;
    running.settled().await;
    assert_eq!(town.records(RecordKind::Silence).await.len(), 1_099);
}

#[tokio::test]
async fn only_a_watched_attribute_is_a_sign_of_life_and_who_no_longer_matches_is_forgotten() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let mut body = silent("1", &receiver.url("/a"));
    body["watchedAttributes"] = json!(["count"]);
    body["q"] = json!("count>1");
    let subscription = town.subscribe(&body).await;
    let control = town.subscribe(&silent("2", &receiver.url("/control"))).await;
    let running = town.run(quick());
    // 1 never matches, 2 ceases to match, 3 is deleted, 4 has nothing that is watched.
    for number in [1, 2, 3, 5] {
        town.write_entity(&sensor(number)).await;
    }
    town.write_entity(&json!({"id": "urn:ngsi-ld:Sensor:4", "type": "Sensor"})).await;
    let mut gone = sensor(2);
    gone["count"]["value"] = json!(0);
    town.write_entity(&gone).await;
    town.remove("urn:ngsi-ld:Sensor:3").await;
    running.settled().await;
    town.pass(TEN);
    receiver.expect("/control", 4).await;
    running.settled().await;
    assert_eq!(told(&receiver.arrivals("/a")), [("5", "silent")]);
    assert_eq!(running.ledger(&control), ledger([4, 0, 0, 0]));
    // Who was told to be silent and goes is not told to return.
    town.remove("urn:ngsi-ld:Sensor:5").await;
    running.settled().await;
    assert_eq!(town.records(RecordKind::Silence).await.len(), 3);
    town.write_entity(&sensor(5)).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
}

#[tokio::test]
async fn a_restart_neither_repeats_an_alert_nor_forgets_that_it_was_told() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&silent("1", &receiver.url("/a"))).await;
    let mut running = town.run(quick());
    town.write(1).await;
    running.settled().await;
    town.pass(TEN);
    due(&running, 1).await;
    for _ in 0..3 {
        running.kill().await;
        running = town.run(quick());
        town.write_entity(&sensor(2)).await;
        running.settled().await;
        town.pass(TEN);
        let due_now = running.ledger(&subscription).due;
        running.until("the other", move |it| it.totals().due > due_now).await;
        running.settled().await;
        town.write_entity(&sensor(2)).await;
        running.settled().await;
    }
    assert_eq!(told(&receiver.arrivals("/a")).iter().filter(|it| it.0 == "1").count(), 1);
    town.write(2).await;
    running.settled().await;
    let arrivals = receiver.arrivals("/a");
    assert_eq!(told(&arrivals).last(), Some(&("1", "returned")));
    assert_eq!(running.ledger(&subscription), ledger([8, 0, 0, 0]));
}

#[tokio::test]
async fn an_alert_that_was_under_way_at_a_kill_is_told_again_with_the_same_id() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&silent("1", &receiver.url("/a"))).await;
    receiver.hold(true);
    let mut running = town.run(quick());
    town.write(1).await;
    running.settled().await;
    town.pass(TEN);
    receiver.expect("/a", 1).await;
    running.kill().await;
    // It returns while nobody looks.
    town.pass(Duration::from_secs(1));
    town.write(2).await;
    running = town.run(quick());
    receiver.expect("/a", 2).await;
    running.caught_up().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 2, 0, 0]));
    running.kill().await;
    receiver.hold(false);
    running = town.run(quick());
    running.settled().await;
    let arrivals = receiver.arrivals("/a");
    let expected = [("1", "silent"), ("1", "silent"), ("1", "silent"), ("1", "returned")];
    assert_eq!(told(&arrivals), expected);
    assert!(arrivals[..3].iter().all(|it| it.id() == arrivals[0].id()));
    assert_ne!(arrivals[0].id(), arrivals[3].id());
    assert_eq!(running.ledger(&subscription), ledger([2, 0, 0, 0]));
    assert!(town.records(RecordKind::Silence).await.is_empty());
}

#[tokio::test]
async fn who_could_not_write_because_the_broker_was_away_has_as_long_again() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&silent("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    for number in [1, 2] {
        town.write_entity(&sensor(number)).await;
    }
    running.settled().await;
    running.stop().await;
    town.pass(TEN * 100);
    let control = town
        .subscribe(&{
            let mut body = silent("2", &receiver.url("/control"));
            body["silentFor"] = json!("PT1S");
            body
        })
        .await;
    let running = town.run(quick());
    running.caught_up().await;
    town.pass(Duration::from_secs(1));
    receiver.expect("/control", 2).await;
    town.write_entity(&sensor(2)).await;
    receiver.expect("/control", 3).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 0, 0]));
    assert_eq!(running.ledger(&control), ledger([3, 0, 0, 0]));
    town.pass(Duration::from_secs(9));
    running.until("alert", |_| !receiver.arrivals("/a").is_empty()).await;
    running.settled().await;
    assert_eq!(told(&receiver.arrivals("/a")), [("1", "silent")]);
}

#[tokio::test]
async fn a_short_absence_does_not_put_an_alert_off_for_long() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let mut body = silent("1", &receiver.url("/a"));
    body["silentFor"] = json!("P7D");
    town.subscribe(&body).await;
    let mut running = town.run(quick());
    town.write(1).await;
    running.settled().await;
    // Restarted every night, it tells nevertheless.
    for _ in 0..7 {
        town.pass(Duration::from_secs(24 * 3600 - 10));
        running.stop().await;
        town.pass(TEN);
        running = town.run(quick());
        running.caught_up().await;
    }
    town.pass(TEN);
    due(&running, 1).await;
    assert_eq!(told(&receiver.arrivals("/a")), [("1", "silent")]);
}

#[tokio::test]
async fn a_pause_tells_nothing_and_its_end_tells_what_has_changed() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&silent("1", &receiver.url("/a"))).await;
    let control = town.subscribe(&silent("2", &receiver.url("/control"))).await;
    let running = town.run(quick());
    for number in [1, 2, 3, 4] {
        town.write_entity(&sensor(number)).await;
    }
    running.settled().await;
    town.pass(TEN / 2);
    for number in [3, 4] {
        town.write_entity(&sensor(number)).await;
    }
    running.settled().await;
    town.pass(TEN / 2);
    receiver.expect("/a", 2).await;
    town.patch(&subscription, &json!({"isActive": false})).await;
    running.settled().await;
    // In the pause 1 returns, 2 goes, 3 falls silent, and 4 goes on.
    town.write(1).await;
    town.remove("urn:ngsi-ld:Sensor:2").await;
    town.pass(TEN / 2);
    receiver.expect("/control", 5).await;
    town.write_entity(&sensor(4)).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([2, 0, 0, 0]));
    running.stop().await;
    let running = town.run(quick());
    running.caught_up().await;
    town.patch(&subscription, &json!({"isActive": true})).await;
    receiver.expect("/a", 4).await;
    running.settled().await;
    let arrivals = receiver.arrivals("/a");
    let mut after = told(&arrivals[2..]);
    after.sort_unstable();
    assert_eq!(after, [("1", "returned"), ("3", "silent")]);
    assert_eq!(running.ledger(&subscription), ledger([4, 0, 0, 0]));
    assert!(running.ledger(&control).is_balanced());
}

#[tokio::test]
async fn another_time_or_selection_begins_anew_without_repeating_what_was_told() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&silent("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    for number in [1, 2] {
        town.write_entity(&sensor(number)).await;
    }
    running.settled().await;
    town.pass(TEN / 2);
    for number in [2, 3] {
        town.write_entity(&sensor(number)).await;
    }
    running.settled().await;
    town.pass(TEN / 2);
    due(&running, 1).await;
    town.patch(&subscription, &json!({"silentFor": "PT20S", "q": "count<3"})).await;
    town.patch(&subscription, &json!({"subscriptionName": "another"})).await;
    running.settled().await;
    town.pass(TEN);
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
    town.pass(TEN / 2);
    due(&running, 2).await;
    assert_eq!(told(&receiver.arrivals("/a")), [("1", "silent"), ("2", "silent")]);
    // With nothing but a selection that leaves them out, they are forgotten.
    town.patch(&subscription, &json!({"q": "count==1"})).await;
    running.settled().await;
    town.write_entity(&sensor(2)).await;
    town.write(1).await;
    due(&running, 3).await;
    assert_eq!(told(&receiver.arrivals("/a")[2..]), [("1", "returned")]);
    assert!(town.records(RecordKind::Silence).await.is_empty());
    // Without `silentFor`, changes are told again, and nothing else.
    town.pass(TEN * 2);
    due(&running, 4).await;
    town.patch(&subscription, &json!({"silentFor": "urn:ngsi-ld:null"})).await;
    town.write(1).await;
    due(&running, 5).await;
    assert!(receiver.arrivals("/a")[4].body.get("silence").is_none());
    assert!(town.records(RecordKind::Silence).await.is_empty());
}

#[tokio::test]
async fn an_expired_subscription_is_told_nothing() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let mut body = silent("1", &receiver.url("/a"));
    body["expiresAt"] = json!("2023-11-14T22:13:25Z");
    let subscription = town.subscribe(&body).await;
    town.subscribe(&silent("2", &receiver.url("/control"))).await;
    let running = town.run(quick());
    town.write(1).await;
    running.settled().await;
    town.pass(TEN);
    receiver.expect("/control", 1).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 0, 0]));
    // With its end put off it is told what is silent, once.
    town.patch(&subscription, &json!({"expiresAt": "2033-11-14T22:13:25Z"})).await;
    receiver.expect("/a", 1).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
}

#[tokio::test]
async fn a_clock_that_jumps_tells_early_and_once_and_always_with_an_end() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&silent("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    town.write(1).await;
    running.settled().await;
    town.pass(TEN * 360);
    due(&running, 1).await;
    town.set_back(TEN * 360);
    town.write(2).await;
    due(&running, 2).await;
    town.pass(TEN);
    due(&running, 3).await;
    let arrivals = receiver.arrivals("/a");
    assert_eq!(told(&arrivals), [("1", "silent"), ("1", "returned"), ("1", "silent")]);
    assert_eq!(running.ledger(&subscription), ledger([3, 0, 0, 0]));
}

/// The plain store, of which the log cannot be read for a while.
#[derive(Debug, Default)]
struct Unheard {
    inner: ReferenceStore,
    is_deaf: AtomicBool,
}

impl Store for Unheard {
    fn commit(&self, groups: Vec<Group>) -> BoxFuture<'_, Result<Vec<Outcome>, StoreError>> {
        self.inner.commit(groups)
    }

    crate::store::reads_entities_of_inner!();

    fn changes(
        &self,
        after: Sequence,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Change>>, StoreError>> {
        if self.is_deaf.load(Ordering::Relaxed) {
            let source = "somebody is tearing at the cable".into();
            let error = StoreError::Unavailable { doing: "a read of the log", source };
            return futures_util::future::ready(Err(error)).boxed();
        }
        self.inner.changes(after, limit)
    }

    fn newest(&self) -> tokio::sync::watch::Receiver<Sequence> {
        self.inner.newest()
    }

    fn durable(&self) -> tokio::sync::watch::Receiver<Sequence> {
        self.inner.durable()
    }

    fn truncate(&self, upto: Sequence) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.truncate(upto)
    }

    fn records<'a>(
        &'a self,
        query: &'a RecordQuery,
    ) -> BoxFuture<'a, Result<Vec<Record>, StoreError>> {
        self.inner.records(query)
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_to_be_silent_whose_change_has_not_been_read_yet() {
    let store = Arc::new(Unheard::default());
    let town = Town::over(Arc::clone(&store) as Arc<dyn Store>);
    // Nobody listens there, so every alert ends in the dead letters.
    let subscription = town.subscribe(&silent("1", "http://127.0.0.1:9/")).await;
    let running = town.run(musubi_notify::NotifierOptions { attempts: 1, ..quick() });
    for number in [1, 2] {
        town.write_entity(&sensor(number)).await;
    }
    running.settled().await;
    store.is_deaf.store(true, Ordering::Relaxed);
    town.pass(Duration::from_secs(9));
    town.write(1).await;
    town.pass(Duration::from_secs(1));
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 0, 0]));
    store.is_deaf.store(false, Ordering::Relaxed);
    due(&running, 1).await;
    let letters = town.dead_letters().await;
    assert_eq!(body(&letters[0])["silence"]["entity"], "urn:ngsi-ld:Sensor:2");
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 1, 0]));
}
