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

    /// This one without another that is part of it.
    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            due: self.due.saturating_sub(other.due),
            delivered: self.delivered.saturating_sub(other.delivered),
            pending: self.pending.saturating_sub(other.pending),
            dead: self.dead.saturating_sub(other.dead),
            suppressed: self.suppressed.saturating_sub(other.suppressed),
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

/// Why a record is no book.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnreadableBook {
    #[error(transparent)]
    Compact(#[from] postcard::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
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
    /// The last change of the notification of several changes that is being sent. What it holds is
    /// recorded before it is sent, so that after a crash it is put together in the same way.
    #[serde(default)]
    pub(crate) sending: Option<Sequence>,
    /// The moment from which the ticks of a `timeInterval` are counted: the last one, or when the
    /// interval was set.
    #[serde(default)]
    pub(crate) ticked: Option<Timestamp>,
}

/// What the record of a book begins with. Earlier versions wrote JSON, which begins otherwise.
const COMPACT: u8 = 1;

impl Book {
    /// The value of its record.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        // Numbers, of which nothing can fail.
        postcard::to_allocvec(&(COMPACT, self)).unwrap_or_default()
    }

    /// The book in a record, also in one of an earlier version.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, UnreadableBook> {
        if bytes.first() == Some(&COMPACT) {
            let (_, book): (u8, Self) = postcard::from_bytes(bytes)?;
            return Ok(book);
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// What is due is what is pending or settled. The record says it as of the last time when
    /// something was settled, so it is never more. How many are missing if it is nevertheless:
    /// nobody knows what became of them.
    pub(crate) fn sum_up(&mut self) -> u64 {
        let Ledger { due, delivered, pending, dead, suppressed } = self.ledger;
        self.ledger.due = delivered + pending + dead + suppressed;
        due.saturating_sub(self.ledger.due)
    }

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

#[cfg(test)]
mod book_tests {
    use super::*;

    #[test]
    fn a_book_is_read_as_it_was_written_also_by_an_earlier_version() {
        let ledger = Ledger { due: 3, delivered: 1, pending: 2, dead: 0, suppressed: 0 };
        let status = DeliveryStatus { times_sent: 4, ..DeliveryStatus::default() };
        let book = Book { ledger, status, settled: Sequence(9), ..Book::default() };
        assert_eq!(Book::from_bytes(&book.to_bytes()).unwrap(), book);
        let mut json = serde_json::to_value(book).unwrap();
        json.as_object_mut().unwrap().remove("sending").unwrap();
        assert_eq!(Book::from_bytes(json.to_string().as_bytes()).unwrap(), book);
        let sending =
            Book { sending: Some(Sequence(12)), last_due: Some(Timestamp::EPOCH), ..book };
        assert_eq!(Book::from_bytes(&sending.to_bytes()).unwrap(), sending);
        assert!(Book::from_bytes(b"").is_err() && Book::from_bytes(b"\x01\x02").is_err());
    }

    #[test]
    fn what_is_missing_of_what_was_due_is_counted() {
        let of = |due, pending| {
            let ledger = Ledger { due, delivered: 4, pending, dead: 1, suppressed: 1 };
            Book { ledger, ..Book::default() }
        };
        for (due, pending, lost) in [(8, 2, 0), (7, 2, 0), (9, 2, 1), (9, 0, 3)] {
            let mut book = of(due, pending);
            assert_eq!(book.sum_up(), lost);
            assert!(book.ledger.is_balanced());
        }
    }

    #[test]
    fn a_clock_that_is_set_throttles_nobody_for_longer_than_two_intervals() {
        let book = Book { last_due: Some(Timestamp::from_seconds(1000)), ..Book::default() };
        let is_throttled =
            |seconds| book.is_throttled(Some(10_000_000), Timestamp::from_seconds(seconds));
        // Set forward, it ends the interval; set back by less than that, it goes on.
        for (seconds, expected) in
            [(1009, true), (1010, false), (90_000, false), (991, true), (990, false), (0, false)]
        {
            assert_eq!(is_throttled(seconds), expected, "{seconds}");
        }
        assert!(!book.is_throttled(None, Timestamp::from_seconds(1001)));
    }
}
