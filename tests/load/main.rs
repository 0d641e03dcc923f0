//! Load runs: measures what the project promises, and prints it as a table.
//!
//! Every figure that depends on the machine is compared with another one that was taken in the
//! same run. Nothing is asserted here: a load run reports. `docs/performance.md` says how to read
//! the table.

mod bare;
mod batch;
mod cores;
mod delivery;
mod demo;
mod disk;
mod entities;
mod feed;
mod generator;
mod history;
mod matching;
mod measured;
mod mqtt;
mod read;
mod receivers;
mod report;
mod sample;
mod scale;
mod soak;
mod streams;
mod usage;
mod writes;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use tempfile::TempDir;

use crate::report::Line;
use crate::writes::Write;

/// Why a figure could not be taken.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures what the project promises, and prints it as a table.
#[derive(Debug, Parser)]
#[command(name = "load", args_conflicts_with_subcommands = true)]
struct Arguments {
    /// What to measure; everything but the soak if nothing is named.
    rows: Vec<Row>,
    /// Length of the MQTT row. Fewer than 300 also shorten the history and the large store in
    /// proportion, fewer than 60 also shorten the wait of the demo, fewer than 5 the
    /// rounds of the others.
    #[arg(long, value_name = "N", default_value_t = 300)]
    seconds: u32,
    /// Length of the soak.
    #[arg(long, value_name = "N", default_value_t = 30)]
    minutes: u32,
    /// How often each of two sides is measured.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: u32,
    /// Folder for the data of the brokers, on the disk to be measured. The default is a folder
    /// beside this program, because /tmp is often kept in memory.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// File for the chart of the row `growth`, as SVG.
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// Name the rows that would be measured, and end.
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Row {
    /// Finding the subscriptions that a change concerns.
    Match,
    /// Changes that reach the endpoints of subscriptions.
    Delivery,
    /// The same with a dead and a slow endpoint among the others.
    Trouble,
    /// MQTT messages that become durable entities.
    Mqtt,
    /// Creating entities: `interval` beside a server that only answers from memory, `sync` beside
    /// `interval` and the disk.
    Post,
    /// Changing an attribute: the same.
    Patch,
    /// Upserting 1,000 entities at a time.
    Batch,
    /// Reading, writing and MQTT with one core and with two for the broker.
    Cores,
    /// Reading an entity and a page, beside a server that only answers from memory.
    Get,
    /// A feed of 1,164 docks.
    Feed,
    /// The demo: how soon it serves, how much memory it takes.
    Demo,
    /// What entities were: questions, disk, writing with it and without, a backup.
    History,
    /// Everything together for half an hour at half of the highest rates; only when it is named.
    Soak,
    /// Server-Sent Events: memory per client, and whether each is told everything.
    Streams,
    /// Filling a store of 1,000,000 entities in batches; the rows that follow use it, too.
    Fill,
    /// Memory of an empty broker, and for each of 1,000,000 entities.
    Memory,
    /// `q`, `near`, `count` and a late page among 1,000,000 entities.
    Query,
    /// Starting with nothing, and with 1,000,000 entities.
    Start,
    /// What requests cost among 1,000, 30,000 and 1,000,000 entities.
    Growth,
}

impl Row {
    /// Those that are measured if nothing is named.
    const ALL: [Self; 18] = [
        Self::Match,
        Self::Delivery,
        Self::Trouble,
        Self::Mqtt,
        Self::Post,
        Self::Patch,
        Self::Batch,
        Self::Cores,
        Self::Get,
        Self::Feed,
        Self::Demo,
        Self::Streams,
        Self::History,
        Self::Fill,
        Self::Memory,
        Self::Query,
        Self::Start,
        Self::Growth,
    ];
}

/// The parts of a load run that are processes of their own.
#[derive(Debug, Subcommand)]
enum Part {
    /// Serves recorded answers from memory: the limit that reading and writing are compared with.
    #[command(hide = true)]
    Bare {
        /// Folder with the answers.
        folder: PathBuf,
    },
    /// Receives notifications, and notes how long they took.
    #[command(hide = true)]
    Receivers {
        /// How many receivers.
        count: usize,
        /// How many of them answer after 30 s.
        slow: usize,
    },
}

/// How long everything takes, and where it happens.
#[derive(Debug)]
struct Plan {
    /// Length of the MQTT row.
    mqtt: Duration,
    /// Length of a run of deliveries.
    delivery: Duration,
    /// Length of one round.
    round: Duration,
    /// Length of the soak.
    soak: Duration,
    /// How many rounds each side gets.
    rounds: u32,
    /// How long after its start the demo's memory is taken.
    demo: Duration,
    folder: PathBuf,
    /// Where the chart of the growth is drawn, if it is.
    chart: Option<PathBuf>,
}

impl Plan {
    fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let folder = match &arguments.folder {
            Some(folder) => folder.clone(),
            None => {
                std::env::current_exe()?.parent().ok_or("this program has no folder")?.to_owned()
            }
        };
        let at_most = |most: u32| Duration::from_secs(arguments.seconds.clamp(1, most).into());
        Ok(Self {
            mqtt: Duration::from_secs(arguments.seconds.max(1).into()),
            delivery: at_most(10),
            round: at_most(5),
            soak: Duration::from_mins(arguments.minutes.max(1).into()),
            rounds: arguments.rounds.max(1),
            demo: at_most(60),
            folder,
            chart: arguments.chart.clone(),
        })
    }

