//! What is due to a subscription and is no change in the log.

pub(crate) mod gather;
pub(crate) mod minding;
mod occasion;
pub(crate) mod schedule;
pub(crate) mod silence;
pub(crate) mod silences;

pub(crate) use occasion::{Occasion, OccasionKind};
