//! What `isActive` and `expiresAt` make of a subscription (CIM 009, clauses 5.8.1.4 and 5.8.2.4): the
//! table in docs/subscriptions.md, one test per row.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use musubi_context::ContextsOptions;
use musubi_http::{HttpOptions, router};
use musubi_model::{Clock, Timestamp};
use musubi_notify::Notifications;
use musubi_store::{ReferenceStore, Store};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Api, broker_at};
use Before::{New, PausedAndExpired};
use End::{Future, Null, Past, Unsaid};
use IsActive::{NotSaid, SaidFalse, SaidTrue};
use Outcome::{Active, Expired, Paused, Refused};

/// What the subscription is before the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// It is not there: the request creates it.
    New,
    Active,
    Paused,
    Expired,
    /// Expired, and paused when that happened.
    PausedAndExpired,
}

/// What the request says of `isActive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IsActive {
    NotSaid,
    SaidTrue,
    SaidFalse,
}

/// What the request says of `expiresAt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Unsaid,
    Future,
    Past,
    Null,
}

/// What comes of it: the status, or that it is refused and nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Active,
    Paused,
    Expired,
    Refused,
}

/// A clock that stands still until it is told to go on.
#[derive(Debug)]
struct Standing(AtomicI64);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::Relaxed))
    }
}

/// When the subscriptions are created, in seconds since 1970.
const BEGIN: i64 = 1_767_225_600;
/// When those expire that do so before the request.
const EARLY_END: i64 = BEGIN + 10;
/// When the request comes.
const REQUEST: i64 = BEGIN + 20;
/// The end of those that have one and have not expired.
const OLD_END: i64 = BEGIN + 100;
/// The end that a request names.
const NEW_END: i64 = BEGIN + 1000;

const PATH: &str = "/ngsi-ld/v1/subscriptions";
const ID: &str = "urn:ngsi-ld:Subscription:1";

/// A broker that notifies, at a moment.
struct Town {
    api: Api,
    clock: Arc<Standing>,
    notifications: Notifications,
    _running: JoinSet<()>,
}

impl Town {
    fn new() -> Self {
        let clock = Arc::new(Standing(AtomicI64::new(BEGIN)));
        let store: Arc<dyn Store> = Arc::new(ReferenceStore::new());
        let (broker, notifier, notifications) =
            broker_at(store.clone(), None, ContextsOptions::default(), clock.clone());
        let mut running = JoinSet::new();
        running.spawn(async move { notifier.run(std::future::pending()).await.unwrap() });
        let api = Api { router: router(broker, HttpOptions::default()), store };
        Self { api, clock, notifications, _running: running }
    }

    fn at(&self, seconds: i64) {
        self.clock.0.store(seconds, Ordering::Relaxed);
    }

    async fn create(&self, members: &Value) -> u16 {
        let mut body = json!({
            "id": ID,
            "type": "Subscription",
            "entities": [{ "type": "Shelter" }],
            "notification": { "endpoint": { "uri": "http://127.0.0.1:9/hook" } },
        });
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = self.api.post(PATH, &body).await;
        if answer.status != 201 {
            answer.is_problem(400, "BadRequestData");
        }
        answer.status
    }

    async fn update(&self, members: &Value) -> u16 {
        let answer = self.api.patch(&format!("{PATH}/{ID}"), members).await;
        if answer.status != 204 {
            answer.is_problem(400, "BadRequestData");
        }
        answer.status
    }

    /// How many changes have been due to the subscription, of all that happened until now.
    async fn due(&self) -> Value {
        let mut updates = self.notifications.updates();
        let newest = *self.api.store.newest().borrow();
        while self.notifications.caught_up_to() < newest {
            updates.changed().await.unwrap();
        }
        let path = format!("/musubi/v1/subscriptions/{ID}/ledger");
        self.api.get(&path).await.value()["due"].clone()
    }
}

fn time(seconds: i64) -> Value {
    json!(Timestamp::from_seconds(seconds).to_string())
}

fn members(is_active: IsActive, end: End) -> Value {
    let mut members = json!({});
    match is_active {
        NotSaid => {}
        SaidTrue => members["isActive"] = json!(true),
        SaidFalse => members["isActive"] = json!(false),
    }
    match end {
        Unsaid => {}
        Future => members["expiresAt"] = time(NEW_END),
        Past => members["expiresAt"] = time(REQUEST - 1),
        Null => members["expiresAt"] = Value::Null,
    }
    members
}

fn status(outcome: Outcome, before: Before) -> &'static str {
    match (outcome, before) {
        (Active, _) | (Refused, Before::Active) => "active",
        (Paused, _) | (Refused, Before::Paused) => "paused",
        (Expired, _) | (Refused, Before::Expired | PausedAndExpired) => "expired",
        (Refused, New) => "none",
    }
}

