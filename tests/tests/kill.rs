//! Nothing that was acknowledged is lost when the process is killed, at whatever moment.
//!
//! Every writer writes numbers that grow, each in two attributes at once. After each kill every
//! entity has to hold, in both, a number that is at least the last acknowledged one and at most
//! the last one sent; and in the end a notification of every acknowledged number has arrived.
//!
//! `MUSUBI_KILL_ROUNDS` says how often the process is killed in each mode; 5 by default.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use musubi_tests::{Http, Musubi, PATIENCE, Receiver, until};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

const TYPES: [&str; 4] = ["Patched", "Created", "Batched", "Published"];
const PATCHERS: usize = 20;
const CREATORS: usize = 15;
const UPSERTERS: usize = 15;
const PUBLISHERS: usize = 8;
/// Entities in one batch.
const BATCH: usize = 5;
/// Messages of one publisher that may wait for their acknowledgement.
const WINDOW: usize = 8;

/// What became of the numbers of one entity.
#[derive(Clone, Debug, Default)]
struct Account {
    /// The last number that was sent; the first is 1.
    sent: u64,
    acknowledged: Vec<u64>,
}

/// The accounts of all entities: a cheap handle.
#[derive(Clone, Debug)]
struct Accounts {
    by_id: Arc<Mutex<BTreeMap<String, Account>>>,
    acknowledged: watch::Sender<u64>,
}

impl Accounts {
    fn new() -> Self {
        Self { by_id: Arc::default(), acknowledged: watch::Sender::new(0) }
    }

    /// The next number to send.
    fn next(&self, id: &str) -> u64 {
        let mut accounts = self.by_id.lock();
        let account = accounts.entry(id.to_owned()).or_default();
        account.sent += 1;
        account.sent
    }

    fn acknowledge(&self, id: &str, number: u64) {
        self.by_id.lock().entry(id.to_owned()).or_default().acknowledged.push(number);
        self.acknowledged.send_modify(|count| *count += 1);
    }
}

fn id(kind: &str, writer: usize, number: u64) -> String {
    format!("urn:ngsi-ld:{kind}:{writer}-{number}")
}

fn attributes(number: u64) -> Value {
    json!({
        "count": { "type": "Property", "value": number },
        "twin": { "type": "Property", "value": number },
    })
}

fn entity(id: &str, kind: &str, number: u64) -> Value {
    json!({ "id": id, "type": kind, "count": number, "twin": number })
}

async fn patch(http: Http, writer: usize, accounts: Accounts) {
    let id = id("Patched", writer, 0);
    let path = format!("/ngsi-ld/v1/entities/{id}/attrs");
    loop {
        let number = accounts.next(&id);
        match http.try_send(Method::PATCH, &path, Some(&attributes(number))).await {
            Ok(answer) if answer.status == 204 => accounts.acknowledge(&id, number),
            Ok(answer) => panic!("{path}: {} {}", answer.status, answer.text),
            Err(_) => return,
        }
    }
}

async fn create(http: Http, writer: usize, round: usize, accounts: Accounts) {
    for number in 0.. {
        let id = id(&format!("Created:{round}"), writer, number);
        let body = entity(&id, "Created", accounts.next(&id));
        match http.try_send(Method::POST, "/ngsi-ld/v1/entities", Some(&body)).await {
            Ok(answer) if answer.status == 201 => accounts.acknowledge(&id, 1),
            Ok(answer) => panic!("creating {id}: {} {}", answer.status, answer.text),
            Err(_) => return,
        }
    }
}

async fn upsert(http: Http, writer: usize, accounts: Accounts) {
    let ids: Vec<String> =
        (0..BATCH).map(|n| id("Batched", writer, u64::try_from(n).unwrap_or(0))).collect();
    loop {
        let numbers: Vec<u64> = ids.iter().map(|id| accounts.next(id)).collect();
        let items = ids.iter().zip(&numbers).map(|(id, number)| entity(id, "Batched", *number));
        let body = Value::Array(items.collect());
        match http.try_send(Method::POST, "/ngsi-ld/v1/entityOperations/upsert", Some(&body)).await
        {
            Ok(answer) if matches!(answer.status, 201 | 204) => {
                for (id, number) in ids.iter().zip(numbers) {
                    accounts.acknowledge(id, number);
                }
            }
            Ok(answer) => panic!("a batch: {} {}", answer.status, answer.text),
            Err(_) => return,
        }
    }
}

