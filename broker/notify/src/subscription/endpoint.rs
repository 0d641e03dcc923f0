//! The receiver of notifications (CIM 009, clause 5.2.15).

use serde::{Deserialize, Serialize};

use super::InvalidSubscription;
use super::address::{Address, Channel, MqttAddress};
use super::member::Member;
use super::notifier_info::{self, MqttOptions, WebhookSecret};
use super::pair::{KeyValue, read_pairs};
use super::receiver_info;

/// The media type of notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Accept {
    Json,
    JsonLd,
    GeoJson,
}

impl Accept {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLd => "application/ld+json",
            Self::GeoJson => "application/geo+json",
        }
    }
}

/// A receiver of notifications.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) uri: Address,
    pub(crate) accept: Option<Accept>,
    /// Milliseconds.
    pub(crate) timeout: Option<f64>,
    /// Milliseconds.
    pub(crate) cooldown: Option<f64>,
    /// For the receiver, checked to be sendable: headers for HTTP, metadata for MQTT.
    pub(crate) receiver_info: Vec<KeyValue>,
    /// Settings for this side, secrets among them: [`Endpoint::shown_notifier_info`] is what may be
    /// shown.
    pub(crate) notifier_info: Vec<KeyValue>,
}

impl Endpoint {
    pub(super) fn read(member: &Member<'_>) -> Result<Self, InvalidSubscription> {
        let (mut uri, mut accept, mut timeout, mut cooldown) = (None, None, None, None);
        let (mut receiver_info, mut notifier_info) = (Vec::new(), Vec::new());
        for (name, value) in member.members()? {
            match name {
                "uri" => uri = Some(Address::read(&value)?),
                "accept" => accept = Some(read_accept(&value)?),
                "timeout" => timeout = Some(value.positive()?),
                "cooldown" => cooldown = Some(value.positive()?),
                "receiverInfo" => receiver_info = read_pairs(&value)?,
                "notifierInfo" => notifier_info = read_pairs(&value)?,
                _ => return Err(value.refuse("an endpoint has no such member")),
            }
        }
        let uri = uri.ok_or_else(|| member.missing("uri"))?;
        let endpoint = Self { uri, accept, timeout, cooldown, receiver_info, notifier_info };
        endpoint.check(&member.at)?;
        Ok(endpoint)
    }

    /// Checks what depends on how the receiver is reached.
    fn check(&self, at: &str) -> Result<(), InvalidSubscription> {
        let channel = self.channel();
        notifier_info::check(&self.notifier_info, &format!("{at}/notifierInfo"), channel)?;
        let is_signed = !self.webhook_secrets().is_empty();
        receiver_info::check(&self.receiver_info, &format!("{at}/receiverInfo"), channel, is_signed)
    }

    /// How the receiver is reached.
    pub(crate) fn channel(&self) -> Channel {
        self.uri.channel()
    }

    /// The broker and the topic, if it is reached by MQTT.
    pub(crate) fn mqtt(&self) -> Option<(MqttAddress, MqttOptions)> {
        Some((self.uri.mqtt()?, notifier_info::mqtt(&self.notifier_info)))
    }

    /// The most changes in one notification: 1 to 100.
    pub(crate) fn max_changes(&self) -> usize {
        notifier_info::max_changes(&self.notifier_info)
    }

    /// What notifications are signed with, the new secret first; empty if they are not signed.
    pub(crate) fn webhook_secrets(&self) -> Vec<WebhookSecret> {
        notifier_info::webhook_secrets(&self.notifier_info)
    }

    /// The settings for this side without what nobody is shown again.
    pub(super) fn shown_notifier_info(&self) -> serde_json::Value {
        notifier_info::show(&self.notifier_info)
    }

    /// Host and port, for people.
    pub(crate) fn host(&self) -> String {
        if self.channel() == Channel::Stream {
            return self.uri.written.clone();
        }
        let host = self.uri.url.host_str().unwrap_or_default();
        match self.uri.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

fn read_accept(member: &Member<'_>) -> Result<Accept, InvalidSubscription> {
    match member.text()? {
        "application/json" => Ok(Accept::Json),
        "application/ld+json" => Ok(Accept::JsonLd),
        "application/geo+json" => Ok(Accept::GeoJson),
        _ => Err(member.refuse(
            "one of application/json, application/ld+json and application/geo+json is needed",
        )),
    }
}
