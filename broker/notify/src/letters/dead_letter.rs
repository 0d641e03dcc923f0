//! What could not be delivered, kept for a person to look at.

use musubi_model::{Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::SubscriptionId;

/// The value of a dead letter record that the notifier writes: JSON with these members, in
/// `camelCase`. Its key is the id, its tenant that of the subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadNotification {
    /// The id of the notification, the same for every attempt.
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
    /// The body of the notification; null if the change was no longer in the log.
    pub payload: serde_json::Value,
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
}
