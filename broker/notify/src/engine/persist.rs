//! What the notifier keeps in the store, and when it writes it.
//!
//! Everything is written in one group: what was read of the log, what is due because of it, what
//! became of deliveries. While a group is on its way the next one gathers, so there is one at a
//! time, and the longer it takes the more is in the next.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use musubi_model::{Sequence, Tenant, Timestamp};
use musubi_store::{Expect, Group, RecordKey, RecordKind, RecordWrite, Store};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::engine::account::{Account, AccountKey};
use crate::engine::chores::Chore;
use crate::engine::notifier::{ENDS_AT_ONCE, State};
use crate::engine::ticket::Ticket;
use crate::queue::row::{Row, row_key};
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
    /// The most changes of a subscription that may have been sent one by one without a trace of it;
    /// grows only.
    #[serde(default)]
    pub(crate) alone: usize,
    /// When it was written.
    #[serde(default)]
    pub(crate) at: Option<Timestamp>,
    /// What the clock said when it had last jumped.
    #[serde(default)]
    pub(crate) jumped_at: Option<Timestamp>,
}

/// Tenant and key of an occasion's record.
pub(crate) type OccasionName = (Tenant, String);

/// What has changed since the last time.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    /// Subscriptions whose counters have, other than by what a row of the outbox says.
    pub(crate) books: FxHashSet<AccountKey>,
    /// Subscriptions that have themselves.
    pub(crate) applied: FxHashSet<AccountKey>,
    pub(crate) dead: Vec<(Tenant, DeadNotification)>,
    /// Records of occasions: new ones, and such as are to go.
    pub(crate) occasions: FxHashMap<OccasionName, Option<Arc<[u8]>>>,
    /// Records of entities that were told to be silent: new ones, and such as are to go.
    pub(crate) silences: FxHashMap<OccasionName, Option<Arc<[u8]>>>,
    /// Subscriptions with new occasions.
    pub(crate) occurred: FxHashSet<AccountKey>,
    /// Subscriptions of which some occasions are to go, and more after that.
    pub(crate) forgotten: Vec<AccountKey>,
    /// Notifications of several changes that can be sent when what they hold has been saved.
    pub(crate) recording: Vec<Arc<Ticket>>,
    /// Results of deliveries among it.
    pub(crate) results: usize,
    /// When it has to be saved.
    pub(crate) save_at: Option<Instant>,
}

/// A group on its way to the store.
pub(crate) struct Saving<'s> {
    /// Only for the state to be of use to several threads; nobody ever waits for it.
    pub(crate) future: Mutex<BoxFuture<'s, Result<(), NotifyError>>>,
    pub(crate) done: Done,
}

/// What is so once a group is saved.
#[derive(Debug)]
pub(crate) struct Done {
    number: u64,
    row: Option<(Sequence, Row)>,
    cursor: Sequence,
    needed_from: Option<Sequence>,
    recording: Vec<Arc<Ticket>>,
    occurred: FxHashSet<AccountKey>,
    forgotten: Vec<AccountKey>,
    /// Occasions whose records go.
    pub(crate) going: FxHashSet<OccasionName>,
}

/// The most dead letters in one group.
const DEAD_AT_ONCE: usize = 64;

/// The most rows of the outbox that are deleted in one group.
const ROWS_AT_ONCE: usize = 1000;

