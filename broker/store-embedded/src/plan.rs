//! From a filter to the slots that may satisfy it, and what is left to ask of them.

use std::borrow::Cow;

use musubi_model::{Entity, NGSI_LD};
use musubi_query::{
    AttributePath, Comparison, Filter, GeoQuery, LinkedEntities, Literal, Query, ScopeQuery,
};
use roaring::RoaringBitmap;

use crate::indexes::AttributeIndex;
use crate::places::Candidates;
use crate::table::Table;
use crate::values::{Coverage, Room};

/// The most scopes, times patterns, that are compared while planning. Beyond, the scope query is
/// asked of the entities.
const SCOPE_COMPARISONS: usize = 4_096;

/// The most moments at which entities expired that are gathered while planning, which takes less
/// than a millisecond. Beyond, the entities are looked at.
const EXPIRIES: usize = 8_192;

/// Points are gathered while planning if they are at most one of so many, which is worth the time
/// under the lock, or if they are few.
const POINTS: u64 = 4;

/// Points that are few.
const FEW_POINTS: usize = 8_192;

/// What the indexes say of a filter.
///
/// They know entities as they are kept. An entity as of a moment has the same types and scopes, and
/// of attributes and targets some of those; so its slot is among the slots here as well, but even
/// where nothing is left to be asked of the others it has to be asked the whole filter but for ids.
#[derive(Debug)]
pub(crate) struct Plan<'t> {
    /// Every slot that satisfies the filter is here; none means that all of them may.
    slots: Option<Cow<'t, RoaringBitmap>>,
    /// What has to be asked of the entities in these slots.
    pub(crate) residue: Residue,
}

/// What is left of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Residue {
    /// Nothing: the entities satisfy it.
    Nothing,
    /// These parts of a conjunction.
    Parts(Vec<usize>),
    /// All of it.
    Whole,
}

/// What is known of a part of a filter.
struct Estimate<'t> {
    slots: Option<Cow<'t, RoaringBitmap>>,
    is_exact: bool,
}

impl<'t> Plan<'t> {
    /// Looks at the indexes.
    pub(crate) fn new(table: &'t Table, filter: &Filter) -> Self {
        let room = Room::default();
        let Filter::All(filters) = filter else {
            let Estimate { slots, is_exact } = estimate(table, filter, &room);
            return Self {
                slots,
                residue: if is_exact { Residue::Nothing } else { Residue::Whole },
            };
        };
        let mut left = Vec::new();
        let parts = filters.iter().enumerate().map(|(index, filter)| {
            let estimate = estimate(table, filter, &room);
            if !estimate.is_exact {
                left.push(index);
            }
            estimate
        });
        let slots = intersection(parts).slots;
        let residue = if left.is_empty() { Residue::Nothing } else { Residue::Parts(left) };
        Self { slots, residue }
    }

    /// The slots, in a table that this was planned for.
    pub(crate) fn slots(self, table: &'t Table) -> Cow<'t, RoaringBitmap> {
        self.slots.unwrap_or(Cow::Borrowed(table.live()))
    }
}

impl Residue {
    /// All that has to be asked of an entity in one of the slots when it has changed since, or is seen
    /// as of a moment: not whether its id is one of some, because a slot is one entity's for ever.
    pub(crate) fn of_changed(filter: &Filter) -> Self {
        let is_open = |filter: &Filter| !matches!(filter, Filter::Ids(_));
        match filter {
            Filter::Ids(_) => Self::Nothing,
            Filter::All(filters) => {
                let parts = filters.iter().enumerate();
                Self::Parts(
                    parts.filter(|(_, part)| is_open(part)).map(|(place, _)| place).collect(),
                )
            }
            Filter::IdPattern(_)
            | Filter::Type(_)
            | Filter::HasAny(_)
            | Filter::Query(_)
            | Filter::Geo(_)
            | Filter::Scope(_)
            | Filter::ExpiresBy(_)
            | Filter::Any(_) => Self::Whole,
        }
    }

