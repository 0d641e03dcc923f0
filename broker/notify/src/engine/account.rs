//! What a running notifier knows of one subscription.

use std::sync::Arc;

use musubi_model::{Sequence, Tenant, Timestamp};

use crate::SubscriptionId;
use crate::engine::applied::Applied;
use crate::engine::ledger::Book;
use crate::engine::notifications::Shown;
use crate::engine::ticket::Due;
use crate::queue::lane::{Lane, LaneState, Most};
use crate::queue::occasions::OccasionQueue;

/// Whose subscription, and which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AccountKey {
    pub(crate) tenant: Tenant,
    pub(crate) id: SubscriptionId,
}

/// A subscription, its counters and its queues.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) applied: Arc<Applied>,
    pub(crate) book: Book,
    pub(crate) lane: Lane,
    pub(crate) occasions: OccasionQueue,
    /// What is to be sent next, once that is decided: the same until it is settled.
    pub(crate) trying: Option<Due>,
    /// The save that makes [`Book::sending`] durable.
    pub(crate) recorded_by: u64,
    /// Another for each subscription that this process has seen, of the same id too.
    pub(crate) generation: u64,
    /// Whether all that is still read for it is settled as suppressed.
    pub(crate) is_ending: bool,
    /// Whether a look for more occasions is planned.
    pub(crate) collecting: bool,
    /// Whether the last attempt was refused, and what it told given up for that.
    pub(crate) is_refusing: bool,
    /// Why the last attempt failed; none if it did not.
    pub(crate) last_failure: Option<Arc<str>>,
}

/// How something pending was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Settled {
    Delivered,
    Dead,
    Suppressed,
}

/// About how many bytes of entities stand together in one notification, at most.
const MOST_BYTES: u64 = 64 * 1024;

impl Account {
    pub(crate) fn new(applied: Arc<Applied>, book: Book, lane: Lane, generation: u64) -> Self {
        Self {
            applied,
            book,
            lane,
            occasions: OccasionQueue::default(),
            trying: None,
            recorded_by: 0,
            generation,
            is_ending: false,
            collecting: false,
            is_refusing: false,
            last_failure: None,
        }
    }

    /// Counts what was settled.
    pub(crate) fn count(&mut self, how: Settled, number: u64) {
        let ledger = &mut self.book.ledger;
        ledger.pending = ledger.pending.saturating_sub(number);
        match how {
            Settled::Delivered => ledger.delivered += number,
            Settled::Dead => ledger.dead += number,
            Settled::Suppressed => ledger.suppressed += number,
        }
    }

    /// How many changes are pending.
    pub(crate) fn changes_pending(&self) -> u64 {
        self.book.ledger.pending.saturating_sub(self.occasions.pending())
    }

    /// The first change in the log that is still needed for what is in the lane or had to stay
    /// outside; none if there is nothing.
    pub(crate) fn needs_from(&self) -> Option<Sequence> {
        match self.lane.head() {
            Some(head) => Some(head.sequence),
            None if self.lane.spilled().is_some() => {
                Some(Sequence(self.book.settled.0.saturating_add(1)))
            }
            None => None,
        }
    }

    /// Whether there is something that could be sent, now that everything up to `saved` has been
    /// saved, and it is not being sent.
    pub(crate) fn is_idle(&self, saved: u64) -> bool {
        self.lane.state == LaneState::Idle
            && (self.lane.head().is_some() || self.occasions.head(saved).is_some())
    }

    /// What is to be sent next: what was tried before, or else the oldest occasion, or else
    /// changes.
    pub(crate) fn next_due(
        &self,
        saved: u64,
        is_overdue: impl Fn(Timestamp) -> bool,
    ) -> Option<Due> {
        if self.trying.is_some() {
            return self.trying.clone();
        }
        if let Some(occasion) = self.occasions.head(saved) {
            return Some(Due::Occasion(occasion.clone()));
        }
        let most = Most { changes: self.applied.subscription.max_changes(), bytes: MOST_BYTES };
        let is_failing = self.book.status.failures_in_a_row > 0;
        let changes = self.lane.compose(most, |time| is_failing && is_overdue(time));
        (!changes.is_empty()).then_some(Due::Changes(changes))
    }

    /// Whether this may be sent, because it could be put together again in the same way after a
    /// crash.
    pub(crate) fn is_recorded(&self, what: &Due, saved: u64) -> bool {
        match what.last() {
            None => true,
            last => self.book.sending == last && self.recorded_by <= saved,
        }
    }

    /// Whether this is under way, or about to be.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.lane.state, LaneState::Recording | LaneState::InFlight)
    }

    /// What everybody may see of it.
    pub(crate) fn shown(&self) -> Shown {
        let change = self.lane.head().map(|head| head.time);
        let oldest = [change, self.occasions.oldest()].into_iter().flatten().min();
        Shown {
            ledger: self.book.ledger,
            status: self.book.status,
            oldest,
            endpoint: self.applied.endpoint.clone(),
            reason: self.last_failure.clone(),
        }
    }
}
