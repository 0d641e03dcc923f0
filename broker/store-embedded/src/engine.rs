//! The durable engine: a log of our own, and tables behind it.
//!
//! A batch is written once, to the log, and is acknowledged when it is there (and, as the durability
//! has it, on the disk). What it makes of entities and records stays in memory until there is some of
//! it, and then goes to the tables, in the order of the keys and with only the newest row of each. When
//! the store is opened, the tables are read, and on top of them what the log holds and they do not.
//!
//! So who writes waits for one append. All that a general engine does at its own times (writing
//! tables, lists of tables, compactions) is done behind, by the checkpointer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use musubi_model::Sequence;
use parking_lot::{Condvar, Mutex};
use tokio::time::Instant;

use self::log::{Behind, End, Entry, Holes, Log};
use self::pending::Pending;
use self::rows::KeptRows;
use self::tables::{Batch, Kept, Open, Tables, guarded};
use self::worker::Worker;
use crate::codec;

mod bulk;
mod log;
mod merged;
mod older;
mod pending;
mod published;
mod rows;
mod tables;
mod view;
mod worker;

pub(crate) use bulk::Bulk;
pub(crate) use older::{is_older, take_over};
pub(crate) use published::{Published, Wanted};
pub(crate) use rows::{Rows, Written};
pub(crate) use view::{Reached, StateRow, StateRows, Table, View};

/// Where the tables are, below the data folder.
pub(crate) const TABLES: &str = "engine";
/// Where the log is, below the data folder.
pub(crate) const LOG: &str = "log";

/// The longest that a batch waits for the tables to catch up before it goes on.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What became of the engine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// It says that it failed.
    #[error("the engine failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It panicked.
    #[error("the engine panicked: {0}")]
    Panicked(String),
    /// The system did not do what it was asked for.
    #[error("{doing} failed")]
    Io {
        /// Over what.
        doing: &'static str,
        /// What it says.
        #[source]
        source: std::io::Error,
    },
    /// What is on the disk is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// A batch has more bytes than one may have.
    #[error("a batch of {0} bytes is too large")]
    TooLarge(usize),
    /// Something behind the writer failed before.
    #[error("the engine failed behind the writer: {0}")]
    Behind(String),
}

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Where a row of a batch belongs, besides the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Entities.
    State,
    /// Records.
    Records,
}

/// How an engine is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    /// Bytes of rows that it keeps in memory before they go to the tables.
    pub(crate) pending_bytes: usize,
    /// Whether every batch was on the disk before the next one was begun.
    pub(crate) is_synced: bool,
}

impl Opening {
    /// For tests that are about something else.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { pending_bytes: 1 << 20, is_synced: true };

    fn holes(self) -> Holes {
        if self.is_synced { Holes::Damage } else { Holes::PowerCut }
    }
}

/// An open engine.
#[derive(Debug)]
pub(crate) struct Engine {
    inner: Arc<Inner>,
    checkpointer: Worker<Order>,
    syncer: Worker<Order>,
}

/// What is done when the tables hold everything that was shown before the order, or the disk has
/// everything that was written before it.
struct Order(Then);

type Then = Box<dyn FnOnce(&Inner) -> Result<()> + Send>;

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

/// What an engine and the threads behind it share.
#[derive(Debug)]
pub(crate) struct Inner {
    log: Log,
    pending: Pending,
    tables: Tables,
    /// The batch up to which the tables hold everything.
    mark: AtomicU64,
    /// Whether something has failed behind the writer, and what.
    has_failed: AtomicBool,
    failure: Mutex<Option<String>>,
    /// Told when a generation has gone to the tables, or something has failed.
    settled: Condvar,
}

impl Engine {
    /// Opens the engine in this data folder, or makes it.
    pub(crate) fn open(folder: &Path, opening: Opening) -> Result<Self> {
        let tables = Tables::open(&folder.join(TABLES))?;
        let mark = tables.there().map_or(Ok(0), Open::marked)?;
        let pending = Pending::new(opening.pending_bytes);
        let mut rows = Replayed::default();
        let log = Log::open(&folder.join(LOG), (mark, opening.holes()), &mut |batch, entry| {
            rows.add(batch, entry, &pending)
        })?;
        rows.end(&pending);
        pending.begin(log.end().next);
        let inner = Arc::new(Inner {
            log,
            pending,
            tables,
            mark: AtomicU64::new(mark),
            has_failed: AtomicBool::new(false),
            failure: Mutex::default(),
            settled: Condvar::new(),
        });
        let failed = |source| EngineError::Io { doing: "starting a thread", source };
        let checkpointer = Worker::start("store-tables", {
            let inner = inner.clone();
            move |Order(then)| inner.attempt(|inner| inner.checkpoint().and_then(|()| then(inner)))
        });
        let syncer = Worker::start("store-syncer", {
            let inner = inner.clone();
            move |Order(then)| {
                inner.attempt(|inner| {
                    inner.log.sync_beside(Behind::Syncer).and_then(|()| then(inner))
                });
            }
        });
        let (checkpointer, syncer) = (checkpointer.map_err(failed)?, syncer.map_err(failed)?);
        Ok(Self { inner, checkpointer, syncer })
    }

