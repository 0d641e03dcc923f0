//! What is due is a function of the log, whatever the timing; and what is due is told.
//!
//! Two hundred subscriptions, receivers that fail at random, subscriptions that are created,
//! paused, changed and deleted at random, and a broker that is killed again and again under 2,000
//! changes per second. In the end the log itself is read, and says for each subscription which
//! changes were due to it; its receiver has to have each of them, in the order of the log for
//! each entity, under one notification id; and its ledger has to say so, to the number. Nothing
//! that the broker counts says what was due, so a loss that it does not know of shows too.
//!
//! What was told to a subscription that was deleted has to be a part of what was due to it until
//! then, in order: what was pending is not told any more, and how much that was depends on the
//! moment. Another one of the same id, of which some are created, has an account of its own.
//!
//! One receiver is away all the time, and some who are told of every change have it: for them more
//! is pending than a lane holds in memory, and because of them rows of the outbox grow. They are
//! deleted and created again meanwhile, all but one.
//!
//! `MUSUBI_CHAOS_KILLS` says how often the broker is killed; 4 by default, and 30 are a thorough
//! run. `MUSUBI_CHAOS_SEED` says which run it is; 1 by default.

mod churn;
mod oracle;
mod receivers;
mod writers;

use std::collections::BTreeMap;
use std::path::PathBuf;

use musubi_tests::{Http, Musubi, PATIENCE, until};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::churn::Churn;
use crate::receivers::Receivers;
use crate::writers::Writers;

/// Subscriptions at the beginning.
const SUBSCRIPTIONS: usize = 200;

/// Where the server is at the moment; none between a kill and the next start.
type Whereabouts = watch::Sender<Option<Http>>;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Retries that come soon, and a log that stays for the check.
const SETTINGS: &str = "log_keep = 1000000000\n[notify]\nfirst_retry = \"5ms\"\nlongest_retry = \"200ms\"\n\
     attempts = 1000000\n";

/// As many changes of a subscription are held in memory by default.
const WINDOW: u64 = 256;
/// With so many rows, what is due is added to the last one.
const MANY_ROWS: usize = 16;

struct City {
    folder: tempfile::TempDir,
    whereabouts: Whereabouts,
}

impl City {
    fn start() -> (Self, Musubi) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("musubi.toml"), SETTINGS).expect("a file");
        let city = Self { folder, whereabouts: watch::Sender::new(None) };
        let server = city.serve();
        (city, server)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn serve(&self) -> Musubi {
        let settings = self.folder.path().join("musubi.toml");
        let settings = settings.to_str().expect("a name in UTF-8");
        let server = Musubi::serve(&self.data(), &["--config", settings]);
        self.whereabouts.send_replace(Some(Http::new(server.url())));
        server
    }
}

/// The accounts of all subscriptions that there are, once nothing is pending.
async fn settled(http: &Http) -> BTreeMap<String, Value> {
    let mut ledgers = BTreeMap::new();
    for id in subscriptions(http).await {
        let path = format!("/musubi/v1/subscriptions/{id}/ledger");
        let ledger = until("nothing is pending", || async {
            let ledger = http.get(&path).await.json();
            (ledger["pending"] == 0).then_some(ledger)
        })
        .await;
        ledgers.insert(id, ledger);
    }
    ledgers
}

async fn subscriptions(http: &Http) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let path = format!("/ngsi-ld/v1/subscriptions?limit=100&offset={}", ids.len());
        let answer = http.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let page = answer.json();
        let page = page.as_array().expect("a list");
        if page.is_empty() {
            return ids;
        }
        ids.extend(page.iter().map(|it| it["id"].as_str().expect("an id").to_owned()));
    }
}

/// Resumes what is paused, so that nothing stays pending.
async fn resume_all(http: &Http) {
    for id in subscriptions(http).await {
        let path = format!("/ngsi-ld/v1/subscriptions/{id}");
        let answer = http.patch(&path, &json!({ "isActive": true })).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    }
}

