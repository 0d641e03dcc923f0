//! All the watches for silence, and who watches which entity.

use std::collections::BTreeSet;
use std::sync::Arc;

use musubi_model::{AttrName, Entity, EntityChange, EntityId, Tenant, Timestamp};
use musubi_query::Filter;
use rustc_hash::FxHashMap;

use crate::Subscription;
use crate::engine::account::AccountKey;
use crate::occasions::gather::filter;
use crate::occasions::silence::{News, SilenceWatch, Told};

/// The most pairs of subscription and entity that are kept in mind, over all tenants; each takes
/// some 150 bytes. An entity that comes to one more subscription is not watched for it.
pub(crate) const MOST_WATCHED: usize = 1_000_000;

/// The watches of all subscriptions that have a `silentFor`.
#[derive(Debug)]
pub(crate) struct Silences {
    watches: FxHashMap<Arc<AccountKey>, Watch>,
    /// Which subscriptions keep an entity in mind.
    watchers: FxHashMap<Tenant, FxHashMap<EntityId, Vec<Arc<AccountKey>>>>,
    /// When to look at a watch.
    turns: BTreeSet<(Timestamp, Arc<AccountKey>)>,
    watched: usize,
    most: usize,
}

#[derive(Debug)]
struct Watch {
    silence: SilenceWatch,
    /// What an entity has to satisfy, as far as that can be told from it alone.
    filter: Filter,
    /// Empty for every attribute.
    attributes: Vec<AttrName>,
    /// Where it stands among the turns.
    turn: Option<Timestamp>,
}

/// What the index says of a change to a subscription that is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It is a sign of life: the entity satisfies the subscription, or if it is gone, did, and a
    /// watched attribute was written.
    Alive,
    /// It is not.
    None,
    /// Nobody made it: something has expired.
    Expiry,
}

/// What became of an entity that a subscription was told to be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It has changed again, and that is told with this moment.
    Returned(Told, Timestamp),
    /// It is gone or no longer matches, of which nothing is told.
    Forgotten,
}

impl Default for Silences {
    fn default() -> Self {
        Self::with_most(MOST_WATCHED)
    }
}

impl Silences {
    fn with_most(most: usize) -> Self {
        Self {
            watches: FxHashMap::default(),
            watchers: FxHashMap::default(),
            turns: BTreeSet::new(),
            watched: 0,
            most,
        }
    }

    /// Whether nothing is watched.
    pub(crate) fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    /// Whether no more entities can be kept in mind.
    pub(crate) fn is_full(&self) -> bool {
        self.watched >= self.most
    }

    /// Puts a subscription's watch in the place of the one that it has, if it has one. Nothing is
    /// found yet; what was told holds if it is found again.
    pub(crate) fn begin(
        &mut self,
        key: &AccountKey,
        subscription: &Subscription,
        silence: SilenceWatch,
    ) {
        self.end(key);
        let key = Arc::new(key.clone());
        for (entity, _) in silence.told() {
            add_watcher(&mut self.watchers, &key, entity);
        }
        self.watched += silence.len();
        let watch = Watch {
            silence,
            filter: filter_alone(subscription),
            attributes: subscription.watched_attributes.clone(),
            turn: None,
        };
        self.watches.insert(key, watch);
    }

    /// Ends a subscription's watch, and gives back what it was told and still holds.
    pub(crate) fn end(&mut self, key: &AccountKey) -> Vec<(EntityId, Told)> {
        let Some((key, watch)) = self.watches.remove_entry(key) else { return Vec::new() };
        if let Some(turn) = watch.turn {
            self.turns.remove(&(turn, Arc::clone(&key)));
        }
        self.watched = self.watched.saturating_sub(watch.silence.len());
        for entity in watch.silence.entities() {
            self.take_watcher(&key, entity);
        }
        watch.silence.told().map(|(entity, told)| (entity.clone(), *told)).collect()
    }

    fn take_watcher(&mut self, key: &AccountKey, entity: &EntityId) {
        let Some(of_tenant) = self.watchers.get_mut(&key.tenant) else { return };
        if let Some(watchers) = of_tenant.get_mut(entity) {
            watchers.retain(|other| **other != *key);
            if watchers.is_empty() {
                of_tenant.remove(entity);
            }
        }
        if of_tenant.is_empty() {
            self.watchers.remove(&key.tenant);
        }
    }

    /// An entity was found that satisfies the subscription.
    pub(crate) fn found(&mut self, key: &AccountKey, entity: &Entity) -> Option<End> {
        let watch = self.watches.get(key)?;
        let last = last_change(entity, &watch.attributes)?;
        self.change(key, &entity.id, |silence| silence.found(&entity.id, last))
    }

    /// All entities have been found that satisfy the subscription. Gives back those that were told
    /// to be silent and are not among them.
    pub(crate) fn all_found(&mut self, key: &AccountKey) -> Vec<EntityId> {
        let Some(watch) = self.watches.get_mut(key) else { return Vec::new() };
        let gone = watch.silence.all_found();
        self.watched = self.watched.saturating_sub(gone.len());
        for entity in &gone {
            self.take_watcher(key, entity);
        }
        gone
    }

    /// Whether a subscription has a watch over the same entities.
    pub(crate) fn has_same(&self, key: &AccountKey, subscription: &Subscription) -> bool {
        self.watches.get(key).is_some_and(|watch| {
            watch.attributes == subscription.watched_attributes
                && watch.filter == filter_alone(subscription)
        })
    }

