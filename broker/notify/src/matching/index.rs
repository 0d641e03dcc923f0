//! Finds the subscriptions that a change may concern without asking each of them.

use std::hint::black_box;
use std::sync::Arc;

use musubi_model::{EntityChange, Tenant, Timestamp};
use musubi_query::LinkedEntities;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::matching::linked::Unknown;
use crate::matching::matcher::{Unmet, image, unconcerned, unmet};
use crate::subscription::selector::EntitySelector;
use crate::{Status, Subscription, SubscriptionId};

mod condition;
mod keys;
mod lookup;
mod places;
mod regions;
mod slots;
mod thresholds;

use condition::covers;
use places::{Places, Prefix, Subject, prefixes, table};
use slots::Slot;

/// Subscriptions by what they are about.
///
/// [`due`](Self::due) gives what [`match_subscription`](crate::match_subscription) gives for each
/// of them, and asks only those that have something telling in common with the change: the id or
/// a type of the entity and a watched attribute, and within these a value, a threshold that is
/// met, a place, a scope or the beginning of the id, whichever had the least company when the
/// subscription was added.
#[derive(Debug, Default)]
pub struct SubscriptionIndex {
    tenants: FxHashMap<Tenant, TenantIndex>,
}

#[derive(Debug, Default)]
struct TenantIndex {
    slots: FxHashMap<SubscriptionId, Slot>,
    entries: Vec<Option<Standing>>,
    free: Vec<Slot>,
    /// Those to which changes are due.
    changes: Places,
    /// Those that wait for entities to be silent.
    silences: Places,
}

/// A subscription, and which cover of each of its selectors says where it stands.
#[derive(Debug)]
struct Standing {
    subscription: Arc<Subscription>,
    chosen: SmallVec<[u8; 8]>,
}

/// To whom a change is due.
#[derive(Debug, Default)]
pub struct Due<'i> {
    /// Those to whom it is, ordered by id.
    pub decided: Vec<&'i Arc<Subscription>>,
    /// Those to whom it may be: their query looks into linked entities, and everything else
    /// that was looked at holds. Ordered by id.
    pub undecided: Vec<&'i Arc<Subscription>>,
}

/// What a subscription waits for.
enum Occupation {
    Changes,
    Silences,
    /// Nothing that a change brings, whenever it comes.
    Nothing,
}

impl SubscriptionIndex {
    /// Adds a subscription. It takes the place of one with the same id.
    pub fn insert(&mut self, tenant: &Tenant, subscription: Arc<Subscription>) {
        self.remove(tenant, subscription.id());
        self.tenants.entry(tenant.clone()).or_default().insert(subscription);
    }

    /// Takes a subscription out; nothing happens if it is not there.
    pub fn remove(&mut self, tenant: &Tenant, id: &SubscriptionId) {
        let Some(index) = self.tenants.get_mut(tenant) else { return };
        index.remove(id);
        if index.slots.is_empty() {
            self.tenants.remove(tenant);
        }
    }

    /// The subscriptions to which the change at `time` is due.
    pub fn due(&self, tenant: &Tenant, change: &EntityChange, time: Timestamp) -> Due<'_> {
        let decide = |subscription: &Subscription, linked: &dyn LinkedEntities| {
            unmet(subscription, change, time, linked)
        };
        self.tenants.get(tenant).map_or_else(Due::default, |index| {
            TenantIndex::decided(index.candidates(&index.changes, change), decide)
        })
    }

    /// The subscriptions with `silentFor` that take the change at `time` for a sign of life: as
    /// [`due`](Self::due), whatever kind of change it is, and with the entity as it was if it is
    /// gone.
    pub fn alive(&self, tenant: &Tenant, change: &EntityChange, time: Timestamp) -> Due<'_> {
        let decide = |subscription: &Subscription, linked: &dyn LinkedEntities| {
            unconcerned(subscription, change, time, linked)
        };
        self.tenants.get(tenant).map_or_else(Due::default, |index| {
            TenantIndex::decided(index.candidates(&index.silences, change), decide)
        })
    }

    /// How many bytes the index takes beside the subscriptions themselves, roughly.
    pub fn heap_bytes(&self) -> usize {
        self.tenants.values().map(TenantIndex::heap_bytes).sum()
    }
}

