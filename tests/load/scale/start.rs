//! How soon a broker serves.

use musubi_tests::Musubi;
use tokio::time::Instant;

use super::Stores;
use crate::report::{Line, Mark};
use crate::sample::{Sample, number};
use crate::usage::{Processor, Threads};
use crate::{Failure, Plan};

/// How often an empty broker is started.
const STARTS: usize = 11;
/// In milliseconds.
const EMPTY: f64 = 15.0;
/// In seconds.
const LARGE: f64 = 3.0;

/// Measures from starting the program to its ready line.
///
/// # Errors
///
/// If it does not start or end.
pub(crate) async fn measure(plan: &Plan, stores: &mut Stores) -> Result<Vec<Line>, Failure> {
    Ok(vec![empty(plan)?, large(plan, stores).await?])
}

fn empty(plan: &Plan) -> Result<Line, Failure> {
    let (mut new, mut again, mut processor) =
        (Sample::default(), Sample::default(), Sample::default());
    for _ in 0..STARTS {
        let folder = plan.empty_folder()?;
        for times in [&mut new, &mut again] {
            let begun = Instant::now();
            let server = Musubi::serve(&folder.path().join("data"), &["--log-level", "warn"]);
            times.add(begun.elapsed().as_secs_f64() * 1e3);
            processor.add(Threads::now(server.id())?.all().as_secs_f64() * 1e3);
            server.stop();
        }
    }
    Ok(Line::new(
        "start, empty, from spawning the process to its ready line",
        format!("≤ {EMPTY} ms"),
        format!("{again} ms; {new} ms where there is no folder yet; {processor} ms of CPU"),
        Mark::of(again.median() <= EMPTY && new.median() <= EMPTY),
    ))
}

/// After a stop and after a kill, in turn.
async fn large(plan: &Plan, stores: &mut Stores) -> Result<Line, Failure> {
    let store = stores.largest(plan).await?;
    let (mut stopped, mut killed, mut processor) =
        (Sample::default(), Sample::default(), Sample::default());
    for _ in 0..plan.rounds.min(3) {
        for is_killed in [false, true] {
            store.rest().await?;
            if is_killed {
                store.kill();
            } else {
                store.stop()?;
            }
            let begun = Instant::now();
            store.serve()?;
            let times = if is_killed { &mut killed } else { &mut stopped };
            times.add(begun.elapsed().as_secs_f64());
            processor.add(Processor::start_of(store.server()?.id()).since()?.as_secs_f64());
        }
    }
    Ok(Line::new(
        format!("start, {} entities", number(store.lamps.count.into())),
        format!("≤ {LARGE} s on two cores"),
        format!("{stopped} s; {killed} s after a kill; {processor} s of CPU"),
        Mark::of(stopped.median() <= LARGE && killed.median() <= LARGE),
    ))
}
