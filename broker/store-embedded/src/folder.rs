//! The folder of a store: whose it is at the moment, and in which format it is written.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::engine;
use crate::migrations::{self, MIGRATIONS};

/// What the file `FORMAT` says before the number.
const FORMAT: &str = "musubi-store-embedded ";
/// The format of the folders that this version writes. It opens older ones, which it makes such a
/// folder of first.
pub(crate) const NEWEST: u32 = 3;
const _: () = assert!(MIGRATIONS.len() == 2, "a step leads to the newest format");
/// What the file is called while a backup is being restored into the folder.
const UNFINISHED: &str = "FORMAT.unfinished";

/// Why a folder cannot be opened as a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store of this one, has it.
    #[error("the data folder {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// It was written by another version.
    #[error("the data folder {} has the format {found:?}, and this version reads \"{FORMAT}{NEWEST}\" and older", path.display())]
    OtherFormat {
        /// The folder.
        path: PathBuf,
        /// What its file `FORMAT` says, cut to 80 characters.
        found: String,
    },
    /// It holds something, but no file `FORMAT`.
    #[error("the folder {} is not empty and has no file FORMAT, so it is no data folder", .0.display())]
    NotAStore(PathBuf),
    /// A backup was being restored into it when that was interrupted.
    #[error("the folder {} holds a part of a backup whose restoring did not come to its end; delete it and restore again", .0.display())]
    Unfinished(PathBuf),
    /// A backup is to be restored into it, and something is there.
    #[error("the folder {} is not empty, and a backup is restored into an empty one", .0.display())]
    NotEmpty(PathBuf),
    /// It is only to be looked at, and was left by an older version in a form that is not read as it
    /// is.
    #[error("the data folder {} is still as an older version left it (format {format}); start a server on it once, and it becomes one of this version", path.display())]
    Older {
        /// The folder.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
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
    lock: File,
}

/// A process that is being started has our descriptors for a moment, and with them the lock, which
/// would outlast the mere closing of ours.
impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = rustix::fs::flock(&self.lock, FlockOperation::Unlock) {
            tracing::warn!(%error, "the data folder could not be unlocked");
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Folder {
    /// Makes the folder if it is not there, locks it, and makes it one of the newest format.
    pub(crate) fn claim(path: &Path) -> Result<Self, Failure> {
        create_durably(path)?;
        let folder = Self::lock(path)?;
        match folder.format()? {
            Some(NEWEST) => {}
            Some(found) => migrations::migrate(path, found, &MIGRATIONS)?,
            None if folder.tables().exists() || path.join(engine::LOG).exists() => {
                return Err(OpenError::NotAStore(path.to_owned()).into());
            }
            None => write_format(path, NEWEST)?,
        }
        Ok(folder)
    }

    /// Locks a folder that is one of a store, and gives its format.
    pub(crate) fn claim_as_it_is(path: &Path) -> Result<(Self, u32), Failure> {
        // Nothing is left behind in what is none.
        fs::metadata(path)?;
        if !path.join("FORMAT").exists() && !path.join(UNFINISHED).exists() {
            return Err(OpenError::NotAStore(path.to_owned()).into());
        }
        let folder = Self::lock(path)?;
        match folder.format()? {
            Some(format) if format < NEWEST && engine::is_older(path) => {
                Err(OpenError::Older { path: path.to_owned(), format }.into())
            }
            Some(format) => Ok((folder, format)),
            None => Err(OpenError::NotAStore(path.to_owned()).into()),
        }
    }

    /// Makes the folder if it is not there, and locks it if there is nothing in it. Until
    /// [`complete`](Self::complete) it is refused by whoever wants to open it.
    pub(crate) fn claim_empty(path: &Path, format: u32) -> Result<Self, Failure> {
        create_durably(path)?;
        if path.join(UNFINISHED).exists() {
            return Err(OpenError::Unfinished(path.to_owned()).into());
        }
        refuse_full(path)?;
        let folder = Self::lock(path)?;
        // Somebody else may have been faster.
        refuse_full(path)?;
        write_file(&path.join(UNFINISHED), format)?;
        File::open(path)?.sync_all()?;
        Ok(folder)
    }

    /// Makes a folder whose restoring is finished one that can be opened.
    pub(crate) fn complete(&self) -> std::io::Result<()> {
        rename_durably(&self.path.join(UNFINISHED), &self.path.join("FORMAT"))
    }

    /// The format of a folder that is there; of one that is being restored, if it is ours.
    fn format(&self) -> Result<Option<u32>, Failure> {
        if self.path.join(UNFINISHED).exists() {
            return Err(OpenError::Unfinished(self.path.clone()).into());
        }
        read_format(&self.path)
    }

    fn lock(path: &Path) -> Result<Self, Failure> {
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(path.join("LOCK"))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(path.to_owned()).into()),
            Err(error) => Err(std::io::Error::from(error).into()),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the engine keeps its tables.
    fn tables(&self) -> PathBuf {
        self.path.join(engine::TABLES)
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
        let Ok(folder) = fs::canonicalize(&self.path) else { return false };
        descriptors.flatten().any(|descriptor| {
            fs::read_link(descriptor.path()).is_ok_and(|target| {
                target.starts_with(&folder) && target.extension().is_some_and(|end| end == "jnl")
            })
        })
    }
}

/// Makes a folder, and those above it that are not there, so that a power cut does not take them back.
///
/// # Errors
///
/// What the system says.
pub fn create_durably(path: &Path) -> std::io::Result<()> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(path)?;
    for made in missing {
        sync_place(made)?;
    }
    Ok(())
}

