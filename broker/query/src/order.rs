//! The order of the entities in an answer (CIM 009, clause 4.23).

use std::cmp::Ordering;

use geo_types::Geometry;
use musubi_model::Entity;

use crate::{AttributePath, InvalidQuery, Terms};

mod collation;
mod key;
mod parse;

pub use collation::Collation;
pub use key::OrderKey;

/// The order of the entities in an answer. Entities that stand equal are in the order of their
/// creation, and so are all of them if there is no term.
///
/// What the specification leaves open is settled so:
///
/// - Values of different types are ordered as clause 4.23.2 says: numbers, texts, objects, arrays,
///   false and true, times of day, dates, dates with a time. That order is turned around with the
///   values if a term is descending; null and then what is not there come last either way.
/// - A text that has the form of a time, a date or both counts as one (clause 4.6.3). Texts,
///   URIs of relationships, identifiers, types and scopes among them, are ordered by the
///   collation, and by their first [`MAX_CHARACTERS`](Self::MAX_CHARACTERS) alone.
/// - Arrays are ordered by their first elements that differ, of at most
///   [`MAX_ELEMENTS`](Self::MAX_ELEMENTS), and then by their length; objects by their JSON text.
/// - Where there are several values (instances of an attribute, languages of a language property
///   for which none is asked, types, scopes), that one counts which comes first in the order.
/// - A distance is that on a sphere between the places of both geometries that are nearest to each
///   other (clause 4.23.1); entities without a geometry come after those with one, either way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Order {
    /// What is compared, the most important first.
    pub terms: Vec<OrderTerm>,
    /// How texts are compared.
    pub collation: Collation,
    /// Where distances are measured from.
    pub from: Option<Geometry<f64>>,
}

/// One thing that entities are ordered by.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderTerm {
    /// What of the entity.
    pub by: OrderBy,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// What of an entity its place depends on.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderBy {
    /// The `id`.
    Id,
    /// The `type`, expanded.
    Type,
    /// The `scope`.
    Scope,
    /// The value at a path, which follows no links.
    Value(AttributePath),
    /// The distance of the geometry at a path, which follows no links and has no members.
    Distance(AttributePath),
}

/// What the parameters beside `orderBy` say (CIM 009, clause 4.23.3).
#[derive(Clone, Copy, Debug, Default)]
pub struct OrderOptions<'a> {
    /// `collation`: how texts are compared. None: the default of [`Collation`].
    pub collation: Option<&'a str>,
    /// `orderFrom`: the coordinates of the geometry that distances are measured from.
    pub from: Option<&'a str>,
    /// `orderGeometry`: what geometry that is. None: a `Point`.
    pub geometry: Option<&'a str>,
}

impl Order {
    /// The most terms.
    pub const MAX_TERMS: usize = 16;

    /// The most characters of a text that count.
    pub const MAX_CHARACTERS: usize = 1_000;

    /// The most elements of an array that count.
    pub const MAX_ELEMENTS: usize = 100;

    /// Reads the parameters `orderBy` and `collation`.
    ///
    /// # Errors
    ///
    /// [`InvalidQuery`] as for [`parse_with`](Self::parse_with); an order by distance is one.
    pub fn parse(
        order_by: &str,
        collation: Option<&str>,
        terms: &dyn Terms,
    ) -> Result<Self, InvalidQuery> {
        Self::parse_with(order_by, &OrderOptions { collation, ..OrderOptions::default() }, terms)
    }

    /// Reads the parameter `orderBy` and those that go with it.
    ///
    /// # Errors
    ///
    /// [`InvalidQuery`] if one of them is not of its language, if there are more than
    /// [`MAX_TERMS`](Self::MAX_TERMS) terms, or if distances are asked for and the place is
    /// missing that they are measured from.
    pub fn parse_with(
        order_by: &str,
        options: &OrderOptions<'_>,
        terms: &dyn Terms,
    ) -> Result<Self, InvalidQuery> {
        parse::order(order_by, options, terms)
    }

    /// Whether this is the order of creation.
    pub fn is_creation(&self) -> bool {
        self.terms.is_empty()
    }

    /// What this order looks at of `entity`. Everything that takes time happens here, once for
    /// each entity: values are read and texts are brought into a form that is compared by bytes.
    pub fn key(&self, entity: &Entity) -> OrderKey {
        key::of(self, entity)
    }

    /// How two entities stand to each other. Equal ones are in the order of their creation.
    pub fn compare(&self, one: &OrderKey, other: &OrderKey) -> Ordering {
        key::compare(&self.terms, one, other)
    }
}

#[cfg(test)]
mod tests;
