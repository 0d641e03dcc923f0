//! What could not be delivered, kept for a person to look at.

use musubi_model::{Sequence, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::SubscriptionId;

/// The value of a dead letter record that the notifier writes: JSON with these members, in
/// `camelCase`. Its key is the id, its tenant that of the subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadNotification {
    /// The id of the notification, the same for every attempt. Of an occasion that takes several
    /// notifications, that of the one which was not accepted.
    pub id: String,
    /// `notification`.
    pub kind: String,
    /// Whose it is.
    pub subscription: SubscriptionId,
    /// Host and port of the endpoint. The rest of its URL may hold a secret.
    pub endpoint: String,
    /// Why it was given up, in a sentence.
    pub reason: String,
    /// When it was given up.
    pub at: Timestamp,
    /// The change that it tells of; of several, the first.
    pub sequence: Sequence,
    /// The last change that it tells of, if those are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Sequence>,
    /// How many changes it tells of; at least 1. Letters of earlier versions, which do not say, tell
    /// of one.
    #[serde(default = "one")]
    pub changes: u64,
    /// The body of the notification, byte for byte as it was sent or would have been. None (null) if
    /// there was none to send: the reason says why.
    #[serde(default)]
    pub payload: Option<Box<RawValue>>,
}

fn one() -> u64 {
    1
}

impl DeadNotification {
    /// What `kind` says.
    pub const KIND: &'static str = "notification";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_of_an_earlier_version_tells_of_one_change() {
        let text = r#"{"id":"urn:x:1","kind":"notification","subscription":"urn:x:s","endpoint":"h:1",
            "reason":"the endpoint answered 500","at":0,"sequence":7,"payload":{}}"#;
        let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
        value["at"] = serde_json::to_value(Timestamp::from_seconds(1_700_000_000)).unwrap();
        let letter: DeadNotification = serde_json::from_value(value.clone()).unwrap();
        assert_eq!((letter.sequence, letter.last, letter.changes), (Sequence(7), None, 1));
        value["changes"] = 1.into();
        assert_eq!(serde_json::to_value(&letter).unwrap(), value);
    }

    #[test]
    fn the_body_stays_as_it_is_written() {
        let body = r#"{"value":12345678901234567890123,"other":1.10,"text":"\u00e9"}"#;
        let text = format!(
            r#"{{"id":"urn:x:1","kind":"notification","subscription":"urn:x:s","endpoint":"h:1",
            "reason":"the endpoint answered 500","at":0,"sequence":7,"payload":{body}}}"#
        );
        let letter: DeadNotification = serde_json::from_str(&text).unwrap();
        assert_eq!(letter.payload.as_deref().map(RawValue::get), Some(body));
        let written = serde_json::to_string(&letter).unwrap();
        assert!(written.contains(body), "{written}");
        let nothing = text.replace(body, "null");
        let letter: DeadNotification = serde_json::from_str(&nothing).unwrap();
        assert!(letter.payload.is_none());
    }
}
