//! The folder of an export, while one process works in it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::journal::Journal;
use crate::{Error, Format};

/// A folder in which no other process exports.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The lock goes when the process does.
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(Error::file(path))?;
        let name = path.join("export.lock");
        let lock = File::create(&name).map_err(Error::file(&name))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(Error::file(&name)(error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what a run that was killed left of the part that comes next.
    pub(crate) fn clean(&self, journal: &Journal) -> Result<(), Error> {
        let part = self.path.join(journal.next_part());
        let mut partial = part.as_os_str().to_owned();
        partial.push(".partial");
        for path in [part, PathBuf::from(partial)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file(&path)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Whether there are files of rows in the folder.
    pub(crate) fn has_parts(&self) -> Result<bool, Error> {
        Ok(!files_in(&self.path)?.is_empty())
    }
}

/// The files of rows in a folder, by their names.
pub(crate) fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::file(folder))? {
        let path = entry.map_err(Error::file(folder))?.path();
        if Format::of(&path).is_some() && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
