//! Which of the store's numbers stands for which of the reference's.

use std::collections::{BTreeMap, BTreeSet};

use musubi_model::{EntityId, Position, Revision, Tenant};

use super::violation::{Breach, Rule};
use crate::{Expect, RecordKey};

/// What has a revision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Entity(Tenant, EntityId),
    Record(RecordKey),
}

/// What a generated write expects, before it is known which numbers the stores have given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Absent,
    Any,
    /// The revision that the last write made, be it a deletion.
    Current,
    /// A revision that an earlier write made: so many before the last one.
    Stale(usize),
    /// A revision that no write has made.
    Never,
}

/// A number of the reference and the store's number for the same thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<T> {
    pub(super) reference: T,
    pub(super) store: T,
}

/// Every number that the two have given.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    revisions: BTreeMap<Key, Vec<Pair<Revision>>>,
    positions: BTreeMap<Tenant, Vec<Pair<Position>>>,
    alive: BTreeSet<Key>,
}

const NEVER: Expect = Expect::At(Revision(u64::MAX));

impl Ledger {
    /// The expectation that each of the two is told.
    pub(super) fn expectation(&self, key: &Key, wish: Wish) -> Pair<Expect> {
        let back = match wish {
            Wish::Absent => return Pair { reference: Expect::Absent, store: Expect::Absent },
            Wish::Any => return Pair { reference: Expect::Any, store: Expect::Any },
            Wish::Never => return Pair { reference: NEVER, store: NEVER },
            Wish::Current => 0,
            Wish::Stale(back) => back,
        };
        let known = self.revisions.get(key);
        match known.and_then(|known| known.iter().rev().nth(back)) {
            Some(pair) => {
                Pair { reference: Expect::At(pair.reference), store: Expect::At(pair.store) }
            }
            None => Pair { reference: NEVER, store: NEVER },
        }
    }

    /// Takes down that both have carried out a write to this key, after which it is there or not.
    pub(super) fn written(
        &mut self,
        key: &Key,
        is_there: bool,
        pair: Pair<Revision>,
    ) -> Result<(), Breach> {
        let was_there =
            if is_there { !self.alive.insert(key.clone()) } else { self.alive.remove(key) };
        if !was_there && !is_there {
            // A deletion of nothing is no write, and what it answers means nothing.
            return Ok(());
        }
        let known = self.revisions.entry(key.clone()).or_default();
        if let Some(last) = known.last().filter(|last| last.store >= pair.store) {
            let difference =
                format!("{key:?} had revision {:?} and then {:?}", last.store, pair.store);
            return Err(Breach::new(Rule::Revision, "a commit", difference));
        }
        known.push(pair);
        Ok(())
    }

    /// Takes down that both have an entity that was not there before.
    pub(super) fn created(&mut self, tenant: &Tenant, pair: Pair<Position>) -> Result<(), Breach> {
        let known = self.positions.entry(tenant.clone()).or_default();
        if let Some(last) = known.last().filter(|last| last.store >= pair.store) {
            let difference = format!(
                "an entity of {tenant:?} was created at {:?}, after one at {:?}",
                pair.store, last.store
            );
            return Err(Breach::new(Rule::Position, "a commit", difference));
        }
        known.push(pair);
        Ok(())
    }

    /// The store's revision for the reference's.
    pub(super) fn revision(&self, key: &Key, reference: Revision) -> Option<Revision> {
        let known = self.revisions.get(key)?;
        known.iter().rev().find(|pair| pair.reference == reference).map(|pair| pair.store)
    }

    /// The store's position for the reference's.
    pub(super) fn position(&self, tenant: &Tenant, reference: Position) -> Option<Position> {
        let known = self.positions.get(tenant)?;
        let index = known.binary_search_by_key(&reference, |pair| pair.reference).ok()?;
        known.get(index).map(|pair| pair.store)
    }

    /// All positions that the store has given in this tenant, those of deleted entities too.
    pub(super) fn positions(&self, tenant: &Tenant) -> Vec<Position> {
        self.positions.get(tenant).into_iter().flatten().map(|pair| pair.store).collect()
    }
}
