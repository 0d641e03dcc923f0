//! What could not be used, kept for a person to look at.

use musubi_model::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An input that an adapter could not use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Unique and the same for the same input: a hash of source, origin, payload and time.
    pub id: String,
    /// When it was given up.
    pub at: Timestamp,
    /// The adapter.
    pub adapter: String,
    /// Where it came from: an MQTT topic, a file and line, an item of a feed.
    pub origin: String,
    /// Why it could not be used, in a sentence.
    pub reason: String,
    /// What came in, cut to 64 KiB.
    pub payload: Vec<u8>,
}

impl DeadLetter {
    /// The longest payload kept, in bytes. One of this length may have been cut.
    pub const MAX_PAYLOAD: usize = 64 * 1024;

    /// What `adapter` could not use of what came from `origin`, and why. `at` is the time of the
    /// input's arrival, so that the same input tried again gives the same identifier.
    pub fn new(
        adapter: &str,
        origin: &str,
        reason: impl Into<String>,
        payload: &[u8],
        at: Timestamp,
    ) -> Self {
        let mut seed = Vec::with_capacity(adapter.len() + origin.len() + payload.len() + 16);
        for part in [adapter.as_bytes(), origin.as_bytes(), payload] {
            // With its length, so that no two splits give the same bytes.
            seed.extend_from_slice(&part.len().to_le_bytes());
            seed.extend_from_slice(part);
        }
        seed.extend_from_slice(&at.as_micros().to_le_bytes());
        Self {
            id: Uuid::new_v5(&Uuid::NAMESPACE_OID, &seed).simple().to_string(),
            at,
            adapter: adapter.to_owned(),
            origin: origin.to_owned(),
            reason: reason.into(),
            payload: payload.get(..Self::MAX_PAYLOAD).unwrap_or(payload).to_vec(),
        }
    }
}
