//! Where the time comes from.

use crate::Timestamp;

/// A source of the time. Handed to whatever needs to know what time it is, so that a test can
/// decide.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now. May stand still and may jump; never relied on for order.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }
}
