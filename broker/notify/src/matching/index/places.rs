//! Where subscriptions stand, so that those which a change may concern are found.
//!
//! A subscription is concerned only if the entity has one of its ids or types, if one of its
//! watched attributes changed, and if one condition of each cover holds. The first two are the
//! *prefix*; within it, one cover says where the subscription stands. Keys are hashes: two that
//! fall together only make candidates that are asked in vain.

use std::collections::hash_map::Entry;

use musubi_model::{AttrName, EntityId, TypeName};
use musubi_query::AttributePath;
use rustc_hash::FxHashMap;

use super::condition::{Condition, Cover, is_general};
use super::regions::{Corners, Regions};
use super::slots::{Slot, Slots};
use super::thresholds::{Bounds, Thresholds};

/// The most places in which one cover may put a subscription, unless they are those of ids.
const MAX_PLACES: usize = 256;

/// The most watched attributes that become part of the prefix.
const MAX_WATCHED: usize = 4;

/// The most paths that begin with the same attribute. Each is looked at for every entity that has
/// the attribute; beyond that the presence of the attribute has to do.
const MAX_PATHS: usize = 16;

/// So many may stand under a prefix without any further condition before it is asked for.
const ROOM: usize = 4;

/// With so many at the same place, another place that has fewer is preferred, even if it is of a
/// kind that says less: what so many ask for is not rare.
const CROWD: usize = 64;

/// A hash of everything by which something is found.
pub(super) type Key = u64;

/// Subscriptions by what concerns them.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) seed: foldhash::fast::RandomState,
    pub(super) lists: FxHashMap<Key, Slots>,
    pub(super) thresholds: FxHashMap<Key, Thresholds>,
    pub(super) regions: FxHashMap<Key, Regions>,
    /// The prefixes that are in use, and for what.
    pub(super) prefixes: FxHashMap<Key, Use>,
    /// The attributes that are part of prefixes.
    pub(super) watched: FxHashMap<AttrName, u32>,
    /// The paths that are in use, by the attribute with which they begin.
    pub(super) paths: FxHashMap<AttrName, Vec<PathUse>>,
    /// The paths within a prefix, and for what.
    pub(super) asked: FxHashMap<Key, Use>,
    /// The attributes whose geometry is looked at.
    pub(super) located: FxHashMap<AttrName, u32>,
}

/// By whom something is used: how many, and a superset of what for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Use {
    count: u32,
    pub(super) purposes: Purposes,
}

/// A set of [`Purpose`]s.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Purposes(u8);

#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Everything,
    Values,
    Thresholds,
    Presence,
    Locations,
    Scopes,
    Ids,
}

impl Purposes {
    pub(super) fn include(self, purpose: Purpose) -> bool {
        self.0 & purpose.bit() != 0
    }

    /// Whether something of the paths of the entity is asked for.
    pub(super) fn include_paths(self) -> bool {
        [Purpose::Values, Purpose::Thresholds, Purpose::Presence]
            .into_iter()
            .any(|purpose| self.include(purpose))
    }
}

impl Purpose {
    fn bit(self) -> u8 {
        match self {
            Self::Everything => 1,
            Self::Values => 1 << 1,
            Self::Thresholds => 1 << 2,
            Self::Presence => 1 << 3,
            Self::Locations => 1 << 4,
            Self::Scopes => 1 << 5,
            Self::Ids => 1 << 6,
        }
    }
}

/// A path by which subscriptions are found.
#[derive(Debug)]
pub(super) struct PathUse {
    pub(super) path: AttributePath,
    pub(super) hash: Key,
    count: u32,
}

/// Whom a change has to be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Subject<'a> {
    Entity(&'a EntityId),
    Type(&'a TypeName),
    Any,
}

/// Subject and watched attribute under which a subscription stands.
pub(super) type Prefix<'a> = (Subject<'a>, Option<&'a AttrName>);

/// A place.
#[derive(Debug)]
enum Place {
    List(Key),
    Threshold(Key, Bounds),
    Region(Key, Corners),
}

/// The prefixes of a selector with these subjects.
pub(super) fn prefixes<'a>(subjects: &[Subject<'a>], watched: &'a [AttrName]) -> Vec<Prefix<'a>> {
    let mut subjects = subjects.to_vec();
    subjects.sort_unstable();
    subjects.dedup();
    let mut names: Vec<_> = watched.iter().map(Some).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() || names.len() > MAX_WATCHED || subjects.len() > MAX_PLACES / MAX_WATCHED {
        names = vec![None];
    }
    subjects.iter().flat_map(|subject| names.iter().map(|name| (*subject, *name))).collect()
}

