//! Which slots point where: the relationship targets of one attribute.

use std::collections::HashMap;

use musubi_model::{AttributeType, Value};
use roaring::RoaringBitmap;

use crate::slots::Slots;

/// The slots by the targets that they point at.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    slots: HashMap<Box<str>, Slots>,
}

/// Whether the targets of such values are indexed.
pub(crate) fn has_targets(kind: AttributeType) -> bool {
    matches!(kind, AttributeType::Relationship | AttributeType::ListRelationship)
}

impl Targets {
    pub(crate) fn insert(&mut self, slot: u32, value: &Value) {
        for uri in targets(value) {
            match self.slots.get_mut(uri.as_ref()) {
                Some(slots) => slots.insert(slot),
                None => {
                    self.slots.insert(uri, Slots::One(slot));
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: u32, value: &Value) {
        for uri in targets(value) {
            let is_empty = self.slots.get_mut(&uri).is_some_and(|slots| slots.remove(slot));
            if is_empty {
                self.slots.remove(&uri);
            }
        }
    }

    /// Adds the slots that point at this target.
    pub(crate) fn add_slots(&self, target: &str, slots: &mut RoaringBitmap) {
        if let Some(found) = self.slots.get(target) {
            found.add_to(slots);
        }
    }
}

fn targets(value: &Value) -> Vec<Box<str>> {
    match value.json.as_text() {
        Some(uri) => vec![uri.into()],
        None => value.uris().into_iter().map(String::into_boxed_str).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use musubi_model::Json;

    fn pointing_at(uri: &str) -> Value {
        Value { kind: AttributeType::Relationship, json: Json::from(uri) }
    }

    fn found(targets: &Targets, uri: &str) -> Vec<u32> {
        let mut slots = RoaringBitmap::new();
        targets.add_slots(uri, &mut slots);
        slots.iter().collect()
    }

    #[test]
    fn slots_are_found_by_their_target_and_forgotten() {
        let mut targets = Targets::default();
        for slot in [1, 2, 3] {
            targets.insert(slot, &pointing_at("urn:x:a"));
        }
        targets.insert(4, &pointing_at("urn:x:b"));
        assert_eq!(found(&targets, "urn:x:a"), [1, 2, 3]);
        assert_eq!(found(&targets, "urn:x:b"), [4]);
        targets.remove(2, &pointing_at("urn:x:a"));
        targets.remove(4, &pointing_at("urn:x:b"));
        assert_eq!(found(&targets, "urn:x:a"), [1, 3]);
        assert_eq!(found(&targets, "urn:x:b"), [] as [u32; 0]);
        assert_eq!(targets.slots.len(), 1);
    }
}
