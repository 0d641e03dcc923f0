//! Streams over a store and beside a notifier that does one thing at a time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use futures_util::FutureExt;
use musubi_context::Context;
use musubi_model::{Clock, Limits, Node, Sequence, Tenant, Timestamp};
use musubi_store::{
    Expect, Group, Outcome, RecordKey, RecordKind, RecordQuery, RecordWrite, ReferenceStore, Store,
    Subject, Write,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::engine::account::AccountKey;
use crate::engine::applied::{Applied, CompiledContexts};
use crate::engine::notifications::Shared;
use crate::streams::feed::{PIECE, ROOM};
use crate::testing::{entity, read, time};
use crate::{
    Feed, FeedEnd, FeedEvent, NotificationKey, Notifications, StreamOptions, StreamRefused,
    Streams, Subscription, SubscriptionId, match_subscription,
};

#[derive(Debug)]
struct Standing(AtomicI64);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// A town, whose notifier reads the log when it is told to.
struct Town {
    store: Arc<dyn Store>,
    clock: Arc<Standing>,
    notifications: Notifications,
    streams: Streams,
    /// How far the notifier has read, and what it has learned.
    cursor: Sequence,
    applied: Option<Arc<Applied>>,
}

/// The key of a secret.
static IDS: LazyLock<NotificationKey> =
    LazyLock::new(|| NotificationKey::of_secret(&uuid::Uuid::from_u128(7)));

const SENSORS: &str = "urn:ngsi-ld:Subscription:1";

fn id() -> SubscriptionId {
    SENSORS.parse().unwrap()
}

fn key() -> AccountKey {
    AccountKey { tenant: Tenant::default(), id: id() }
}

impl Town {
    fn new(options: StreamOptions) -> Self {
        let store: Arc<dyn Store> = Arc::new(ReferenceStore::new());
        let clock = Arc::new(Standing(AtomicI64::new(time(0).as_micros())));
        let notifications = Notifications(Arc::new(Shared::new(clock.clone(), *IDS)));
        let streams = Streams::new(options, &notifications, store.clone(), clock.clone());
        let (cursor, applied) = (Sequence(0), None);
        Self { store, clock, notifications, streams, cursor, applied }
    }

    /// A town with a subscription to all sensors, of which the notifier knows.
    fn with(members: &Value) -> Self {
        let mut town = Self::new(StreamOptions { window: 4, ..StreamOptions::default() });
        town.subscribe(members);
        town.look(100);
        town
    }

    fn pass(&self, micros: i64) {
        self.clock.0.fetch_add(micros, Ordering::Relaxed);
    }

    fn commit(&self, group: Group) -> Sequence {
        self.pass(1);
        let group = Group { time: self.clock.now(), ..group };
        match &now(self.store.commit(vec![group])).unwrap()[..] {
            [Outcome::Committed { newest, .. }] => *newest,
            other => panic!("{other:?}"),
        }
    }

    fn write_of(&self, kind: &str, value: u64) -> Sequence {
        let id = format!("urn:ngsi-ld:{kind}:1");
        let value = json!({"type": "Property", "value": value});
        self.write_entity(&json!({"id": id, "type": kind, "count": value}))
    }

    fn write_entity(&self, json: &Value) -> Sequence {
        let state = entity(json, self.clock.now());
        let write = Write {
            tenant: Tenant::default(),
            id: state.id.clone(),
            expect: Expect::Any,
            state: Some(Arc::new(state)),
        };
        self.commit(Group { writes: vec![write], ..Group::default() })
    }

    fn write(&self, value: u64) -> Sequence {
        self.write_of("Sensor", value)
    }

    fn put(&self, value: Option<Arc<[u8]>>) {
        let kind = RecordKind::Subscription;
        let key = RecordKey { kind, tenant: Tenant::default(), key: SENSORS.to_owned() };
        let write = RecordWrite { key, expect: Expect::Any, value };
        self.commit(Group { records: vec![write], ..Group::default() });
    }

    fn subscribe(&self, members: &Value) {
        let mut body = json!({
            "id": SENSORS,
            "type": "Subscription",
            "entities": [{"type": "Sensor"}],
            "notification": {"endpoint": {"uri": "http://127.0.0.1:9/notify"}},
        });
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.put(Some(read(&body).unwrap().to_bytes()));
    }

    fn patch(&self, body: &Value) {
        let query = RecordQuery {
            kind: RecordKind::Subscription,
            tenant: None,
            prefix: String::new(),
            after: None,
            limit: 1,
        };
        let record = now(self.store.records(&query)).unwrap().remove(0);
        let text = body.to_string();
        let node = Node::parse(&text, Limits::default()).unwrap();
        let subscription = Subscription::from_bytes(&record.value).unwrap();
        let patched = subscription.patch(&node, &Context::core(), self.clock.now()).unwrap();
        self.put(Some(patched.to_bytes()));
    }

    /// Has the notifier look at so many changes, as it does.
    fn look(&mut self, changes: usize) {
        for change in now(self.store.changes(self.cursor, changes)).unwrap() {
            let hub = &self.notifications.0.hub;
            hub.advance(change.sequence);
            match &change.subject {
                Subject::Entity(entity) => {
                    if let Some(applied) = &self.applied
                        && match_subscription(&applied.subscription, entity, change.time)
                    {
                        hub.offer(&key(), applied, &change);
                    }
                }
                Subject::Record(record) => {
                    let mut contexts = CompiledContexts::default();
                    self.applied = record.value.clone().map(|bytes| {
                        Arc::new(Applied::new(Tenant::default(), bytes, &mut contexts).unwrap())
                    });
                    hub.revise(&key(), self.applied.as_ref().map(|it| &*it.subscription));
                }
                Subject::Evolution(_) => {}
            }
            self.cursor = change.sequence;
        }
        self.notifications.0.set_cursor(self.cursor);
    }

    fn follow(&self, after: Option<Sequence>) -> Feed {
        self.streams.follow(&Tenant::default(), &id(), after).unwrap()
    }
}

fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("a store in memory answers at once")
}

