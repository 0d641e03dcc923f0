//! Subscription identifiers.

use std::fmt;
use std::str::FromStr;

use musubi_model::{InvalidName, Uri};
use serde::{Deserialize, Serialize};

/// The identifier of a subscription: an absolute URI of at most 2,048 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(Uri);

/// Why a string is no subscription identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subscription is named by a URI: {0}")]
pub struct InvalidSubscriptionId(#[from] InvalidName);

impl SubscriptionId {
    /// A new identifier, `urn:ngsi-ld:Subscription:` and a random UUID (CIM 009, clause 5.8.1.4).
    ///
    /// # Panics
    ///
    /// Never: the text is a URI by its form.
    #[expect(clippy::expect_used, reason = "a fixed prefix and a UUID always make a URI")]
    pub fn generate() -> Self {
        format!("urn:ngsi-ld:Subscription:{}", uuid::Uuid::new_v4())
            .parse()
            .expect("a prefix and a UUID are a URI")
    }

    /// The identifier as it was given.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for SubscriptionId {
    type Err = InvalidSubscriptionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.parse()?))
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
