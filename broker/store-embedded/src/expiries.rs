//! Which slots hold something that has expired.

use std::collections::BTreeMap;

use musubi_model::Timestamp;
use roaring::RoaringBitmap;

use crate::slots::Slots;

/// The slots by the moment at which the first part of their entity expires. Entities of which
/// nothing expires are not here.
#[derive(Debug, Default)]
pub(crate) struct Expiries {
    slots: BTreeMap<Timestamp, Slots>,
}

impl Expiries {
    pub(crate) fn insert(&mut self, slot: u32, expiry: Option<Timestamp>) {
        let Some(expiry) = expiry else { return };
        self.slots
            .entry(expiry)
            .and_modify(|slots| slots.insert(slot))
            .or_insert_with(|| Slots::One(slot));
    }

    pub(crate) fn remove(&mut self, slot: u32, expiry: Option<Timestamp>) {
        let Some(expiry) = expiry else { return };
        if self.slots.get_mut(&expiry).is_some_and(|slots| slots.remove(slot)) {
            self.slots.remove(&expiry);
        }
    }

    /// Whether anything has expired at this moment.
    pub(crate) fn any_by(&self, at: Timestamp) -> bool {
        self.slots.first_key_value().is_some_and(|(first, _)| *first <= at)
    }

    /// The slots that hold something which has expired at this moment; none if it expired at more
    /// than so many different moments.
    pub(crate) fn by(&self, at: Timestamp, most: usize) -> Option<RoaringBitmap> {
        let mut all = RoaringBitmap::new();
        for (count, (_, slots)) in self.slots.range(..=at).enumerate() {
            if count == most {
                return None;
            }
            slots.add_to(&mut all);
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn slots_are_found_from_their_moment_on_and_forgotten() {
        let mut expiries = Expiries::default();
        for (slot, seconds) in [(1, 10), (2, 20), (3, 10)] {
            expiries.insert(slot, Some(at(seconds)));
        }
        expiries.insert(4, None);
        let found = |expiries: &Expiries, seconds| -> Vec<u32> {
            expiries.by(at(seconds), 9).unwrap().iter().collect()
        };
        assert!(!expiries.any_by(at(9)) && expiries.any_by(at(10)));
        assert_eq!(found(&expiries, 9), [] as [u32; 0]);
        assert_eq!(found(&expiries, 10), [1, 3], "what expires at a moment has expired then");
        assert_eq!(found(&expiries, 20), [1, 2, 3]);
        assert_eq!(expiries.by(at(20), 1), None);
        assert_eq!(expiries.by(at(20), 2).map(|slots| slots.len()), Some(3));
        expiries.remove(3, Some(at(10)));
        expiries.remove(2, None);
        assert_eq!(found(&expiries, 20), [1, 2]);
        expiries.remove(1, Some(at(10)));
        assert!(!expiries.any_by(at(19)) && expiries.any_by(at(20)));
        assert_eq!(expiries.slots.len(), 1);
    }
}
