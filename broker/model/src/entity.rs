//! Entities (CIM 009, clause 4.5.1).

use serde::{Deserialize, Serialize};

use crate::{AttrName, Attribute, EntityId, Scope, Timestamp, TypeName};

/// The current state of an entity, with every name expanded.
///
/// This one type is what the stores keep, what filters look at and what answers are rendered
/// from, so it is compact: values are JSON text, names are shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// The identifier.
    pub id: EntityId,
    /// At least one, each once, in the order of their arrival.
    pub types: Vec<TypeName>,
    /// The scopes, each once, in the order of their arrival.
    pub scopes: Vec<Scope>,
    /// When the entity came into being here.
    pub created_at: Timestamp,
    /// When a write last touched the entity.
    pub modified_at: Timestamp,
    /// When the entity ceases to exist.
    pub expires_at: Option<Timestamp>,
    /// The attributes, each name once, in the order of their arrival.
    pub attributes: Vec<Attribute>,
}

impl Entity {
    /// The attribute of this name.
    pub fn attribute(&self, name: &AttrName) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == *name)
    }
}
