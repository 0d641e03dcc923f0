//! A store with entities and subscriptions, a clock that stands still, and notifiers over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use musubi_context::{Context, expand_entity};
use musubi_model::{Clock, Entity, Limits, Node, Sequence, Tenant, Timestamp};
use musubi_notify::{
    DeadNotification, Ledger, Notifications, Notifier, NotifierOptions, NotifyError, Subscription,
    SubscriptionId,
};
use musubi_outbound::{Client, Guard};
use musubi_store::{
    Expect, Group, Outcome, Record, RecordKey, RecordKind, RecordQuery, RecordWrite,
    ReferenceStore, Store, Write,
};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Waits, but not for ever: a test that would hang fails.
pub(crate) async fn patiently<F: Future>(what: &str, future: F) -> F::Output {
    let limit = Duration::from_mins(1);
    tokio::time::timeout(limit, future).await.unwrap_or_else(|_| panic!("no {what}"))
}

#[derive(Debug)]
pub(crate) struct StandingClock(AtomicI64);

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) struct Town {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<StandingClock>,
    pub(crate) tenant: Tenant,
}

/// Retries without a pause, and saves without a delay.
pub(crate) fn quick() -> NotifierOptions {
    NotifierOptions {
        first_retry: Duration::ZERO,
        longest_retry: Duration::ZERO,
        save_delay: Duration::ZERO,
        cursor_delay: Duration::ZERO,
        sweep: Duration::from_millis(5),
        ..NotifierOptions::default()
    }
}

pub(crate) fn id(name: &str) -> SubscriptionId {
    format!("urn:ngsi-ld:Subscription:{name}").parse().unwrap()
}

/// The body of a subscription to every sensor, of that name, to that endpoint.
pub(crate) fn to(name: &str, uri: &str) -> Value {
    json!({
        "id": id(name).as_str(),
        "type": "Subscription",
        "entities": [{"type": "Sensor"}],
        "notification": {"endpoint": {"uri": uri}},
    })
}

/// The body of a dead letter.
pub(crate) fn body(letter: &DeadNotification) -> Value {
    serde_json::from_str(letter.payload.as_deref().unwrap().get()).unwrap()
}

/// As [`to`], but every change is a notification of its own.
pub(crate) fn one_by_one(name: &str, uri: &str) -> Value {
    at_most(1, to(name, uri))
}

/// The same subscription with at most so many changes in one notification.
pub(crate) fn at_most(changes: usize, mut body: Value) -> Value {
    body["notification"]["endpoint"]["notifierInfo"] =
        json!([{"key": "Max-Changes", "value": changes.to_string()}]);
    body
}

