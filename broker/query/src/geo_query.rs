//! The geographical query language (CIM 009, clause 4.10).

use geo_types::{Geometry, Rect};
use musubi_model::{AttrName, AttributeType, Entity, parse_geometry};
use serde::{Deserialize, Serialize};

use crate::{InvalidQuery, Terms};

mod bounds;
mod distance;
mod parse;
mod within;

/// A condition on an entity's geometry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeoQuery {
    /// The `GeoProperty` that is looked at; `location` unless the request says otherwise.
    pub property: AttrName,
    /// How the entity's geometry has to stand to the reference.
    pub relation: GeoRelation,
    /// The reference. Longitude and latitude in degrees.
    pub geometry: Geometry<f64>,
}

/// A relation between geometries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum GeoRelation {
    /// At most so many metres away, along the ellipsoid.
    NearAtMost(f64),
    /// At least so many metres away, along the ellipsoid.
    NearAtLeast(f64),
    /// The entity's geometry lies within the reference; its border belongs to it.
    Within,
}

impl GeoQuery {
    /// The most positions of a reference geometry. The work of one comparison grows with the
    /// product of the positions of both geometries.
    pub const MAX_POSITIONS: usize = 2_000;

    /// Reads the four parameters `georel`, `geometry`, `coordinates` and `geoproperty`.
    ///
    /// # Errors
    ///
    /// [`InvalidQuery`] if one of them is malformed, names a relation or geometry that is not
    /// supported, or if the reference has more than [`MAX_POSITIONS`](Self::MAX_POSITIONS).
    pub fn parse(
        georel: &str,
        geometry: &str,
        coordinates: &str,
        geoproperty: Option<&str>,
        terms: &dyn Terms,
    ) -> Result<Self, InvalidQuery> {
        let relation = parse::relation(georel)?;
        let geometry = parse::geometry(geometry, coordinates)?;
        let property = parse::property(geoproperty, terms)?;
        Ok(Self { property, relation, geometry })
    }

    /// Whether `entity` satisfies this condition: whether the geometry of one instance of the
    /// property does.
    pub fn matches(&self, entity: &Entity) -> bool {
        let Some(attribute) = entity.attribute(&self.property) else { return false };
        attribute
            .instances
            .iter()
            .filter(|instance| instance.value.kind == AttributeType::GeoProperty)
            .filter_map(|instance| parse_geometry(&instance.value.json).ok())
            .any(|geometry| self.matches_geometry(&geometry))
    }

    /// Whether a geometry stands in the relation to the reference.
    ///
    /// The distance between two points is that along the ellipsoid (WGS 84). Between other
    /// geometries it is 0 if they have a point in common, seen as figures in the plane of
    /// longitude and latitude. Else it is the distance along the ellipsoid between an end or
    /// corner of one and the place on a side of the other that are nearest to each other on the
    /// sphere. Sides are straight in longitude and latitude (RFC 7946, section 3.1.1).
    ///
    /// Within is decided in the plane of longitude and latitude.
    pub fn matches_geometry(&self, geometry: &Geometry<f64>) -> bool {
        match self.relation {
            GeoRelation::NearAtMost(metres) => {
                bounds::may_be_near(self, geometry)
                    && distance::metres(&self.geometry, geometry) <= metres
            }
            GeoRelation::NearAtLeast(metres) => {
                distance::metres(&self.geometry, geometry) >= metres
            }
            GeoRelation::Within => within::is_within(geometry, &self.geometry),
        }
    }

    /// A box of longitudes and latitudes: a geometry that has no point in common with it does
    /// not match. None if any geometry may match, wherever it is.
    pub fn bounding_rect(&self) -> Option<Rect<f64>> {
        bounds::of(self)
    }
}

#[cfg(test)]
mod tests;
