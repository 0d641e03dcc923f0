use geo::{BoundingRect, Intersects};
use geo_types::{Coord, LineString, MultiPoint, MultiPolygon, Point, Polygon};
use musubi_model::{
    AttributeFragment, EntityFragment, FragmentValue, InstanceFragment, Json, Timestamp, Value,
};

use super::*;
use crate::test_terms::ExampleTerms;

mod hostile;
mod laws;
mod relations;

fn parse(georel: &str, geometry: &str, coordinates: &str) -> Result<GeoQuery, InvalidQuery> {
    GeoQuery::parse(georel, geometry, coordinates, None, &ExampleTerms)
}

fn geometry(kind: &str, coordinates: &str) -> Geometry<f64> {
    let text = format!("{{\"type\":\"{kind}\",\"coordinates\":{coordinates}}}");
    parse_geometry(&Json::parse(&text).unwrap()).unwrap()
}

const HOLED: &str = "[[[0,0],[10,0],[10,10],[0,10],[0,0]],[[4,4],[6,4],[6,6],[4,6],[4,4]]]";

#[test]
fn a_geometry_matches_or_not() {
    let check = |query: (&str, &str, &str), target: (&str, &str), expected: bool| {
        let parsed = parse(query.0, query.1, query.2).unwrap();
        let target = geometry(target.0, target.1);
        assert_eq!(parsed.matches_geometry(&target), expected, "{query:?} {target:?}");
        if let (true, Some(bounds)) = (expected, parsed.bounding_rect()) {
            assert!(bounds.intersects(&target.bounding_rect().unwrap()), "{query:?} {bounds:?}");
        }
    };
    // 111,319.49 metres per degree along the equator.
    let most = |metres: &'static str| (metres, "Point", "[0,0]");
    check(most("near;maxDistance==111320"), ("Point", "[1,0]"), true);
    check(most("near;maxDistance==111319"), ("Point", "[1,0]"), false);
    check(most("near;minDistance==111319"), ("Point", "[1,0]"), true);
    check(most("near;minDistance==111320"), ("Point", "[1,0]"), false);
    check(most("near;maxDistance==111320"), ("MultiPoint", "[[50,50],[1,0]]"), true);
    check(most("near;maxDistance==111320"), ("LineString", "[[1,-5],[1,5]]"), true);
    check(most("near;maxDistance==111300"), ("LineString", "[[1,-5],[1,5]]"), false);
    check(
        most("near;maxDistance==1"),
        ("Polygon", "[[[-1,-1],[1,-1],[1,1],[-1,1],[-1,-1]]]"),
        true,
    );
    // From one side of the antimeridian to the other.
    check(("near;maxDistance==30000", "Point", "[179.9,0]"), ("Point", "[-179.9,0]"), true);
    check(
        ("near;maxDistance==30000", "Point", "[179.9,0]"),
        ("LineString", "[[-179.9,-1],[-179.9,1]]"),
        true,
    );
    check(
        ("near;maxDistance==10000", "Point", "[179.9,0]"),
        ("LineString", "[[-179.9,-1],[-179.9,1]]"),
        false,
    );
    // Over a pole.
    check(("near;maxDistance==30000", "Point", "[0,89.9]"), ("Point", "[180,89.9]"), true);
    // Distances are to the reference, not to one of its positions.
    check(
        ("near;maxDistance==2000", "LineString", "[[0,60],[10,60]]"),
        ("Point", "[10,60.009]"),
        true,
    );
    check(
        ("near;maxDistance==2000", "LineString", "[[0,61],[10,61]]"),
        ("Point", "[10,60.009]"),
        false,
    );
    check(
        ("near;maxDistance==20000", "Point", "[0,85]"),
        ("LineString", "[[0,85.6],[1,85]]"),
        true,
    );
    check(
        ("near;maxDistance==5000", "Point", "[0,85]"),
        ("LineString", "[[0,85.6],[1,85]]"),
        false,
    );
    check(("within", "Polygon", HOLED), ("Point", "[2,2]"), true);
    check(("within", "Polygon", HOLED), ("Point", "[5,5]"), false);
    check(("within", "Polygon", HOLED), ("Point", "[0,0]"), false);
    check(("within", "Polygon", HOLED), ("Point", "[11,5]"), false);
    check(("within", "Polygon", HOLED), ("LineString", "[[1,1],[9,1]]"), true);
    check(("within", "Polygon", HOLED), ("LineString", "[[1,5],[9,5]]"), false);
    check(("within", "Polygon", HOLED), ("Polygon", "[[[1,1],[2,1],[2,2],[1,1]]]"), true);
    check(("within", "Polygon", HOLED), ("Polygon", "[[[1,1],[9,1],[9,9],[1,9],[1,1]]]"), false);
    check(("within", "Polygon", HOLED), ("MultiPoint", "[[1,1],[20,1]]"), false);
    check(
        ("within", "MultiPolygon", "[[[[0,0],[1,0],[1,1],[0,0]]],[[[5,5],[6,5],[6,6],[5,5]]]]"),
        ("Point", "[5.9,5.5]"),
        true,
    );
    check(("within", "Point", "[1,1]"), ("Point", "[1,1]"), true);
    check(("within", "LineString", "[[0,0],[2,2]]"), ("Point", "[1,1]"), true);
}