/// Writes a last change, and waits until it has been told: then all of the log has been read.
async fn read_to_the_end(http: &Http, receivers: &Receivers) {
    let id = churn::id("last");
    let body = json!({
        "id": id,
        "type": "Subscription",
        "entities": [{ "type": "Last" }],
        "notification": {
            "format": "simplified", "endpoint": { "uri": receivers.url(0, "last") },
        },
    });
    assert_eq!(http.post("/ngsi-ld/v1/subscriptions", &body).await.status, 201);
    let body = json!({ "id": "urn:ngsi-ld:Last:1", "type": "Last", "count": 1, "level": 1 });
    assert_eq!(http.post("/ngsi-ld/v1/entities", &body).await.status, 201);
    receivers.until("the last change is told", |told| told.contains_key("last")).await;
}

/// When it began, the notifier found all that was due.
async fn nothing_is_lost(http: &Http) {
    let metrics = http.get("/metrics").await.text;
    assert!(metrics.lines().any(|line| line == "musubi_notify_lost_total 0"), "{metrics}");
}

async fn kill_amid(city: &City, server: Musubi, writers: &Writers, random: &mut StdRng) {
    let mut acknowledged = writers.acknowledged();
    let enough = *acknowledged.borrow() + random.random_range(200..3000);
    let reached = tokio::time::timeout(PATIENCE, acknowledged.wait_for(|count| *count >= enough));
    assert!(matches!(reached.await, Ok(Ok(_))), "the writers do not get on");
    nothing_is_lost(&Http::new(server.url())).await;
    city.whereabouts.send_replace(None);
    server.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_due_change_arrives_and_the_ledger_is_exact_whatever_happens() {
    let (kills, seed) = (number("MUSUBI_CHAOS_KILLS", 4), number("MUSUBI_CHAOS_SEED", 1));
    let mut random = StdRng::seed_from_u64(seed);
    let mut listening = JoinSet::new();
    let receivers = Receivers::start(&mut random, &mut listening).await;
    let (city, mut server) = City::start();
    let mut churn = Churn::new(receivers.clone(), StdRng::seed_from_u64(seed + 1));
    let http = Http::new(server.url());
    for _ in 0..SUBSCRIPTIONS {
        churn.create(&http).await;
    }
    churn.create_far(&http).await;

    let writers = Writers::default();
    let mut work = JoinSet::new();
    writers.start(&mut work, &city.whereabouts);
    work.spawn(churn.run(city.whereabouts.subscribe(), writers.clone()));
    let mut rows = 0;
    for _ in 0..kills {
        kill_amid(&city, server, &writers, &mut random).await;
        rows = oracle::rows(&city.data()).await.max(rows);
        server = city.serve();
    }
    writers.stop();
    while let Some(ended) = work.join_next().await {
        ended.expect("a writer ends when it is told");
    }

    let http = Http::new(server.url());
    assert!(rows >= MANY_ROWS, "{rows} rows are too few to grow");
    let farthest = format!("/musubi/v1/subscriptions/{}/ledger", churn::id(churn::FARTHEST));
    until("more is pending than a lane holds", || async {
        let pending = http.get(&farthest).await.json()["pending"].as_u64();
        (pending > Some(2 * WINDOW)).then_some(())
    })
    .await;
    receivers.calm();
    resume_all(&http).await;
    read_to_the_end(&http, &receivers).await;
    let ledgers = settled(&http).await;
    nothing_is_lost(&http).await;
    let dead = http.send(Method::GET, "/musubi/v1/dead-letters", None).await.json();
    assert_eq!(dead["deadLetters"], json!([]), "no receiver refuses for good");
    assert_eq!(server.stop().0, Some(0));
    receivers.stop();
    while listening.join_next().await.is_some() {}
    let due = oracle::due(&city.data()).await;
    let counted = oracle::compare(&due, &receivers.told(), &ledgers);
    let changes = writers.count();
    eprintln!("{kills} kills, {changes} acknowledged changes, {rows} rows; {counted}");
}
