//! What could not be delivered: kept, and sent once more because a person says so.

pub(crate) mod dead_letter;
pub(crate) mod replay;
