//! The entries of one series that is still in memory.

use std::collections::BTreeMap;

use musubi_model::InstanceNumber;

use crate::series::Entry;

/// With more entries than this behind its place, an entry is not put into a list or taken out of it.
const FEW: usize = 32;

/// Entries by their numbers, each once. Nearly all come in their order, for which a list takes least;
/// many may come in any order.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    /// In order; empty if there is a tree.
    list: Vec<Entry>,
    /// Empty unless many came or went out of order.
    tree: BTreeMap<InstanceNumber, Entry>,
}

impl Entries {
    /// Puts an entry in, in the place of the one of its number, if there is one.
    pub(super) fn insert(&mut self, entry: Entry) {
        let number = entry.recorded.number;
        if !self.tree.is_empty() {
            self.tree.insert(number, entry);
            return;
        }
        let is_next = self.list.last().is_none_or(|last| last.recorded.number < number);
        match if is_next { Err(self.list.len()) } else { self.place(number) } {
            Ok(at) => {
                if let Some(kept) = self.list.get_mut(at) {
                    *kept = entry;
                }
            }
            Err(at) if self.is_near_end(at) => {
                if self.list.is_empty() {
                    self.list.reserve_exact(1);
                }
                self.list.insert(at, entry);
            }
            Err(_) => {
                self.plant();
                self.tree.insert(number, entry);
            }
        }
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, number: InstanceNumber) {
        if let Ok(at) = self.place(number) {
            if self.is_near_end(at) {
                self.list.remove(at);
                return;
            }
            self.plant();
        }
        self.tree.remove(&number);
    }

    fn is_near_end(&self, place: usize) -> bool {
        self.list.len() - place <= FEW
    }

    /// Makes a tree of the list.
    fn plant(&mut self) {
        let list = std::mem::take(&mut self.list).into_iter();
        self.tree = list.map(|entry| (entry.recorded.number, entry)).collect();
    }

    /// Takes all of them out.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn get(&self, number: InstanceNumber) -> Option<&Entry> {
        match self.place(number) {
            Ok(at) => self.list.get(at),
            Err(_) => self.tree.get(&number),
        }
    }

    /// All of them, in the order of their numbers.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.list.iter().chain(self.tree.values())
    }

    fn place(&self, number: InstanceNumber) -> Result<usize, usize> {
        self.list.binary_search_by_key(&number, |entry| entry.recorded.number)
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
