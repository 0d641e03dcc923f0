//! What holds everything together: what there is, and how it becomes something else.

mod archive;
mod faults;
mod flush;
mod frozen;
mod install;
mod merge;
mod open;
mod seed;
mod shared;
mod task;
#[cfg(test)]
mod tests;
mod tidy;
mod turns;

pub use self::archive::{Archive, Listing, Verified};
pub use self::frozen::{Frozen, FrozenFile};
