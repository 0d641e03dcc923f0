//! The consumer of the log: from changes to what is due.

use std::sync::Arc;
use std::time::Duration;

use musubi_model::{EntityChange, Sequence, Tenant};
use musubi_store::{Change, RecordChange, RecordKind, StoreError, Subject};
use tokio::time::Instant;

use crate::engine::account::{Account, AccountKey, Settled};
use crate::engine::applied::Applied;
use crate::engine::chores::Chore;
use crate::engine::ledger::Book;
use crate::engine::notifier::State;
use crate::engine::occur::occasion_key;
use crate::engine::reading::Released;
use crate::engine::start::Pages;
use crate::matching::linked;
use crate::matching::matcher::image;
use crate::notification::weight;
use crate::queue::lane::{Lane, LaneState, Resumption};
use crate::queue::row::{Named, Row};
use crate::{NotifyError, Subscription, SubscriptionId};

/// How long to wait when the store does not give the log.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// How long changes are matched before everything else gets its turn, deliveries above all.
const AT_A_TIME: Duration = Duration::from_millis(2);

/// Whom a change concerns, ordered by id.
#[derive(Debug, Default)]
struct Concerned {
    /// To these it is due.
    due: Vec<Arc<Subscription>>,
    /// These wait for silence, and it breaks it.
    alive: Vec<Arc<Subscription>>,
}

