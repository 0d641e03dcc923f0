//! The folder of a history: whose it is at the moment, and what its files are called.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::OpenError;

const SEGMENT: &str = "segment";

/// A folder that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock: File,
}

/// A process that is being started has our descriptors for a moment, and with them the lock, which
/// would outlast the mere closing of ours.
impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = rustix::fs::flock(&self.lock, FlockOperation::Unlock) {
            tracing::warn!(%error, "the folder of the history could not be unlocked");
        }
    }
}

impl Folder {
    /// Makes the folder if it is not there, and locks it.
    pub(crate) fn claim(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        if !path.exists() {
            fs::create_dir_all(path).map_err(failed)?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let sync = || File::open(parent.unwrap_or(Path::new(".")))?.sync_all();
            sync().map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let lock = options.open(path.join("LOCK")).map_err(failed)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(path.to_owned())),
            Err(error) => Err(failed(io::Error::from(error))),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the file of a segment.
    pub(crate) fn segment_name(id: u64) -> String {
        format!("{id:016x}.{SEGMENT}")
    }

    /// Where the file of a segment is.
    pub(crate) fn segment(&self, id: u64) -> PathBuf {
        self.path.join(Self::segment_name(id))
    }

    /// Bytes that are free on the disk for us.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.path)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Makes durable which files there are and what they are called.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Removes what a write left behind that did not come to its end: segments that the manifest does
    /// not name, and a manifest that never counted. Other files are left alone: they are not ours.
    pub(crate) fn sweep(&self, is_listed: impl Fn(&Path) -> bool) -> io::Result<()> {
        for file in fs::read_dir(&self.path)? {
            let path = file?.path();
            let is_segment = path.extension() == Some(OsStr::new(SEGMENT)) && !is_listed(&path);
            let is_unfinished =
                ["new", "part"].map(OsStr::new).contains(&path.extension().unwrap_or_default());
            if is_segment || is_unfinished {
                fs::remove_file(&path)?;
                tracing::info!(path = %path.display(), "removed what an unfinished write had left");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_free_again_while_a_process_that_is_being_started_has_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let first = Folder::claim(folder.path()).unwrap();
        assert!(matches!(Folder::claim(folder.path()), Err(OpenError::InUse(_))));
        let inherited = first.lock.try_clone().unwrap();
        drop(first);
        Folder::claim(folder.path()).unwrap();
        drop(inherited);
    }
}