    /// Whether `entity` satisfies what is left of `filter`.
    pub(crate) fn matches(
        &self,
        filter: &Filter,
        entity: &Entity,
        linked: &dyn LinkedEntities,
    ) -> bool {
        match (self, filter) {
            (Self::Nothing, _) => true,
            (Self::Parts(left), Filter::All(filters)) => left
                .iter()
                .filter_map(|index| filters.get(*index))
                .all(|filter| filter.matches_among(entity, linked)),
            (Self::Parts(_) | Self::Whole, filter) => filter.matches_among(entity, linked),
        }
    }
}

impl<'t> Estimate<'t> {
    /// Exactly these slots; none means no slot.
    fn of(slots: Option<&'t RoaringBitmap>) -> Self {
        let slots = slots.map_or_else(|| Cow::Owned(RoaringBitmap::new()), Cow::Borrowed);
        Self { slots: Some(slots), is_exact: true }
    }

    /// Some of these slots.
    fn some_of(slots: Cow<'t, RoaringBitmap>) -> Self {
        Self { slots: Some(slots), is_exact: false }
    }

    /// Nothing is known.
    fn unknown() -> Self {
        Self { slots: None, is_exact: false }
    }
}

fn estimate<'t>(table: &'t Table, filter: &Filter, room: &Room) -> Estimate<'t> {
    match filter {
        Filter::Ids(ids) => {
            let slots = ids.iter().filter_map(|id| table.slot_of(id)).collect();
            Estimate { slots: Some(Cow::Owned(slots)), is_exact: true }
        }
        Filter::Type(selection) => {
            let of_type = |name| Estimate::of(table.indexes.of_type(name));
            let groups = selection.any_of.iter();
            union(groups.map(|group| intersection(group.iter().map(of_type))))
        }
        Filter::HasAny(names) => {
            union(names.iter().map(|name| {
                Estimate::of(table.indexes.attribute(name).map(|index| &index.present))
            }))
        }
        Filter::Query(query) => of_query(table, query, room),
        Filter::Geo(query) => of_geo_query(table, query),
        Filter::Scope(query) => of_scope_query(table, query),
        Filter::IdPattern(_) => Estimate::unknown(),
        Filter::ExpiresBy(time) => match table.indexes.expiries.by(*time, EXPIRIES) {
            Some(slots) => Estimate { slots: Some(Cow::Owned(slots)), is_exact: true },
            None => Estimate::unknown(),
        },
        Filter::All(filters) => {
            intersection(filters.iter().map(|part| estimate(table, part, room)))
        }
        Filter::Any(filters) => union(filters.iter().map(|part| estimate(table, part, room))),
    }
}

fn intersection<'t>(estimates: impl Iterator<Item = Estimate<'t>>) -> Estimate<'t> {
    let mut is_exact = true;
    let known = estimates.filter_map(|estimate| {
        is_exact &= estimate.is_exact;
        estimate.slots
    });
    let mut known: Vec<_> = known.collect();
    // What is small stays small, whatever it is compared with.
    known.sort_by_cached_key(|slots| slots.len());
    let slots = known.into_iter().reduce(|one, other| Cow::Owned(&*one & &*other));
    Estimate { slots, is_exact }
}

fn union<'t>(estimates: impl Iterator<Item = Estimate<'t>>) -> Estimate<'t> {
    let mut all: Option<Estimate<'t>> = None;
    for next in estimates {
        let Some(known) = all else {
            all = Some(next);
            continue;
        };
        let slots = match (known.slots, next.slots) {
            (Some(one), Some(other)) => {
                let mut slots = one.into_owned();
                slots |= &*other;
                Some(Cow::Owned(slots))
            }
            _ => None,
        };
        all = Some(Estimate { slots, is_exact: known.is_exact && next.is_exact });
    }
    all.unwrap_or_else(|| Estimate::of(None))
}

fn of_scope_query<'t>(table: &'t Table, query: &ScopeQuery) -> Estimate<'t> {
    let patterns: usize = query.any_of.iter().map(Vec::len).sum();
    let scopes = table.indexes.scopes().count();
    if patterns.saturating_mul(scopes) > SCOPE_COMPARISONS {
        return Estimate::unknown();
    }
    let of_pattern = |pattern: &String| {
        let alone = ScopeQuery { any_of: vec![vec![pattern.clone()]] };
        let matching = table.indexes.scopes();
        let matching = matching.filter(|(scope, _)| alone.matches(std::slice::from_ref(*scope)));
        union(matching.map(|(_, slots)| Estimate::of(Some(slots))))
    };
    union(query.any_of.iter().map(|group| intersection(group.iter().map(of_pattern))))
}

