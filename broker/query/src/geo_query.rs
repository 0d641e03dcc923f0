//! The geographical query language (CIM 009, clause 4.10).

use geo_types::{Geometry, Rect};
use musubi_model::{AttrName, AttributeType, Entity, parse_geometry};
use serde::{Deserialize, Serialize};

use crate::{InvalidQuery, Stopped, Terms};

mod area;
mod bounds;
mod distance;
mod parse;
mod sides;
mod topology;

pub(crate) use distance::spherical_metres;
pub(crate) use parse::reference;

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

/// How the geometry of an entity has to stand to the reference (CIM 009, clause 4.10).
///
/// Near and not near are meant in metres; how they are measured is said at
/// [`GeoQuery::matches_geometry`]. The others are the relations of OGC 06-103r4 (DE-9IM) in the
/// plane of longitude and latitude.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum GeoRelation {
    /// `near;maxDistance`: at most so many metres away, along the ellipsoid.
    NearAtMost(f64),
    /// `near;minDistance`: outside of the circle or belt of so many metres around the reference,
    /// along the ellipsoid.
    NearAtLeast(f64),
    /// `within`: no place of it is outside of the reference, and some place is inside. The border
    /// of an area and the ends of a line are not inside.
    Within,
    /// `contains`: the reference is within it.
    Contains,
    /// `intersects`: they have a place in common.
    Intersects,
    /// `equals`: they have the same places.
    Equals,
    /// `disjoint`: they have no place in common.
    Disjoint,
    /// `overlaps`: both are areas, both lines or both places, and have such a part in common, but
    /// each has one of its own as well.
    Overlaps,
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
        self.matches_while(entity, &mut || true) == Ok(true)
    }

    /// Whether `entity` satisfies this condition, as [`matches`](Self::matches) says it. It is asked
    /// before each geometry whether to go on.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if it was not to go on.
    pub fn matches_while(
        &self,
        entity: &Entity,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, Stopped> {
        let Some(attribute) = entity.attribute(&self.property) else { return Ok(false) };
        for instance in &attribute.instances {
            if instance.value.kind != AttributeType::GeoProperty {
                continue;
            }
            Stopped::unless(goes_on())?;
            let geometry = parse_geometry(&instance.value.json).ok();
            if geometry.is_some_and(|geometry| self.matches_geometry(&geometry)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a geometry stands in the relation to the reference.
    ///
    /// The distance between two points is that along the ellipsoid (WGS 84). Between other
    /// geometries it is 0 if they have a point in common, seen as figures in the plane of
    /// longitude and latitude. Else it is the distance along the ellipsoid between an end or
    /// corner of one and the place on a side of the other that are nearest to each other on the
    /// sphere. Sides are straight in longitude and latitude (RFC 7946, section 3.1.1).
    ///
    /// The sides of a polygon may cross each other: its area is then what its outer ring winds
    /// around, less what its holes wind around. The area of several polygons is what belongs to at
    /// least one of them.
    ///
    /// The work is bounded, however the geometries lie: of 200,000 pairs of sides compared the
    /// nearest counts as such; sides are found to meet among the first 1,000,000 pairs that are
    /// near each other; and a geometry is not within another one, does not contain, equal or
    /// overlap it, if there are more than 200,000 pairs of sides near each other in one of them or
    /// between both. Geometries of real things are far from that.
    pub fn matches_geometry(&self, geometry: &Geometry<f64>) -> bool {
        match self.relation {
            GeoRelation::NearAtMost(metres) => {
                bounds::may_be_near(self, geometry)
                    && distance::is_at_most(metres, &self.geometry, geometry)
            }
            GeoRelation::NearAtLeast(metres) => distance::metres(&self.geometry, geometry) > metres,
            GeoRelation::Within => topology::is_within(geometry, &self.geometry),
            GeoRelation::Contains => topology::is_within(&self.geometry, geometry),
            GeoRelation::Intersects => topology::meet(geometry, &self.geometry),
            GeoRelation::Equals => topology::are_equal(geometry, &self.geometry),
            GeoRelation::Disjoint => !topology::meet(geometry, &self.geometry),
            GeoRelation::Overlaps => topology::overlap(geometry, &self.geometry),
        }
    }

    /// A box of longitudes and latitudes: a geometry that has no point in common with it does
    /// not match. None if any geometry may match, wherever it is.
    pub fn bounding_rect(&self) -> Option<Rect<f64>> {
        bounds::of(self)
    }

    /// Whether a point in this box matches, wherever in it the point is; none if that depends on
    /// the place, or is not known. The box may be smaller by a tenth of a millimetre than what the
    /// point is in.
    ///
    /// What is `near` a place is decided by a small box; other relations by none.
    pub fn decides(&self, rect: Rect<f64>) -> Option<bool> {
        bounds::decides(self, rect)
    }
}

#[cfg(test)]
mod tests;
