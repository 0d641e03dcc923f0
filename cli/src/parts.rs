//! What a data folder holds beside the store.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use musubi_history::Archive;
use musubi_model::Sequence;
use musubi_store_embedded::{AttachedFile, BackupFile, Contents};

use crate::server::chain;

/// What a part was found to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// What that is, in a line.
    pub(crate) line: String,
    /// What is missing of it, in a sentence, though all that is there is as it was written.
    pub(crate) missing: Option<String>,
}

/// Reads such a folder, that belongs to a store with this content.
type Check = fn(&Path, &Contents) -> Result<Found, String>;
/// Holds those files of a backup against each other, and against the store in it.
type CheckFiles = fn(&[BackupFile], &Contents) -> Result<Found, String>;

/// A folder below the data folder, whose owner is not the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Its name.
    pub(crate) folder: &'static str,
    /// The name of the file in it that names the others.
    pub(crate) list: &'static str,
    /// Reads it, and says what it holds, or what is wrong with it.
    pub(crate) check: Check,
    /// The same of its files in a backup, whose names have its own before them.
    pub(crate) check_files: CheckFiles,
}

/// What entities were.
pub(crate) const HISTORY: Part =
    Part { folder: "history", list: Archive::MANIFEST, check: history, check_files: history_files };

/// All of them.
pub(crate) const PARTS: [Part; 1] = [HISTORY];

fn history(folder: &Path, contents: &Contents) -> Result<Found, String> {
    let verified = Archive::verify_folder(folder).map_err(|error| chain(&error))?;
    let missing = missing(verified.cursor, verified.gap, contents)?;
    Ok(found(verified.segments, verified.bytes, verified.cursor, missing))
}

fn history_files(files: &[BackupFile], contents: &Contents) -> Result<Found, String> {
    let length = |name: &str| {
        let parts = |file: &&BackupFile| file.name.split_once('/') == Some((HISTORY.folder, name));
        files.iter().find(parts)
    };
    let Some(manifest) = length(HISTORY.list) else {
        // Nothing has been written yet: all of it is in the log.
        return Ok(found(0, 0, Sequence(0), missing(Sequence(0), None, contents)?));
    };
    let manifest = manifest.content.as_deref().unwrap_or_default();
    let listing = Archive::listed(manifest).map_err(|error| chain(&error))?;
    for (name, bytes) in &listing.files {
        match length(name) {
            Some(file) if file.bytes == *bytes => {}
            Some(file) => {
                let found = file.bytes;
                return Err(format!("{name} has {found} bytes, and {bytes} were written"));
            }
            None => return Err(format!("{name} is missing, and the manifest names it")),
        }
    }
    let missing = missing(listing.cursor, listing.gap, contents)?;
    let bytes = listing.files.iter().map(|(_, bytes)| bytes).sum();
    Ok(found(listing.files.len(), bytes, listing.cursor, missing))
}

fn found(segments: usize, bytes: u64, cursor: Sequence, missing: Missing) -> Found {
    let mut line =
        format!("{segments} segments, {bytes} bytes, as far as change {} of the log", cursor.0);
    let missing = match missing {
        Missing::Nothing => None,
        Missing::Known(upto) => {
            let first = upto.0 + 1;
            // Writing to a String does not fail.
            let _ = write!(line, "; changes of before {first} are missing, as it says itself");
            None
        }
        Missing::Lost(first, last) => {
            Some(format!("the changes {} to {} are neither in it nor in the log", first.0, last.0))
        }
    };
    Found { line, missing }
}

/// Which changes a history does not get to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Nothing,
    /// Some or all up to this one; the history knows it, or began with the one after it.
    Known(Sequence),
    /// These, which the log held no more.
    Lost(Sequence, Sequence),
}

/// Holds a history that reaches to `cursor` and has such a gap against the log.
///
/// # Errors
///
/// A sentence, if the history is ahead of the log: no broker would open it.
fn missing(cursor: Sequence, gap: Option<Sequence>, log: &Contents) -> Result<Missing, String> {
    if cursor > log.newest {
        return Err(format!(
            "it reaches to change {} of the log, and the store only to {}: it is not the history of \
             this store",
            cursor.0, log.newest.0
        ));
    }
    let (first, last) = (cursor.0.saturating_add(1), log.oldest.0.saturating_sub(1));
    if log.changes == 0 || last < first {
        return Ok(gap.map_or(Missing::Nothing, Missing::Known));
    }
    // One that holds nothing yet begins with what the log has.
    let is_known = cursor == Sequence(0) || gap.is_some_and(|upto| upto.0 >= last);
    let last = Sequence(last);
    Ok(if is_known { Missing::Known(last) } else { Missing::Lost(Sequence(first), last) })
}

