//! Geometries: the GeoJSON of a `GeoProperty` (CIM 009, clause 4.7; RFC 7946).

use geo_types::{
    Coord, Geometry, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon,
};

use crate::{Document, Json, Limits, Node};

/// Why a JSON value is no geometry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a GeoJSON geometry: {0}")]
pub struct InvalidGeometry(pub String);

/// The most positions of a geometry.
const MAX_POSITIONS: usize = 20_000;

/// Reads a GeoJSON geometry: `Point`, `MultiPoint`, `LineString`, `MultiLineString`, `Polygon` or
/// `MultiPolygon`, longitude first. A third number of a position, the height, is not kept. Other
/// members of the object, such as `bbox`, are not looked at.
///
/// # Errors
///
/// [`InvalidGeometry`] if it is not one, if a position has not two or three finite numbers or
/// lies outside the world (longitudes from -180 to 180 and latitudes from -90 to 90 degrees), if
/// a line has fewer than two positions, if a ring has fewer than four or is not closed, or if there
/// are more than 20,000 positions. Sides of a polygon may cross each other, because devices and
/// maps do send such outlines; what the area of one is, the queries say.
pub fn parse_geometry(json: &Json) -> Result<Geometry<f64>, InvalidGeometry> {
    if let Some(place) = plain_point(json) {
        return Ok(Point(place).into());
    }
    let limits = Limits { depth: Limits::MAX_DEPTH };
    let node =
        Node::parse(json.as_str(), limits).map_err(|error| InvalidGeometry(error.to_string()))?;
    if node.as_object().is_none() {
        return refuse("it is no object");
    }
    let Some(kind) = node.member("type").and_then(Node::as_str) else {
        return refuse("it has no type");
    };
    let Some(coordinates) = node.member("coordinates") else {
        if kind == "GeometryCollection" {
            return refuse("a GeometryCollection is not supported");
        }
        return refuse("it has no coordinates");
    };
    if positions(coordinates) > MAX_POSITIONS {
        return refuse(format!("it has more than {MAX_POSITIONS} positions"));
    }
    match kind {
        "Point" => position(coordinates).map(|position| Point(position).into()),
        "MultiPoint" => {
            let points = each(coordinates, 1, "position", |node| position(node).map(Point))?;
            Ok(MultiPoint(points).into())
        }
        "LineString" => line(coordinates).map(Into::into),
        "MultiLineString" => Ok(MultiLineString(each(coordinates, 1, "line", line)?).into()),
        "Polygon" => polygon(coordinates).map(Into::into),
        "MultiPolygon" => Ok(MultiPolygon(each(coordinates, 1, "polygon", polygon)?).into()),
        other => {
            let shown: String = other.chars().take(80).collect();
            refuse(format!("the type {shown:?} is not supported"))
        }
    }
}

