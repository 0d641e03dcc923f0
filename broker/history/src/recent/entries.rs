//! The entries of one series that is still in memory.

use std::collections::BTreeMap;

use musubi_model::InstanceNumber;

use crate::series::Entry;

/// With more entries than this, the next one is not put into a list any more.
const FEW: usize = 32;

/// Entries by their numbers, each once. Most series that are in memory have one entry or a few, for
/// which a tree would take ten times their room; many may come in any order.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    /// In order; empty if there are many.
    few: Vec<Entry>,
    /// Empty if there are few.
    many: BTreeMap<InstanceNumber, Entry>,
}

impl Entries {
    /// Puts an entry in, in the place of the one of its number, if there is one.
    pub(super) fn insert(&mut self, entry: Entry) {
        let number = entry.recorded.number;
        if !self.many.is_empty() {
            self.many.insert(number, entry);
            return;
        }
        match self.place(number) {
            Ok(at) => {
                if let Some(kept) = self.few.get_mut(at) {
                    *kept = entry;
                }
            }
            Err(at) if self.few.len() < FEW => {
                if self.few.is_empty() {
                    self.few.reserve_exact(1);
                }
                self.few.insert(at, entry);
            }
            Err(_) => {
                let few = std::mem::take(&mut self.few).into_iter().chain([entry]);
                self.many = few.map(|entry| (entry.recorded.number, entry)).collect();
            }
        }
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, number: InstanceNumber) {
        if let Ok(at) = self.place(number) {
            self.few.remove(at);
        }
        self.many.remove(&number);
    }

    /// Takes all of them out.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn get(&self, number: InstanceNumber) -> Option<&Entry> {
        match self.place(number) {
            Ok(at) => self.few.get(at),
            Err(_) => self.many.get(&number),
        }
    }

    /// All of them, in the order of their numbers.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.few.iter().chain(self.many.values())
    }

    fn place(&self, number: InstanceNumber) -> Result<usize, usize> {
        self.few.binary_search_by_key(&number, |entry| entry.recorded.number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chunk::samples::some_entries;

    proptest! {
        #[test]
        fn entries_are_kept_as_a_map_would_keep_them(
            entries in some_entries(120),
            removed in proptest::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let (mut kept, mut map) = (Entries::default(), BTreeMap::new());
            for (at, entry) in entries.iter().enumerate() {
                kept.insert(entry.clone());
                map.insert(entry.recorded.number, entry.clone());
                if let Some(index) = removed.get(at) {
                    let number = index.get(&entries).recorded.number;
                    kept.remove(number);
                    map.remove(&number);
                }
            }
            prop_assert!(kept.iter().eq(map.values()));
            prop_assert!(kept.iter().rev().eq(map.values().rev()));
            for entry in &entries {
                let number = entry.recorded.number;
                prop_assert_eq!(kept.get(number), map.get(&number));
            }
        }
    }
}
