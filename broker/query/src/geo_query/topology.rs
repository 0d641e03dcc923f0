//! How geometries stand to each other in the plane of longitude and latitude: the relations of the
//! Dimensionally Extended Nine-Intersection Model (OGC 06-103r4, section 6.1.15).

use geo::coordinate_position::{CoordPos, CoordinatePosition};
use geo::dimensions::Dimensions;
use geo::relate::IntersectionMatrix;
use geo::{BoundingRect, HasDimensions, Intersects, Relate};
use geo_types::{Coord, Geometry, MultiLineString, MultiPolygon, Point, Polygon, Rect};

use super::area::simple;
use super::sides::{self, Side, Sides};

/// The most pairs of sides near each other from which it is found out how geometries stand to each
/// other.
pub(super) const MAX_PAIRS: usize = 200_000;

/// The most pairs of sides near each other among which one is looked for that meets.
const MAX_MEETINGS: usize = 1_000_000;

/// Pairs of sides whose boxes have a place in common.
pub(super) fn candidates<'a>(
    one: &'a Sides,
    other: &'a Sides,
) -> impl Iterator<Item = (&'a Side, &'a Side)> {
    one.intersection_candidates_with_other_tree(other)
}

/// Whether the geometries have a place in common.
pub(super) fn meet(one: &Geometry<f64>, other: &Geometry<f64>) -> bool {
    match (one, other) {
        (Geometry::Point(Point(place)), geometry) | (geometry, Geometry::Point(Point(place))) => {
            position(*place, geometry) != CoordPos::Outside
        }
        _ => {
            boxes(one, other).is_some_and(|(one, other)| one.intersects(&other))
                && (has_part_in(one, other) || has_part_in(other, one) || sides_meet(one, other))
        }
    }
}

/// Whether every place of `inner` belongs to `outer`, and one inside of it to its inside.
pub(super) fn is_within(inner: &Geometry<f64>, outer: &Geometry<f64>) -> bool {
    if let Geometry::Point(Point(place)) = inner {
        return position(*place, outer) == CoordPos::Inside;
    }
    boxes(inner, outer).is_some_and(|(inside, around)| encloses(around, inside))
        && match Standing::of(inner, outer) {
            Standing::Known(matrix) => matrix.is_within(),
            Standing::Crossing | Standing::Unknown => false,
        }
}

/// Whether both have the same places.
pub(super) fn are_equal(one: &Geometry<f64>, other: &Geometry<f64>) -> bool {
    boxes(one, other).is_some_and(|(one, other)| one == other)
        && match Standing::of(one, other) {
            Standing::Known(matrix) => matrix.is_equal_topo(),
            Standing::Crossing | Standing::Unknown => false,
        }
}

/// Whether both are of the same dimension, and have a part of that dimension in common but neither
/// the whole of the other.
pub(super) fn overlap(one: &Geometry<f64>, other: &Geometry<f64>) -> bool {
    one.dimensions() == other.dimensions()
        && boxes(one, other).is_some_and(|(one, other)| one.intersects(&other))
        && match Standing::of(one, other) {
            Standing::Known(matrix) => matrix.is_overlaps(),
            // Beside the crossing are places of both areas, and of each of them alone.
            Standing::Crossing => true,
            Standing::Unknown => false,
        }
}

/// What is known of how two geometries stand to each other.
enum Standing {
    /// Sides cross, of which one at least is that of an area.
    Crossing,
    Known(IntersectionMatrix),
    /// There are more than [`MAX_PAIRS`] pairs of sides to look at, or there is nothing at all.
    Unknown,
}

