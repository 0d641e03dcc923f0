//! What a map is bound to: the conditions of the query that it was made for.

use musubi_query::{EntityQuery, Filter, TemporalQuery};
use uuid::Uuid;

use crate::{Error, Selection};

/// The conditions and the context of a query, in a form in which they can be kept and compared:
/// their digests, because both may be as long as a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// The conditions, but for ids.
    pub(super) conditions: String,
    /// What the context is known by.
    pub(super) context: String,
    /// Of a query for what was: which instances make an entity a part of the answer. It may be
    /// another one in each request.
    pub(super) instances: Option<String>,
    /// Whether the query names ids, so that its answer says nothing of all that a map lists.
    pub(super) names_ids: bool,
}

impl Bound {
    pub(super) fn of(query: &EntityQuery, context: &str) -> Result<Self, Error> {
        Self::new(&query.filter, context, None)
    }

    pub(super) fn of_temporal(query: &TemporalQuery, context: &str) -> Result<Self, Error> {
        let mut filters = vec![query.filter.clone()];
        filters.extend(query.values.clone().map(Filter::Query));
        filters.extend(query.scope.clone().map(Filter::Scope));
        filters.extend(query.geo.clone().map(Filter::Geo));
        filters.extend(query.attributes.clone().map(Filter::HasAny));
        let instances = format!("{:?} {:?} {:?}", query.property, query.range, query.datasets);
        Self::new(&Filter::and(filters), context, Some(&instances))
    }

    pub(super) fn of_one(selection: &Selection, context: &str) -> Result<Self, Error> {
        let mut filters = Vec::new();
        filters.extend(selection.types.clone().map(Filter::Type));
        filters.extend(selection.attributes.clone().map(Filter::HasAny));
        Self::new(&Filter::and(filters), context, None)
    }

    fn new(filter: &Filter, context: &str, instances: Option<&str>) -> Result<Self, Error> {
        let without_ids = without_ids(filter);
        let conditions = serde_json::to_string(&without_ids)
            .map_err(|error| Error::Internal(format!("conditions cannot be written: {error}")))?;
        let names_ids = without_ids != *filter;
        Ok(Self {
            conditions: digest(&conditions),
            context: digest(context),
            instances: instances.map(digest),
            names_ids,
        })
    }
}

/// What stands for a text of any length.
pub(super) fn digest(text: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
}

/// The condition without what it says of ids, which may be others in each request.
fn without_ids(filter: &Filter) -> Filter {
    match filter {
        Filter::Ids(_) => Filter::default(),
        Filter::All(filters) => Filter::and(filters.iter().map(without_ids).collect()),
        Filter::Any(filters) => Filter::Any(filters.iter().map(without_ids).collect()),
        Filter::IdPattern(_)
        | Filter::Type(_)
        | Filter::HasAny(_)
        | Filter::Query(_)
        | Filter::Geo(_)
        | Filter::Scope(_)
        | Filter::ExpiresBy(_) => filter.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(filter: Filter) -> Bound {
        Bound::of(&EntityQuery { filter, ..EntityQuery::default() }, "c").unwrap()
    }

    #[test]
    fn what_is_kept_of_a_query_is_short_however_long_that_is() {
        let names = (0..1_000).map(|number| format!("urn:x:{number}").parse().unwrap());
        let query =
            EntityQuery { filter: Filter::HasAny(names.collect()), ..EntityQuery::default() };
        let bound = |context: &str| Bound::of(&query, context).unwrap();
        let long = "c".repeat(1_000_000);
        assert_eq!((bound(&long).conditions.len(), bound(&long).context.len()), (36, 36));
        assert_eq!(bound(&long), bound(&long));
        assert_ne!(bound(&long).context, bound(&long[1..]).context);
    }

    #[test]
    fn ids_are_no_condition_to_be_bound_to() {
        let ids = Filter::Ids(vec!["urn:a:1".parse().unwrap()]);
        let has = Filter::HasAny(vec!["urn:x".parse().unwrap()]);
        let other = Filter::HasAny(vec!["urn:y".parse().unwrap()]);
        let plain = bound(has.clone());
        let narrowed = bound(Filter::and(vec![ids.clone(), has.clone()]));
        assert_eq!(narrowed.conditions, plain.conditions);
        assert_eq!((plain.names_ids, narrowed.names_ids), (false, true));
        assert_ne!(bound(other.clone()).conditions, plain.conditions);
        let one = |filter: Filter| bound(Filter::Any(vec![Filter::and(vec![has.clone(), filter])]));
        assert_eq!(one(ids).conditions, one(Filter::default()).conditions);
        assert_ne!(one(other).conditions, one(Filter::default()).conditions);
    }
}
