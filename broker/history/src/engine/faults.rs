//! Where a write of the history can fail, for the tests that let it.

use std::io;

/// A step of writing, after all of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A segment is written.
    Segment,
    /// The folder is told of the segment.
    SegmentNamed,
    /// The manifest is written beside the one that counts.
    Manifest,
    /// It takes its place.
    Replace,
    /// The folder is told of that.
    Replaced,
}

#[cfg(test)]
impl Step {
    /// All, in order.
    pub(super) const ALL: [Self; 5] =
        [Self::Segment, Self::SegmentNamed, Self::Manifest, Self::Replace, Self::Replaced];
}

/// Faults that a test asks for, each once.
#[derive(Debug, Default)]
pub(super) struct Faults {
    #[cfg(test)]
    at: parking_lot::Mutex<Option<Step>>,
}

impl Faults {
    /// Lets the next write fail before this step.
    #[cfg(test)]
    pub(super) fn fail_before(&self, step: Step) {
        *self.at.lock() = Some(step);
    }

    #[cfg(test)]
    pub(super) fn before(&self, step: Step) -> io::Result<()> {
        let mut at = self.at.lock();
        if *at == Some(step) {
            *at = None;
            return Err(io::Error::other("a fault that the test asked for"));
        }
        Ok(())
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "outside of the tests nothing fails on request"
    )]
    pub(super) fn before(&self, _step: Step) -> io::Result<()> {
        Ok(())
    }
}
