//! Attributes of an entity, and attributes of attributes (CIM 009, clause 4.5).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{AttrName, DatasetId, Timestamp, TypeName, Value};

/// An attribute: a name and its instances, of which there is at least one, each of another data
/// set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// The expanded name.
    pub name: AttrName,
    /// The instances, in the order of their arrival. Most attributes have one.
    pub instances: SmallVec<[Instance; 1]>,
}

impl Attribute {
    /// The instance without a data set, if there is one.
    pub fn default_instance(&self) -> Option<&Instance> {
        self.instance(None)
    }

    /// The instance of this data set; `None` names the default one.
    pub fn instance(&self, dataset: Option<&DatasetId>) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.dataset_id() == dataset)
    }
}

/// One instance of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Kind and value.
    pub value: Value,
    /// When the value held, as its source says.
    pub observed_at: Option<Timestamp>,
    /// When the instance came into being here.
    pub created_at: Timestamp,
    /// When a write last touched the instance, with the same value or another.
    pub modified_at: Timestamp,
    /// What most instances have not.
    pub qualifiers: Option<Box<Qualifiers>>,
}

/// The rarer members of an attribute instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qualifiers {
    /// The data set; none for the default instance.
    pub dataset_id: Option<DatasetId>,
    /// The unit of measurement, a code of UN/CEFACT recommendation 20.
    pub unit_code: Option<Arc<str>>,
    /// When the instance ceases to exist.
    pub expires_at: Option<Timestamp>,
    /// The JSON-LD type of a property's value.
    pub value_type: Option<Arc<str>>,
    /// The types of the entities that a relationship points at.
    pub object_type: Vec<TypeName>,
    /// Attributes of this attribute.
    pub attributes: Vec<Attribute>,
}

impl Instance {
    /// The data set; none for the default instance.
    pub fn dataset_id(&self) -> Option<&DatasetId> {
        self.qualifiers.as_ref()?.dataset_id.as_ref()
    }

    /// The unit of measurement.
    pub fn unit_code(&self) -> Option<&str> {
        self.qualifiers.as_ref()?.unit_code.as_deref()
    }

    /// When the instance ceases to exist.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.qualifiers.as_ref()?.expires_at
    }

    /// The sub-attributes.
    pub fn attributes(&self) -> &[Attribute] {
        self.qualifiers.as_ref().map_or(&[], |qualifiers| &qualifiers.attributes)
    }

    /// The sub-attribute of this name.
    pub fn attribute(&self, name: &AttrName) -> Option<&Attribute> {
        self.attributes().iter().find(|attribute| attribute.name == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million entities have many millions of these.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_attribute_takes_little_room() {
        assert_eq!(size_of::<Instance>(), 56);
        assert_eq!(size_of::<Attribute>(), 72);
        assert_eq!(size_of::<crate::Entity>(), 112);
    }
}
