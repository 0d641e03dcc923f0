//! The rows of all entities, for threads that read them together.

use super::{Result, guarded};

/// The rows of entities that have not been taken yet.
pub(crate) struct StateRows(fjall::Iter);

/// The row of an entity, where the engine has it.
pub(crate) struct StateRow {
    key: fjall::Slice,
    value: fjall::Slice,
}

impl StateRows {
    pub(super) fn of(state: &fjall::Keyspace) -> Result<Self> {
        guarded(|| Ok(Self(state.iter())))
    }

    /// Takes the next rows, at most so many; none if there are no more.
    pub(crate) fn take(&mut self, most: usize) -> Result<Vec<StateRow>> {
        guarded(|| {
            let mut rows = Vec::with_capacity(most);
            for row in self.0.by_ref().take(most) {
                let (key, value) = row.into_inner()?;
                rows.push(StateRow { key, value });
            }
            Ok(rows)
        })
    }
}

impl StateRow {
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn value(&self) -> &[u8] {
        &self.value
    }
}
