//! A view of the engine, read a page at a time.

use std::ops::Bound;

use fjall::{Readable as _, Snapshot};
use musubi_model::Sequence;

use super::{Engine, EngineError, Published, guarded};

/// A part of what the engine keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// Entities.
    State,
    /// Records.
    Records,
    /// What the store knows of itself.
    Meta,
    /// The log, all its parts in order.
    Log,
}

/// Whether a page reached the end of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// There may be more.
    More,
    /// There is no more.
    End,
}

impl Published {
    /// Hands rows of a table to `visit`, those after the key `after` (all, if there is none), in the
    /// order of their keys, until it has been handed `most` bytes.
    pub(crate) fn page<E: From<EngineError>>(
        &self,
        table: Table,
        after: Option<&[u8]>,
        most: usize,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<Reached, E> {
        let keyspaces = match table {
            Table::State => vec![self.engine.state.clone()],
            Table::Records => vec![self.engine.records.clone()],
            Table::Meta => vec![self.engine.meta.clone()],
            Table::Log => log_after(&self.engine, after),
        };
        let mut bytes = 0;
        for keyspace in keyspaces {
            let start = after.map_or(Bound::Unbounded, Bound::Excluded);
            let range = (start, Bound::<&[u8]>::Unbounded);
            let snapshot: &Snapshot = &self.snapshot;
            let mut rows = guarded(|| Ok(snapshot.range::<&[u8], _>(&keyspace, range)))?;
            loop {
                let row = guarded(|| Ok(rows.next().map(fjall::Guard::into_inner).transpose()?))?;
                let Some((key, value)) = row else { break };
                visit(&key, &value)?;
                bytes += key.len() + value.len();
                if bytes >= most {
                    return Ok(Reached::More);
                }
            }
        }
        Ok(Reached::End)
    }
}

/// The parts of the log that may hold something after this key.
fn log_after(engine: &Engine, after: Option<&[u8]>) -> Vec<fjall::Keyspace> {
    let after = after.and_then(|key| key.split_first_chunk::<8>());
    let after = after.map_or(0, |(number, _)| u64::from_be_bytes(*number));
    let segments = engine.segments_after(Sequence(after)).into_iter();
    segments.map(|segment| segment.keyspace).collect()
}
