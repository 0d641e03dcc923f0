//! One of them, as it is kept.

use musubi_model::{EntityId, Timestamp};
use serde::{Deserialize, Serialize};

/// A moment at which something is due to a subscription. It counts as one in the ledger, as a
/// change in the log does, and is told before the changes that are pending.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Occasion {
    /// When it came. The same for every repetition, so that the notification has the same id.
    pub(crate) at: Timestamp,
    pub(crate) kind: OccasionKind,
}

/// Why something is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum OccasionKind {
    /// The subscription is new, and asked for what matches at its beginning.
    Initial,
    /// Its `timeInterval` has passed.
    Periodic,
    /// An entity has not changed since then for as long as `silentFor` says.
    Silent { entity: EntityId, since: Timestamp },
    /// An entity that was told to be silent has changed again.
    Returned { entity: EntityId, since: Timestamp },
}
