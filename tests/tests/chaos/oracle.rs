//! What the log says was due, and whether that is what arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use musubi_model::{Entity, EntityChange, Sequence, Timestamp};
use musubi_notify::{Subscription, match_subscription};
use musubi_store::{RecordKind, RecordQuery, Store as _, Subject};
use musubi_store_embedded::{EmbeddedOptions, EmbeddedStore};
use serde_json::Value;

use crate::receivers::Told;

/// An entity, and the number that makes this change of it unlike every other one.
type EntityState = (String, u64);

/// What is due to the subscriptions of an id, of which there is one at a time.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// What was due to those that were deleted.
    past: Vec<Vec<EntityState>>,
    /// In the order of the log.
    told: Vec<EntityState>,
    /// Due, and not told because it came too soon after another one.
    throttled: u64,
    last: Option<Timestamp>,
    /// As it is at this place in the log; none once it is deleted.
    subscription: Option<(Subscription, Option<f64>)>,
}

/// Reads the log from its beginning.
pub(crate) async fn due(folder: &Path) -> BTreeMap<String, Account> {
    let store = EmbeddedStore::open(EmbeddedOptions::new(folder)).expect("the store opens");
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    let mut after = Sequence(0);
    loop {
        let changes = store.changes(after, 1000).await.expect("the log");
        let Some(last) = changes.last() else { break };
        assert_eq!(changes[0].sequence.0, after.0 + 1, "the log is whole");
        after = last.sequence;
        for change in &changes {
            match &change.subject {
                Subject::Record(record) if record.kind == RecordKind::Subscription => {
                    let account = accounts.entry(record.key.clone()).or_default();
                    match &record.value {
                        Some(bytes) => account.subscription = Some(read(bytes)),
                        None => account.end(),
                    }
                }
                Subject::Record(_) | Subject::Evolution(_) => {}
                Subject::Entity(entity) => {
                    for account in accounts.values_mut() {
                        account.take(entity, change.time);
                    }
                }
            }
        }
    }
    store.close().await.expect("the store closes");
    accounts
}

/// How many rows the outbox has.
pub(crate) async fn rows(folder: &Path) -> usize {
    let store = EmbeddedStore::open(EmbeddedOptions::new(folder)).expect("the store opens");
    let query = RecordQuery {
        kind: RecordKind::Outbox,
        tenant: None,
        prefix: String::new(),
        after: None,
        limit: 10_000,
    };
    let rows = store.records(&query).await.expect("the outbox").len();
    store.close().await.expect("the store closes");
    rows
}

fn read(bytes: &[u8]) -> (Subscription, Option<f64>) {
    let subscription = Subscription::from_bytes(bytes).expect("a subscription");
    let raw: Value = serde_json::from_slice(bytes).expect("JSON");
    (subscription, raw["throttling"].as_f64())
}

impl Account {
    /// The subscription is deleted. One of the same id begins with nothing.
    fn end(&mut self) {
        let past = std::mem::take(self);
        self.past = past.past;
        self.past.push(past.told);
    }

    fn take(&mut self, change: &EntityChange, time: Timestamp) {
        let Some((subscription, throttling)) = &self.subscription else { return };
        if !match_subscription(subscription, change, time) {
            return;
        }
        let elapsed = self.last.map(|last| time.as_micros() - last.as_micros());
        let throttling = throttling.map(|seconds| seconds * 1e6);
        if let (Some(elapsed), Some(throttling)) = (elapsed, throttling) {
            #[expect(clippy::cast_precision_loss, reason = "a minute of microseconds")]
            if (elapsed as f64) < throttling {
                self.throttled += 1;
                return;
            }
        }
        self.last = Some(time);
        self.told.push(state(change.after.as_ref().expect("nothing is deleted")));
    }
}

