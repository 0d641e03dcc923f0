//! Which change is due to which subscription.

pub(crate) mod index;
pub(crate) mod linked;
pub(crate) mod matcher;
pub(crate) mod terms;
pub(crate) mod trace;
