//! A bounded map from texts to what was made of them, for each tenant one of its own.

use std::collections::HashMap;
use std::sync::Arc;

use musubi_model::Tenant;

use super::usage::Usage;
use crate::table::Seed;

/// The most entries, over all tenants.
const MAX_ENTRIES: usize = 1000;

/// A bounded map. Where there is no room, the tenant that takes up the most of it gives up what
/// it did not use for the longest, so that no tenant can push out the others.
#[derive(Debug)]
pub(super) struct Cache<V> {
    parts: HashMap<Tenant, Part<V>, Seed>,
    entries: usize,
    weight: usize,
    max_weight: usize,
}

/// What one tenant has.
#[derive(Debug)]
struct Part<V> {
    entries: HashMap<Box<str>, Entry<V>, Seed>,
    weight: usize,
}

impl<V> Default for Part<V> {
    fn default() -> Self {
        Self { entries: HashMap::default(), weight: 0 }
    }
}

/// A value, and when it was used.
#[derive(Clone, Debug)]
pub(super) struct Entry<V> {
    pub(super) value: V,
    pub(super) usage: Arc<Usage>,
    weight: usize,
}

impl<V> Cache<V> {
    /// A map whose entries weigh at most so much together, in bytes.
    pub(super) fn new(max_weight: usize) -> Self {
        Self { parts: HashMap::default(), entries: 0, weight: 0, max_weight }
    }

    pub(super) fn get(&self, tenant: &Tenant, key: &str) -> Option<&Entry<V>> {
        self.parts.get(tenant)?.entries.get(key)
    }

    /// All that a tenant has, in no order.
    pub(super) fn of(&self, tenant: &Tenant) -> impl Iterator<Item = (&str, &Entry<V>)> {
        let kept = self.parts.get(tenant).into_iter().flat_map(|part| &part.entries);
        kept.map(|(key, entry)| (&**key, entry))
    }

    /// Puts a value in the place of the one that was there, with its uses.
    pub(super) fn insert(
        &mut self,
        tenant: &Tenant,
        key: &str,
        value: V,
        (usage, weight): (Arc<Usage>, usize),
    ) {
        self.remove(tenant, key);
        let weight = weight + key.len();
        while self.entries >= MAX_ENTRIES || self.weight + weight > self.max_weight {
            if !self.make_room() {
                break;
            }
        }
        let part = self.parts.entry(tenant.clone()).or_default();
        part.entries.insert(key.into(), Entry { value, usage, weight });
        part.weight += weight;
        self.weight += weight;
        self.entries += 1;
    }

    /// Takes away one entry. False if there was none.
    fn make_room(&mut self) -> bool {
        let Some((tenant, part)) = self.parts.iter().max_by_key(|(_, part)| part.weight) else {
            return false;
        };
        let oldest = part.entries.iter().min_by_key(|(_, entry)| entry.usage.last());
        match oldest.map(|(key, _)| (tenant.clone(), key.clone())) {
            Some((tenant, key)) => self.remove(&tenant, &key),
            None => false,
        }
    }

    /// Takes an entry away. False if there was none.
    pub(super) fn remove(&mut self, tenant: &Tenant, key: &str) -> bool {
        let Some(part) = self.parts.get_mut(tenant) else { return false };
        let Some(entry) = part.entries.remove(key) else { return false };
        part.weight = part.weight.saturating_sub(entry.weight);
        self.weight = self.weight.saturating_sub(entry.weight);
        self.entries = self.entries.saturating_sub(1);
        if part.entries.is_empty() {
            self.parts.remove(tenant);
        }
        true
    }

    /// Takes away all that a tenant has.
    pub(super) fn clear(&mut self, tenant: &Tenant) {
        if let Some(part) = self.parts.remove(tenant) {
            self.weight = self.weight.saturating_sub(part.weight);
            self.entries = self.entries.saturating_sub(part.entries.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_WEIGHT: usize = 10_000;

    fn used(tick: u64) -> Arc<Usage> {
        let usage = Usage::default();
        usage.touch(tick);
        Arc::new(usage)
    }

    fn value<V: Copy>(cache: &Cache<V>, tenant: &Tenant, key: &str) -> Option<V> {
        cache.get(tenant, key).map(|entry| entry.value)
    }

    #[test]
    fn what_was_not_used_for_the_longest_makes_room() {
        let (mut cache, tenant) = (Cache::new(usize::MAX), Tenant::default());
        let mut tick = 0;
        for number in 0..MAX_ENTRIES {
            tick += 1;
            cache.insert(&tenant, &number.to_string(), number, (used(tick), 1));
        }
        cache.get(&tenant, "0").unwrap().usage.touch(tick + 1);
        cache.insert(&tenant, "new", 7, (used(tick + 2), 1));
        assert_eq!(cache.entries, MAX_ENTRIES);
        assert_eq!(value(&cache, &tenant, "1"), None);
        assert_eq!(value(&cache, &tenant, "0"), Some(0));
        assert_eq!(value(&cache, &tenant, "new"), Some(7));
    }

    #[test]
    fn the_weight_is_bounded() {
        let (mut cache, tenant) = (Cache::new(MAX_WEIGHT), Tenant::default());
        for number in 0..100 {
            cache.insert(&tenant, &number.to_string(), number, (used(number), MAX_WEIGHT / 10));
            assert!(cache.weight <= MAX_WEIGHT);
        }
        assert_eq!(cache.entries, 9);
        cache.insert(&tenant, "huge", 1, (used(1000), 2 * MAX_WEIGHT));
        assert_eq!(cache.entries, 1);
        cache.insert(&tenant, "huge", 1, (used(1001), 1));
        assert_eq!(cache.weight, 1 + "huge".len());
        cache.clear(&tenant);
        assert_eq!((cache.weight, cache.entries, cache.parts.len()), (0, 0, 0));
    }

    #[test]
    fn a_tenant_that_takes_much_makes_room_for_itself_and_not_at_the_cost_of_others() {
        let mut cache = Cache::new(MAX_WEIGHT);
        let (quiet, greedy): (Tenant, Tenant) =
            ("quiet".parse().unwrap(), "greedy".parse().unwrap());
        cache.insert(&quiet, "mine", 1, (used(1), 100));
        for number in 0..1000 {
            cache.insert(&greedy, &number.to_string(), 0, (used(number + 2), MAX_WEIGHT / 10));
        }
        assert_eq!(value(&cache, &quiet, "mine"), Some(1));
        assert_eq!(value(&cache, &greedy, "mine"), None);
        assert_eq!(value(&cache, &greedy, "999"), Some(0));
        assert_eq!(cache.of(&quiet).map(|(key, _)| key).collect::<Vec<_>>(), ["mine"]);
    }
}
