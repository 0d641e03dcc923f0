//! The identifiers of notifications.

use musubi_model::{Sequence, Tenant, Timestamp};
use uuid::Uuid;

use crate::SubscriptionId;

/// The namespace of the UUIDs of notifications.
const NAMESPACE: Uuid = Uuid::from_u128(0x3c1b_60a5_9f0e_4a57_8d52_6e0f_b1a9_c7d4);

/// The id of the notification of this change alone to this subscription: always the same, so that
/// a receiver can tell a repetition.
pub(crate) fn notification_id(
    tenant: &Tenant,
    subscription: &SubscriptionId,
    change: (Sequence, Timestamp),
) -> String {
    // The time keeps the ids of a store that was emptied apart from those of its predecessor.
    let name = format!("{tenant}\n{subscription}\n{}\n{}", change.0.0, change.1.as_micros());
    format!("urn:ngsi-ld:Notification:{}", Uuid::new_v5(&NAMESPACE, name.as_bytes()))
}
