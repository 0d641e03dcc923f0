//! The relations of all kinds of geometries.

use super::*;

const RELATIONS: [&str; 6] = ["within", "contains", "intersects", "equals", "disjoint", "overlaps"];

/// The relation seen from the other side.
fn turned<'a>(georel: &&'a str) -> &'a str {
    match *georel {
        "within" => "contains",
        "contains" => "within",
        other => other,
    }
}

/// Checks which relations hold of a target to a reference, and the other way around.
fn check(target: (&str, &str), reference: (&str, &str), expected: &[&str]) {
    let holding = |target: (&str, &str), reference: (&str, &str)| -> Vec<&str> {
        let holds = |georel: &&str| {
            let query = parse(georel, reference.0, reference.1).unwrap();
            query.matches_geometry(&geometry(target.0, target.1))
        };
        RELATIONS.into_iter().filter(holds).collect()
    };
    assert_eq!(holding(target, reference), expected, "{target:?} to {reference:?}");
    let mut back: Vec<&str> = expected.iter().map(turned).collect();
    back.sort_by_key(|georel| RELATIONS.iter().position(|other| other == georel));
    assert_eq!(holding(reference, target), back, "{reference:?} to {target:?}");
}

const SQUARE: (&str, &str) = ("Polygon", "[[[0,0],[4,0],[4,4],[0,4],[0,0]]]");
const LINE: (&str, &str) = ("LineString", "[[0,0],[4,4]]");

#[test]
fn points() {
    check(("Point", "[1,1]"), ("Point", "[1,1]"), &["within", "contains", "intersects", "equals"]);
    check(("Point", "[1,1]"), ("Point", "[1,2]"), &["disjoint"]);
    check(("Point", "[1,1]"), ("MultiPoint", "[[1,1],[2,2]]"), &["within", "intersects"]);
    check(
        ("Point", "[1,1]"),
        ("MultiPoint", "[[1,1],[1,1]]"),
        &["within", "contains", "intersects", "equals"],
    );
    check(
        ("MultiPoint", "[[1,1],[2,2]]"),
        ("MultiPoint", "[[2,2],[3,3]]"),
        &["intersects", "overlaps"],
    );
    check(("MultiPoint", "[[1,1],[2,2]]"), ("MultiPoint", "[[0,0],[3,3]]"), &["disjoint"]);
    check(("Point", "[1,1]"), LINE, &["within", "intersects"]);
    check(("Point", "[0,0]"), LINE, &["intersects"]);
    check(("Point", "[1,2]"), LINE, &["disjoint"]);
    check(
        ("Point", "[1,1]"),
        ("MultiLineString", "[[[0,0],[2,2]],[[5,5],[6,6]]]"),
        &["within", "intersects"],
    );
    check(("MultiPoint", "[[1,1],[0,0]]"), LINE, &["within", "intersects"]);
    check(("MultiPoint", "[[1,1],[9,9]]"), LINE, &["intersects"]);
    check(("Point", "[1,1]"), SQUARE, &["within", "intersects"]);
    check(("Point", "[0,1]"), SQUARE, &["intersects"]);
    check(("Point", "[0,0]"), SQUARE, &["intersects"]);
    check(("Point", "[5,1]"), SQUARE, &["disjoint"]);
    check(("MultiPoint", "[[1,1],[0,0]]"), SQUARE, &["within", "intersects"]);
    check(("MultiPoint", "[[4,4],[0,0]]"), SQUARE, &["intersects"]);
    check(("MultiPoint", "[[1,1],[9,9]]"), SQUARE, &["intersects"]);
    check(("Point", "[5,5]"), ("Polygon", HOLED), &["disjoint"]);
    check(("Point", "[4,5]"), ("Polygon", HOLED), &["intersects"]);
}

