//! Whose turn it is to decide by what is there.

use std::array;
use std::collections::BTreeSet;
use std::hash::BuildHasher as _;

use musubi_model::{EntityId, Tenant};
use rustc_hash::FxBuildHasher;
use tokio::sync::{Mutex, MutexGuard};

/// How many turns there are at once at most.
const STRIPES: usize = 64;

/// What is recorded is read, and what is to be recorded decided by it; nothing in the log says that
/// it was still so when it was written. So whoever changes it has the turn from the reading to the
/// commit. An entity, or a tenant as such, always has the same stripe, which others may have as well.
#[derive(Debug)]
pub(crate) struct Turns([Mutex<()>; STRIPES]);

/// The turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    _held: Vec<MutexGuard<'a, ()>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self(array::from_fn(|_| Mutex::new(())))
    }
}

impl Turns {
    /// Waits for the turn with all of these entities. Whoever has it must not ask for another one.
    pub(crate) async fn take<'a>(
        &'a self,
        tenant: &Tenant,
        ids: impl IntoIterator<Item = &EntityId>,
    ) -> Turn<'a> {
        let stripes = ids.into_iter().map(|id| stripe(tenant, id.as_str()));
        let stripes: BTreeSet<usize> = stripes.collect();
        // In one order for all, so that no two wait for each other.
        let mut held = Vec::with_capacity(stripes.len());
        for (_, stripe) in self.0.iter().enumerate().filter(|(at, _)| stripes.contains(at)) {
            held.push(stripe.lock().await);
        }
        Turn { _held: held }
    }

    /// Waits for the turn with a tenant, of which only those know that ask for it so.
    pub(crate) async fn take_tenant(&self, tenant: &Tenant) -> Turn<'_> {
        let mut held = Vec::with_capacity(1);
        if let Some(stripe) = self.0.get(stripe(tenant, "")) {
            held.push(stripe.lock().await);
        }
        Turn { _held: held }
    }
}

fn stripe(tenant: &Tenant, id: &str) -> usize {
    let hash = FxBuildHasher.hash_one((tenant.as_str(), id));
    let [low, ..] = hash.to_le_bytes();
    usize::from(low) % STRIPES
}
