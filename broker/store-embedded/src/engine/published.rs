//! The engine as readers may see it: what the last durable batch left.

use std::ops::Bound;
use std::sync::Arc;

use super::merged::Merged;
use super::tables::Kept;
use super::{Engine, EngineError, View};

/// The engine, for those who only read. What a batch writes is seen when it was shown.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    engine: Arc<Engine>,
}

impl Published {
    pub(crate) fn of(engine: &Arc<Engine>) -> Self {
        Self { engine: engine.clone() }
    }

    /// The engine itself, for its log.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A view of everything that is shown now.
    pub(crate) fn view(&self) -> Result<View, EngineError> {
        self.engine.view()
    }

    /// Hands the rows of records from `start` on and before `end` to `visit`, as they are at one moment,
    /// in the order of their keys, for as long as it says that it wants more.
    pub(crate) fn visit_records<E: From<EngineError>>(
        &self,
        (start, end): (Bound<&[u8]>, &[u8]),
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<Wanted, E>,
    ) -> Result<(), E> {
        let (Bound::Included(first) | Bound::Excluded(first)) = start else { return Ok(()) };
        if first >= end {
            return Ok(());
        }
        let inner = &self.engine.inner;
        let range = (start, Bound::Excluded(end));
        let (upper, snapshot) = inner.pending.records(range, || inner.tables.snapshot());
        let snapshot = snapshot?;
        let lower = inner.tables.rows(snapshot.as_ref(), Kept::Records, range)?;
        let upper = upper.iter().map(|(key, row)| (&**key, row.as_deref()));
        let mut rows = Merged::new(lower, upper);
        while let Some(row) = rows.next()? {
            if visit(row.key(), row.value())? == Wanted::Nothing {
                break;
            }
        }
        Ok(())
    }

    /// Lets go of the engine, as [`Engine::abandon`] does.
    pub(crate) fn abandon(self) {
        self.engine.abandon();
    }
}

/// Whether a visitor wants to see more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    More,
    Nothing,
}
