//! Those who write, at 2,000 changes per second in all, for as long as there is a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use musubi_tests::Http;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Writers, and the entities of each. Types are shared by all writers.
const WRITERS: usize = 8;
const ENTITIES: usize = 40;
pub(crate) const TYPES: usize = 40;
/// Entities in one request, every so often: 8 × 10 / 40 ms are 2,000 per second.
const BATCH: usize = 10;
const PACE: Duration = Duration::from_millis(40);

/// All writers: a cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writers {
    acknowledged: watch::Sender<u64>,
    /// Never twice, so that a change can be told by it.
    next: Arc<AtomicU64>,
    stopped: CancellationToken,
}

impl Writers {
    pub(crate) fn start(&self, work: &mut JoinSet<()>, whereabouts: &watch::Sender<Option<Http>>) {
        for writer in 0..WRITERS {
            work.spawn(self.clone().run(writer, whereabouts.subscribe()));
        }
    }

    /// How many changes have been acknowledged.
    pub(crate) fn acknowledged(&self) -> watch::Receiver<u64> {
        self.acknowledged.subscribe()
    }

    pub(crate) fn count(&self) -> u64 {
        *self.acknowledged.borrow()
    }

    /// Is cancelled when no more is written.
    pub(crate) fn stopped(&self) -> CancellationToken {
        self.stopped.clone()
    }

    pub(crate) fn stop(&self) {
        self.stopped.cancel();
    }

    async fn run(self, writer: usize, mut whereabouts: watch::Receiver<Option<Http>>) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn = 0;
        while !self.stopped.is_cancelled() {
            pace.tick().await;
            let Ok(http) = whereabouts.wait_for(Option::is_some).await.map(|it| it.clone()) else {
                return;
            };
            let Some(http) = http else { continue };
            let (path, method, body) = self.next(writer, turn);
            turn += 1;
            match http.try_send(method, path, Some(&body)).await {
                Ok(answer) if matches!(answer.status, 201 | 204) => {
                    let written = body.as_array().map_or(1, Vec::len);
                    let written = u64::try_from(written).expect("a count");
                    self.acknowledged.send_modify(|count| *count += written);
                }
                Ok(answer) => panic!("{path}: {} {}", answer.status, answer.text),
                // It was killed; whether the write has happened, the log knows.
                Err(_) => {}
            }
        }
    }

    fn next(&self, writer: usize, turn: usize) -> (&'static str, Method, Value) {
        let items = (0..BATCH).map(|n| self.entity(writer, (turn * BATCH + n) % ENTITIES));
        let items = Value::Array(items.collect());
        ("/ngsi-ld/v1/entityOperations/upsert", Method::POST, items)
    }

    fn entity(&self, writer: usize, entity: usize) -> Value {
        let count = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let kind = (writer * ENTITIES + entity) % TYPES;
        json!({
            "id": format!("urn:ngsi-ld:Thing:{writer}-{entity}"),
            "type": format!("Thing{kind}"),
            "count": count,
            "level": count % 10,
        })
    }
}
