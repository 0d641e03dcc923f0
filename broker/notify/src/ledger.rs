//! The account of what a subscription was owed and got.

use musubi_model::{Sequence, Timestamp};
use serde::{Deserialize, Serialize};

/// What became of the changes that were due to a subscription. One change of one entity counts
/// once. At every moment `due = delivered + pending + dead + suppressed`.
///
/// A change to a subscription that is paused or has expired is not due. A change is suppressed
/// that was due and is not sent because of `throttling`, because the subscription was deleted or
/// expired meanwhile, or because it stayed paused for longer than
/// [`max_age`](crate::NotifierOptions::max_age).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// All of them.
    pub due: u64,
    /// Accepted by the endpoint.
    pub delivered: u64,
    /// Still to be delivered.
    pub pending: u64,
    /// Given up, and in the dead letters.
    pub dead: u64,
    /// Not to be sent.
    pub suppressed: u64,
}

impl Ledger {
    /// Whether everything that was due is accounted for.
    pub fn is_balanced(&self) -> bool {
        self.due == self.delivered + self.pending + self.dead + self.suppressed
    }

    /// The sum of this one and another.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            due: self.due + other.due,
            delivered: self.delivered + other.delivered,
            pending: self.pending + other.pending,
            dead: self.dead + other.dead,
            suppressed: self.suppressed + other.suppressed,
        }
    }
}

/// How the delivery to a subscription goes (CIM 009, clause 5.2.14.2). Every attempt counts, so
/// that one notification that succeeds at the third attempt was sent three times and failed
/// twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryStatus {
    /// Attempts.
    pub times_sent: u64,
    /// Attempts that the endpoint did not answer with success.
    pub times_failed: u64,
    /// Attempts that failed since the last one that did not.
    pub failures_in_a_row: u64,
    /// When the last attempt began.
    pub last_notification: Option<Timestamp>,
    /// When the last attempt that succeeded began.
    pub last_success: Option<Timestamp>,
    /// When the last attempt that failed began.
    pub last_failure: Option<Timestamp>,
}

impl DeliveryStatus {
    /// The `status` member of a notification; none before the first attempt.
    pub fn status(&self) -> Option<&'static str> {
        self.last_notification?;
        Some(if self.failures_in_a_row == 0 { "ok" } else { "failed" })
    }

    pub(crate) fn succeeded(&mut self, at: Timestamp) {
        self.times_sent += 1;
        self.failures_in_a_row = 0;
        self.last_notification = Some(at);
        self.last_success = Some(at);
    }

    pub(crate) fn failed(&mut self, at: Timestamp) {
        self.times_sent += 1;
        self.times_failed += 1;
        self.failures_in_a_row += 1;
        self.last_notification = Some(at);
        self.last_failure = Some(at);
    }
}

/// What is kept of a subscription's account: the value of its ledger record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Book {
    pub(crate) ledger: Ledger,
    pub(crate) status: DeliveryStatus,
    /// Everything up to here is settled.
    pub(crate) settled: Sequence,
    /// The time of the last change that was due and not throttled.
    pub(crate) last_due: Option<Timestamp>,
}

impl Book {
    /// Whether a change at this time comes too soon after the last one. A clock that was set back
    /// by more than the interval starts it anew.
    pub(crate) fn is_throttled(&self, interval: Option<i64>, time: Timestamp) -> bool {
        match (interval, self.last_due) {
            (Some(interval), Some(last)) => {
                time.as_micros().abs_diff(last.as_micros()) < interval.unsigned_abs()
            }
            (None, _) | (_, None) => false,
        }
    }
}
