//! All writers, and what they wrote.

use std::sync::Arc;

use musubi_tests::{Http, Musubi, PATIENCE};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::past::Past;
use crate::sensors::{Sensors, moment};

const WRITERS: usize = 8;
/// Sensors of each writer.
const SENSORS: usize = 5;
/// Entities that are there before, and are never written again.
const OLD: u64 = 100;
/// Instances in one request that fills them.
const FILLED: u64 = 5000;

/// One writer's entities.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    sensors: Sensors,
    past: Past,
    turn: usize,
}

#[derive(Debug)]
pub(crate) struct Town {
    writers: Vec<Writer>,
    /// How many instances each of the old entities has.
    old: u64,
    acknowledged: watch::Sender<u64>,
}

impl Town {
    pub(crate) fn new() -> Self {
        let writer = |number| Writer {
            sensors: Sensors::new(number, SENSORS),
            past: Past::new(number),
            turn: number,
        };
        let writers = (0..WRITERS).map(writer).collect();
        Self { writers, old: 0, acknowledged: watch::Sender::new(0) }
    }

    /// Fills the old entities with so many instances, over all of them.
    pub(crate) async fn fill(&mut self, server: &Musubi, instances: u64) {
        let http = Http::new(server.url());
        self.old = instances / OLD;
        for entity in 0..OLD {
            for first in (0..self.old).step_by(usize::try_from(FILLED).unwrap_or(1)) {
                let instance = |number| json!({"type": "Property", "value": number % 100, "observedAt": moment(number)});
                let numbers = first..self.old.min(first + FILLED);
                let instances: Vec<Value> = numbers.map(instance).collect();
                let id = format!("urn:ngsi-ld:Old:{entity}");
                let body = json!({"id": id, "type": "Old", "count": instances});
                let answer = http.post("/ngsi-ld/v1/temporal/entities", &body).await;
                assert!(matches!(answer.status, 201 | 204), "{}", answer.text);
            }
        }
    }

    /// Has all writers write until so many more requests are acknowledged, and kills the server.
    pub(crate) async fn write_until_killed(&mut self, server: Musubi, requests: u64) {
        self.write_until_killed_amid(server, requests, |_| {}).await;
    }

    /// The same, with something that happens right before the kill.
    pub(crate) async fn write_until_killed_amid(
        &mut self,
        server: Musubi,
        requests: u64,
        amid: impl FnOnce(&Musubi),
    ) {
        let mut running = self.start(&server);
        self.progress(requests).await;
        amid(&server);
        server.kill();
        self.end(&mut running).await;
    }

