//! The engine as readers may see it: as it was when the last batch was known to be durable.

use std::ops::Bound;
use std::sync::Arc;

use fjall::{Readable as _, Snapshot};

use super::{Engine, EngineError, Result, guarded};

/// A view of the records that the last durable batch left. What a later batch writes is not in it,
/// be that batch still on its way to the disk or lost on it.
#[derive(Clone)]
pub(crate) struct Published {
    pub(super) engine: Arc<Engine>,
    pub(super) snapshot: Snapshot,
}

impl std::fmt::Debug for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Published").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl Published {
    /// A view of everything that has been written so far.
    pub(crate) fn of(engine: &Arc<Engine>) -> Result<Self> {
        let snapshot = guarded(|| Ok(engine.database.snapshot()))?;
        Ok(Self { engine: engine.clone(), snapshot })
    }

    /// The engine itself, for its log.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Hands the rows of records from `start` on and before `end` to `visit`, in the order of their
    /// keys, for as long as it says that it wants more.
    pub(crate) fn visit_records<E: From<EngineError>>(
        &self,
        (start, end): (Bound<&[u8]>, &[u8]),
        mut visit: impl FnMut(&[u8], &[u8]) -> std::result::Result<Wanted, E>,
    ) -> std::result::Result<(), E> {
        let (Bound::Included(first) | Bound::Excluded(first)) = start else { return Ok(()) };
        if first >= end {
            return Ok(());
        }
        let range = (start, Bound::Excluded(end));
        let mut rows =
            guarded(|| Ok(self.snapshot.range::<&[u8], _>(&self.engine.records, range)))?;
        loop {
            let row = guarded(|| Ok(rows.next().map(fjall::Guard::into_inner).transpose()?))?;
            let Some((key, value)) = row else { return Ok(()) };
            if visit(&key, &value)? == Wanted::Nothing {
                return Ok(());
            }
        }
    }

    /// Lets go of the view, and of the engine, as [`Engine::abandon`] does.
    pub(crate) fn abandon(self) {
        let Self { engine, snapshot } = self;
        // It is of the engine, and must not be what holds it last.
        drop(snapshot);
        engine.abandon();
    }
}

/// Whether a visitor wants to see more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    More,
    Nothing,
}
