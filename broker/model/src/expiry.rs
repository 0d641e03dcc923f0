//! Entities and attributes that cease to exist (CIM 009, clause 4.22).

use std::sync::Arc;

use crate::{Attribute, Entity, Timestamp};

impl Entity {
    /// When the first part of the entity expires: itself, an instance of an attribute, or one of
    /// a sub-attribute. None if nothing of it does.
    pub fn first_expiry(&self) -> Option<Timestamp> {
        self.expires_at.into_iter().chain(first_expiry(&self.attributes)).min()
    }

    /// The entity as of `at`: itself if nothing of it has expired by then, without its expired
    /// parts if some have, and none if it has expired as a whole. What expires at a moment is not
    /// there any more at that moment.
    pub fn alive_at(self: &Arc<Self>, at: Timestamp) -> Option<Arc<Self>> {
        if self.expires_at.is_some_and(|expiry| expiry <= at) {
            return None;
        }
        if first_expiry(&self.attributes).is_none_or(|expiry| expiry > at) {
            return Some(Arc::clone(self));
        }
        let mut entity = Self::clone(self);
        retain_alive(&mut entity.attributes, at);
        Some(Arc::new(entity))
    }
}

fn first_expiry(attributes: &[Attribute]) -> Option<Timestamp> {
    let instances = attributes.iter().flat_map(|attribute| &attribute.instances);
    let expiries = instances.filter_map(|instance| {
        let qualifiers = instance.qualifiers.as_deref()?;
        qualifiers.expires_at.into_iter().chain(first_expiry(&qualifiers.attributes)).min()
    });
    expiries.min()
}

fn retain_alive(attributes: &mut Vec<Attribute>, at: Timestamp) {
    attributes.retain_mut(|attribute| {
        attribute
            .instances
            .retain(|instance| instance.expires_at().is_none_or(|expiry| expiry > at));
        for instance in &mut attribute.instances {
            if let Some(qualifiers) = instance.qualifiers.as_deref_mut() {
                retain_alive(&mut qualifiers.attributes, at);
            }
        }
        !attribute.instances.is_empty()
    });
}
