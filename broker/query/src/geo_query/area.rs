//! Polygons whose sides cross or touch, made into ones whose sides do not.

use std::borrow::Cow;

use geo::bool_ops::{FillRule, OpType};
use geo::coordinate_position::{CoordPos, CoordinatePosition};
use geo::{BooleanOps, unary_union};
use geo_types::{Geometry, LineString, MultiPolygon, Polygon};

use super::sides::{self, Sides};
use super::topology::{MAX_PAIRS, candidates};

/// The most rings that are compared with each other one by one.
const MAX_RINGS: usize = 64;

/// The geometry, or another one of the same area in which each ring is simple and no two sides
/// meet but neighbours in their corner; none if the sides are so close to each other that finding
/// out takes more than [`MAX_PAIRS`] comparisons, or if there is no area at all.
///
/// The area of a polygon whose sides cross is what its outer ring winds around, less what its
/// holes wind around; that of several polygons is what belongs to one of them.
pub(super) fn simple(geometry: &Geometry<f64>) -> Option<Cow<'_, Geometry<f64>>> {
    let polygons = polygons(geometry);
    let sides = sides::of(geometry);
    let mut is_simple = true;
    let mut pairs = 0;
    for (one, other) in candidates(&sides, &sides) {
        pairs += 1;
        if pairs > MAX_PAIRS {
            return None;
        }
        // Counting goes on: the work of what follows grows with the pairs.
        is_simple = is_simple && (polygons.is_empty() || !one.entangles(other));
    }
    if polygons.is_empty() || (is_simple && is_orderly(polygons, &sides)) {
        return Some(Cow::Borrowed(geometry));
    }
    let areas: Vec<MultiPolygon<f64>> = polygons.iter().map(area_of).collect();
    let area = match areas.as_slice() {
        [only] => only.clone(),
        several => unary_union(several),
    };
    (!area.0.is_empty()).then(|| Cow::Owned(area.into()))
}

/// The polygons that a geometry is made of; none if it is no area.
pub(super) fn polygons(geometry: &Geometry<f64>) -> &[Polygon<f64>] {
    if let Geometry::Polygon(polygon) = geometry {
        std::slice::from_ref(polygon)
    } else if let Geometry::MultiPolygon(polygons) = geometry {
        &polygons.0
    } else {
        &[]
    }
}

/// Whether every ring has three sides, every hole is in its polygon and in no other hole, and
/// every polygon is outside of the others.
fn is_orderly(polygons: &[Polygon<f64>], sides: &Sides) -> bool {
    let rings: usize = polygons.iter().map(|polygon| 1 + polygon.interiors().len()).sum();
    if rings == 1 {
        return sides.size() >= 3;
    }
    if rings > MAX_RINGS || !polygons.iter().flat_map(BooleanOps::rings).all(has_area) {
        return false;
    }
    let outside = |place: Option<CoordPos>| place == Some(CoordPos::Outside);
    polygons.iter().enumerate().all(|(number, polygon)| {
        let holes = polygon.interiors();
        let shell = Polygon::new(polygon.exterior().clone(), Vec::new());
        let holes_are = holes.iter().enumerate().all(|(number, hole)| {
            let in_no_other = holes.iter().enumerate().all(|(another, other)| {
                let other = Polygon::new(other.clone(), Vec::new());
                another == number || outside(position_of(hole, &other))
            });
            in_no_other && position_of(hole, &shell) == Some(CoordPos::Inside)
        });
        let mut others = polygons.iter().enumerate().filter(|(another, _)| *another != number);
        holes_are && others.all(|(_, other)| outside(position_of(other.exterior(), polygon)))
    })
}

fn has_area(ring: &LineString<f64>) -> bool {
    ring.lines().filter(|line| line.start != line.end).count() >= 3
}

/// Where the first corner of a ring is.
fn position_of(ring: &LineString<f64>, polygon: &Polygon<f64>) -> Option<CoordPos> {
    ring.0.first().map(|place| polygon.coordinate_position(place))
}

fn area_of(polygon: &Polygon<f64>) -> MultiPolygon<f64> {
    let area = wound_around(polygon.exterior());
    if polygon.interiors().is_empty() {
        return area;
    }
    let holes: Vec<MultiPolygon<f64>> = polygon.interiors().iter().map(wound_around).collect();
    area.difference(&unary_union(&holes))
}

fn wound_around(ring: &LineString<f64>) -> MultiPolygon<f64> {
    let polygon = Polygon::new(ring.clone(), Vec::new());
    let nothing = MultiPolygon::new(Vec::new());
    polygon.boolean_op_with_fill_rule(&nothing, OpType::Union, FillRule::NonZero)
}
