//! The sides of geometries, found by where they are.

use geo::Intersects;
use geo::line_intersection::{LineIntersection, line_intersection};
use geo_types::{Coord, Geometry, Line, LineString, Polygon};
use rstar::{AABB, RTree, RTreeObject};

/// A side of a ring or line; a point is a side without length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub(super) line: Line<f64>,
    /// Which side of the geometry this is.
    number: usize,
    /// Which one begins where this one ends.
    next: usize,
}

impl RTreeObject for Side {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        let Line { start, end } = self.line;
        AABB::from_corners([start.x, start.y], [end.x, end.y])
    }
}

impl Side {
    /// Whether the sides have more in common than neighbours may: their one corner.
    pub(super) fn entangles(&self, other: &Self) -> bool {
        if self.number == other.number {
            return false;
        }
        let are_neighbours = self.next == other.number || other.next == self.number;
        match line_intersection(self.line, other.line) {
            None => false,
            Some(LineIntersection::SinglePoint { is_proper, .. }) => is_proper || !are_neighbours,
            Some(LineIntersection::Collinear { intersection }) => {
                intersection.start != intersection.end || !are_neighbours
            }
        }
    }

    /// Whether the sides cross in a place that is an end of neither.
    pub(super) fn crosses(&self, other: &Self) -> bool {
        line_intersection(self.line, other.line).is_some_and(|common| common.is_proper())
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.line.intersects(&other.line)
    }
}

/// The sides of a geometry in a tree of boxes.
pub(super) type Sides = RTree<Side>;

/// The sides of a geometry. Of a ring or line, those without length are left out.
pub(super) fn of(geometry: &Geometry<f64>) -> Sides {
    let mut gathered = Vec::new();
    gather(geometry, &mut gathered);
    RTree::bulk_load(gathered)
}

fn gather(geometry: &Geometry<f64>, sides: &mut Vec<Side>) {
    match geometry {
        Geometry::Point(point) => gather_point(point.0, sides),
        Geometry::MultiPoint(points) => {
            points.iter().for_each(|point| gather_point(point.0, sides));
        }
        Geometry::Line(line) => gather_line(&LineString::from(line), sides),
        Geometry::LineString(line) => gather_line(line, sides),
        Geometry::MultiLineString(lines) => lines.iter().for_each(|line| gather_line(line, sides)),
        Geometry::Polygon(polygon) => gather_rings(polygon, sides),
        Geometry::MultiPolygon(polygons) => {
            polygons.iter().for_each(|polygon| gather_rings(polygon, sides));
        }
        Geometry::Rect(rect) => gather_rings(&rect.to_polygon(), sides),
        Geometry::Triangle(triangle) => gather_rings(&triangle.to_polygon(), sides),
        Geometry::GeometryCollection(geometries) => {
            geometries.iter().for_each(|geometry| gather(geometry, sides));
        }
    }
}

fn gather_point(place: Coord<f64>, sides: &mut Vec<Side>) {
    let number = sides.len();
    sides.push(Side { line: Line::new(place, place), number, next: number });
}

fn gather_rings(polygon: &Polygon<f64>, sides: &mut Vec<Side>) {
    gather_line(polygon.exterior(), sides);
    polygon.interiors().iter().for_each(|ring| gather_line(ring, sides));
}

fn gather_line(line: &LineString<f64>, sides: &mut Vec<Side>) {
    let first = sides.len();
    for line in line.lines().filter(|line| line.start != line.end) {
        let number = sides.len();
        sides.push(Side { line, number, next: number + 1 });
    }
    match sides.get(first..).and_then(<[Side]>::first) {
        None => line.0.iter().take(1).for_each(|place| gather_point(*place, sides)),
        Some(_) => {
            if let Some(last) = sides.last_mut() {
                last.next = if line.is_closed() { first } else { last.number };
            }
        }
    }
}
