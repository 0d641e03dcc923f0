use geo_types::Coord;
use musubi_model::AttrName;
use musubi_query::GeoRelation;
use proptest::prelude::*;

use super::*;

fn geometry(kind: &str, coordinates: &str) -> Json {
    Json::parse(&format!(r#"{{"type":"{kind}","coordinates":{coordinates}}}"#)).unwrap()
}

fn property() -> AttrName {
    "https://uri.etsi.org/ngsi-ld/location".parse().unwrap()
}

fn query(relation: GeoRelation, geometry: Geometry<f64>) -> GeoQuery {
    GeoQuery { property: property(), relation, geometry }
}

/// A place where much is: a small town, one square in it, the antimeridian, the poles, anywhere.
fn any_place() -> impl Strategy<Value = (f64, f64)> {
    prop_oneof![
        4 => (136.60..136.62, 36.60..36.62),
        2 => Just((136.61, 36.61)),
        1 => (179.99..=180.0, -0.01..0.01),
        1 => (-180.0..-179.99, -0.01..0.01),
        1 => (-180.0..=180.0, 89.9..=90.0),
        1 => (-180.0..=180.0, -90.0..=90.0),
    ]
}

fn any_geometry() -> impl Strategy<Value = Json> {
    let point = any_place().prop_map(|(x, y)| geometry("Point", &format!("[{x},{y}]")));
    let high = (any_place(), 0..4_000)
        .prop_map(|((x, y), z)| geometry("Point", &format!("[{x},{y},{z}]")));
    let line = (any_place(), any_place()).prop_map(|((x, y), (to_x, to_y))| {
        geometry("LineString", &format!("[[{x},{y}],[{to_x},{to_y}]]"))
    });
    let square = (any_place(), 0.0001..0.01).prop_map(|((x, y), side)| {
        let (x, y) = (x.clamp(-179.0, 179.0), y.clamp(-89.0, 89.0));
        let (east, north) = (x + side, y + side);
        let ring = format!("[[[{x},{y}],[{east},{y}],[{east},{north}],[{x},{north}],[{x},{y}]]]");
        geometry("Polygon", &ring)
    });
    let points = (any_place(), any_place()).prop_map(|((x, y), (other_x, other_y))| {
        geometry("MultiPoint", &format!("[[{x},{y}],[{other_x},{other_y}]]"))
    });
    let odd = Just(Json::from("somewhere"));
    prop_oneof![12 => point, 2 => high, 1 => line, 1 => square, 1 => points, 1 => odd]
}

fn any_query() -> impl Strategy<Value = GeoQuery> {
    let metres = || prop_oneof![1.0..3_000.0, 1.0..30_000_000.0, Just(5e-324)];
    let relation = prop_oneof![
        4 => metres().prop_map(GeoRelation::NearAtMost),
        1 => metres().prop_map(GeoRelation::NearAtLeast),
        1 => Just(GeoRelation::Within),
        1 => Just(GeoRelation::Contains),
        1 => Just(GeoRelation::Intersects),
        1 => Just(GeoRelation::Equals),
        1 => Just(GeoRelation::Disjoint),
        1 => Just(GeoRelation::Overlaps),
    ];
    let reference =
        any_geometry().prop_filter_map("no geometry", |json| parse_geometry(&json).ok());
    (relation, reference).prop_map(|(relation, geometry)| query(relation, geometry))
}

fn matches(query: &GeoQuery, geometry: &Json) -> bool {
    parse_geometry(geometry).is_ok_and(|geometry| query.matches_geometry(&geometry))
}

proptest! {
    #[test]
    fn what_matches_is_among_the_candidates_and_what_is_exact_is_that(
        loaded in prop::collection::vec(any_geometry(), 0..200),
        written in prop::collection::vec((0..300_u32, any_geometry()), 0..200),
        queries in prop::collection::vec(any_query(), 1..20),
    ) {
        let mut gathered = Gathered::default();
        for (slot, geometry) in (0..).zip(&loaded) {
            gathered.push(slot, geometry);
        }
        let mut places = Places::from(gathered);
        let mut plain: Vec<Option<Json>> = loaded.into_iter().map(Some).collect();
        plain.resize(300, None);
        for (slot, geometry) in written {
            let kept = &mut plain[slot as usize];
            // Of what was there, every second is taken out, and the others move.
            let was = kept.take();
            if let Some(was) = &was {
                places.remove(slot, was);
            }
            if was.is_none() || slot % 2 == 0 {
                places.insert(slot, &geometry);
                *kept = Some(geometry);
            }
        }
        for query in queries {
            let all = (0..).zip(&plain).filter(|(_, kept)| {
                kept.as_ref().is_some_and(|geometry| matches(&query, geometry))
            });
            let expected: RoaringBitmap = all.map(|(slot, _)| slot).collect();
            let Some(rect) = query.bounding_rect() else { continue };
            let found = places.candidates(&query, rect, usize::MAX).unwrap();
            prop_assert!(expected.is_subset(&found.slots), "{query:?}");
            prop_assert!(!found.is_exact || expected == found.slots, "{query:?}");
        }
    }
}

#[test]
fn what_is_near_a_point_is_known_exactly_where_there_are_points_only() {
    let mut places = Places::default();
    for (slot, x) in (0..).zip([136.0, 136.004, 136.005_3, 136.1]) {
        places.insert(slot, &geometry("Point", &format!("[{x},36.0]")));
    }
    let near = query(GeoRelation::NearAtMost(500.0), Geometry::Point((136.0, 36.0).into()));
    let candidates = |places: &Places| {
        let rect = near.bounding_rect().unwrap();
        let Candidates { slots, is_exact } = places.candidates(&near, rect, 9).unwrap();
        (slots.iter().collect::<Vec<_>>(), is_exact)
    };
    assert_eq!(candidates(&places), (vec![0, 1, 2], true));
    let line = geometry("LineString", "[[135.0,35.0],[137.0,35.9999]]");
    places.insert(4, &line);
    assert_eq!(candidates(&places), (vec![0, 1, 2, 4], false));
    places.remove(4, &line);
    assert_eq!(candidates(&places), (vec![0, 1, 2], true));
    places.insert(5, &Json::from("somewhere"));
    assert_eq!(candidates(&places), (vec![0, 1, 2, 5], false));
}

#[test]
fn points_are_found_by_the_rectangle_around_them_and_forgotten() {
    let point = |x: f64, y: f64| geometry("Point", &format!("[{x},{y}]"));
    let mut gathered = Gathered::default();
    gathered.push(1, &point(136.0, 35.0));
    let mut places = Places::from(gathered);
    places.insert(2, &point(136.1, 35.1));
    places.insert(3, &point(140.0, 35.0));
    let rect = Rect::new(Coord { x: 135.9, y: 34.9 }, Coord { x: 136.2, y: 35.2 });
    let within = query(GeoRelation::Within, rect.to_polygon().into());
    let slots = |places: &Places, most| {
        let candidates = places.candidates(&within, rect, most)?;
        Some(candidates.slots.iter().collect::<Vec<_>>())
    };
    assert_eq!(slots(&places, 2), Some(vec![1, 2]));
    assert_eq!(slots(&places, 1), None);
    places.remove(1, &point(136.0, 35.0));
    assert_eq!(slots(&places, 1), Some(vec![2]));
}