/// The most files that one part has.
const MOST: usize = 1_000_000;

impl Part {
    /// The names of all files of this part, below the data folder, in order.
    pub(crate) fn files(&self, data: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let mut folders = vec![self.folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(data.join(&folder)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = entry?;
                let Ok(name) = entry.file_name().into_string() else {
                    return Err(io::Error::other(format!("{folder} has a file without a name")));
                };
                let name = format!("{folder}/{name}");
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(name);
                } else if kind.is_file() {
                    names.push(name);
                }
                if names.len() + folders.len() > MOST {
                    return Err(io::Error::other(format!("{folder} has too many files")));
                }
            }
        }
        names.sort();
        Ok(names)
    }
}

/// All files of all parts, for a backup of a data folder that nobody writes to.
pub(crate) fn attached(data: &Path) -> io::Result<Vec<AttachedFile>> {
    let mut attached = Vec::new();
    for part in PARTS {
        for name in part.files(data)? {
            attached.push(AttachedFile::open(data, &name)?);
        }
    }
    Ok(attached)
}

/// Reads what a data folder holds beside the store, and says of each part what that is.
///
/// # Errors
///
/// A sentence that says what is wrong.
pub(crate) fn check(data: &Path, contents: &Contents) -> Result<Vec<Found>, String> {
    let there = PARTS.into_iter().filter(|part| data.join(part.folder).exists());
    there.map(|part| named(part, (part.check)(&data.join(part.folder), contents))).collect()
}

/// Whether this file of a backup is needed to check the others.
pub(crate) fn is_list(name: &str) -> bool {
    PARTS.iter().any(|part| name.split_once('/') == Some((part.folder, part.list)))
}

/// The same as [`check`] of the files of a backup.
///
/// # Errors
///
/// A sentence that says what is wrong.
pub(crate) fn check_files(files: &[BackupFile], contents: &Contents) -> Result<Vec<Found>, String> {
    let is_of = |file: &BackupFile, part: Part| file.name.split('/').next() == Some(part.folder);
    let there = PARTS.into_iter().filter(|part| files.iter().any(|file| is_of(file, *part)));
    there.map(|part| named(part, (part.check_files)(files, contents))).collect()
}

fn named(part: Part, found: Result<Found, String>) -> Result<Found, String> {
    let name = part.folder;
    match found {
        Ok(Found { line, missing }) => Ok(Found {
            line: format!("{name}: {line}"),
            missing: missing.map(|missing| format!("{name}: not whole: {missing}")),
        }),
        Err(reason) => Err(format!("{name}: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(oldest: u64, newest: u64) -> Contents {
        let (oldest, newest) = (Sequence(oldest), Sequence(newest));
        let changes = newest.0 + 1 - oldest.0;
        Contents { changes, oldest, newest, ..Contents::default() }
    }

    #[test]
    fn a_history_that_is_ahead_of_the_log_is_refused() {
        assert!(missing(Sequence(9), None, &log(2, 8)).unwrap_err().contains("to change 9"));
        assert!(missing(Sequence(1), None, &Contents::default()).is_err());
        assert_eq!(missing(Sequence(8), None, &log(2, 8)), Ok(Missing::Nothing));
        assert_eq!(missing(Sequence(0), None, &Contents::default()), Ok(Missing::Nothing));
    }

    #[test]
    fn changes_that_are_nowhere_are_named() {
        assert_eq!(missing(Sequence(4), None, &log(5, 8)), Ok(Missing::Nothing));
        let lost = Missing::Lost(Sequence(4), Sequence(4));
        assert_eq!(missing(Sequence(3), None, &log(5, 8)), Ok(lost));
        assert_eq!(missing(Sequence(3), Some(Sequence(2)), &log(5, 8)), Ok(lost));
        let known = Missing::Known(Sequence(4));
        assert_eq!(missing(Sequence(3), Some(Sequence(4)), &log(5, 8)), Ok(known));
        assert_eq!(missing(Sequence(0), None, &log(5, 8)), Ok(known), "it begins there");
    }

    #[test]
    fn a_history_without_one_of_its_files_is_refused() {
        let file = |name: &str, content: &[u8]| BackupFile {
            name: format!("history/{name}"),
            bytes: u64::try_from(content.len()).unwrap(),
            content: Some(content.to_vec()),
        };
        let found = check_files(&[file("LOCK", b"")], &log(1, 8)).unwrap();
        assert!(found[0].line.starts_with("history: 0 segments"), "{found:?}");
        let refused = check_files(&[file("MANIFEST", b"nonsense")], &log(1, 8)).unwrap_err();
        assert!(refused.starts_with("history: MANIFEST is damaged"), "{refused}");
        assert_eq!(check_files(&[], &log(1, 8)), Ok(Vec::new()));
    }
}
