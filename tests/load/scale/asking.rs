//! One request at a time: what it costs the broker, and how long it takes.

use std::time::Duration;

use musubi_tests::Musubi;
use tokio::time::Instant;

use super::lamps;
use super::question::{Question, send};
use super::store::Store;
use crate::Failure;
use crate::generator::Connection;
use crate::usage::Threads;

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
    store.rest().await?;
    let lamps = store.lamps;
    let first = store.turn.next_multiple_of(question.block());
    let server = store.server()?;
    let mut connection = Connection::open(server.http).await?;
    let (mut times, mut found, mut turn) = (Vec::new(), 0_u32, first);
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
            found += question.found(connection.answer(), lamps)?;
        }
    }
    let used = before.since()?;
    if question == Question::Post {
        forget(server, lamps.count + first..lamps.count + turn).await?;
    }
    let asked = f64::from(turn - first).max(1.0);
    times.sort_unstable();
    store.turn = turn;
    Ok(Asked {
        times,
        processor: used.as_secs_f64() * 1e6 / asked,
        found: f64::from(found) / asked,
    })
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
