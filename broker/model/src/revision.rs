//! The three numbers by which a store orders things.

use serde::{Deserialize, Serialize};

/// The version of one entity or record. Grows with every write to it, never repeats, and does not
/// start again after a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision(pub u64);

/// Where a change stands in the log, over all tenants. The first change has 1; 0 means "before
/// everything".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Sequence(pub u64);

/// Where an entity stands in the one order of its tenant, that of creation. An entity that is
/// deleted and created again has a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position(pub u64);