impl Town {
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(ReferenceStore::new()))
    }

    pub(crate) fn over(store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(StandingClock(AtomicI64::new(1_700_000_000_000_000)));
        Self { store, clock, tenant: Tenant::default() }
    }

    pub(crate) fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap();
        self.clock.0.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn set_back(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap();
        self.clock.0.fetch_sub(micros, Ordering::Relaxed);
    }

    async fn commit(&self, group: Group) -> Sequence {
        let group = Group { time: self.clock.now(), ..group };
        match &self.store.commit(vec![group]).await.unwrap()[..] {
            [Outcome::Committed { newest, .. }] => *newest,
            other => panic!("{other:?}"),
        }
    }

    /// Writes the sensor with this count, a microsecond after the last change.
    pub(crate) async fn write(&self, count: u64) -> Sequence {
        let json = json!({
            "id": "urn:ngsi-ld:Sensor:1",
            "type": "Sensor",
            "count": {"type": "Property", "value": count},
        });
        self.write_entity(&json).await
    }

    /// As [`write`](Self::write), with an attribute of so many bytes beside the other one.
    pub(crate) async fn write_large(&self, count: u64, bytes: usize) -> Sequence {
        let json = json!({
            "id": "urn:ngsi-ld:Sensor:1",
            "type": "Sensor",
            "count": {"type": "Property", "value": count},
            "large": {"type": "Property", "value": "x".repeat(bytes)},
        });
        self.write_entity(&json).await
    }

    /// Writes an entity, a microsecond after the last change.
    pub(crate) async fn write_entity(&self, json: &Value) -> Sequence {
        self.write_text(&json.to_string()).await
    }

    pub(crate) async fn write_text(&self, json: &str) -> Sequence {
        self.pass(Duration::from_micros(1));
        let body = Node::parse(json, Limits::default()).unwrap();
        let fragment = expand_entity(&body, &Context::core()).unwrap();
        let entity = Entity::create(fragment, self.clock.now()).unwrap();
        let write = Write {
            tenant: self.tenant.clone(),
            id: entity.id.clone(),
            expect: Expect::Any,
            state: Some(Arc::new(entity)),
        };
        self.commit(Group { writes: vec![write], ..Group::default() }).await
    }

    /// Deletes an entity.
    pub(crate) async fn remove(&self, id: &str) -> Sequence {
        self.pass(Duration::from_micros(1));
        let (tenant, id) = (self.tenant.clone(), id.parse().unwrap());
        let write = Write { tenant, id, expect: Expect::Any, state: None };
        self.commit(Group { writes: vec![write], ..Group::default() }).await
    }

    async fn put(&self, id: &SubscriptionId, value: Option<Arc<[u8]>>) -> Sequence {
        self.pass(Duration::from_micros(1));
        let key = RecordKey {
            kind: RecordKind::Subscription,
            tenant: self.tenant.clone(),
            key: id.to_string(),
        };
        let write = RecordWrite { key, expect: Expect::Any, value };
        self.commit(Group { records: vec![write], ..Group::default() }).await
    }

    pub(crate) async fn subscribe(&self, body: &Value) -> SubscriptionId {
        let text = body.to_string();
        let node = Node::parse(&text, Limits::default()).unwrap();
        let (context, fresh) = (Context::core(), SubscriptionId::generate());
        let subscription = Subscription::parse(&node, &context, fresh, self.clock.now()).unwrap();
        self.put(subscription.id(), Some(subscription.to_bytes())).await;
        subscription.id().clone()
    }

    pub(crate) async fn patch(&self, id: &SubscriptionId, body: &Value) {
        let records = self.records(RecordKind::Subscription).await;
        let record = records.iter().find(|record| record.key.key == id.as_str()).unwrap();
        let text = body.to_string();
        let node = Node::parse(&text, Limits::default()).unwrap();
        let subscription = Subscription::from_bytes(&record.value)
            .unwrap()
            .patch(&node, &Context::core(), self.clock.now())
            .unwrap();
        self.put(id, Some(subscription.to_bytes())).await;
    }

    pub(crate) async fn unsubscribe(&self, id: &SubscriptionId) {
        self.put(id, None).await;
    }

    pub(crate) async fn records(&self, kind: RecordKind) -> Vec<Record> {
        let query =
            RecordQuery { kind, tenant: None, prefix: String::new(), after: None, limit: 10_000 };
        self.store.records(&query).await.unwrap()
    }

    /// Removes a record.
    pub(crate) async fn forget(&self, key: RecordKey) {
        let write = RecordWrite { key, expect: Expect::Any, value: None };
        self.commit(Group { records: vec![write], ..Group::default() }).await;
    }

    pub(crate) async fn delete_entity(&self, id: &str) {
        self.pass(Duration::from_micros(1));
        let id = id.parse().unwrap();
        let write = Write { tenant: self.tenant.clone(), id, expect: Expect::Any, state: None };
        let time = self.clock.now();
        let group = Group { time, writes: vec![write], ..Group::default() };
        self.store.commit(vec![group]).await.unwrap();
    }

    pub(crate) async fn dead_letters(&self) -> Vec<DeadNotification> {
        let records = self.records(RecordKind::DeadLetter).await;
        records.iter().map(|it| serde_json::from_slice(&it.value).unwrap()).collect()
    }

    pub(crate) fn run(&self, options: NotifierOptions) -> Running {
        self.run_with(Client::guarded(Guard::default()), options)
    }

    pub(crate) fn run_with(&self, client: Client, options: NotifierOptions) -> Running {
        self.start(self.store.clone(), client, options)
    }

    /// A notifier that reaches the store by way of another one.
    pub(crate) fn run_over(&self, store: Arc<dyn Store>, options: NotifierOptions) -> Running {
        self.start(store, Client::guarded(Guard::default()), options)
    }

    fn start(&self, store: Arc<dyn Store>, client: Client, options: NotifierOptions) -> Running {
        let clock = self.clock.clone();
        let (notifier, notifications) = Notifier::new(options, store.clone(), client, clock);
        let (stop, stopped) = oneshot::channel::<()>();
        let mut task = JoinSet::new();
        task.spawn(notifier.run(async move { drop(stopped.await) }));
        Running { notifications, store, stop, task }
    }
}

/// A notifier at work. Dropped, it is killed in the middle of whatever it does.
pub(crate) struct Running {
    pub(crate) notifications: Notifications,
    store: Arc<dyn Store>,
    stop: oneshot::Sender<()>,
    task: JoinSet<Result<(), NotifyError>>,
}

impl Running {
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Notifications) -> bool) {
        let mut updates = self.notifications.updates();
        let waiting = async {
            while !holds(&self.notifications) {
                updates.changed().await.unwrap();
            }
        };
        patiently(what, waiting).await;
    }

    /// Waits until all of the log is read and nothing is pending, or in the log's way.
    pub(crate) async fn settled(&self) {
        let newest = *self.store.newest().borrow();
        let next = Sequence(newest.0 + 1);
        self.until("end of what is due", |it| {
            it.caught_up_to() == newest && it.totals().pending == 0 && it.log_needed_from() == next
        })
        .await;
    }

    pub(crate) async fn caught_up(&self) {
        let newest = *self.store.newest().borrow();
        self.until("end of the log", |it| it.caught_up_to() == newest).await;
    }

    pub(crate) fn ledger(&self, id: &SubscriptionId) -> Ledger {
        self.notifications.ledger(&Tenant::default(), id).unwrap()
    }

    /// What `/metrics` says of a number without labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut registry = Registry::with_prefix("musubi");
        self.notifications.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let value = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
        text.lines().find_map(value).unwrap_or_else(|| panic!("{name} in {text}"))
    }

    /// Asks it to stop, and hands back the way to wait for it.
    pub(crate) fn ask_to_stop(self) -> JoinSet<Result<(), NotifyError>> {
        self.stop.send(()).unwrap();
        self.task
    }

    pub(crate) async fn stop(self) {
        let mut task = self.ask_to_stop();
        patiently("end", task.join_next()).await.unwrap().unwrap().unwrap();
    }

    pub(crate) async fn kill(mut self) {
        self.task.shutdown().await;
    }
}

/// Delivered, pending, dead and suppressed, and their sum.
pub(crate) fn ledger([delivered, pending, dead, suppressed]: [u64; 4]) -> Ledger {
    let due = delivered + pending + dead + suppressed;
    Ledger { due, delivered, pending, dead, suppressed }
}
