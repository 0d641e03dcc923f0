//! Tasks that write and read beside each other.

mod kill;
mod log_reader;
mod queues;
mod reader;
mod town;
mod writers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use super::generate::Random;
use super::subject::Subject;
use super::trial::open;
use super::violation::{Breach, Rule, Violation};
use town::Town;

type Tasks = JoinSet<Result<(), Breach>>;

/// One round: a town is built, written to and read at the same time, and then killed while it is
/// written to.
pub(super) async fn live(subject: &dyn Subject, seed: u64) -> Result<(), Violation> {
    let run = async {
        let mut place = subject.place();
        let store = open(&mut *place).await?;
        let town = Arc::new(Town::new());
        town.build(&*store).await?;
        let done = Arc::new(AtomicBool::new(false));
        let mut readers = Tasks::new();
        readers.spawn(reader::read(town.clone(), store.clone(), done.clone()));
        readers.spawn(reader::read(town.clone(), store.clone(), done.clone()));
        readers.spawn(log_reader::follow(town.clone(), store.clone(), done.clone()));
        queues::spawn_readers(&mut readers, &store, &done);
        let mut tasks = Tasks::new();
        writers::spawn(&mut tasks, &town, &store, seed);
        queues::spawn_writers(&mut tasks, &store);
        let written = finished(&mut tasks).await;
        done.store(true, Ordering::Release);
        written?;
        finished(&mut readers).await?;
        town.compare_counter(&*store).await?;
        kill::kill_and_compare(place, store, &mut Random::new(seed)).await
    };
    run.await.map_err(|breach: Breach| breach.at(seed, 0))
}

/// Waits for all tasks, or for the first that found something wrong.
async fn finished(tasks: &mut Tasks) -> Result<(), Breach> {
    while let Some(ended) = tasks.join_next().await {
        let panicked = |error: tokio::task::JoinError| {
            Breach::new(Rule::Answer, "running tasks beside each other", error.to_string())
        };
        ended.map_err(panicked)??;
    }
    Ok(())
}
