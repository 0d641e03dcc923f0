//! The queue of one subscription: what is pending, in the order of the log.

use std::collections::VecDeque;

use musubi_model::{Sequence, Timestamp};
use tokio::time::Instant;

use crate::queue::row::Named;

/// A change that is to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) sequence: Sequence,
    pub(crate) time: Timestamp,
    /// About how many bytes it takes in a notification.
    pub(crate) bytes: u32,
    /// The row of the outbox that names it.
    pub(crate) row: Sequence,
    /// Whether that row names no later change for this subscription.
    pub(crate) ends_row: bool,
}

/// What a lane is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneState {
    /// Nothing: it is empty, or held.
    Idle,
    /// It waits for its turn at the endpoint.
    Queued,
    /// What it is about to send is being recorded.
    Recording,
    /// Its head is being delivered.
    InFlight,
    /// It waits until then before it tries again.
    Resting(Instant),
}

/// The most that one notification holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) changes: usize,
    /// Of entities, about. A change that is larger is a notification of its own.
    pub(crate) bytes: u64,
}

/// The changes that may have been sent before a crash without a trace of how they were put
/// together. What was put together of several is recorded before it is sent, so the first of the
/// others were sent one by one, and have to be sent so again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resumption {
    /// The last change of the notification that was recorded, if there was one.
    pub(crate) recorded: Option<Sequence>,
    /// How many changes after that are sent one by one,
    pub(crate) alone: usize,
    /// up to this one.
    pub(crate) upto: Sequence,
}

/// The head of a subscription's pending changes. What does not fit stays in the outbox and is
/// read from there when there is room again.
#[derive(Debug)]
pub(crate) struct Lane {
    window: VecDeque<Pending>,
    capacity: usize,
    resumption: Resumption,
    /// The row from which on something may not have been taken in.
    spilled: Option<Sequence>,
    /// The last change that was taken in.
    loaded: Sequence,
    pub(crate) state: LaneState,
    /// Attempts at the head.
    pub(crate) attempts: u32,
    /// Attempts at the head that the endpoint refused.
    pub(crate) refusals: u32,
    /// When the head was first sent.
    pub(crate) first_sent: Option<Timestamp>,
}

impl Lane {
    /// An empty lane. Changes up to `settled` are no concern of it.
    pub(crate) fn new(settled: Sequence, resumption: Resumption) -> Self {
        Self {
            window: VecDeque::new(),
            capacity: 1,
            resumption,
            spilled: None,
            loaded: settled,
            state: LaneState::Idle,
            attempts: 0,
            refusals: 0,
            first_sent: None,
        }
    }

    /// Takes in what a row names for this subscription, as far as there is room for `capacity` of
    /// them in all. Rows come in their order.
    pub(crate) fn take_in(&mut self, row: Sequence, changes: &[Named], capacity: usize) {
        self.capacity = capacity.max(1);
        let last = changes.last().map(|named| named.sequence);
        // The row may have grown since the last time. Whoever takes in its last change ends it,
        // although that may have to stay outside now.
        if last.is_some_and(|last| last > self.loaded)
            && let Some(before) = self.window.back_mut().filter(|before| before.row == row)
        {
            before.ends_row = false;
        }
        if self.spilled.is_some() {
            return;
        }
        for &Named { sequence, time, bytes } in changes {
            if sequence <= self.loaded {
                continue;
            }
            // What was recorded as one notification has to be there as a whole.
            let is_recorded = self.resumption.recorded.is_some_and(|upto| sequence <= upto);
            if self.window.len() >= self.capacity && !is_recorded {
                self.spilled = Some(row);
                return;
            }
            let ends_row = last == Some(sequence);
            self.window.push_back(Pending { sequence, time, bytes, row, ends_row });
            self.loaded = sequence;
        }
    }

    /// The oldest pending change that is in memory.
    pub(crate) fn head(&self) -> Option<&Pending> {
        self.window.front()
    }

    /// The changes that make the next notification. Those that are overdue, and so are not to be
    /// sent at all, stand in none together with others.
    pub(crate) fn compose(
        &self,
        most: Most,
        is_overdue: impl Fn(Timestamp) -> bool,
    ) -> Vec<(Sequence, Timestamp)> {
        let Some(head) = self.window.front() else { return Vec::new() };
        let Resumption { recorded, alone, upto } = self.resumption;
        let count = if let Some(last) = recorded {
            self.window.iter().take_while(|pending| pending.sequence <= last).count()
        } else if alone > 0 && head.sequence <= upto {
            1
        } else {
            let overdue = is_overdue(head.time);
            let mut bytes = 0;
            let fits = |pending: &&Pending| {
                bytes += u64::from(pending.bytes);
                bytes <= most.bytes && is_overdue(pending.time) == overdue
            };
            self.window.iter().take(most.changes).take_while(fits).count()
        };
        let head = self.window.iter().take(count.max(1));
        head.map(|pending| (pending.sequence, pending.time)).collect()
    }

    /// Removes so many changes at the head, and forgets what was tried with them.
    pub(crate) fn pop(&mut self, count: usize) -> impl Iterator<Item = Pending> {
        self.forget();
        if self.resumption.recorded.take().is_none() {
            self.resumption.alone = self.resumption.alone.saturating_sub(count);
        }
        self.window.drain(..count.min(self.window.len()))
    }

    /// How many changes are in memory.
    pub(crate) fn len(&self) -> usize {
        self.window.len()
    }

    /// Forgets what was tried with the head.
    pub(crate) fn forget(&mut self) {
        self.attempts = 0;
        self.refusals = 0;
        self.first_sent = None;
    }

    /// Sends so many changes one by one, because they cannot stay together.
    pub(crate) fn break_up(&mut self, count: usize) {
        self.resumption.recorded = None;
        self.resumption.alone = self.resumption.alone.max(count);
        self.resumption.upto = self.resumption.upto.max(self.loaded);
    }

    /// Whether there is no room.
    pub(crate) fn is_full(&self) -> bool {
        self.window.len() >= self.capacity
    }

    /// Whether there is room for what had to stay outside.
    pub(crate) fn wants_more(&self) -> bool {
        self.spilled.is_some() && self.window.len() <= self.capacity / 4
    }

    /// The row from which on something had to stay outside.
    pub(crate) fn spilled(&self) -> Option<Sequence> {
        self.spilled
    }

    /// The last change that was taken in, or that was no concern of it from the beginning.
    pub(crate) fn loaded(&self) -> Sequence {
        self.loaded
    }

    /// Takes in what a row names that was read, if it is one of those that are next. All rows
    /// from `from` up to this one have been read just now.
    pub(crate) fn read(
        &mut self,
        (from, row): (Sequence, Sequence),
        changes: impl FnOnce() -> Vec<Named>,
        capacity: usize,
    ) {
        let is_next = self.spilled.is_some_and(|spilled| (from..=row).contains(&spilled));
        if is_next && !self.is_full() {
            self.spilled = None;
            self.take_in(row, &changes(), capacity);
            // This one again, because the last row grows.
            self.spilled = Some(row);
        }
    }

    /// Notes that all rows from `from` on have been read up to the next one, or to the end.
    pub(crate) fn pass(&mut self, from: Sequence, next: Option<Sequence>) {
        let is_passed = |spilled| spilled >= from && next.is_none_or(|next| spilled < next);
        if self.spilled.is_some_and(is_passed) && !self.is_full() {
            self.spilled = next;
        }
    }
}

#[cfg(test)]
mod tests;
