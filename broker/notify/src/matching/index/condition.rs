//! What an entity has to show for a subscription to be concerned, as far as it can be looked up.

use geo_types::Rect;
use musubi_model::AttrName;
use musubi_query::{AttributePath, Axis, Comparison, Literal, Mark, Query, ScopeQuery};

use super::regions::Corners;
use super::thresholds::Bounds;
use crate::Subscription;
use crate::subscription::selector::EntitySelector;

/// Something that can be looked up.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition<'a> {
    /// Nothing.
    Nothing,
    /// A value at the path has this mark.
    Value(&'a AttributePath, Mark<'a>),
    /// A value at the path stands between these ends.
    Bounded(&'a AttributePath, Axis, Bounds),
    /// The attribute is there.
    Present(&'a AttrName),
    /// A geometry of the attribute meets the box.
    Located(&'a AttrName, Corners),
    /// This scope is there.
    Scope(&'a str),
    /// This scope is there, or one below it; an empty text for any scope.
    ScopeBelow(&'a str),
    /// The id begins so.
    IdBegins(Box<[u8]>),
}

/// Conditions of which one holds wherever the subscription is concerned.
pub(super) type Cover<'a> = Vec<Condition<'a>>;

/// The most covers that are considered for one subscription.
const MAX_COVERS: usize = 16;

/// The lengths to which the beginnings of ids are cut, longest first. Only these are looked up.
pub(super) const ID_LENGTHS: [usize; 8] = [64, 48, 32, 24, 16, 12, 8, 4];

/// A box that is wider or higher than so many degrees says little.
const LARGE_BOX: f64 = 5.0;

impl Condition<'_> {
    /// The less, the fewer changes satisfy it, at a guess.
    fn rank(&self) -> u8 {
        match self {
            Self::Value(..) => 1,
            Self::Bounded(_, _, Bounds::Between(..)) => 2,
            Self::Located(_, [[west, south], [east, north]])
                if east - west <= LARGE_BOX && north - south <= LARGE_BOX =>
            {
                3
            }
            Self::Scope(_) => 4,
            Self::IdBegins(_) => 5,
            Self::ScopeBelow(_) => 6,
            Self::Bounded(..) | Self::Located(..) => 7,
            Self::Present(_) => GENERAL,
            Self::Nothing => u8::MAX,
        }
    }
}

/// The rank of what most changes satisfy.
const GENERAL: u8 = 8;

fn rank(cover: &Cover<'_>) -> u8 {
    cover.iter().map(Condition::rank).max().unwrap_or(0)
}

/// Whether most changes satisfy it.
pub(super) fn is_general(cover: &Cover<'_>) -> bool {
    rank(cover) >= GENERAL
}

/// Covers of what the subscription asks beside its selectors and its watched attributes, and of
/// this selector's pattern; the most telling first. The last one asks for nothing.
pub(super) fn covers<'a>(
    subscription: &'a Subscription,
    selector: Option<&'a EntitySelector>,
) -> Vec<Cover<'a>> {
    let mut covers = Vec::new();
    if let Some(query) = &subscription.query {
        of_query(&query.meaning, &mut covers);
    }
    if let Some(query) = &subscription.geo_query {
        let query = &query.meaning;
        if let Some(rect) = query.bounding_rect() {
            covers.push(vec![Condition::Located(&query.property, corners(rect))]);
        }
        covers.push(vec![Condition::Present(&query.property)]);
    }
    if let Some(query) = &subscription.scope_query {
        covers.push(of_scopes(&query.meaning));
    }
    // Ids take precedence over the pattern.
    let pattern = selector.filter(|it| it.ids.is_empty()).and_then(|it| it.id_pattern.as_ref());
    if let Some(beginnings) = pattern.and_then(musubi_query::Pattern::beginnings) {
        covers.extend(of_beginnings(&beginnings));
    }
    covers.sort_by_key(rank);
    covers.truncate(MAX_COVERS);
    covers.push(vec![Condition::Nothing]);
    covers
}

fn corners(rect: Rect<f64>) -> Corners {
    let (low, high) = (rect.min(), rect.max());
    [[low.x, low.y], [high.x, high.y]]
}

fn of_beginnings<'a>(beginnings: &[String]) -> Option<Cover<'a>> {
    let cut = |text: &String| {
        let length = ID_LENGTHS.into_iter().find(|length| *length <= text.len())?;
        Some(Condition::IdBegins(text.as_bytes().get(..length)?.into()))
    };
    beginnings.iter().map(cut).collect()
}

/// Of several scopes that an entity has to have, the one that says most will do.
fn of_scopes(query: &ScopeQuery) -> Cover<'_> {
    query.any_of.iter().map(|group| most_telling(group)).collect()
}

