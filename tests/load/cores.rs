//! The same runs with one core and with two for the broker.
//!
//! This program, which makes the requests, keeps to the last of the machine's cores. On a machine
//! with two of them, the broker has that one beside it when it has both, so the rate cannot double:
//! what shows whether the cores get in each other's way is the CPU time of a request.

mod affinity;

use std::path::Path;

use musubi_tests::Musubi;

use crate::cores::affinity::Cores;
use crate::generator::{Load, Numbers};
use crate::measured::{self, Measured};
use crate::mqtt::fleet::Fleet;
use crate::report::{Line, Mark, say};
use crate::sample::number;
use crate::writes::Write;
use crate::{Failure, Plan, batch, entities, mqtt};

/// How many entities are read.
const ENTITIES: u32 = 100;
const CONNECTIONS: u32 = 50;
/// How much more CPU time a request may take with two cores than with one.
const REACH: f64 = 1.25;

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Get,
    Page,
    Patch,
    Post,
    Batch,
    Mqtt,
}

impl Key {
    const ALL: [Self; 6] =
        [Self::Get, Self::Page, Self::Patch, Self::Post, Self::Batch, Self::Mqtt];

    fn what(self) -> &'static str {
        match self {
            Self::Get => "`GET /entities/{id}`",
            Self::Page => "page of 20 of 100",
            Self::Patch => "`PATCH …/attrs/{attr}`, `interval`",
            Self::Post => "`POST /entities`, `interval`",
            Self::Batch => "batch upsert of 1,000, `sync`",
            Self::Mqtt => "MQTT message, `interval`",
        }
    }
}

/// What loads a broker.
#[derive(Debug)]
enum Work {
    Http(Load),
    Mqtt(Vec<Fleet>),
}

/// A broker with some of the cores, and what was measured of it.
#[derive(Debug)]
struct Side {
    server: Musubi,
    work: Work,
    measured: Measured,
}

impl Side {
    /// Starts a broker on these cores, and has everything there that the runs need.
    async fn start(key: Key, folder: &Path, cores: &[usize], own: &Cores) -> Result<Self, Failure> {
        own.bind(cores)?;
        // What is started now inherits these cores.
        let server = serve(key, folder);
        own.bind_to_last()?;
        let server = server?;
        let address = server.http;
        let read = |template| Load {
            server: address,
            template,
            connections: CONNECTIONS,
            expected: 200,
            numbers: Numbers::around(ENTITIES),
            time: std::time::Duration::ZERO,
        };
        let work = match key {
            Key::Get | Key::Page => {
                entities::fill(address, ENTITIES).await?;
                let is_page = key == Key::Page;
                let template = if is_page { entities::page } else { entities::retrieve };
                Work::Http(read(template(address)))
            }
            Key::Patch => {
                Write::Change.prepare(address).await?;
                Work::Http(Write::Change.load(address))
            }
            Key::Post => Work::Http(Write::Create.load(address)),
            Key::Batch => {
                batch::fill(&server).await?;
                Work::Http(batch::load(&server, false))
            }
            Key::Mqtt => Work::Mqtt(mqtt::devices(&server).await?),
        };
        Ok(Self { server, work, measured: Measured::default() })
    }

    async fn round(&mut self, plan: &Plan, is_counted: bool) -> Result<(), Failure> {
        match &mut self.work {
            Work::Http(load) => {
                load.time = plan.round;
                if is_counted {
                    self.measured.round(self.server.id(), load).await?;
                } else {
                    load.time = plan.round.min(std::time::Duration::from_secs(1));
                    measured::run(load).await?;
                }
            }
            Work::Mqtt(fleets) if is_counted => {
                let outcome = mqtt::flood(&self.server, std::mem::take(fleets), plan.round).await?;
                outcome.note(&mut self.measured);
                *fleets = outcome.into_fleets().0;
            }
            // The devices have published before.
            Work::Mqtt(_) => {}
        }
        Ok(())
    }
}

fn serve(key: Key, folder: &Path) -> Result<Musubi, Failure> {
    let durability = match key {
        Key::Mqtt => return mqtt::start(folder),
        Key::Batch => "sync",
        Key::Get | Key::Page | Key::Patch | Key::Post => "interval",
    };
    let arguments = ["--durability", durability, "--log-level", "warn"];
    Ok(Musubi::serve(&folder.join("data"), &arguments))
}

/// Measures all of it.
///
/// # Errors
///
/// If there are not two cores, or a broker does not start or answer.
pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let own = Cores::of_this_process()?;
    let [first, second] = own.first_two()?;
    own.bind_to_last()?;
    let mut lines = Vec::new();
    for key in Key::ALL {
        let mut sides = Vec::new();
        let folders = [plan.empty_folder()?, plan.empty_folder()?];
        for (cores, folder) in [&[first][..], &[first, second]].into_iter().zip(&folders) {
            sides.push(Side::start(key, folder.path(), cores, &own).await?);
        }
        for round in 0..=plan.rounds {
            for side in &mut sides {
                side.round(plan, round > 0).await?;
            }
        }
        let measured: Vec<_> = sides.into_iter().map(|side| side.measured).collect();
        if let [one, two] = measured.as_slice() {
            lines.push(compare(key, one, two));
        }
    }
    Ok(lines)
}

fn compare(key: Key, one: &Measured, two: &Measured) -> Line {
    for (side, cores) in [(one, "1 core"), (two, "2 cores")] {
        say(&format!("{}, {cores}: {side}", key.what()));
    }
    let [alone, both] = [one, two].map(|side| side.processor.median());
    let ratio = both / alone.max(0.01);
    let busy = two.rate.median() * both / 1e6;
    Line::new(
        format!("{}, broker on 1 core and on 2", key.what()),
        format!("CPU each with 2 ≤ {REACH} × with 1"),
        format!(
            "{} ×: {} and {} µs of CPU each; {}/s and {}/s ({} ×, {} cores used, the generator's {} \
             µs each beside it)",
            number(ratio),
            number(alone),
            number(both),
            one.rate,
            two.rate,
            number(two.rate.median() / one.rate.median().max(0.01)),
            number(busy),
            number(two.generator.median()),
        ),
        Mark::of(ratio <= REACH),
    )
}
