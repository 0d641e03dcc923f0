//! What can go wrong with files of history.

use std::io;
use std::path::{Path, PathBuf};

/// Why an export or import, or the work on one of its files, did not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A row of a file is not what it should be, or nobody takes it.
    #[error("{}, row {row}: {reason}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row, counted from 1; the heads of a CSV file are none.
        row: u64,
        /// What is wrong.
        reason: String,
    },
    /// The folder holds another export than the one that is asked for.
    #[error("{} holds an export {reason}; take another folder", path.display())]
    OtherExport {
        /// The folder.
        path: PathBuf,
        /// How that one differs.
        reason: String,
    },
    /// Another process works in the folder.
    #[error("another export is writing to {}", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The broker did not answer, or not with what was asked for.
    #[error("{0}")]
    Broker(String),
}

impl Error {
    pub(crate) fn file(path: &Path) -> impl Fn(io::Error) -> Self {
        move |reason| Self::File { path: path.to_owned(), reason }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn row(path: &Path, row: u64, reason: impl Into<String>) -> Self {
        Self::Row { path: path.to_owned(), row, reason: reason.into() }
    }
}
