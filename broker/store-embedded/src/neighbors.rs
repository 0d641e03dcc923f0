//! The entities that a condition may look into.

use std::sync::Arc;

use musubi_model::{Entity, EntityId, Timestamp};
use musubi_query::LinkedEntities;
use parking_lot::RwLock;

use crate::table::Table;

/// The entities of a table as of a moment. Each look takes the table's lock for itself, so it must
/// not be held by who looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neighbors<'t> {
    pub(crate) table: &'t RwLock<Table>,
    pub(crate) at: Option<Timestamp>,
}

impl LinkedEntities for Neighbors<'_> {
    fn entity(&self, id: &EntityId) -> Option<Arc<Entity>> {
        let entity = self.table.read().get(id)?.entity.clone();
        match self.at {
            None => Some(entity),
            Some(at) => entity.alive_at(at),
        }
    }
}
