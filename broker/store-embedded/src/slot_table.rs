//! Slots found by the hash of a text that stands in their entity.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher as _;

/// Slots by hashes of texts. The texts are where the slots lead, so they are not here a second time.
/// Several slots may have the same hash, and who looks for a text compares it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlotTable {
    entries: HashTable<Entry>,
    /// Seeded per process, because the texts come from clients.
    seed: RandomState,
}

/// The hash of a text; half of it, which is enough: what a short hash lets through is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hashed(u32);

/// The hash is here too, so that a table that grows need not look at the texts.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: Hashed,
    slot: u32,
}

impl Hashed {
    /// The hash as the table wants it: the places of its entries follow from the low bits, and which of
    /// them are looked at, from the highest.
    fn spread(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl SlotTable {
    /// The hash of a text.
    pub(crate) fn hash(&self, text: &str) -> Hashed {
        let [_, _, _, _, low @ ..] = self.seed.hash_one(text).to_be_bytes();
        Hashed(u32::from_be_bytes(low))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.entries.reserve(more, |entry| entry.hash.spread());
    }

    /// The slot under this hash that is the right one.
    pub(crate) fn find(&self, hash: Hashed, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let found =
            self.entries.find(hash.spread(), |entry| entry.hash == hash && is_it(entry.slot));
        found.map(|entry| entry.slot)
    }

    /// Puts in a slot that is not in here.
    pub(crate) fn insert(&mut self, hash: Hashed, slot: u32) {
        let entry = Entry { hash, slot };
        self.entries.insert_unique(hash.spread(), entry, |entry| entry.hash.spread());
    }

    /// Takes out the slot under this hash that is the right one.
    pub(crate) fn remove(&mut self, hash: Hashed, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let is_it = |entry: &Entry| entry.hash == hash && is_it(entry.slot);
        let found = self.entries.find_entry(hash.spread(), is_it).ok()?;
        Some(found.remove().0.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_the_same_hash_are_told_apart() {
        let mut table = SlotTable::default();
        let hash = table.hash("urn:x:1");
        for slot in 0..3 {
            table.insert(hash, slot);
        }
        assert_eq!(table.find(hash, |slot| slot == 1), Some(1));
        assert_eq!(table.remove(hash, |slot| slot == 1), Some(1));
        assert_eq!(table.find(hash, |slot| slot == 1), None);
        assert_eq!(table.find(hash, |slot| slot == 2), Some(2));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_table_that_grows_keeps_what_is_in_it() {
        let mut table = SlotTable::default();
        let text = |slot: u32| format!("urn:x:{slot}");
        for slot in 0..10_000 {
            table.insert(table.hash(&text(slot)), slot);
        }
        for slot in 0..10_000 {
            let hash = table.hash(&text(slot));
            assert_eq!(table.find(hash, |found| text(found) == text(slot)), Some(slot));
        }
    }
}
