//! A new engine that is filled in bulk.

use std::path::Path;

use fjall::{Database, Keyspace, PersistMode};
use musubi_model::Sequence;

use super::{
    EngineError, MEMTABLE, Result, SMALL_MEMTABLE, Table, database, guarded, segment, table,
};

/// A new engine. Rows are put into it in the order of their keys, and go past its journal straight
/// into tables on the disk.
pub(crate) struct Bulk {
    database: Database,
    state: Keyspace,
    records: Keyspace,
    meta: Keyspace,
}

impl std::fmt::Debug for Bulk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bulk").finish_non_exhaustive()
    }
}

/// Puts a row behind all that have been put.
pub(crate) type Put<'p> = &'p mut dyn FnMut(&[u8], &[u8]) -> Result<()>;

impl Bulk {
    /// Makes the engine.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        guarded(|| {
            let database = database(path)?;
            let state = database.keyspace("state", || table(MEMTABLE))?;
            let records = database.keyspace("records", || table(SMALL_MEMTABLE))?;
            let meta = database.keyspace("meta", || table(SMALL_MEMTABLE))?;
            Ok(Self { database, state, records, meta })
        })
    }

    /// Fills a table, at once. Of the log it fills the part that begins with this change; each part
    /// is filled once.
    pub(crate) fn fill<E: From<EngineError>>(
        &self,
        (table, first): (Table, Sequence),
        fill: impl FnOnce(Put<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let keyspace = match table {
            Table::State => self.state.clone(),
            Table::Records => self.records.clone(),
            Table::Meta => self.meta.clone(),
            Table::Log => guarded(|| Ok(segment(&self.database, first)?.keyspace))?,
        };
        let mut rows = guarded(|| Ok(keyspace.start_ingestion()?))?;
        fill(&mut |key, value| guarded(|| Ok(rows.write(key, value)?)))?;
        guarded(|| Ok(rows.finish()?))?;
        Ok(())
    }

    /// Makes everything safe from a power cut, and closes the engine.
    pub(crate) fn finish(self) -> Result<()> {
        guarded(|| {
            self.database.persist(PersistMode::SyncAll)?;
            drop(self);
            Ok(())
        })
    }
}
