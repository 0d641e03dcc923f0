//! The folder of a store: whose it is at the moment, and in which format it is written.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

/// What the file `FORMAT` says in a folder that this version writes.
const FORMAT: &str = "musubi-store-embedded 1";

/// Why a folder cannot be opened as a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store of this one, has it.
    #[error("the data folder {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// It was written by another version.
    #[error("the data folder {} has the format {found:?}, and this version reads {FORMAT:?}", path.display())]
    OtherFormat {
        /// The folder.
        path: PathBuf,
        /// What its file `FORMAT` says, cut to 80 characters.
        found: String,
    },
    /// It holds something, but no file `FORMAT`.
    #[error("the folder {} is not empty and has no file FORMAT, so it is no data folder", .0.display())]
    NotAStore(PathBuf),
    /// A row in it cannot be read.
    #[error("a row of {table} in the data folder cannot be read")]
    Row {
        /// Where the row is.
        table: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A folder that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Folder {
    /// Makes the folder if it is not there, locks it, and looks at its format.
    pub(crate) fn claim(path: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(path)?;
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(path.join("LOCK"))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(OpenError::InUse(path.to_owned()).into());
            }
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
        let folder = Self { path: path.to_owned(), _lock: lock };
        folder.check_format()?;
        Ok(folder)
    }

    /// Where the engine keeps its files.
    pub(crate) fn engine(&self) -> PathBuf {
        self.path.join("engine")
    }

    /// Bytes that are free on the disk for us.
    pub(crate) fn free_bytes(&self) -> std::io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.path)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Whether this process still holds a journal of the engine open. An engine that was given up
    /// may still write what its buffer holds when its last thread ends, and must not do so into a
    /// journal that is in use again. Where the system does not say, the answer is no.
    pub(crate) fn has_open_journal(&self) -> bool {
        let Ok(descriptors) = fs::read_dir("/proc/self/fd") else { return false };
        let Ok(engine) = fs::canonicalize(self.engine()) else { return false };
        descriptors.flatten().any(|descriptor| {
            fs::read_link(descriptor.path()).is_ok_and(|target| {
                target.starts_with(&engine) && target.extension().is_some_and(|end| end == "jnl")
            })
        })
    }

    fn check_format(&self) -> Result<(), Failure> {
        let path = self.path.join("FORMAT");
        match fs::read_to_string(&path) {
            Ok(text) if text.trim_end() == FORMAT => Ok(()),
            Ok(text) => Err(OpenError::OtherFormat {
                path: self.path.clone(),
                found: text.trim_end().chars().take(80).collect(),
            }
            .into()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.engine().exists() {
                    return Err(OpenError::NotAStore(self.path.clone()).into());
                }
                self.write_format(&path)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the file beside its place and moves it there, so that it is never there by half.
    fn write_format(&self, path: &Path) -> Result<(), Failure> {
        let beside = self.path.join("FORMAT.new");
        let mut file = File::create(&beside)?;
        writeln!(file, "{FORMAT}")?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(&self.path)?.sync_all()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_claimed_once_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Folder::claim(folder.path()).unwrap();
        let refused = Folder::claim(folder.path()).unwrap_err();
        assert!(refused.to_string().contains("in use by another process"), "{refused}");
        drop(first);
        Folder::claim(folder.path()).unwrap();
    }

    #[test]
    fn another_format_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("FORMAT"), "musubi-store-embedded 2\n").unwrap();
        let refused = Folder::claim(folder.path()).unwrap_err();
        assert!(refused.to_string().contains("\"musubi-store-embedded 2\""), "{refused}");
    }

    #[test]
    fn an_engine_without_a_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("engine")).unwrap();
        let refused = Folder::claim(folder.path()).unwrap_err();
        assert!(refused.to_string().contains("no file FORMAT"), "{refused}");
    }
}
