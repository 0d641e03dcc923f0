//! Which slots point where: the relationship targets of one attribute.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use musubi_model::{AttributeType, Value};
use roaring::RoaringBitmap;

use crate::slot_table::{Hashed, SlotTable};

/// The slots by the targets that they point at. Targets are known by their hashes alone, so slots
/// that point elsewhere may be among those that are found: candidates.
///
/// Most targets are pointed at by one entity, for which a bitmap would be too much.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    single: SlotTable,
    many: HashMap<Hashed, RoaringBitmap, RandomState>,
}

/// Whether the targets of such values are indexed.
pub(crate) fn has_targets(kind: AttributeType) -> bool {
    matches!(kind, AttributeType::Relationship | AttributeType::ListRelationship)
}

impl Targets {
    pub(crate) fn insert(&mut self, slot: u32, value: &Value) {
        for_each_target(value, |target| {
            let hash = self.single.hash(target);
            if let Some(slots) = self.many.get_mut(&hash) {
                slots.insert(slot);
                return;
            }
            match self.single.find(hash, |_| true) {
                None => self.single.insert(hash, slot),
                Some(known) if known == slot => {}
                Some(known) => {
                    self.single.remove(hash, |_| true);
                    self.many.insert(hash, RoaringBitmap::from_iter([known, slot]));
                }
            }
        });
    }

    /// Takes out a slot with a value that it has. The others that it has for this attribute have to
    /// follow, because one of them may have the same hash.
    pub(crate) fn remove(&mut self, slot: u32, value: &Value) {
        for_each_target(value, |target| {
            let hash = self.single.hash(target);
            let Some(slots) = self.many.get_mut(&hash) else {
                self.single.remove(hash, |known| known == slot);
                return;
            };
            slots.remove(slot);
            if slots.is_empty() {
                self.many.remove(&hash);
            }
        });
    }

    /// Adds the slots that may point at this target.
    pub(crate) fn add_slots(&self, target: &str, slots: &mut RoaringBitmap) {
        let hash = self.single.hash(target);
        slots.extend(self.single.find(hash, |_| true));
        if let Some(many) = self.many.get(&hash) {
            *slots |= many;
        }
    }
}

fn for_each_target(value: &Value, mut visit: impl FnMut(&str)) {
    match value.json.as_text() {
        Some(uri) => visit(&uri),
        None => value.uris().iter().for_each(|uri| visit(uri)),
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
        assert_eq!((targets.single.len(), targets.many.len()), (0, 1));
        targets.remove(1, &pointing_at("urn:x:a"));
        targets.remove(3, &pointing_at("urn:x:a"));
        assert_eq!((targets.single.len(), targets.many.len()), (0, 0));
    }
}
