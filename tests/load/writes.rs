//! Writing one entity at a time: a server that does not wait for the disk beside a bare one that
//! answers from memory, and one that answers after the sync beside both it and the disk alone.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use musubi_tests::Musubi;

use crate::bare::Question;
use crate::generator::{Load, Numbers, Template};
use crate::measured::{self, Measured};
use crate::report::{Line, Mark, say};
use crate::sample::{Sample, number};
use crate::usage::{idle, megabytes, memory};
use crate::{Failure, Plan, bare, disk, entities};

const CONNECTIONS: u32 = 50;
/// How many entities are changed, one after the other.
const ENTITIES: u32 = 1000;
/// How many writes one sync is expected to cover.
const GROUP: f64 = 25.0;
/// How much of the smaller of the two is to be reached with `sync`.
const REACH: f64 = 0.6;
/// How long the disk alone is measured in each round.
const DISK: Duration = Duration::from_secs(1);

/// A way to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// An entity that was not there.
    Create,
    /// An attribute of one that was.
    Change,
}

impl Write {
    fn what(self) -> &'static str {
        match self {
            Self::Create => "`POST /entities`",
            Self::Change => "`PATCH …/attrs/{attr}`",
        }
    }

    /// How much of the bare server's rate is to be reached.
    fn reach(self) -> f64 {
        match self {
            Self::Create => 0.5,
            Self::Change => 0.6,
        }
    }

    fn question(self) -> Question {
        match self {
            Self::Create => Question::Create,
            Self::Change => Question::Change,
        }
    }

    fn template(self, server: SocketAddr) -> Template {
        match self {
            Self::Create => entities::create(server),
            Self::Change => entities::change(server),
        }
    }

    /// Writes what is to be there before it.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub(crate) async fn prepare(self, server: SocketAddr) -> Result<(), Failure> {
        match self {
            Self::Create => Ok(()),
            Self::Change => entities::fill(server, ENTITIES).await,
        }
    }

    /// A load of it that goes on where the one before ended.
    pub(crate) fn load(self, server: SocketAddr) -> Load {
        let (expected, numbers) = match self {
            Self::Create => (201, Numbers::once(u32::MAX)),
            Self::Change => (204, Numbers::around(ENTITIES)),
        };
        Load {
            server,
            template: self.template(server),
            connections: CONNECTIONS,
            expected,
            numbers,
            time: Duration::ZERO,
        }
    }

    async fn serve(self, folder: &Path, durability: &str) -> Result<Musubi, Failure> {
        let arguments = ["--durability", durability, "--log-level", "warn"];
        let server = Musubi::serve(&folder.join(durability), &arguments);
        self.prepare(server.http).await?;
        Ok(server)
    }
}

/// A server, and what was measured of it.
#[derive(Debug)]
struct Side {
    name: &'static str,
    server: Musubi,
    load: Load,
    measured: Measured,
}

impl Side {
    async fn new(name: &'static str, server: Musubi, write: Write) -> Result<Self, Failure> {
        let load = Load { time: Duration::from_secs(1), ..write.load(server.http) };
        // The first run only warms up.
        measured::run(&load).await?;
        Ok(Self { name, server, load, measured: Measured::default() })
    }
}

/// Measures a way to write.
///
/// # Errors
///
/// If a server does not start or answer.
pub(crate) async fn measure(plan: &Plan, write: Write) -> Result<Vec<Line>, Failure> {
    let folder = plan.empty_folder()?;
    let interval = write.serve(folder.path(), "interval").await?;
    let sync = write.serve(folder.path(), "sync").await?;
    // The last of all numbers, which no load gets to.
    let last = if write == Write::Create { u32::MAX } else { 0 };
    let mut template = write.template(interval.http);
    let (request, place) = (template.with(last, 0), (write.question(), folder.path()));
    bare::record(interval.http, request, write.load(interval.http).expected, place).await?;
    let bare = bare::start(folder.path())?;
    let mut sides = [
        Side::new("bare", bare, write).await?,
        Side::new("interval", interval, write).await?,
        Side::new("sync", sync, write).await?,
    ];
    let mut syncs = Sample::default();
    for _ in 0..plan.rounds {
        for side in &mut sides {
            side.load.time = plan.round;
            side.measured.round(side.server.id(), &side.load).await?;
            idle(side.server.id()).await?;
        }
        syncs.add(disk::syncs(folder.path(), DISK)?);
    }
    for Side { name, server, load, measured } in &sides {
        say(&format!("{}, {name}: {measured}", write.what()));
        if write == Write::Create && *name != "bare" {
            let (held, entities) = (memory(server.id())?, load.numbers.given().max(1));
            say(&format!(
                "{name}: {} MB of memory at the end, {} bytes for each of {} entities",
                number(megabytes(held)),
                held / u64::from(entities),
                number(entities.into()),
            ));
        }
    }
    say(&format!("fdatasync of 16 KiB appended: {syncs}/s"));
    let [bare, interval, sync] = sides.map(|side| side.measured);
    Ok(vec![beside_bare(write, &bare, &interval), beside_disk(write, &sync, &interval, &syncs)])
}

fn beside_bare(write: Write, bare: &Measured, interval: &Measured) -> Line {
    let ratio = interval.rate.median() / bare.rate.median().max(1.0);
    let [each, least] = [interval, bare].map(|side| side.processor.median());
    Line::new(
        format!("{}, {CONNECTIONS} connections, `interval`", write.what()),
        format!("≥ {} of a bare axum server", write.reach()),
        format!(
            "{}: {}/s of {}/s; {} µs of CPU each of {} ({} ×); p99 {} ms",
            number(ratio),
            interval.rate,
            bare.rate,
            number(each),
            number(least),
            number(each / least.max(0.01)),
            interval.tail,
        ),
        Mark::of(ratio >= write.reach()),
    )
}

fn beside_disk(write: Write, sync: &Measured, interval: &Measured, syncs: &Sample) -> Line {
    let limit = interval.rate.median().min(GROUP * syncs.median()).max(1.0);
    let ratio = sync.rate.median() / limit;
    Line::new(
        format!("{}, {CONNECTIONS} connections, `sync`", write.what()),
        format!("≥ {REACH} of the smaller of `interval` and {GROUP} × fdatasync/s"),
        format!(
            "{}: {}/s; interval {}/s; fdatasync {}/s; {} µs of CPU each; p99 {} ms",
            number(ratio),
            sync.rate,
            interval.rate,
            syncs,
            number(sync.processor.median()),
            sync.tail,
        ),
        Mark::of(ratio >= REACH),
    )
}
