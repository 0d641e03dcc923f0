//! Deliveries: whose turn it is, and what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use musubi_model::Timestamp;
use serde_json::value::RawValue;
use tokio::task::{Id, JoinError};
use tokio::time::Instant;

use crate::engine::account::{Account, AccountKey, Settled};
use crate::engine::applied::Applied;
use crate::engine::chores::Chore;
use crate::engine::notifier::{State, Wake};
use crate::engine::ticket::{Attempt, Due, Errand, Page, Ticket, Verdict};
use crate::queue::endpoint::{EndpointKey, Sign};
use crate::queue::lane::LaneState;
use crate::queue::turns::Turn;
use crate::transport::failure::Failure;
use crate::{DeadNotification, Status};

/// No endpoint rests for longer, whatever was asked for: the clock could not say until when.
const LONGEST_REST: Duration = Duration::from_hours(24 * 365);

impl State<'_> {
    /// Sends out as many deliveries as may be under way. None while so many results are unsaved
    /// that a crash would repeat too much.
    pub(crate) fn start_deliveries(&mut self) {
        while !self.has_many_results() {
            match self.turns.next(Instant::now()) {
                None => return,
                Some(Turn::Wait(endpoint, until)) => self.wake_at(until, Wake::Endpoint(endpoint)),
                Some(Turn::Deliver(endpoint, key)) => self.start(&endpoint, key),
            }
        }
    }

    fn start(&mut self, endpoint: &EndpointKey, key: AccountKey) {
        let now = self.look_at_clock();
        let (aging, saved, max_age) = (&self.aging, self.saved, self.options.max_age);
        let Some(account) = self.accounts.get_mut(&key) else { return };
        if account.lane.state != LaneState::Queued || account.applied.endpoint != *endpoint {
            // It was told otherwise while it waited.
            return;
        }
        account.lane.state = LaneState::Idle;
        match account.applied.subscription.status(now) {
            Status::Active => {}
            Status::Paused => return,
            Status::Expired => return self.chores.push_back(Chore::Suppress(key)),
        }
        let Some(what) = account.next_due(saved, |time| aging.is_older(time, now, max_age)) else {
            return;
        };
        account.trying = Some(what.clone());
        let ticket = Arc::new(Ticket {
            key,
            generation: account.generation,
            applied: Arc::clone(&account.applied),
            turn: self.turns.begin(endpoint, Instant::now()),
            what,
        });
        if account.is_recorded(&ticket.what, saved) {
            return self.launch(ticket);
        }
        account.lane.state = LaneState::Recording;
        account.book.sending = ticket.what.last();
        account.recorded_by = self.next_save;
        self.touch(&ticket.key);
        self.unsaved.recording.push(ticket);
        self.save_within(Duration::ZERO);
    }

    /// Sends what has been recorded, unless things have changed meanwhile.
    pub(crate) fn launch_recorded(&mut self, ticket: Arc<Ticket>) {
        let now = self.clock.now();
        let is_current = |account: &Account| {
            account.generation == ticket.generation
                && account.lane.state == LaneState::Recording
                && Arc::ptr_eq(&account.applied, &ticket.applied)
        };
        let account = self.accounts.get_mut(&ticket.key).filter(|account| is_current(account));
        if let Some(account) = account {
            if account.applied.subscription.status(now) == Status::Active {
                return self.launch(ticket);
            }
            account.lane.state = LaneState::Idle;
        }
        self.end_turn(&ticket, Sign::None);
        self.queue_lane(&ticket.key);
    }

    fn launch(&mut self, ticket: Arc<Ticket>) {
        let is_old = self.is_too_old(ticket.what.time());
        let Some(account) = self.accounts.get_mut(&ticket.key) else { return };
        account.lane.state = LaneState::InFlight;
        let errand = Errand {
            ticket: Arc::clone(&ticket),
            first_sent: account.lane.first_sent,
            is_overdue: is_old && account.book.status.failures_in_a_row > 0,
        };
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
                Attempt { ticket, at: self.clock.now(), verdict: Verdict::Broken, page: None }
            }
        };
        let sign = match &attempt.verdict {
            Verdict::Delivered => Sign::Alive,
            Verdict::Failed(failure) if failure.is_refusal => Sign::Alive,
            Verdict::Failed(failure) if failure.is_local => Sign::None,
            Verdict::Failed(failure) => {
                let asked = failure.retry_after.unwrap_or_default();
                Sign::Down(asked.min(self.options.longest_retry))
            }
            Verdict::Nothing
            | Verdict::Overdue(_)
            | Verdict::Gone(_)
            | Verdict::Unwritable(_)
            | Verdict::Unread(_)
            | Verdict::Broken => Sign::None,
        };
        self.end_turn(&attempt.ticket, sign);
        let is_current = |account: &Account| {
            account.generation == attempt.ticket.generation
                && account.lane.state == LaneState::InFlight
        };
        // A subscription that was deleted meanwhile has been settled.
        if self.accounts.get(&attempt.ticket.key).is_some_and(is_current) {
            let ticket = Arc::clone(&attempt.ticket);
            self.book(attempt);
            self.queue_lane(&ticket.key);
            self.stale.insert(ticket.key.clone());
        }
    }

    fn end_turn(&mut self, ticket: &Ticket, sign: Sign) {
        let endpoint = &ticket.applied.endpoint;
        let backoff = self.backoff();
        let limit = self.options.breaker_failures.max(1);
        let pause = |times| backoff.pause(times, endpoint);
        self.turns.end(endpoint, (ticket.turn, Instant::now()), sign, (limit, pause));
        if sign != Sign::None {
            self.shared.set_left_alone(endpoint, self.turns.is_left_alone(endpoint));
        }
    }

    fn book(&mut self, attempt: Attempt) {
        let Attempt { ticket, at, verdict, page } = attempt;
        let key = &ticket.key;
        let Some(account) = self.accounts.get_mut(key) else { return };
        account.lane.state = LaneState::Idle;
        match verdict {
            Verdict::Delivered => {
                account.book.status.succeeded(at);
                account.is_refusing = false;
                account.last_failure = None;
                self.settle(key, Settled::Delivered);
            }
            Verdict::Nothing => self.settle(key, Settled::Suppressed),
            Verdict::Failed(failure) => {
                account.book.status.failed(at);
                account.last_failure = Some(failure.reason.as_str().into());
                account.lane.first_sent.get_or_insert(at);
                self.fail(&ticket, failure, page);
            }
            Verdict::Overdue(body) => {
                let reason = "the endpoint kept failing until the change was too old";
                self.give_up(&ticket, (reason.to_owned(), &body), page);
            }
            Verdict::Gone(count) => self.give_up_gone(&ticket, count),
            Verdict::Unwritable(reason) => {
                if ticket.what.count() > 1 {
                    self.break_up(key, ticket.what.count());
                } else {
                    self.give_up(&ticket, (reason, &Bytes::new()), page);
                }
            }
            Verdict::Unread(error) => {
                let id = key.id.as_str();
                tracing::warn!(%error, subscription.id = id, "a notification cannot be written");
                self.shared.metrics.attempt("unread");
                self.rest(key, self.options.first_retry);
            }
            Verdict::Broken => {
                let failure = Failure::refused("the notification cannot be written");
                self.fail(&ticket, failure, page);
            }
        }
    }

    /// After a failure: tries again later, or gives up.
    fn fail(&mut self, ticket: &Ticket, failure: Failure, page: Option<Page>) {
        self.touch(&ticket.key);
        self.save_within(self.options.save_delay);
        let is_old = self.is_too_old(ticket.what.time());
        let Some(account) = self.accounts.get_mut(&ticket.key) else { return };
        if !Arc::ptr_eq(&account.applied, &ticket.applied) {
            // What failed is no longer what would be tried.
            return account.lane.forget();
        }
        let lane = &mut account.lane;
        lane.attempts = lane.attempts.saturating_add(1);
        lane.refusals = lane.refusals.saturating_add(u32::from(failure.is_refusal));
        let (attempts, refusals) = (lane.attempts, lane.refusals);
        // An endpoint that refused one notification for good refuses the next ones for good at
        // once.
        let is_refused =
            failure.is_refusal && (account.is_refusing || refusals >= self.options.refusals);
        account.is_refusing = is_refused;
        let is_last = attempts >= self.options.attempts || is_refused || is_old;
        if is_last {
            return self.give_up(ticket, (failure.reason, &failure.body), page);
        }
        self.shared.metrics.attempt(if failure.is_refusal { "refused" } else { "failed" });
        let pause = self.backoff().pause(attempts, &ticket.key);
        // What an endpoint asks for has the operator's bound; what the subscriber asks for its own
        // endpoint is only too long if nothing would be left to send.
        let asked = failure.retry_after.unwrap_or_default().min(self.options.longest_retry);
        let asked = asked.max(cooldown(&ticket.applied).min(self.options.max_age));
        let (id, reason) = (ticket.key.id.as_str(), failure.reason);
        tracing::debug!(subscription.id = id, reason, "a notification will be sent again");
        self.rest(&ticket.key, pause.max(asked));
    }

    /// Whether something of this time is no longer to be tried when it fails.
    fn is_too_old(&mut self, time: Timestamp) -> bool {
        let now = self.look_at_clock();
        self.aging.is_older(time, now, self.options.max_age)
    }

    fn rest(&mut self, key: &AccountKey, pause: Duration) {
        let until = Instant::now() + pause.min(LONGEST_REST);
        let Some(account) = self.accounts.get_mut(key) else { return };
        account.lane.state = LaneState::Resting(until);
        let generation = account.generation;
        self.wake_at(until, Wake::Lane(key.clone(), generation));
    }

    /// Puts a notification among the dead letters. Of several pages that is the one which was not
    /// accepted; those after it are named in the reason.
    fn give_up(&mut self, ticket: &Ticket, (reason, body): (String, &Bytes), page: Option<Page>) {
        let (id, left) = match page {
            Some(Page { id, left }) => (id, left),
            None => (ticket.what.notification_id(&ticket.key, self.options.ids), 0),
        };
        let reason = match left {
            0 => reason,
            1 => format!("{reason}; one more entity was to be told after these, and was not"),
            _ => {
                format!("{reason}; {left} more entities were to be told after these, and were not")
            }
        };
        let text = LetterText { id, reason, payload: as_written(body) };
        self.write_letter(ticket, &ticket.what, text);
        self.settle(&ticket.key, Settled::Dead);
    }

    /// Gives up the first of several changes, which are no longer in the log. The others are sent
    /// one by one.
    fn give_up_gone(&mut self, ticket: &Ticket, count: usize) {
        let Due::Changes(changes) = &ticket.what else { return };
        let gone = Due::Changes(changes.iter().take(count).copied().collect());
        let id = gone.notification_id(&ticket.key, self.options.ids);
        let reason = "the change is no longer in the log".to_owned();
        self.write_letter(ticket, &gone, LetterText { id, reason, payload: None });
        self.break_up(&ticket.key, changes.len());
        if let Some(account) = self.accounts.get_mut(&ticket.key) {
            account.trying = Some(gone);
        }
        self.settle(&ticket.key, Settled::Dead);
    }

    fn write_letter(&mut self, ticket: &Ticket, what: &Due, text: LetterText) {
        let key = &ticket.key;
        let Some(account) = self.accounts.get(key) else { return };
        let letter = DeadNotification {
            id: text.id,
            kind: DeadNotification::KIND.to_owned(),
            subscription: key.id.clone(),
            endpoint: account.applied.subscription.notification.endpoint.host(),
            reason: text.reason,
            at: self.clock.now(),
            // An occasion is no change; it came after all that has been read.
            sequence: what.first().unwrap_or(self.cursor),
            last: what.last(),
            changes: u64::try_from(what.count()).unwrap_or(u64::MAX),
            payload: text.payload,
        };
        let (id, reason) = (key.id.as_str(), &letter.reason);
        tracing::warn!(subscription.id = id, reason, "a notification is among the dead letters");
        self.unsaved.dead.push((key.tenant.clone(), letter));
    }
}

/// What only the end of a notification tells of its letter.
struct LetterText {
    id: String,
    reason: String,
    payload: Option<Box<RawValue>>,
}

/// The body as it is written; none if there is none.
fn as_written(body: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice(body).ok()
}

fn cooldown(applied: &Applied) -> Duration {
    let cooldown = applied.subscription.notification.endpoint.cooldown;
    // What is too long for a duration is cut later.
    cooldown.map_or(Duration::ZERO, |ms| {
        Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::MAX)
    })
}