    /// Has all writers write while something else is done.
    pub(crate) async fn write_meanwhile<T: Send + 'static>(
        &mut self,
        server: &Musubi,
        other: impl FnOnce() -> T + Send,
    ) -> T {
        let mut running = self.start(server);
        self.progress(50).await;
        let made = tokio::task::block_in_place(other);
        self.progress(50).await;
        self.stop(&mut running).await;
        made
    }

    async fn progress(&self, requests: u64) {
        let mut acknowledged = self.acknowledged.subscribe();
        let enough = *acknowledged.borrow() + requests;
        let reached = acknowledged.wait_for(|count| *count >= enough);
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        assert!(matches!(reached, Ok(Ok(_))), "the writers do not get on");
    }

    fn start(&mut self, server: &Musubi) -> Running {
        let stop = Arc::new(watch::Sender::new(false));
        let mut tasks = JoinSet::new();
        for (number, writer) in self.writers.drain(..).enumerate() {
            let (http, stop) = (Http::new(server.url()), stop.subscribe());
            let acknowledged = self.acknowledged.clone();
            tasks.spawn(async move { (number, writer.run(&http, &stop, &acknowledged).await) });
        }
        Running { tasks, stop }
    }

    async fn stop(&mut self, running: &mut Running) {
        running.stop.send_replace(true);
        self.end(running).await;
    }

    async fn end(&mut self, running: &mut Running) {
        let mut writers = Vec::new();
        let all = async {
            while let Some(ended) = running.tasks.join_next().await {
                writers.push(ended.expect("a writer ends when the connection does"));
            }
        };
        tokio::time::timeout(PATIENCE, all).await.expect("every writer notices");
        writers.sort_by_key(|(number, _)| *number);
        self.writers = writers.into_iter().map(|(_, writer)| writer).collect();
    }

    /// Holds all that is recorded against what was written.
    pub(crate) async fn check(&mut self, server: &Musubi) {
        let http = Http::new(server.url());
        self.check_old(&http).await;
        for writer in &mut self.writers {
            writer.past.is_known(&http).await;
            writer.sensors.check(&http).await;
            writer.past.check(&http).await;
        }
    }

    async fn check_old(&self, http: &Http) {
        let path = "/ngsi-ld/v1/temporal/entities?type=Old&format=aggregatedValues\
                    &aggrMethods=totalCount,distinctCount,sum&limit=1000\
                    &timerel=after&timeAt=2026-01-01T00:00:00Z";
        let answer = http.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let list = answer.json();
        let list = list.as_array().expect("a list");
        let expected: u64 = (0..self.old).map(|number| number % 100).sum();
        assert_eq!(list.len() as u64, if self.old == 0 { 0 } else { OLD });
        for entity in list {
            // As a text, 80 and 80.0 are the same.
            let of = |method: &str| entity["count"][method][0][0].as_f64().map(|n| n.to_string());
            assert_eq!(of("totalCount"), Some(self.old.to_string()), "{entity}");
            assert_eq!(of("distinctCount"), Some(self.old.min(100).to_string()), "{entity}");
            assert_eq!(of("sum"), Some(expected.to_string()), "{entity}");
        }
    }

    /// What is acknowledged by now.
    pub(crate) fn clone_of_what_is_certain(&self) -> Certain {
        Certain(self.writers.clone())
    }
}

/// What was acknowledged before a backup began.
#[derive(Debug)]
pub(crate) struct Certain(Vec<Writer>);

impl Certain {
    /// A server has what was certain, and nothing that nobody wrote until later.
    pub(crate) async fn check_at_least(self, later: &Town, server: &Musubi) {
        let http = Http::new(server.url());
        later.check_old(&http).await;
        for (before, after) in self.0.into_iter().zip(&later.writers) {
            let Writer { mut sensors, mut past, .. } = before;
            for number in after.sensors.numbers.keys() {
                sensors.numbers.entry(*number).or_insert(false);
            }
            for (number, values) in &after.past.moments {
                // Added or revised since, or neither yet; but not lost.
                let may_be = past.moments.entry(*number).or_insert_with(|| vec![None]);
                let value = i64::try_from(*number).expect("few numbers");
                may_be.extend([Some(value), Some(-value)]);
                may_be.extend(values.iter().copied());
            }
            assert!(past.certain() <= after.past.moments.len());
            sensors.check(&http).await;
            past.check(&http).await;
        }
    }
}

struct Running {
    tasks: JoinSet<(usize, Writer)>,
    stop: Arc<watch::Sender<bool>>,
}

impl Writer {
    /// Writes until it is told to stop, or the connection breaks.
    async fn run(
        mut self,
        http: &Http,
        stop: &watch::Receiver<bool>,
        acknowledged: &watch::Sender<u64>,
    ) -> Self {
        while !*stop.borrow() {
            self.turn += 1;
            let done = match self.turn % 10 {
                0 => self.past.add(http).await,
                3 | 7 if self.past.certain() > 0 => {
                    self.past.revise(http, self.turn * 7, self.turn.is_multiple_of(3)).await
                }
                _ => self.sensors.write(http).await,
            };
            if done.is_none() {
                break;
            }
            acknowledged.send_modify(|count| *count += 1);
        }
        self
    }
}
