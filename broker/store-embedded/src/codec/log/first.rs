//! Log rows as the first versions wrote them: with the whole of what an entity was before, and with
//! the names of all attributes that changed.

use std::sync::Arc;

use musubi_model::{AttrName, Entity, EntityChange, EntityId, Position, Revision};
use serde::Deserialize;

use crate::codec::RowError;

/// The format of such rows.
pub(super) const FORMAT: u8 = 1;

#[derive(Deserialize)]
pub(super) struct EntityHead {
    pub(super) id: EntityId,
    pub(super) revision: Revision,
    pub(super) position: Position,
    before: Option<Arc<Entity>>,
    changed: Vec<AttrName>,
    pub(super) deleted: bool,
}

impl EntityHead {
    /// The change, of which `after` is the after-image if there is one.
    pub(super) fn change(self, after: &[u8]) -> Result<EntityChange, RowError> {
        let Self { id, revision, position, before, changed, deleted } = self;
        let after = if deleted { None } else { Some(Arc::new(postcard::from_bytes(after)?)) };
        Ok(EntityChange { id, revision, position, before, after, changed })
    }
}
