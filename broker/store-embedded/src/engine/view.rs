//! Everything that the engine keeps, as it was at one moment.

use std::ops::Bound;
use std::sync::Arc;

use fjall::Snapshot;
use musubi_model::Sequence;
use musubi_store::RecordKind;

use super::merged::{Merged, Upper};
use super::pending::Moment;
use super::tables::{Kept, Tables};
use super::{EngineError, Inner, Result};
use crate::codec;

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

/// The row of an entity, or of a record, where the engine has it.
pub(crate) struct StateRow {
    pub(super) key: fjall::Slice,
    pub(super) value: fjall::Slice,
}

impl StateRow {
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn value(&self) -> &[u8] {
        &self.value
    }
}

/// A view of everything that was shown by some moment. A clone is the same view.
#[derive(Clone)]
pub(crate) struct View {
    inner: Arc<Inner>,
    snapshot: Option<Snapshot>,
    moment: Arc<Moment>,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("newest", &self.moment.newest).finish_non_exhaustive()
    }
}

impl View {
    /// A view of what is shown now.
    pub(super) fn of(inner: &Arc<Inner>) -> Result<Self> {
        let (moment, snapshot) = inner.pending.all(|| inner.tables.snapshot());
        let (inner, moment) = (inner.clone(), Arc::new(moment));
        Ok(Self { inner, snapshot: snapshot?, moment })
    }

    /// Lets go of the view, and of the engine, which closes if nobody else holds it. It does even if it
    /// panics over it.
    pub(crate) fn abandon(self) {
        let Self { inner, snapshot, .. } = self;
        // It is of the engine, and must not be what holds it last.
        drop(snapshot);
        inner.abandon();
    }

    /// The rows of all entities, in the order of their keys.
    pub(crate) fn state_rows(&self) -> Result<StateRows<'_>> {
        Ok(StateRows(Box::new(self.merged(Kept::State, Bound::Unbounded)?)))
    }

    /// Hands the row of every record of a kind to `visit`, in the order of the keys, until it fails.
    pub(crate) fn visit_records<E: From<EngineError>>(
        &self,
        kind: RecordKind,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let first = codec::kind_prefix(kind);
        let mut rows = self.merged(Kept::Records, Bound::Included(&first))?;
        while let Some(row) = rows.next()?.filter(|row| row.key().starts_with(&first)) {
            visit(row.key(), row.value())?;
        }
        Ok(())
    }

    /// Hands rows of a table to `visit`, those after the key `after` (all, if there is none), in the
    /// order of their keys, until it has been handed `most` bytes.
    pub(crate) fn page<E: From<EngineError>>(
        &self,
        table: Table,
        after: Option<&[u8]>,
        most: usize,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<Reached, E> {
        let kept = match table {
            Table::State => Kept::State,
            Table::Records => Kept::Records,
            Table::Meta => Kept::Meta,
            Table::Log => return self.log_page(after, most, visit),
        };
        let mut rows = self.merged(kept, after.map_or(Bound::Unbounded, Bound::Excluded))?;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            if Tables::is_own(kept, row.key()) {
                continue;
            }
            visit(row.key(), row.value())?;
            bytes += row.key().len() + row.value().len();
            if bytes >= most {
                return Ok(Reached::More);
            }
        }
        Ok(Reached::End)
    }

    fn log_page<E: From<EngineError>>(
        &self,
        after: Option<&[u8]>,
        most: usize,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<Reached, E> {
        /// Changes that are asked for at once: their size is only known when they were read.
        const AT_ONCE: usize = 64;
        let after = after.and_then(|key| key.first_chunk::<8>());
        let mut last = Sequence(after.map_or(0, |number| u64::from_be_bytes(*number)));
        let mut bytes = 0;
        loop {
            let before = last;
            self.inner.log.visit((before, self.moment.newest), AT_ONCE, |sequence, row| {
                last = sequence;
                bytes += row.len() + size_of::<Sequence>();
                visit(&codec::log_key(sequence), row)
            })?;
            if last == before {
                return Ok(Reached::End);
            }
            if bytes >= most {
                return Ok(Reached::More);
            }
        }
    }

    fn merged<'v>(
        &'v self,
        kept: Kept,
        start: Bound<&[u8]>,
    ) -> Result<Merged<Box<dyn Iterator<Item = Upper<'v>> + Send + 'v>>> {
        let Moment { state, records, ceilings, .. } = &*self.moment;
        let upper: Box<dyn Iterator<Item = Upper<'v>> + Send + 'v> = match kept {
            Kept::State => {
                let skipped = state.partition_point(|row| match start {
                    Bound::Included(key) => row.key() < key,
                    Bound::Excluded(key) => row.key() <= key,
                    Bound::Unbounded => false,
                });
                Box::new(state.iter().skip(skipped).map(|row| (row.key(), row.row())))
            }
            Kept::Records => {
                let rows = records.range::<[u8], _>((start, Bound::Unbounded));
                Box::new(rows.map(|(key, row)| (&**key, row.as_deref())))
            }
            Kept::Meta => {
                let row = ceilings.as_deref().map(|row| (Tables::CEILINGS, Some(row)));
                let is_behind = match start {
                    Bound::Included(key) => Tables::CEILINGS >= key,
                    Bound::Excluded(key) => Tables::CEILINGS > key,
                    Bound::Unbounded => true,
                };
                Box::new(row.filter(|_| is_behind).into_iter())
            }
        };
        let range = (start, Bound::Unbounded);
        let lower = self.inner.tables.rows(self.snapshot.as_ref(), kept, range)?;
        Ok(Merged::new(lower, upper))
    }
}

/// The rows of entities that have not been taken yet, for threads that take them in turn.
pub(crate) struct StateRows<'v>(Box<Merged<Box<dyn Iterator<Item = Upper<'v>> + Send + 'v>>>);

impl StateRows<'_> {
    /// Takes the next rows, at most so many; none if there are no more.
    pub(crate) fn take(&mut self, most: usize) -> Result<Vec<StateRow>> {
        let mut rows = Vec::with_capacity(most);
        while rows.len() < most
            && let Some(row) = self.0.next()?
        {
            rows.push(row);
        }
        Ok(rows)
    }
}