/// With more subscriptions behind than this, what is needed of the log is not asked with every
/// group, but only so often.
pub(crate) const MANY_BEHIND: usize = 500;
const ASK_AGAIN: Duration = Duration::from_millis(250);

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
        self.show_later(key);
    }

    /// Whether so much is unsaved of what became of deliveries that no more should begin.
    pub(crate) fn has_many_results(&self) -> bool {
        self.unsaved.results >= self.options.save_results.max(1)
            || self.unsaved.dead.len() >= DEAD_AT_ONCE
    }

    /// The most changes of one subscription that can have been sent one by one and are not saved
    /// as settled: those of the group on its way, as many again, and one that is under way.
    pub(crate) fn most_alone(&self) -> usize {
        let bound = 2 * (self.options.save_results.max(1) + 1) + ENDS_AT_ONCE + 1;
        bound.max(self.alone)
    }

    /// Begins to save if it is time to, and the last group is there.
    pub(crate) fn save_if_due(&mut self) {
        let is_time = self.unsaved.save_at.is_some_and(|at| at <= Instant::now());
        if self.saving.is_none() && (is_time || self.has_many_results()) {
            self.begin_save();
        }
    }

    /// Sends everything that has changed on its way to the store, in one group.
    pub(crate) fn begin_save(&mut self) {
        let number = self.next_save;
        self.next_save += 1;
        self.alone = self.most_alone();
        let unsaved = std::mem::take(&mut self.unsaved);
        let batch = std::mem::take(&mut self.batch);
        let due = (batch.pairs() > 0).then(|| batch.into_row());
        let settled = |key: &AccountKey| self.accounts.get(key).map(|it| it.book.settled);
        let written = due.as_ref().map(|due| self.outbox.add(self.cursor, due, settled));
        let row = written.as_ref().map(|(row, _)| *row).zip(due);
        let needed_from = self.needed_from(row.as_ref().and_then(|(_, row)| row.first()));
        let going = unsaved.occasions.iter().filter(|(_, value)| value.is_none());
        let done = Done {
            number,
            cursor: self.cursor,
            needed_from,
            going: going.map(|(name, _)| name.clone()).collect(),
            recording: unsaved.recording,
            occurred: unsaved.occurred,
            forgotten: unsaved.forgotten,
            row,
        };
        let mut records = vec![self.cursor_record()];
        records.extend(written.map(|(row, value)| {
            write(RecordKind::Outbox, &Tenant::default(), row_key(row), Some(value))
        }));
        for key in unsaved.books {
            let book = self.accounts.get(&key).map(|account| account.book.to_bytes());
            records.push(write(RecordKind::Ledger, &key.tenant, key.id.to_string(), book));
        }
        for key in unsaved.applied {
            let bytes = self.accounts.get(&key).map(|account| account.applied.bytes.to_vec());
            records.push(write(RecordKind::Cursor, &key.tenant, applied_key(&key.id), bytes));
        }
        for (tenant, letter) in unsaved.dead {
            let value = Some(to_json(&letter));
            records.push(write(RecordKind::DeadLetter, &tenant, letter.id, value));
        }
        for (kind, all) in
            [(RecordKind::Occasion, unsaved.occasions), (RecordKind::Silence, unsaved.silences)]
        {
            records.extend(all.into_iter().map(|((tenant, key), value)| RecordWrite {
                key: RecordKey { kind, tenant, key },
                expect: Expect::Any,
                value,
            }));
        }
        for done in self.outbox.take_done(ROWS_AT_ONCE) {
            records.push(write(RecordKind::Outbox, &Tenant::default(), row_key(done), None));
        }
        let group = Group { time: self.clock.now(), records, ..Group::default() };
        let future = commit(Arc::clone(&self.store), group, self.stop.clone()).boxed();
        self.saving = Some(Saving { future: Mutex::new(future), done });
    }

    /// What was on its way is saved.
    pub(crate) fn end_save(&mut self, done: Done) {
        self.saved = done.number;
        if let Some((at, row)) = done.row {
            self.accept(at, &row);
        }
        if !self.is_stopping {
            for ticket in done.recording {
                self.launch_recorded(ticket);
            }
        }
        for key in done.occurred {
            self.queue_lane(&key);
            self.collect_occasions(&key);
        }
        self.chores.extend(done.forgotten.into_iter().map(Chore::Forget));
        if self.outbox.has_done() {
            self.save_within(Duration::ZERO);
        }
        if let Some(needed_from) = done.needed_from {
            self.shared.set_needed_from(needed_from);
        }
        // A part of the log because of which nothing is due is as good as saved.
        let is_plain = self.batch.pairs() == 0;
        self.shared.set_cursor(if is_plain { self.cursor } else { done.cursor });
    }

    /// Waits until what is on its way is saved.
    pub(crate) async fn wait_for_save(&mut self) -> Result<(), NotifyError> {
        if let Some(saving) = self.saving.take() {
            saving.future.into_inner().await?;
            self.end_save(saving.done);
        }
        Ok(())
    }

    fn cursor_record(&self) -> RecordWrite {
        let cursor = Cursor {
            sequence: self.cursor,
            retired: self.retired,
            alone: self.alone,
            at: Some(self.clock.now()),
            jumped_at: self.aging.jumped_at(),
        };
        let value = Some(to_json(&cursor));
        write(RecordKind::Cursor, &Tenant::default(), CURSOR.to_owned(), value)
    }

    /// The first change that is needed after a crash at this moment, given that all is saved, and
    /// the row with it that begins so. None if that was asked just now, and is not asked lightly.
    pub(crate) fn needed_from(&mut self, row: Option<Sequence>) -> Option<Sequence> {
        let now = Instant::now();
        let is_many = self.behind.len() > MANY_BEHIND;
        if is_many && self.asked_at.is_some_and(|asked| now.duration_since(asked) < ASK_AGAIN) {
            return None;
        }
        self.asked_at = Some(now);
        let unread = Sequence(self.cursor.0.saturating_add(1));
        let behind = self.behind.iter().filter_map(|key| self.accounts.get(key));
        let pending = behind.filter_map(Account::needs_from).chain(row);
        Some(pending.fold(unread, Sequence::min))
    }
}

/// Writes until it is written. The values are whole and no expectation is asked, so to write
/// twice does no harm.
async fn commit(
    store: Arc<dyn Store>,
    group: Group,
    stop: Shared<BoxFuture<'_, ()>>,
) -> Result<(), NotifyError> {
    let mut pause = FIRST_PAUSE;
    let mut last_tries = LAST_TRIES;
    loop {
        let Err(error) = store.commit(vec![group.clone()]).await else { return Ok(()) };
        tracing::warn!(%error, "notifications wait because their state cannot be saved");
        let is_stopping = stop.clone().now_or_never().is_some();
        if is_stopping {
            last_tries -= 1;
            if last_tries == 0 {
                return Err(NotifyError::Store(error));
            }
        }
        tokio::select! {
            () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = stop.clone(), if !is_stopping => pause = FIRST_PAUSE,
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