/// Plays a row of the table: the request, its answer, the status after it, and whether a change
/// after it is due.
async fn play(before: Before, is_active: IsActive, end: End, outcome: Outcome) {
    let town = Town::new();
    let created = match before {
        New => json!(null),
        Before::Active => json!({ "expiresAt": time(OLD_END) }),
        Before::Paused => json!({ "isActive": false, "expiresAt": time(OLD_END) }),
        Before::Expired => json!({ "expiresAt": time(EARLY_END) }),
        PausedAndExpired => json!({ "isActive": false, "expiresAt": time(EARLY_END) }),
    };
    let is_new = created.is_null();
    if !is_new {
        assert_eq!(town.create(&created).await, 201);
    }
    town.at(REQUEST);
    let members = members(is_active, end);
    let answer = if is_new { town.create(&members).await } else { town.update(&members).await };
    let accepted = if is_new { 201 } else { 204 };
    assert_eq!(answer, if outcome == Refused { 400 } else { accepted });
    let shown = town.api.get(&format!("{PATH}/{ID}")).await;
    let status = status(outcome, before);
    if status == "none" {
        return assert_eq!(shown.status, 404);
    }
    let shown = shown.value();
    assert_eq!(shown["status"], status);
    match (end, outcome) {
        (Future, _) => assert_eq!(shown["expiresAt"], time(NEW_END)),
        (Null, _) => assert_eq!(shown.get("expiresAt"), None),
        (Unsaid | Past, _) => assert_eq!(shown.get("expiresAt"), created.get("expiresAt")),
    }
    let shelter = json!({ "id": "urn:a:1", "type": "Shelter", "name": "A" });
    town.api.create(&shelter).await;
    assert_eq!(town.due().await, i32::from(status == "active"));
    // What has an end is not told what happens at it, and what has none is.
    let end = shown["expiresAt"].as_str().map(|end| end.parse::<Timestamp>().unwrap());
    town.at(end.map_or(NEW_END * 2, |end| REQUEST.max(end.as_micros() / 1_000_000)));
    town.api.create(&json!({ "id": "urn:a:2", "type": "Shelter", "name": "B" })).await;
    let due = match (status, end) {
        ("active", Some(_)) => 1,
        ("active", None) => 2,
        _ => 0,
    };
    assert_eq!(town.due().await, due);
}

/// A row, as the documentation has it.
fn line(before: Before, is_active: IsActive, end: End, outcome: Outcome) -> String {
    let before_text = match before {
        New => "new",
        Before::Active => "active",
        Before::Paused => "paused",
        Before::Expired => "expired",
        PausedAndExpired => "expired, and paused before",
    };
    let is_active = match is_active {
        NotSaid => "–",
        SaidTrue => "`true`",
        SaidFalse => "`false`",
    };
    let end = match end {
        Unsaid => "–",
        Future => "future",
        Past => "past",
        Null => "`null`",
    };
    let answer = match (outcome, before) {
        (Refused, _) => "400",
        (_, New) => "201",
        _ => "204",
    };
    let status = status(outcome, before);
    let due = if status == "active" { "yes" } else { "no" };
    format!("| {before_text} | {is_active} | {end} | {answer} | {status} | {due} |")
}

macro_rules! rows {
    ($($name:ident: ($before:expr, $is_active:expr, $end:expr) => $outcome:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                play($before, $is_active, $end, $outcome).await;
            }
        )*

        fn lines() -> Vec<String> {
            vec![$(line($before, $is_active, $end, $outcome)),*]
        }
    };
}

