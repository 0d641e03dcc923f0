//! Slots under a key that most of the time has one.

use roaring::RoaringBitmap;

/// At least one slot. Most targets of relationships are pointed at by one entity, and most moments
/// are the expiry of one, for which a bitmap would be too much.
#[derive(Debug)]
pub(crate) enum Slots {
    One(u32),
    Many(RoaringBitmap),
}

impl Slots {
    pub(crate) fn insert(&mut self, slot: u32) {
        match self {
            Self::Many(slots) => {
                slots.insert(slot);
            }
            Self::One(known) if *known == slot => {}
            Self::One(known) => {
                let mut slots = RoaringBitmap::new();
                slots.insert(*known);
                slots.insert(slot);
                *self = Self::Many(slots);
            }
        }
    }

    /// Takes a slot out. True if none is left, and this has to go.
    pub(crate) fn remove(&mut self, slot: u32) -> bool {
        match self {
            Self::One(known) => *known == slot,
            Self::Many(slots) => {
                slots.remove(slot);
                slots.is_empty()
            }
        }
    }

    pub(crate) fn add_to(&self, slots: &mut RoaringBitmap) {
        match self {
            Self::One(slot) => {
                slots.insert(*slot);
            }
            Self::Many(many) => *slots |= many,
        }
    }
}
