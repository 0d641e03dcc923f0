//! What is due and not settled: one row for each batch of the log.

use std::collections::BTreeMap;

use musubi_model::{Sequence, Tenant, Timestamp};
use serde::{Deserialize, Serialize};

use crate::SubscriptionId;
use crate::account::AccountKey;

/// The value of an outbox record: pairs of change and subscription. Its key is the last change of
/// the batch, in twenty digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The changes that are due to somebody, in order, and when they happened.
    changes: Vec<(Sequence, Timestamp)>,
    /// To whom, and which of them.
    due: Vec<(Tenant, SubscriptionId, Vec<Sequence>)>,
}

/// The pairs of a batch, while it is being read.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    changes: Vec<(Sequence, Timestamp)>,
    due: BTreeMap<AccountKey, Vec<Sequence>>,
    pairs: usize,
}

impl Batch {
    /// Adds a pair. Changes come in their order.
    pub(crate) fn add(&mut self, key: AccountKey, sequence: Sequence, time: Timestamp) {
        if self.changes.last().is_none_or(|(last, _)| *last != sequence) {
            self.changes.push((sequence, time));
        }
        self.due.entry(key).or_default().push(sequence);
        self.pairs += 1;
    }

    /// Takes out all pairs of a subscription, and says how many they were.
    pub(crate) fn withdraw(&mut self, key: &AccountKey) -> usize {
        let withdrawn = self.due.remove(key).map_or(0, |sequences| sequences.len());
        self.pairs -= withdrawn;
        withdrawn
    }

    pub(crate) fn pairs(&self) -> usize {
        self.pairs
    }

    pub(crate) fn into_row(self) -> Row {
        let due = self.due.into_iter().map(|(key, sequences)| (key.tenant, key.id, sequences));
        Row { changes: self.changes, due: due.collect() }
    }
}

impl Row {
    /// The value of the record.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // No map and no float is in it, so this does not fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Who is named, and with which changes.
    pub(crate) fn entries(
        &self,
    ) -> impl Iterator<Item = (AccountKey, Vec<(Sequence, Timestamp)>)> + '_ {
        self.due.iter().map(|(tenant, id, sequences)| {
            (AccountKey { tenant: tenant.clone(), id: id.clone() }, self.timed(sequences))
        })
    }

    /// What is named for one subscription.
    pub(crate) fn of(&self, key: &AccountKey) -> Vec<(Sequence, Timestamp)> {
        let entry = self.due.iter().find(|(tenant, id, _)| *tenant == key.tenant && *id == key.id);
        entry.map(|(_, _, sequences)| self.timed(sequences)).unwrap_or_default()
    }

    fn timed(&self, sequences: &[Sequence]) -> Vec<(Sequence, Timestamp)> {
        let time = |sequence: &Sequence| {
            let at = self.changes.binary_search_by_key(sequence, |(sequence, _)| *sequence).ok()?;
            self.changes.get(at).map(|(_, time)| *time)
        };
        sequences.iter().map(|at| (*at, time(at).unwrap_or_default())).collect()
    }
}

/// The key of a row's record.
pub(crate) fn row_key(row: Sequence) -> String {
    format!("{:020}", row.0)
}

/// Which rows still name something that is pending. Grows by a few bytes per batch of the log for
/// as long as an endpoint is down, and
/// [`max_age`](crate::NotifierOptions::max_age) bounds that.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The subscriptions for which a row is not done.
    open: BTreeMap<Sequence, usize>,
    /// Rows to be deleted.
    done: Vec<Sequence>,
}

impl Outbox {
    /// Opens a row that names pending changes of so many subscriptions.
    pub(crate) fn open(&mut self, row: Sequence, subscriptions: usize) {
        if subscriptions == 0 {
            self.done.push(row);
        } else {
            self.open.insert(row, subscriptions);
        }
    }

    /// One subscription is done with a row.
    pub(crate) fn finish(&mut self, row: Sequence) {
        let Some(left) = self.open.get_mut(&row) else { return };
        *left -= 1;
        if *left == 0 {
            self.open.remove(&row);
            self.done.push(row);
        }
    }

    /// Up to so many rows that can be deleted.
    pub(crate) fn take_done(&mut self, limit: usize) -> Vec<Sequence> {
        let kept = self.done.len().saturating_sub(limit);
        self.done.split_off(kept)
    }

    pub(crate) fn has_done(&self) -> bool {
        !self.done.is_empty()
    }
}
