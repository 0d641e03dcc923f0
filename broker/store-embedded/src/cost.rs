//! What it costs to ask a filter of an entity: so roughly that it tells a microsecond from a
//! millisecond, which is what decides where it is asked.

use geo::CoordsIter;
use musubi_model::{Attribute, Entity};
use musubi_query::{Comparison, EntityQuery, Filter, Pattern, Query};
use tokio::time::Instant;

/// Work after which the clock is looked at. The unit is about a nanosecond.
const TICK: u64 = 20_000;

/// The most work that one entity may make on a thread that must not be held up.
const INLINE: u64 = 200_000;

/// More than any thread but those of the pool may do.
const LARGE: u64 = 10 * INLINE;

/// The work that an entity makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    each: u64,
    /// Per byte of the entity's values.
    byte: u64,
}

/// Whether there is time left, without looking at the clock for each little thing.
#[derive(Debug)]
pub(crate) struct Meter {
    deadline: Instant,
    most: u64,
    work: u64,
}

impl Cost {
    const NOTHING: Self = Self { each: 0, byte: 0 };

    pub(crate) fn of(query: &EntityQuery) -> Self {
        // The values are read, the texts among them made comparable, the geometries measured.
        let positions = query.order.from.as_ref().map_or(0, CoordsIter::coords_count);
        let each = Self { each: 300, byte: number(positions).saturating_add(1).saturating_mul(20) };
        let order = each.times(number(query.order.terms.len()));
        of_filter(&query.filter).and(order).and(Self { each: 100, byte: 0 })
    }

    /// The work that this entity makes.
    pub(crate) fn for_entity(self, entity: &Entity) -> u64 {
        if self.byte == 0 {
            return self.each;
        }
        self.each.saturating_add(self.byte.saturating_mul(bytes(&entity.attributes)))
    }

    fn and(self, other: Self) -> Self {
        let (each, byte) =
            (self.each.saturating_add(other.each), self.byte.saturating_add(other.byte));
        Self { each, byte }
    }

    fn times(self, times: u64) -> Self {
        Self { each: self.each.saturating_mul(times), byte: self.byte.saturating_mul(times) }
    }
}

impl Meter {
    /// Of a thread that must not be held up.
    pub(crate) fn inline(deadline: Instant) -> Self {
        Self { deadline, most: INLINE, work: 0 }
    }

    /// Of a thread that may take its time.
    pub(crate) fn pooled(deadline: Instant) -> Self {
        Self { deadline, most: u64::MAX, work: 0 }
    }

    /// Whether so much work may be begun.
    pub(crate) fn allows(&mut self, work: u64) -> bool {
        if work > self.most {
            return false;
        }
        self.work = self.work.saturating_add(work);
        if self.work < TICK {
            return true;
        }
        self.work = 0;
        Instant::now() < self.deadline
    }
}

/// Whether so many entities may be asked this under the lock: it takes no time, and does not depend
/// on their values.
pub(crate) fn is_little(filters: &[Filter], entities: usize) -> bool {
    let cost = filters.iter().map(of_filter).fold(Cost::NOTHING, Cost::and);
    cost.byte == 0 && cost.each.saturating_mul(number(entities)) <= INLINE
}

