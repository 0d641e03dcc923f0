//! A new engine that is filled in bulk.

use std::path::Path;

use musubi_model::Sequence;

use super::log::Filler;
use super::tables::{Kept, Tables};
use super::{EngineError, LOG, Result, TABLES, Table};

/// A new engine. Rows are put into it in the order of their keys.
#[derive(Debug)]
pub(crate) struct Bulk {
    tables: Tables,
    log: Filler,
}

/// Puts a row behind all that have been put.
pub(crate) type Put<'p> = &'p mut dyn FnMut(&[u8], &[u8]) -> Result<()>;

impl Bulk {
    /// Makes the engine in this data folder.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let tables = Tables::open(&folder.join(TABLES))?;
        Ok(Self { tables, log: Filler::create(&folder.join(LOG))? })
    }

    /// Fills a table, at once.
    pub(crate) fn fill<E: From<EngineError>>(
        &mut self,
        table: Table,
        fill: impl FnOnce(Put<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let kept = match table {
            Table::State => Kept::State,
            Table::Records => Kept::Records,
            Table::Meta => Kept::Meta,
            Table::Log => {
                return fill(&mut |key, row| {
                    let number = key.first_chunk().map_or(0, |number| u64::from_be_bytes(*number));
                    self.log.change(Sequence(number), row)
                });
            }
        };
        self.tables.made()?.fill(kept, |put| fill(&mut |key, row| put(key, Some(row))))
    }

    /// Makes everything safe from a power cut, and closes the engine.
    pub(crate) fn finish(self) -> Result<()> {
        let upto = self.log.finish()?;
        self.tables.made()?.mark(upto, None)
    }
}
