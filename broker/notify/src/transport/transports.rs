//! All ways on which a notification can leave.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use musubi_model::Clock;
use musubi_outbound::{Client, Error};

use crate::engine::applied::Applied;
use crate::subscription::address::Channel;
use crate::transport::failure::Failure;
use crate::transport::mqtt::links::Links;

/// Sends notifications to where their subscriptions want them: one attempt at a time for each, and
/// no opinion on what to do when it fails.
#[derive(Debug)]
pub(crate) struct Transports {
    pub(super) client: Client,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) links: Links,
}

impl Transports {
    /// Transports whose connections this client opens, or its guard refuses.
    pub(crate) fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { links: Links::new(client.clone()), client, clock }
    }

    /// Sends a notification of this id. It ends after `timeout`, or earlier if the subscription
    /// says so. `Ok` means that the receiver has taken the notification over, as far as the way
    /// on which it went can know.
    pub(crate) async fn send(
        &self,
        applied: &Applied,
        id: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let endpoint = &applied.subscription.notification.endpoint;
        let asked = endpoint.timeout.map(|ms| Duration::try_from_secs_f64(ms / 1000.0));
        let timeout = asked.and_then(Result::ok).map_or(timeout, |asked| asked.min(timeout));
        match endpoint.channel() {
            Channel::Http => self.post(applied, id, body, timeout).await,
            Channel::Mqtt => self.publish(applied, &body, timeout).await,
            Channel::Stream => Err(Failure::refused("a stream has no endpoint to send to")),
        }
    }
}

/// What an error of the client means for the notification.
pub(super) fn failure_of(error: &Error) -> Failure {
    let reason = error.to_string();
    match error {
        Error::Forbidden(_) | Error::TooLarge { .. } => Failure::refused(reason),
        Error::Unreachable { .. } | Error::TimedOut { .. } => Failure::passing(reason),
    }
}
