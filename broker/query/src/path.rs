//! Paths to a value inside an entity.

use musubi_model::AttrName;
use serde::{Deserialize, Serialize};

/// `attr.subattr[member.member]`: an attribute, attributes of attributes, and then members of the
/// JSON value (CIM 009, clause 4.9).
///
/// The last name may be that of a system attribute: `createdAt`, `modifiedAt` and `expiresAt` of
/// the entity or of an attribute, `observedAt`, `unitCode` and `datasetId` of an attribute, each
/// expanded by the core context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributePath {
    /// The attribute and then the sub-attributes; at least one.
    pub names: Vec<AttrName>,
    /// The members of the value, as they stand in the JSON; for a language property, the language
    /// tag or `*`.
    pub members: Vec<String>,
}
