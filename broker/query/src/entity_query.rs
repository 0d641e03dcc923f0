//! A question for entities.

use musubi_model::Position;

use crate::Filter;

/// Which entities are wanted, from where on, and how many.
#[derive(Clone, Debug)]
pub struct EntityQuery {
    /// What an entity must satisfy.
    pub filter: Filter,
    /// Where the page begins, in the order of creation.
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
    /// After this position; a page cut so stays where it is while others write.
    After(Position),
}
