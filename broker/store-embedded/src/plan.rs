//! From a filter to the slots that may satisfy it, and what is left to ask of them.

use std::borrow::Cow;

use musubi_model::{Entity, NGSI_LD};
use musubi_query::{
    AttributePath, Comparison, Filter, GeoQuery, LinkedEntities, Literal, Query, ScopeQuery,
};
use roaring::RoaringBitmap;

use crate::indexes::AttributeIndex;
use crate::table::Table;

/// The most scopes, times patterns, that are compared while planning. Beyond, the scope query is
/// asked of the entities.
const SCOPE_COMPARISONS: usize = 4_096;

/// The most moments at which entities expired that are gathered while planning, which takes less
/// than a millisecond. Beyond, the entities are looked at.
const EXPIRIES: usize = 8_192;

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
        let Filter::All(filters) = filter else {
            let Estimate { slots, is_exact } = estimate(table, filter);
            return Self {
                slots,
                residue: if is_exact { Residue::Nothing } else { Residue::Whole },
            };
        };
        let mut left = Vec::new();
        let parts = filters.iter().enumerate().map(|(index, filter)| {
            let estimate = estimate(table, filter);
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

fn estimate<'t>(table: &'t Table, filter: &Filter) -> Estimate<'t> {
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
        Filter::Query(query) => of_query(table, query),
        Filter::Geo(query) => of_geo_query(table, query),
        Filter::Scope(query) => of_scope_query(table, query),
        Filter::IdPattern(_) => Estimate::unknown(),
        Filter::ExpiresBy(time) => match table.indexes.expiries.by(*time, EXPIRIES) {
            Some(slots) => Estimate { slots: Some(Cow::Owned(slots)), is_exact: true },
            None => Estimate::unknown(),
        },
        Filter::All(filters) => intersection(filters.iter().map(|part| estimate(table, part))),
        Filter::Any(filters) => union(filters.iter().map(|part| estimate(table, part))),
    }
}

fn intersection<'t>(estimates: impl Iterator<Item = Estimate<'t>>) -> Estimate<'t> {
    estimates.fold(Estimate { slots: None, is_exact: true }, |all, next| {
        let slots = match (all.slots, next.slots) {
            (Some(one), Some(other)) => Some(Cow::Owned(&*one & &*other)),
            (one, other) => one.or(other),
        };
        Estimate { slots, is_exact: all.is_exact && next.is_exact }
    })
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
    let Some(rect) = query.bounding_rect() else { return Estimate::unknown() };
    match table.indexes.attribute(&query.property) {
        Some(index) => Estimate::some_of(Cow::Owned(index.extents.within_reach(rect))),
        None => Estimate::of(None),
    }
}

fn of_query<'t>(table: &'t Table, query: &Query) -> Estimate<'t> {
    match query {
        Query::And(queries) => intersection(queries.iter().map(|query| of_query(table, query))),
        Query::Or(queries) => union(queries.iter().map(|query| of_query(table, query))),
        Query::Exists { expected: false, .. } => Estimate::unknown(),
        Query::Compare { path, comparison: Comparison::Equal(literals) } => {
            equal(table, path, literals)
        }
        // Where there is no value no comparison holds, "unequal" neither.
        Query::Exists { path, expected: true } | Query::Compare { path, .. } => having(table, path),
    }
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