#[test]
fn lines() {
    check(
        LINE,
        ("LineString", "[[4,4],[2,2],[0,0]]"),
        &["within", "contains", "intersects", "equals"],
    );
    check(LINE, ("LineString", "[[0,0],[9,9]]"), &["within", "intersects"]);
    check(LINE, ("LineString", "[[2,2],[9,9]]"), &["intersects", "overlaps"]);
    check(LINE, ("LineString", "[[0,4],[4,0]]"), &["intersects"]);
    check(LINE, ("LineString", "[[4,4],[5,0]]"), &["intersects"]);
    check(LINE, ("LineString", "[[1,0],[5,4]]"), &["disjoint"]);
    check(LINE, ("MultiLineString", "[[[0,0],[4,4]],[[9,9],[8,9]]]"), &["within", "intersects"]);
    check(LINE, ("MultiLineString", "[[[0,0],[1,1]],[[9,9],[8,9]]]"), &["intersects", "overlaps"]);
    check(LINE, SQUARE, &["within", "intersects"]);
    check(("LineString", "[[0,0],[4,0]]"), SQUARE, &["intersects"]);
    check(("LineString", "[[1,1],[9,9]]"), SQUARE, &["intersects"]);
    check(("LineString", "[[-1,2],[2,-1]]"), SQUARE, &["intersects"]);
    check(("LineString", "[[-2,1],[1,-2]]"), SQUARE, &["disjoint"]);
    check(("LineString", "[[1,1],[9,1]]"), ("Polygon", HOLED), &["within", "intersects"]);
    check(("LineString", "[[1,5],[9,5]]"), ("Polygon", HOLED), &["intersects"]);
    check(("MultiLineString", "[[[1,1],[2,1]],[[3,3],[3,2]]]"), SQUARE, &["within", "intersects"]);
    // A line that crosses itself is a line.
    check(
        ("LineString", "[[1,1],[3,3],[3,1],[1,3]]"),
        ("LineString", "[[1,3],[3,1],[3,3],[1,1]]"),
        &["within", "contains", "intersects", "equals"],
    );
}

#[test]
fn areas() {
    let all = ["within", "contains", "intersects", "equals"];
    check(SQUARE, ("Polygon", "[[[4,4],[0,4],[0,0],[2,0],[4,0],[4,4]]]"), &all);
    check(SQUARE, ("Polygon", "[[[1,1],[2,1],[2,2],[1,1]]]"), &["contains", "intersects"]);
    check(SQUARE, ("Polygon", "[[[0,0],[2,0],[2,2],[0,2],[0,0]]]"), &["contains", "intersects"]);
    check(SQUARE, ("Polygon", "[[[2,2],[9,2],[9,9],[2,9],[2,2]]]"), &["intersects", "overlaps"]);
    check(SQUARE, ("Polygon", "[[[2,0],[6,0],[6,4],[2,4],[2,0]]]"), &["intersects", "overlaps"]);
    check(SQUARE, ("Polygon", "[[[4,0],[6,0],[6,4],[4,4],[4,0]]]"), &["intersects"]);
    check(SQUARE, ("Polygon", "[[[4,4],[6,4],[6,6],[4,4]]]"), &["intersects"]);
    check(SQUARE, ("Polygon", "[[[5,5],[6,5],[6,6],[5,5]]]"), &["disjoint"]);
    check(("Polygon", "[[[4,4],[6,4],[6,6],[4,6],[4,4]]]"), ("Polygon", HOLED), &["intersects"]);
    check(("Polygon", "[[[4.5,4.5],[5,4.5],[5,5],[4.5,4.5]]]"), ("Polygon", HOLED), &["disjoint"]);
    check(
        ("Polygon", "[[[1,1],[9,1],[9,9],[1,9],[1,1]]]"),
        ("Polygon", HOLED),
        &["intersects", "overlaps"],
    );
    let two = ("MultiPolygon", "[[[[0,0],[4,0],[4,4],[0,4],[0,0]]],[[[6,6],[7,6],[7,7],[6,6]]]]");
    check(SQUARE, two, &["within", "intersects"]);
    check(("MultiPolygon", "[[[[0,0],[4,0],[4,4],[0,4],[0,0]]]]"), SQUARE, &all);
    check(two, ("Polygon", "[[[6.5,0],[9,0],[9,9],[6.5,9],[6.5,0]]]"), &["intersects", "overlaps"]);
    check(("Point", "[6.8,6.5]"), two, &["within", "intersects"]);
    // Areas that touch in a place: that place is on the border of both.
    let touching = ("MultiPolygon", "[[[[0,0],[1,0],[1,1],[0,0]]],[[[1,1],[2,1],[2,2],[1,1]]]]");
    check(("Point", "[1,1]"), touching, &["intersects"]);
}