fn most_telling(group: &[String]) -> Condition<'_> {
    let patterns = group.iter().map(|pattern| (of_scope(pattern), pattern.len()));
    // Deeper ones first.
    let best = patterns.min_by_key(|(condition, length)| (condition.rank(), usize::MAX - length));
    best.map_or(Condition::ScopeBelow(""), |(condition, _)| condition)
}

fn of_scope(pattern: &str) -> Condition<'_> {
    let wildcard = pattern.split_inclusive('/').try_fold(0, |at, part| {
        let level = part.trim_end_matches('/');
        if matches!(level, "+" | "#") { Err(at) } else { Ok(at + part.len()) }
    });
    match wildcard {
        Ok(_) => Condition::Scope(pattern),
        // Without the slash before the wildcard.
        Err(at) => {
            let literal = pattern.get(..at).unwrap_or_default();
            Condition::ScopeBelow(literal.trim_end_matches('/'))
        }
    }
}

fn of_query<'a>(query: &'a Query, covers: &mut Vec<Cover<'a>>) {
    match query {
        Query::And(parts) => {
            for part in parts {
                of_query(part, covers);
            }
            covers.extend(ranges(parts).into_iter().map(|range| vec![range]));
        }
        Query::Or(parts) => {
            let best = |part: &'a Query| {
                let mut covers = Vec::new();
                of_query(part, &mut covers);
                covers.into_iter().min_by_key(rank)
            };
            let together: Option<Vec<_>> = parts.iter().map(best).collect();
            covers.extend(together.map(|covers| covers.into_iter().flatten().collect::<Vec<_>>()));
        }
        Query::Exists { expected: false, .. } => {}
        Query::Exists { path, expected: true } => covers.extend(present(path)),
        Query::Compare { path, comparison } => {
            covers.extend(compared(path, comparison));
            covers.extend(present(path));
        }
    }
}

/// That the attribute is there where a path begins.
fn present(path: &AttributePath) -> Option<Cover<'_>> {
    let name = match path.links.first() {
        Some(link) => &link.relationship,
        // The times of the entity itself are always there.
        None if !path.has_marks() && path.names.len() == 1 => return None,
        None => path.names.first()?,
    };
    Some(vec![Condition::Present(name)])
}

fn compared<'a>(path: &'a AttributePath, comparison: &'a Comparison) -> Option<Cover<'a>> {
    if !path.has_marks() {
        return None;
    }
    let at_one_end = |literal: &'a Literal, bounds: fn(f64) -> Bounds| {
        let (axis, end) = literal.mark()?.place()?;
        Some(vec![Condition::Bounded(path, axis, bounds(end))])
    };
    match comparison {
        Comparison::Equal(literals) => {
            literals.iter().map(|literal| equal(path, literal)).collect()
        }
        Comparison::Greater(literal) | Comparison::GreaterOrEqual(literal) => {
            at_one_end(literal, Bounds::AtLeast)
        }
        Comparison::Less(literal) | Comparison::LessOrEqual(literal) => {
            at_one_end(literal, Bounds::AtMost)
        }
        Comparison::NotEqual(_) | Comparison::Like(_) | Comparison::NotLike(_) => None,
    }
}

fn equal<'a>(path: &'a AttributePath, literal: &'a Literal) -> Option<Condition<'a>> {
    if let Literal::Range(from, to) = literal {
        let (axis, low) = from.mark()?.place()?;
        let (other, high) = to.mark()?.place()?;
        return (axis == other).then(|| Condition::Bounded(path, axis, between(low, high)));
    }
    literal.mark().map(|mark| Condition::Value(path, mark))
}

/// Both ends; only the lower one if they leave nothing between them, because of several values
/// each may satisfy one.
fn between(low: f64, high: f64) -> Bounds {
    if low <= high { Bounds::Between(low, high) } else { Bounds::AtLeast(low) }
}

/// Ranges out of comparisons of the same path with `<` and `>`.
fn ranges(parts: &[Query]) -> Vec<Condition<'_>> {
    let ends: Vec<_> = parts.iter().take(MAX_COVERS).filter_map(one_end).collect();
    let mut ranges = Vec::new();
    for (path, axis, lower) in &ends {
        for (other_path, other_axis, upper) in &ends {
            if let (Bounds::AtLeast(low), Bounds::AtMost(high)) = (lower, upper)
                && path == other_path
                && axis == other_axis
            {
                ranges.push(Condition::Bounded(path, *axis, between(*low, *high)));
            }
        }
    }
    ranges
}

fn one_end(part: &Query) -> Option<(&AttributePath, Axis, Bounds)> {
    let Query::Compare { path, comparison } = part else { return None };
    if let [Condition::Bounded(path, axis, bounds)] = *compared(path, comparison)? {
        return Some((path, axis, bounds));
    }
    None
}
