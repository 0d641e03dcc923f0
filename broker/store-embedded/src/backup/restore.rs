//! From a backup to a folder that can be served.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use super::archive::ArchiveError;
use super::content::ContentReader;
use super::contents::{BackupHead, Checker, Contents, RowProblem};
use super::verify::{TABLES, VerifyError, check, check_format};
use crate::engine::{Bulk, EngineError, Table};
use crate::folder::{Folder, NEWEST, OpenError};

/// Why a backup was not restored. What is in the folder then is not opened by anybody.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup cannot be read, or what it holds is not as it should be; or, in the end, what is
    /// in the folder is not.
    #[error(transparent)]
    Content(#[from] VerifyError),
    /// The folder is not empty, or cannot be made.
    #[error("{0}")]
    Folder(Box<dyn Error + Send + Sync>),
    /// What was written is not what is there.
    #[error("what was written to the disk is not what is read from it")]
    Mismatch,
    /// What is in the folder beside the store is not as it should be.
    #[error("{0}")]
    Refused(Box<dyn Error + Send + Sync>),
    /// A file cannot be written.
    #[error("{} cannot be written", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl From<ArchiveError> for RestoreError {
    fn from(error: ArchiveError) -> Self {
        Self::Content(error.into())
    }
}

impl From<RowProblem> for RestoreError {
    fn from(error: RowProblem) -> Self {
        Self::Content(error.into())
    }
}

impl From<EngineError> for RestoreError {
    fn from(error: EngineError) -> Self {
        Self::Content(error.into())
    }
}

impl RestoreError {
    /// Whether the folder was left as it was.
    pub fn is_untouched(&self) -> bool {
        match self {
            Self::Folder(source) => source.is::<OpenError>(),
            Self::Content(_) | Self::Mismatch | Self::Refused(_) | Self::Io { .. } => false,
        }
    }
}

/// Makes a data folder of a backup: every row and every attached file, safe from a power cut, and
/// read again and compared in the end. The folder must be empty, or not be there. Until all that is
/// done it is refused by whoever wants to open it. It is of the newest format: older ones differ in how
/// rows are kept, not in the rows.
///
/// # Errors
///
/// [`RestoreError`]. Unless it was about the folder itself, a part of the backup is in the folder
/// then, and the folder is to be deleted.
pub fn restore(source: impl Read, path: &Path) -> Result<(BackupHead, Contents), RestoreError> {
    restore_if(source, path, |_, _| Ok(()))
}

/// The same as [`restore`], and at its end, before the folder can be opened, has `check` look at what is
/// in the folder beside the store. If that fails the folder stays one that is opened by nobody.
///
/// # Errors
///
/// As for [`restore`], and [`RestoreError::Refused`] with what `check` says.
pub fn restore_if(
    source: impl Read,
    path: &Path,
    check_files: impl FnOnce(&Path, &Contents) -> Result<(), Box<dyn Error + Send + Sync>>,
) -> Result<(BackupHead, Contents), RestoreError> {
    let mut content = ContentReader::open(source)?;
    let head = content.head().clone();
    check_format(&head)?;
    let folder = Folder::claim_empty(path, NEWEST).map_err(RestoreError::Folder)?;
    let mut checker = Checker::new();
    let mut bulk = Bulk::create(folder.path())?;
    for table in TABLES {
        fill(&mut bulk, table, &mut content, &mut checker)?;
    }
    bulk.finish()?;
    files(&mut content, folder.path())?;
    let contents = content.end()?;
    let written = checker.seen();
    if check(&folder)? != written || contents.rows() != written.contents {
        return Err(RestoreError::Mismatch);
    }
    check_files(path, &contents).map_err(RestoreError::Refused)?;
    let failed = |source| RestoreError::Io { path: path.join("FORMAT"), source };
    folder.complete().map_err(failed)?;
    Ok((head, contents))
}

/// Fills a table.
fn fill(
    bulk: &mut Bulk,
    table: Table,
    content: &mut ContentReader<impl Read>,
    checker: &mut Checker,
) -> Result<(), RestoreError> {
    bulk.fill(table, |put| {
        while let Some((key, value)) = content.row(table)? {
            checker.row(table, key, value)?;
            put(key, value)?;
        }
        Ok(())
    })
}

/// Writes the attached files.
fn files(content: &mut ContentReader<impl Read>, folder: &Path) -> Result<(), RestoreError> {
    let mut folders = Vec::new();
    while let Some(head) = content.file()? {
        let path = folder.join(&head.name);
        let failed = |source| RestoreError::Io { path: path.clone(), source };
        let parent = path.parent().unwrap_or(folder);
        if !folders.iter().any(|known| known == parent) {
            fs::create_dir_all(parent).map_err(failed)?;
            folders.push(parent.to_owned());
        }
        let mut file = File::create_new(&path).map_err(failed)?;
        while let Some(bytes) = content.data()? {
            file.write_all(bytes).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
    }
    for made in folders.iter().flat_map(|made| made.ancestors()) {
        if !made.starts_with(folder) {
            continue;
        }
        let sync = || File::open(made)?.sync_all();
        sync().map_err(|source| RestoreError::Io { path: made.to_owned(), source })?;
    }
    Ok(())
}
