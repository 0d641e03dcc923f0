//! What is due and not settled: rows, each of which names pairs of change and subscription.

use std::collections::BTreeMap;

use musubi_model::Sequence;
use rustc_hash::FxHashSet;

use crate::engine::account::AccountKey;
use crate::queue::row::{Batch, Row};

/// Which rows still name something that is pending.
///
/// As a rule there is a row for each batch of the log. While many rows are open, what is due is
/// added to the last one, without what has been settled of it meanwhile, until so much has been
/// written for it that another one is better. So a subscription that is behind leaves few rows,
/// although nothing waits for them to fill; and the longer the outbox is, the larger they get.
/// With all of 5,000 changes in a second pending for a day, written 250 times a second, there are
/// some 150,000 rows of up to 25 KB, which take 6 MB here.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The subscriptions for which a row is not done.
    open: BTreeMap<Sequence, usize>,
    /// Rows to be deleted.
    done: Vec<Sequence>,
    /// The last row that was opened.
    last: Sequence,
    tail: Option<Tail>,
}

/// The last row, to which more may be added.
#[derive(Debug)]
struct Tail {
    row: Sequence,
    pairs: Batch,
    /// The subscriptions for which it is not done.
    waiting: FxHashSet<AccountKey>,
    /// Bytes that have been written for it, all of it each time.
    written: usize,
    /// Whether something was added that is not accepted yet.
    is_growing: bool,
    /// Whether nothing more is to be added.
    is_sealed: bool,
}

/// The number of open rows from which on more is added to the last one.
pub(crate) const MANY: usize = 16;

/// A row of so many bytes is not added to.
const LARGE: usize = 64 * 1024;

/// Nor is one for which so many bytes have been written, and by how many that is more for each row
/// that is open.
const WRITTEN: usize = 256 * 1024;
const MORE: usize = 16;

impl Outbox {
    /// Says where to write what is due because of the log up to `cursor`, and what the record
    /// there is with it. What is settled, as far as the caller says, is left out of a row that
    /// grows. The pairs are to be [accepted](Self::accept) when that has been written.
    pub(crate) fn add(
        &mut self,
        cursor: Sequence,
        due: &Row,
        settled: impl Fn(&AccountKey) -> Option<Sequence>,
    ) -> (Sequence, Vec<u8>) {
        let most = WRITTEN + MORE * self.open.len();
        let is_many = self.open.len() >= MANY;
        if let Some(tail) = self.tail.as_mut().filter(|tail| is_many && !tail.is_sealed) {
            tail.pairs.settle(settled);
            tail.pairs.extend(due);
            tail.is_growing = true;
            let bytes = tail.pairs.to_bytes();
            tail.written += bytes.len();
            tail.is_sealed = tail.written > most || bytes.len() > LARGE;
            return (tail.row, bytes);
        }
        let bytes = due.to_bytes();
        self.tail = is_many.then(|| {
            let mut pairs = Batch::default();
            pairs.extend(due);
            Tail {
                row: cursor,
                pairs,
                waiting: FxHashSet::default(),
                written: bytes.len(),
                is_growing: true,
                is_sealed: bytes.len() > LARGE,
            }
        });
        (cursor, bytes)
    }

    /// Opens a row for these subscriptions, or keeps it open for them too.
    pub(crate) fn accept(&mut self, row: Sequence, subscriptions: &[&AccountKey]) {
        self.last = self.last.max(row);
        let mut number = subscriptions.len();
        if let Some(tail) = self.tail.as_mut().filter(|tail| tail.row == row) {
            tail.is_growing = false;
            let before = tail.waiting.len();
            for key in subscriptions {
                if !tail.waiting.contains(*key) {
                    tail.waiting.insert((*key).clone());
                }
            }
            number = tail.waiting.len() - before;
        }
        let waiting = self.open.entry(row).or_default();
        *waiting += number;
        if *waiting == 0 {
            self.close(row);
        }
    }

    /// A subscription is done with a row.
    pub(crate) fn finish(&mut self, row: Sequence, key: &AccountKey) {
        let mut is_growing = false;
        if let Some(tail) = self.tail.as_mut().filter(|tail| tail.row == row) {
            if !tail.waiting.remove(key) {
                // It is not counted: it had read what is being added, and that is not accepted.
                return;
            }
            is_growing = tail.is_growing;
        }
        let Some(left) = self.open.get_mut(&row) else { return };
        *left = left.saturating_sub(1);
        // What grows is wanted again when what was added is accepted.
        if *left == 0 && !is_growing {
            self.close(row);
        }
    }

    fn close(&mut self, row: Sequence) {
        self.open.remove(&row);
        self.done.push(row);
        self.tail.take_if(|tail| tail.row == row);
    }

    /// The last row that waits for a subscription that is gone, now that it is done with what it
    /// had in memory. Nothing more is added to that row, so that it does not name another
    /// subscription of the same id, too.
    pub(crate) fn part_with(&mut self, key: &AccountKey) -> Sequence {
        let last = self.last;
        match self.tail.as_mut().filter(|tail| tail.row == last) {
            // What is on its way to it will not be accepted for a subscription that is gone.
            Some(tail) if !tail.waiting.contains(key) => Sequence(last.0.saturating_sub(1)),
            Some(tail) => {
                tail.is_sealed = true;
                last
            }
            None => last,
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

#[cfg(test)]
mod tests;
