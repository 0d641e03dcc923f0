//! Reading an entity, and a page of 20 of 100, beside a server that answers the same bytes from
//! memory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use musubi_tests::Musubi;

use crate::generator::{Connection, Load, Numbers, Template};
use crate::report::{Line, Mark, say};
use crate::sample::{Sample, number};
use crate::usage::{Processor, idle};
use crate::{Failure, Plan, entities};

const ENTITIES: u32 = 100;
const CONNECTIONS: u32 = 50;
/// What is asked, and how much of the bare server's rate is to be reached.
type Row = (&'static str, f64, fn(SocketAddr) -> Template);

const ROWS: [Row; 2] =
    [("`GET /entities/{id}`", 0.7, entities::retrieve), ("page of 20 of 100", 0.6, entities::page)];

/// One of the two servers.
#[derive(Debug)]
struct Side {
    name: &'static str,
    server: Musubi,
}

/// What was measured of one server.
#[derive(Debug, Default)]
struct Measured {
    rate: Sample,
    processor: Sample,
    median: Sample,
    tail: Sample,
}

/// Measures both kinds of reading.
///
/// # Errors
///
/// If a server does not start or answer.
pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let folder = plan.empty_folder()?;
    let musubi = Musubi::serve(&folder.path().join("data"), &["--log-level", "warn"]);
    fill(musubi.http).await?;
    let entity =
        record(musubi.http, entities::retrieve(musubi.http), folder.path(), "entity").await?;
    let page = record(musubi.http, entities::page(musubi.http), folder.path(), "page").await?;
    let bare =
        Musubi::start(Command::new(std::env::current_exe()?).arg("bare").args([&entity, &page]));
    let sides = [Side { name: "bare", server: bare }, Side { name: "musubi", server: musubi }];
    let mut lines = Vec::new();
    for row in ROWS {
        lines.push(compare(plan, &sides, row).await?);
    }
    Ok(lines)
}

async fn fill(server: SocketAddr) -> Result<(), Failure> {
    let run = Load {
        server,
        template: entities::create(server),
        connections: 1,
        expected: 201,
        numbers: Numbers::once(ENTITIES),
        time: Duration::from_mins(1),
    };
    let run = run.run().await?;
    if run.good == ENTITIES {
        Ok(())
    } else {
        Err(format!("{} of {ENTITIES} entities were created", run.good).into())
    }
}

/// Writes the answer to a request into a file.
async fn record(
    server: SocketAddr,
    mut template: Template,
    folder: &Path,
    name: &str,
) -> Result<PathBuf, Failure> {
    let mut connection = Connection::open(server).await?;
    let head = connection.ask(template.with(0)).await?;
    if head.status != 200 {
        return Err(format!("{name} is answered {}", head.status).into());
    }
    let path = folder.join(name);
    std::fs::write(&path, connection.answer())?;
    say(&format!("{name}: {} bytes with its head", connection.answer().len()));
    Ok(path)
}

async fn compare(
    plan: &Plan,
    sides: &[Side; 2],
    (what, reach, template): Row,
) -> Result<Line, Failure> {
    let mut all = [Measured::default(), Measured::default()];
    for round in 0..=plan.rounds {
        // The first round only warms up.
        let time = if round == 0 { Duration::from_secs(1) } else { plan.round };
        for (side, measured) in sides.iter().zip(&mut all) {
            let address = side.server.http;
            idle(side.server.id()).await?;
            let load = Load {
                server: address,
                template: template(address),
                connections: CONNECTIONS,
                expected: 200,
                numbers: Numbers::around(ENTITIES),
                time,
            };
            let before = Processor::now(side.server.id())?;
            let run = load.run().await?;
            let used = before.since()?;
            if run.other > 0 {
                return Err(format!("{}: {} answers were not 200", side.name, run.other).into());
            }
            if round > 0 {
                measured.rate.add(run.rate());
                measured.processor.add(used.as_secs_f64() * 1e6 / f64::from(run.good.max(1)));
                measured.median.add(run.latency(500));
                measured.tail.add(run.latency(990));
            }
        }
    }
    for (side, measured) in sides.iter().zip(&all) {
        say(&format!(
            "{what}, {}: {}/s, {} µs of CPU each, p50 {} ms, p99 {} ms",
            side.name, measured.rate, measured.processor, measured.median, measured.tail
        ));
    }
    let [bare, musubi] = &all;
    let ratio = musubi.rate.median() / bare.rate.median().max(1.0);
    let processor = musubi.processor.median() / bare.processor.median().max(0.01);
    Ok(Line::new(
        format!("{what}, {CONNECTIONS} connections"),
        format!("≥ {reach} of a bare axum server"),
        format!(
            "{}: {}/s of {}/s; {} µs of CPU each of {} ({} ×)",
            number(ratio),
            musubi.rate,
            bare.rate,
            number(musubi.processor.median()),
            number(bare.processor.median()),
            number(processor),
        ),
        Mark::of(ratio >= reach),
    ))
}
