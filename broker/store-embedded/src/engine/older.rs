//! The engine as it was before the log had files of its own: the log was a chain of tables.

use std::fs;
use std::path::Path;

use fjall::{Keyspace, Readable as _};
use musubi_model::Sequence;

use super::log::Filler;
use super::tables::{Tables, guarded, table};
use super::{LOG, Result, TABLES};

/// What the names of those tables begin with.
const PREFIX: &str = "log-";

/// Whether the log in this data folder is still in tables.
pub(crate) fn is_older(folder: &Path) -> bool {
    folder.join(TABLES).exists() && !folder.join(LOG).exists()
}

/// Makes files of the tables of the log. Where an earlier attempt has stopped does not matter.
pub(crate) fn take_over(folder: &Path) -> Result<()> {
    if !folder.join(TABLES).exists() {
        return Ok(());
    }
    let tables = Tables::open(&folder.join(TABLES))?;
    let parts = parts(&tables)?;
    if is_older(folder) {
        let beside = folder.join("log.new");
        let mut filler = Filler::create(&beside)?;
        for part in &parts {
            let snapshot = tables.snapshot()?;
            let mut rows = guarded(|| Ok(snapshot.iter(part)))?;
            loop {
                let row = guarded(|| Ok(rows.next().map(fjall::Guard::into_inner).transpose()?))?;
                let Some((key, row)) = row else { break };
                let number = key.first_chunk().map_or(0, |number| u64::from_be_bytes(*number));
                filler.change(Sequence(number), &row)?;
            }
        }
        tables.mark(filler.finish()?, None)?;
        let moved = fs::rename(&beside, folder.join(LOG));
        let moved = moved.and_then(|()| fs::File::open(folder)?.sync_all());
        moved.map_err(|source| super::EngineError::Io { doing: "moving the log", source })?;
    }
    guarded(|| {
        Ok(parts.into_iter().try_for_each(|part| tables.database().delete_keyspace(part))?)
    })
}

/// The tables of the log, oldest first.
fn parts(tables: &Tables) -> Result<Vec<Keyspace>> {
    guarded(|| {
        let database = tables.database();
        let mut parts = Vec::new();
        for name in database.list_keyspace_names() {
            let first = name.strip_prefix(PREFIX).and_then(|text| text.parse::<u64>().ok());
            if let Some(first) = first {
                parts.push((first, database.keyspace(&name, table)?));
            }
        }
        parts.sort_by_key(|(first, _)| *first);
        Ok(parts.into_iter().map(|(_, part)| part).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Engine, EngineError};
    use super::*;
    use crate::codec;

    /// An engine with these changes of a log in tables of at most three.
    fn older(folder: &Path, changes: std::ops::RangeInclusive<u64>) {
        let tables = Tables::open(&folder.join(TABLES)).unwrap();
        let numbers: Vec<u64> = changes.collect();
        for part in numbers.chunks(3) {
            let name = format!("{PREFIX}{:020}", part[0]);
            let keyspace = tables.database().keyspace(&name, table).unwrap();
            for number in part {
                keyspace.insert(codec::log_key(Sequence(*number)), row(*number)).unwrap();
            }
        }
    }

    fn row(number: u64) -> Vec<u8> {
        format!("change {number}").into_bytes()
    }

    fn check(folder: &Path, changes: std::ops::RangeInclusive<u64>) {
        let engine = Engine::open(folder, 1 << 20).unwrap();
        assert_eq!(engine.newest(), Sequence(*changes.end()));
        let mut seen = Vec::new();
        let visit = |key: &[u8], change: &[u8]| {
            let number = u64::from_be_bytes(key.try_into().unwrap());
            assert_eq!(change, row(number));
            seen.push(number);
            Ok::<(), EngineError>(())
        };
        engine.visit_log((Sequence(0), engine.newest()), usize::MAX, visit).unwrap();
        assert_eq!(seen, changes.collect::<Vec<_>>());
        assert_eq!(parts(&engine.inner.tables).unwrap().len(), 0);
    }

    #[test]
    fn a_log_in_tables_becomes_one_in_files() {
        let folder = tempfile::tempdir().unwrap();
        older(folder.path(), 11..=30);
        assert!(is_older(folder.path()));
        take_over(folder.path()).unwrap();
        assert!(!is_older(folder.path()));
        check(folder.path(), 11..=30);
        take_over(folder.path()).unwrap();
        check(folder.path(), 11..=30);
    }

    #[test]
    fn wherever_it_was_interrupted_it_comes_to_the_same_end() {
        let folder = tempfile::tempdir().unwrap();
        older(folder.path(), 1..=20);
        // Before the files were moved to their place.
        fs::create_dir(folder.path().join("log.new")).unwrap();
        fs::write(folder.path().join("log.new/00000000000000000001.log"), "musubi").unwrap();
        take_over(folder.path()).unwrap();
        check(folder.path(), 1..=20);
        // And after that, before all tables were dropped.
        older(folder.path(), 15..=20);
        take_over(folder.path()).unwrap();
        check(folder.path(), 1..=20);
    }

    #[test]
    fn a_folder_without_tables_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        take_over(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
