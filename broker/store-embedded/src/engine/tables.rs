//! The tables on the disk: what stood in the log up to some batch, by key. This is the general engine,
//! fjall; no type of it is known outside this folder.
//!
//! Only the checkpointer writes here, some tens of megabytes at a time and in the order of the keys, so
//! that nobody who waits for an answer ever waits for the engine. What it asks for:
//!
//! - Rows go past its journal and its memory, straight into tables. Then one row says up to which batch
//!   of the log the tables hold everything; it is written last, and what follows that batch is read
//!   from the log when the store is opened. So it does not matter where a kill comes between.
//! - Any error of the journal poisons the database until it is opened again. An [`Engine`](super::Engine)
//!   that has failed is only dropped.
//! - A store that has little, or nothing yet, is its log: the tables are made when something is put into
//!   them for the first time. To make them takes more syncs than all else at a first start.
//! - It does not open what it had only begun to make. So tables are made beside their place, and take
//!   it when they are whole.
//! - It panics where it meets what it does not expect. A panic is an error here, like any other.

use std::fs;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use fjall::config::{BlockSizePolicy, FilterPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable as _, Snapshot};
use tokio::time::Instant;

use super::{EngineError, Result};
use crate::folder::{rename_durably, sync_place};

/// Bytes of blocks that the engine keeps in memory. It is read at the start and for old records.
const CACHE: u64 = 4 << 20;
/// Bytes of journals. Only the row of the mark goes there.
const JOURNALS: u64 = 64 << 20;
/// Bytes of a memtable. Rows go past them.
const MEMTABLE: u64 = 8 << 20;
/// The first only flushes, and spins while a compaction waits that no other takes: so there is one
/// for each table that compacts, and one to spare. With one alone, the engine's queue to it may fill
/// up with what only it can take out.
const WORKERS: usize = 4;
/// Tables in level 0 at which a checkpoint waits.
const LEVEL_ZERO: usize = 24;
/// The longest that a checkpoint waits for them to become fewer.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What the folder of tables that are being made has behind its name.
const UNFINISHED: &str = "unfinished";
/// The batch of the log up to which the tables hold everything.
const MARK: &[u8] = b"mark";

/// The number of a batch, from 1; 0 is before all.
pub(super) type Batch = u64;

impl From<fjall::Error> for EngineError {
    fn from(error: fjall::Error) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// Runs something of the engine, and gives a panic of it as an error.
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(EngineError::Panicked(text.unwrap_or("without a word").to_owned()))
    })
}

/// A table to which rows are added in bulk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Entities.
    State,
    /// Records.
    Records,
    /// The ceilings, and the mark.
    Meta,
}

/// The tables, open if they are there.
#[derive(Debug)]
pub(super) struct Tables {
    path: PathBuf,
    open: OnceLock<Open>,
}

/// The open tables.
pub(super) struct Open {
    database: Database,
    state: Keyspace,
    records: Keyspace,
    meta: Keyspace,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").finish_non_exhaustive()
    }
}

/// Puts a row behind all that have been put; without a value it says that there is none.
pub(super) type Put<'p> = &'p mut dyn FnMut(&[u8], Option<&[u8]>) -> Result<()>;

impl Tables {
    /// The key of the row of the ceilings.
    pub(super) const CEILINGS: &[u8] = b"ceilings";

    /// Opens the tables in this folder, if they are there.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let tables = Self { path: path.to_owned(), open: OnceLock::new() };
        if path.exists() {
            // Who made them may have been killed before the disk knew that they took their place.
            sync_place(path)
                .map_err(|source| EngineError::Io { doing: "opening the tables", source })?;
            tables.made()?;
        }
        Ok(tables)
    }

    /// The tables, which are made if they are not there. One thread at a time may ask for that.
    pub(super) fn made(&self) -> Result<&Open> {
        if let Some(open) = self.open.get() {
            return Ok(open);
        }
        if !self.path.exists() {
            self.make()?;
        }
        let open = Open::at(&self.path)?;
        Ok(self.open.get_or_init(|| open))
    }

    /// Makes empty tables in their place. Where an earlier attempt has stopped does not matter.
    fn make(&self) -> Result<()> {
        let making = |source| EngineError::Io { doing: "making the tables", source };
        let beside = self.path.with_extension(UNFINISHED);
        if beside.exists() {
            fs::remove_dir_all(&beside).map_err(making)?;
        }
        Open::at(&beside)?.close()?;
        for entry in fs::read_dir(&beside).map_err(making)? {
            // The engine syncs what is in each of its folders, and not that the folders are there.
            let path = entry.map_err(making)?.path();
            if path.is_dir() {
                fs::File::open(path).and_then(|folder| folder.sync_all()).map_err(making)?;
            }
        }
        rename_durably(&beside, &self.path).map_err(making)
    }

    /// The tables, if they are there.
    pub(super) fn there(&self) -> Option<&Open> {
        self.open.get()
    }

    /// Everything as it is now; nothing if there are no tables.
    pub(super) fn snapshot(&self) -> Result<Option<Snapshot>> {
        self.there().map(Open::snapshot).transpose()
    }

    /// The rows of a snapshot in a range of keys.
    pub(super) fn rows(
        &self,
        snapshot: Option<&Snapshot>,
        kept: Kept,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> Result<Option<fjall::Iter>> {
        let (Some(open), Some(snapshot)) = (self.there(), snapshot) else { return Ok(None) };
        guarded(|| Ok(Some(snapshot.range::<&[u8], _>(open.keyspace(kept), range))))
    }

    /// Whether the key is of a row that is the engine's own affair, not the store's.
    pub(super) fn is_own(kept: Kept, key: &[u8]) -> bool {
        kept == Kept::Meta && key == MARK
    }
}