    /// Opens an engine again that has failed.
    pub(crate) fn open_again(folder: &Path, opening: Opening) -> Result<Self> {
        Log::write_anew(&folder.join(LOG))?;
        Self::open(folder, opening)
    }

    /// Writes a batch to the log, whole or not at all, so that it survives the end of the process.
    pub(crate) fn write(&self, rows: Rows) -> Result<Written> {
        let stalled = self.wait_for_room();
        self.check()?;
        let Rows { mut frame, kept } = rows;
        let End { batch, next } = self.inner.log.append(&mut frame)?;
        let logged = u64::try_from(frame.len()).unwrap_or_default();
        Ok(Written { batch, next, logged, kept, stalled })
    }

    /// Lets readers see a batch.
    pub(crate) fn show(&self, written: Written) {
        if self.inner.pending.show(written) {
            self.checkpoint();
        }
    }

    /// Has everything that is shown go to the tables, behind whoever writes; unless that is done
    /// already with what was shown before.
    fn checkpoint(&self) {
        if self.inner.pending.freeze() {
            self.checkpointer.order(Order(Box::new(|_| Ok(()))));
        }
    }

    /// Makes everything written so far safe from a power cut.
    pub(crate) fn sync(&self) -> Result<()> {
        self.inner.log.sync()?;
        self.check()
    }

    /// The same, behind whoever writes; and does `then` when it is done.
    pub(crate) fn sync_behind(&self, then: impl FnOnce() + Send + 'static) {
        self.syncer.order(Order(Box::new(move |_| {
            then();
            Ok(())
        })));
    }

    /// Fails if something has failed behind the writer.
    pub(crate) fn check(&self) -> Result<()> {
        self.inner.check()
    }

    /// Lets go of the engine, which closes it once no reader holds it any more. It is closed even
    /// if it panics over it.
    pub(crate) fn abandon(self: Arc<Self>) {
        abandon(self);
    }

    /// Has nothing more go to the tables: another engine is about to be opened on the folder while a
    /// reader still holds this one.
    pub(crate) fn give_up(&self) {
        self.inner.fail("it was given up".to_owned());
    }

    /// While one generation of rows goes to the tables, the next one becomes large and has to wait.
    fn wait_for_room(&self) -> Duration {
        let Inner { pending, failure, settled, has_failed, .. } = &*self.inner;
        if !pending.is_large() || !pending.is_frozen() {
            return Duration::ZERO;
        }
        let start = Instant::now();
        let mut failure = failure.lock();
        while pending.is_frozen() && !has_failed.load(Ordering::Acquire) {
            let left = LONGEST_WAIT.saturating_sub(start.elapsed());
            if left.is_zero() || settled.wait_for(&mut failure, left).timed_out() {
                break;
            }
        }
        drop(failure);
        self.checkpoint();
        start.elapsed()
    }

    /// Begins a new file of the log, if the last one holds so many changes or has become long.
    pub(crate) fn roll(&self, segment_length: u64) -> Result<()> {
        self.inner.log.roll(segment_length)
    }

    /// Drops the files of the log that end at `upto` or before, except the one that holds the newest
    /// change. Says whether there are some of which the tables do not hold everything.
    pub(crate) fn truncate(&self, upto: Sequence) -> Result<bool> {
        self.inner.truncate(upto)
    }

    /// Has everything that is shown go to the tables, behind whoever writes, and does `then` when it is
    /// done.
    pub(crate) fn checkpoint_and(&self, then: impl FnOnce(&Inner) -> Result<()> + Send + 'static) {
        // What was frozen before is older than what is shown now, which follows it.
        self.checkpointer.order(Order(Box::new(move |inner| {
            inner.pending.freeze();
            inner.checkpoint()?;
            then(inner)
        })));
    }

    /// The first change that the log may still hold.
    pub(crate) fn log_first(&self) -> Sequence {
        self.inner.log.first()
    }

    /// A view of everything that is shown now.
    pub(crate) fn view(&self) -> Result<View> {
        View::of(&self.inner)
    }

    /// Hands the log after `after`, up to and including `upto`, to `visit`, at most `limit` rows.
    pub(crate) fn visit_log<E: From<EngineError>>(
        &self,
        range: (Sequence, Sequence),
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.inner.log.visit(range, limit, |sequence, row| visit(&codec::log_key(sequence), row))
    }

