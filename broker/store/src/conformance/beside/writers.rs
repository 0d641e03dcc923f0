//! Tasks that write.

use std::sync::Arc;

use musubi_model::EntityId;
use tokio::task::yield_now;

use super::Tasks;
use super::town::{COUNTERS, INCREMENTS, Town};
use crate::conformance::generate::Random;
use crate::conformance::trial::answered;
use crate::conformance::violation::{Breach, Rule};
use crate::{Expect, Group, Outcome, Store, Write};

/// How often each pair, and each task that moves entities, writes.
const WRITES: u64 = 30;

/// Spawns all of them.
pub(super) fn spawn(tasks: &mut Tasks, town: &Arc<Town>, store: &Arc<dyn Store>, seed: u64) {
    for _ in 0..COUNTERS {
        tasks.spawn(count(town.clone(), store.clone()));
    }
    for pair in town.pairs.clone() {
        tasks.spawn(write_pair(town.clone(), store.clone(), pair));
    }
    for (number, ids) in town.moving.chunks(town.moving.len() / 2).enumerate() {
        let random = Random::new(seed ^ u64::try_from(number).unwrap_or(0));
        tasks.spawn(moving(town.clone(), store.clone(), ids.to_vec(), random));
    }
}

/// Adds one to the counter, again and again, starting over when somebody else was faster.
async fn count(town: Arc<Town>, store: Arc<dyn Store>) -> Result<(), Breach> {
    let mut added = 0;
    let mut refused = 0;
    while added < INCREMENTS {
        let (found, number) = town.counter(&*store).await?;
        // Between reading and writing others have their turn.
        yield_now().await;
        let state = Some(town.numbered.entity(&town.counter, number + 1));
        let (tenant, id) = (town.small.clone(), town.counter.clone());
        let write = Write { tenant, id, expect: Expect::At(found.revision), state };
        match commit(&*store, vec![write]).await? {
            Outcome::Committed { .. } => added += 1,
            Outcome::Refused(_) => refused += 1,
        }
        // Who is refused was overtaken, and that happens once per increment of another.
        if refused > COUNTERS * INCREMENTS {
            let difference = "writes were refused though nobody else had written";
            return Err(Breach::new(Rule::Outcome, "counting with several tasks", difference));
        }
    }
    Ok(())
}

/// Writes both of a pair in one group: always the same number, or neither.
async fn write_pair(
    town: Arc<Town>,
    store: Arc<dyn Store>,
    (left, right): (EntityId, EntityId),
) -> Result<(), Breach> {
    for number in 1..=WRITES {
        let number = (!number.is_multiple_of(5)).then_some(number);
        let write = |id| town.numbered.write(&town.small, id, number);
        commit(&*store, vec![write(&left), write(&right)]).await?;
        yield_now().await;
    }
    Ok(())
}

/// Changes, deletes and creates entities of its own.
async fn moving(
    town: Arc<Town>,
    store: Arc<dyn Store>,
    ids: Vec<EntityId>,
    mut random: Random,
) -> Result<(), Breach> {
    for number in 1..=WRITES {
        let mut writes = Vec::new();
        for id in random.at_least_one(&ids, 10) {
            let number = random.chance(70).then_some(number);
            writes.push(town.numbered.write(&town.large, &id, number));
        }
        commit(&*store, writes).await?;
        yield_now().await;
    }
    Ok(())
}

async fn commit(store: &dyn Store, writes: Vec<Write>) -> Result<Outcome, Breach> {
    let group = Group { writes, ..Group::default() };
    let outcomes = answered("a commit beside others", store.commit(vec![group]).await)?;
    let mut outcomes = outcomes.into_iter();
    match (outcomes.next(), outcomes.next()) {
        (Some(outcome), None) => Ok(outcome),
        _ => Err(Breach::new(Rule::Outcome, "a commit beside others", "one group, one outcome")),
    }
}