impl Open {
    fn at(path: &Path) -> Result<Self> {
        guarded(|| {
            let database = Database::builder(path)
                .cache_size(CACHE)
                .max_journaling_size(JOURNALS)
                .worker_threads(WORKERS)
                .open()?;
            let state = database.keyspace("state", table)?;
            let records = database.keyspace("records", table)?;
            let meta = database.keyspace("meta", table)?;
            Ok(Self { database, state, records, meta })
        })
    }

    /// Makes its rows safe from a power cut, and closes it.
    fn close(self) -> Result<()> {
        guarded(move || {
            self.database.persist(PersistMode::SyncAll)?;
            drop(self);
            Ok(())
        })
    }

    /// The engine itself.
    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    /// A table itself.
    pub(super) fn keyspace(&self, kept: Kept) -> &Keyspace {
        match kept {
            Kept::State => &self.state,
            Kept::Records => &self.records,
            Kept::Meta => &self.meta,
        }
    }

    fn snapshot(&self) -> Result<Snapshot> {
        guarded(|| Ok(self.database.snapshot()))
    }

    /// Adds rows in the order of their keys, at once and safe from a power cut when
    /// [`mark`](Self::mark) has been called.
    pub(super) fn fill<E: From<EngineError>>(
        &self,
        kept: Kept,
        fill: impl FnOnce(Put<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let keyspace = self.keyspace(kept);
        // One that is begun makes a file, and leaves it there if nothing was put.
        let mut begun = None;
        fill(&mut |key, value| {
            guarded(|| {
                let rows = match &mut begun {
                    Some(rows) => rows,
                    None => begun.insert(keyspace.start_ingestion()?),
                };
                match value {
                    Some(value) => Ok(rows.write(key, value)?),
                    None => Ok(rows.write_tombstone(key)?),
                }
            })
        })?;
        begun.map_or(Ok(()), |rows| guarded(|| Ok(rows.finish()?)))?;
        Ok(())
    }

    /// Says that the tables hold everything up to this batch, with the ceilings if they have become
    /// others, and makes all of it safe from a power cut.
    pub(super) fn mark(&self, upto: Batch, ceilings: Option<&[u8]>) -> Result<()> {
        guarded(|| {
            let mut batch = self.database.batch().durability(None);
            batch.insert(&self.meta, MARK, upto.to_be_bytes());
            if let Some(ceilings) = ceilings {
                batch.insert(&self.meta, Tables::CEILINGS, ceilings);
            }
            batch.commit()?;
            Ok(self.database.persist(PersistMode::SyncAll)?)
        })
    }

    /// The batch up to which the tables hold everything.
    pub(super) fn marked(&self) -> Result<Batch> {
        guarded(|| {
            let row = self.meta.get(MARK)?;
            let number = row.as_deref().and_then(<[u8]>::first_chunk::<8>);
            Ok(number.map_or(0, |number| Batch::from_be_bytes(*number)))
        })
    }

    /// A record's row.
    pub(super) fn record(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        guarded(|| Ok(self.records.get(key)?.map(|row| row.to_vec())))
    }

    /// The row of the ceilings.
    pub(super) fn ceilings(&self) -> Result<Option<Vec<u8>>> {
        guarded(|| Ok(self.meta.get(Tables::CEILINGS)?.map(|row| row.to_vec())))
    }

    /// Waits until compactions have caught up, for a while.
    pub(super) fn wait_for_room(&self) -> Result<()> {
        let is_deep = || {
            [&self.state, &self.records].iter().any(|table| table.l0_table_count() >= LEVEL_ZERO)
        };
        let start = Instant::now();
        while is_deep() && start.elapsed() < LONGEST_WAIT {
            // Says whether the workers have ended, in which case there will never be room.
            guarded(|| Ok(self.database.persist(PersistMode::Buffer)?))?;
            // The engine has no event to wait for.
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Bytes of its files.
    pub(super) fn disk_bytes(&self) -> u64 {
        guarded(|| Ok(self.database.disk_space()?)).unwrap_or_default()
    }
}

/// Tables are read from end to end or in ranges, hardly ever by one key: they have no filters.
pub(super) fn table() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE)
        .filter_policy(FilterPolicy::disabled())
        .data_block_size_policy(BlockSizePolicy::all(16 << 10))
}