async fn publish(address: std::net::SocketAddr, writer: usize, accounts: Accounts) {
    let device = format!("{writer}-0");
    let id = id("Published", writer, 0);
    let mut options = MqttOptions::new(&device, address.ip().to_string(), address.port());
    options.set_keep_alive(Duration::from_secs(30));
    let (client, mut events) = AsyncClient::new(options, 2 * WINDOW);
    let mut waiting = VecDeque::new();
    loop {
        while waiting.len() < WINDOW {
            let number = accounts.next(&id);
            let payload = json!({ "count": number, "twin": number }).to_string();
            let topic = format!("/json/kill/{device}/attrs");
            client.try_publish(topic, QoS::AtLeastOnce, false, payload).expect("room in the queue");
            waiting.push_back(number);
        }
        match events.poll().await {
            // Acknowledged in the order in which they were sent.
            Ok(Event::Incoming(Packet::PubAck(_))) => {
                let number = waiting.pop_front().expect("a message that waits");
                accounts.acknowledge(&id, number);
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// All writers, at work.
fn write(server: &Musubi, round: usize, accounts: &Accounts) -> JoinSet<()> {
    let mut writers = JoinSet::new();
    // A client each, and so a connection each.
    let http = || Http::new(server.url());
    for writer in 0..PATCHERS {
        writers.spawn(patch(http(), writer, accounts.clone()));
    }
    for writer in 0..CREATORS {
        writers.spawn(create(http(), writer, round, accounts.clone()));
    }
    for writer in 0..UPSERTERS {
        writers.spawn(upsert(http(), writer, accounts.clone()));
    }
    for writer in 0..PUBLISHERS {
        writers.spawn(publish(server.mqtt(), writer, accounts.clone()));
    }
    writers
}

async fn prepare(server: &Musubi, accounts: &Accounts, receiver: &Receiver) {
    let http = Http::new(server.url());
    for kind in TYPES {
        let body = json!({
            "id": format!("urn:ngsi-ld:Subscription:{kind}"),
            "type": "Subscription",
            "entities": [{ "type": kind }],
            "watchedAttributes": ["count"],
            "notification": { "format": "simplified", "endpoint": { "uri": receiver.url() } },
        });
        let answer = http.post("/ngsi-ld/v1/subscriptions", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    for writer in 0..PATCHERS {
        let id = id("Patched", writer, 0);
        let body = entity(&id, "Patched", accounts.next(&id));
        assert_eq!(http.post("/ngsi-ld/v1/entities", &body).await.status, 201);
        accounts.acknowledge(&id, 1);
    }
}

/// Lets the writers write until so many writes have been acknowledged, and kills the process a
/// little later.
async fn kill_amid_writes(server: Musubi, round: usize, accounts: &Accounts, random: &mut StdRng) {
    let mut acknowledged = accounts.acknowledged.subscribe();
    let enough = *acknowledged.borrow() + random.random_range(100..1200);
    let mut writers = write(&server, round, accounts);
    let reached = tokio::time::timeout(PATIENCE, acknowledged.wait_for(|count| *count >= enough));
    assert!(matches!(reached.await, Ok(Ok(_))), "the writers do not get on");
    for _ in 0..random.random_range(0..2000) {
        tokio::task::yield_now().await;
    }
    server.kill();
    let ended = async {
        while let Some(ended) = writers.join_next().await {
            ended.expect("a writer ends when the connection does");
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("every writer notices");
}

async fn stored(http: &Http) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    loop {
        let path = format!(
            "/ngsi-ld/v1/entities?type={}&format=simplified&limit=1000&offset={}",
            TYPES.join(","),
            found.len()
        );
        let answer = http.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let page = answer.json();
        let page = page.as_array().expect("a list");
        if page.is_empty() {
            return found;
        }
        for entity in page {
            let id = entity["id"].as_str().expect("an id").to_owned();
            assert!(found.insert(id, entity.clone()).is_none(), "twice in a list: {entity}");
        }
    }
}

/// Holds what is stored against what was acknowledged.
async fn check_stored(server: &Musubi, accounts: &Accounts) {
    let found = stored(&Http::new(server.url())).await;
    let accounts = accounts.by_id.lock().clone();
    for (id, entity) in &found {
        assert_eq!(entity["count"], entity["twin"], "half a write: {entity}");
        let account = accounts.get(id).unwrap_or_else(|| panic!("nobody wrote {id}"));
        let number = entity["count"].as_u64().expect("a number");
        assert!(number <= account.sent, "{id} is {number}, and {} was the last sent", account.sent);
        let last = account.acknowledged.last().copied().unwrap_or(0);
        assert!(number >= last, "{id} is {number}, and {last} was acknowledged");
    }
    for (id, account) in &accounts {
        assert!(
            account.acknowledged.is_empty() || found.contains_key(id),
            "{id} is gone, and {:?} was acknowledged",
            account.acknowledged.last()
        );
    }
}

/// Which notifications came of each number of each entity.
#[derive(Default)]
struct Arrived {
    read: usize,
    ids: BTreeMap<String, BTreeMap<u64, String>>,
}

impl Arrived {
    fn read(&mut self, received: &[Value]) {
        for notification in received.iter().skip(self.read) {
            let notification_id = notification["id"].as_str().expect("an id");
            for entity in notification["data"].as_array().expect("data") {
                assert_eq!(entity["count"], entity["twin"], "half a write: {notification}");
                let number = entity["count"].as_u64().expect("a number");
                let id = entity["id"].as_str().expect("an id").to_owned();
                let known = self.ids.entry(id).or_default().entry(number);
                let known = known.or_insert_with(|| notification_id.to_owned());
                assert_eq!(known, notification_id, "one change, two notifications");
            }
        }
        self.read = received.len();
    }

    fn missing(&self, accounts: &BTreeMap<String, Account>) -> usize {
        accounts
            .iter()
            .map(|(id, account)| {
                let came = self.ids.get(id);
                let is_missing = |number| came.is_none_or(|came| !came.contains_key(number));
                account.acknowledged.iter().filter(|number| is_missing(number)).count()
            })
            .sum()
    }
}

async fn check_notified(server: &Musubi, accounts: &Accounts, receiver: &Receiver) {
    let accounts = accounts.by_id.lock().clone();
    let mut arrived = Arrived::default();
    receiver
        .until("a notification of every acknowledged change", |received| {
            arrived.read(received);
            arrived.missing(&accounts) == 0
        })
        .await;
    let http = Http::new(server.url());
    for kind in TYPES {
        let path = format!("/musubi/v1/subscriptions/urn:ngsi-ld:Subscription:{kind}/ledger");
        let ledger = until("nothing is pending", || async {
            let ledger = http.get(&path).await.json();
            (ledger["pending"] == 0).then_some(ledger)
        })
        .await;
        assert_eq!(ledger["due"], ledger["delivered"], "{ledger}");
        let acknowledged: usize = accounts
            .iter()
            .filter(|(id, _)| id.starts_with(&format!("urn:ngsi-ld:{kind}:")))
            .map(|(_, account)| account.acknowledged.len())
            .sum();
        let due = ledger["due"].as_u64().expect("a number");
        assert!(due >= u64::try_from(acknowledged).expect("a count"), "{ledger}, {acknowledged}");
    }
}

async fn nothing_is_lost(durability: &str, seed: u64) {
    let rounds = std::env::var("MUSUBI_KILL_ROUNDS").map_or(5, |n| n.parse().expect("a number"));
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let mapping = folder.path().join("sensors.toml");
    let text =
        "[source]\nkind = \"mqtt\"\n[groups.kill]\ntype = \"Published\"\ndevices = \"any\"\n";
    std::fs::write(&mapping, text).expect("a file");
    let mapping = mapping.to_str().expect("a name in UTF-8").to_owned();
    let data = folder.path().join("data");
    let arguments = ["--mqtt", "127.0.0.1:0", "--durability", durability, "--adapter", &mapping];
    let accounts = Accounts::new();
    let receiver = Receiver::start().await;

    let mut server = Musubi::serve(&data, &arguments);
    prepare(&server, &accounts, &receiver).await;
    for round in 0..rounds {
        kill_amid_writes(server, round, &accounts, &mut random).await;
        server = Musubi::serve(&data, &arguments);
        check_stored(&server, &accounts).await;
    }
    check_notified(&server, &accounts, &receiver).await;
    let (code, _) = server.stop();
    assert_eq!(code, Some(0));
    receiver.stop();
    eprintln!(
        "{durability}: {rounds} kills, {} acknowledged writes, all there and all notified",
        *accounts.acknowledged.borrow()
    );
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed_in_sync() {
    nothing_is_lost("sync", 1).await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed_in_interval() {
    nothing_is_lost("interval", 2).await;
}
