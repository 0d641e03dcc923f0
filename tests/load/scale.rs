//! What size does: a store of 1,000,000 entities, and smaller ones beside it.
//!
//! The stores are shared by the rows of this module: each is filled once, when the first row needs
//! it. A run that is shortened has fewer entities in the largest.

mod asking;
mod chart;
mod growth;
mod lamps;
mod memory;
mod query;
mod question;
mod start;
mod store;

pub(crate) use growth::measure as growth;
pub(crate) use memory::measure as memory;
pub(crate) use query::measure as query;
pub(crate) use start::measure as start;

use store::Store;

use crate::report::{Line, Mark};
use crate::sample::number;
use crate::{Failure, Plan};

/// How many entities there are in the smaller stores.
const SMALLER: [u32; 2] = [1_000, 30_000];
/// How many there are in the largest when the run is not shortened.
const LARGEST: u32 = 1_000_000;

/// The stores that have been filled so far.
#[derive(Debug, Default)]
pub(crate) struct Stores(Vec<Store>);

impl Stores {
    /// The store with so many entities, filled if it is not yet, and running.
    async fn of(&mut self, plan: &Plan, count: u32) -> Result<&mut Store, Failure> {
        let is_it = |store: &Store| store.lamps.count == count;
        if !self.0.iter().any(is_it) {
            self.0.push(Store::filled(plan, count).await?);
        }
        let store = self.0.iter_mut().find(|store| is_it(store)).ok_or("a store has gone")?;
        store.serve()?;
        Ok(store)
    }

    async fn largest(&mut self, plan: &Plan) -> Result<&mut Store, Failure> {
        self.of(plan, largest(plan)).await
    }
}

/// How many entities there are in the largest store: whole batches of them.
fn largest(plan: &Plan) -> u32 {
    let seconds = plan.mqtt.as_secs().min(300);
    let share = u64::from(LARGEST) * seconds / 300;
    let batches = u32::try_from(share).unwrap_or(LARGEST) / store::BATCH;
    (batches * store::BATCH).max(SMALLER[1])
}

/// The sizes at which a cost is taken.
fn sizes(plan: &Plan) -> Vec<u32> {
    let mut sizes = SMALLER.to_vec();
    sizes.push(largest(plan));
    sizes.dedup();
    sizes
}

/// Fills the largest store, and tells what that cost.
///
/// # Errors
///
/// If the broker does not start or answer.
pub(crate) async fn fill(plan: &Plan, stores: &mut Stores) -> Result<Vec<Line>, Failure> {
    const REACH: f64 = 40_000.0;
    let store = stores.largest(plan).await?;
    let count = f64::from(store.lamps.count);
    let filled = &store.filled;
    let all = filled.processor_at_rest.as_secs_f64();
    let per_second = count / all.max(0.001);
    Ok(vec![Line::new(
        format!(
            "batch upsert of {} five-attribute entities, `sync`, {} in all",
            number(store::BATCH.into()),
            number(count)
        ),
        format!("≥ {} entities per CPU second of the broker", number(REACH)),
        format!(
            "{}, with all that is done behind it; {} until the last answer; {} entities/s on {} \
             connections",
            number(per_second),
            number(count / filled.processor.as_secs_f64().max(0.001)),
            number(count / filled.time.as_secs_f64().max(0.001)),
            store::CONNECTIONS,
        ),
        Mark::of(per_second >= REACH),
    )])
}
