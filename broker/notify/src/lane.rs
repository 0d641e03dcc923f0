//! The queue of one subscription: what is pending, in the order of the log.

use std::collections::VecDeque;

use musubi_model::{Sequence, Timestamp};
use tokio::time::Instant;

/// A change that is to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) sequence: Sequence,
    pub(crate) time: Timestamp,
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
    /// Its head is being delivered.
    InFlight,
    /// It waits until then before it tries again.
    Resting(Instant),
}

/// The head of a subscription's pending changes. What does not fit stays in the outbox and is
/// read from there when there is room again.
#[derive(Debug)]
pub(crate) struct Lane {
    window: VecDeque<Pending>,
    capacity: usize,
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
    pub(crate) fn new(capacity: usize, settled: Sequence) -> Self {
        Self {
            window: VecDeque::new(),
            capacity: capacity.max(1),
            spilled: None,
            loaded: settled,
            state: LaneState::Idle,
            attempts: 0,
            refusals: 0,
            first_sent: None,
        }
    }

    /// Takes in what a row names for this subscription, as far as there is room. Rows come in
    /// their order.
    pub(crate) fn take_in(&mut self, row: Sequence, changes: &[(Sequence, Timestamp)]) {
        if self.spilled.is_some() {
            return;
        }
        let last = changes.last().map(|(sequence, _)| *sequence);
        for &(sequence, time) in changes {
            if sequence <= self.loaded {
                continue;
            }
            if self.window.len() >= self.capacity {
                self.spilled = Some(row);
                return;
            }
            let ends_row = last == Some(sequence);
            self.window.push_back(Pending { sequence, time, row, ends_row });
            self.loaded = sequence;
        }
    }

    /// The oldest pending change that is in memory.
    pub(crate) fn head(&self) -> Option<&Pending> {
        self.window.front()
    }

    /// Removes the head, and forgets what was tried with it.
    pub(crate) fn pop(&mut self) -> Option<Pending> {
        self.attempts = 0;
        self.refusals = 0;
        self.first_sent = None;
        self.window.pop_front()
    }

    /// Whether there is room for what had to stay outside.
    pub(crate) fn wants_more(&self) -> bool {
        self.spilled.is_some() && self.window.len() <= self.capacity / 4
    }

    /// Whether something had to stay outside.
    pub(crate) fn is_spilled(&self) -> bool {
        self.spilled.is_some()
    }

    /// The row to read on from, if something had to stay outside. The caller takes in that row
    /// and all later ones, until the lane [is spilled](Self::is_spilled) again.
    pub(crate) fn resume(&mut self) -> Option<Sequence> {
        self.spilled.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(range: std::ops::Range<u64>) -> Vec<(Sequence, Timestamp)> {
        range.map(|n| (Sequence(n), Timestamp::default())).collect()
    }

    #[test]
    fn what_does_not_fit_is_read_again_from_its_row_and_nothing_twice() {
        let mut lane = Lane::new(4, Sequence(0));
        let rows = [
            (Sequence(3), changes(1..4)),
            (Sequence(6), changes(4..7)),
            (Sequence(8), changes(7..9)),
        ];
        for (row, changes) in &rows {
            lane.take_in(*row, changes);
        }
        let mut seen = Vec::new();
        loop {
            while let Some(pending) = lane.pop() {
                seen.push((pending.sequence.0, pending.row.0, pending.ends_row));
            }
            let Some(from) = lane.resume() else { break };
            for (row, changes) in rows.iter().filter(|(row, _)| *row >= from) {
                lane.take_in(*row, changes);
            }
        }
        let expected = [
            (1, 3, false),
            (2, 3, false),
            (3, 3, true),
            (4, 6, false),
            (5, 6, false),
            (6, 6, true),
            (7, 8, false),
            (8, 8, true),
        ];
        assert_eq!(seen, expected);
    }
}
