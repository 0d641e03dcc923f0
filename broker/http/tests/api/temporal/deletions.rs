//! What was deleted is recorded as deleted, by whichever way it is told.

use serde_json::{Value, json};

use super::{EVOLUTIONS, record, without_instance_ids};
use crate::support::{Api, ENTITIES};

const ID: &str = "urn:ngsi-ld:Vehicle:1";
const NULL: &str = "urn:ngsi-ld:null";

async fn deleted(api: &Api) -> Value {
    let answer = api.get(&format!("{EVOLUTIONS}/{ID}?timeproperty=deletedAt")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    without_instance_ids(&answer.value())
}

fn parked() -> Value {
    let time = "2024-12-01T12:00:00Z";
    json!({
        "id": ID, "type": "Vehicle",
        "isParkedIn": [{"type": "Relationship", "object": "urn:p:1", "observedAt": time}],
        "fuelLevel": [
            {"type": "Property", "value": 67, "observedAt": time},
            {"type": "Property", "value": 40, "observedAt": time, "datasetId": "urn:d:1"},
        ],
        "scope": ["/Madrid", "/CompanyA"],
    })
}

#[tokio::test]
async fn a_deletion_is_told_as_an_instance_of_its_own() {
    let api = Api::new();
    record(&api, &parked()).await;
    let time = "2025-01-01T00:00:00Z";
    let told = json!({ "fuelLevel": [{"type": "Property", "value": NULL, "deletedAt": time}] });
    assert_eq!(api.post(&format!("{EVOLUTIONS}/{ID}/attrs"), &told).await.status, 204);
    assert_eq!(deleted(&api).await["fuelLevel"], told["fuelLevel"]);
}

#[tokio::test]
async fn what_is_known_from_its_past_alone_can_be_deleted() {
    let api = Api::new();
    record(&api, &parked()).await;
    let delete = async |what: &str| api.delete(&format!("{ENTITIES}/{ID}/attrs/{what}")).await;

    assert_eq!(delete("fuelLevel").await.status, 204);
    let shown = deleted(&api).await;
    assert_eq!(shown["fuelLevel"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown["fuelLevel"][0]["value"], NULL);
    assert!(shown["fuelLevel"][0]["deletedAt"].is_string(), "{shown}");
    assert_eq!(shown.get("isParkedIn"), None);
    // It is gone now, as far as anybody knows.
    delete("fuelLevel").await.is_problem(404, "ResourceNotFound");
    assert_eq!(delete("fuelLevel?deleteAll=true").await.status, 204);
    assert_eq!(deleted(&api).await["fuelLevel"][1]["datasetId"], "urn:d:1");

    assert_eq!(delete("isParkedIn").await.status, 204);
    assert_eq!(deleted(&api).await["isParkedIn"][0]["object"], NULL);

    assert_eq!(delete("scope").await.status, 204);
    assert!(deleted(&api).await["scope"][0]["deletedAt"].is_string());
    delete("scope").await.is_problem(404, "ResourceNotFound");

    delete("unknown").await.is_problem(404, "ResourceNotFound");
    delete("isParkedIn?type=Vehicle").await.is_problem(404, "ResourceNotFound");
    api.get(&format!("{ENTITIES}/{ID}")).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn what_the_entity_loses_is_recorded() {
    let api = Api::new();
    api.create(&json!({ "id": ID, "type": "Vehicle", "speed": 5, "scope": "/A" })).await;
    for what in ["speed", "scope"] {
        assert_eq!(api.delete(&format!("{ENTITIES}/{ID}/attrs/{what}")).await.status, 204);
        api.delete(&format!("{ENTITIES}/{ID}/attrs/{what}"))
            .await
            .is_problem(404, "ResourceNotFound");
    }
    let shown = deleted(&api).await;
    assert_eq!(shown["speed"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown["scope"].as_array().unwrap().len(), 1, "{shown}");
}
