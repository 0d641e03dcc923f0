//! Paths to a value inside an entity.

use musubi_model::{AttrName, TypeName};
use serde::{Deserialize, Serialize};

mod parse;
mod text;
mod values;

pub(crate) use parse::SYSTEM_ATTRIBUTES;
pub(crate) use values::Found;

/// `attr.subattr[member.member]`: an attribute, attributes of attributes, and then members of the
/// JSON value (CIM 009, clause 4.9).
///
/// The last name may be that of a system attribute: `createdAt`, `modifiedAt` and `expiresAt` of
/// the entity or of an attribute, `observedAt`, `unitCode` and `datasetId` of an attribute, each
/// expanded by the core context.
///
/// With links, as in `rel{path}`, the value is one of a linked entity. At most
/// [`MAX_LINKED`](Self::MAX_LINKED) linked entities are looked up for one path of one entity, each
/// once per step and in the order in which the entity names them; what is further away counts as
/// not being there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributePath {
    /// The links to follow first, from entity to entity; none for a value of the entity itself.
    #[serde(default)]
    pub links: Vec<Link>,
    /// The attribute and then the sub-attributes; at least one.
    pub names: Vec<AttrName>,
    /// The members of the value, as they stand in the JSON; for a language property, the language
    /// tag or `*`.
    pub members: Vec<String>,
}

impl AttributePath {
    /// The most links of one path.
    pub const MAX_LINKS: usize = 8;

    /// The most linked entities that are looked up for one path of one entity.
    pub const MAX_LINKED: usize = 10_000;
}

/// A step from an entity to those that a relationship of it points at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The relationship.
    pub relationship: AttrName,
    /// The linked entity has at least one of these types; with none, any will do.
    pub types: Vec<TypeName>,
}

#[cfg(test)]
mod tests;