impl Standing {
    fn of(one: &Geometry<f64>, other: &Geometry<f64>) -> Self {
        let (Some(one), Some(other)) = (simple(one), simple(other)) else { return Self::Unknown };
        let is_area =
            |geometry: &Geometry<f64>| geometry.dimensions() == Dimensions::TwoDimensional;
        let crossing_decides = is_area(&one) || is_area(&other);
        let (sides, other_sides) = (sides::of(&one), sides::of(&other));
        for (count, (side, other)) in candidates(&sides, &other_sides).enumerate() {
            if count >= MAX_PAIRS {
                return Self::Unknown;
            }
            if crossing_decides && side.crosses(other) {
                return Self::Crossing;
            }
        }
        Self::Known(one.relate(&*other))
    }
}

fn boxes(one: &Geometry<f64>, other: &Geometry<f64>) -> Option<(Rect<f64>, Rect<f64>)> {
    Some((one.bounding_rect()?, other.bounding_rect()?))
}

fn encloses(around: Rect<f64>, inside: Rect<f64>) -> bool {
    around.min().x <= inside.min().x
        && around.min().y <= inside.min().y
        && around.max().x >= inside.max().x
        && around.max().y >= inside.max().y
}

fn sides_meet(one: &Geometry<f64>, other: &Geometry<f64>) -> bool {
    let (one, other) = (sides::of(one), sides::of(other));
    candidates(&one, &other).take(MAX_MEETINGS).any(|(side, other)| side.meets(other))
}

/// Whether a connected part of one geometry begins in the area of another.
fn has_part_in(one: &Geometry<f64>, area: &Geometry<f64>) -> bool {
    let is_in = |place: &Coord<f64>| position(*place, area) != CoordPos::Outside;
    let begins_in = |polygon: &Polygon<f64>| polygon.exterior().0.first().is_some_and(is_in);
    if !matches!(area, Geometry::Polygon(_) | Geometry::MultiPolygon(_)) {
        return false;
    }
    match one {
        Geometry::MultiPoint(points) => points.iter().any(|point| is_in(&point.0)),
        Geometry::LineString(line) => line.0.first().is_some_and(is_in),
        Geometry::MultiLineString(lines) => {
            lines.iter().any(|line| line.0.first().is_some_and(is_in))
        }
        Geometry::Polygon(polygon) => begins_in(polygon),
        Geometry::MultiPolygon(polygons) => polygons.iter().any(begins_in),
        Geometry::Point(_)
        | Geometry::Line(_)
        | Geometry::GeometryCollection(_)
        | Geometry::Rect(_)
        | Geometry::Triangle(_) => false,
    }
}

/// Where a place is, seen from a geometry.
fn position(place: Coord<f64>, geometry: &Geometry<f64>) -> CoordPos {
    if let Geometry::MultiPolygon(polygons) = geometry {
        position_in_one(place, polygons)
    } else if let Geometry::MultiLineString(lines) = geometry {
        position_on_one(place, lines)
    } else {
        geometry.coordinate_position(&place)
    }
}

/// Where a place is, seen from several lines. The border of lines is where an odd number of them
/// ends.
fn position_on_one(place: Coord<f64>, lines: &MultiLineString<f64>) -> CoordPos {
    let (mut is_on_one, mut ends) = (false, 0_usize);
    for line in lines {
        match line.coordinate_position(&place) {
            CoordPos::Inside => is_on_one = true,
            CoordPos::OnBoundary => ends += 1,
            CoordPos::Outside => {}
        }
    }
    match ends {
        0 if !is_on_one => CoordPos::Outside,
        ends if ends % 2 == 1 => CoordPos::OnBoundary,
        _ => CoordPos::Inside,
    }
}

/// Where a place is, seen from several polygons: in the area of one of them, on a border, or
/// neither.
fn position_in_one(place: Coord<f64>, polygons: &MultiPolygon<f64>) -> CoordPos {
    let mut is_on_border = false;
    for polygon in polygons {
        match polygon.coordinate_position(&place) {
            CoordPos::Inside => return CoordPos::Inside,
            CoordPos::OnBoundary => is_on_border = true,
            CoordPos::Outside => {}
        }
    }
    if is_on_border { CoordPos::OnBoundary } else { CoordPos::Outside }
}
