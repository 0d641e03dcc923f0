//! Which slots point where: the relationship targets of one attribute.

use std::collections::HashMap;

use musubi_model::{AttributeType, Value};
use roaring::RoaringBitmap;

/// The slots by the targets that they point at.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    slots: HashMap<Box<str>, Slots>,
}

/// Most targets are pointed at by one entity, for which a bitmap would be too much.
#[derive(Debug)]
enum Slots {
    One(u32),
    Many(RoaringBitmap),
}

/// Whether the targets of such values are indexed.
pub(crate) fn has_targets(kind: AttributeType) -> bool {
    matches!(kind, AttributeType::Relationship | AttributeType::ListRelationship)
}

impl Targets {
    pub(crate) fn insert(&mut self, slot: u32, value: &Value) {
        for uri in targets(value) {
            match self.slots.get_mut(uri.as_ref()) {
                None => {
                    self.slots.insert(uri, Slots::One(slot));
                }
                Some(Slots::Many(slots)) => {
                    slots.insert(slot);
                }
                Some(Slots::One(known)) if *known == slot => {}
                Some(one @ Slots::One(_)) => {
                    let mut slots = RoaringBitmap::new();
                    one.add_to(&mut slots);
                    slots.insert(slot);
                    *one = Slots::Many(slots);
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: u32, value: &Value) {
        for uri in targets(value) {
            let is_empty = match self.slots.get_mut(&uri) {
                None => false,
                Some(Slots::One(known)) => *known == slot,
                Some(Slots::Many(slots)) => {
                    slots.remove(slot);
                    slots.is_empty()
                }
            };
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

impl Slots {
    fn add_to(&self, slots: &mut RoaringBitmap) {
        match self {
            Self::One(slot) => {
                slots.insert(*slot);
            }
            Self::Many(many) => *slots |= many,
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
