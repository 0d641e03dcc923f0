//! Reading an entity, and a page of 20 of 100, beside a server that answers the same bytes from
//! memory.

use std::net::SocketAddr;
use std::time::Duration;

use musubi_tests::Musubi;

use crate::bare::Question;
use crate::generator::{Load, Numbers, Template};
use crate::measured::{self, Measured};
use crate::report::{Line, Mark, say};
use crate::sample::number;
use crate::{Failure, Plan, bare, entities};

const ENTITIES: u32 = 100;
const CONNECTIONS: u32 = 50;
/// What is asked, and how much of the bare server's rate is to be reached.
type Row = (&'static str, f64, fn(SocketAddr) -> Template);

const ROWS: [Row; 2] = [
    ("`GET /entities/{id}`", 0.8, entities::retrieve),
    ("page of 20 of 100", 0.75, entities::page),
];

/// One of the two servers.
#[derive(Debug)]
struct Side {
    name: &'static str,
    server: Musubi,
}

/// Measures both kinds of reading.
///
/// # Errors
///
/// If a server does not start or answer.
pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let folder = plan.empty_folder()?;
    let musubi = Musubi::serve(&folder.path().join("data"), &["--log-level", "warn"]);
    entities::fill(musubi.http, ENTITIES).await?;
    for (question, template) in [(Question::Entity, ROWS[0].2), (Question::Page, ROWS[1].2)] {
        let mut template = template(musubi.http);
        let place = (question, folder.path());
        bare::record(musubi.http, template.with(0, 0), 200, place).await?;
    }
    let bare = bare::start(folder.path())?;
    let sides = [Side { name: "bare", server: bare }, Side { name: "musubi", server: musubi }];
    let mut lines = Vec::new();
    for row in ROWS {
        lines.push(compare(plan, &sides, row).await?);
    }
    Ok(lines)
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
            let load = Load {
                server: address,
                template: template(address),
                connections: CONNECTIONS,
                expected: 200,
                numbers: Numbers::around(ENTITIES),
                time,
            };
            if round == 0 {
                measured::run(&load).await?;
            } else {
                measured.round(side.server.id(), &load).await?;
            }
        }
    }
    for (side, measured) in sides.iter().zip(&all) {
        say(&format!("{what}, {}: {measured}", side.name));
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
