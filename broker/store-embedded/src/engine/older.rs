//! The engine as it was before the log had files of its own: the log was a chain of tables, and rows
//! went through the engine's journal.
//!
//! All rows go to a new engine beside it, which takes its place. The old one is not used any further:
//! its journal would bring back rows that were deleted past it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use fjall::{Keyspace, Readable as _, Snapshot};

use super::bulk::{Bulk, Put};
use super::tables::{Kept, Open, Tables, guarded, table};
use super::{EngineError, LOG, Result, TABLES, Table};

/// What the names of the tables of the log begin with.
const PREFIX: &str = "log-";
/// Where the new engine is made, below the data folder.
const BESIDE: &str = "engine.new";
/// Where the old one is while the new one takes its place: it is there only if the new one is whole.
const BEFORE: &str = "engine.old";

/// Whether the log in this data folder is still in tables.
pub(crate) fn is_older(folder: &Path) -> bool {
    let is_there = |name| folder.join(name).exists();
    is_there(BEFORE) || (is_there(TABLES) && !is_there(LOG))
}

/// Makes an engine of this version of an older one. Where an earlier attempt has stopped does not
/// matter.
pub(crate) fn take_over(folder: &Path) -> Result<()> {
    if !is_older(folder) {
        return Ok(());
    }
    let moving = |source| EngineError::Io { doing: "replacing the engine", source };
    if !folder.join(BEFORE).exists() {
        make_anew(folder)?;
        rename(folder, (TABLES, BEFORE)).map_err(moving)?;
    }
    take_places(folder).map_err(moving)
}

/// Puts the new engine where it belongs, and then removes the old one.
fn take_places(folder: &Path) -> io::Result<()> {
    let beside = folder.join(BESIDE);
    for name in [TABLES, LOG] {
        if beside.join(name).exists() {
            rename(folder, (&format!("{BESIDE}/{name}"), name))?;
        }
    }
    if beside.exists() {
        fs::remove_dir_all(beside)?;
    }
    fs::remove_dir_all(folder.join(BEFORE))?;
    File::open(folder)?.sync_all()
}

fn rename(folder: &Path, (from, to): (&str, &str)) -> io::Result<()> {
    crate::folder::rename_durably(&folder.join(from), &folder.join(to))
}

/// Makes the new engine, in a folder of its own.
fn make_anew(folder: &Path) -> Result<()> {
    let beside = folder.join(BESIDE);
    let making = |source| EngineError::Io { doing: "making the new engine", source };
    if beside.exists() {
        fs::remove_dir_all(&beside).map_err(making)?;
    }
    crate::folder::create_durably(&beside).map_err(making)?;
    let old = Tables::open(&folder.join(TABLES))?;
    let old = old.made()?;
    let mut new = Bulk::create(&beside)?;
    let snapshot = guarded(|| Ok(old.database().snapshot()))?;
    for (kept, table) in
        [(Kept::State, Table::State), (Kept::Records, Table::Records), (Kept::Meta, Table::Meta)]
    {
        new.fill(table, |put| each(&snapshot, old.keyspace(kept), put))?;
    }
    for part in parts(old)? {
        new.fill(Table::Log, |put| each(&snapshot, &part, put))?;
    }
    new.finish()
}

/// Hands each row of a table to `put`.
fn each(snapshot: &Snapshot, keyspace: &Keyspace, put: Put<'_>) -> Result<()> {
    let mut rows = guarded(|| Ok(snapshot.iter(keyspace)))?;
    loop {
        let row = guarded(|| Ok(rows.next().map(fjall::Guard::into_inner).transpose()?))?;
        let Some((key, row)) = row else { return Ok(()) };
        put(&key, &row)?;
    }
}

