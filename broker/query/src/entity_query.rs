//! A question for entities.

use musubi_model::{Position, Timestamp};

use crate::{Filter, Order};

/// Which entities are wanted, in which order, from where on, and how many.
#[derive(Clone, Debug, Default)]
pub struct EntityQuery {
    /// What an entity must satisfy.
    pub filter: Filter,
    /// The order of the answer.
    pub order: Order,
    /// The moment as of which entities are seen: an entity, attribute or sub-attribute that has
    /// expired by then is not there, neither for the filter nor in the answer. None: everything
    /// that is kept is seen.
    pub at: Option<Timestamp>,
    /// Where the page begins.
    pub start: Start,
    /// The most entities wanted; 0 asks for the count alone.
    pub limit: usize,
    /// Whether to say how many entities satisfy the filter in all.
    pub count: bool,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After so many matching entities.
    Offset(usize),
    /// After this position; a page cut so stays where it is while others write. Only in the order
    /// of creation: with another order it means the entities at later positions.
    After(Position),
}

impl Default for Start {
    fn default() -> Self {
        Self::Offset(0)
    }
}
