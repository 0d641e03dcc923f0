//! The identifiers of notifications.

use std::fmt;

use musubi_model::{Sequence, Tenant, Timestamp};
use uuid::Uuid;

use crate::SubscriptionId;

/// What the ids of notifications are made with: a secret of the broker.
///
/// An id has to be the same whenever the same is told, so it is made of the place in the log. Without
/// a secret a receiver could find that place by trying, and the places of two notifications
/// tell how much all tenants write.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct NotificationKey(Uuid);

impl NotificationKey {
    /// The key that belongs to a secret of the broker.
    pub fn of_secret(secret: &Uuid) -> Self {
        Self(Uuid::new_v5(secret, b"ids of notifications"))
    }

    /// The id of the notification of this change alone to this subscription: always the same, so
    /// that a receiver can tell a repetition.
    pub(crate) fn of_change(
        self,
        tenant: &Tenant,
        subscription: &SubscriptionId,
        change: (Sequence, Timestamp),
    ) -> String {
        // The time keeps the ids of a store that was emptied apart from those of its predecessor.
        let (place, time) = (change.0.0, change.1.as_micros());
        self.of_name(&format!("{tenant}\n{subscription}\n{place}\n{time}"))
    }

    /// The id of what has this name.
    pub(crate) fn of_name(self, name: &str) -> String {
        format!("urn:ngsi-ld:Notification:{}", Uuid::new_v5(&self.0, name.as_bytes()))
    }
}

impl fmt::Debug for NotificationKey {
    /// Says nothing: it is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotificationKey").finish_non_exhaustive()
    }
}
