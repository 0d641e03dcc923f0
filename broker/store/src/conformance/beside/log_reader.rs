//! A task that follows the log while others write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use musubi_model::{EntityChange, Sequence};
use tokio::task::yield_now;

use super::town::{COUNTERS, INCREMENTS, Town};
use crate::conformance::trial::answered;
use crate::conformance::violation::{Breach, Rule, differing};
use crate::{Change, Store, Subject};

const DOING: &str = "following the log beside writers";

/// Follows until the writers are done and everything is read, and then looks at it.
pub(super) async fn follow(
    town: Arc<Town>,
    store: Arc<dyn Store>,
    done: Arc<AtomicBool>,
) -> Result<(), Breach> {
    let newest = store.newest();
    let mut log: Vec<Arc<Change>> = Vec::new();
    loop {
        let last = done.load(Ordering::Acquire);
        let announced = *newest.borrow();
        let cursor = log.last().map_or(Sequence(0), |change| change.sequence);
        let changes = answered(DOING, store.changes(cursor, 100).await)?;
        check_consecutive(cursor, &changes)?;
        log.extend(changes.iter().cloned());
        let reached = log.last().map_or(Sequence(0), |change| change.sequence);
        if changes.len() < 100 && reached < announced {
            let difference = differing(&announced, &reached);
            return Err(Breach::new(Rule::Newest, DOING, difference));
        }
        if last && changes.is_empty() {
            break;
        }
        yield_now().await;
    }
    town.check_counter(&log)?;
    town.check_pairs(&log)
}

fn check_consecutive(mut cursor: Sequence, changes: &[Arc<Change>]) -> Result<(), Breach> {
    for change in changes {
        if change.sequence.0 != cursor.0 + 1 {
            let difference = format!("{:?} followed {cursor:?}", change.sequence);
            return Err(Breach::new(Rule::Sequence, DOING, difference));
        }
        cursor = change.sequence;
    }
    Ok(())
}

fn entity(change: &Change) -> Option<&EntityChange> {
    match &change.subject {
        Subject::Entity(entity) => Some(entity),
        Subject::Record(_) | Subject::Evolution(_) => None,
    }
}

impl Town {
    /// The counter goes through every number once.
    fn check_counter(&self, log: &[Arc<Change>]) -> Result<(), Breach> {
        let changes = log.iter().filter_map(|change| entity(change));
        let of_counter = changes.filter(|change| change.id == self.counter);
        let states = of_counter.filter_map(|change| change.after.as_deref());
        let numbers: Result<Vec<_>, _> = states.map(|state| self.numbered.number(state)).collect();
        let (expected, given) = ((0..=COUNTERS * INCREMENTS).collect::<Vec<_>>(), numbers?);
        if expected == given {
            return Ok(());
        }
        Err(Breach::new(Rule::LostUpdate, DOING, differing(&expected, &given)))
    }

    /// The changes of a group stand beside each other.
    fn check_pairs(&self, log: &[Arc<Change>]) -> Result<(), Breach> {
        let mut changes = log.iter().filter_map(|change| entity(change));
        while let Some(change) = changes.next() {
            let Some((_, right)) = self.pairs.iter().find(|(left, _)| *left == change.id) else {
                continue;
            };
            let number = |change: &EntityChange| {
                change.after.as_deref().map(|state| self.numbered.number(state)).transpose()
            };
            match changes.next() {
                Some(next) if next.id == *right && number(next)? == number(change)? => {}
                other => {
                    let difference = differing(right, &other.map(|next| &next.id));
                    return Err(Breach::new(Rule::Whole, DOING, difference));
                }
            }
        }
        Ok(())
    }
}
