//! The consumer of the log: from changes to what is due.

use std::sync::Arc;
use std::time::Duration;

use musubi_model::{EntityChange, Sequence, Tenant, Timestamp};
use musubi_store::{Change, RecordChange, RecordKind, Subject};
use tokio::time::Instant;

use crate::account::{Account, AccountKey};
use crate::applied::Applied;
use crate::ledger::Book;
use crate::notifier::State;
use crate::outbox::{Batch, Row};
use crate::start::Pages;
use crate::{NotifyError, SubscriptionId};

/// How long to wait when the store does not give the log.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// How long changes are gathered for one row while the outbox is long, so that an endpoint that is
/// down for a day leaves some hundred thousand rows and not one for every change.
const GATHER: Duration = Duration::from_millis(250);

impl State<'_> {
    /// Reads a batch of the log. What is due is durable, and shown, when this returns.
    pub(crate) async fn consume(&mut self) -> Result<(), NotifyError> {
        // Asked before the changes: what is newer than this may be missing from them.
        let newest = *self.store.newest().borrow();
        let changes = match self.store.changes(self.cursor, self.options.batch_changes.max(1)).await
        {
            Ok(changes) => changes,
            Err(error) => {
                tracing::warn!(%error, "the notifier cannot read the log");
                self.read_later(READ_AGAIN);
                return Ok(());
            }
        };
        self.mind_the_gap(&changes, newest).await?;
        let started = Instant::now();
        let read_from = self.cursor;
        let mut batch = Batch::default();
        for change in &changes {
            self.take(change, &mut batch).await?;
            self.cursor = change.sequence;
            if batch.pairs() >= self.options.batch_pairs {
                break;
            }
        }
        self.shared.metrics.matching.observe(started.elapsed().as_secs_f64());
        self.shared.metrics.changes.inc_by(self.cursor.0.saturating_sub(read_from.0));
        if self.outbox.is_long() && self.cursor >= newest {
            self.read_later(GATHER);
        }
        self.close(batch).await
    }

    async fn close(&mut self, batch: Batch) -> Result<(), NotifyError> {
        let touched: Vec<_> = self.unsaved.books.iter().cloned().collect();
        if batch.pairs() == 0 {
            // A cursor that is lost is read from again, and finds the same.
            self.save_within(self.options.cursor_delay);
        } else {
            let row = batch.into_row();
            self.save(Some((self.cursor, &row))).await?;
            self.accept(self.cursor, &row);
        }
        self.show(touched);
        self.shared.set_cursor(self.cursor);
        Ok(())
    }

    async fn take(&mut self, change: &Change, batch: &mut Batch) -> Result<(), NotifyError> {
        match &change.subject {
            Subject::Entity(entity) => {
                self.take_entity(&change.tenant, entity, (change.sequence, change.time), batch);
                Ok(())
            }
            Subject::Record(record) if record.kind == RecordKind::Subscription => {
                self.take_subscription(&change.tenant, record, change.sequence, batch).await
            }
            Subject::Record(_) => Ok(()),
        }
    }

    /// Adds what is due because of an entity's change.
    fn take_entity(
        &mut self,
        tenant: &Tenant,
        change: &EntityChange,
        (sequence, time): (Sequence, Timestamp),
        batch: &mut Batch,
    ) {
        for subscription in self.index.due(tenant, change, time) {
            let key = AccountKey { tenant: tenant.clone(), id: subscription.id().clone() };
            let Some(account) = self.accounts.get_mut(&key) else { continue };
            let book = &mut account.book;
            book.ledger.due += 1;
            if book.is_throttled(subscription.throttling_micros(), time) {
                book.ledger.suppressed += 1;
            } else {
                book.ledger.pending += 1;
                book.last_due = Some(time);
                batch.add(key.clone(), sequence, time);
            }
            if !self.unsaved.books.contains(&key) {
                self.unsaved.books.insert(key);
            }
        }
    }

    /// Follows a subscription's creation, change or deletion.
    async fn take_subscription(
        &mut self,
        tenant: &Tenant,
        record: &RecordChange,
        sequence: Sequence,
        batch: &mut Batch,
    ) -> Result<(), NotifyError> {
        let Ok(id) = record.key.parse::<SubscriptionId>() else {
            tracing::error!(key = record.key, "a subscription has an unusable key");
            return Ok(());
        };
        let key = AccountKey { tenant: tenant.clone(), id };
        let applied = record.value.as_ref().and_then(|bytes| {
            Applied::new(tenant.clone(), Arc::clone(bytes), &mut self.contexts)
                .inspect_err(|error| {
                    let id = key.id.as_str();
                    tracing::error!(%error, subscription.id = id, "a subscription is unreadable");
                })
                .ok()
        });
        if let Some(applied) = applied {
            self.apply(applied, sequence);
        } else {
            let withdrawn = u64::try_from(batch.withdraw(&key)).unwrap_or(u64::MAX);
            self.retire(&key, withdrawn).await?;
        }
        self.save_within(self.options.cursor_delay);
        Ok(())
    }

    /// Puts a subscription, new or changed, in force.
    fn apply(&mut self, applied: Applied, sequence: Sequence) {
        let key =
            AccountKey { tenant: applied.tenant.clone(), id: applied.subscription.id().clone() };
        self.unsaved.applied.insert(key.clone());
        self.touch(&key);
        if self.accounts.contains_key(&key) {
            self.change_account(&key, applied);
            self.queue_lane(&key);
        } else {
            // Nothing before its creation is its concern.
            self.add_account(applied, Book { settled: sequence, ..Book::default() });
        }
    }

    /// Adds a subscription with its counters.
    pub(crate) fn add_account(&mut self, applied: Applied, book: Book) {
        self.generation += 1;
        let applied = Arc::new(applied);
        let key =
            AccountKey { tenant: applied.tenant.clone(), id: applied.subscription.id().clone() };
        self.endpoints.join(&applied.endpoint);
        self.index.insert(&key.tenant, Arc::clone(&applied.subscription));
        let account = Account::new(applied, book, self.options.lane_window, self.generation);
        self.accounts.insert(key, account);
    }

    /// Takes a subscription out of force. What is pending is settled as suppressed, a delivery
    /// that is under way included: nothing will be known of its end.
    async fn retire(&mut self, key: &AccountKey, withdrawn: u64) -> Result<(), NotifyError> {
        if let Some(account) = self.accounts.get_mut(key) {
            let ledger = &mut account.book.ledger;
            ledger.pending = ledger.pending.saturating_sub(withdrawn);
            ledger.suppressed += withdrawn;
        }
        self.suppress(key).await?;
        self.index.remove(&key.tenant, &key.id);
        if let Some(account) = self.accounts.remove(key) {
            self.endpoints.leave(&account.applied.endpoint);
            self.retired = self.retired.plus(account.book.ledger);
            self.unsaved.applied.insert(key.clone());
            self.touch(key);
        }
        Ok(())
    }

    /// Hands the pairs of a row to the lanes.
    pub(crate) fn accept(&mut self, at: Sequence, row: &Row) {
        let mut waiting = 0;
        let mut keys = Vec::new();
        for (key, changes) in row.entries() {
            let Some(account) = self.accounts.get_mut(&key) else { continue };
            let settled = account.book.settled;
            if changes.last().is_some_and(|(last, _)| *last > settled) {
                waiting += 1;
                account.lane.take_in(at, &changes);
                keys.push(key);
            }
        }
        self.outbox.open(at, waiting);
        for key in keys {
            self.queue_lane(&key);
        }
    }

    /// Notices when a part of the log is missing that has not been read. That does not happen
    /// while [`log_needed_from`](crate::Notifications::log_needed_from) is respected; if it does,
    /// the subscriptions are taken as they are now.
    async fn mind_the_gap(
        &mut self,
        changes: &[Arc<Change>],
        newest: Sequence,
    ) -> Result<(), NotifyError> {
        let follows = Sequence(self.cursor.0.saturating_add(1));
        let first = changes.first().map_or(Sequence(newest.0.saturating_add(1)), |it| it.sequence);
        if first <= follows {
            return Ok(());
        }
        let (from, to) = (follows.0, first.0.saturating_sub(1));
        tracing::error!(from, to, "changes were dropped from the log before they were read");
        self.cursor = Sequence(to);
        let mut found = rustc_hash::FxHashSet::default();
        let mut pages = Pages::new(RecordKind::Subscription, "", 500);
        while let Some(records) = pages.next(self).await? {
            for record in records {
                let tenant = record.key.tenant;
                match Applied::new(tenant.clone(), record.value, &mut self.contexts) {
                    Ok(applied) => {
                        let id = applied.subscription.id().clone();
                        found.insert(AccountKey { tenant, id });
                        self.apply(applied, self.cursor);
                    }
                    Err(error) => tracing::error!(%error, "a subscription is unreadable"),
                }
            }
        }
        let lost: Vec<_> =
            self.accounts.keys().filter(|key| !found.contains(*key)).cloned().collect();
        for key in lost {
            self.retire(&key, 0).await?;
        }
        Ok(())
    }
}
