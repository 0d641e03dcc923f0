//! What queries found, to be paged over.

use serde_json::json;

use super::document::example_of;
use super::operation::{LOCAL, Operation, SHOWN, delete, get, patch, post};
use super::path::Path;
use crate::entity_query;
use crate::request::listing;
use crate::temporal::{parameters, query};

const TAG: &str = "Entity maps";
const MAP: &[&str] = &["entityMap"];

pub(super) fn paths() -> Vec<Path> {
    vec![collection(), temporal(), one()]
}

fn collection() -> Path {
    Path::of_names(TAG, "/ngsi-ld/v1/entityMaps", &[])
        .with(
            makes(get("createEntityMap", "Make a map of the entities that a query finds"))
                .about(
                    "The parameters are those of the query; what they say of how entities are to \
                     look, and of which page is wanted, makes no difference.",
                )
                .clause("6.34.3.1")
                .query(&listing::PARAMETERS)
                .options(SHOWN)
                .tries(&[("type", "EvacuationShelter")]),
        )
        .with(
            makes(post("createEntityMapByBody", "Make a map of what a query in the body finds"))
                .clause("6.34.3.2")
                .query(&entity_query::PARAMETERS)
                .options(SHOWN)
                .takes("Query", &["NearQuery"])
                .may_fail(&[404]),
        )
}

fn temporal() -> Path {
    Path::of_names(TAG, "/ngsi-ld/v1/temporal/entityMaps", &[])
        .with(
            makes(get("createTemporalEntityMap", "Make a map of what a query of the past finds"))
                .about("The parameters are those of the query, as with the maps of what is.")
                .clause("6.35.3.1")
                .query(&query::PARAMETERS)
                .options(parameters::OPTIONS)
                .tries(&[
                    ("type", "EvacuationShelter"),
                    ("timerel", "after"),
                    ("timeAt", "2020-01-01T00:00:00Z"),
                    ("timeproperty", "modifiedAt"),
                ])
                .may_fail(&[422]),
        )
        .with(
            makes(post(
                "createTemporalEntityMapByBody",
                "Make a map of what a query of the past in the body finds",
            ))
            .clause("6.35.3.2")
            .query(&query::POSTED)
            .options(parameters::OPTIONS)
            .takes("TemporalQuery", &["SinceQuery"])
            .may_fail(&[404, 422]),
        )
}

fn one() -> Path {
    Path::of_tenant(TAG, "/ngsi-ld/v1/entityMaps/{id}", MAP)
        .with(
            get("retrieveEntityMap", "Retrieve an entity map")
                .clause("6.32.3.1")
                .query(LOCAL)
                .shows("EntityMap", &["ShelterMap"]),
        )
        .with(
            patch("updateEntityMap", "Let an entity map live until another time")
                .about(
                    "At most four hours from now on. What only the broker writes is ignored, as \
                     the clause says.",
                )
                .clause("6.32.3.2")
                .query(LOCAL)
                .takes("EntityMapFragment", &["LaterExpiry"])
                .does()
                .may_fail(&[404, 504, 507]),
        )
        .with(
            delete("deleteEntityMap", "Delete an entity map")
                .clause("6.32.3.3")
                .query(LOCAL)
                .does()
                .may_fail(&[404, 507]),
        )
}

/// What is common to the four ways of making a map.
fn makes(operation: Operation) -> Operation {
    let reference = json!({ "$ref": "#/components/schemas/EntityMap" });
    let examples = json!({ "ShelterMap": example_of("ShelterMap") });
    let content = json!({
        "application/json": { "schema": reference, "examples": examples },
        "application/ld+json": { "schema": reference },
    });
    operation
        .about(
            "A query that names the map in its NGSILD-EntityMap header has its pages cut from it. \
             It lists 10,000 entities at most and lives five minutes, unless entityMapLifetime \
             asks for another time. A tenant has 500 maps at most: for one more, the one that \
             expires first is deleted.",
        )
        .answers_with(201, "The map.", Some(content), &["Link", "NGSILD-EntityMap"])
        .may_fail(&[406, 507])
}
