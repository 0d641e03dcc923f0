//! What is settled, and what that sets going.

use std::sync::Arc;

use tokio::time::Instant;

use crate::Status;
use crate::engine::account::{Account, AccountKey, Settled};
use crate::engine::applied::Applied;
use crate::engine::chores::Chore;
use crate::engine::notifier::State;
use crate::engine::occur::occasion_key;
use crate::engine::ticket::Due;
use crate::queue::lane::LaneState;

impl State<'_> {
    /// Settles what a subscription was trying.
    pub(crate) fn settle(&mut self, key: &AccountKey, how: Settled) {
        let trying = self.accounts.get_mut(key).and_then(|account| account.trying.take());
        match trying {
            None => return,
            Some(Due::Changes(changes)) => self.settle_changes(key, changes.len(), how),
            Some(Due::Occasion(_)) => self.settle_occasion(key, how),
        }
        match how {
            Settled::Delivered => self.shared.metrics.attempt("delivered"),
            Settled::Dead => self.shared.metrics.attempt("dead"),
            Settled::Suppressed => {}
        }
        self.unsaved.results += 1;
        self.save_within(self.options.save_delay);
    }

    /// Settles so many changes at the head of a lane.
    pub(crate) fn settle_changes(&mut self, key: &AccountKey, count: usize, how: Settled) {
        let Some(account) = self.accounts.get_mut(key) else { return };
        let mut number = 0;
        for pending in account.lane.pop(count) {
            number += 1;
            account.book.settled = pending.sequence;
            if pending.ends_row {
                self.outbox.finish(pending.row, key);
            }
        }
        account.count(how, number);
        account.book.sending = None;
        let (wants_more, is_done) = (account.lane.wants_more(), account.changes_pending() == 0);
        if wants_more {
            self.read_for(key);
        }
        if is_done {
            self.behind.remove(key);
        }
        self.touch(key);
    }

    /// Settles the oldest occasion of a subscription.
    pub(crate) fn settle_occasion(&mut self, key: &AccountKey, how: Settled) {
        let Some(account) = self.accounts.get_mut(key) else { return };
        account.lane.forget();
        let Some(occasion) = account.occasions.pop() else { return };
        account.count(how, 1);
        self.unsaved.occasions.insert(occasion_key(key, &occasion), None);
        self.collect_occasions(key);
        self.touch(key);
    }

    /// Has the changes at the head of a lane, which cannot stay together, sent one by one.
    pub(crate) fn break_up(&mut self, key: &AccountKey, count: usize) {
        let Some(account) = self.accounts.get_mut(key) else { return };
        account.trying = None;
        account.book.sending = None;
        account.lane.break_up(count);
        self.touch(key);
    }

    /// Lets a lane wait for its turn, if it has something to send and may.
    pub(crate) fn queue_lane(&mut self, key: &AccountKey) {
        let (now, saved) = (self.clock.now(), self.saved);
        let Some(account) = self.accounts.get_mut(key) else { return };
        if account.is_idle(saved) && account.applied.subscription.status(now) != Status::Paused {
            account.lane.state = LaneState::Queued;
            self.turns.queue(&account.applied.endpoint, key.clone());
        }
    }

    /// The rest of a lane is over.
    pub(crate) fn retry(&mut self, key: &AccountKey, generation: u64) {
        let Some(account) = self.accounts.get_mut(key) else { return };
        let is_over =
            matches!(account.lane.state, LaneState::Resting(until) if until <= Instant::now());
        if account.generation == generation && is_over {
            account.lane.state = LaneState::Idle;
            self.queue_lane(key);
        }
    }

    /// Puts a changed subscription in the place of what it was. Whatever it waited for, it is
    /// tried at once: the change may be what was needed.
    pub(crate) fn change_account(&mut self, key: &AccountKey, applied: Applied) {
        let applied = Arc::new(applied);
        self.index.insert(&key.tenant, Arc::clone(&applied.subscription));
        let Some(account) = self.accounts.get_mut(key) else { return };
        let before = std::mem::replace(&mut account.applied, Arc::clone(&applied));
        account.is_ending = false;
        account.is_refusing = false;
        if account.lane.state == LaneState::Queued {
            self.turns.withdraw(&before.endpoint, key);
        }
        if account.lane.state != LaneState::InFlight {
            account.lane.state = LaneState::Idle;
            account.lane.attempts = 0;
            account.lane.refusals = 0;
        }
        self.turns.join(&applied.endpoint);
        self.turns.leave(&before.endpoint);
        self.shared.set_left_alone(&before.endpoint, self.turns.is_left_alone(&before.endpoint));
        if applied.subscription.is_stream() {
            self.chores.push_back(Chore::Suppress(key.clone()));
        }
    }

    /// Notes that what others see of a subscription is no longer so.
    pub(crate) fn show_later(&mut self, key: &AccountKey) {
        if !self.stale.contains(key) {
            self.stale.insert(key.clone());
        }
    }

    /// Shows others how the subscriptions stand of which that has changed.
    pub(crate) fn show(&mut self) {
        if !self.stale.is_empty() {
            self.show_all();
        }
    }

    /// As [`show`](Self::show), with the sum over those that are no longer there.
    pub(crate) fn show_all(&mut self) {
        let shown = self.stale.drain().map(|key| {
            let shown = self.accounts.get(&key).map(Account::shown);
            (key, shown)
        });
        self.shared.show(shown, self.retired);
    }
}
