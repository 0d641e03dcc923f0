//! Whether a backup, or the folder of a store, holds what it should.

use std::io::Read;
use std::path::Path;

use super::archive::ArchiveError;
use super::content::{ContentReader, FileHead};
use super::contents::{BackupHead, Checker, Contents, RowProblem, Seen};
use crate::engine::{Engine, EngineError, Opening, Table, View};
use crate::folder::{Folder, NEWEST};

/// All tables, in the order in which they stand in a backup.
pub(super) const TABLES: [Table; 4] = [Table::State, Table::Records, Table::Meta, Table::Log];

/// Why a backup or a store is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The file is no backup, is damaged or not complete.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The rows are of a format that this version does not read.
    #[error(
        "the backup is of a store of the format {0}, and this version reads {NEWEST} and older"
    )]
    OtherFormat(u32),
    /// A row is not as it was written.
    #[error(transparent)]
    Row(#[from] RowProblem),
    /// It has more files than a backup ever has.
    #[error("the backup has more than {MOST_FILES} files")]
    ManyFiles,
    /// The folder cannot be opened: it is in use, is none of a store, or is of another format.
    #[error("{0}")]
    Folder(Box<dyn std::error::Error + Send + Sync>),
    /// The engine's files cannot be read.
    #[error("the store's files cannot be read")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<EngineError> for VerifyError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error.into())
    }
}

/// Reads a backup from its beginning to its end: every checksum, every count, every row.
///
/// # Errors
///
/// [`VerifyError`]: what is wrong, and where.
pub fn verify_backup(source: impl Read) -> Result<(BackupHead, Contents), VerifyError> {
    let (head, contents, _) = verify_backup_files(source, |_| false)?;
    Ok((head, contents))
}

/// A file that a backup was found to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFile {
    /// Where it belongs, below the data folder, with `/` between the names.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// What is in it, if it was to be kept.
    pub content: Option<Vec<u8>>,
}

/// The most files that are told of.
const MOST_FILES: usize = 1_000_000;
/// The longest content that is kept.
const LONGEST_KEPT: u64 = 16 << 20;

/// The same as [`verify_backup`], and tells of the attached files: with their content where `keeps`
/// says so of the name and it has no more than 16 MiB.
///
/// # Errors
///
/// [`VerifyError`]: what is wrong, and where.
pub fn verify_backup_files(
    source: impl Read,
    keeps: impl Fn(&str) -> bool,
) -> Result<(BackupHead, Contents, Vec<BackupFile>), VerifyError> {
    let mut content = ContentReader::open(source)?;
    let head = content.head().clone();
    check_format(&head)?;
    let mut checker = Checker::new();
    for table in TABLES {
        while let Some((key, value)) = content.row(table)? {
            checker.row(table, key, value)?;
        }
    }
    let mut files = Vec::new();
    while let Some(FileHead { name, bytes }) = content.file()? {
        let mut kept = (bytes <= LONGEST_KEPT && keeps(&name)).then(Vec::new);
        while let Some(data) = content.data()? {
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(data);
            }
        }
        if files.len() == MOST_FILES {
            return Err(VerifyError::ManyFiles);
        }
        files.push(BackupFile { name, bytes, content: kept });
    }
    Ok((head, content.end()?, files))
}

/// Reads the store in a folder that no process has open: every row of its engine. It changes nothing,
/// but for what the engine writes when it is opened.
///
/// # Errors
///
/// [`VerifyError`]: what is wrong, and where.
pub fn verify_store(path: &Path) -> Result<Contents, VerifyError> {
    let (folder, _) = Folder::claim_as_it_is(path).map_err(VerifyError::Folder)?;
    Ok(check(&folder)?.contents)
}

/// Passes if rows of this backup can be read here.
pub(super) fn check_format(head: &BackupHead) -> Result<(), VerifyError> {
    if (1..=NEWEST).contains(&head.store_format) {
        return Ok(());
    }
    Err(VerifyError::OtherFormat(head.store_format))
}

/// Reads everything that the engine of a folder holds.
pub(super) fn check(folder: &Folder) -> Result<Seen, VerifyError> {
    let view = view(folder)?;
    let mut checker = Checker::new();
    let read = TABLES.into_iter().try_for_each(|table| {
        view.page(table, None, usize::MAX, |key, value| {
            checker.row(table, key, value).map_err(VerifyError::from)
        })
        .map(drop)
    });
    view.abandon();
    read.map(|()| checker.seen())
}

/// Nothing is written, so nothing has to go to the tables; and nothing is cut off that may be of use.
const OPENING: Opening = Opening { pending_bytes: usize::MAX, is_synced: true };

/// A view of the engine of a folder.
pub(super) fn view(folder: &Folder) -> Result<View, EngineError> {
    Engine::open(folder.path(), OPENING)?.view()
}
