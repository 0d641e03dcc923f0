//! Entities, one by one and by query.

use super::operation::{SHOWN, delete, get, patch, post, put};
use super::path::Path;
use crate::request::expanded::Operation as _;
use crate::request::listing;
use crate::{attribute, attributes, entities, entity, purge};

const TAG: &str = "Entities";
const ENTITY: &[&str] = &["entity"];
const ATTRIBUTE: &[&str] = &["entity", "attribute"];

pub(super) fn paths() -> Vec<Path> {
    vec![collection(), one(), attrs(), attr()]
}

fn collection() -> Path {
    Path::of_names(TAG, "/ngsi-ld/v1/entities", &[])
        .with(
            post("createEntity", "Create an entity")
                .clause("6.4.3.1")
                .query(entities::Create::PARAMETERS)
                .takes("NewEntity", &["Shelter", "Dock"])
                .header("If-None-Match")
                .creates()
                .warns()
                .may_fail(&[409, 412, 422, 507]),
        )
        .with(
            get("queryEntities", "Query entities")
                .about(
                    "At least one of type, attrs, q, georel and local=true has to be there. Pages \
                     are in the order of creation, unless orderBy says otherwise.",
                )
                .clause("6.4.3.2")
                .query(&listing::PARAMETERS)
                .options(SHOWN)
                .tries(&[("type", "EvacuationShelter"), ("format", "simplified")])
                .header("Prefer")
                .shows("Entities", &["ShownShelters"])
                .or_otherwise("FeatureCollection", "ShelterFeatures")
                .answer_header(200, "NGSILD-Results-Count")
                .makes_map(),
        )
        .with(
            delete("purgeEntities", "Delete the entities that a query finds")
                .about("With keep or drop, not the entities are deleted but attributes of them.")
                .clause("6.4.3.3")
                .query(&purge::PARAMETERS)
                .tries(&[("type", "EvacuationShelter"), ("drop", "occupancy")])
                .does()
                .does_in_part("BatchOperationResult", "BatchResult")
                .may_fail(&[404, 507]),
        )
}

fn one() -> Path {
    Path::of_names(TAG, "/ngsi-ld/v1/entities/{id}", ENTITY)
        .with(
            get("retrieveEntity", "Retrieve an entity")
                .clause("6.5.3.1")
                .query(&entity::RETRIEVE)
                .options(SHOWN)
                .header("Prefer")
                .shows("EntityOrEntities", &["ShownShelter", "SimplifiedShelter"])
                .or_otherwise("Feature", "ShelterFeature")
                .tagged()
                .of_map(),
        )
        .with(
            delete("deleteEntity", "Delete an entity")
                .clause("6.5.3.2")
                .query(entity::Delete::PARAMETERS)
                .conditional()
                .does()
                .may_fail(&[404, 507]),
        )
        .with(
            patch("mergeEntity", "Merge into an entity")
                .about("What the body does not mention stays as it is, on every level.")
                .clause("6.5.3.4")
                .query(entity::Merge::PARAMETERS)
                .options(&["normalized", "concise", "keyValues", "simplified"])
                .takes("EntityFragment", &["Count"])
                .changes_attributes(),
        )
        .with(
            put("replaceEntity", "Replace an entity")
                .clause("6.5.3.3")
                .query(entity::Replace::PARAMETERS)
                .takes("NewEntity", &["Replacement"])
                .conditional()
                .does()
                .warns()
                .may_fail(&[404, 507]),
        )
}

fn attrs() -> Path {
    Path::of_names(TAG, "/ngsi-ld/v1/entities/{id}/attrs", ENTITY)
        .with(
            post("appendAttributes", "Append attributes")
                .about("With noOverwrite, attributes that are there stay as they are.")
                .clause("6.6.3.1")
                .query(attributes::Append::PARAMETERS)
                .options(&["noOverwrite"])
                .takes("EntityFragment", &["Count"])
                .changes_attributes(),
        )
        .with(
            patch("updateAttributes", "Update attributes")
                .about("Attributes that are not there are not created.")
                .clause("6.6.3.2")
                .query(attributes::Update::PARAMETERS)
                .takes("EntityFragment", &["Count"])
                .changes_attributes(),
        )
}

fn attr() -> Path {
    Path::of_names(TAG, "/ngsi-ld/v1/entities/{id}/attrs/{attribute}", ATTRIBUTE)
        .with(
            patch("updateAttribute", "Update a part of an attribute")
                .clause("6.7.3.1")
                .query(attribute::Update::PARAMETERS)
                .takes("AttributeFragment", &["OneCount"])
                .changes_attributes(),
        )
        .with(
            put("replaceAttribute", "Replace an attribute")
                .clause("6.7.3.3")
                .query(attribute::Update::PARAMETERS)
                .takes("AttributeFragment", &["OneCount"])
                .changes_attributes(),
        )
        .with(
            delete("deleteAttribute", "Delete an attribute")
                .clause("6.7.3.2")
                .query(attribute::Delete::PARAMETERS)
                .conditional()
                .does()
                .may_fail(&[404, 507]),
        )
}
