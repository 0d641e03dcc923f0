//! Which files are meant.

use std::path::{Path, PathBuf};

use crate::folder::files_in;
use crate::journal::{Journal, Listed};
use crate::{Error, digest};

/// The files of rows that a path means, in their order: itself, or those of a folder. Of the folder of
/// an export these are the parts that are whole.
///
/// # Errors
///
/// [`Error::File`]; [`Error::Damaged`] if a folder has no such files, or its `export.json` cannot be
/// read.
pub fn part_files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    if let Some(journal) = Journal::read(path)? {
        return Ok(journal.parts.iter().map(|listed| path.join(&listed.part.file)).collect());
    }
    let files = files_in(path)?;
    if files.is_empty() {
        return Err(Error::damaged(path, "there are no files of history in this folder"));
    }
    Ok(files)
}

/// What the export that a file belongs to says of it.
pub(crate) fn listed(path: &Path) -> Result<Option<Listed>, Error> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    let journal = Journal::read(folder)?;
    let parts = journal.map(|journal| journal.parts).unwrap_or_default();
    Ok(parts.into_iter().find(|listed| *listed.part.file == *name))
}

/// Checks that a file is as its export left it; without one, nothing is known of it.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    let Some(Listed { part, .. }) = listed(path)? else { return Ok(()) };
    if digest::of_file(path)? == part.sha256 {
        return Ok(());
    }
    Err(Error::damaged(path, "the file is damaged: its digest is not the one in export.json"))
}