impl State<'_> {
    /// Finds out what is due because of some changes, and has it saved. It is told when it is
    /// durable.
    pub(crate) async fn consume(&mut self) -> Result<(), NotifyError> {
        if self.ahead.is_empty() && !self.read_log().await? {
            return Ok(());
        }
        let started = Instant::now();
        let read_from = self.cursor;
        while let Some(change) = self.ahead.pop_front() {
            // Before anything is done about the change, so that it can be looked at again.
            let concerned = match self.concerned(&change).await {
                Ok(concerned) => concerned,
                Err(error) => {
                    tracing::warn!(%error, "the notifier cannot read linked entities");
                    self.ahead.push_front(change);
                    self.read_later(READ_AGAIN);
                    break;
                }
            };
            self.shared.hub.advance(change.sequence);
            self.take(&change, &concerned.due);
            self.hear(&change, &concerned.alive);
            self.cursor = change.sequence;
            let is_enough = self.batch.pairs() >= self.options.batch_pairs.max(1);
            if is_enough || started.elapsed() >= AT_A_TIME {
                break;
            }
        }
        self.shared.metrics.matching.observe(started.elapsed().as_secs_f64());
        self.shared.metrics.changes.inc_by(self.cursor.0.saturating_sub(read_from.0));
        self.close();
        Ok(())
    }

    /// Reads a batch of the log. Whether the store gave it.
    async fn read_log(&mut self) -> Result<bool, NotifyError> {
        // Asked before the changes: what is newer than this may be missing from them.
        let newest = *self.store.newest().borrow();
        match self.store.changes(self.cursor, self.options.batch_changes.max(1)).await {
            Ok(changes) => {
                self.mind_the_gap(&changes, newest).await?;
                self.ahead = changes.into();
                Ok(true)
            }
            Err(error) => {
                tracing::warn!(%error, "the notifier cannot read the log");
                self.read_later(READ_AGAIN);
                Ok(false)
            }
        }
    }

    /// Has what is due saved at once, and what is not soon.
    fn close(&mut self) {
        if self.batch.pairs() > 0 {
            return self.save_within(Duration::ZERO);
        }
        // A cursor that is lost is read from again, and finds the same.
        self.save_within(self.options.cursor_delay);
        if self.saving.is_none() {
            self.shared.set_cursor(self.cursor);
        }
    }

    /// Whom a change concerns.
    async fn concerned(&self, change: &Change) -> Result<Concerned, StoreError> {
        let (index, store, tenant, time) = (&self.index, &*self.store, &change.tenant, change.time);
        let mut concerned = Concerned::default();
        if let Subject::Entity(entity) = &change.subject {
            concerned.due = linked::due(index, store, tenant, entity, time).await?;
            if self.occasions.minds_silence() {
                concerned.alive = linked::alive(index, store, tenant, entity, time).await?;
            }
        }
        Ok(concerned)
    }

    fn take(&mut self, change: &Arc<Change>, due: &[Arc<Subscription>]) {
        match &change.subject {
            Subject::Entity(entity) => self.take_entity(change, entity, due),
            Subject::Record(record) if record.kind == RecordKind::Subscription => {
                self.take_subscription(&change.tenant, record, change.sequence);
            }
            Subject::Record(_) | Subject::Evolution(_) => {}
        }
    }

    /// Adds what is due because of an entity's change.
    fn take_entity(
        &mut self,
        logged: &Arc<Change>,
        change: &EntityChange,
        due: &[Arc<Subscription>],
    ) {
        let (tenant, sequence, time) = (&logged.tenant, logged.sequence, logged.time);
        let bytes = match due {
            [] => 0,
            [..] => {
                image(change).map_or(0, |entity| u32::try_from(weight(entity)).unwrap_or(u32::MAX))
            }
        };
        for subscription in due {
            let key = AccountKey { tenant: tenant.clone(), id: subscription.id().clone() };
            let Some(account) = self.accounts.get_mut(&key) else { continue };
            self.shared.hub.offer(&key, &account.applied, logged);
            if subscription.is_stream() {
                // The log itself is its queue.
                continue;
            }
            let book = &mut account.book;
            let throttling = subscription.throttling_micros();
            book.ledger.due += 1;
            if book.is_throttled(throttling, time) {
                book.ledger.suppressed += 1;
                self.touch(&key);
                continue;
            }
            book.ledger.pending += 1;
            if throttling.is_some() {
                book.last_due = Some(time);
                self.touch(&key);
            } else {
                // The row says it.
                self.show_later(&key);
            }
            self.batch.add(key, Named { sequence, time, bytes });
        }
    }

    /// Follows a subscription's creation, change or deletion.
    fn take_subscription(&mut self, tenant: &Tenant, record: &RecordChange, sequence: Sequence) {
        let Ok(id) = record.key.parse::<SubscriptionId>() else {
            tracing::error!(key = record.key, "a subscription has an unusable key");
            return;
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
        let revised = applied.as_ref().map(|applied| &*applied.subscription);
        self.shared.hub.revise(&key, revised);
        if let Some(applied) = applied {
            self.apply(applied, sequence);
        } else {
            self.retire(&key);
        }
        self.save_within(self.options.cursor_delay);
    }

    /// Puts a subscription, new or changed, in force.
    fn apply(&mut self, applied: Applied, sequence: Sequence) {
        let key =
            AccountKey { tenant: applied.tenant.clone(), id: applied.subscription.id().clone() };
        self.unsaved.applied.insert(key.clone());
        self.touch(&key);
        if let Some(account) = self.accounts.get(&key) {
            let before = Arc::clone(&account.applied.subscription);
            self.change_account(&key, applied);
            self.change_occasions(&key, &before);
            self.queue_lane(&key);
        } else {
            // Nothing before its creation is its concern.
            self.add_account(applied, Book { settled: sequence, ..Book::default() });
            self.begin_occasions(&key);
        }
    }

    /// Adds a subscription with its counters.
    pub(crate) fn add_account(&mut self, applied: Applied, book: Book) {
        self.generation += 1;
        let applied = Arc::new(applied);
        let key =
            AccountKey { tenant: applied.tenant.clone(), id: applied.subscription.id().clone() };
        self.turns.join(&applied.endpoint);
        self.index.insert(&key.tenant, Arc::clone(&applied.subscription));
        let lane = Lane::new(book.settled, Resumption::default());
        self.accounts.insert(key, Account::new(applied, book, lane, self.generation));
    }

    /// Takes a subscription out of force. What is pending is settled as suppressed, a delivery
    /// that is under way included: nothing will be known of its end.
    fn retire(&mut self, key: &AccountKey) {
        self.batch.withdraw(key);
        self.index.remove(&key.tenant, &key.id);
        self.end_occasions(key);
        let Some(mut account) = self.accounts.remove(key) else { return };
        let pending = account.book.ledger.pending;
        account.count(Settled::Suppressed, pending);
        self.retired = self.retired.plus(account.book.ledger);
        let changes = account.lane.len();
        for pending in account.lane.pop(changes).filter(|pending| pending.ends_row) {
            self.outbox.finish(pending.row, key);
        }
        if let Some(from) = account.lane.spilled() {
            let (upto, loaded) = (self.outbox.part_with(key), account.lane.loaded());
            self.release(key, Released { from, upto, loaded });
        }
        while let Some(occasion) = account.occasions.pop() {
            self.unsaved.occasions.insert(occasion_key(key, &occasion), None);
        }
        if account.occasions.pending() > 0 {
            self.chores.push_back(Chore::Forget(key.clone()));
        }
        let endpoint = &account.applied.endpoint;
        if account.lane.state == LaneState::Queued {
            self.turns.withdraw(endpoint, key);
        }
        self.turns.leave(endpoint);
        self.shared.set_left_alone(endpoint, self.turns.is_left_alone(endpoint));
        self.behind.remove(key);
        self.unsaved.applied.insert(key.clone());
        self.touch(key);
    }

    /// Hands the pairs of a row to the lanes, or those that were added to it.
    pub(crate) fn accept(&mut self, at: Sequence, row: &Row) {
        let (mut waiting, window) = (Vec::new(), self.window());
        for (key, changes) in row.entries() {
            let Some(account) = self.accounts.get_mut(key) else { continue };
            let settled = account.book.settled;
            if changes.last().is_some_and(|last| last.sequence > settled) {
                waiting.push(key);
                account.lane.take_in(at, &changes, window);
                if !self.behind.contains(key) {
                    self.behind.insert(key.clone());
                }
                self.queue_lane(key);
            }
        }
        self.outbox.accept(at, &waiting);
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
            self.retire(&key);
        }
        Ok(())
    }
}
