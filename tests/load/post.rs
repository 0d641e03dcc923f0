//! Creating entities: a server that answers after the sync beside one that does not wait for it,
//! and beside the disk alone.

use std::time::Duration;

use musubi_tests::Musubi;

use crate::generator::{Load, Numbers};
use crate::report::{Line, Mark, say};
use crate::sample::{Sample, number};
use crate::usage::{Processor, idle, megabytes, memory};
use crate::{Failure, Plan, disk, entities};

const CONNECTIONS: u32 = 50;
/// How many writes one sync is expected to cover.
const GROUP: f64 = 25.0;
/// How much of the smaller of the two is to be reached.
const REACH: f64 = 0.6;
/// How long the disk alone is measured in each round.
const DISK: Duration = Duration::from_secs(1);

/// A server, and what was measured of it.
#[derive(Debug)]
struct Side {
    durability: &'static str,
    server: Musubi,
    numbers: Numbers,
    rate: Sample,
    processor: Sample,
    median: Sample,
    tail: Sample,
}

impl Side {
    fn start(folder: &std::path::Path, durability: &'static str) -> Self {
        let arguments = ["--durability", durability, "--log-level", "warn"];
        Self {
            durability,
            server: Musubi::serve(&folder.join(durability), &arguments),
            numbers: Numbers::once(u32::MAX),
            rate: Sample::default(),
            processor: Sample::default(),
            median: Sample::default(),
            tail: Sample::default(),
        }
    }

    async fn load(&self, time: Duration) -> Result<crate::generator::Run, Failure> {
        idle(self.server.id()).await?;
        let load = Load {
            server: self.server.http,
            template: entities::create(self.server.http),
            connections: CONNECTIONS,
            expected: 201,
            numbers: self.numbers.clone(),
            time,
        };
        let run = load.run().await?;
        if run.other > 0 {
            return Err(format!("{}: {} answers were not 201", self.durability, run.other).into());
        }
        Ok(run)
    }

    async fn round(&mut self, time: Duration) -> Result<(), Failure> {
        let before = Processor::now(self.server.id())?;
        let run = self.load(time).await?;
        let used = before.since()?;
        self.rate.add(run.rate());
        self.processor.add(used.as_secs_f64() * 1e6 / f64::from(run.good.max(1)));
        self.median.add(run.latency(500));
        self.tail.add(run.latency(990));
        Ok(())
    }
}

/// Measures creating entities.
///
/// # Errors
///
/// If a server does not start or answer.
pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let folder = plan.empty_folder()?;
    let mut sides = ["interval", "sync"].map(|durability| Side::start(folder.path(), durability));
    let mut syncs = Sample::default();
    for side in &sides {
        side.load(Duration::from_secs(1)).await?;
    }
    for _ in 0..plan.rounds {
        for side in &mut sides {
            side.round(plan.round).await?;
            idle(side.server.id()).await?;
        }
        syncs.add(disk::syncs(folder.path(), DISK)?);
    }
    for side in &sides {
        let held = memory(side.server.id())?;
        let entities = side.numbers.given();
        say(&format!(
            "{}: {}/s, {} µs of CPU each, p50 {} ms, p99 {} ms; {} MB of memory at the end, {} \
             bytes for each of {} entities",
            side.durability,
            side.rate,
            side.processor,
            side.median,
            side.tail,
            number(megabytes(held)),
            held / u64::from(entities.max(1)),
            number(f64::from(entities)),
        ));
    }
    say(&format!("fdatasync of 16 KiB appended: {syncs}/s"));
    let [interval, sync] = &sides;
    let limit = interval.rate.median().min(GROUP * syncs.median()).max(1.0);
    let ratio = sync.rate.median() / limit;
    Ok(vec![Line::new(
        format!("`POST /entities`, {CONNECTIONS} connections"),
        format!("`sync` ≥ {REACH} of the smaller of `interval` and {GROUP} × fdatasync/s"),
        format!(
            "{}: sync {}/s; interval {}/s; fdatasync {}/s; {} and {} µs of CPU each",
            number(ratio),
            sync.rate,
            interval.rate,
            syncs,
            number(sync.processor.median()),
            number(interval.processor.median()),
        ),
        Mark::of(ratio >= REACH),
    )])
}
