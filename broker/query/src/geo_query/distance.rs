//! Distances between geometries. What they mean is said at
//! [`GeoQuery::matches_geometry`](super::GeoQuery::matches_geometry).

use geo::{CoordsIter, Distance, Geodesic, Haversine, Intersects};
use geo_types::{Coord, Geometry, Line, Point, Polygon};

/// Metres between two geometries.
pub(super) fn metres(one: &Geometry<f64>, other: &Geometry<f64>) -> f64 {
    if let (Geometry::Point(one), Geometry::Point(other)) = (one, other) {
        return Geodesic.distance(*one, *other);
    }
    if one.intersects(other) {
        return 0.0;
    }
    let mut nearest = Nearest { spherical: f64::INFINITY, pair: None };
    nearest.look(one, other);
    nearest.look(other, one);
    // A geometry without any position is infinitely far away.
    nearest.pair.map_or(f64::INFINITY, |(place, on_side)| Geodesic.distance(place, on_side))
}

/// The nearest two places so far.
struct Nearest {
    /// Their distance on the sphere, which is quick to compute.
    spherical: f64,
    pair: Option<(Point<f64>, Point<f64>)>,
}

impl Nearest {
    /// Compares each corner of one geometry with each side of the other.
    fn look(&mut self, corners: &Geometry<f64>, sides: &Geometry<f64>) {
        let mut lines = Vec::new();
        collect_sides(sides, &mut lines);
        for corner in corners.coords_iter() {
            for line in &lines {
                // Of places far apart, the map shows the nearest too roughly: an end may be nearer.
                for on_side in [nearest_on(*line, corner), line.start, line.end] {
                    self.compare(Point(corner), Point(on_side));
                }
            }
        }
    }

    fn compare(&mut self, place: Point<f64>, on_side: Point<f64>) {
        let spherical = Haversine.distance(place, on_side);
        if spherical < self.spherical {
            *self = Self { spherical, pair: Some((place, on_side)) };
        }
    }
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

/// The sides of a geometry. A point is a side without length.
fn collect_sides(geometry: &Geometry<f64>, sides: &mut Vec<Line<f64>>) {
    match geometry {
        Geometry::Point(point) => sides.push(Line::new(point.0, point.0)),
        Geometry::MultiPoint(points) => {
            sides.extend(points.iter().map(|point| Line::new(point.0, point.0)));
        }
        Geometry::Line(line) => sides.push(*line),
        Geometry::LineString(line) => sides.extend(line.lines()),
        Geometry::MultiLineString(lines) => {
            sides.extend(lines.iter().flat_map(geo_types::LineString::lines));
        }
        Geometry::Polygon(polygon) => collect_rings(polygon, sides),
        Geometry::MultiPolygon(polygons) => {
            polygons.iter().for_each(|polygon| collect_rings(polygon, sides));
        }
        Geometry::Rect(rect) => collect_rings(&rect.to_polygon(), sides),
        Geometry::Triangle(triangle) => collect_rings(&triangle.to_polygon(), sides),
        Geometry::GeometryCollection(geometries) => {
            geometries.iter().for_each(|geometry| collect_sides(geometry, sides));
        }
    }
}

fn collect_rings(polygon: &Polygon<f64>, sides: &mut Vec<Line<f64>>) {
    sides.extend(polygon.exterior().lines());
    sides.extend(polygon.interiors().iter().flat_map(geo_types::LineString::lines));
}
