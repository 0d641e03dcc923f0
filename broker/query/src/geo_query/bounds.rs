//! Boxes outside of which nothing matches.

use geo::{BoundingRect, Intersects};
use geo_types::{Coord, Geometry, Point, Rect};

use super::{GeoQuery, GeoRelation, distance};

/// A radius of curvature, in metres, that is below every one of the ellipsoid WGS 84: with it, an
/// angle between two places comes out too large rather than too small.
const SMALLEST_RADIUS: f64 = 6_335_000.0;

/// What is added for rounding and for the difference between the ellipsoid and a sphere.
const MARGIN: f64 = 1.01;

/// Metres that no degree is longer than, in any direction.
const LONGEST_DEGREE: f64 = 111_700.0;

/// Metres that are added to a distance for rounding.
const ROUNDING: f64 = 0.001;

/// The box of a query.
pub(super) fn of(query: &GeoQuery) -> Option<Rect<f64>> {
    let reference = query.geometry.bounding_rect()?;
    match query.relation {
        GeoRelation::Within
        | GeoRelation::Contains
        | GeoRelation::Intersects
        | GeoRelation::Equals
        | GeoRelation::Overlaps => Some(reference),
        GeoRelation::NearAtMost(metres) => around(reference, metres),
        GeoRelation::NearAtLeast(_) | GeoRelation::Disjoint => None,
    }
}

/// Whether the geometry has a point in the box of the query.
pub(super) fn may_be_near(query: &GeoQuery, geometry: &Geometry<f64>) -> bool {
    // Two points are compared outright, in less time than this takes.
    if matches!(geometry, Geometry::Point(_)) {
        return true;
    }
    match (of(query), geometry.bounding_rect()) {
        (Some(near), Some(there)) => near.intersects(&there),
        _ => true,
    }
}

/// Whether a point somewhere in a box matches.
pub(super) fn decides(query: &GeoQuery, rect: Rect<f64>) -> Option<bool> {
    let GeoRelation::NearAtMost(metres) = query.relation else { return None };
    if !matches!(query.geometry, Geometry::Point(_)) {
        return None;
    }
    let centre = Point(rect.center()).into();
    let off = f64::midpoint(rect.width(), rect.height()) * LONGEST_DEGREE + ROUNDING;
    if distance::is_at_most(metres - off, &query.geometry, &centre) {
        return Some(true);
    }
    (!distance::is_at_most(metres + off, &query.geometry, &centre)).then_some(false)
}

/// The box of everything that is at most so far from a place in `reference`.
fn around(reference: Rect<f64>, metres: f64) -> Option<Rect<f64>> {
    let angle = metres / SMALLEST_RADIUS * MARGIN;
    let south = reference.min().y - angle.to_degrees();
    let north = reference.max().y + angle.to_degrees();
    let whole_width = |south: f64, north: f64| {
        Rect::new(Coord { x: -180.0, y: south.max(-90.0) }, Coord { x: 180.0, y: north.min(90.0) })
    };
    if south <= -90.0 && north >= 90.0 {
        return None;
    }
    if south <= -90.0 || north >= 90.0 {
        return Some(whole_width(south, north));
    }
    // The meridian that a circle around a place just touches; the further from the equator the
    // place, the more degrees of longitude away.
    let farthest = reference.min().y.abs().max(reference.max().y.abs()).to_radians();
    let width = (angle.sin() / farthest.cos()).min(1.0).asin().to_degrees() * MARGIN;
    let west = reference.min().x - width;
    let east = reference.max().x + width;
    if west <= -180.0 || east >= 180.0 {
        return Some(whole_width(south, north));
    }
    Some(Rect::new(Coord { x: west, y: south }, Coord { x: east, y: north }))
}
