//! Columns: many values of one kind, as few bytes as can be.
//!
//! Whoever reads a column knows how many values it has, and that this is at most [`MAX_COUNT`]. Any
//! bytes are read as something or refused as [`Damaged`]; what is allocated is bounded by the
//! number of values and the bytes that are there.

mod bytes;
mod decimals;
mod floats;
mod integers;
mod texts;
mod times;
mod values;

use smallvec::SmallVec;

pub(crate) use self::bytes::{Damaged, Input, put_measured, put_signed, put_sized, put_unsigned};
pub(crate) use self::texts::Texts;
pub(crate) use self::times::Times;
pub(crate) use self::values::Values;
pub(crate) use self::{floats::Floats, integers::Integers};

/// A list that is nearly always short: most series that are in memory have one instance there.
pub(crate) type Short<T> = SmallVec<[T; 4]>;

/// The most values of a column.
pub(crate) const MAX_COUNT: usize = 1 << 16;

/// The most bytes that the values of a column may take when decoded, beyond those of the column
/// itself. Repetitions take next to nothing in a file, so only this bounds them.
pub(crate) const MAX_REPEATED: usize = 4 << 20;

#[cfg(test)]
mod tests;
