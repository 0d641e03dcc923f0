//! One request at a time: what it costs the broker, and how long it takes.

use std::time::Duration;

use musubi_tests::Musubi;
use tokio::time::Instant;

use super::lamps;
use super::question::{Question, send};
use super::store::Store;
use crate::generator::Connection;
use crate::sample::Sample;
use crate::usage::Threads;
use crate::{Failure, Plan};

/// What came of asking.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// How long each answer took, in ascending order.
    times: Vec<Duration>,
    /// Microseconds of the broker's CPU for each.
    pub(crate) processor: f64,
    /// How many entities were found for each.
    pub(crate) found: f64,
}

impl Asked {
    /// The time that so many of a thousand answers took at most, in milliseconds.
    pub(crate) fn latency(&self, of_thousand: usize) -> f64 {
        let last = self.times.len().saturating_sub(1);
        let place = (self.times.len() * of_thousand / 1000).min(last);
        self.times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }

    /// How many answers there were.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.times.len()).unwrap_or(u32::MAX)
    }
}

/// The cost of an operation, in microseconds, round after round.
///
/// A round has slices, in which what is compared takes turns, and its cost is that of the cheapest
/// slice: whatever else the machine does only adds to it, and on a shared machine it may double it
/// for a second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    /// Of the broker's CPU.
    pub(crate) processor: Sample,
    /// From the request to its answer, the median of a slice.
    pub(crate) latency: Sample,
    slices: [Sample; 2],
}

impl Cost {
    /// The cost of what was measured once, and uses one processor all the time.
    pub(crate) fn once(cost: f64) -> Self {
        let sample: Sample = std::iter::once(cost).collect();
        Self { processor: sample.clone(), latency: sample, ..Self::default() }
    }

    /// Slices in a round.
    pub(crate) const SLICES: u32 = 10;

    /// How long a slice of each side takes.
    pub(crate) fn slice(plan: &Plan) -> Duration {
        plan.round / 5 / Self::SLICES
    }

    /// Adds a slice to the present round.
    pub(crate) fn add(&mut self, asked: &Asked) {
        let [processor, latency] = &mut self.slices;
        processor.add(asked.processor);
        latency.add(asked.latency(500) * 1e3);
    }

    /// Ends the round.
    pub(crate) fn end_round(&mut self) {
        let [processor, latency] = std::mem::take(&mut self.slices);
        self.processor.add(processor.lowest());
        self.latency.add(latency.lowest());
    }
}

/// Asks a store for so long, one request after the other, each on another entity.
///
/// # Errors
///
/// If an answer is not what it has to be.
pub(crate) async fn ask(
    store: &mut Store,
    question: Question,
    time: Duration,
) -> Result<Asked, Failure> {
    let lamps = store.lamps;
    let first = store.turn.next_multiple_of(question.block());
    let server = store.server()?;
    let mut connection = Connection::open(server.http).await?;
    // The broker has taken the connection before anything is counted.
    connection.ask(&Question::Entity.request(server.http, lamps, first)).await?;
    let (mut times, mut found, mut turn) = (Vec::new(), 0.0, first);
    let before = Threads::now(server.id())?;
    let start = Instant::now();
    // Once at least, however short the time is.
    while turn == first || start.elapsed() < time && turn - first < question.most() {
        for _ in 0..question.block() {
            let request = question.request(server.http, lamps, turn);
            turn += 1;
            let sent = Instant::now();
            let head = connection.ask(&request).await?;
            times.push(sent.elapsed());
            if head.status != question.status() {
                return Err(format!("{}: {}", question.name(), head.status).into());
            }
            found += f64::from(question.found(connection.answer(), lamps)?);
        }
    }
    let used = before.since()?;
    if question == Question::Post {
        forget(server, lamps.count + first..lamps.count + turn).await?;
    }
    let asked = f64::from(turn - first).max(1.0);
    times.sort_unstable();
    store.turn = turn;
    Ok(Asked { times, processor: used.as_secs_f64() * 1e6 / asked, found: found / asked })
}

/// Deletes what was created, so that the store stays as large as it is meant to be.
async fn forget(server: &Musubi, numbers: std::ops::Range<u32>) -> Result<(), Failure> {
    let ids: Vec<_> = numbers.map(|number| format!("\"{}\"", lamps::id(number))).collect();
    let body = format!("[{}]", ids.join(","));
    let request = send(server.http, "POST", "/ngsi-ld/v1/entityOperations/delete", &body);
    match Connection::open(server.http).await?.ask(&request).await?.status {
        204 => Ok(()),
        status => Err(format!("deleting was answered {status}").into()),
    }
}
