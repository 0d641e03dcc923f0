//! The durable engine, fjall. No type of it is known outside this file and those below it.
//!
//! What it asks for, and how that is met:
//!
//! - A commit with durability sleeps inside the call when memtables or level 0 back up, for ever if
//!   the workers have ended. So a batch is committed without durability, after waiting here until
//!   there is room, and made durable by a call of its own.
//! - Any error of the journal poisons the database until it is opened again. The committer does
//!   that; an [`Engine`] that has failed is only dropped.
//! - There is no range delete. So the log is a chain of keyspaces, and truncated by dropping some.
//! - It panics where it meets what it does not expect. A panic is an error here, like any other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fjall::compaction::Fifo;
use fjall::config::{BlockSizePolicy, FilterPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use musubi_model::Sequence;
use musubi_store::RecordKind;
use parking_lot::RwLock;
use tokio::time::Instant;

use crate::codec;

mod bulk;
mod pages;
mod published;
mod state_rows;

pub(crate) use bulk::Bulk;
pub(crate) use pages::{Reached, Table};
pub(crate) use published::{Published, Wanted};
pub(crate) use state_rows::{StateRow, StateRows};

/// Bytes of blocks that the engine keeps in memory. It is read at the start and for old changes.
const CACHE: u64 = 4 << 20;
/// Bytes of journals after which memtables are written out. As much is read again after a kill.
const JOURNALS: u64 = 128 << 20;
/// Bytes of a memtable of entities, and of one of the log. While a list of tables is written safely
/// nobody adds a row, and one is written with every memtable: small ones would show in every
/// hundredth commit.
const MEMTABLE: u64 = 32 << 20;
/// Bytes of a memtable of records.
const SMALL_MEMTABLE: u64 = 8 << 20;
/// The first only flushes, and spins while a compaction waits that no other takes: so there is one
/// for each table that compacts, and one to spare. With one alone, the engine's queue to it may fill
/// up with what only it can take out.
const WORKERS: usize = 4;
/// Sealed memtables at which a batch waits. The engine itself sleeps at 4, and one batch seals one
/// at most.
const SEALED: usize = 3;
/// Tables in level 0 at which a batch waits. The engine itself sleeps at 30.
const LEVEL_ZERO: usize = 24;
/// The longest that a batch waits for room before it goes on and lets the engine sleep.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Parts of the log, at most; beyond, the last one grows. When the engine is opened it asks for a
/// compaction of each table before any worker runs, and its queue has room for 1,000 requests: with
/// more tables it would never open again.
const SEGMENTS: usize = 900;

const LOG_PREFIX: &str = "log-";
const CEILINGS: &[u8] = b"ceilings";

/// What became of the engine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// It says that it failed.
    #[error("the engine failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It panicked.
    #[error("the engine panicked: {0}")]
    Panicked(String),
}

impl From<fjall::Error> for EngineError {
    fn from(error: fjall::Error) -> Self {
        Self::Failed(Box::new(error))
    }
}

type Result<T> = std::result::Result<T, EngineError>;

/// Runs something of the engine, and gives a panic of it as an error.
fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(EngineError::Panicked(text.unwrap_or("without a word").to_owned()))
    })
}

/// Where a row of a batch belongs, besides the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Entities.
    State,
    /// Records.
    Records,
}

/// An open engine.
pub(crate) struct Engine {
    database: Database,
    state: Keyspace,
    records: Keyspace,
    meta: Keyspace,
    /// The parts of the log, oldest first; at least one.
    log: RwLock<Vec<Segment>>,
}

#[derive(Clone)]
struct Segment {
    /// The first change that belongs in it.
    first: Sequence,
    keyspace: Keyspace,
}

