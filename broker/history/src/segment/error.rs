//! Why a segment could not be written or read.

use std::io;

use crate::column::Damaged;

/// Why a segment could not be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentError {
    /// The file system failed.
    #[error("the file system failed while {doing}")]
    Io {
        /// What was being done, as the end of the sentence "failed while …".
        doing: &'static str,
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("{0}")]
    Damaged(#[from] Damaged),
    /// What was to be written does not follow what was written before.
    #[error("{0} came out of order")]
    Order(&'static str),
}

impl SegmentError {
    /// What becomes of a failure of the file system while something was done.
    pub(crate) fn io(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    /// What was to be written has more than 4 GiB in one piece.
    pub(super) fn too_large() -> Self {
        Self::Io { doing: "writing a segment", source: io::ErrorKind::FileTooLarge.into() }
    }
}
