//! One attempt at one delivery: all that is done outside the notifier's own task.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use musubi_model::{Clock, EntityChange, Sequence, Timestamp};
use musubi_outbound::{Client, Error, Request};
use musubi_store::{Store, StoreError, Subject};

use crate::account::AccountKey;
use crate::applied::Applied;
use crate::notification::{body, headers, notification_id};
use crate::retry_after::retry_after;

/// The longest answer that is read. What it says is not looked at.
const MAX_ANSWER: usize = 1024 * 1024;

/// What an attempt belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) key: AccountKey,
    pub(crate) generation: u64,
    pub(crate) sequence: Sequence,
    pub(crate) time: Timestamp,
    /// The subscription as it was when the attempt began.
    pub(crate) applied: Arc<Applied>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) ticket: Ticket,
    /// When the change was first sent, if it was.
    pub(crate) first_sent: Option<Timestamp>,
    /// Whether the endpoint failed the last time, so that a change that is too old is given up
    /// without another attempt.
    pub(crate) is_failing: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) ticket: Ticket,
    /// When it began.
    pub(crate) at: Timestamp,
    pub(crate) verdict: Verdict,
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The endpoint accepted the notification.
    Delivered,
    /// It did not.
    Failed(Failure),
    /// The change is too old to be tried again; the body that would have been sent.
    Overdue(Bytes),
    /// The change is no longer in the log.
    Gone,
    /// The store did not give the change; nothing was sent.
    Unread(StoreError),
    /// The attempt itself broke.
    Broken,
}

/// How an attempt failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// In a sentence, without anything secret.
    pub(crate) reason: String,
    /// Whether the endpoint is there and does not want it.
    pub(crate) is_refusal: bool,
    /// When the endpoint wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
    /// What was sent.
    pub(crate) body: Bytes,
}

/// Carries notifications to their endpoints.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    /// The longest time that an endpoint is given.
    pub(crate) timeout: Duration,
    pub(crate) max_age: Duration,
}

impl Courier {
    /// Does one errand.
    pub(crate) async fn attempt(&self, errand: Errand) -> Attempt {
        let at = self.clock.now();
        let verdict = self.deliver(&errand, at).await;
        Attempt { ticket: errand.ticket, at, verdict }
    }

    async fn deliver(&self, errand: &Errand, at: Timestamp) -> Verdict {
        let change = match self.read(errand.ticket.sequence).await {
            Ok(Some(change)) => change,
            Ok(None) => return Verdict::Gone,
            Err(error) => return Verdict::Unread(error),
        };
        let notified_at = errand.first_sent.unwrap_or(at);
        let body = Bytes::from(write(errand, &change, notified_at));
        if errand.is_failing && is_older(errand.ticket.time, at, self.max_age) {
            return Verdict::Overdue(body);
        }
        match self.send(&errand.ticket.applied, body.clone()).await {
            Ok(()) => Verdict::Delivered,
            Err(failure) => Verdict::Failed(Failure { body, ..failure }),
        }
    }

    async fn read(&self, sequence: Sequence) -> Result<Option<EntityChange>, StoreError> {
        let changes = self.store.changes(Sequence(sequence.0.saturating_sub(1)), 1).await?;
        let Some(change) = changes.into_iter().find(|change| change.sequence == sequence) else {
            return Ok(None);
        };
        Ok(match &change.subject {
            Subject::Entity(change) => Some(change.clone()),
            Subject::Record(_) => None,
        })
    }

    pub(crate) async fn send(&self, applied: &Applied, body: Bytes) -> Result<(), Failure> {
        let endpoint = &applied.subscription.notification.endpoint;
        let asked = endpoint.timeout.map(|ms| Duration::try_from_secs_f64(ms / 1000.0));
        let request = Request {
            method: Method::POST,
            url: endpoint.uri.url.clone(),
            headers: headers(applied),
            body,
            timeout: asked.and_then(Result::ok).map_or(self.timeout, |it| it.min(self.timeout)),
            max_body: MAX_ANSWER,
        };
        let failed = |reason: String, is_refusal, retry_after| {
            Err(Failure { reason, is_refusal, retry_after, body: Bytes::new() })
        };
        match self.client.send(request).await {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => {
                let asked = retry_after(&answer.headers, self.clock.now());
                let reason = format!("the endpoint answered {}", answer.status);
                failed(reason, is_refusal(answer.status), asked)
            }
            Err(error @ (Error::Forbidden(_) | Error::TooLarge { .. })) => {
                failed(error.to_string(), true, None)
            }
            Err(error @ (Error::Unreachable { .. } | Error::TimedOut { .. })) => {
                failed(error.to_string(), false, None)
            }
        }
    }
}

/// The body of the notification.
fn write(errand: &Errand, change: &EntityChange, notified_at: Timestamp) -> Vec<u8> {
    let Ticket { key, sequence, time, .. } = &errand.ticket;
    let id = notification_id(&key.tenant, &key.id, (*sequence, *time));
    body(&errand.ticket.applied, change, &id, *time, notified_at)
}

/// Whether something of this time is older than `age`.
pub(crate) fn is_older(time: Timestamp, now: Timestamp, age: Duration) -> bool {
    let micros = now.as_micros().saturating_sub(time.as_micros());
    u64::try_from(micros).is_ok_and(|micros| Duration::from_micros(micros) > age)
}

/// Whether a status says that another attempt will most likely end in the same way.
fn is_refusal(status: StatusCode) -> bool {
    let passing =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !passing.contains(&status)
}
