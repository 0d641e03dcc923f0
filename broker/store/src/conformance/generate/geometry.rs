//! Geometries, on both sides of a question.

use geo_types::{Coord, Geometry, LineString, Point, Polygon};
use musubi_query::{GeoQuery, GeoRelation};
use serde_json::{Value as Tree, json};

use super::Generator;

/// Longitude and latitude: places in a few towns, and where the world is sewn together.
const PLACES: [(f64, f64); 12] = [
    (136.9671, 37.0434),
    (136.9672, 37.0434),
    (136.9671, 37.0534),
    (136.90, 37.00),
    (139.5503, 35.3192),
    (139.5467, 35.3156),
    (0.0, 0.0),
    (179.9995, 10.0),
    (-179.9995, 10.0),
    (25.0, 89.9995),
    (-155.0, 89.9995),
    (180.0, -90.0),
];

/// Metres.
const DISTANCES: [f64; 9] =
    [0.0, 10.0, 150.0, 1_000.0, 2_500.0, 20_000.0, 400_000.0, 10_000_000.0, 21_000_000.0];

impl Generator {
    /// The JSON of a geometry; rarely of one that is none, or that crosses itself.
    pub(super) fn geometry(&mut self) -> Tree {
        let (longitude, latitude) = *self.random.pick(&PLACES);
        match self.random.below(20) {
            0..=10 => json!({ "type": "Point", "coordinates": [longitude, latitude] }),
            11 => json!({ "type": "Point", "coordinates": [longitude, latitude, 12.5] }),
            12 => {
                json!({ "type": "MultiPoint", "coordinates": [self.position(), self.position()] })
            }
            13 | 14 => {
                json!({ "type": "LineString", "coordinates": [self.position(), self.position()] })
            }
            15 => json!({ "type": "MultiLineString", "coordinates":
                [[self.position(), self.position()], [self.position(), self.position()]] }),
            16 | 17 => json!({ "type": "Polygon", "coordinates": [self.ring()] }),
            18 => json!({ "type": "MultiPolygon", "coordinates": [[self.ring()], [self.ring()]] }),
            _ if self.random.chance(50) => json!({ "type": "Polygon", "coordinates":
                [[[1.0, 1.0], [2.0, 2.0], [2.0, 1.0], [1.0, 2.0], [1.0, 1.0]]] }),
            _ => json!({ "type": "Point", "coordinates": ["north", null] }),
        }
    }

    /// A question for geometries.
    pub fn geo_query(&mut self) -> GeoQuery {
        let geo_properties: Vec<_> = self.vocabulary.attributes.iter().take(3).cloned().collect();
        let (property, _) = self.random.pick(&geo_properties).clone();
        let relation = match self.random.below(5) {
            0 | 1 => GeoRelation::NearAtMost(*self.random.pick(&DISTANCES)),
            2 => GeoRelation::NearAtLeast(*self.random.pick(&DISTANCES)),
            _ => GeoRelation::Within,
        };
        let geometry = match (relation, self.random.below(10)) {
            (GeoRelation::Within, 0..=7) | (_, 0) => Geometry::Polygon(self.polygon()),
            (_, 1) => {
                let ends = [self.coordinate(), self.coordinate()];
                Geometry::LineString(LineString::from(ends.to_vec()))
            }
            _ => Geometry::Point(Point(self.coordinate())),
        };
        GeoQuery { property, relation, geometry }
    }

    fn coordinate(&mut self) -> Coord<f64> {
        let (x, y) = *self.random.pick(&PLACES);
        Coord { x, y }
    }

    fn position(&mut self) -> Tree {
        let Coord { x, y } = self.coordinate();
        json!([x, y])
    }

    fn ring(&mut self) -> Tree {
        let ring = self.polygon().exterior().0.iter().map(|at| json!([at.x, at.y])).collect();
        Tree::Array(ring)
    }

    /// A rectangle around a place, with places on its edge at times.
    fn polygon(&mut self) -> Polygon<f64> {
        let Coord { x, y } = self.coordinate();
        let half = *self.random.pick(&[0.0001, 0.01, 0.1, 5.0]);
        let (west, east) = ((x - half).max(-180.0), (x + half).min(180.0));
        let (south, north) = ((y - half).max(-90.0), (y + half).min(90.0));
        let ring = vec![(west, south), (east, south), (east, north), (west, north), (west, south)];
        Polygon::new(LineString::from(ring), Vec::new())
    }
}
