//! Geometries that are made to take long.

use super::*;

/// A line that goes up and down so many times.
fn zigzag(count: u32, turned: bool) -> LineString<f64> {
    let at = |step: u32| {
        let (along, across) = (f64::from(step) / f64::from(count), f64::from(step % 2));
        if turned { Coord { x: across, y: along } } else { Coord { x: along, y: across } }
    };
    LineString((0..count).map(at).collect())
}

fn circle(count: u32, radius: f64) -> LineString<f64> {
    let at = |step: u32| {
        let angle = f64::from(step % count) / f64::from(count) * std::f64::consts::TAU;
        Coord { x: angle.cos() * radius, y: angle.sin() * radius }
    };
    LineString((0..=count).map(at).collect())
}

fn spokes(count: u32, length: f64) -> LineString<f64> {
    let rim = circle(count, length).0.into_iter();
    LineString(rim.flat_map(|place| [Coord { x: 0.0, y: 0.0 }, place]).collect())
}

/// The relations that hold of a target to a reference.
fn relations(target: &Geometry<f64>, reference: &Geometry<f64>) -> Vec<GeoRelation> {
    use GeoRelation::{Contains, Disjoint, Equals, Intersects, NearAtMost, Overlaps, Within};
    let property: AttrName = "urn:location".parse().unwrap();
    let holds = |relation: &GeoRelation| {
        let property = property.clone();
        let geometry = reference.clone();
        GeoQuery { property, relation: *relation, geometry }.matches_geometry(target)
    };
    let all = [Within, Contains, Intersects, Equals, Disjoint, Overlaps, NearAtMost(50_000.0)];
    all.into_iter().filter(holds).collect()
}

#[test]
fn geometries_that_are_made_to_take_long_are_answered() {
    use GeoRelation::{Contains, Disjoint, Intersects, NearAtMost, Overlaps};
    let near = NearAtMost(50_000.0);
    let polygon = |ring: LineString<f64>| Geometry::from(Polygon::new(ring, Vec::new()));
    // Every side of one crosses every side of the other, and so in the areas that they enclose.
    let (there, here) = (zigzag(4_000, false), zigzag(400, true));
    assert_eq!(relations(&there.clone().into(), &here.clone().into()), [Intersects, near]);
    assert_eq!(relations(&polygon(there), &polygon(here)), [Intersects, Overlaps, near]);
    // Every side begins in the same place.
    let (there, here) = (spokes(2_000, 1.0), spokes(200, 0.5));
    assert_eq!(relations(&there.into(), &here.into()), [Intersects, near]);
    // Everything is equally far from the middle.
    let (there, here) = (circle(3_999, 1.0), circle(399, 0.000_001));
    assert_eq!(relations(&there.clone().into(), &here.clone().into()), [Disjoint]);
    assert_eq!(relations(&polygon(there), &polygon(here)), [Contains, Intersects, near]);
    // All corners are the same place.
    let same = |count: usize| Geometry::from(LineString(vec![Coord { x: 1.0, y: 1.0 }; count]));
    assert!(relations(&same(4_000), &same(400)).contains(&Intersects));
    let same =
        |count: usize| Geometry::from(MultiPoint(vec![Point(Coord { x: 1.0, y: 1.0 }); count]));
    assert!(relations(&same(4_000), &same(400)).contains(&Intersects));
    let same = |count: usize| {
        let lines = vec![zigzag(2, false); count / 2];
        Geometry::from(geo_types::MultiLineString(lines))
    };
    assert!(relations(&same(4_000), &same(400)).contains(&Intersects));
}
