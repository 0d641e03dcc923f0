//! All kinds of load together for a while.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use musubi_tests::Musubi;
use tokio::task::JoinSet;

use crate::mqtt::fleet::{Fleet, Latency, Pace};
use crate::receivers::{Receivers, now};
use crate::sample::rate;
use crate::soak::kind::{Kind, Turns};
use crate::soak::worker::Worker;
use crate::{Failure, mqtt};

/// Who makes the load.
#[derive(Debug)]
pub(super) struct Crowd {
    pub(super) workers: Vec<Worker>,
    pub(super) fleets: Vec<Fleet>,
}

/// How many of each kind in a second.
pub(super) type Rates = BTreeMap<Kind, f64>;

/// What came of a phase.
#[derive(Debug)]
pub(super) struct Phase {
    time: Duration,
    /// When it began and ended, on the clock of the receivers.
    pub(super) span: (u64, u64),
    /// How long the answers took, in the order of the names.
    pub(super) latencies: BTreeMap<&'static str, Latency>,
}

/// The name under which deletions are.
const DELETE: &str = "`DELETE`";
/// The name under which notifications are.
const NOTIFICATION: &str = "change to receiver";

impl Phase {
    /// What was done of a kind in a second.
    pub(super) fn rate(&self, kind: Kind) -> f64 {
        let done = self.latencies.get(kind.what()).map_or(0, Latency::len);
        rate(u32::try_from(done).unwrap_or(u32::MAX), self.time)
    }

    /// The changes that came to receivers before the end of it, in a second.
    pub(super) async fn received(&self, receivers: &Receivers) -> Result<f64, Failure> {
        let (begin, end) = self.span;
        let came = receivers.changes().await?.into_iter().filter(|(_, sent, took)| {
            let arrived = *sent + u64::from(*took);
            (begin..end).contains(&arrived)
        });
        Ok(rate(u32::try_from(came.count())?, self.time))
    }

    /// Adds how long the changes took that were sent in it.
    pub(super) fn add_changes(&mut self, changes: &[(usize, u64, u32)]) {
        let (begin, end) = self.span;
        let sent = changes.iter().filter(|(_, sent, _)| (begin..end).contains(sent));
        let took = sent.map(|(_, _, took)| *took).collect();
        self.latencies.insert(NOTIFICATION, Latency::new(took));
    }
}

impl Crowd {
    pub(super) fn new(server: &Musubi) -> Self {
        let http = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Mqtt);
        Self {
            workers: http.flat_map(|kind| Worker::several(kind, server.http)).collect(),
            fleets: Fleet::several(Kind::Mqtt.connections(), 1000),
        }
    }

    /// Makes the load for so long: so much of each kind, or as much as there can be.
    pub(super) async fn load(
        &mut self,
        server: &Musubi,
        rates: Option<&Rates>,
        time: Duration,
    ) -> Result<Phase, Failure> {
        let rate_of = |kind| rates.map(|rates| rates.get(&kind).copied().unwrap_or_default());
        let begin = now();
        let mut working = JoinSet::new();
        let turns: BTreeMap<_, _> = Kind::ALL
            .into_iter()
            .map(|kind| (kind, Arc::new(Turns::new(rate_of(kind), time))))
            .collect();
        for worker in std::mem::take(&mut self.workers) {
            let turns = turns.get(&worker.kind).ok_or("a kind without turns")?;
            working.spawn(worker.work(Arc::clone(turns)));
        }
        let fleets = std::mem::take(&mut self.fleets);
        let pace = rate_of(Kind::Mqtt).map_or(Pace::Flood, Pace::Even);
        let publishing = mqtt::publish(server, fleets, pace, time);
        let all = async { working.join_all().await.into_iter().collect::<Result<Vec<_>, _>>() };
        let (outcome, workers) = tokio::join!(publishing, all);
        let (outcome, mut workers) = (outcome?, workers?);
        let span = (begin, now());
        let mut micros: BTreeMap<&'static str, Vec<u32>> = BTreeMap::new();
        for worker in &mut workers {
            let (answers, deletions) = worker.take_latencies();
            micros.entry(worker.kind.what()).or_default().extend(answers);
            if worker.kind == Kind::Create {
                micros.entry(DELETE).or_default().extend(deletions);
            }
        }
        let mut latencies: BTreeMap<_, _> =
            micros.into_iter().map(|(name, micros)| (name, Latency::new(micros))).collect();
        self.workers = workers;
        let (fleets, latency) = outcome.into_fleets();
        self.fleets = fleets;
        latencies.insert(Kind::Mqtt.what(), latency);
        Ok(Phase { time, span, latencies })
    }
}
