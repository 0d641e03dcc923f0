//! Notifications as messages on a topic (CIM 009, clause 7.2).
//!
//! The packets are written and read by `rumqttc`; the connection is our own, because its event loop
//! resolves and connects by itself, past the guard, and does not say which message a refusal was
//! about.

mod link;
pub(super) mod links;
mod metadata;
mod packets;

use std::time::Duration;

use crate::engine::applied::Applied;
use crate::transport::failure::Failure;
use crate::transport::transports::Transports;

use links::{LinkKey, Message};
use metadata::message;

impl Transports {
    /// One attempt by MQTT: with quality of service 0 it succeeds when the message was written to
    /// the connection, with 1 and 2 when the broker has taken it over.
    pub(super) async fn publish(
        &self,
        applied: &Applied,
        body: &[u8],
        timeout: Duration,
    ) -> Result<(), Failure> {
        let endpoint = &applied.subscription.notification.endpoint;
        let Some((address, options)) = endpoint.mqtt() else {
            return Err(Failure::refused("the endpoint is no topic of an MQTT broker"));
        };
        let message = Message {
            topic: address.topic.as_str().into(),
            qos: options.qos,
            payload: message(applied, body).into(),
        };
        let host = endpoint.host();
        let key = LinkKey::new(applied.tenant.clone(), address, options.version);
        let sent = tokio::time::timeout(timeout, self.links.publish(&key, message)).await;
        sent.unwrap_or_else(|_| {
            let ms = timeout.as_millis();
            Err(Failure::passing(format!("{host} did not take the message within {ms} ms")))
        })
    }
}

#[cfg(test)]
mod tests;
