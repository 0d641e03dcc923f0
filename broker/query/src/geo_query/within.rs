//! Geometries that lie within others, in the plane of longitude and latitude.

use geo::coordinate_position::{CoordPos, CoordinatePosition};
use geo::{BoundingRect, Relate};
use geo_types::{Geometry, Point, Rect};

/// Whether no point of `inner` lies outside of `outer`.
pub(super) fn is_within(inner: &Geometry<f64>, outer: &Geometry<f64>) -> bool {
    // The usual question, in time linear in the reference.
    if let Geometry::Point(Point(place)) = inner {
        return outer.coordinate_position(place) != CoordPos::Outside;
    }
    let (Some(inside), Some(around)) = (inner.bounding_rect(), outer.bounding_rect()) else {
        return false;
    };
    encloses(around, inside) && inner.relate(outer).is_coveredby()
}

fn encloses(around: Rect<f64>, inside: Rect<f64>) -> bool {
    around.min().x <= inside.min().x
        && around.min().y <= inside.min().y
        && around.max().x >= inside.max().x
        && around.max().y >= inside.max().y
}