impl TenantIndex {
    fn insert(&mut self, subscription: Arc<Subscription>) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            Slot::try_from(self.entries.len() - 1).unwrap_or(Slot::MAX)
        });
        let mut chosen = SmallVec::new();
        if let Some(places) = self.places(&subscription) {
            for (prefixes, selector) in standing(&subscription) {
                let covers = covers(&subscription, selector);
                let best = places.best(&prefixes, &covers);
                if let Some(cover) = covers.get(best) {
                    places.add(&prefixes, cover, slot);
                }
                chosen.push(u8::try_from(best).unwrap_or(u8::MAX));
            }
        }
        self.slots.insert(subscription.id().clone(), slot);
        if let Some(entry) = usize::try_from(slot).ok().and_then(|slot| self.entries.get_mut(slot))
        {
            *entry = Some(Standing { subscription, chosen });
        }
    }

    fn remove(&mut self, id: &SubscriptionId) {
        let Some(slot) = self.slots.remove(id) else { return };
        let entry = usize::try_from(slot).ok().and_then(|slot| self.entries.get_mut(slot));
        let Some(Standing { subscription, chosen }) = entry.and_then(Option::take) else { return };
        if let Some(places) = self.places(&subscription) {
            for ((prefixes, selector), best) in standing(&subscription).into_iter().zip(chosen) {
                if let Some(cover) = covers(&subscription, selector).get(usize::from(best)) {
                    places.take(&prefixes, cover, slot);
                }
            }
        }
        self.free.push(slot);
    }

    fn places(&mut self, subscription: &Subscription) -> Option<&mut Places> {
        match occupation(subscription) {
            Occupation::Changes => Some(&mut self.changes),
            Occupation::Silences => Some(&mut self.silences),
            Occupation::Nothing => None,
        }
    }

    /// Those whom the change may concern, each once.
    fn candidates(
        &self,
        places: &Places,
        change: &EntityChange,
    ) -> impl Iterator<Item = &Arc<Subscription>> {
        let mut found = Vec::new();
        if let Some(entity) = image(change) {
            places.candidates(entity, &change.changed, &mut found);
        }
        found.sort_unstable();
        found.dedup();
        found.into_iter().filter_map(|slot| {
            let entry = self.entries.get(usize::try_from(slot).ok()?)?;
            entry.as_ref().map(|standing| &standing.subscription)
        })
    }

    /// Asks them.
    fn decided<'i>(
        candidates: impl Iterator<Item = &'i Arc<Subscription>>,
        decide: impl Fn(&Subscription, &dyn LinkedEntities) -> Option<Unmet>,
    ) -> Due<'i> {
        let mut due = Due::default();
        let candidates: SmallVec<[_; 32]> = candidates.collect();
        reach(&candidates);
        for subscription in candidates {
            let unknown = Unknown::default();
            match (decide(subscription, &unknown), unknown.was_asked()) {
                // What else it asks holds, or has not been looked at yet.
                (None | Some(Unmet::Query), true) => due.undecided.push(subscription),
                (None, false) => due.decided.push(subscription),
                (Some(_), _) => {}
            }
        }
        due.decided.sort_unstable_by_key(|subscription| subscription.id());
        due.undecided.sort_unstable_by_key(|subscription| subscription.id());
        due
    }

    fn heap_bytes(&self) -> usize {
        table(&self.slots)
            + self.entries.capacity() * size_of::<Option<Standing>>()
            + self.free.capacity() * size_of::<Slot>()
            + self.changes.heap_bytes()
            + self.silences.heap_bytes()
    }
}

/// Reads the beginnings of what these subscriptions are asked for, and does nothing with it. Among a
/// million, those that a change concerns are not in the processor's cache; so they are waited for at
/// the same time, and not one after the other.
fn reach(subscriptions: &[&Arc<Subscription>]) {
    let all = |part: fn(&Subscription) -> usize| {
        black_box(subscriptions.iter().map(|one| part(one)).fold(0, usize::wrapping_add));
    };
    all(Subscription::reach);
    all(Subscription::reach_further);
}

fn occupation(subscription: &Subscription) -> Occupation {
    // A pause has no end of its own.
    let is_paused = subscription.status(Timestamp::EPOCH) == Status::Paused;
    if is_paused || subscription.time_interval().is_some() {
        Occupation::Nothing
    } else if subscription.silent_for().is_some() {
        Occupation::Silences
    } else {
        Occupation::Changes
    }
}

/// For each selector, the prefixes under which the subscription stands.
fn standing(subscription: &Subscription) -> Vec<(Vec<Prefix<'_>>, Option<&EntitySelector>)> {
    let watched = &subscription.watched_attributes;
    if subscription.entities.is_empty() {
        return vec![(prefixes(&[Subject::Any], watched), None)];
    }
    let of = |selector| (prefixes(&subjects(selector), watched), Some(selector));
    subscription.entities.iter().map(of).collect()
}

fn subjects(selector: &EntitySelector) -> Vec<Subject<'_>> {
    if !selector.ids.is_empty() {
        return selector.ids.iter().map(Subject::Entity).collect();
    }
    let Some(types) = &selector.types else { return vec![Subject::Any] };
    // Of several types that an entity has to have, the first will do.
    let firsts = types.any_of.iter().map(|group| group.first().map(Subject::Type));
    firsts.collect::<Option<_>>().unwrap_or_else(|| vec![Subject::Any])
}

#[cfg(test)]
pub(in crate::matching) mod tests;