/// Refuses a folder with something in it. The lock alone is what an attempt leaves that was killed
/// before it began.
fn refuse_full(path: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(path)? {
        if entry?.file_name() != "LOCK" {
            return Err(OpenError::NotEmpty(path.to_owned()).into());
        }
    }
    Ok(())
}

/// Renames, so that a power cut does not take it back from the folder of `to`.
pub(crate) fn rename_durably(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::rename(from, to)?;
    sync_place(to)
}

/// Has a power cut not take it back that something is in its folder.
pub(crate) fn sync_place(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Which format the folder says that it has; none if it says nothing.
pub(crate) fn read_format(folder: &Path) -> Result<Option<u32>, Failure> {
    let text = match fs::read_to_string(folder.join("FORMAT")) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let number = text.trim_end().strip_prefix(FORMAT).and_then(|number| number.parse().ok());
    match number.filter(|number| (1..=NEWEST).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(OpenError::OtherFormat {
            path: folder.to_owned(),
            found: text.trim_end().chars().take(80).collect(),
        }
        .into()),
    }
}

/// Has the folder say that it is of this format. The file is written beside its place and moved
/// there, so that it is never there by half.
pub(crate) fn write_format(folder: &Path, format: u32) -> Result<(), Failure> {
    let beside = folder.join("FORMAT.new");
    write_file(&beside, format)?;
    rename_durably(&beside, &folder.join("FORMAT"))?;
    Ok(())
}

fn write_file(path: &Path, format: u32) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    writeln!(file, "{FORMAT}{format}")?;
    file.sync_all()
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
    fn a_restore_that_was_killed_before_it_began_can_be_begun() {
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join("LOCK")).unwrap();
        Folder::claim_empty(folder.path(), NEWEST).unwrap();
        fs::remove_file(folder.path().join(UNFINISHED)).unwrap();
        File::create(folder.path().join("other")).unwrap();
        let refused = Folder::claim_empty(folder.path(), NEWEST).unwrap_err();
        assert!(refused.to_string().contains("is not empty"), "{refused}");
    }

    #[test]
    fn a_journal_of_tables_that_are_being_made_counts_as_open() {
        let folder = tempfile::tempdir().unwrap();
        let claimed = Folder::claim(folder.path()).unwrap();
        assert!(!claimed.has_open_journal());
        let making = folder.path().join("engine.unfinished");
        fs::create_dir(&making).unwrap();
        let journal = File::create(making.join("0.jnl")).unwrap();
        assert!(claimed.has_open_journal());
        drop(journal);
        assert!(!claimed.has_open_journal());
    }

    #[test]
    fn a_folder_is_free_again_while_a_process_that_is_being_started_has_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let first = Folder::claim(folder.path()).unwrap();
        let inherited = first.lock.try_clone().unwrap();
        drop(first);
        Folder::claim(folder.path()).unwrap();
        drop(inherited);
    }

    #[test]
    fn a_folder_is_made_with_those_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c");
        create_durably(&path).unwrap();
        create_durably(&path).unwrap();
        assert!(path.is_dir());
        fs::write(path.join("file"), "").unwrap();
        create_durably(&path.join("file/d")).unwrap_err();
    }

    #[test]
    fn another_format_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("FORMAT"), "musubi-store-embedded 4\n").unwrap();
        let refused = Folder::claim(folder.path()).unwrap_err();
        assert!(refused.to_string().contains("\"musubi-store-embedded 4\""), "{refused}");
        assert!(refused.to_string().contains("\"musubi-store-embedded 3\" and older"), "{refused}");
    }

    #[test]
    fn a_folder_whose_restoring_was_interrupted_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(Folder::claim_empty(folder.path(), NEWEST).unwrap());
        for refused in [
            Folder::claim(folder.path()).unwrap_err(),
            Folder::claim_as_it_is(folder.path()).unwrap_err(),
            Folder::claim_empty(folder.path(), NEWEST).unwrap_err(),
        ] {
            assert!(refused.to_string().contains("did not come to its end"), "{refused}");
        }
    }

    #[test]
    fn only_an_empty_folder_is_claimed_as_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes"), "mine").unwrap();
        let refused = Folder::claim_empty(folder.path(), NEWEST).unwrap_err();
        assert!(refused.to_string().contains("is not empty"), "{refused}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was added");
    }

    #[test]
    fn what_is_no_store_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Folder::claim_as_it_is(folder.path()).unwrap_err();
        assert!(refused.to_string().contains("is no data folder"), "{refused}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_engine_without_a_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("engine")).unwrap();
        let refused = Folder::claim(folder.path()).unwrap_err();
        assert!(refused.to_string().contains("no file FORMAT"), "{refused}");
    }
}
