//! The times of a recorded instance that somebody else's system set.

use crate::{AttrName, Attribute, DatasetId, Instance, Timestamp};

/// When an attribute instance, and the attributes of it, came into being and were modified, as told
/// by whoever recorded it first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptTimes {
    /// When it came into being; none if nothing is told.
    pub created_at: Option<Timestamp>,
    /// When a write last touched it; none if nothing is told.
    pub modified_at: Option<Timestamp>,
    /// Its data set.
    pub dataset: Option<DatasetId>,
    /// The attributes of it, with the times of their instances.
    pub attributes: Vec<(AttrName, Vec<KeptTimes>)>,
}

impl KeptTimes {
    /// Gives these times to the instance, and to the attributes of it. What is not told stays; but
    /// nothing comes into being after it was modified.
    pub fn give(&self, instance: &mut Instance) {
        instance.modified_at = self.modified_at.unwrap_or(instance.modified_at);
        let created_at = self.created_at.unwrap_or(instance.created_at);
        instance.created_at = created_at.min(instance.modified_at);
        let Some(qualifiers) = instance.qualifiers.as_mut() else { return };
        for attribute in &mut qualifiers.attributes {
            self.give_nested(attribute);
        }
    }

    fn give_nested(&self, attribute: &mut Attribute) {
        let of_name = self.attributes.iter().find(|(name, _)| *name == attribute.name);
        let Some((_, kept)) = of_name else { return };
        for instance in &mut attribute.instances {
            let of_dataset =
                kept.iter().find(|kept| kept.dataset.as_ref() == instance.dataset_id());
            if let Some(kept) = of_dataset {
                kept.give(instance);
            }
        }
    }
}
