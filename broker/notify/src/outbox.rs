//! What is due and not settled: one row for each batch of the log.

use std::collections::BTreeMap;

use musubi_model::{Sequence, Tenant, Timestamp};
use serde::{Deserialize, Serialize};

use crate::SubscriptionId;
use crate::account::AccountKey;

/// The value of an outbox record: pairs of change and subscription. Its key is the last change of
/// the batch, in twenty digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// The changes that are due to somebody, in order, and when they happened.
    changes: Vec<(Sequence, Timestamp)>,
    /// To whom, and which of them.
    due: Vec<(Tenant, SubscriptionId, Vec<Sequence>)>,
}

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
        let sequences: Vec<_> = self.changes.iter().map(|(sequence, _)| *sequence).collect();
        let mut before = 0;
        let times = self.changes.iter().map(|(_, time)| {
            let time = time.as_micros();
            time.wrapping_sub(std::mem::replace(&mut before, time))
        });
        let packed = Packed {
            changes: differences(&sequences).into_iter().zip(times).collect(),
            due: self
                .due
                .iter()
                .map(|(tenant, id, due)| (tenant.clone(), id.clone(), differences(due)))
                .collect(),
        };
        // Numbers and text, of which nothing can fail.
        postcard::to_allocvec(&packed).unwrap_or_default()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, postcard::Error> {
        let Packed { changes, due } = postcard::from_bytes(bytes)?;
        let (sequences, times): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
        let mut now: i64 = 0;
        let times = times.into_iter().map(|difference| {
            now = now.wrapping_add(difference);
            Timestamp::from_micros(now)
        });
        Ok(Self {
            changes: sums(&sequences).into_iter().zip(times).collect(),
            due: due.into_iter().map(|(tenant, id, due)| (tenant, id, sums(&due))).collect(),
        })
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

    /// Whether so many rows are open that new ones had better be large: each costs some hundred
    /// bytes of its own.
    pub(crate) fn is_long(&self) -> bool {
        self.open.len() >= LONG
    }
}

/// The number of open rows from which on changes are gathered for larger ones.
const LONG: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> AccountKey {
        let id = format!("urn:ngsi-ld:Subscription:{name}").parse().unwrap();
        AccountKey { tenant: "town".parse().unwrap(), id }
    }

    #[test]
    fn a_row_is_read_as_it_was_written_also_with_a_clock_that_jumps() {
        let mut batch = Batch::default();
        let times = [1_700_000_000_000_000, 1_700_000_000_000_007, 5, -3, 253_402_300_799_999_999];
        for (n, time) in times.into_iter().enumerate() {
            let sequence = Sequence(u64::MAX - 100 + 7 * u64::try_from(n).unwrap());
            batch.add(key("a"), sequence, Timestamp::from_micros(time));
            if n % 2 == 1 {
                batch.add(key("b"), sequence, Timestamp::from_micros(time));
            }
        }
        let row = batch.into_row();
        let read = Row::from_bytes(&row.to_bytes()).unwrap();
        assert_eq!(read, row);
        assert_eq!(read.of(&key("b")).len(), 2);
        assert!(Row::from_bytes(b"{\"changes\":[]}").is_err());
        assert_eq!(Row::from_bytes(&Row::default().to_bytes()).unwrap(), Row::default());
    }

    #[test]
    fn a_pair_takes_a_few_bytes() {
        let mut batch = Batch::default();
        // 5,000 changes per second.
        for n in 0..1000 {
            let time = Timestamp::from_micros(1_700_000_000_000_000 + 200 * n);
            batch.add(key("a"), Sequence(10_000_000 + u64::try_from(n).unwrap()), time);
        }
        let bytes = batch.into_row().to_bytes().len();
        assert!(bytes < 5_000, "{bytes} bytes for 1,000 pairs");
    }
}