fn state(entity: &Entity) -> EntityState {
    let count = entity.attributes.iter().find(|it| it.name.as_str().ends_with("/count"));
    let count = count.expect("a count").default_instance().expect("an instance");
    let count = count.value.json.as_str().parse().expect("a number");
    (entity.id.as_str().to_owned(), count)
}

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    subscriptions: usize,
    due: usize,
    throttled: u64,
    notifications: usize,
    repeated: usize,
    replaced: usize,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subscriptions, due, throttled, notifications, repeated, replaced } = self;
        write!(
            f,
            "{subscriptions} subscriptions left, {due} changes due to them and all told in \
             {notifications} notifications, {repeated} changes told again, {throttled} throttled; \
             {replaced} are not the first of their id"
        )
    }
}

/// Holds what was due against what was told, and against what the ledgers say.
pub(crate) fn compare(
    due: &BTreeMap<String, Account>,
    told: &Told,
    ledgers: &BTreeMap<String, Value>,
) -> Counted {
    let mut counted = Counted::default();
    for (id, account) in due {
        let name = id.rsplit(':').next().expect("a name");
        let arrivals = told.get(name).map(Vec::as_slice).unwrap_or_default();
        let arrived = first_arrivals(id, arrivals);
        counted.replaced += usize::from(account.subscription.is_some() && !account.past.is_empty());
        let mut arrived = arrived;
        for past in &account.past {
            arrived = told_of(id, past, arrived).1;
        }
        let (arrived, others) = told_of(id, &account.told, arrived);
        assert!(others.is_empty(), "{id}: {others:?} were told and not due");
        let Some(ledger) = ledgers.get(id) else {
            assert!(account.subscription.is_none(), "{id} is in the log and not in the list");
            continue;
        };
        let there: BTreeSet<&EntityState> = arrived.iter().collect();
        let missing: Vec<_> =
            account.told.iter().filter(|state| !there.contains(state)).take(3).collect();
        assert!(missing.is_empty(), "{id}: {missing:?} were due and never told; {ledger}");
        let number = |name: &str| ledger[name].as_u64().expect("a number");
        let delivered = u64::try_from(arrived.len()).expect("a count");
        assert_eq!(number("delivered"), delivered, "{id}: {ledger}");
        assert_eq!(number("suppressed"), account.throttled, "{id}: {ledger}");
        assert_eq!(number("due"), delivered + account.throttled, "{id}: {ledger}");
        assert_eq!((number("pending"), number("dead")), (0, 0), "{id}: {ledger}");
        let notifications: BTreeSet<_> = arrivals.iter().map(|arrival| &arrival.id).collect();
        let all: usize = arrivals.iter().map(|arrival| arrival.states.len()).sum();
        counted.subscriptions += 1;
        counted.due += arrived.len();
        counted.throttled += account.throttled;
        counted.notifications += notifications.len();
        counted.repeated += all - arrived.len();
    }
    counted
}

/// Splits what has arrived into what was due to one subscription, which has to be in order, and the
/// rest.
fn told_of(
    id: &str,
    due: &[EntityState],
    arrived: Vec<EntityState>,
) -> (Vec<EntityState>, Vec<EntityState>) {
    let expected: BTreeSet<&EntityState> = due.iter().collect();
    assert_eq!(expected.len(), due.len(), "{id}: a number was written twice");
    let (told, rest): (Vec<_>, Vec<_>) =
        arrived.into_iter().partition(|state| expected.contains(state));
    assert_in_order(id, &told);
    (told, rest)
}

/// Each change once, in the order of arrival; always under the same notification id.
fn first_arrivals(id: &str, arrivals: &[crate::receivers::Arrival]) -> Vec<EntityState> {
    let mut known: BTreeMap<&EntityState, &str> = BTreeMap::new();
    let mut first = Vec::new();
    for arrival in arrivals {
        for state in &arrival.states {
            match known.get(state) {
                None => {
                    known.insert(state, &arrival.id);
                    first.push(state.clone());
                }
                Some(before) => assert_eq!(
                    *before, arrival.id,
                    "{id}: {state:?} was told under two notification ids"
                ),
            }
        }
    }
    first
}

fn assert_in_order(id: &str, arrived: &[EntityState]) {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for (entity, count) in arrived {
        if let Some(before) = last.insert(entity, *count) {
            assert!(before < *count, "{id}: {entity} {count} came after {before}");
        }
    }
}
