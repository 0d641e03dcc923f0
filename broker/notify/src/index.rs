//! Finds the subscriptions that a change may concern without asking each of them.

use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use musubi_model::{AttrName, EntityChange, EntityId, Tenant, Timestamp, TypeName};
use rustc_hash::FxHashMap;

use crate::matcher::{image, match_subscription};
use crate::{Subscription, SubscriptionId};

/// Subscriptions by what they are about.
///
/// [`due`](Self::due) gives what [`match_subscription`] gives for each of them, and asks only
/// those that share an entity id, a type or a watched attribute with the change.
#[derive(Debug, Default)]
pub struct SubscriptionIndex {
    tenants: FxHashMap<Tenant, TenantIndex>,
}

#[derive(Debug, Default)]
struct TenantIndex {
    subscriptions: FxHashMap<SubscriptionId, Arc<Subscription>>,
    by_id: Lists<EntityId>,
    by_type: Lists<TypeName>,
    by_attribute: Lists<AttrName>,
    rest: Vec<SubscriptionId>,
}

type Lists<K> = FxHashMap<K, Vec<SubscriptionId>>;

/// Where in the index a subscription stands: under every one of these.
enum Places<'a> {
    Selectors { ids: Vec<&'a EntityId>, types: Vec<&'a TypeName> },
    Attributes(&'a [AttrName]),
    Rest,
}

impl SubscriptionIndex {
    /// Adds a subscription. It takes the place of one with the same id.
    pub fn insert(&mut self, tenant: &Tenant, subscription: Arc<Subscription>) {
        self.remove(tenant, subscription.id());
        let index = self.tenants.entry(tenant.clone()).or_default();
        index.place(&subscription);
        index.subscriptions.insert(subscription.id().clone(), subscription);
    }

    /// Takes a subscription out; nothing happens if it is not there.
    pub fn remove(&mut self, tenant: &Tenant, id: &SubscriptionId) {
        let Some(index) = self.tenants.get_mut(tenant) else { return };
        if let Some(subscription) = index.subscriptions.remove(id) {
            index.unplace(&subscription);
        }
        if index.subscriptions.is_empty() {
            self.tenants.remove(tenant);
        }
    }

    /// The subscriptions to which the change at `time` is due, ordered by id.
    pub fn due(
        &self,
        tenant: &Tenant,
        change: &EntityChange,
        time: Timestamp,
    ) -> Vec<&Arc<Subscription>> {
        let Some(index) = self.tenants.get(tenant) else { return Vec::new() };
        let mut candidates = index.candidates(change);
        candidates.sort_unstable();
        candidates.dedup();
        candidates
            .into_iter()
            .filter_map(|id| index.subscriptions.get(id))
            .filter(|subscription| match_subscription(subscription, change, time))
            .collect()
    }
}

impl TenantIndex {
    fn candidates(&self, change: &EntityChange) -> Vec<&SubscriptionId> {
        let by_id = self.by_id.get(&change.id).into_iter();
        let types = image(change).map_or(&[][..], |entity| &entity.types);
        let by_type = types.iter().filter_map(|name| self.by_type.get(name));
        let by_attribute = change.changed.iter().filter_map(|name| self.by_attribute.get(name));
        by_id.chain(by_type).chain(by_attribute).chain([&self.rest]).flatten().collect()
    }

    fn place(&mut self, subscription: &Subscription) {
        let id = subscription.id();
        match places(subscription) {
            Places::Selectors { ids, types } => {
                for key in ids {
                    add(&mut self.by_id, key, id);
                }
                for key in types {
                    add(&mut self.by_type, key, id);
                }
            }
            Places::Attributes(names) => {
                for key in names {
                    add(&mut self.by_attribute, key, id);
                }
            }
            Places::Rest => self.rest.push(id.clone()),
        }
    }

    fn unplace(&mut self, subscription: &Subscription) {
        let id = subscription.id();
        match places(subscription) {
            Places::Selectors { ids, types } => {
                for key in ids {
                    take(&mut self.by_id, key, id);
                }
                for key in types {
                    take(&mut self.by_type, key, id);
                }
            }
            Places::Attributes(names) => {
                for key in names {
                    take(&mut self.by_attribute, key, id);
                }
            }
            Places::Rest => self.rest.retain(|other| other != id),
        }
    }
}

fn add<K: Clone + Eq + Hash>(lists: &mut Lists<K>, key: &K, id: &SubscriptionId) {
    lists.entry(key.clone()).or_default().push(id.clone());
}

fn take<K: Clone + Eq + Hash>(lists: &mut Lists<K>, key: &K, id: &SubscriptionId) {
    if let Entry::Occupied(mut list) = lists.entry(key.clone()) {
        list.get_mut().retain(|other| other != id);
        if list.get().is_empty() {
            list.remove();
        }
    }
}

/// A change is due only if it satisfies a selector and touches a watched attribute, so either
/// will do as the place to look. A selector narrows if it names ids or types.
fn places(subscription: &Subscription) -> Places<'_> {
    let (mut ids, mut types) = (Vec::new(), Vec::new());
    let mut narrow = !subscription.entities.is_empty();
    for selector in &subscription.entities {
        if !selector.ids.is_empty() {
            ids.extend(&selector.ids);
            continue;
        }
        // Of several types that an entity has to have, the first will do.
        let firsts = selector.types.as_ref().map(|types| {
            types.any_of.iter().map(|group| group.first()).collect::<Option<Vec<_>>>()
        });
        match firsts.flatten() {
            Some(firsts) => types.extend(firsts),
            None => narrow = false,
        }
    }
    if narrow {
        Places::Selectors { ids, types }
    } else if subscription.watched_attributes.is_empty() {
        Places::Rest
    } else {
        Places::Attributes(&subscription.watched_attributes)
    }
}

#[cfg(test)]
mod tests;
