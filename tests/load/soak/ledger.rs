//! The books at the end: whether each write that was acknowledged is in the store, and whether each
//! change that was due was told of.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use musubi_tests::Http;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::generator::Connection;
use crate::receivers::Receivers;
use crate::soak::kind::Kind;
use crate::soak::stream::Follower;
use crate::soak::worker::{ENTITIES, Worker};
use crate::{Failure, delivery, entities};

/// How long what is due may take to come.
const PATIENCE: Duration = Duration::from_mins(2);

/// What was compared, and what was found that is not as it should be.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// How many things were compared.
    pub(super) compared: u64,
    /// How many differ.
    pub(super) wrong: u64,
    /// The first one that does.
    pub(super) first: Option<String>,
}

impl Findings {
    /// Notes a comparison.
    pub(super) fn note(&mut self, is_right: bool, what: impl FnOnce() -> String) {
        self.compared += 1;
        if !is_right {
            self.wrong += 1;
            self.first.get_or_insert_with(what);
        }
    }
}

/// Waits until nothing is pending, and the stream has told of so many changes.
///
/// # Errors
///
/// If the broker does not answer.
pub(super) async fn settle(url: &str, follower: &Follower, due: usize) -> Result<(), Failure> {
    let client = Http::new(url);
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let metrics = client.get("/metrics").await.text;
        let pending = metrics.lines().find_map(|line| line.strip_prefix("musubi_notify_pending "));
        let pending = pending.ok_or("/metrics does not show musubi_notify_pending")?;
        if pending.trim() == "0" && follower.look(|told| told.times.len() >= due) {
            break;
        }
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Compares the store with what was acknowledged.
///
/// # Errors
///
/// If the broker does not answer.
pub(super) async fn compare_store(
    server: SocketAddr,
    workers: &[Worker],
) -> Result<Findings, Failure> {
    let mut connection = Connection::open(server).await?;
    let mut retrieve = entities::retrieve(server);
    let mut findings = Findings::default();
    let mut staying = 0;
    for worker in workers {
        for (entity, written) in worker.written() {
            let (request, attribute, expected) = match worker.kind {
                Kind::Patch => {
                    let value: f64 = format!("0.{:010}", written.value).parse()?;
                    let request = retrieve.with(entity, 0).to_vec();
                    (request, "illuminanceLevel", Value::from(value))
                }
                Kind::Change => {
                    let id = delivery::entity_id(entity.into());
                    let path = format!("/ngsi-ld/v1/entities/{id}");
                    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n\r\n");
                    (request.into_bytes(), "sent", Value::from(written.value))
                }
                Kind::Create | Kind::Get | Kind::Page | Kind::Query | Kind::Mqtt => continue,
            };
            let (status, body) = ask(&mut connection, &request).await?;
            let found = body.pointer(&format!("/{attribute}/value")).cloned().unwrap_or_default();
            findings.note(status == 200 && found == expected, || {
                format!("{attribute} of {entity} is {found} and not {expected} ({status})")
            });
        }
        let staying_of_worker = worker.staying().map(|number| (number, 200));
        for (number, expected) in staying_of_worker.chain(worker.gone().map(|it| (it, 404))) {
            staying += u64::from(expected == 200);
            let (status, _) = ask(&mut connection, retrieve.with(number, 0)).await?;
            findings.note(status == expected, || {
                format!("light {number} is answered {status} and not {expected}")
            });
        }
    }
    let client = Http::new(format!("http://{server}"));
    let path = format!("/ngsi-ld/v1/entities?type={}&limit=1&count=true", entities::TYPE);
    let answer = client.get(&path).await;
    let (count, expected) = (answer.header("NGSILD-Results-Count"), u64::from(ENTITIES) + staying);
    findings.note(count == expected.to_string(), || format!("{count} lights and not {expected}"));
    Ok(findings)
}

async fn ask(connection: &mut Connection, request: &[u8]) -> Result<(u16, Value), Failure> {
    let status = connection.ask(request).await?.status;
    let answer = connection.answer();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no head")?;
    let body = answer.get(end + 4..).unwrap_or_default();
    Ok((status, serde_json::from_slice(body).unwrap_or_default()))
}

/// What was due, and what was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) findings: Findings,
    /// Sums over the subscriptions with receivers.
    pub(super) sums: BTreeMap<&'static str, u64>,
    /// Distinct changes that receivers got.
    pub(super) received: u64,
    /// Changes that they got once more.
    pub(super) repeated: u64,
}

/// The counts of an account.
const COUNTS: [&str; 5] = ["due", "delivered", "pending", "dead", "suppressed"];

/// Compares what was acknowledged with the accounts of the subscriptions, and these with what the
/// receivers have counted.
///
/// # Errors
///
/// If a process does not answer.
pub(super) async fn compare_told(
    url: &str,
    workers: &[Worker],
    receivers: &Receivers,
) -> Result<Told, Failure> {
    let mut told = Told::default();
    let mut expected = vec![0_u64; delivery::ENDPOINTS];
    let mut due = BTreeMap::new();
    let writers = workers.iter().filter(|worker| worker.kind == Kind::Change);
    for (entity, written) in writers.flat_map(Worker::written) {
        due.insert(delivery::subscription_id(entity.into()), written.count);
        if let Some(at_endpoint) = expected.get_mut(delivery::endpoint(entity.into())) {
            *at_endpoint += written.count;
        }
    }
    let client = Http::new(url);
    let mut after = String::new();
    loop {
        let path = format!("/musubi/v1/subscriptions?limit=100{after}");
        let page = client.get(&path).await.json();
        for account in
            page.pointer("/subscriptions").and_then(Value::as_array).into_iter().flatten()
        {
            told.note_account(account, &due);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let mut changes: Vec<_> =
        receivers.changes().await?.into_iter().map(|(at, sent, _)| (at, sent)).collect();
    let all = changes.len();
    changes.sort_unstable();
    changes.dedup();
    told.received = u64::try_from(changes.len())?;
    told.repeated = u64::try_from(all - changes.len())?;
    for (place, expected) in expected.into_iter().enumerate() {
        let came = u64::try_from(changes.iter().filter(|(at, _)| *at == place).count())?;
        told.findings.note(came == expected, || {
            format!("receiver {place} got {came} changes and not {expected}")
        });
    }
    Ok(told)
}

impl Told {
    fn note_account(&mut self, account: &Value, expected: &BTreeMap<String, u64>) {
        let count = |name| account.get(name).and_then(Value::as_u64).unwrap_or(u64::MAX);
        let [due, delivered, pending, dead, suppressed] = COUNTS.map(count);
        for (name, count) in COUNTS.into_iter().zip([due, delivered, pending, dead, suppressed]) {
            *self.sums.entry(name).or_default() += count;
        }
        let id = account.get("id").and_then(Value::as_str).unwrap_or_default();
        // That of the stream has no account: it stays at zero.
        let expected = expected.get(id).copied().unwrap_or_default();
        let is_balanced = due == expected && pending == 0 && due == delivered + dead + suppressed;
        self.findings.note(is_balanced, || {
            format!(
                "{id}: {due} due of {expected}, {delivered} delivered, {pending} pending, {dead} \
                 dead, {suppressed} suppressed"
            )
        });
    }
}
