//! Signed notifications, as the Standard Webhooks have them: a receiver that shares a secret knows
//! who sent a notification, that nobody changed it, and when it was sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use musubi_model::Timestamp;
use ring::hmac;

use crate::subscription::notifier_info::WebhookSecret;

/// The id of the notification: the same in every attempt.
const ID: HeaderName = HeaderName::from_static("webhook-id");
/// When the attempt was made, in seconds since 1970.
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// A signature for each secret, with spaces between.
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Signs the attempt at `at` to send the notification `id`, whose body this is. Without a secret
/// there is nothing to sign with, and no header is added.
pub(super) fn sign(
    headers: &mut HeaderMap,
    secrets: &[WebhookSecret],
    (id, at): (&str, Timestamp),
    body: &[u8],
) {
    if secrets.is_empty() {
        return;
    }
    let seconds = at.as_micros().div_euclid(1_000_000).to_string();
    let signatures: Vec<String> =
        secrets.iter().map(|secret| signature(secret.bytes(), [id, &seconds], body)).collect();
    let values = [(ID, id), (TIMESTAMP, &seconds), (SIGNATURE, &signatures.join(" "))];
    for (name, value) in values {
        // All of them are printable ASCII.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
}

/// HMAC-SHA256 over id, seconds and body with points between.
fn signature(key: &[u8], [id, seconds]: [&str; 2], body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
        context.update(part);
    }
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests;
