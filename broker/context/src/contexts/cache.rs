//! A bounded map from texts to what was made of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::table::Seed;

/// The most entries.
const MAX_ENTRIES: usize = 1000;
/// The most that all entries may weigh, in bytes.
const MAX_WEIGHT: usize = 32 << 20;

/// A bounded map. Where there is no room, what was not asked for the longest makes it.
#[derive(Debug)]
pub(super) struct Cache<V> {
    entries: HashMap<Box<str>, Entry<V>, Seed>,
    weight: usize,
    /// Counts questions, so that each entry knows the last one that it answered.
    questions: AtomicU64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: usize,
    asked: AtomicU64,
}

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self { entries: HashMap::default(), weight: 0, questions: AtomicU64::new(0) }
    }
}

impl<V> Cache<V> {
    pub(super) fn get(&self, key: &str) -> Option<&V> {
        let entry = self.entries.get(key)?;
        let question = self.questions.fetch_add(1, Ordering::Relaxed);
        entry.asked.store(question, Ordering::Relaxed);
        Some(&entry.value)
    }

    /// Puts a value in the place of the one that was there.
    pub(super) fn insert(&mut self, key: &str, value: V, weight: usize) {
        self.remove(key);
        let weight = weight + key.len();
        while self.entries.len() >= MAX_ENTRIES || self.weight + weight > MAX_WEIGHT {
            let oldest = self
                .entries
                .iter()
                .min_by_key(|(_, entry)| entry.asked.load(Ordering::Relaxed))
                .map(|(key, _)| key.clone());
            match oldest {
                Some(oldest) => self.remove(&oldest),
                None => break,
            }
        }
        let asked = AtomicU64::new(self.questions.fetch_add(1, Ordering::Relaxed));
        self.entries.insert(key.into(), Entry { value, weight, asked });
        self.weight += weight;
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.weight = self.weight.saturating_sub(entry.weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_the_longest_makes_room() {
        let mut cache = Cache::default();
        for number in 0..MAX_ENTRIES {
            cache.insert(&number.to_string(), number, 1);
        }
        assert_eq!(cache.get("0"), Some(&0));
        cache.insert("new", 7, 1);
        assert_eq!(cache.entries.len(), MAX_ENTRIES);
        assert_eq!(cache.get("1"), None);
        assert_eq!((cache.get("0"), cache.get("new")), (Some(&0), Some(&7)));
    }

    #[test]
    fn the_weight_is_bounded() {
        let mut cache = Cache::default();
        for number in 0..100 {
            cache.insert(&number.to_string(), number, MAX_WEIGHT / 10);
            assert!(cache.weight <= MAX_WEIGHT);
        }
        assert_eq!(cache.entries.len(), 9);
        cache.insert("huge", 1, 2 * MAX_WEIGHT);
        assert_eq!(cache.entries.len(), 1);
        cache.insert("huge", 1, 1);
        assert_eq!(cache.weight, 1 + "huge".len());
    }
}