    /// Those that keep an entity in mind.
    pub(crate) fn watchers(&self, tenant: &Tenant, entity: &EntityId) -> Vec<Arc<AccountKey>> {
        let watchers = self.watchers.get(tenant).and_then(|of_tenant| of_tenant.get(entity));
        watchers.cloned().unwrap_or_default()
    }

    /// What a change, which happened at `time`, means for one subscription: for one that it is a
    /// sign of life to, or that keeps the entity in mind.
    pub(crate) fn listen(
        &mut self,
        key: &AccountKey,
        (change, time): (&EntityChange, Timestamp),
        sign: Sign,
    ) -> Option<End> {
        let watch = self.watches.get(key)?;
        let is_touched = watch.attributes.is_empty()
            || change.changed.iter().any(|name| watch.attributes.contains(name));
        let matches = change.after.as_deref().is_some_and(|after| watch.filter.matches(after));
        match (matches, sign) {
            (true, Sign::Alive) => {
                self.change(key, &change.id, |silence| silence.changed(&change.id, time))
            }
            (true, Sign::Expiry) => None,
            (true, Sign::None) if !is_touched => None,
            (true, Sign::None) | (false, _) => self.forget(key, &change.id),
        }
    }

    fn change(
        &mut self,
        key: &AccountKey,
        entity: &EntityId,
        change: impl FnOnce(&mut SilenceWatch) -> News,
    ) -> Option<End> {
        let is_full = self.is_full();
        let (key, watch) = entry(&mut self.watches, key)?;
        if !watch.silence.knows(entity) {
            if is_full {
                return None;
            }
            self.watched += 1;
            add_watcher(&mut self.watchers, &key, entity);
        }
        let news = change(&mut watch.silence);
        self.turn(&key);
        match news {
            News::None => None,
            News::Returned(told, at) => Some(End::Returned(told, at)),
        }
    }

    fn forget(&mut self, key: &AccountKey, entity: &EntityId) -> Option<End> {
        let (key, watch) = entry(&mut self.watches, key)?;
        if !watch.silence.knows(entity) {
            return None;
        }
        let was_told = watch.silence.forget(entity);
        self.watched = self.watched.saturating_sub(1);
        self.take_watcher(&key, entity);
        self.turn(&key);
        was_told.then_some(End::Forgotten)
    }

    /// Puts a watch where it belongs among the turns.
    fn turn(&mut self, key: &Arc<AccountKey>) {
        let Some(watch) = self.watches.get_mut(&**key) else { return };
        let next = watch.silence.next();
        if watch.turn == next {
            return;
        }
        if let Some(turn) = std::mem::replace(&mut watch.turn, next) {
            self.turns.remove(&(turn, Arc::clone(key)));
        }
        self.turns.extend(next.map(|next| (next, Arc::clone(key))));
    }

    /// When the next entity may have been silent for long enough.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.turns.first().map(|(at, _)| *at)
    }

    /// Entities whose silence has lasted long enough by `now`, at most about `limit` of them, and
    /// who is to be told.
    pub(crate) fn tell(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Vec<(Arc<AccountKey>, EntityId, Told)> {
        let mut silent = Vec::new();
        while silent.len() < limit && self.next().is_some_and(|at| at <= now) {
            let Some((_, key)) = self.turns.pop_first() else { break };
            let Some(watch) = self.watches.get_mut(&*key) else { continue };
            watch.turn = None;
            let told = watch.silence.tell(now, limit - silent.len());
            self.turn(&key);
            let told = told.into_iter().map(|(entity, told)| (Arc::clone(&key), entity, told));
            silent.extend(told);
        }
        silent
    }
}

/// What an entity has to satisfy, without what it says of linked entities.
fn filter_alone(subscription: &Subscription) -> Filter {
    let is_told_alone =
        |one: &Filter| !matches!(one, Filter::Query(query) if query.link_depth() > 0);
    let whole = filter(subscription);
    let all = if let Filter::All(all) = whole { all } else { vec![whole] };
    Filter::and(all.into_iter().filter(is_told_alone).collect())
}

fn entry<'a>(
    watches: &'a mut FxHashMap<Arc<AccountKey>, Watch>,
    key: &AccountKey,
) -> Option<(Arc<AccountKey>, &'a mut Watch)> {
    let shared = Arc::clone(watches.get_key_value(key)?.0);
    Some((shared, watches.get_mut(key)?))
}

fn add_watcher(
    watchers: &mut FxHashMap<Tenant, FxHashMap<EntityId, Vec<Arc<AccountKey>>>>,
    key: &Arc<AccountKey>,
    entity: &EntityId,
) {
    let of_tenant = watchers.entry(key.tenant.clone()).or_default();
    of_tenant.entry(entity.clone()).or_default().push(Arc::clone(key));
}

/// When one of these attributes, or anything in the entity if there are none, was last written;
/// none if the entity has none of them.
fn last_change(entity: &Entity, attributes: &[AttrName]) -> Option<Timestamp> {
    if attributes.is_empty() {
        return Some(entity.modified_at);
    }
    let watched = attributes.iter().filter_map(|name| entity.attribute(name));
    watched.flat_map(|attribute| &attribute.instances).map(|it| it.modified_at).max()
}

#[cfg(test)]
mod tests;
