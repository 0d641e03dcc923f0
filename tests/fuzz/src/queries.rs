//! The query languages.

use std::sync::LazyLock;

use musubi_context::{Context, expand_entity};
use musubi_model::{AttrName, Entity, InvalidName, Limits, Node, Timestamp, TypeName};
use musubi_query::{GeoQuery, Order, Query, ScopeQuery, Terms, TypeSelection};

/// The core context as the query languages see it.
struct CoreTerms(Context);

impl Terms for CoreTerms {
    fn attribute(&self, term: &str) -> Result<AttrName, InvalidName> {
        self.0.attribute(term)
    }

    fn entity_type(&self, term: &str) -> Result<TypeName, InvalidName> {
        self.0.entity_type(term)
    }

    fn vocabulary(&self, value: &str) -> String {
        self.0.expand(value).into_owned()
    }
}

fn terms() -> CoreTerms {
    CoreTerms(Context::core())
}

/// An entity with something of every kind, for queries to look at.
static ENTITY: LazyLock<Entity> = LazyLock::new(|| {
    let text = r#"{
        "id": "urn:ngsi-ld:T:1", "type": ["T", "Vehicle"], "scope": ["/a/b", "/気象"],
        "speed": [
            {"type": "Property", "value": 5, "observedAt": "2024-01-11T09:00:00Z"},
            {"type": "Property", "value": [1, "x", true, null, 2.5], "datasetId": "urn:d"}
        ],
        "address": {"type": "Property", "value": {"city": "名古屋", "at": {"x": [1, {"y": 2}]}}},
        "owner": {"type": "Relationship", "object": ["urn:a", "urn:b"], "since": {"value": "2020-01-01"}},
        "name": {"type": "LanguageProperty", "languageMap": {"ja": "橋", "en": ["a", "b"], "@none": "c"}},
        "status": {"type": "VocabProperty", "vocab": ["working", "urn:x"]},
        "raw": {"type": "JsonProperty", "json": {"a": {"b": 1}}},
        "list": {"type": "ListProperty", "valueList": [1, [2]]},
        "stops": {"type": "ListRelationship", "objectList": ["urn:a"]},
        "location": {"type": "GeoProperty", "value": {"type": "Polygon", "coordinates":
            [[[136.8, 35.1], [136.9, 35.1], [136.9, 35.2], [136.8, 35.2], [136.8, 35.1]]]}}
    }"#;
    let node = Node::parse(text, Limits::default()).unwrap();
    let fragment = expand_entity(&node, &Context::core()).unwrap();
    Entity::create(fragment, Timestamp::from_seconds(0)).unwrap()
});

/// Reads the input as `q` and evaluates it.
pub fn q(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(query) = Query::parse(text, &terms()) {
        let _ = (query.matches(&ENTITY), query.link_depth());
    }
}

/// Reads the input as `scopeQ` and evaluates it.
pub fn scope_q(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(query) = ScopeQuery::parse(text) {
        let _ = query.matches(&ENTITY.scopes);
    }
}

/// Reads the input as a selection of types and evaluates it.
pub fn type_selection(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(selection) = TypeSelection::parse(text, &terms()) {
        let _ = selection.matches(&ENTITY.types);
    }
}

/// Reads the lines of the input as `georel`, `geometry`, `coordinates` and `geoproperty`, and
/// evaluates the query.
///
/// # Panics
///
/// If a geometry that matches is outside of what an index would look through.
pub fn geo_query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let (georel, geometry, coordinates, property) = (line(), line(), line(), line());
    let property = (!property.is_empty()).then_some(property);
    let parsed = GeoQuery::parse(georel, geometry, coordinates, property, &terms());
    let Ok(query) = parsed else { return };
    let _ = (query.matches(&ENTITY), query.bounding_rect());
}

/// Reads the lines of the input as `orderBy` and `collation`, and orders by them.
///
/// # Panics
///
/// If an entity does not stand beside itself.
pub fn order_by(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (order_by, collation) =
        text.split_once('\n').map_or((text, None), |(first, second)| (first, Some(second)));
    if let Ok(order) = Order::parse(order_by, collation, &terms()) {
        let key = order.key(&ENTITY);
        assert!(order.compare(&key, &key).is_eq());
    }
}