    /// An empty folder on the disk that is measured; it goes when the value goes.
    fn empty_folder(&self) -> Result<TempDir, Failure> {
        Ok(tempfile::Builder::new().prefix("load-").tempdir_in(&self.folder)?)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.part {
        Some(Part::Bare { folder }) => bare::run(folder),
        Some(Part::Receivers { count, slow }) => receivers::run(*count, *slow),
        None => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "load: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let plan = Plan::of(arguments)?;
    let chosen = Row::ALL
        .into_iter()
        .filter(|row| arguments.rows.is_empty() || arguments.rows.contains(row))
        .chain(arguments.rows.contains(&Row::Soak).then_some(Row::Soak));
    let mut out = std::io::stdout();
    if arguments.list {
        for row in chosen {
            writeln!(out, "{}", format!("{row:?}").to_lowercase())?;
        }
        return Ok(());
    }
    // The program is built before anything is timed.
    let _ = musubi_tests::binary();
    // One thread: the generators are to cost as little as they can.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    writeln!(out, "{}\n", report::machine())?;
    let mut lines = Vec::new();
    let mut stores = scale::Stores::default();
    for row in chosen {
        writeln!(out, "{row:?}")?;
        let measured = runtime.block_on(async {
            match row {
                Row::Match => matching::measure(&plan),
                Row::Delivery => delivery::measure(&plan).await,
                Row::Trouble => delivery::measure_trouble(&plan).await,
                Row::Mqtt => mqtt::measure(&plan).await,
                Row::Post => writes::measure(&plan, Write::Create).await,
                Row::Patch => writes::measure(&plan, Write::Change).await,
                Row::Batch => batch::measure(&plan).await,
                Row::Cores => cores::measure(&plan).await,
                Row::Get => read::measure(&plan).await,
                Row::Feed => feed::measure(&plan).await,
                Row::Demo => demo::measure(&plan).await,
                Row::Streams => streams::measure(&plan).await,
                Row::Soak => soak::measure(&plan).await,
                Row::History => history::measure(&plan).await,
                Row::Fill => scale::fill(&plan, &mut stores).await,
                Row::Memory => scale::memory(&plan, &mut stores).await,
                Row::Query => scale::query(&plan, &mut stores).await,
                Row::Start => scale::start(&plan, &mut stores).await,
                Row::Growth => scale::growth(&plan, &mut stores).await,
            }
        });
        match measured {
            Ok(measured) => lines.extend(measured),
            Err(failure) => lines.push(Line::failed(&format!("{row:?}"), &failure)),
        }
    }
    report::print(&mut out, &lines)?;
    Ok(())
}
