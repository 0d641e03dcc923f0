//! Laws of the geographical queries, on generated geometries.

use geo_types::MultiLineString;
use proptest::prelude::*;

use super::*;

fn any_position() -> impl Strategy<Value = Coord<f64>> {
    prop_oneof![
        (-180.0..=180.0, -90.0..=90.0),
        (170.0..=180.0, -10.0..=10.0),
        (-180.0..=-170.0, -10.0..=10.0),
        (-180.0..=180.0, 80.0..=90.0),
        (0.0..=5.0, 0.0..=5.0),
    ]
    .prop_map(|(x, y)| Coord { x, y })
}

/// Positions on a small grid, so that geometries touch and share sides.
fn grid_position() -> impl Strategy<Value = Coord<f64>> {
    (0..5_i32, 0..5_i32).prop_map(|(x, y)| Coord { x: x.into(), y: y.into() })
}

fn any_geometry(position: BoxedStrategy<Coord<f64>>) -> impl Strategy<Value = Geometry<f64>> {
    let several = prop::collection::vec(position.clone(), 3..6);
    prop_oneof![
        3 => position.prop_map(|place| Point(place).into()),
        1 => several.clone().prop_map(|places| {
            Geometry::from(MultiPoint(places.into_iter().map(Point).collect()))
        }),
        2 => several.clone().prop_map(|places| LineString(places).into()),
        2 => several.clone().prop_map(|places| Polygon::new(LineString(places), vec![]).into()),
        1 => prop::collection::vec(several, 1..3).prop_map(|rings| {
            let polygon = |places| Polygon::new(LineString(places), vec![]);
            MultiPolygon(rings.into_iter().map(polygon).collect()).into()
        }),
    ]
}

fn any_relation() -> impl Strategy<Value = GeoRelation> {
    let metres = prop_oneof![1.0..1e4, 1e4..1e6, 1e6..2.1e7];
    prop_oneof![
        4 => metres.clone().prop_map(GeoRelation::NearAtMost),
        1 => metres.prop_map(GeoRelation::NearAtLeast),
        4 => prop::sample::select(vec![
            GeoRelation::Within,
            GeoRelation::Contains,
            GeoRelation::Intersects,
            GeoRelation::Equals,
            GeoRelation::Disjoint,
            GeoRelation::Overlaps,
        ]),
    ]
}

fn any_query(position: BoxedStrategy<Coord<f64>>) -> impl Strategy<Value = GeoQuery> {
    (any_relation(), any_geometry(position)).prop_map(|(relation, geometry)| GeoQuery {
        property: "urn:location".parse().unwrap(),
        relation,
        geometry,
    })
}

/// Geometries on a grid, degenerate ones too.
fn any_figure() -> impl Strategy<Value = Geometry<f64>> {
    let several = |least| prop::collection::vec(grid_position(), least..7);
    let ring = || several(4).prop_map(LineString);
    let polygon = move || {
        (ring(), prop::collection::vec(ring(), 0..2))
            .prop_map(|(outer, holes)| Polygon::new(outer, holes))
    };
    prop_oneof![
        grid_position().prop_map(|place| Point(place).into()),
        several(1).prop_map(|places| {
            Geometry::from(MultiPoint(places.into_iter().map(Point).collect()))
        }),
        several(2).prop_map(|places| LineString(places).into()),
        prop::collection::vec(several(2), 1..3)
            .prop_map(|lines| MultiLineString(lines.into_iter().map(LineString).collect()).into()),
        polygon().prop_map(Into::into),
        prop::collection::vec(polygon(), 1..4).prop_map(|polygons| MultiPolygon(polygons).into()),
    ]
}

fn has_hole(geometry: &Geometry<f64>) -> bool {
    area::polygons(geometry).iter().any(|polygon| !polygon.interiors().is_empty())
}

fn holds(relation: GeoRelation, target: &Geometry<f64>, reference: &Geometry<f64>) -> bool {
    let property = "urn:location".parse().unwrap();
    GeoQuery { property, relation, geometry: reference.clone() }.matches_geometry(target)
}