impl Places {
    /// The cover that promises to make the subscription a candidate least often.
    pub(super) fn best(&self, prefixes: &[Prefix<'_>], covers: &[Cover<'_>]) -> usize {
        let last = covers.len().saturating_sub(1);
        if covers.last().is_none_or(|cover| self.company(prefixes, cover) < ROOM) {
            return last;
        }
        let fits = |cover: &Cover<'_>| {
            cover.len().saturating_mul(prefixes.len()) <= MAX_PLACES
                && cover.iter().all(|condition| self.has_room(condition))
        };
        let usable = covers.iter().take(last).enumerate().filter(|(_, cover)| fits(cover));
        // Of equals, the first one: they come in the order of what they say.
        let best = usable
            .min_by_key(|(_, cover)| (is_general(cover), self.company(prefixes, cover).max(CROWD)));
        best.map_or(last, |(number, _)| number)
    }

    /// How many stand where the cover would put one more; at the fullest place.
    fn company(&self, prefixes: &[Prefix<'_>], cover: &Cover<'_>) -> usize {
        let places = prefixes.iter().flat_map(|prefix| {
            let prefix = self.prefix(*prefix);
            cover.iter().map(move |condition| self.company_at(&self.place(prefix, condition)))
        });
        places.max().unwrap_or(0)
    }

    fn company_at(&self, place: &Place) -> usize {
        match place {
            Place::List(key) => self.lists.get(key).map_or(0, Slots::len),
            Place::Threshold(key, bounds) => {
                self.thresholds.get(key).map_or(0, |thresholds| thresholds.company(*bounds))
            }
            Place::Region(key, corners) => {
                self.regions.get(key).map_or(0, |regions| regions.company(*corners))
            }
        }
    }

    fn has_room(&self, condition: &Condition<'_>) -> bool {
        let (Condition::Value(path, _) | Condition::Bounded(path, ..)) = condition else {
            return true;
        };
        let uses = path.names.first().and_then(|name| self.paths.get(name));
        uses.is_none_or(|uses| {
            uses.len() < MAX_PATHS || uses.iter().any(|known| known.path == **path)
        })
    }

    /// Puts a subscription where this cover says.
    pub(super) fn add(&mut self, prefixes: &[Prefix<'_>], cover: &Cover<'_>, slot: Slot) {
        for prefix in prefixes {
            let key = self.prefix(*prefix);
            if let Some(name) = prefix.1 {
                *self.watched.entry(name.clone()).or_default() += 1;
            }
            for condition in cover {
                self.begin_use(key, condition);
                match self.place(key, condition) {
                    Place::List(key) => self.lists.entry(key).or_default().add(slot),
                    Place::Threshold(key, bounds) => {
                        self.thresholds.entry(key).or_default().add(bounds, slot);
                    }
                    Place::Region(key, corners) => {
                        self.regions.entry(key).or_default().add(corners, slot);
                    }
                }
            }
        }
    }

    /// Takes a subscription from where this cover put it.
    pub(super) fn take(&mut self, prefixes: &[Prefix<'_>], cover: &Cover<'_>, slot: Slot) {
        for prefix in prefixes {
            let key = self.prefix(*prefix);
            if let Some(name) = prefix.1 {
                count_down(&mut self.watched, name);
            }
            for condition in cover {
                self.end_use(key, condition);
                match self.place(key, condition) {
                    Place::List(key) => {
                        take_from(&mut self.lists, key, |list| list.take(slot), Slots::is_empty);
                    }
                    Place::Threshold(key, bounds) => take_from(
                        &mut self.thresholds,
                        key,
                        |thresholds| thresholds.take(bounds, slot),
                        Thresholds::is_empty,
                    ),
                    Place::Region(key, corners) => take_from(
                        &mut self.regions,
                        key,
                        |regions| regions.take(corners, slot),
                        Regions::is_empty,
                    ),
                }
            }
        }
    }

    fn begin_use(&mut self, prefix: Key, condition: &Condition<'_>) {
        let purpose = purpose(condition);
        begin(&mut self.prefixes, prefix, purpose);
        if let Some(path) = path(condition) {
            let hash = self.path(&path);
            let within = self.within(prefix, hash);
            begin(&mut self.asked, within, purpose);
            let Some(first) = path.names.first() else { return };
            let uses = self.paths.entry(first.clone()).or_default();
            match uses.iter_mut().find(|known| known.hash == hash && known.path == path) {
                Some(known) => known.count += 1,
                None => uses.push(PathUse { path, hash, count: 1 }),
            }
        }
        if let Condition::Located(name, _) = condition {
            *self.located.entry((*name).clone()).or_default() += 1;
        }
    }

    fn end_use(&mut self, prefix: Key, condition: &Condition<'_>) {
        end(&mut self.prefixes, prefix);
        if let Some(path) = path(condition) {
            let hash = self.path(&path);
            let within = self.within(prefix, hash);
            end(&mut self.asked, within);
            let Some(first) = path.names.first() else { return };
            if let Entry::Occupied(mut uses) = self.paths.entry(first.clone()) {
                for known in uses.get_mut() {
                    if known.hash == hash && known.path == path {
                        known.count = known.count.saturating_sub(1);
                    }
                }
                uses.get_mut().retain(|known| known.count > 0);
                if uses.get().is_empty() {
                    uses.remove();
                }
            }
        }
        if let Condition::Located(name, _) = condition {
            count_down(&mut self.located, name);
        }
    }

    fn place(&self, prefix: Key, condition: &Condition<'_>) -> Place {
        match condition {
            Condition::Nothing => Place::List(prefix),
            Condition::Value(path, mark) => {
                Place::List(self.value(self.within(prefix, self.path(path)), mark))
            }
            Condition::Bounded(path, axis, bounds) => {
                let key = self.threshold(self.within(prefix, self.path(path)), *axis);
                Place::Threshold(key, *bounds)
            }
            Condition::Present(name) => {
                Place::List(self.presence(self.within(prefix, self.path(&path_of(name)))))
            }
            Condition::Located(name, corners) => {
                Place::Region(self.location(prefix, name), *corners)
            }
            Condition::Scope(scope) => Place::List(self.scope(prefix, scope)),
            Condition::ScopeBelow(scope) => Place::List(self.scope_below(prefix, scope)),
            Condition::IdBegins(bytes) => Place::List(self.beginning(prefix, bytes)),
        }
    }

    /// Whether nothing is kept.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
            && self.thresholds.is_empty()
            && self.regions.is_empty()
            && self.prefixes.is_empty()
            && self.watched.is_empty()
            && self.paths.is_empty()
            && self.asked.is_empty()
            && self.located.is_empty()
    }

    /// Bytes, roughly; names are shared and not counted.
    pub(super) fn heap_bytes(&self) -> usize {
        let lists: usize = self.lists.values().map(Slots::heap_bytes).sum();
        let thresholds: usize = self.thresholds.values().map(Thresholds::heap_bytes).sum();
        let regions: usize = self.regions.values().map(Regions::heap_bytes).sum();
        let paths: usize =
            self.paths.values().map(|uses| uses.capacity() * size_of::<PathUse>()).sum();
        lists
            + thresholds
            + regions
            + paths
            + table(&self.lists)
            + table(&self.thresholds)
            + table(&self.regions)
            + table(&self.prefixes)
            + table(&self.watched)
            + table(&self.paths)
            + table(&self.asked)
            + table(&self.located)
    }
}

/// Bytes of a table: an entry and a byte for each place, of which an eighth stays free.
pub(super) fn table<K, V>(table: &FxHashMap<K, V>) -> usize {
    table.capacity() * 8 / 7 * (size_of::<(K, V)>() + 1)
}

fn purpose(condition: &Condition<'_>) -> Purpose {
    match condition {
        Condition::Nothing => Purpose::Everything,
        Condition::Value(..) => Purpose::Values,
        Condition::Bounded(..) => Purpose::Thresholds,
        Condition::Present(_) => Purpose::Presence,
        Condition::Located(..) => Purpose::Locations,
        Condition::Scope(_) | Condition::ScopeBelow(_) => Purpose::Scopes,
        Condition::IdBegins(_) => Purpose::Ids,
    }
}

/// The path that is looked at for this condition.
fn path(condition: &Condition<'_>) -> Option<AttributePath> {
    match condition {
        Condition::Value(path, _) | Condition::Bounded(path, ..) => Some((*path).clone()),
        Condition::Present(name) => Some(path_of(name)),
        Condition::Nothing
        | Condition::Located(..)
        | Condition::Scope(_)
        | Condition::ScopeBelow(_)
        | Condition::IdBegins(_) => None,
    }
}

fn path_of(name: &AttrName) -> AttributePath {
    AttributePath { links: Vec::new(), names: vec![name.clone()], members: Vec::new() }
}

fn begin(uses: &mut FxHashMap<Key, Use>, key: Key, purpose: Purpose) {
    let known = uses.entry(key).or_default();
    known.count += 1;
    known.purposes.0 |= purpose.bit();
}

fn end(uses: &mut FxHashMap<Key, Use>, key: Key) {
    if let Entry::Occupied(mut known) = uses.entry(key) {
        known.get_mut().count = known.get().count.saturating_sub(1);
        if known.get().count == 0 {
            known.remove();
        }
    }
}

fn count_down(counts: &mut FxHashMap<AttrName, u32>, name: &AttrName) {
    if let Entry::Occupied(mut count) = counts.entry(name.clone()) {
        *count.get_mut() = count.get().saturating_sub(1);
        if *count.get() == 0 {
            count.remove();
        }
    }
}

fn take_from<V>(
    places: &mut FxHashMap<Key, V>,
    key: Key,
    take: impl FnOnce(&mut V),
    is_empty: impl FnOnce(&V) -> bool,
) {
    if let Entry::Occupied(mut place) = places.entry(key) {
        take(place.get_mut());
        if is_empty(place.get()) {
            place.remove();
        }
    }
}
