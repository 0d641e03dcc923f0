//! What a running notifier knows of one subscription.

use std::sync::Arc;

use musubi_model::{Sequence, Tenant};

use crate::SubscriptionId;
use crate::applied::Applied;
use crate::lane::{Lane, LaneState, Pending};
use crate::ledger::Book;
use crate::notifications::Shown;

/// Whose subscription, and which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AccountKey {
    pub(crate) tenant: Tenant,
    pub(crate) id: SubscriptionId,
}

/// A subscription, its counters and its queue.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) applied: Arc<Applied>,
    pub(crate) book: Book,
    pub(crate) lane: Lane,
    /// Another for each subscription that this process has seen, of the same id too.
    pub(crate) generation: u64,
    /// Whether a look into the outbox for more is planned.
    pub(crate) refilling: bool,
}

/// How a pending change was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Settled {
    Delivered,
    Dead,
    Suppressed,
}

impl Account {
    pub(crate) fn new(applied: Arc<Applied>, book: Book, window: usize, generation: u64) -> Self {
        let lane = Lane::new(window, book.settled);
        Self { applied, book, lane, generation, refilling: false }
    }

    /// Settles the head of the lane, and gives it back.
    pub(crate) fn settle(&mut self, how: Settled) -> Option<Pending> {
        let head = self.lane.pop()?;
        let ledger = &mut self.book.ledger;
        ledger.pending = ledger.pending.saturating_sub(1);
        match how {
            Settled::Delivered => ledger.delivered += 1,
            Settled::Dead => ledger.dead += 1,
            Settled::Suppressed => ledger.suppressed += 1,
        }
        self.book.settled = head.sequence;
        Some(head)
    }

    /// The first change in the log that is still needed for this subscription; none if nothing is
    /// pending.
    pub(crate) fn needs_from(&self) -> Option<Sequence> {
        if self.book.ledger.pending == 0 {
            return None;
        }
        let after_settled = Sequence(self.book.settled.0.saturating_add(1));
        Some(self.lane.head().map_or(after_settled, |head| head.sequence))
    }

    /// Whether the lane has something that it could send and is not at it.
    pub(crate) fn is_idle(&self) -> bool {
        self.lane.state == LaneState::Idle && self.lane.head().is_some()
    }

    /// What everybody may see of it.
    pub(crate) fn shown(&self) -> Shown {
        Shown {
            ledger: self.book.ledger,
            status: self.book.status,
            oldest: self.lane.head().map(|head| head.time),
        }
    }
}
