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
    /// The change that it tells of.
    pub sequence: Sequence,
    /// The body of the notification; null if the change was no longer in the log.
    pub payload: serde_json::Value,
}

impl DeadNotification {
    /// What `kind` says.
    pub const KIND: &'static str = "notification";
}