/// All that a feed has to tell now.
fn told(feed: &mut Feed) -> Vec<FeedEvent> {
    let mut events = Vec::new();
    while let Some(event) = feed.next().now_or_never() {
        let is_end = matches!(event, FeedEvent::End(_));
        events.push(event);
        if is_end {
            break;
        }
    }
    events
}

/// The changes among it; nothing else may be there.
fn changes(events: &[FeedEvent]) -> Vec<Sequence> {
    let at = |event: &FeedEvent| match event {
        FeedEvent::Notification { at, .. } => *at,
        other @ (FeedEvent::Gap { .. } | FeedEvent::End(_)) => panic!("{other:?}"),
    };
    events.iter().map(at).collect()
}

#[test]
fn what_is_due_is_told_from_now_on_with_the_id_that_an_endpoint_sees() {
    let mut town = Town::with(&json!({}));
    town.write(1);
    let mut feed = town.follow(None);
    assert_eq!(told(&mut feed), []);
    town.write_of("Other", 1);
    let sequence = town.write(2);
    town.look(100);
    let events = told(&mut feed);
    let [FeedEvent::Notification { at, body }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*at, sequence);
    let body: Value = serde_json::from_slice(body).unwrap();
    let expected = IDS.of_change(&Tenant::default(), &id(), (sequence, town.clock.now()));
    assert_eq!(body["id"], expected);
    assert_eq!(body["subscriptionId"], SENSORS);
    assert_eq!(body["data"][0]["count"]["value"], 2);
}

#[test]
fn a_client_that_comes_back_is_told_what_it_missed_and_then_goes_on() {
    let mut town = Town::with(&json!({}));
    let first = town.write(1);
    let second = town.write(2);
    town.look(100);
    let third = town.write(3);
    let mut feed = town.follow(Some(first));
    // The notifier is not as far as the log: what it has not looked at comes from it.
    assert_eq!(changes(&told(&mut feed)), [second]);
    let fourth = town.write(4);
    town.look(100);
    assert_eq!(changes(&told(&mut feed)), [third, fourth]);
}