#[test]
fn the_area_of_a_polygon_that_crosses_itself_is_what_it_winds_around() {
    let all = ["within", "contains", "intersects", "equals"];
    let bow_tie = ("Polygon", "[[[0,0],[4,4],[4,0],[0,4],[0,0]]]");
    check(bow_tie, bow_tie, &all);
    check(("Point", "[1,2]"), bow_tie, &["within", "intersects"]);
    check(("Point", "[3,2]"), bow_tie, &["within", "intersects"]);
    check(("Point", "[2,1]"), bow_tie, &["disjoint"]);
    check(
        ("Polygon", "[[[0.5,1.5],[1,2],[0.5,2.5],[0.5,1.5]]]"),
        bow_tie,
        &["within", "intersects"],
    );
    check(("LineString", "[[1,2],[3,2]]"), bow_tie, &["within", "intersects"]);
    check(("LineString", "[[1.5,3],[2.5,3]]"), bow_tie, &["disjoint"]);
    check(bow_tie, SQUARE, &["within", "intersects"]);
    check(
        bow_tie,
        ("Polygon", "[[[-1,1],[5,1],[5,5],[-1,5],[-1,1]]]"),
        &["intersects", "overlaps"],
    );
    // The middle of a star is wound around twice.
    let star = ("Polygon", "[[[0,3],[6,3],[1,0],[3,5],[5,0],[0,3]]]");
    check(("Point", "[3,2.5]"), star, &["within", "intersects"]);
    check(("Polygon", "[[[2.9,2],[3.1,2],[3,2.2],[2.9,2]]]"), star, &["within", "intersects"]);
    // Polygons on each other are one area, and so are those side by side.
    let pile =
        ("MultiPolygon", "[[[[0,0],[3,0],[3,4],[0,4],[0,0]]],[[[2,0],[4,0],[4,4],[2,4],[2,0]]]]");
    check(("LineString", "[[1,1],[3.5,1]]"), pile, &["within", "intersects"]);
    check(("Polygon", "[[[1,1],[3.5,1],[3.5,3],[1,1]]]"), pile, &["within", "intersects"]);
    check(("Point", "[2.5,1]"), pile, &["within", "intersects"]);
    let nested =
        ("MultiPolygon", "[[[[0,0],[4,0],[4,4],[0,4],[0,0]]],[[[1,1],[2,1],[2,2],[1,1]]]]");
    check(("Polygon", "[[[0.5,0.5],[3,0.5],[3,3],[0.5,0.5]]]"), nested, &["within", "intersects"]);
    // A hole that reaches over the border takes away what it covers.
    let bitten = ("Polygon", "[[[0,0],[4,0],[4,4],[0,4],[0,0]],[[2,1],[6,1],[6,3],[2,3],[2,1]]]");
    check(("Polygon", "[[[2.5,1.5],[3,1.5],[3,2],[2.5,1.5]]]"), bitten, &["disjoint"]);
    check(("LineString", "[[1,2],[3,2]]"), bitten, &["intersects"]);
    check(("Polygon", "[[[0.5,0.5],[1,0.5],[1,1],[0.5,0.5]]]"), bitten, &["within", "intersects"]);
    // One without any area has places, but nothing is in it.
    let flat = ("Polygon", "[[[0,0],[4,4],[2,2],[0,0]]]");
    check(("Point", "[1,1]"), flat, &["intersects"]);
    check(("LineString", "[[0,4],[4,0]]"), flat, &["intersects"]);
}

#[test]
fn the_polygons_of_the_conformance_suite() {
    let entities = [
        "[[[13.315773,52.4757209],[13.339119,52.4443421],[13.3892441,52.4669371],[13.315773,52.4757209]]]",
        "[[[13.2865906,52.5648645],[13.2879639,52.5648645],[13.2797241,52.4988679],[13.477478,52.4712703],[13.5049438,52.5373084],[13.2865906,52.5648645]]]",
    ];
    let count = |georel, coordinates| {
        let query = parse(georel, "Polygon", coordinates).unwrap();
        let matches = |text: &&str| query.matches_geometry(&geometry("Polygon", text));
        entities.iter().filter(|text| matches(text)).count()
    };
    let over = "[[[13.3456421,52.4794848],[13.3641815,52.4428773],[13.4177399,52.4730023],[13.3459854,52.479903],[13.3456421,52.4794848]]]";
    let beside = "[[[13.1369019,52.5198225],[13.1365585,52.5200314],[13.131752,52.4980907],[13.1832504,52.5026887],[13.1369019,52.5198225]]]";
    assert_eq!(count("equals", entities[1]), 1);
    assert_eq!(count("intersects", over), 1);
    assert_eq!(count("overlaps", over), 1);
    assert_eq!(
        count(
            "contains",
            "[[[13.3844376,52.5356966],[13.3844376,52.5356966],[13.381691,52.5123012],[13.4235764,52.5100027],[13.4331894,52.5273425],[13.3844376,52.5356966]]]"
        ),
        1
    );
    assert_eq!(count("contains", beside), 0);
    assert_eq!(count("disjoint", beside), 2);
    assert_eq!(
        count(
            "within",
            "[[[13.3023834,52.4903066],[13.3027267,52.4905156],[13.2745743,52.465632],[13.3343124,52.4185447],[13.4311295,52.47107],[13.3023834,52.4903066]]]"
        ),
        1
    );
}
