//! Deliveries: whose turn it is, and what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{Id, JoinError};
use tokio::time::Instant;

use crate::account::{Account, AccountKey, Settled};
use crate::applied::Applied;
use crate::attempt::{Attempt, Errand, Failure, Ticket, Verdict, is_older};
use crate::endpoint::{EndpointKey, Sign, Turn};
use crate::lane::LaneState;
use crate::notification::notification_id;
use crate::notifier::{Chore, State, Wake};
use crate::{DeadNotification, NotifyError, Status};

impl State<'_> {
    /// Sends out as many deliveries as may be under way.
    pub(crate) fn start_deliveries(&mut self) {
        while self.deliveries.len() < self.options.deliveries.max(1) {
            match self.endpoints.next(Instant::now(), self.options.deliveries_per_endpoint) {
                None => return,
                Some(Turn::Wait(endpoint, until)) => self.wake_at(until, Wake::Endpoint(endpoint)),
                Some(Turn::Deliver(endpoint, key)) => self.start(&endpoint, key),
            }
        }
    }

    fn start(&mut self, endpoint: &EndpointKey, key: AccountKey) {
        let now = self.clock.now();
        let Some(account) = self.accounts.get_mut(&key) else { return };
        if account.lane.state != LaneState::Queued || account.applied.endpoint != *endpoint {
            // It was told otherwise while it waited.
            return;
        }
        account.lane.state = LaneState::Idle;
        let Some(&head) = account.lane.head() else { return };
        match account.applied.subscription.status(now) {
            Status::Active => {}
            Status::Paused => return,
            Status::Expired => return self.chores.push_back(Chore::Suppress(key)),
        }
        account.lane.state = LaneState::InFlight;
        let ticket = Ticket {
            key,
            generation: account.generation,
            sequence: head.sequence,
            time: head.time,
            applied: Arc::clone(&account.applied),
        };
        let errand = Errand {
            ticket: ticket.clone(),
            first_sent: account.lane.first_sent,
            is_failing: account.book.status.failures_in_a_row > 0,
        };
        self.endpoints.begin(endpoint);
        let courier = Arc::clone(&self.courier);
        let task = self.deliveries.spawn(async move { courier.attempt(errand).await });
        self.tickets.insert(task.id(), ticket);
    }

    /// Books the end of a delivery.
    pub(crate) fn end_delivery(&mut self, ended: Result<(Id, Attempt), JoinError>) {
        let attempt = match ended {
            Ok((id, attempt)) => {
                self.tickets.remove(&id);
                attempt
            }
            Err(error) => {
                let Some(ticket) = self.tickets.remove(&error.id()) else { return };
                let id = ticket.key.id.as_str();
                tracing::error!(%error, subscription.id = id, "a delivery broke");
                Attempt { ticket, at: self.clock.now(), verdict: Verdict::Broken }
            }
        };
        self.end_turn(&attempt);
        let key = attempt.ticket.key.clone();
        let is_current = |account: &Account| {
            account.generation == attempt.ticket.generation
                && account.lane.state == LaneState::InFlight
        };
        // A subscription that was deleted meanwhile has been settled.
        if self.accounts.get(&key).is_some_and(is_current) {
            self.book(attempt);
            self.queue_lane(&key);
            self.show(vec![key]);
        }
        let open = i64::try_from(self.endpoints.open_breakers()).unwrap_or(i64::MAX);
        self.shared.metrics.open_breakers.set(open);
    }

    fn end_turn(&mut self, attempt: &Attempt) {
        let sign = match &attempt.verdict {
            Verdict::Delivered => Sign::Alive,
            Verdict::Failed(failure) if failure.is_refusal => Sign::Alive,
            Verdict::Failed(_) => Sign::Down,
            Verdict::Overdue(_) | Verdict::Gone | Verdict::Unread(_) | Verdict::Broken => {
                Sign::None
            }
        };
        let endpoint = &attempt.ticket.applied.endpoint;
        let backoff = self.backoff();
        let limit = self.options.breaker_failures.max(1);
        self.endpoints.end(endpoint, sign, limit, |times| backoff.pause(times, endpoint));
    }

    fn book(&mut self, attempt: Attempt) {
        let Attempt { ticket, at, verdict } = attempt;
        let key = &ticket.key;
        let Some(account) = self.accounts.get_mut(key) else { return };
        account.lane.state = LaneState::Idle;
        match verdict {
            Verdict::Delivered => {
                account.book.status.succeeded(at);
                self.settle(key, Settled::Delivered);
            }
            Verdict::Failed(failure) => {
                account.book.status.failed(at);
                account.lane.first_sent.get_or_insert(at);
                account.lane.attempts = account.lane.attempts.saturating_add(1);
                if failure.is_refusal {
                    account.lane.refusals = account.lane.refusals.saturating_add(1);
                }
                self.fail(&ticket, failure);
            }
            Verdict::Overdue(body) => {
                let reason = "the endpoint kept failing until the change was too old";
                self.give_up(&ticket, reason.to_owned(), &body);
            }
            Verdict::Gone => {
                let reason = "the change is no longer in the log";
                self.give_up(&ticket, reason.to_owned(), &Bytes::new());
            }
            Verdict::Unread(error) => {
                let id = key.id.as_str();
                tracing::warn!(%error, subscription.id = id, "a notification cannot be written");
                self.shared.metrics.attempt("unread");
                self.rest(key, self.options.first_retry);
            }
            Verdict::Broken => {
                account.lane.attempts = account.lane.attempts.saturating_add(1);
                let reason = "the notification cannot be written".to_owned();
                let body = Bytes::new();
                let failure = Failure { reason, is_refusal: true, retry_after: None, body };
                account.lane.refusals = account.lane.refusals.saturating_add(1);
                self.fail(&ticket, failure);
            }
        }
    }

    /// After a failure: tries again later, or gives up.
    fn fail(&mut self, ticket: &Ticket, failure: Failure) {
        self.touch(&ticket.key);
        self.save_within(self.options.save_delay);
        let Some(account) = self.accounts.get_mut(&ticket.key) else { return };
        if !Arc::ptr_eq(&account.applied, &ticket.applied) {
            // What failed is no longer what would be tried.
            account.lane.attempts = 0;
            account.lane.refusals = 0;
            return;
        }
        let (attempts, refusals) = (account.lane.attempts, account.lane.refusals);
        // An endpoint that refused one change for good refuses the next ones for good at once.
        let is_refused = failure.is_refusal
            && (refusals >= self.options.refusals
                || account.book.status.failures_in_a_row > u64::from(self.options.refusals));
        let is_last = attempts >= self.options.attempts
            || is_refused
            || is_older(ticket.time, self.clock.now(), self.options.max_age);
        if is_last {
            return self.give_up(ticket, failure.reason, &failure.body);
        }
        self.shared.metrics.attempt(if failure.is_refusal { "refused" } else { "failed" });
        let pause = self.backoff().pause(attempts, &ticket.key);
        let asked = failure.retry_after.unwrap_or_default().max(cooldown(&ticket.applied));
        let asked = asked.min(self.options.longest_retry);
        let (id, reason) = (ticket.key.id.as_str(), failure.reason);
        tracing::debug!(subscription.id = id, reason, "a notification will be sent again");
        self.rest(&ticket.key, pause.max(asked));
    }

    fn rest(&mut self, key: &AccountKey, pause: Duration) {
        let until = Instant::now() + pause;
        let Some(account) = self.accounts.get_mut(key) else { return };
        account.lane.state = LaneState::Resting(until);
        let generation = account.generation;
        self.wake_at(until, Wake::Lane(key.clone(), generation));
    }

    /// Puts a notification among the dead letters.
    fn give_up(&mut self, ticket: &Ticket, reason: String, body: &Bytes) {
        let key = &ticket.key;
        let Some(account) = self.accounts.get(key) else { return };
        let letter = DeadNotification {
            id: notification_id(&key.tenant, &key.id, (ticket.sequence, ticket.time)),
            kind: DeadNotification::KIND.to_owned(),
            subscription: key.id.clone(),
            endpoint: account.applied.subscription.notification.endpoint.host(),
            reason,
            at: self.clock.now(),
            sequence: ticket.sequence,
            payload: serde_json::from_slice(body).unwrap_or_default(),
        };
        let (id, reason) = (key.id.as_str(), &letter.reason);
        tracing::warn!(subscription.id = id, reason, "a notification is among the dead letters");
        self.unsaved.dead.push((key.tenant.clone(), letter));
        self.settle(key, Settled::Dead);
    }

    /// Settles the head of a lane.
    fn settle(&mut self, key: &AccountKey, how: Settled) {
        let Some(account) = self.accounts.get_mut(key) else { return };
        let Some(head) = account.settle(how) else { return };
        if head.ends_row {
            self.outbox.finish(head.row);
        }
        if account.lane.wants_more() && !account.refilling {
            account.refilling = true;
            self.chores.push_back(Chore::Refill(key.clone()));
        }
        self.touch(key);
        match how {
            Settled::Delivered => self.shared.metrics.attempt("delivered"),
            Settled::Dead => self.shared.metrics.attempt("dead"),
            Settled::Suppressed => return,
        }
        self.unsaved.results += 1;
        self.save_within(self.options.save_delay);
    }

    /// Lets a lane wait for its turn, if it has something to send and may.
    pub(crate) fn queue_lane(&mut self, key: &AccountKey) {
        let Some(account) = self.accounts.get_mut(key) else { return };
        let is_paused = account.applied.subscription.status(self.clock.now()) == Status::Paused;
        if account.is_idle() && !is_paused {
            account.lane.state = LaneState::Queued;
            self.endpoints.queue(&account.applied.endpoint, key.clone());
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
        if account.lane.state != LaneState::InFlight {
            account.lane.state = LaneState::Idle;
            account.lane.attempts = 0;
            account.lane.refusals = 0;
        }
        self.endpoints.join(&applied.endpoint);
        self.endpoints.leave(&before.endpoint);
    }

    /// Does what has to ask the store.
    pub(crate) async fn do_chores(&mut self) -> Result<(), NotifyError> {
        while let Some(chore) = self.chores.pop_front() {
            match chore {
                Chore::Refill(key) => {
                    if let Some(account) = self.accounts.get_mut(&key) {
                        account.refilling = false;
                    }
                    self.refill(&key).await?;
                    self.queue_lane(&key);
                }
                Chore::Suppress(key) => {
                    if !self.accounts.get(&key).is_some_and(|account| self.is_over(account)) {
                        // It was changed meanwhile.
                        self.queue_lane(&key);
                        continue;
                    }
                    self.suppress(&key).await?;
                    self.show(vec![key]);
                    self.save_within(self.options.save_delay);
                }
            }
        }
        Ok(())
    }

    /// Settles all that is pending for a subscription as suppressed.
    pub(crate) async fn suppress(&mut self, key: &AccountKey) -> Result<(), NotifyError> {
        loop {
            while self.accounts.get(key).is_some_and(|account| account.lane.head().is_some()) {
                self.settle(key, Settled::Suppressed);
            }
            if !self.accounts.get(key).is_some_and(|account| account.lane.is_spilled()) {
                break;
            }
            self.refill(key).await?;
        }
        if let Some(account) = self.accounts.get_mut(key)
            && account.lane.state == LaneState::InFlight
        {
            // Its end is no longer of interest.
            self.generation += 1;
            account.generation = self.generation;
            account.lane.state = LaneState::Idle;
        }
        Ok(())
    }

    /// Suppresses what subscriptions hold back that have expired, or have been paused for long.
    pub(crate) fn sweep(&mut self) {
        let over = self.accounts.iter().filter(|(_, account)| self.is_over(account));
        let keys: Vec<_> = over.map(|(key, _)| key.clone()).collect();
        self.chores.extend(keys.into_iter().map(Chore::Suppress));
    }

    /// Whether what is pending for a subscription is no longer to be sent.
    fn is_over(&self, account: &Account) -> bool {
        let (now, subscription) = (self.clock.now(), &account.applied.subscription);
        account.book.ledger.pending > 0
            && account.lane.state != LaneState::InFlight
            && match subscription.status(now) {
                Status::Active => false,
                Status::Paused => is_older(subscription.modified_at, now, self.options.max_age),
                Status::Expired => true,
            }
    }

    /// Shows others how these subscriptions stand.
    pub(crate) fn show(&self, keys: Vec<AccountKey>) {
        let shown = keys.into_iter().map(|key| {
            let shown = self.accounts.get(&key).map(Account::shown);
            (key, shown)
        });
        self.shared.show(shown, self.retired);
    }
}

fn cooldown(applied: &Applied) -> Duration {
    let cooldown = applied.subscription.notification.endpoint.cooldown;
    // What is too long for a duration is cut to the longest pause later.
    cooldown.map_or(Duration::ZERO, |ms| {
        Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::MAX)
    })
}