fn of_geo_query<'t>(table: &'t Table, query: &GeoQuery) -> Estimate<'t> {
    let Some(index) = table.indexes.attribute(&query.property) else { return Estimate::of(None) };
    let most = usize::try_from(index.present.len() / POINTS).unwrap_or(usize::MAX);
    let rect = query.bounding_rect();
    let candidates =
        rect.and_then(|rect| index.places.candidates(query, rect, most.max(FEW_POINTS)));
    match candidates {
        Some(Candidates { slots, is_exact }) => {
            Estimate { slots: Some(Cow::Owned(slots)), is_exact }
        }
        None => Estimate::some_of(Cow::Borrowed(&index.present)),
    }
}

fn of_query<'t>(table: &'t Table, query: &Query, room: &Room) -> Estimate<'t> {
    match query {
        Query::And(queries) => of_conjunction(table, queries, room),
        Query::Or(queries) => union(queries.iter().map(|query| of_query(table, query, room))),
        Query::Exists { expected: false, .. } => Estimate::unknown(),
        Query::Exists { path, expected: true } => having(table, path),
        Query::Compare { path, comparison } => of_values(table, path, &[comparison], room)
            .unwrap_or_else(|| of_attribute(table, path, comparison)),
    }
}

/// What is asked of the values at one path is looked up at once: each condition alone may be
/// satisfied by half of the entities, as the two ends of a range are.
fn of_conjunction<'t>(table: &'t Table, queries: &[Query], room: &Room) -> Estimate<'t> {
    let mut known: Vec<(&AttributePath, bool)> = Vec::new();
    let mut estimates = Vec::new();
    for query in queries {
        let Query::Compare { path, comparison } = query else {
            estimates.push(of_query(table, query, room));
            continue;
        };
        // Few paths are indexed, and only what is asked of those has to be gathered.
        if !table.indexes.values.has(path) {
            estimates.push(of_attribute(table, path, comparison));
            continue;
        }
        let is_known =
            known.iter().find(|(other, _)| *other == path).map(|(_, is_known)| *is_known);
        let is_known = is_known.unwrap_or_else(|| {
            let same = queries.iter().filter_map(|query| match query {
                Query::Compare { path: other, comparison } if other == path => Some(comparison),
                Query::Compare { .. } | Query::Exists { .. } | Query::And(_) | Query::Or(_) => None,
            });
            let found = of_values(table, path, &same.collect::<Vec<_>>(), room);
            let is_known = found.is_some();
            estimates.extend(found);
            known.push((path, is_known));
            is_known
        });
        if !is_known {
            estimates.push(of_attribute(table, path, comparison));
        }
    }
    intersection(estimates.into_iter())
}

/// What the index of the values at a path says of all these comparisons; none if it says nothing.
fn of_values<'t>(
    table: &'t Table,
    path: &AttributePath,
    comparisons: &[&Comparison],
    room: &Room,
) -> Option<Estimate<'t>> {
    let slots = table.indexes.values.slots(path, comparisons, room)?;
    Some(Estimate::some_of(Cow::Owned(slots)))
}

/// What is known of a comparison by the attribute alone.
fn of_attribute<'t>(
    table: &'t Table,
    path: &AttributePath,
    comparison: &Comparison,
) -> Estimate<'t> {
    match comparison {
        Comparison::Equal(literals) => equal(table, path, literals),
        // Where there is no value no comparison holds, "unequal" neither.
        Comparison::NotEqual(_)
        | Comparison::Greater(_)
        | Comparison::GreaterOrEqual(_)
        | Comparison::Less(_)
        | Comparison::LessOrEqual(_)
        | Comparison::Like(_)
        | Comparison::NotLike(_) => having(table, path),
    }
}

