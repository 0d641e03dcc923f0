//! A row of the outbox: what is due because of a batch of the log.

use std::collections::hash_map::Entry;

use musubi_model::{Sequence, Tenant, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::SubscriptionId;
use crate::engine::account::AccountKey;

/// A change that is named by a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) sequence: Sequence,
    pub(crate) time: Timestamp,
    /// About how many bytes it takes in a notification.
    pub(crate) bytes: u32,
}

/// The value of an outbox record: pairs of change and subscription. Its key is the last change of
/// the batch that it began with, in twenty digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// The changes that are due to somebody, in order.
    changes: Vec<Named>,
    /// To whom, and which of them.
    due: Vec<(AccountKey, Vec<Sequence>)>,
}

/// What a row begins with that says how large its changes are. One without begins with the number
/// of its changes, which is never zero.
const SIZED: u8 = 0;

/// About how large a change is whose row does not say.
const USUAL_BYTES: u32 = 1024;

/// A row as it is kept: every number as the difference to the one before it, which takes a few
/// bytes per pair. While an endpoint is down there may be millions of them.
#[derive(Serialize, Deserialize)]
struct Packed {
    changes: Vec<(u64, i64)>,
    due: Vec<(Tenant, SubscriptionId, Vec<u64>)>,
}

/// The differences between numbers that follow each other, the first to zero.
fn differences(numbers: &[Sequence]) -> Vec<u64> {
    let before = std::iter::once(0).chain(numbers.iter().map(|number| number.0));
    numbers.iter().zip(before).map(|(number, before)| number.0.wrapping_sub(before)).collect()
}

/// The numbers whose differences these are.
fn sums(differences: &[u64]) -> Vec<Sequence> {
    let sum = |before: &mut u64, difference: &u64| {
        *before = before.wrapping_add(*difference);
        Some(Sequence(*before))
    };
    differences.iter().scan(0, sum).collect()
}

/// The pairs of a batch, while it is being read.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    changes: Vec<Named>,
    due: FxHashMap<AccountKey, Vec<Sequence>>,
    pairs: usize,
}

impl Batch {
    /// Adds a pair. Changes come in their order.
    pub(crate) fn add(&mut self, key: AccountKey, change: Named) {
        if self.changes.last().is_none_or(|last| last.sequence != change.sequence) {
            self.changes.push(change);
        }
        self.due.entry(key).or_default().push(change.sequence);
        self.pairs += 1;
    }

    /// Takes out all pairs of a subscription.
    pub(crate) fn withdraw(&mut self, key: &AccountKey) {
        if let Entry::Occupied(entry) = self.due.entry(key.clone()) {
            self.pairs -= entry.remove().len();
        }
    }

    pub(crate) fn pairs(&self) -> usize {
        self.pairs
    }

    /// Leaves out what is settled, up to where that is so for each subscription, and all of those
    /// that are gone.
    pub(crate) fn settle(&mut self, settled: impl Fn(&AccountKey) -> Option<Sequence>) {
        let mut count = 0;
        self.due.retain(|key, due| {
            let done = settled(key).map_or(due.len(), |upto| due.partition_point(|at| *at <= upto));
            due.drain(..done);
            count += done;
            !due.is_empty()
        });
        if count > 0 {
            self.pairs -= count;
            let named: FxHashSet<_> = self.due.values().flatten().copied().collect();
            self.changes.retain(|change| named.contains(&change.sequence));
        }
    }

    /// Adds the pairs of a row, all of later changes.
    pub(crate) fn extend(&mut self, row: &Row) {
        self.changes.extend(&row.changes);
        for (key, sequences) in &row.due {
            self.due.entry(key.clone()).or_default().extend(sequences);
            self.pairs += sequences.len();
        }
    }

    pub(crate) fn into_row(self) -> Row {
        Row { changes: self.changes, due: self.due.into_iter().collect() }
    }

    /// The value of the record of a row with these pairs.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        to_bytes(&self.changes, self.due.iter())
    }
}

fn to_bytes<'a>(
    changes: &[Named],
    due: impl Iterator<Item = (&'a AccountKey, &'a Vec<Sequence>)>,
) -> Vec<u8> {
    let sequences: Vec<_> = changes.iter().map(|named| named.sequence).collect();
    let mut before = 0;
    let times = changes.iter().map(|named| {
        let time = named.time.as_micros();
        time.wrapping_sub(std::mem::replace(&mut before, time))
    });
    let due = due.map(|(key, due)| {
        let AccountKey { tenant, id } = key.clone();
        (tenant, id, differences(due))
    });
    let packed = Packed {
        changes: differences(&sequences).into_iter().zip(times).collect(),
        due: due.collect(),
    };
    let sizes: Vec<_> = changes.iter().map(|named| named.bytes).collect();
    // Numbers and text, of which nothing can fail.
    postcard::to_allocvec(&(SIZED, sizes, packed)).unwrap_or_default()
}

impl Row {
    /// The value of the record.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        to_bytes(&self.changes, self.due.iter().map(|(key, due)| (key, due)))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, postcard::Error> {
        let (sizes, packed) = if bytes.first() == Some(&SIZED) && bytes.len() > 2 {
            let (_, sizes, packed): (u8, Vec<u32>, Packed) = postcard::from_bytes(bytes)?;
            (sizes, packed)
        } else {
            (Vec::new(), postcard::from_bytes(bytes)?)
        };
        let (sequences, times): (Vec<_>, Vec<_>) = packed.changes.into_iter().unzip();
        let mut now: i64 = 0;
        let times = times.into_iter().map(|difference| {
            now = now.wrapping_add(difference);
            Timestamp::from_micros(now)
        });
        let sizes = sizes.into_iter().chain(std::iter::repeat(USUAL_BYTES));
        let changes = sums(&sequences).into_iter().zip(times).zip(sizes);
        let changes = changes.map(|((sequence, time), bytes)| Named { sequence, time, bytes });
        let due = packed.due.into_iter().map(|(tenant, id, due)| {
            let key = AccountKey { tenant, id };
            (key, sums(&due))
        });
        Ok(Self { changes: changes.collect(), due: due.collect() })
    }

    /// The first change that it names.
    pub(crate) fn first(&self) -> Option<Sequence> {
        self.changes.first().map(|named| named.sequence)
    }

    /// Who is named, and with the places of which changes.
    pub(crate) fn due(&self) -> impl Iterator<Item = (&AccountKey, &[Sequence])> + '_ {
        self.due.iter().map(|(key, sequences)| (key, &**sequences))
    }

    /// Who is named, and with which changes.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&AccountKey, Vec<Named>)> + '_ {
        self.due.iter().map(|(key, sequences)| (key, self.named(sequences)))
    }

    /// The changes at these places.
    pub(crate) fn named(&self, sequences: &[Sequence]) -> Vec<Named> {
        let find = |sequence: &Sequence| {
            let at = self.changes.binary_search_by_key(sequence, |named| named.sequence).ok()?;
            self.changes.get(at).copied()
        };
        sequences.iter().filter_map(find).collect()
    }
}

/// The key of a row's record.
pub(crate) fn row_key(row: Sequence) -> String {
    format!("{:020}", row.0)
}

#[cfg(test)]
mod tests;
