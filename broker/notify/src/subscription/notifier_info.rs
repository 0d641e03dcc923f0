//! How this broker is to talk to a receiver: `notifierInfo` (CIM 009, clauses 5.2.15 and 7.2).
//!
//! The specification has keys for MQTT, this broker has some of its own. Others are kept and shown
//! and mean nothing, but for those that are most likely slips of the pen.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::InvalidSubscription;
use super::address::Channel;
use super::member_names::is_slip;
use super::pair::KeyValue;

/// The version of the protocol, `mqtt3.1.1` or `mqtt5.0`.
const MQTT_VERSION: &str = "MQTT-Version";
/// The quality of service, `0`, `1` or `2`.
const MQTT_QOS: &str = "MQTT-QoS";
/// The most changes in one notification.
const MAX_CHANGES: &str = "Max-Changes";
/// A secret of the receiver, with which notifications are signed.
const WEBHOOK_SECRET: &str = "Webhook-Secret";

/// All keys that mean something.
const KEYS: [&str; 4] = [MQTT_VERSION, MQTT_QOS, MAX_CHANGES, WEBHOOK_SECRET];

/// What secrets begin with.
const SECRET_PREFIX: &str = "whsec_";
/// What is shown of a secret.
const MASK: &str = "whsec_…";
/// How many secrets there may be: the one that is signed with, and while the receiver changes
/// to it, the one before it.
const MOST_SECRETS: usize = 2;
/// The changes in one notification if the client does not say.
const DEFAULT_MAX_CHANGES: usize = 100;

/// The version of MQTT that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum MqttVersion {
    /// `mqtt3.1.1`.
    V3,
    /// `mqtt5.0`.
    #[default]
    V5,
}

/// How surely an MQTT message arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "these are the words of the protocol")]
pub(crate) enum MqttQos {
    /// At most once.
    #[default]
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
    /// Exactly once.
    ExactlyOnce,
}

/// How a message is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MqttOptions {
    pub(crate) version: MqttVersion,
    pub(crate) qos: MqttQos,
}

/// A key that notifications are signed with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// The fewest bytes of a key.
    const FEWEST: usize = 24;
    /// The most bytes of a key.
    const MOST: usize = 64;

    fn parse(text: &str) -> Option<Self> {
        let key = STANDARD.decode(text.strip_prefix(SECRET_PREFIX)?).ok()?;
        (Self::FEWEST..=Self::MOST).contains(&key.len()).then_some(Self(key))
    }

    /// The bytes of the key.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// The values of a key. Keys are compared without regard to case, so that a secret is never taken
/// for something else.
fn values<'a>(pairs: &'a [KeyValue], key: &'a str) -> impl Iterator<Item = &'a str> {
    pairs.iter().filter(|pair| pair.key.eq_ignore_ascii_case(key)).map(|pair| pair.value.as_str())
}

fn version(text: &str) -> Option<MqttVersion> {
    match text {
        "mqtt3.1.1" => Some(MqttVersion::V3),
        "mqtt5.0" => Some(MqttVersion::V5),
        _ => None,
    }
}

fn qos(text: &str) -> Option<MqttQos> {
    match text {
        "0" => Some(MqttQos::AtMostOnce),
        "1" => Some(MqttQos::AtLeastOnce),
        "2" => Some(MqttQos::ExactlyOnce),
        _ => None,
    }
}

fn changes(text: &str) -> Option<usize> {
    text.parse().ok().filter(|most| (1..=DEFAULT_MAX_CHANGES).contains(most))
}

/// What the pairs say of MQTT.
pub(super) fn mqtt(pairs: &[KeyValue]) -> MqttOptions {
    MqttOptions {
        version: values(pairs, MQTT_VERSION).find_map(version).unwrap_or_default(),
        qos: values(pairs, MQTT_QOS).find_map(qos).unwrap_or_default(),
    }
}

/// The most changes in one notification.
pub(super) fn max_changes(pairs: &[KeyValue]) -> usize {
    values(pairs, MAX_CHANGES).find_map(changes).unwrap_or(DEFAULT_MAX_CHANGES)
}

/// The secrets, the new one first.
pub(super) fn webhook_secrets(pairs: &[KeyValue]) -> Vec<WebhookSecret> {
    values(pairs, WEBHOOK_SECRET).filter_map(WebhookSecret::parse).collect()
}

/// The pairs without what nobody is shown again.
pub(super) fn show(pairs: &[KeyValue]) -> Value {
    let shown = pairs.iter().map(|pair| {
        let is_secret = pair.key.eq_ignore_ascii_case(WEBHOOK_SECRET);
        let value = if is_secret { MASK } else { &pair.value };
        json!({"key": pair.key, "value": value})
    });
    shown.collect()
}

/// Checks the pairs, found at `at`, for an address of this channel.
pub(super) fn check(
    pairs: &[KeyValue],
    at: &str,
    channel: Channel,
) -> Result<(), InvalidSubscription> {
    let mut secrets = 0;
    for (i, pair) in pairs.iter().enumerate() {
        let wrong =
            |reason: &str| Err(InvalidSubscription::forbidden(format!("{at}/{i}/value"), reason));
        let is = |key: &str| pair.key.eq_ignore_ascii_case(key);
        if is(WEBHOOK_SECRET) {
            secrets += 1;
            check_secret(&pair.value, channel).or_else(wrong)?;
        } else if is(MQTT_VERSION) && version(&pair.value).is_none() {
            return wrong("mqtt3.1.1 or mqtt5.0 is needed");
        } else if is(MQTT_QOS) && qos(&pair.value).is_none() {
            return wrong("0, 1 or 2 is needed, in quotes");
        } else if is(MAX_CHANGES) && changes(&pair.value).is_none() {
            return wrong("a number from 1 to 100 is needed, in quotes");
        } else if let Some(meant) = meant_by(&pair.key) {
            // A secret would be shown, and nothing signed with it.
            let reason = format_args!("there is no such key, but {meant}");
            return Err(InvalidSubscription::forbidden(format!("{at}/{i}/key"), reason));
        }
    }
    let twice = |key: &str| values(pairs, key).nth(1).is_some();
    if let Some(key) = [MQTT_VERSION, MQTT_QOS, MAX_CHANGES].into_iter().find(|key| twice(key)) {
        let reason = format_args!("{key} stands there twice");
        return Err(InvalidSubscription::forbidden(at, reason));
    }
    if secrets > MOST_SECRETS {
        let reason = "one Webhook-Secret is needed, or the new one and the old one";
        return Err(InvalidSubscription::forbidden(at, reason));
    }
    Ok(())
}

/// The key that somebody meant who wrote one that is none.
fn meant_by(key: &str) -> Option<&'static str> {
    let written = key.to_ascii_lowercase();
    let is_meant = |known: &&str| is_slip(&written, &known.to_ascii_lowercase());
    KEYS.into_iter().find(is_meant).filter(|known| !known.eq_ignore_ascii_case(key))
}

fn check_secret(text: &str, channel: Channel) -> Result<(), &'static str> {
    if channel != Channel::Http {
        return Err("notifications to http:// and https:// are signed, and no others");
    }
    if text == MASK {
        return Err("this is what is shown in the place of a secret: give the secret itself, \
                    or leave notification out of the update and it stays");
    }
    match WebhookSecret::parse(text) {
        Some(_) => Ok(()),
        None => Err("whsec_ and the base64 of 24 to 64 bytes is needed"),
    }
}