#[test]
fn one_notification_is_written_for_all_who_listen() {
    let mut town = Town::with(&json!({}));
    let mut feeds = [town.follow(None), town.follow(None)];
    for feed in &mut feeds {
        told(feed);
    }
    town.write(1);
    town.look(100);
    let bodies = feeds.map(|mut feed| match told(&mut feed).remove(0) {
        FeedEvent::Notification { body, .. } => body,
        other @ (FeedEvent::Gap { .. } | FeedEvent::End(_)) => panic!("{other:?}"),
    });
    assert_eq!(bodies[0].as_ptr(), bodies[1].as_ptr());
}

#[test]
fn a_client_that_does_not_read_holds_a_few_changes_and_reads_the_rest_from_the_log() {
    let mut town = Town::with(&json!({}));
    let mut feed = town.follow(None);
    told(&mut feed);
    let sequences: Vec<_> = (0..1000).map(|value| town.write(value)).collect();
    let change = Arc::downgrade(&now(town.store.changes(Sequence(1), 1)).unwrap()[0]);
    let before = change.strong_count();
    town.look(2);
    assert!(change.strong_count() > before, "it waits in memory");
    town.look(998);
    assert_eq!(change.strong_count(), before, "nobody holds it any more");
    assert_eq!(changes(&told(&mut feed)), sequences);
}

#[test]
fn what_all_who_read_the_log_hold_of_it_is_bounded_and_nothing_is_missed() {
    let mut town = Town::with(&json!({}));
    let start = town.cursor;
    let text = "x".repeat(200_000);
    let sequences: Vec<_> = (0..3)
        .map(|value| {
            let sensor = json!({"id": "urn:x:1", "type": "Sensor", "count": value, "text": text});
            town.write_entity(&sensor)
        })
        .collect();
    town.look(100);
    let mut feeds: Vec<_> = (0..400).map(|_| town.follow(Some(start))).collect();
    // Each is told one, and none goes on.
    let first: Vec<_> = feeds.iter_mut().map(|feed| feed.next().now_or_never()).collect();
    let held = first.iter().flatten().count();
    assert!(held > 50 && held * text.len() < ROOM, "{held} hold what they were told");
    // Whoever goes on makes room for others.
    let mut all: Vec<_> = first.into_iter().map(Vec::from_iter).collect();
    for _ in 0..10 {
        for (feed, events) in feeds.iter_mut().zip(&mut all) {
            events.extend(told(feed));
        }
    }
    assert!(all.iter().all(|events| changes(events) == sequences));
    assert_eq!(town.streams.0.room.available_permits(), ROOM / PIECE);
}

#[test]
fn a_client_behind_the_log_is_told_once_what_it_may_have_missed() {
    let mut town = Town::with(&json!({}));
    let first = town.write(1);
    let second = town.write(2);
    let third = town.write(3);
    town.look(100);
    now(town.store.truncate(second)).unwrap();
    let mut feed = town.follow(Some(Sequence(first.0 - 1)));
    let events = told(&mut feed);
    let gap = FeedEvent::Gap { from: Sequence(first.0 - 1), to: second };
    assert_eq!(events[0], gap);
    assert_eq!(changes(&events[1..]), [third]);
    // Everything was dropped.
    now(town.store.truncate(third)).unwrap();
    let mut feed = town.follow(Some(first));
    assert_eq!(told(&mut feed), [FeedEvent::Gap { from: first, to: third }]);
    let fourth = town.write(4);
    town.look(100);
    assert_eq!(changes(&told(&mut feed)), [fourth]);
}

#[test]
fn a_client_before_the_log_is_told_that_it_was_set_back() {
    let mut town = Town::with(&json!({}));
    let newest = town.write(1);
    town.look(100);
    let mut feed = town.follow(Some(Sequence(newest.0 + 1000)));
    let gap = FeedEvent::Gap { from: Sequence(newest.0 + 1000), to: newest };
    assert_eq!(told(&mut feed), [gap]);
    let next = town.write(2);
    town.look(100);
    assert_eq!(changes(&told(&mut feed)), [next]);
}