/// Rows that are written together.
pub(crate) struct Rows {
    batch: OwnedWriteBatch,
    log: Keyspace,
    state: Keyspace,
    records: Keyspace,
    meta: Keyspace,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("log_segments", &self.log.read().len())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the engine in this folder, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        guarded(|| {
            let database = database(path)?;
            let state = database.keyspace("state", || table(MEMTABLE))?;
            let records = database.keyspace("records", || table(SMALL_MEMTABLE))?;
            let meta = database.keyspace("meta", || table(SMALL_MEMTABLE))?;
            let mut log = Vec::new();
            for name in database.list_keyspace_names() {
                let first = name.strip_prefix(LOG_PREFIX).and_then(|text| text.parse().ok());
                if let Some(first) = first {
                    let keyspace = database.keyspace(&name, log_table)?;
                    log.push(Segment { first: Sequence(first), keyspace });
                }
            }
            log.sort_by_key(|segment| segment.first);
            if log.is_empty() {
                log.push(segment(&database, Sequence(1))?);
            }
            Ok(Self { database, state, records, meta, log: RwLock::new(log) })
        })
    }

    /// An empty batch.
    pub(crate) fn rows(&self) -> Result<Rows> {
        let log = self.log.read();
        let Some(last) = log.last() else {
            return Err(EngineError::Panicked("the log has no part".to_owned()));
        };
        Ok(Rows {
            batch: self.database.batch().durability(None),
            log: last.keyspace.clone(),
            state: self.state.clone(),
            records: self.records.clone(),
            meta: self.meta.clone(),
        })
    }

    /// Writes a batch, whole or not at all, but not durably yet. Gives the time spent waiting for
    /// the engine to catch up.
    pub(crate) fn write(&self, rows: Rows) -> Result<Duration> {
        guarded(|| {
            let waited = self.wait_for_room(&rows.log)?;
            rows.batch.commit()?;
            Ok(waited)
        })
    }

    /// Makes everything written so far safe from a power cut.
    pub(crate) fn sync(&self) -> Result<()> {
        guarded(|| Ok(self.database.persist(PersistMode::SyncData)?))
    }

    /// Makes everything written so far safe from the end of the process.
    pub(crate) fn hand_over(&self) -> Result<()> {
        guarded(|| Ok(self.database.persist(PersistMode::Buffer)?))
    }

    /// Lets go of the engine, which closes it once no reader holds it any more. It is closed even
    /// if it panics over it.
    pub(crate) fn abandon(self: Arc<Self>) {
        if let Err(error) = guarded(|| {
            drop(self);
            Ok(())
        }) {
            tracing::warn!(error = %error, "the engine did not close in order");
        }
    }

    fn wait_for_room(&self, log: &Keyspace) -> Result<Duration> {
        let is_sealed = |keyspace: &Keyspace| keyspace.sealed_memtable_count() >= SEALED;
        let is_deep = |keyspace: &Keyspace| keyspace.l0_table_count() >= LEVEL_ZERO;
        let compacted = [&self.state, &self.records];
        // The tables of the log stay in level 0, and make one run there.
        let is_busy = || {
            is_sealed(log)
                || compacted.iter().any(|keyspace| is_sealed(keyspace) || is_deep(keyspace))
        };
        if !is_busy() {
            return Ok(Duration::ZERO);
        }
        let start = Instant::now();
        while is_busy() && start.elapsed() < LONGEST_WAIT {
            // Says whether the workers have ended, in which case there will never be room.
            self.database.persist(PersistMode::Buffer)?;
            // The engine has no event to wait for.
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(start.elapsed())
    }

    /// Begins a new part of the log, with this change, if the last part holds so many and there are
    /// not too many parts.
    pub(crate) fn roll(&self, next: Sequence, segment_length: u64) -> Result<()> {
        let (last, is_full) = {
            let log = self.log.read();
            let Some(last) = log.last() else { return Ok(()) };
            let held = next.0.saturating_sub(last.first.0);
            (last.clone(), log.len() < SEGMENTS && held >= segment_length.max(1))
        };
        if !is_full {
            return Ok(());
        }
        guarded(|| {
            let segment = segment(&self.database, next)?;
            self.log.write().push(segment);
            // Nothing is added to the old part, so its memory can go.
            last.keyspace.rotate_memtable()?;
            Ok(())
        })
    }

    /// Drops the parts of the log that end at `upto` or before, except the one that holds the
    /// newest change: it remembers how far the log has come.
    pub(crate) fn truncate(&self, upto: Sequence, newest: Sequence) -> Result<()> {
        guarded(|| {
            loop {
                let dropped = {
                    let mut log = self.log.write();
                    let end = log.get(1).map(|second| second.first.0.saturating_sub(1));
                    if end.is_none_or(|end| end > upto.0 || end >= newest.0) {
                        return Ok(());
                    }
                    log.remove(0)
                };
                self.database.delete_keyspace(dropped.keyspace)?;
            }
        })
    }

    /// The first change that the log may still hold.
    pub(crate) fn log_first(&self) -> Sequence {
        self.log.read().first().map_or(Sequence(1), |segment| segment.first)
    }

    /// The rows of all entities, in the order of their keys.
    pub(crate) fn state_rows(&self) -> Result<StateRows> {
        StateRows::of(&self.state)
    }

    /// Hands the row of every record of a kind to `visit`, in the order of the keys, until it fails.
    /// Rows of other kinds are not read.
    pub(crate) fn visit_records<E: From<EngineError>>(
        &self,
        kind: RecordKind,
        visit: impl FnMut(&[u8], &[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        Self::visit(guarded(|| Ok(self.records.prefix(codec::kind_prefix(kind))))?, visit)
    }

    fn visit<E: From<EngineError>>(
        mut rows: fjall::Iter,
        mut visit: impl FnMut(&[u8], &[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        loop {
            let row = guarded(|| Ok(rows.next().map(fjall::Guard::into_inner).transpose()?))?;
            let Some((key, value)) = row else { return Ok(()) };
            visit(&key, &value)?;
        }
    }

    /// Hands the log after `after`, up to and including `upto`, to `visit`, at most `limit` rows.
    pub(crate) fn visit_log<E: From<EngineError>>(
        &self,
        (after, upto): (Sequence, Sequence),
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        if after >= upto {
            return Ok(());
        }
        let mut left = limit;
        for segment in self.segments_after(after) {
            if segment.first > upto {
                break;
            }
            let (start, end) = (Sequence(after.0 + 1), upto);
            let mut rows = segment.keyspace.range(codec::log_key(start)..=codec::log_key(end));
            while left > 0 {
                let row = guarded(|| Ok(rows.next().map(fjall::Guard::into_inner).transpose()?))?;
                let Some((key, value)) = row else { break };
                visit(&key, &value)?;
                left -= 1;
            }
        }
        Ok(())
    }

    /// The parts of the log that may hold a change after `after`.
    fn segments_after(&self, after: Sequence) -> Vec<Segment> {
        let log = self.log.read();
        let before = log.partition_point(|segment| segment.first <= after).saturating_sub(1);
        log.iter().skip(before).cloned().collect()
    }

    /// The newest change's number; 0 if there has been none.
    pub(crate) fn newest(&self) -> Result<Sequence> {
        guarded(|| {
            for segment in self.log.read().iter().rev() {
                if let Some(row) = segment.keyspace.last_key_value() {
                    let key = row.key()?;
                    let number = key
                        .split_first_chunk::<8>()
                        .map_or(0, |(bytes, _)| u64::from_be_bytes(*bytes));
                    return Ok(Sequence(number));
                }
            }
            Ok(Sequence(0))
        })
    }

    /// The row of a record as it was last written, durable or not; none if there is none.
    pub(crate) fn record(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        guarded(|| Ok(self.records.get(key)?.map(|row| row.to_vec())))
    }

    /// The row of the ceilings, if it was ever written.
    pub(crate) fn ceilings(&self) -> Result<Option<Vec<u8>>> {
        guarded(|| Ok(self.meta.get(CEILINGS)?.map(|row| row.to_vec())))
    }

    /// Bytes of the engine's files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        guarded(|| Ok(self.database.disk_space()?)).unwrap_or_default()
    }
}

impl Rows {
    pub(crate) fn put(&mut self, place: Place, key: &[u8], row: &[u8]) {
        let keyspace = match place {
            Place::State => &self.state,
            Place::Records => &self.records,
        };
        self.batch.insert(keyspace, key, row);
    }

    pub(crate) fn delete(&mut self, place: Place, key: &[u8]) {
        let keyspace = match place {
            Place::State => &self.state,
            Place::Records => &self.records,
        };
        self.batch.remove(keyspace, key);
    }

    pub(crate) fn log(&mut self, sequence: Sequence, row: &[u8]) {
        self.batch.insert(&self.log, codec::log_key(sequence), row);
    }

    pub(crate) fn ceilings(&mut self, row: &[u8]) {
        self.batch.insert(&self.meta, CEILINGS, row);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }
}

fn database(path: &Path) -> Result<Database> {
    Ok(Database::builder(path)
        .cache_size(CACHE)
        .max_journaling_size(JOURNALS)
        .worker_threads(WORKERS)
        .open()?)
}

fn segment(database: &Database, first: Sequence) -> Result<Segment> {
    let name = format!("{LOG_PREFIX}{:020}", first.0);
    Ok(Segment { first, keyspace: database.keyspace(&name, log_table)? })
}

/// Tables are read from end to end or in ranges, never by one key: they have no filters.
fn table(memtable: u64) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(memtable)
        .filter_policy(FilterPolicy::disabled())
        .data_block_size_policy(BlockSizePolicy::all(16 << 10))
}

/// The log is only added to, in the order of its keys, and dropped as a whole. So nothing is to be
/// gained by putting its tables anywhere else than where they were first written, and each time
/// would hold up a commit.
fn log_table() -> KeyspaceCreateOptions {
    table(MEMTABLE).compaction_strategy(Arc::new(Fifo::new(u64::MAX, None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "takes a minute, because as many tables are made and opened"]
    fn a_log_of_as_many_parts_as_there_may_be_is_opened_again_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let most = u64::try_from(SEGMENTS).unwrap();
        {
            let engine = Engine::open(folder.path()).unwrap();
            for next in 2..most + 50 {
                engine.roll(Sequence(next), 1).unwrap();
            }
            assert_eq!(engine.log.read().len(), SEGMENTS);
        }
        let engine = Engine::open(folder.path()).unwrap();
        assert_eq!(engine.log.read().len(), SEGMENTS);
        engine.truncate(Sequence(10), Sequence(most)).unwrap();
        engine.roll(Sequence(most + 50), 1).unwrap();
        assert_eq!(engine.log.read().len(), SEGMENTS - 9);
    }
}
