//! Distances between geometries. What they mean is said at
//! [`GeoQuery::matches_geometry`](super::GeoQuery::matches_geometry).

use geo::{Distance, Geodesic, Haversine};
use geo_types::{Coord, Geometry, Line, Point};
use rstar::{AABB, RTreeNode, RTreeObject};

use super::sides::{self, Side, Sides};
use super::topology::meet;

/// The mean radius of the earth in metres, on which distances along a sphere are measured.
const RADIUS: f64 = 6_371_008.8;

/// The most pairs of sides that are compared. In geometries of real things a few thousand decide,
/// however large they are; of others, the nearest pair among these counts.
const MAX_COMPARISONS: usize = 200_000;

/// Metres between two geometries along the ellipsoid WGS 84.
pub(super) fn metres(one: &Geometry<f64>, other: &Geometry<f64>) -> f64 {
    if let (Geometry::Point(one), Geometry::Point(other)) = (one, other) {
        return Geodesic.distance(*one, *other);
    }
    if meet(one, other) {
        return 0.0;
    }
    // A geometry without any position is infinitely far away.
    let nearest = Nearest::between(one, other);
    nearest.pair.map_or(f64::INFINITY, |(place, on_side)| Geodesic.distance(place, on_side))
}

/// What a distance on the sphere is off that on the ellipsoid at most, and more: as a part of
/// itself and in metres.
const OFF: (f64, f64) = (0.01, 1.0);

/// Whether two geometries are at most so many metres apart along the ellipsoid WGS 84.
pub(super) fn is_at_most(metres: f64, one: &Geometry<f64>, other: &Geometry<f64>) -> bool {
    if let (Geometry::Point(one), Geometry::Point(other)) = (one, other) {
        // Mostly the sphere knows the answer, in a small part of the time.
        let spherical = Haversine.distance(*one, *other);
        let off = spherical * OFF.0 + OFF.1;
        if spherical - off > metres {
            return false;
        }
        if spherical + off <= metres {
            return true;
        }
    }
    self::metres(one, other) <= metres
}

/// Metres between two geometries on a sphere (CIM 009, clause 4.23.1).
pub(crate) fn spherical_metres(one: &Geometry<f64>, other: &Geometry<f64>) -> f64 {
    if let (Geometry::Point(one), Geometry::Point(other)) = (one, other) {
        return Haversine.distance(*one, *other);
    }
    if meet(one, other) { 0.0 } else { Nearest::between(one, other).spherical }
}

/// The nearest two places so far.
pub(super) struct Nearest {
    /// Their distance on the sphere, which is quick to compute.
    pub(super) spherical: f64,
    pair: Option<(Point<f64>, Point<f64>)>,
    /// How many pairs of sides may still be compared.
    left: usize,
}

impl Nearest {
    /// Compares each corner of one geometry with each side of the other, as far as one of them may
    /// be nearer than what is known already.
    pub(super) fn between(one: &Geometry<f64>, other: &Geometry<f64>) -> Self {
        let (one, other): (Sides, Sides) = (sides::of(one), sides::of(other));
        let mut nearest = Self { spherical: f64::INFINITY, pair: None, left: MAX_COMPARISONS };
        for child in one.root().children() {
            nearest.look(other.root().children(), child);
        }
        nearest
    }

    /// Looks at those below, the nearest to `beside` first.
    fn look(&mut self, below: &[RTreeNode<Side>], beside: &RTreeNode<Side>) {
        let mut bounds: Vec<(f64, &RTreeNode<Side>)> = below
            .iter()
            .map(|node| (at_least(&node.envelope(), &beside.envelope()), node))
            .collect();
        bounds.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        for (bound, node) in bounds {
            if bound >= self.spherical || self.left == 0 {
                return;
            }
            match (node, beside) {
                (RTreeNode::Leaf(one), RTreeNode::Leaf(other)) => {
                    self.left -= 1;
                    self.compare(one.line, other.line);
                    self.compare(other.line, one.line);
                }
                // The other way around, so that both trees are descended by turns.
                (_, RTreeNode::Parent(parent)) => self.look(parent.children(), node),
                (RTreeNode::Parent(parent), RTreeNode::Leaf(_)) => {
                    self.look(parent.children(), beside);
                }
            }
        }
    }

    /// Compares both ends of one side with another side.
    fn compare(&mut self, ends: Line<f64>, side: Line<f64>) {
        for corner in [ends.start, ends.end] {
            let (spherical, on_side) = from_corner(corner, side);
            if spherical < self.spherical {
                self.spherical = spherical;
                self.pair = Some((Point(corner), Point(on_side)));
            }
        }
    }
}

/// Metres on the sphere from a place to a side, and where on the side that is.
pub(super) fn from_corner(corner: Coord<f64>, side: Line<f64>) -> (f64, Coord<f64>) {
    let from = |on_side| (Haversine.distance(Point(corner), Point(on_side)), on_side);
    // Of places far apart, the map shows the nearest too roughly: an end may be nearer.
    let [mut shortest, start, end] = [nearest_on(side, corner), side.start, side.end].map(from);
    for other in [start, end] {
        if other.0 < shortest.0 {
            shortest = other;
        }
    }
    shortest
}

/// Metres on the sphere that two places in these boxes are apart at least.
fn at_least(one: &AABB<[f64; 2]>, other: &AABB<[f64; 2]>) -> f64 {
    let ([west, south], [east, north]) = (one.lower(), one.upper());
    let ([other_west, other_south], [other_east, other_north]) = (other.lower(), other.upper());
    let latitudes = (other_south - north).max(south - other_north).max(0.0);
    // East or west of each other, or the other way around the world.
    let longitudes = (other_west - east)
        .max(west - other_east)
        .min(other_west + 360.0 - east)
        .min(west + 360.0 - other_east)
        .max(0.0);
    let narrowest = |south: f64, north: f64| south.abs().max(north.abs()).to_radians().cos();
    let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let haversine = half(latitudes)
        + narrowest(south, north) * narrowest(other_south, other_north) * half(longitudes);
    2.0 * RADIUS * haversine.clamp(0.0, 1.0).sqrt().asin()
}

/// The place on a side that is nearest to another place, on a map around that place on which a
/// degree of longitude is as long as it is there.
fn nearest_on(side: Line<f64>, place: Coord<f64>) -> Coord<f64> {
    let shrink = place.y.to_radians().cos();
    let along_x = (side.end.x - side.start.x) * shrink;
    let along_y = side.end.y - side.start.y;
    let length = along_x * along_x + along_y * along_y;
    let mut best = side.start;
    let mut shortest = f64::INFINITY;
    // The place may be nearer the other way around the world.
    for turn in [0.0, 360.0, -360.0] {
        let to_x = (place.x + turn - side.start.x) * shrink;
        let to_y = place.y - side.start.y;
        let share = if length > 0.0 {
            ((to_x * along_x + to_y * along_y) / length).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let (off_x, off_y) = (to_x - share * along_x, to_y - share * along_y);
        let square = off_x * off_x + off_y * off_y;
        if square < shortest {
            shortest = square;
            best = side.start + (side.end - side.start) * share;
        }
    }
    best
}