/// The tables of the log, oldest first.
fn parts(tables: &Open) -> Result<Vec<Keyspace>> {
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
    use musubi_model::Sequence;

    use super::super::{Engine, Opening};
    use super::*;
    use crate::codec;

    /// An engine with these changes of a log in tables of at most three, and a row of state for each.
    fn older(folder: &Path, changes: std::ops::RangeInclusive<u64>) {
        let tables = Tables::open(&folder.join(TABLES)).unwrap();
        let tables = tables.made().unwrap();
        let numbers: Vec<u64> = changes.collect();
        for part in numbers.chunks(3) {
            let name = format!("{PREFIX}{:020}", part[0]);
            let keyspace = tables.database().keyspace(&name, table).unwrap();
            for number in part {
                let key = codec::log_key(Sequence(*number));
                keyspace.insert(key, row(*number)).unwrap();
                tables.keyspace(Kept::State).insert(key, row(*number)).unwrap();
            }
        }
        tables.keyspace(Kept::Meta).insert(Tables::CEILINGS, "high").unwrap();
        tables.database().persist(fjall::PersistMode::SyncAll).unwrap();
    }

    fn row(number: u64) -> Vec<u8> {
        format!("change {number}").into_bytes()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn check(folder: &Path, changes: std::ops::RangeInclusive<u64>) {
        assert!(!is_older(folder));
        assert_eq!(names(folder), [TABLES, LOG]);
        let engine = Engine::open(folder, Opening::PLAIN).unwrap();
        assert_eq!(engine.newest(), Sequence(*changes.end()));
        assert_eq!(engine.ceilings().unwrap().as_deref(), Some(b"high".as_slice()));
        let view = engine.view().unwrap();
        for table in [Table::Log, Table::State] {
            let mut seen = Vec::new();
            let visit = |key: &[u8], found: &[u8]| {
                let number = u64::from_be_bytes(key.try_into().unwrap());
                assert_eq!(found, row(number));
                seen.push(number);
                Ok::<(), EngineError>(())
            };
            view.page(table, None, usize::MAX, visit).unwrap();
            assert_eq!(seen, changes.clone().collect::<Vec<_>>(), "{table:?}");
        }
        assert_eq!(parts(engine.inner.tables.made().unwrap()).unwrap().len(), 0);
    }

    #[test]
    fn an_older_engine_becomes_one_of_this_version() {
        let folder = tempfile::tempdir().unwrap();
        older(folder.path(), 11..=30);
        assert!(is_older(folder.path()));
        take_over(folder.path()).unwrap();
        check(folder.path(), 11..=30);
        take_over(folder.path()).unwrap();
        check(folder.path(), 11..=30);
    }

    #[test]
    fn wherever_it_was_interrupted_it_comes_to_the_same_end() {
        for stop in 0..5 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path();
            older(path, 1..=20);
            make_anew(path).unwrap();
            let moves = [(TABLES, BEFORE), ("engine.new/engine", TABLES), ("engine.new/log", LOG)];
            for step in moves.into_iter().take(stop) {
                rename(path, step).unwrap();
            }
            if stop == 4 {
                fs::remove_dir_all(path.join(BESIDE)).unwrap();
            }
            assert!(is_older(path), "after {stop} steps");
            take_over(path).unwrap();
            check(path, 1..=20);
        }
    }

    #[test]
    fn what_was_deleted_since_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        older(folder.path(), 1..=20);
        take_over(folder.path()).unwrap();
        {
            let tables = Tables::open(&folder.path().join(TABLES)).unwrap();
            let tables = tables.made().unwrap();
            let delete = |put: super::super::tables::Put<'_>| {
                (1..=20).try_for_each(|number| put(&codec::log_key(Sequence(number)), None))
            };
            tables.fill::<EngineError>(Kept::State, delete).unwrap();
            tables.keyspace(Kept::State).major_compact().unwrap();
        }
        let tables = Tables::open(&folder.path().join(TABLES)).unwrap();
        let tables = tables.made().unwrap();
        assert_eq!(tables.keyspace(Kept::State).len().unwrap(), 0);
    }

    #[test]
    fn a_folder_without_tables_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        take_over(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