rows! {
    a_new_one_with_no_is_active_and_no_end: (New, NotSaid, Unsaid) => Active;
    a_new_one_with_no_is_active_and_an_end_to_come: (New, NotSaid, Future) => Active;
    a_new_one_with_no_is_active_and_an_end_gone_by: (New, NotSaid, Past) => Refused;
    a_new_one_with_no_is_active_and_a_null_for_an_end: (New, NotSaid, Null) => Refused;
    a_new_one_with_is_active_true_and_no_end: (New, SaidTrue, Unsaid) => Active;
    a_new_one_with_is_active_true_and_an_end_to_come: (New, SaidTrue, Future) => Active;
    a_new_one_with_is_active_true_and_an_end_gone_by: (New, SaidTrue, Past) => Refused;
    a_new_one_with_is_active_true_and_a_null_for_an_end: (New, SaidTrue, Null) => Refused;
    a_new_one_with_is_active_false_and_no_end: (New, SaidFalse, Unsaid) => Paused;
    a_new_one_with_is_active_false_and_an_end_to_come: (New, SaidFalse, Future) => Paused;
    a_new_one_with_is_active_false_and_an_end_gone_by: (New, SaidFalse, Past) => Refused;
    a_new_one_with_is_active_false_and_a_null_for_an_end: (New, SaidFalse, Null) => Refused;
    an_active_one_with_no_is_active_and_no_end: (Before::Active, NotSaid, Unsaid) => Active;
    an_active_one_with_no_is_active_and_an_end_to_come: (Before::Active, NotSaid, Future) => Active;
    an_active_one_with_no_is_active_and_an_end_gone_by: (Before::Active, NotSaid, Past) => Refused;
    an_active_one_with_no_is_active_and_a_null_for_an_end: (Before::Active, NotSaid, Null) => Active;
    an_active_one_with_is_active_true_and_no_end: (Before::Active, SaidTrue, Unsaid) => Active;
    an_active_one_with_is_active_true_and_an_end_to_come: (Before::Active, SaidTrue, Future) => Active;
    an_active_one_with_is_active_true_and_an_end_gone_by: (Before::Active, SaidTrue, Past) => Refused;
    an_active_one_with_is_active_true_and_a_null_for_an_end: (Before::Active, SaidTrue, Null) => Active;
    an_active_one_with_is_active_false_and_no_end: (Before::Active, SaidFalse, Unsaid) => Paused;
    an_active_one_with_is_active_false_and_an_end_to_come: (Before::Active, SaidFalse, Future) => Paused;
    an_active_one_with_is_active_false_and_an_end_gone_by: (Before::Active, SaidFalse, Past) => Refused;
    an_active_one_with_is_active_false_and_a_null_for_an_end: (Before::Active, SaidFalse, Null) => Paused;
    a_paused_one_with_no_is_active_and_no_end: (Before::Paused, NotSaid, Unsaid) => Paused;
    a_paused_one_with_no_is_active_and_an_end_to_come: (Before::Paused, NotSaid, Future) => Paused;
    a_paused_one_with_no_is_active_and_an_end_gone_by: (Before::Paused, NotSaid, Past) => Refused;
    a_paused_one_with_no_is_active_and_a_null_for_an_end: (Before::Paused, NotSaid, Null) => Paused;
    a_paused_one_with_is_active_true_and_no_end: (Before::Paused, SaidTrue, Unsaid) => Active;
    a_paused_one_with_is_active_true_and_an_end_to_come: (Before::Paused, SaidTrue, Future) => Active;
    a_paused_one_with_is_active_true_and_an_end_gone_by: (Before::Paused, SaidTrue, Past) => Refused;
    a_paused_one_with_is_active_true_and_a_null_for_an_end: (Before::Paused, SaidTrue, Null) => Active;
    a_paused_one_with_is_active_false_and_no_end: (Before::Paused, SaidFalse, Unsaid) => Paused;
    a_paused_one_with_is_active_false_and_an_end_to_come: (Before::Paused, SaidFalse, Future) => Paused;
    a_paused_one_with_is_active_false_and_an_end_gone_by: (Before::Paused, SaidFalse, Past) => Refused;
    a_paused_one_with_is_active_false_and_a_null_for_an_end: (Before::Paused, SaidFalse, Null) => Paused;
    an_expired_one_with_no_is_active_and_no_end: (Before::Expired, NotSaid, Unsaid) => Expired;
    an_expired_one_with_no_is_active_and_an_end_to_come: (Before::Expired, NotSaid, Future) => Active;
    an_expired_one_with_no_is_active_and_an_end_gone_by: (Before::Expired, NotSaid, Past) => Refused;
    an_expired_one_with_no_is_active_and_a_null_for_an_end: (Before::Expired, NotSaid, Null) => Active;
    an_expired_one_with_is_active_true_and_no_end: (Before::Expired, SaidTrue, Unsaid) => Expired;
    an_expired_one_with_is_active_true_and_an_end_to_come: (Before::Expired, SaidTrue, Future) => Active;
    an_expired_one_with_is_active_true_and_an_end_gone_by: (Before::Expired, SaidTrue, Past) => Refused;
    an_expired_one_with_is_active_true_and_a_null_for_an_end: (Before::Expired, SaidTrue, Null) => Active;
    an_expired_one_with_is_active_false_and_no_end: (Before::Expired, SaidFalse, Unsaid) => Expired;
    an_expired_one_with_is_active_false_and_an_end_to_come: (Before::Expired, SaidFalse, Future) => Paused;
    an_expired_one_with_is_active_false_and_an_end_gone_by: (Before::Expired, SaidFalse, Past) => Refused;
    an_expired_one_with_is_active_false_and_a_null_for_an_end: (Before::Expired, SaidFalse, Null) => Paused;
    a_paused_and_expired_one_with_no_is_active_and_an_end_to_come: (PausedAndExpired, NotSaid, Future) => Active;
    a_paused_and_expired_one_with_no_is_active_and_a_null_for_an_end: (PausedAndExpired, NotSaid, Null) => Active;
    a_paused_and_expired_one_with_no_is_active_and_no_end: (PausedAndExpired, NotSaid, Unsaid) => Expired;
    a_paused_and_expired_one_with_is_active_true_and_no_end: (PausedAndExpired, SaidTrue, Unsaid) => Expired;
    a_paused_and_expired_one_with_is_active_true_and_an_end_to_come: (PausedAndExpired, SaidTrue, Future) => Active;
    a_paused_and_expired_one_with_is_active_false_and_an_end_to_come: (PausedAndExpired, SaidFalse, Future) => Paused;
}

#[test]
fn the_documentation_has_this_table() {
    let documentation = include_str!("../../../../docs/subscriptions.md");
    let lines = lines();
    let missing: Vec<_> =
        lines.iter().filter(|line| !documentation.lines().any(|it| it == *line)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
