//! Many entities with one request.

use serde_json::json;

use super::document::example_of;
use super::operation::{LOCAL, Operation, SHOWN, post};
use super::path::Path;
use crate::request::expanded::Operation as _;
use crate::{batch, entity_query};

const TAG: &str = "Batches";

pub(super) fn paths() -> Vec<Path> {
    vec![
        at(
            "/ngsi-ld/v1/entityOperations/create",
            creates(post("createEntities", "Create many entities"))
                .clause("6.14.3.1")
                .query(batch::Create::PARAMETERS)
                .takes("NewEntities", &["Shelters"]),
        ),
        at(
            "/ngsi-ld/v1/entityOperations/upsert",
            creates(post("upsertEntities", "Create or change many entities"))
                .about("What is there is replaced, or with options=update changed in part.")
                .clause("6.15.3.1")
                .query(batch::Upsert::PARAMETERS)
                .options(&["replace", "update"])
                .takes("NewEntities", &["Shelters"])
                .may_arrive_late()
                .does(),
        ),
        at(
            "/ngsi-ld/v1/entityOperations/update",
            post("updateEntities", "Append attributes to many entities")
                .about("With noOverwrite, attributes that are there stay as they are.")
                .clause("6.16.3.1")
                .query(batch::Update::PARAMETERS)
                .options(&["noOverwrite"])
                .takes("EntityFragments", &["Changes"])
                .may_arrive_late()
                .does(),
        ),
        at(
            "/ngsi-ld/v1/entityOperations/merge",
            post("mergeEntities", "Merge into many entities")
                .clause("6.31.3.1")
                .query(batch::Merge::PARAMETERS)
                .takes("EntityFragments", &["Changes"])
                .may_arrive_late()
                .does(),
        ),
        at(
            "/ngsi-ld/v1/entityOperations/delete",
            post("deleteEntities", "Delete many entities")
                .clause("6.17.3.1")
                .query(LOCAL)
                .takes("EntityIds", &["Ids"])
                .does(),
        ),
        Path::of_names(TAG, "/ngsi-ld/v1/entityOperations/query", &[]).with(
            post("queryEntitiesByBody", "Query entities with a query in the body")
                .about("For queries that are too long for a URL. No entity is changed.")
                .clause("6.23.3.1")
                .query(&entity_query::PARAMETERS)
                .options(SHOWN)
                .header("Prefer")
                .takes("Query", &["NearQuery"])
                .shows("Entities", &["ShownShelters"])
                .or_otherwise("FeatureCollection", "ShelterFeatures")
                .answer_header(200, "NGSILD-Results-Count")
                .makes_map()
                .may_fail(&[404]),
        ),
    ]
}

fn at(path: &'static str, operation: Operation) -> Path {
    let operation = operation
        .about("Each item stands for itself: a batch may succeed in part.")
        .does_in_part("BatchOperationResult", "BatchResult")
        .warns()
        .may_fail(&[404, 507]);
    Path::of_names(TAG, path, &[]).with(operation)
}

/// The answer that tells the ids of what came into being.
fn creates(operation: Operation) -> Operation {
    let content = json!({ "application/json": {
        "schema": { "$ref": "#/components/schemas/CreatedIds" },
        "examples": { "Created": example_of("Created") },
    }});
    operation.answers_with(201, "These were created.", Some(content), &[])
}