/// How many times a ring winds around a place that is on none of its sides.
fn winding(ring: &LineString<f64>, place: Coord<f64>) -> i32 {
    let turns = ring.lines().map(|line| {
        let side = (line.end.x - line.start.x) * (place.y - line.start.y)
            - (line.end.y - line.start.y) * (place.x - line.start.x);
        let rises = line.start.y < place.y && line.end.y > place.y;
        let falls = line.start.y > place.y && line.end.y < place.y;
        i32::from(rises && side > 0.0) - i32::from(falls && side < 0.0)
    });
    turns.sum()
}

/// Places that are on no side of any figure on the grid: no line through two places of the grid
/// has such a slope or passes there.
fn places_between() -> Vec<Coord<f64>> {
    let at = |number: i32, off: f64| f64::from(number) * 0.25 + off;
    let columns = (-1..18).flat_map(|x| (-1..18).map(move |y| (x, y)));
    columns.map(|(x, y)| Coord { x: at(x, 0.017_31), y: at(y, 0.023_17) }).collect()
}

/// Which places are in the area of a geometry, by the definition.
fn covers(geometry: &Geometry<f64>, place: Coord<f64>) -> bool {
    let is_in = |polygon: &Polygon<f64>| {
        winding(polygon.exterior(), place) != 0
            && polygon.interiors().iter().all(|hole| winding(hole, place) == 0)
    };
    area::polygons(geometry).iter().any(is_in)
}

