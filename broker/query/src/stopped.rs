//! Work that was not done to its end.

/// Work was not done to its end, because whoever asked for it did not let it go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was not to go on")]
pub struct Stopped;

impl Stopped {
    /// An error unless it goes on.
    pub(crate) fn unless(goes_on: bool) -> Result<(), Self> {
        if goes_on { Ok(()) } else { Err(Self) }
    }
}