#[test]
fn a_paused_subscription_tells_nothing_and_a_changed_one_what_it_is_now() {
    let mut town = Town::with(&json!({}));
    let mut feed = town.follow(None);
    told(&mut feed);
    town.patch(&json!({"isActive": false}));
    town.write(1);
    town.look(100);
    assert_eq!(told(&mut feed), []);
    town.patch(&json!({"isActive": true, "q": "count>=10"}));
    town.write(2);
    let large = town.write(10);
    town.look(100);
    assert_eq!(changes(&told(&mut feed)), [large]);
    // Whoever catches up is told what is due as it is now.
    assert_eq!(changes(&told(&mut town.follow(Some(Sequence(1))))), [large]);
    town.patch(&json!({"isActive": false}));
    town.look(100);
    assert_eq!(told(&mut town.follow(Some(Sequence(1)))), []);
}

#[tokio::test]
async fn a_stream_ends_when_its_subscription_is_deleted_or_over() {
    let mut town = Town::with(&json!({}));
    let mut feed = town.follow(None);
    told(&mut feed);
    town.write(1);
    town.put(None);
    // Whoever comes between the deletion and the notifier's learning of it is told, too.
    let deleted = [FeedEvent::End(FeedEnd::Deleted)];
    assert_eq!(told(&mut town.follow(None)), deleted);
    town.look(100);
    assert_eq!(told(&mut feed), deleted);

    let end = Timestamp::from_micros(town.clock.now().as_micros() + 1_000_000);
    town.subscribe(&json!({"expiresAt": end.to_string()}));
    town.look(100);
    let mut feed = town.follow(None);
    let last = town.write(2);
    town.look(100);
    assert_eq!(changes(&told(&mut feed)), [last]);
    town.pass(1_000_000);
    let expired = [FeedEvent::End(FeedEnd::Expired)];
    assert_eq!(told(&mut feed), expired);
    assert_eq!(told(&mut town.follow(Some(Sequence(1)))), expired);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_the_moment_at_which_its_subscription_does() {
    let mut town = Town::with(&json!({}));
    let mut feed = town.follow(None);
    assert_eq!(told(&mut feed), []);
    let end = Timestamp::from_micros(town.clock.now().as_micros() + 500_000);
    town.patch(&json!({"expiresAt": end.to_string()}));
    town.look(100);
    assert_eq!(told(&mut feed), []);
    town.pass(500_000);
    // Paused time runs on to the next timer: the one that waits for this end.
    assert_eq!(feed.next().await, FeedEvent::End(FeedEnd::Expired));
}

#[test]
fn throttling_counts_from_what_this_client_was_told() {
    let mut town = Town::with(&json!({"throttling": 1}));
    let mut feed = town.follow(None);
    told(&mut feed);
    let first = town.write(1);
    town.write(2);
    town.pass(1_000_000);
    let third = town.write(3);
    town.look(100);
    assert_eq!(changes(&told(&mut feed)), [first, third]);
    assert_eq!(changes(&told(&mut town.follow(Some(Sequence(1))))), [first, third]);
}

#[test]
fn what_happened_before_a_subscription_is_not_its_concern() {
    let mut town = Town::new(StreamOptions::default());
    town.clock.0.fetch_sub(10_000_000, Ordering::Relaxed);
    town.write(1);
    town.pass(10_000_000);
    town.subscribe(&json!({}));
    let second = town.write(2);
    town.look(100);
    assert_eq!(changes(&told(&mut town.follow(Some(Sequence(0))))), [second]);
}

#[test]
fn a_cursor_moves_on_while_nothing_is_due() {
    let mut town = Town::with(&json!({}));
    let mut feed = town.follow(None);
    told(&mut feed);
    let started = feed.place();
    for value in 0..100 {
        town.write_of("Other", value);
    }
    town.look(100);
    told(&mut feed);
    assert!(feed.place().0 >= started.0 + 99, "{:?}", feed.place());
    // But not beyond what waits.
    let due = town.write(1);
    town.write_of("Other", 100);
    town.look(100);
    assert!(feed.place() < due);
    assert_eq!(changes(&told(&mut feed)), [due]);
    assert!(feed.place() >= due);
}

#[test]
fn there_are_so_many_streams_and_no_more() {
    let town = Town::new(StreamOptions { most: 3, of_a_tenant: 2, ..StreamOptions::default() });
    let follow = |tenant: &str| town.streams.follow(&tenant.parse().unwrap(), &id(), None);
    let one = follow("kyoto").unwrap();
    let two = follow("kyoto").unwrap();
    assert_eq!(follow("kyoto").unwrap_err(), StreamRefused::TooManyOfTenant(2));
    let three = follow("nara").unwrap();
    assert_eq!(follow("nara").unwrap_err(), StreamRefused::TooMany(3));
    drop(one);
    let four = follow("nara").unwrap();
    assert_eq!(town.streams.count(), 3);
    drop((two, three, four));
    assert_eq!(town.streams.count(), 0);
}

/// What happens next to a town and its clients.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody writes; what is due or what is not.
    Write(bool),
    /// The notifier looks at so many changes.
    Look(usize),
    /// A client follows from so many changes ago, or from now on.
    Join(Option<u64>),
    /// A client reads so many events.
    Read(usize, usize),
    /// A client goes and comes back with its cursor.
    Return(usize),
    /// The notifier was killed, and reads again from so many changes ago.
    Again(u64),
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Write),
        3 => (1..12_usize).prop_map(Step::Look),
        1 => proptest::option::of(0..20_u64).prop_map(Step::Join),
        4 => (any::<usize>(), 1..6_usize).prop_map(|(who, events)| Step::Read(who, events)),
        2 => any::<usize>().prop_map(Step::Return),
        1 => (0..10_u64).prop_map(Step::Again),
    ]
}