/// A path whose values would have to be indexed to look at fewer entities for this filter; none if
/// that would not help.
pub(crate) fn unindexed<'q>(table: &Table, filter: &'q Filter) -> Option<&'q AttributePath> {
    match of_filter(table, filter) {
        Coverage::Missing(path) => Some(path),
        Coverage::Indexed | Coverage::Never => None,
    }
}

fn of_filter<'q>(table: &Table, filter: &'q Filter) -> Coverage<'q> {
    match filter {
        Filter::Query(query) => coverage(table, query),
        Filter::All(filters) => all(filters.iter().map(|filter| of_filter(table, filter))),
        Filter::Any(filters) => any(filters.iter().map(|filter| of_filter(table, filter))),
        Filter::IdPattern(_) => Coverage::Never,
        Filter::Ids(_)
        | Filter::Type(_)
        | Filter::HasAny(_)
        | Filter::Geo(_)
        | Filter::Scope(_)
        | Filter::ExpiresBy(_) => Coverage::Indexed,
    }
}

fn coverage<'q>(table: &Table, query: &'q Query) -> Coverage<'q> {
    match query {
        Query::And(queries) => all(queries.iter().map(|query| coverage(table, query))),
        Query::Or(queries) => any(queries.iter().map(|query| coverage(table, query))),
        Query::Exists { expected, .. } if *expected => Coverage::Indexed,
        Query::Exists { .. } => Coverage::Never,
        Query::Compare { path, comparison } => table.indexes.values.coverage(path, comparison),
    }
}

/// Of conditions that all hold, one that can be looked up will do.
fn all<'q>(parts: impl Iterator<Item = Coverage<'q>>) -> Coverage<'q> {
    parts.fold(Coverage::Never, |known, part| match (known, part) {
        (Coverage::Missing(path), _) | (_, Coverage::Missing(path)) => Coverage::Missing(path),
        (Coverage::Indexed, _) | (_, Coverage::Indexed) => Coverage::Indexed,
        (Coverage::Never, Coverage::Never) => Coverage::Never,
    })
}

/// Of conditions of which one holds, each has to be looked up.
fn any<'q>(parts: impl Iterator<Item = Coverage<'q>>) -> Coverage<'q> {
    parts.fold(Coverage::Indexed, |known, part| match (known, part) {
        (Coverage::Never, _) | (_, Coverage::Never) => Coverage::Never,
        (Coverage::Missing(path), _) | (_, Coverage::Missing(path)) => Coverage::Missing(path),
        (Coverage::Indexed, Coverage::Indexed) => Coverage::Indexed,
    })
}

/// Whether a path is that of a time which every entity has, beside its attributes.
fn is_time_of_entity(path: &AttributePath) -> bool {
    let [name] = path.names.as_slice() else { return false };
    let term = name.as_str().strip_prefix(NGSI_LD);
    path.members.is_empty() && matches!(term, Some("createdAt" | "modifiedAt" | "expiresAt"))
}

/// The index of the attribute at which a path begins.
fn index_of<'t>(table: &'t Table, path: &AttributePath) -> Option<&'t AttributeIndex> {
    let first = path.links.first().map(|link| &link.relationship);
    table.indexes.attribute(first.or(path.names.first())?)
}

/// A value can only be where its attribute is, and one of a linked entity only where the
/// relationship is that leads there.
fn having<'t>(table: &'t Table, path: &AttributePath) -> Estimate<'t> {
    match index_of(table, path) {
        _ if path.links.is_empty() && is_time_of_entity(path) => Estimate::unknown(),
        Some(index) => Estimate::some_of(Cow::Borrowed(&index.present)),
        None => Estimate::of(None),
    }
}

/// A relationship equals nothing but a text, and that only if it points there.
fn equal<'t>(table: &'t Table, path: &AttributePath, literals: &[Literal]) -> Estimate<'t> {
    let is_value = path.links.is_empty()
        && path.names.len() == 1
        && path.members.is_empty()
        && !is_time_of_entity(path);
    let Some(index) = index_of(table, path).filter(|_| is_value) else {
        return having(table, path);
    };
    let mut slots = index.without_targets();
    for literal in literals {
        if let Literal::Text(text) = literal {
            index.targets.add_slots(text, &mut slots);
        }
    }
    Estimate::some_of(Cow::Owned(slots))
}