/// The place of a point that is written as most are, which is read without a tree.
fn plain_point(json: &Json) -> Option<Coord<f64>> {
    let text = json.as_str().strip_prefix(r#"{"type":"Point","coordinates":["#)?;
    let (x, y) = text.strip_suffix("]}")?.split_once(',')?;
    let (x, y) = (x.parse().ok()?, y.parse().ok()?);
    let is_in_the_world = (-180.0..=180.0).contains(&x) && (-90.0..=90.0).contains(&y);
    is_in_the_world.then_some(Coord { x, y })
}

/// How many positions there are in coordinates of any shape.
fn positions(node: &Node<'_>) -> usize {
    match node.as_array() {
        Some(elements) if elements.iter().any(|element| element.as_array().is_some()) => {
            elements.iter().map(positions).sum()
        }
        Some(_) | None => 1,
    }
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, InvalidGeometry> {
    Err(InvalidGeometry(reason.into()))
}

/// The elements of an array that has at least `least` of them.
fn each<T>(
    node: &Node<'_>,
    least: usize,
    what: &str,
    read: impl Fn(&Node<'_>) -> Result<T, InvalidGeometry>,
) -> Result<Vec<T>, InvalidGeometry> {
    let Some(elements) = node.as_array() else {
        return refuse(format!("where an array of {what}s should be stands {}", shown(node)));
    };
    if elements.len() < least {
        let plural = if least == 1 { "" } else { "s" };
        return refuse(format!(
            "at least {least} {what}{plural} needed, and there are {}",
            elements.len()
        ));
    }
    elements.iter().map(read).collect()
}

fn shown(node: &Node<'_>) -> String {
    node.raw.chars().take(40).collect()
}

fn position(node: &Node<'_>) -> Result<Coord<f64>, InvalidGeometry> {
    let Some(numbers @ ([_, _] | [_, _, _])) = node.as_array() else {
        return refuse(format!(
            "a position is an array of two or three numbers, not {}",
            shown(node)
        ));
    };
    let number = |index: usize| match numbers.get(index).map(|node| &node.document) {
        Some(Document::Number(number)) => Some(*number),
        _ => None,
    };
    let height_is_one = numbers.len() < 3 || number(2).is_some();
    let (Some(x), Some(y), true) = (number(0), number(1), height_is_one) else {
        return refuse(format!(
            "a position is an array of two or three numbers, not {}",
            shown(node)
        ));
    };
    if !(-180.0..=180.0).contains(&x) {
        return refuse(format!("the longitude {x} is not between -180 and 180"));
    }
    if !(-90.0..=90.0).contains(&y) {
        return refuse(format!("the latitude {y} is not between -90 and 90"));
    }
    Ok(Coord { x, y })
}

fn line(node: &Node<'_>) -> Result<LineString<f64>, InvalidGeometry> {
    each(node, 2, "position", position).map(LineString)
}

fn ring(node: &Node<'_>) -> Result<LineString<f64>, InvalidGeometry> {
    let positions = each(node, 4, "position", position)?;
    if positions.first() != positions.last() {
        return refuse("the last position of a ring has to be the same as the first");
    }
    Ok(LineString(positions))
}

fn polygon(node: &Node<'_>) -> Result<Polygon<f64>, InvalidGeometry> {
    let mut rings = each(node, 1, "ring", ring)?.into_iter();
    let Some(outer) = rings.next() else { return refuse("a polygon has no ring") };
    Ok(Polygon::new(outer, rings.collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Geometry<f64>, InvalidGeometry> {
        parse_geometry(&Json::parse(text).unwrap())
    }

    proptest! {
        #[test]
        fn a_point_is_read_the_same_whatever_comes_first(
            coordinates in "(\\[|)(-?[0-9]{1,3}(\\.[0-9]{1,3})?(e[0-2])?|null|\"1\"|\\[1\\])(,-?[0-9]{1,2}){0,3}(\\]|)",
        ) {
            let plain = format!(r#"{{"type":"Point","coordinates":[{coordinates}]}}"#);
            let other = format!(r#"{{"coordinates":[{coordinates}],"type":"Point"}}"#);
            let (Ok(plain), Ok(other)) = (Json::parse(&plain), Json::parse(&other)) else {
                return Ok(());
            };
            prop_assert_eq!(parse_geometry(&plain), parse_geometry(&other));
        }
    }

    #[test]
    fn every_kind_of_geometry_is_read() {
        let check =
            |text: &str, expected: Geometry<f64>| assert_eq!(parse(text).unwrap(), expected);
        let at = |x: f64, y: f64| Coord { x, y };
        let square = |low: f64, high: f64| {
            LineString(vec![
                at(low, low),
                at(high, low),
                at(high, high),
                at(low, high),
                at(low, low),
            ])
        };
        check(r#"{"type":"Point","coordinates":[139.7,35.6]}"#, Point(at(139.7, 35.6)).into());
        check(
            r#"{"type":"Point","coordinates":[139.7,35.6,12.5],"bbox":0}"#,
            Point(at(139.7, 35.6)).into(),
        );
        check(
            r#"{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}"#,
            MultiPoint(vec![Point(at(1.0, 2.0)), Point(at(3.0, 4.0))]).into(),
        );
        check(
            r#"{"type":"LineString","coordinates":[[1,2],[3,4]]}"#,
            LineString(vec![at(1.0, 2.0), at(3.0, 4.0)]).into(),
        );
        check(
            r#"{"type":"MultiLineString","coordinates":[[[1,2],[3,4]]]}"#,
            MultiLineString(vec![LineString(vec![at(1.0, 2.0), at(3.0, 4.0)])]).into(),
        );
        check(
            r#"{"type":"Polygon","coordinates":[[[0,0],[9,0],[9,9],[0,9],[0,0]],[[1,1],[2,1],[2,2],[1,2],[1,1]]]}"#,
            Polygon::new(square(0.0, 9.0), vec![square(1.0, 2.0)]).into(),
        );
        check(
            r#"{"type":"MultiPolygon","coordinates":[[[[0,0],[9,0],[9,9],[0,9],[0,0]]]]}"#,
            MultiPolygon(vec![Polygon::new(square(0.0, 9.0), vec![])]).into(),
        );
    }

    #[test]
    fn what_is_no_geometry_is_refused_with_the_reason() {
        let check = |text: &str, reason: &str| {
            assert_eq!(parse(text).unwrap_err().0, reason, "{text}");
        };
        check("\"not a geometry\"", "it is no object");
        check("{}", "it has no type");
        check(r#"{"type":7,"coordinates":[]}"#, "it has no type");
        check(r#"{"type":"Point"}"#, "it has no coordinates");
        check(
            r#"{"type":"GeometryCollection","geometries":[]}"#,
            "a GeometryCollection is not supported",
        );
        check(r#"{"type":"Circle","coordinates":[]}"#, "the type \"Circle\" is not supported");
        check(
            r#"{"type":"Point","coordinates":[1]}"#,
            "a position is an array of two or three numbers, not [1]",
        );
        check(
            r#"{"type":"Point","coordinates":[1,2,3,4]}"#,
            "a position is an array of two or three numbers, not [1,2,3,4]",
        );
        check(
            r#"{"type":"Point","coordinates":[1,"2"]}"#,
            "a position is an array of two or three numbers, not [1,\"2\"]",
        );
        check(
            r#"{"type":"Point","coordinates":[1,2,null]}"#,
            "a position is an array of two or three numbers, not [1,2,null]",
        );
        check(
            r#"{"type":"Point","coordinates":[180.5,0]}"#,
            "the longitude 180.5 is not between -180 and 180",
        );
        check(
            r#"{"type":"Point","coordinates":[35.6,139.7]}"#,
            "the latitude 139.7 is not between -90 and 90",
        );
        check(
            r#"{"type":"MultiPoint","coordinates":[]}"#,
            "at least 1 position needed, and there are 0",
        );
        check(
            r#"{"type":"LineString","coordinates":[[1,2]]}"#,
            "at least 2 positions needed, and there are 1",
        );
        check(
            r#"{"type":"LineString","coordinates":5}"#,
            "where an array of positions should be stands 5",
        );
        check(
            r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[0,0]]]}"#,
            "at least 4 positions needed, and there are 3",
        );
        check(
            r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}"#,
            "the last position of a ring has to be the same as the first",
        );
    }

    #[test]
    fn a_polygon_may_cross_itself() {
        let bow_tie = r#"{"type":"Polygon","coordinates":[[[0,0],[2,2],[2,0],[0,2],[0,0]]]}"#;
        assert!(parse(bow_tie).is_ok());
    }

    #[test]
    fn a_geometry_of_too_many_positions_is_refused() {
        let line = |count: usize| {
            let positions = vec!["[1,2]"; count].join(",");
            parse(&format!("{{\"type\":\"LineString\",\"coordinates\":[{positions}]}}"))
        };
        assert!(line(MAX_POSITIONS).is_ok());
        assert_eq!(line(MAX_POSITIONS + 1).unwrap_err().0, "it has more than 20000 positions");
    }

    proptest! {
        #[test]
        fn any_json_is_read_or_refused(kind in "Point|MultiPoint|LineString|Polygon|MultiPolygon", inner in "[\\[\\],0-9.\\-]{0,40}") {
            if let Ok(json) = Json::parse(&format!("{{\"type\":\"{kind}\",\"coordinates\":[{inner}]}}")) {
                let _ = parse_geometry(&json);
            }
        }
    }
}