/// The least distance on the sphere between the corners of one and the places on the sides of the
/// other that are looked at, by looking at all of them.
fn all_distances(one: &Geometry<f64>, other: &Geometry<f64>) -> f64 {
    let mut shortest = f64::INFINITY;
    for (corners, lines) in [(one, other), (other, one)] {
        for corner in sides::of(corners).iter().flat_map(|side| [side.line.start, side.line.end]) {
            for side in &sides::of(lines) {
                shortest = shortest.min(distance::from_corner(corner, side.line).0);
            }
        }
    }
    shortest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_relations_agree_with_each_other(one in any_figure(), other in any_figure()) {
        use GeoRelation::{Contains, Disjoint, Equals, Intersects, Overlaps, Within};
        let both = |relation| (holds(relation, &one, &other), holds(relation, &other, &one));
        let (within, back) = both(Within);
        prop_assert_eq!(both(Contains), (back, within));
        for relation in [Intersects, Equals, Disjoint, Overlaps] {
            let (there, back) = both(relation);
            prop_assert_eq!(there, back, "{:?}", relation);
        }
        prop_assert_ne!(both(Intersects).0, both(Disjoint).0);
        prop_assert_eq!(both(Equals).0, within && back);
        let overlaps = both(Overlaps).0;
        prop_assert!(!overlaps || (!within && !back));
        prop_assert!(both(Intersects).0 || !(within || back || overlaps));
        // A hole belongs inside of its ring: the sides of one that does not lead astray.
        if !has_hole(&one) && !has_hole(&other) {
            let distance = distance::metres(&one, &other);
            prop_assert_eq!(distance == 0.0, both(Intersects).0);
        }
    }

    #[test]
    fn the_relations_of_areas_are_those_of_their_places(one in any_figure(), other in any_figure()) {
        let (mut both, mut first, mut second) = (false, false, false);
        for place in places_between() {
            match (covers(&one, place), covers(&other, place)) {
                (true, true) => both = true,
                (true, false) => first = true,
                (false, true) => second = true,
                (false, false) => {}
            }
        }
        let are_areas = both || (first && second);
        let holds = |relation| holds(relation, &one, &other);
        prop_assert!(!both || holds(GeoRelation::Intersects));
        prop_assert!(!(holds(GeoRelation::Within) && first), "a place of it is outside");
        prop_assert!(!(holds(GeoRelation::Contains) && second), "a place is outside of it");
        prop_assert!(!(holds(GeoRelation::Equals) && (first || second)));
        if are_areas && both && first && second {
            prop_assert!(holds(GeoRelation::Overlaps));
        }
    }

    #[test]
    fn any_two_geometries_can_be_compared_wherever_they_are(
        one in any_geometry(any_position().boxed()), other in any_geometry(any_position().boxed())
    ) {
        let within = holds(GeoRelation::Within, &one, &other);
        prop_assert_eq!(holds(GeoRelation::Contains, &other, &one), within);
        prop_assert_eq!(holds(GeoRelation::Overlaps, &one, &other), holds(GeoRelation::Overlaps, &other, &one));
        prop_assert!(holds(GeoRelation::Equals, &one, &one) || one.bounding_rect().is_none_or(|rect| rect.width() * rect.height() == 0.0) || matches!(one, Geometry::Polygon(_) | Geometry::MultiPolygon(_)));
    }

    #[test]
    fn the_nearest_places_are_found_without_looking_at_all_of_them(
        one in any_geometry(any_position().boxed()), other in any_geometry(any_position().boxed())
    ) {
        let found = distance::Nearest::between(&one, &other).spherical;
        let shortest = all_distances(&one, &other);
        prop_assert!((found - shortest).abs() <= 1e-6, "{found} {shortest}");
    }

    #[test]
    fn what_a_box_decides_holds_for_every_point_in_it(
        query in any_query(any_position().boxed()),
        place in any_position(),
        size in prop_oneof![0.0..1e-7_f64, 0.0..0.01, 0.0..10.0],
        at in (0.0..=1.0_f64, 0.0..=1.0_f64),
    ) {
        let rect = Rect::new(place, Coord {
            x: (place.x + size).min(180.0),
            y: (place.y + size).min(90.0),
        });
        let point = Point::new(
            rect.min().x + rect.width() * at.0,
            rect.min().y + rect.height() * at.1,
        );
        if let Some(decided) = query.decides(rect) {
            prop_assert_eq!(query.matches_geometry(&point.into()), decided);
        }
    }

    #[test]
    fn the_box_never_excludes_what_matches(
        query in any_query(any_position().boxed()), target in any_geometry(any_position().boxed())
    ) {
        let outside = query
            .bounding_rect()
            .is_some_and(|bounds| !bounds.intersects(&target.bounding_rect().unwrap()));
        if outside {
            prop_assert!(!query.matches_geometry(&target));
            // Not by the shortcut alone.
            if let GeoRelation::NearAtMost(metres) = query.relation {
                prop_assert!(distance::metres(&query.geometry, &target) > metres);
            }
        }
    }

    #[test]
    fn a_distance_is_the_same_both_ways_and_no_longer_than_between_corners(
        one in any_geometry(any_position().boxed()), other in any_geometry(any_position().boxed())
    ) {
        use geo::{CoordsIter, Distance, Geodesic};
        let metres = distance::metres(&one, &other);
        let back = distance::metres(&other, &one);
        prop_assert!((metres - back).abs() <= 1e-6 * metres.max(1.0), "{metres} {back}");
        let corners = one.coords_iter().flat_map(|a| other.coords_iter().map(move |b| (a, b)));
        let shortest = corners.map(|(a, b)| Geodesic.distance(Point(a), Point(b))).fold(f64::INFINITY, f64::min);
        // The sphere on which the nearest places are looked for is not the ellipsoid.
        prop_assert!(metres <= shortest * 1.012 + 1e-6, "{metres} {shortest}");
    }

    #[test]
    fn what_the_sphere_knows_of_two_points_is_so_on_the_ellipsoid(
        one in any_position(), other in any_position(), part in 0.9..1.1, more in -3.0..3.0
    ) {
        let (one, other) = (Point(one).into(), Point(other).into());
        let metres = distance::metres(&one, &other);
        for limit in [metres * part, metres + more, metres] {
            prop_assert_eq!(distance::is_at_most(limit, &one, &other), metres <= limit);
        }
    }

    #[test]
    fn any_two_geometries_can_be_compared(
        query in any_query(grid_position().boxed()), target in any_geometry(grid_position().boxed())
    ) {
        let _ = query.matches_geometry(&target);
    }

    #[test]
    fn a_query_survives_its_binary_form(query in any_query(any_position().boxed())) {
        let bytes = postcard::to_stdvec(&query).unwrap();
        prop_assert_eq!(postcard::from_bytes::<GeoQuery>(&bytes).unwrap(), query);
    }
}
