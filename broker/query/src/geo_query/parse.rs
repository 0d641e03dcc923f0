//! From parameters to a query.

use geo::CoordsIter;
use geo_types::Geometry;
use musubi_model::{AttrName, Document, Json, JsonKind, Limits, NGSI_LD, Node, parse_geometry};

use super::{GeoQuery, GeoRelation};
use crate::cursor::Cursor;
use crate::{InvalidQuery, Terms};

/// The relations that have no parameter.
const RELATIONS: [(&str, GeoRelation); 6] = [
    ("within", GeoRelation::Within),
    ("contains", GeoRelation::Contains),
    ("intersects", GeoRelation::Intersects),
    ("equals", GeoRelation::Equals),
    ("disjoint", GeoRelation::Disjoint),
    ("overlaps", GeoRelation::Overlaps),
];

const GEOMETRIES: [&str; 6] =
    ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"];

pub(super) fn relation(text: &str) -> Result<GeoRelation, InvalidQuery> {
    const EXPECTED: &str = "near;maxDistance==METRES, near;minDistance==METRES, within, contains, \
                            intersects, equals, disjoint or overlaps was expected";
    let mut cursor = Cursor::new("georel", text)?;
    let start = cursor;
    if let Some((_, relation)) = RELATIONS.into_iter().find(|(name, _)| *name == text) {
        return Ok(relation);
    }
    if !cursor.eat("near") || !cursor.eat(";") {
        return Err(start.error(EXPECTED));
    }
    let relation = if cursor.eat("maxDistance==") {
        GeoRelation::NearAtMost
    } else if cursor.eat("minDistance==") {
        GeoRelation::NearAtLeast
    } else {
        return Err(cursor.error(EXPECTED));
    };
    match Node::parse(cursor.rest(), Limits::default()).map(|node| node.document) {
        Ok(Document::Number(metres)) if metres > 0.0 => Ok(relation(metres)),
        _ => Err(cursor.error("a number of metres greater than 0 was expected")),
    }
}

pub(super) fn geometry(kind: &str, coordinates: &str) -> Result<Geometry<f64>, InvalidQuery> {
    reference(("geometry", kind), ("coordinates", coordinates))
}

/// A geometry that others are compared with, from two parameters, each with its name.
pub(crate) fn reference(
    (kind_parameter, kind): (&'static str, &str),
    (parameter, coordinates): (&'static str, &str),
) -> Result<Geometry<f64>, InvalidQuery> {
    if !GEOMETRIES.contains(&kind) {
        let reason = format!("one of {} was expected", GEOMETRIES.join(", "));
        return Err(start_of(kind_parameter, kind).error(reason));
    }
    let start = start_of(parameter, coordinates);
    let json = Json::parse(coordinates).map_err(|error| start.error(error.to_string()))?;
    if json.kind() != JsonKind::Array {
        return Err(start.error("an array was expected"));
    }
    let geojson = format!("{{\"type\":\"{kind}\",\"coordinates\":{}}}", json.as_str());
    let geometry = Json::parse(&geojson)
        .map_err(|error| start.error(error.reason))
        .and_then(|json| parse_geometry(&json).map_err(|error| start.error(error.to_string())))?;
    let positions = geometry.coords_count();
    if positions > GeoQuery::MAX_POSITIONS {
        return Err(start.error(format!(
            "at most {} positions are accepted, and these are {positions}",
            GeoQuery::MAX_POSITIONS
        )));
    }
    Ok(geometry)
}

pub(super) fn property(term: Option<&str>, terms: &dyn Terms) -> Result<AttrName, InvalidQuery> {
    let named = term.unwrap_or("location");
    let name = match term {
        Some(term) => terms.attribute(term),
        None => format!("{NGSI_LD}{named}").parse(),
    };
    name.map_err(|error| start_of("geoproperty", named).error(error.to_string()))
}

/// The beginning of a parameter that has no limit of its own: the body or URL that it came in
/// has one.
fn start_of<'a>(parameter: &'static str, text: &'a str) -> Cursor<'a> {
    Cursor::unlimited(parameter, text)
}
