//! Dead letters on their way once more: to their adapter, or to the receiver of their
//! subscription.

use std::sync::OnceLock;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use musubi_broker::{DeadLetter, Replay};
use musubi_model::Tenant;
use musubi_notify::Replayer;
use serde_json::Value;

use crate::adapters::Registry;

/// Replays through the adapters and the notifier of this process.
#[derive(Debug)]
pub(crate) struct Replays {
    notifications: Replayer,
    registry: OnceLock<Registry>,
}

impl Replays {
    pub(crate) fn new(notifications: Replayer) -> Self {
        Self { notifications, registry: OnceLock::new() }
    }

    /// Tells which adapters there are, which are made after the broker.
    pub(crate) fn know(&self, registry: Registry) {
        // Told once, at the start.
        let _ = self.registry.set(registry);
    }
}

impl Replay for Replays {
    fn replay<'a>(
        &'a self,
        tenant: &'a Tenant,
        letter: &'a DeadLetter,
    ) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let text = |name: &str| letter.content.get(name).and_then(Value::as_str);
            let payload = letter.payload.as_deref();
            if text("kind") == Some("notification") {
                let content = Value::Object(letter.content.clone());
                return self.notifications.replay(tenant, &content, payload).await;
            }
            let name = text("adapter").unwrap_or_default();
            let adapter = self
                .registry
                .get()
                .and_then(|registry| registry.find(name))
                .ok_or_else(|| format!("the adapter {name:?} does not run in this process"))?;
            let came: Option<String> =
                payload.and_then(|payload| serde_json::from_str(payload.get()).ok());
            let payload = bytes(&came.unwrap_or_default(), text("payloadEncoding"))?;
            let letter = musubi_adapter_kit::DeadLetter {
                id: letter.id.clone(),
                at: text("at").unwrap_or_default().parse().unwrap_or_default(),
                adapter: name.to_owned(),
                origin: text("origin").unwrap_or_default().to_owned(),
                reason: text("reason").unwrap_or_default().to_owned(),
                payload,
            };
            adapter.replay(tenant, &letter).await
        }
        .boxed()
    }
}

fn bytes(text: &str, encoding: Option<&str>) -> Result<Vec<u8>, String> {
    if encoding != Some("hex") {
        return Ok(text.as_bytes().to_vec());
    }
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()
        .ok_or("the payload of the letter is damaged")?;
    Ok(digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | digit))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_that_were_no_text_come_back() {
        assert_eq!(bytes("00ff1a", Some("hex")).unwrap(), [0x00, 0xff, 0x1a]);
        assert_eq!(bytes("{}", Some("text")).unwrap(), b"{}");
        assert!(bytes("zz", Some("hex")).is_err());
    }
}
