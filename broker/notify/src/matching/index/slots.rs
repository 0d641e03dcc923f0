//! Lists of subscriptions.

use roaring::RoaringBitmap;
use smallvec::SmallVec;

/// The number of a subscription in the index of its tenant.
pub(super) type Slot = u32;

/// Slots, each once. Most lists are short, and some hold a million: adding and taking is quick in
/// both.
#[derive(Debug)]
pub(super) enum Slots {
    /// At most [`FEW`].
    Few(SmallVec<[Slot; 4]>),
    Many(Box<RoaringBitmap>),
}

/// The longest list that is kept as such.
const FEW: usize = 32;

impl Default for Slots {
    fn default() -> Self {
        Self::Few(SmallVec::new())
    }
}

impl Slots {
    pub(super) fn add(&mut self, slot: Slot) {
        match self {
            Self::Few(slots) if slots.contains(&slot) => {}
            Self::Few(slots) if slots.len() < FEW => slots.push(slot),
            Self::Few(slots) => {
                let mut many: RoaringBitmap = slots.iter().copied().collect();
                many.insert(slot);
                *self = Self::Many(Box::new(many));
            }
            Self::Many(slots) => {
                slots.insert(slot);
            }
        }
    }

    pub(super) fn take(&mut self, slot: Slot) {
        match self {
            Self::Few(slots) => slots.retain(|other| *other != slot),
            Self::Many(slots) => {
                slots.remove(slot);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(slots) => slots.len(),
            Self::Many(slots) => usize::try_from(slots.len()).unwrap_or(usize::MAX),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds them to others.
    pub(super) fn append_to(&self, found: &mut Vec<Slot>) {
        match self {
            Self::Few(slots) => found.extend_from_slice(slots),
            Self::Many(slots) => found.extend(slots.iter()),
        }
    }

    /// Bytes outside of the list itself, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Few(slots) if slots.spilled() => slots.capacity() * size_of::<Slot>(),
            Self::Few(_) => 0,
            Self::Many(slots) => size_of::<RoaringBitmap>() + slots.serialized_size(),
        }
    }
}