    /// The newest change's number; 0 if there has been none.
    pub(crate) fn newest(&self) -> Sequence {
        Sequence(self.inner.log.end().next.0.saturating_sub(1))
    }

    /// The row of a record as it was last shown; none if there is none.
    pub(crate) fn record(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.inner.pending.record(key) {
            Some((_, row)) => Ok(row.map(|row| row.to_vec())),
            None => self.inner.tables.there().map_or(Ok(None), |tables| tables.record(key)),
        }
    }

    /// The row of the ceilings, if it was ever written.
    pub(crate) fn ceilings(&self) -> Result<Option<Vec<u8>>> {
        match self.inner.pending.ceilings() {
            Some(row) => Ok(Some(row.to_vec())),
            None => self.inner.tables.there().map_or(Ok(None), Open::ceilings),
        }
    }

    /// Bytes of the engine's files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let tables = self.inner.tables.there().map_or(0, Open::disk_bytes);
        tables + self.inner.log.disk_bytes()
    }
}

impl Inner {
    /// Does something behind the writer, who hears of it with his next batch if it fails.
    fn attempt(&self, work: impl FnOnce(&Self) -> Result<()>) {
        if let Err(error) = guarded(|| work(self)) {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            let text =
                source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
            self.fail(text);
        }
        drop(self.failure.lock());
        self.settled.notify_all();
    }

    /// Says why nothing more is to be done; the first reason stays.
    fn fail(&self, text: String) {
        self.failure.lock().get_or_insert(text);
        self.has_failed.store(true, Ordering::Release);
    }

    /// As [`Engine::check`].
    fn check(&self) -> Result<()> {
        if !self.has_failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let failure = self.failure.lock().clone();
        Err(EngineError::Behind(failure.unwrap_or_default()))
    }

    /// As [`Engine::truncate`].
    pub(crate) fn truncate(&self, upto: Sequence) -> Result<bool> {
        self.log.truncate(upto, self.mark.load(Ordering::Acquire))
    }

    /// Has what is frozen go to the tables.
    fn checkpoint(&self) -> Result<()> {
        let Some(frozen) = self.pending.frozen() else { return Ok(()) };
        // The tables must never hold what a power cut takes from the log.
        self.log.sync_beside(Behind::Checkpointer)?;
        // Another engine may be open on the folder by now.
        self.check()?;
        let tables = self.tables.made()?;
        tables.wait_for_room()?;
        tables.fill(Kept::State, |put| {
            frozen.sorted().iter().try_for_each(|row| put(row.key(), row.row()))
        })?;
        tables.fill(Kept::Records, |put| {
            frozen.records().iter().try_for_each(|(key, row)| put(key, row.as_deref()))
        })?;
        tables.mark(frozen.upto(), frozen.ceilings())?;
        self.mark.store(frozen.upto(), Ordering::Release);
        self.pending.forget_frozen();
        self.log.drop_unneeded(frozen.upto())
    }

    fn abandon(self: Arc<Self>) {
        abandon(self);
    }
}

fn abandon<T>(held: Arc<T>) {
    if let Err(error) = guarded(|| {
        drop(held);
        Ok(())
    }) {
        tracing::warn!(error = %error, "the engine did not close in order");
    }
}

/// What is read from the log again, a batch at a time.
#[derive(Debug, Default)]
struct Replayed {
    batch: Batch,
    logged: u64,
    kept: KeptRows,
}

impl Replayed {
    fn add(&mut self, batch: Batch, entry: Entry<'_>, pending: &Pending) -> Result<()> {
        /// Bytes of the log that are taken together.
        const TOGETHER: u64 = 1 << 20;
        if batch != self.batch && self.logged > TOGETHER {
            std::mem::take(self).end(pending);
        }
        self.batch = batch;
        match entry {
            Entry::Change(_, row) => {
                self.count(&[row]);
                let state =
                    codec::state_of_log(row).map_err(|error| EngineError::Failed(error.into()))?;
                if let Some((key, row)) = state {
                    self.kept.state(&key, row.as_deref());
                }
            }
            Entry::Put(key, row) => {
                self.count(&[key, row]);
                self.kept.records.push((key.into(), Some(row.into())));
            }
            Entry::Delete(key) => {
                self.count(&[key]);
                self.kept.records.push((key.into(), None));
            }
            Entry::Ceilings(row) => self.kept.ceilings = Some(row.into()),
        }
        Ok(())
    }

    fn count(&mut self, parts: &[&[u8]]) {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        self.logged += u64::try_from(bytes).unwrap_or_default();
    }

    /// Shows what is left.
    fn end(self, pending: &Pending) {
        let Self { batch, logged, kept } = self;
        if batch > 0 {
            let (next, stalled) = (Sequence(0), Duration::ZERO);
            pending.show(Written { batch, next, logged, kept, stalled });
        }
    }
}

#[cfg(test)]
mod tests;
