//! Conditions on entities.

use musubi_model::{AttrName, Entity, EntityId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    GeoQuery, LinkedEntities, NoLinkedEntities, Pattern, Query, ScopeQuery, TypeSelection,
};

/// A condition on an entity.
///
/// How large one may be is bounded where it is read: each query language has a limit on its text,
/// and the lists of ids and attributes have that of the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Filter {
    /// The entity's id is one of these.
    Ids(Vec<EntityId>),
    /// The entity's id matches this pattern, anywhere in it.
    IdPattern(Pattern),
    /// The entity's types satisfy this selection.
    Type(TypeSelection),
    /// The entity has at least one of these attributes.
    HasAny(Vec<AttrName>),
    /// The entity's attributes satisfy this query.
    Query(Query),
    /// The entity's geometry satisfies this query.
    Geo(GeoQuery),
    /// The entity's scopes satisfy this query.
    Scope(ScopeQuery),
    /// Something of the entity expires at this moment or before.
    ExpiresBy(Timestamp),
    /// All of these hold; with none, every entity matches.
    All(Vec<Filter>),
    /// One of these holds; with none, no entity matches.
    Any(Vec<Filter>),
}

impl Default for Filter {
    /// Every entity.
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Filter {
    /// All of these at once, without needless nesting: conjunctions inside are taken apart, and a
    /// single filter stays itself.
    pub fn and(filters: Vec<Filter>) -> Self {
        let mut all = Vec::with_capacity(filters.len());
        for filter in filters {
            if let Self::All(inner) = filter { all.extend(inner) } else { all.push(filter) }
        }
        match <[Filter; 1]>::try_from(all) {
            Ok([only]) => only,
            Err(all) => Self::All(all),
        }
    }

    /// Whether `entity` satisfies this condition, where nothing is known of the entities that it
    /// is linked with.
    pub fn matches(&self, entity: &Entity) -> bool {
        self.matches_among(entity, &NoLinkedEntities)
    }

    /// Whether `entity`, in these surroundings, satisfies this condition.
    pub fn matches_among(&self, entity: &Entity, linked: &dyn LinkedEntities) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&entity.id),
            Self::IdPattern(pattern) => pattern.is_match(entity.id.as_str()),
            Self::Type(selection) => selection.matches(&entity.types),
            Self::HasAny(names) => names.iter().any(|name| entity.attribute(name).is_some()),
            Self::Query(query) => query.matches_among(entity, linked),
            Self::Geo(query) => query.matches(entity),
            Self::Scope(query) => query.matches(&entity.scopes),
            Self::ExpiresBy(time) => entity.first_expiry().is_some_and(|expiry| expiry <= *time),
            Self::All(filters) => filters.iter().all(|filter| filter.matches_among(entity, linked)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches_among(entity, linked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use musubi_model::Timestamp;

    use super::*;

    fn entity() -> Entity {
        Entity {
            id: "urn:ngsi-ld:Shelter:1".parse().unwrap(),
            types: vec!["https://example.org/Shelter".parse().unwrap()],
            scopes: vec!["/Nanao".parse().unwrap()],
            created_at: Timestamp::EPOCH,
            modified_at: Timestamp::EPOCH,
            expires_at: None,
            attributes: Vec::new(),
        }
    }

    #[test]
    fn each_condition_means_what_it_says() {
        let check = |filter: &Filter, expected: bool| {
            assert_eq!(filter.matches(&entity()), expected, "{filter:?}");
        };
        let ids = |text: &str| Filter::Ids(vec![text.parse().unwrap()]);
        let pattern = |text: &str| Filter::IdPattern(Pattern::new(text).unwrap());
        check(&ids("urn:ngsi-ld:Shelter:1"), true);
        check(&ids("urn:ngsi-ld:Shelter:2"), false);
        check(&pattern("Shelter"), true);
        check(&pattern("^Shelter"), false);
        check(&Filter::HasAny(vec!["urn:a".parse().unwrap()]), false);
        check(&Filter::Scope(ScopeQuery::parse("/Nanao").unwrap()), true);
        check(&Filter::All(vec![]), true);
        check(&Filter::Any(vec![]), false);
        check(&Filter::All(vec![pattern("urn"), pattern("x")]), false);
        check(&Filter::Any(vec![pattern("urn"), pattern("x")]), true);
    }

    #[test]
    fn a_conjunction_is_flat() {
        let one = Filter::HasAny(vec![]);
        assert_eq!(Filter::and(vec![one.clone()]), one);
        assert_eq!(Filter::and(vec![]), Filter::All(vec![]));
        let nested = Filter::and(vec![Filter::All(vec![one.clone(), one.clone()]), one.clone()]);
        assert_eq!(nested, Filter::All(vec![one.clone(), one.clone(), one]));
    }

    #[test]
    fn a_filter_survives_its_binary_form() {
        let filter = Filter::Any(vec![
            Filter::Ids(vec!["urn:a:b".parse().unwrap()]),
            Filter::IdPattern(Pattern::new("a.*b").unwrap()),
            Filter::Scope(ScopeQuery::parse("/a/+,/b/#").unwrap()),
        ]);
        let bytes = postcard::to_stdvec(&filter).unwrap();
        assert_eq!(postcard::from_bytes::<Filter>(&bytes).unwrap(), filter);
    }
}
