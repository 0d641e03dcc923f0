//! The geo query of a subscription (CIM 009, clause 5.2.13).

use musubi_context::Context;
use musubi_model::Json;
use musubi_query::GeoQuery;
use serde::{Deserialize, Serialize};

use super::InvalidSubscription;
use super::member::Member;
use crate::matching::terms::ContextTerms;

/// A geo query as the client wrote it, and what it means.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WrittenGeoQuery {
    pub(crate) relation: String,
    pub(crate) geometry: String,
    pub(crate) coordinates: Json,
    /// Whether the client named the property.
    pub(crate) property_given: bool,
    pub(crate) meaning: GeoQuery,
}

impl WrittenGeoQuery {
    pub(super) fn read(value: &Member<'_>, context: &Context) -> Result<Self, InvalidSubscription> {
        let (mut relation, mut geometry, mut coordinates, mut property) = (None, None, None, None);
        for (name, item) in value.members()? {
            match name {
                "georel" => relation = Some(item.bounded()?),
                "geometry" => geometry = Some(item.bounded()?),
                "coordinates" => coordinates = Some(item.node),
                "geoproperty" => property = Some(item.bounded()?),
                _ => return Err(item.refuse("a geo query has no such member")),
            }
        }
        let relation = relation.ok_or_else(|| value.missing("georel"))?;
        let geometry = geometry.ok_or_else(|| value.missing("geometry"))?;
        let coordinates = coordinates.ok_or_else(|| value.missing("coordinates"))?;
        let given = coordinates.to_json();
        // The array may also be written as a string that holds it (CIM 009, clause 4.7.1).
        let text = coordinates.as_str().unwrap_or(given.as_str());
        let meaning = GeoQuery::parse(relation, geometry, text, property, &ContextTerms(context))
            .map_err(|error| value.refuse(error))?;
        Ok(Self {
            relation: relation.to_owned(),
            geometry: geometry.to_owned(),
            coordinates: given,
            property_given: property.is_some(),
            meaning,
        })
    }
}
