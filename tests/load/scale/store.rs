//! A broker with a store of a known size.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use musubi_tests::Musubi;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::asking::ask;
use super::lamps::Lamps;
use super::question::{Question, send};
use crate::generator::Connection;
use crate::report::say;
use crate::sample::{Sample, number};
use crate::usage::{Processor, idle, megabytes, memory};
use crate::{Failure, Plan};

/// Entities in a request that fills a store.
pub(crate) const BATCH: u32 = 1000;
/// Connections that fill it, each with one request at a time.
pub(crate) const CONNECTIONS: u32 = 4;
/// How often half a minute is waited for a broker to come to rest after much was written.
const PATIENCE: usize = 10;

/// What filling took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filled {
    /// From the first request to the last answer.
    pub(crate) time: Duration,
    /// CPU time of the broker in that time.
    pub(crate) processor: Duration,
    /// CPU time of the broker until it had come to rest.
    pub(crate) processor_at_rest: Duration,
    /// What it held then, in bytes.
    pub(crate) memory: u64,
}

/// A store, and the broker that serves it.
#[derive(Debug)]
pub(crate) struct Store {
    // Before the folder, so that it ends before that goes.
    server: Option<Musubi>,
    folder: TempDir,
    durability: &'static str,
    pub(crate) lamps: Lamps,
    pub(crate) filled: Filled,
    /// The number of the next request.
    pub(crate) turn: u32,
    /// How long the first request of each kind took that needs an index, in milliseconds, after
    /// each start of the broker.
    pub(crate) first: Vec<(Question, Sample)>,
    /// Whether these have been asked since the last start.
    is_formed: bool,
}

impl Store {
    /// A new store with so many entities, written with `sync`.
    ///
    /// # Errors
    ///
    /// If the broker does not start or answer.
    pub(crate) async fn filled(plan: &Plan, count: u32) -> Result<Self, Failure> {
        let folder = plan.empty_folder()?;
        let durability = "sync";
        let server = serve(&folder, durability)?;
        let lamps = Lamps { count };
        let filled = fill(&server, lamps).await?;
        say(&format!(
            "{} entities written in {} s, {} s of CPU, {} s with all that is done behind it; {} MB",
            number(count.into()),
            number(filled.time.as_secs_f64()),
            number(filled.processor.as_secs_f64()),
            number(filled.processor_at_rest.as_secs_f64()),
            number(megabytes(filled.memory)),
        ));
        Ok(Self {
            server: Some(server),
            folder,
            durability,
            lamps,
            filled,
            turn: 0,
            first: Question::INDEXED.map(|question| (question, Sample::default())).to_vec(),
            is_formed: false,
        })
    }

    /// The broker.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub(crate) fn server(&self) -> Result<&Musubi, Failure> {
        self.server.as_ref().ok_or_else(|| "the broker does not run".into())
    }

    /// Starts the broker, if it does not run.
    ///
    /// # Errors
    ///
    /// If the folder's name is not UTF-8.
    pub(crate) fn serve(&mut self) -> Result<(), Failure> {
        if self.server.is_none() {
            self.server = Some(serve(&self.folder, self.durability)?);
            self.is_formed = false;
        }
        Ok(())
    }

    /// Lets the broker end as it is asked to.
    ///
    /// # Errors
    ///
    /// If it says that something went wrong.
    pub(crate) fn stop(&mut self) -> Result<(), Failure> {
        match self.server.take().map(Musubi::stop) {
            None | Some((Some(0), _)) => Ok(()),
            Some((code, _)) => Err(format!("the broker ended with {code:?}").into()),
        }
    }

    /// Ends the broker at once.
    pub(crate) fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
    }

    /// Serves with this durability from now on.
    ///
    /// # Errors
    ///
    /// If the broker does not end well, or start.
    pub(crate) fn become_durable(&mut self, durability: &'static str) -> Result<(), Failure> {
        if self.durability != durability {
            self.stop()?;
            self.durability = durability;
        }
        self.serve()
    }

    /// Waits until the broker is idle.
    ///
    /// # Errors
    ///
    /// If it does not come to rest.
    pub(crate) async fn rest(&self) -> Result<(), Failure> {
        rest(self.server()?.id()).await
    }

    /// What the broker holds once it is idle, in bytes.
    ///
    /// # Errors
    ///
    /// If it does not come to rest.
    pub(crate) async fn memory(&self) -> Result<u64, Failure> {
        self.rest().await?;
        memory(self.server()?.id())
    }

    /// Asks once for everything that has an index, so that it forms, and notes how long that took.
    ///
    /// # Errors
    ///
    /// If an answer is not what it has to be.
    pub(crate) async fn form(&mut self) -> Result<(), Failure> {
        if self.is_formed {
            return Ok(());
        }
        for place in 0..self.first.len() {
            self.rest().await?;
            let Some((question, _)) = self.first.get(place).cloned() else { continue };
            let asked = ask(self, question, Duration::ZERO).await?;
            if let Some((_, sample)) = self.first.get_mut(place) {
                sample.add(asked.latency(1000));
            }
        }
        self.is_formed = true;
        self.rest().await
    }
}

fn serve(folder: &TempDir, durability: &str) -> Result<Musubi, Failure> {
    let data = folder.path().join("data");
    if data.to_str().is_none() {
        return Err("the folder's name is not UTF-8".into());
    }
    Ok(Musubi::serve(&data, &["--durability", durability, "--log-level", "warn"]))
}

/// Waits until a process is idle, for longer than [`idle`] does.
async fn rest(process: u32) -> Result<(), Failure> {
    for _ in 1..PATIENCE {
        if idle(process).await.is_ok() {
            return Ok(());
        }
    }
    idle(process).await
}

async fn fill(server: &Musubi, lamps: Lamps) -> Result<Filled, Failure> {
    let next = Arc::new(AtomicU32::new(0));
    let mut writers = JoinSet::new();
    let (start, before) = (Instant::now(), Processor::now(server.id())?);
    for _ in 0..CONNECTIONS {
        let (next, address) = (Arc::clone(&next), server.http);
        let mut connection = Connection::open(address).await?;
        writers.spawn(async move {
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first >= lamps.count {
                    return Ok::<_, Failure>(());
                }
                let path = "/ngsi-ld/v1/entityOperations/upsert";
                let body = batch(lamps, first..lamps.count.min(first + BATCH));
                let status = connection.ask(&send(address, "POST", path, &body)).await?.status;
                if status != 201 {
                    return Err(format!("a batch was answered {status}").into());
                }
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    let (time, processor) = (start.elapsed(), before.since()?);
    rest(server.id()).await?;
    let processor_at_rest = before.since()?;
    Ok(Filled { time, processor, processor_at_rest, memory: memory(server.id())? })
}

fn batch(lamps: Lamps, numbers: std::ops::Range<u32>) -> String {
    let mut body = String::from("[");
    for (place, number) in numbers.enumerate() {
        if place > 0 {
            body.push(',');
        }
        lamps.write(&mut body, number);
    }
    body.push(']');
    body
}
