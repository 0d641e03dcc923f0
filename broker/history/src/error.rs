//! Why a history cannot be opened.

use std::io;
use std::path::PathBuf;

/// Why a folder cannot be opened as a history.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another history of this one, has it.
    #[error("the history in {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// A file in it was written by another version.
    #[error("{} has the format {found}, and this version reads {expected}", path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that is known here.
        expected: u32,
    },
    /// A file in it is not what was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The manifest names a file that is not there.
    #[error("{} is missing, and the manifest of the history names it", .0.display())]
    Missing(PathBuf),
    /// The store has lost changes that the history holds, or it is another store's history.
    #[error(
        "the history in {} reaches to change {cursor} of the log, and the store only to {newest}: \
         it is not the history of this store, or of a later state of it; restore both from one \
         backup, or move the folder away",
        path.display()
    )]
    Ahead {
        /// The folder.
        path: PathBuf,
        /// The last change that is in the history.
        cursor: u64,
        /// The last change of the store.
        newest: u64,
    },
    /// The disk failed.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}
