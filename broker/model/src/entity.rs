//! Entities (CIM 009, clause 4.5.1).

use serde::{Deserialize, Serialize};

use crate::{AttrName, Attribute, EntityId, Instance, Scope, Timestamp, TypeName};

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

    /// How much text the entity is, in bytes: names, values and the members of values. What a limit
    /// on the size of entities looks at; about what its simplified representation takes.
    pub fn text_size(&self) -> usize {
        let types: usize = self.types.iter().map(|name| name.as_str().len()).sum();
        let scopes: usize = self.scopes.iter().map(|scope| scope.as_str().len()).sum();
        self.id.as_str().len() + types + scopes + text_size(&self.attributes)
    }
}

pub(crate) fn text_size(attributes: &[Attribute]) -> usize {
    let instances =
        |attribute: &Attribute| -> usize { attribute.instances.iter().map(instance_size).sum() };
    attributes.iter().map(|attribute| attribute.name.as_str().len() + instances(attribute)).sum()
}

/// The text of an instance: its value, and all that stands beside it.
pub(crate) fn instance_size(instance: &Instance) -> usize {
    let value = instance.value.json.as_str().len();
    let Some(qualifiers) = instance.qualifiers.as_deref() else { return value };
    let dataset = qualifiers.dataset_id.as_ref().map_or(0, |dataset| dataset.as_str().len());
    let texts = [&qualifiers.unit_code, &qualifiers.value_type].into_iter().flatten();
    let texts: usize = texts.map(|text| text.len()).sum();
    let types: usize = qualifiers.object_type.iter().map(|name| name.as_str().len()).sum();
    value + dataset + texts + types + text_size(&qualifiers.attributes)
}
