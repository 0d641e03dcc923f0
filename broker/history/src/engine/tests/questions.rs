//! Questions that are made up.

use musubi_model::{AttrName, InvalidName, TypeName};
use musubi_query::{
    Aggregation, AggregationMethod, EvolutionStart, Filter, Query, ScopeQuery, Shown,
    TemporalProperty, TemporalQuery, Terms, TimeRelation, Zone,
};

use super::world::{ATTRIBUTES, World};

pub(super) fn question(world: &mut World) -> TemporalQuery {
    let property = world.pick(&[
        TemporalProperty::ObservedAt,
        TemporalProperty::ObservedAt,
        TemporalProperty::CreatedAt,
        TemporalProperty::ModifiedAt,
        TemporalProperty::DeletedAt,
    ]);
    let filter = match world.below(8) {
        0 => Filter::Ids(vec![world.id(), world.id()]),
        1 => Filter::All(vec![
            Filter::Ids(vec![world.id(), world.id(), world.id()]),
            Filter::All(vec![Filter::Ids(vec![world.id(), world.id(), world.id()])]),
        ]),
        _ => Filter::default(),
    };
    let values = (world.below(6) == 0).then(|| some_values(world));
    TemporalQuery {
        filter,
        property,
        range: range(world),
        attributes: (world.below(4) == 0).then(|| vec![world.pick(&ATTRIBUTES).parse().unwrap()]),
        keep_empty: world.below(4) == 0,
        shown: match world.below(6) {
            0 => Shown::Only(vec![world.pick(&ATTRIBUTES).parse().unwrap()]),
            1 => Shown::Without(vec![world.pick(&ATTRIBUTES).parse().unwrap()]),
            _ => Shown::All,
        },
        datasets: (world.below(5) == 0).then(|| vec![world.dataset()]),
        values,
        geo: None,
        scope: (world.below(6) == 0).then(|| ScopeQuery::parse("/x/#").unwrap()),
        last: (world.below(3) == 0).then(|| small(world)),
        start: match world.below(4) {
            0 => EvolutionStart::After(world.id()),
            1 => EvolutionStart::Offset(small(world)),
            _ => EvolutionStart::Offset(0),
        },
        limit: small(world) * small(world) - 1,
        count: world.below(2) == 0,
        instances: world.pick(&[1, 2, 5, 20, 10_000]),
        bytes: world.pick(&[1, 10, 40, 200, usize::MAX, usize::MAX, usize::MAX, usize::MAX]),
        aggregation: (world.below(4) == 0).then(|| aggregation(world)),
    }
}

fn small(world: &mut World) -> usize {
    usize::try_from(world.below(4) + 1).unwrap()
}

fn range(world: &mut World) -> Option<TimeRelation> {
    match world.below(5) {
        0 => None,
        1 => Some(TimeRelation::Before(world.moment())),
        2 => Some(TimeRelation::After(world.moment())),
        _ => Some(TimeRelation::Between(world.moment(), world.moment())),
    }
}

fn some_values(world: &mut World) -> Query {
    values(world.pick(&["a>20", "b==true", "c"]))
}

/// What this text in the query language asks for.
pub(super) fn values(text: &str) -> Query {
    Query::parse(text, &Context).unwrap()
}

struct Context;

impl Terms for Context {
    fn attribute(&self, term: &str) -> Result<AttrName, InvalidName> {
        self.vocabulary(term).parse()
    }

    fn entity_type(&self, term: &str) -> Result<TypeName, InvalidName> {
        self.vocabulary(term).parse()
    }

    fn vocabulary(&self, value: &str) -> String {
        format!("urn:p:{value}")
    }
}

fn aggregation(world: &mut World) -> Aggregation {
    let methods = match world.below(3) {
        0 => vec![AggregationMethod::TotalCount, AggregationMethod::DistinctCount],
        1 => vec![AggregationMethod::TotalCount],
        _ => vec![AggregationMethod::Avg, AggregationMethod::Max],
    };
    let period = world.pick(&["PT5S", "PT1M", "PT0S"]).parse().unwrap();
    Aggregation { methods, period, zone: Zone::UTC }
}
