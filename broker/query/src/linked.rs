//! Linked entities: those that the relationships of an entity point at (CIM 009, clause 4.5.23).

use std::sync::Arc;

use musubi_model::{Entity, EntityId};

/// The entities that a condition may look into by way of a relationship: those of the same
/// tenant, as of the same moment.
pub trait LinkedEntities {
    /// The entity of this id, if there is one.
    fn entity(&self, id: &EntityId) -> Option<Arc<Entity>>;
}

/// No entities: what a condition sees of its surroundings where only the entity itself is known.
#[derive(Clone, Copy, Debug)]
pub struct NoLinkedEntities;

impl LinkedEntities for NoLinkedEntities {
    fn entity(&self, _: &EntityId) -> Option<Arc<Entity>> {
        None
    }
}