#[test]
fn what_is_no_geo_query_is_refused() {
    let check = |query: (&str, &str, &str), parameter: &str, reason: &str| {
        let refusal = parse(query.0, query.1, query.2).unwrap_err();
        assert_eq!(refusal.parameter, parameter, "{query:?}");
        assert!(refusal.reason.contains(reason), "{query:?}: {}", refusal.reason);
    };
    let point = |georel: &'static str| (georel, "Point", "[8,40]");
    check(point("near"), "georel", "was expected");
    check(point("touches"), "georel", "was expected");
    check(point(""), "georel", "was expected");
    check(point("near;distance==5"), "georel", "was expected");
    check(point("near;maxDistance=5"), "georel", "was expected");
    for number in ["0", "-100", "inf", "1e400", "NaN", "", "5;minDistance==1", "\"5\"", "5m"] {
        let georel = format!("near;maxDistance=={number}");
        check((&georel, "Point", "[8,40]"), "georel", "greater than 0");
    }
    check(("within", "GeometryCollection", "[]"), "geometry", "one of Point, MultiPoint");
    check(("within", "Point", "8,40"), "coordinates", "the end of the text was expected");
    check(("within", "Point", "{}"), "coordinates", "an array was expected");
    check(("within", "Point", "[8]"), "coordinates", "a position is an array");
    check(("within", "Point", "[8,95]"), "coordinates", "the latitude 95");
    check(("within", "Polygon", "[[[0,0],[2,2],[2,0],[0,2]]]"), "coordinates", "the last position");
    check(("contains;x", "Point", "[8,40]"), "georel", "was expected");
    check((" within", "Point", "[8,40]"), "georel", "was expected");
    let many = format!("[{}]", vec!["[0,0]"; 2_001].join(","));
    check(("within", "MultiPoint", &many), "coordinates", "at most 2000 positions");
    let refusal = GeoQuery::parse("within", "Point", "[0,0]", Some("a:b c"), &ExampleTerms);
    assert_eq!(refusal.unwrap_err().parameter, "geoproperty");
}

#[test]
fn an_entity_matches_by_any_instance_of_the_geo_property() {
    let instance = |kind, dataset: Option<&str>, text: &str| InstanceFragment {
        value: Some(FragmentValue::Typed(Value { kind, json: Json::parse(text).unwrap() })),
        dataset_id: dataset.map(|dataset| dataset.parse().unwrap()),
        ..InstanceFragment::default()
    };
    let point = |x: f64| format!("{{\"type\":\"Point\",\"coordinates\":[{x},0]}}");
    let entity = |property: &str, instances: Vec<InstanceFragment>| {
        let attribute = AttributeFragment {
            name: property.parse().unwrap(),
            instances: instances.into_iter().collect(),
        };
        let fragment = EntityFragment {
            id: Some("urn:a:b".parse().unwrap()),
            types: vec!["urn:t".parse().unwrap()],
            attributes: vec![attribute],
            ..EntityFragment::default()
        };
        Entity::create(fragment, Timestamp::EPOCH).unwrap()
    };
    let location = "https://uri.etsi.org/ngsi-ld/location";
    let query = parse("near;maxDistance==1000", "Point", "[5,0]").unwrap();
    let geo = AttributeType::GeoProperty;
    let far_and_near =
        vec![instance(geo, None, &point(50.0)), instance(geo, Some("urn:d"), &point(5.0))];
    assert!(query.matches(&entity(location, far_and_near)));
    assert!(!query.matches(&entity(location, vec![instance(geo, None, &point(50.0))])));
    let plain = instance(AttributeType::Property, None, &point(5.0));
    assert!(!query.matches(&entity(location, vec![plain])));
    let elsewhere = entity("https://example.org/space", vec![instance(geo, None, &point(5.0))]);
    assert!(!query.matches(&elsewhere));
    let named = GeoQuery::parse("within", "Point", "[5,0]", Some("space"), &ExampleTerms).unwrap();
    assert!(named.matches(&elsewhere));
}

#[test]
fn the_box_of_a_query_is_tight_where_it_can_be() {
    let bounds = |georel: &str, coordinates: &str| {
        parse(georel, "Point", coordinates).unwrap().bounding_rect()
    };
    let near = bounds("near;maxDistance==1000", "[139.7,35.6]").unwrap();
    assert!(near.width() < 0.03 && near.height() < 0.02, "{near:?}");
    assert_eq!(bounds("near;minDistance==1000", "[139.7,35.6]"), None);
    assert_eq!(bounds("near;maxDistance==20000000", "[139.7,35.6]"), None);
    let pole = bounds("near;maxDistance==30000", "[0,89.9]").unwrap();
    assert_eq!((pole.min().x, pole.max().x, pole.max().y), (-180.0, 180.0, 90.0));
    let antimeridian = bounds("near;maxDistance==30000", "[179.9,0]").unwrap();
    assert_eq!((antimeridian.min().x, antimeridian.max().x), (-180.0, 180.0));
    assert!(antimeridian.height() < 1.0);
}