fn bytes(attributes: &[Attribute]) -> u64 {
    let instances = attributes.iter().flat_map(|attribute| &attribute.instances);
    instances
        .map(|instance| {
            let own = u64::try_from(instance.value.json.as_str().len()).unwrap_or(u64::MAX);
            let below = instance.attributes();
            if below.is_empty() { own } else { own.saturating_add(bytes(below)) }
        })
        .fold(0, u64::saturating_add)
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn of_filter(filter: &Filter) -> Cost {
    match filter {
        Filter::Ids(ids) => Cost { each: number(ids.len()).saturating_mul(10), byte: 0 },
        Filter::IdPattern(pattern) => Cost { each: per_byte(pattern).saturating_mul(100), byte: 0 },
        Filter::Type(selection) => {
            let names: usize = selection.any_of.iter().map(Vec::len).sum();
            Cost { each: number(names).saturating_mul(50), byte: 0 }
        }
        Filter::HasAny(names) => Cost { each: number(names.len()).saturating_mul(100), byte: 0 },
        Filter::Query(query) => of_query(query),
        // A position takes ten bytes at least, and is compared with each one of the reference.
        Filter::Geo(query) => {
            Cost { each: 500, byte: number(query.geometry.coords_count()).saturating_mul(20) }
        }
        Filter::Scope(query) => {
            let patterns: usize = query.any_of.iter().map(Vec::len).sum();
            Cost { each: number(patterns).saturating_mul(200), byte: 0 }
        }
        Filter::ExpiresBy(_) => Cost { each: 100, byte: 0 },
        Filter::All(filters) | Filter::Any(filters) => {
            filters.iter().map(of_filter).fold(Cost::NOTHING, Cost::and)
        }
    }
}

fn of_query(query: &Query) -> Cost {
    let (path, comparison) = match query {
        Query::And(queries) | Query::Or(queries) => {
            return queries.iter().map(of_query).fold(Cost::NOTHING, Cost::and);
        }
        Query::Exists { path, .. } => (path, None),
        Query::Compare { path, comparison } => (path, Some(comparison)),
    };
    // How many entities there are at the end of a link, and how large they are, nobody knows.
    let each = if path.links.is_empty() { 100 } else { LARGE };
    Cost { each, byte: 2_u64.saturating_add(comparison.map_or(0, of_comparison)) }
}

/// Per byte of the value.
fn of_comparison(comparison: &Comparison) -> u64 {
    if let Comparison::Like(pattern) | Comparison::NotLike(pattern) = comparison {
        per_byte(pattern)
    } else if let Comparison::Equal(literals) | Comparison::NotEqual(literals) = comparison {
        // Each of them may be compared with each element of an array.
        number(literals.len()).saturating_mul(5)
    } else {
        5
    }
}

/// Per byte that the pattern is looked for in. A short one without repetitions by number and
/// without classes, whose every member may be a state, is as quick as one would think.
fn per_byte(pattern: &Pattern) -> u64 {
    let text = pattern.as_str();
    if text.len() <= 64 && !text.contains(['{', '\\']) { 5 } else { LARGE }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use musubi_query::{AttributePath, Link, TypeSelection};

    use super::*;

    fn cost(filter: Filter) -> Cost {
        Cost::of(&EntityQuery { filter, ..EntityQuery::default() })
    }

    fn like(pattern: &str) -> Filter {
        let path =
            AttributePath { links: vec![], names: vec!["urn:a".parse().unwrap()], members: vec![] };
        let comparison = Comparison::Like(pattern.parse().unwrap());
        Filter::Query(Query::Compare { path, comparison })
    }

    fn linked() -> Filter {
        let link = Link { relationship: "urn:r".parse().unwrap(), types: vec![] };
        let names = vec!["urn:a".parse().unwrap()];
        let path = AttributePath { links: vec![link], names, members: vec![] };
        Filter::Query(Query::Exists { path, expected: true })
    }

    #[test]
    fn what_may_take_long_is_not_begun_where_it_would_hold_others_up() {
        let far = Instant::now() + Duration::from_hours(1);
        let check = |filter: Filter, bytes: u64, is_small: bool| {
            let Cost { each, byte } = cost(filter.clone());
            let work = each.saturating_add(byte.saturating_mul(bytes));
            assert_eq!(Meter::inline(far).allows(work), is_small, "{filter:?}");
            assert!(Meter::pooled(far).allows(work));
        };
        check(Filter::Type(TypeSelection { any_of: vec![] }), 1 << 20, true);
        check(Filter::IdPattern("^urn:.*7$".parse().unwrap()), 1 << 20, true);
        check(Filter::IdPattern("\\w\\w".parse().unwrap()), 1, false);
        check(like("open"), 500, true);
        check(like("open"), 1 << 20, false);
        check(like("(a{50}){20}"), 30, false);
        check(linked(), 0, false);
        check(Filter::Any(vec![Filter::default(), linked()]), 0, false);
    }

    #[test]
    fn the_clock_is_looked_at_after_work_and_not_after_entities() {
        let past = Instant::now();
        let mut meter = Meter::pooled(past);
        assert!(meter.allows(TICK - 1));
        assert!(!meter.allows(1));
        assert!(!meter.allows(TICK));
    }
}
