//! What the notifier keeps in the store, and when it writes it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use musubi_model::{Sequence, Tenant};
use musubi_store::{Expect, Group, RecordKey, RecordKind, RecordWrite};
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::account::{Account, AccountKey};
use crate::ledger::Book;
use crate::notifier::State;
use crate::outbox::{Row, row_key};
use crate::{DeadNotification, Ledger, NotifyError, SubscriptionId};

/// The key of the cursor, and the beginning of the keys under which the notifier keeps the
/// subscriptions as they are at the cursor. The records of the subscriptions themselves may
/// already be further than the log has been read.
pub(crate) const CURSOR: &str = "notify";

/// The value of the cursor's record.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) sequence: Sequence,
    /// The sum over subscriptions that are no longer there.
    pub(crate) retired: Ledger,
}

/// What has changed since the last time.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    /// Subscriptions whose counters have.
    pub(crate) books: FxHashSet<AccountKey>,
    /// Subscriptions that have themselves.
    pub(crate) applied: FxHashSet<AccountKey>,
    pub(crate) dead: Vec<(Tenant, DeadNotification)>,
    /// Results of deliveries among it.
    pub(crate) results: usize,
    /// When it has to be saved.
    pub(crate) save_at: Option<Instant>,
}

/// The most dead letters in one group.
const DEAD_AT_ONCE: usize = 64;

/// The most rows of the outbox that are deleted in one group.
const ROWS_AT_ONCE: usize = 1000;

/// The pauses between attempts to write.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often a write is tried when the notifier is to stop.
const LAST_TRIES: u32 = 3;

/// The key of the notifier's copy of a subscription.
pub(crate) fn applied_key(id: &SubscriptionId) -> String {
    format!("{CURSOR}/{id}")
}

impl State<'_> {
    /// Has what is unsaved saved after this time at the latest.
    pub(crate) fn save_within(&mut self, delay: Duration) {
        let at = Instant::now() + delay;
        self.unsaved.save_at = Some(self.unsaved.save_at.map_or(at, |planned| planned.min(at)));
    }

    /// Notes that the counters of a subscription have changed.
    pub(crate) fn touch(&mut self, key: &AccountKey) {
        if !self.unsaved.books.contains(key) {
            self.unsaved.books.insert(key.clone());
        }
    }

    pub(crate) async fn save_if_due(&mut self) -> Result<(), NotifyError> {
        let is_time = self.unsaved.save_at.is_some_and(|at| at <= Instant::now());
        let is_full = self.unsaved.results >= self.options.save_results
            || self.unsaved.dead.len() >= DEAD_AT_ONCE;
        if is_time || is_full { self.save(None).await } else { Ok(()) }
    }

    /// Saves everything in one group, a new row of the outbox with it. When this returns, what
    /// the state says is what the store has.
    pub(crate) async fn save(&mut self, row: Option<(Sequence, &Row)>) -> Result<(), NotifyError> {
        let mut records = vec![self.cursor_record()];
        records.extend(row.map(|(row, value)| {
            write(RecordKind::Outbox, &Tenant::default(), row_key(row), Some(value.to_bytes()))
        }));
        for key in std::mem::take(&mut self.unsaved.books) {
            let book = self.accounts.get(&key).map(|account| to_json(&account.book));
            records.push(write(RecordKind::Ledger, &key.tenant, key.id.to_string(), book));
        }
        for key in std::mem::take(&mut self.unsaved.applied) {
            let bytes = self.accounts.get(&key).map(|account| account.applied.bytes.to_vec());
            records.push(write(RecordKind::Cursor, &key.tenant, applied_key(&key.id), bytes));
        }
        for (tenant, letter) in std::mem::take(&mut self.unsaved.dead) {
            let value = Some(to_json(&letter));
            records.push(write(RecordKind::DeadLetter, &tenant, letter.id, value));
        }
        for done in self.outbox.take_done(ROWS_AT_ONCE) {
            let key = row_key(done);
            records.push(write(RecordKind::Outbox, &Tenant::default(), key, None));
        }
        self.commit(records).await?;
        self.unsaved.results = 0;
        self.unsaved.save_at = None;
        if self.outbox.has_done() {
            self.save_within(Duration::ZERO);
        }
        self.shared.set_needed_from(self.needed_from());
        Ok(())
    }

    fn cursor_record(&self) -> RecordWrite {
        let cursor = Cursor { sequence: self.cursor, retired: self.retired };
        let value = Some(to_json(&cursor));
        write(RecordKind::Cursor, &Tenant::default(), CURSOR.to_owned(), value)
    }

    /// The first change that is needed after a crash at this moment, given that all is saved.
    pub(crate) fn needed_from(&self) -> Sequence {
        let unread = Sequence(self.cursor.0.saturating_add(1));
        let pending = self.accounts.values().filter_map(Account::needs_from);
        pending.fold(unread, Sequence::min)
    }

    /// Writes until it is written. The values are whole and no expectation is asked, so to write
    /// twice does no harm.
    async fn commit(&self, records: Vec<RecordWrite>) -> Result<(), NotifyError> {
        let group = Group { time: self.clock.now(), records, ..Group::default() };
        let mut pause = FIRST_PAUSE;
        let mut last_tries = LAST_TRIES;
        loop {
            let Err(error) = self.store.commit(vec![group.clone()]).await else { return Ok(()) };
            tracing::warn!(%error, "notifications wait because their state cannot be saved");
            let is_stopping = self.stop.clone().now_or_never().is_some();
            if is_stopping {
                last_tries -= 1;
                if last_tries == 0 {
                    return Err(NotifyError::Store(error));
                }
            }
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = self.stop.clone(), if !is_stopping => pause = FIRST_PAUSE,
            }
        }
    }
}

fn write(kind: RecordKind, tenant: &Tenant, key: String, value: Option<Vec<u8>>) -> RecordWrite {
    RecordWrite {
        key: RecordKey { kind, tenant: tenant.clone(), key },
        expect: Expect::Any,
        value: value.map(Arc::from),
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    // Counters, times and text: nothing that JSON cannot hold.
    serde_json::to_vec(value).unwrap_or_default()
}

/// The counters in a ledger record.
pub(crate) fn read_book(bytes: &[u8]) -> Result<Book, serde_json::Error> {
    serde_json::from_slice(bytes)
}