struct Client {
    feed: Feed,
    began: Sequence,
    told: Vec<Sequence>,
}

impl Client {
    fn read(&mut self, most: usize) {
        for _ in 0..most {
            match self.feed.next().now_or_never() {
                Some(FeedEvent::Notification { at, .. }) => self.told.push(at),
                Some(other) => panic!("{other:?}"),
                None => break,
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_the_timing_each_client_is_told_each_change_once_and_in_order(
        steps in proptest::collection::vec(a_step(), 1..120),
    ) {
        let mut town = Town::with(&json!({}));
        let begin = town.cursor;
        let (mut due, mut clients) = (Vec::new(), Vec::<Client>::new());
        for step in steps {
            let count = clients.len().max(1);
            match step {
                Step::Write(true) => due.push(town.write(1)),
                Step::Write(false) => drop(town.write_of("Other", 1)),
                Step::Look(changes) => town.look(changes),
                Step::Join(ago) => {
                    let newest = *town.store.newest().borrow();
                    let after = ago.map(|ago| Sequence(newest.0.saturating_sub(ago)).max(begin));
                    let (feed, began) = (town.follow(after), after.unwrap_or(newest));
                    clients.push(Client { feed, began, told: Vec::new() });
                }
                Step::Read(who, events) => {
                    if let Some(client) = clients.get_mut(who % count) {
                        client.read(events);
                    }
                }
                Step::Return(who) => {
                    if let Some(client) = clients.get_mut(who % count) {
                        let place = client.feed.place();
                        client.feed = town.follow(Some(place));
                    }
                }
                Step::Again(ago) => {
                    town.cursor = Sequence(town.cursor.0.saturating_sub(ago)).max(begin);
                }
            }
        }
        town.look(usize::MAX);
        for client in &mut clients {
            client.read(usize::MAX);
            let expected: Vec<_> =
                due.iter().copied().filter(|at| *at > client.began).collect();
            prop_assert_eq!(&client.told, &expected);
        }
    }
}
