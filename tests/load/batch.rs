//! Batch upserts of 1,000 entities with `sync`: of entities that were not there, and of the same ones
//! again with another value.

use std::time::Duration;

use musubi_tests::Musubi;

use crate::generator::{Load, Numbers};
use crate::measured::{self, Measured};
use crate::report::{Line, Mark, say};
use crate::sample::number;
use crate::{Failure, Plan, entities};

/// Entities in a request.
const SIZE: u32 = 1000;
/// Connections, each with one request at a time.
const CONNECTIONS: u32 = 4;
/// How many requests' entities are written over and over.
const REQUESTS: u32 = 20;
/// Entities per CPU second of the broker.
const REACH: f64 = 40_000.0;

/// A load of batches, without a time yet: of entities that are not there, or of those that [`fill`]
/// created.
pub(crate) fn load(server: &Musubi, is_new: bool) -> Load {
    Load {
        server: server.http,
        template: entities::upsert(server.http, SIZE),
        connections: CONNECTIONS,
        expected: if is_new { 201 } else { 204 },
        // As many requests as there are numbers for their entities.
        numbers: if is_new { Numbers::once(u32::MAX / SIZE) } else { Numbers::around(REQUESTS) },
        time: Duration::ZERO,
    }
}

/// Creates what is written over and over.
///
/// # Errors
///
/// If it is not created.
pub(crate) async fn fill(server: &Musubi) -> Result<(), Failure> {
    let first = Numbers::once(REQUESTS);
    let load = Load { numbers: first, time: Duration::from_mins(1), ..load(server, true) };
    measured::run(&load).await.map(drop)
}

/// Measures batches.
///
/// # Errors
///
/// If the broker does not start or answer.
pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for (is_new, what) in [(true, "new entities"), (false, "entities that are there")] {
        let folder = plan.empty_folder()?;
        let arguments = ["--durability", "sync", "--log-level", "warn"];
        let server = Musubi::serve(folder.path(), &arguments);
        if !is_new {
            fill(&server).await?;
        }
        let load = Load { time: plan.round, ..load(&server, is_new) };
        let mut measured = Measured::default();
        for _ in 0..plan.rounds {
            measured.round(server.id(), &load).await?;
        }
        say(&format!("batches of {what}: {measured}"));
        let each = measured.processor.median() / f64::from(SIZE);
        let per_second = 1e6 / each.max(0.001);
        lines.push(Line::new(
            format!("batch upsert of {} {what}, `sync`", number(SIZE.into())),
            format!("≥ {} entities per CPU second of the broker", number(REACH)),
            format!(
                "{}: {} µs of CPU each; {} entities/s, p99 {} ms",
                number(per_second),
                number(each),
                number(measured.rate.median() * f64::from(SIZE)),
                measured.tail,
            ),
            Mark::of(per_second >= REACH),
        ));
    }
    Ok(lines)
}
