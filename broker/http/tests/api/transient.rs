//! Entities and attributes that expire. The clock of these tests goes on by a second whenever
//! somebody looks at it, from 2023-11-14T22:13:20Z on.

use http::Method;
use serde_json::json;

use crate::support::{Api, ENTITIES};

const ID: &str = "urn:a:1";
const PAST: &str = "2020-01-01T00:00:00Z";
const FUTURE: &str = "2100-01-01T00:00:00.000Z";

#[tokio::test]
async fn an_entity_that_has_expired_is_not_there() {
    let api = Api::new();
    let path = format!("{ENTITIES}/{ID}");
    let expired = json!({ "id": ID, "type": "T", "expiresAt": PAST, "x": 1 });
    assert_eq!(api.post(ENTITIES, &expired).await.status, 201, "no clause forbids it");
    api.get(&path).await.is_problem(404, "ResourceNotFound");
    api.delete(&path).await.is_problem(404, "ResourceNotFound");
    api.patch(&path, &json!({ "x": 2 })).await.is_problem(404, "ResourceNotFound");
    assert_eq!(api.get(&format!("{ENTITIES}?type=T")).await.value(), json!([]));
    let counted = api.get(&format!("{ENTITIES}?type=T&count=true&limit=0")).await;
    assert_eq!(counted.header("ngsild-results-count"), "0");
    assert_eq!(api.post(ENTITIES, &expired).await.status, 201, "and its id is free");
    let batch = json!([{ "id": ID, "type": "T" }]);
    assert_eq!(api.post("/ngsi-ld/v1/entityOperations/create", &batch).await.status, 201);
    assert_eq!(api.get(&path).await.status, 200);
}

#[tokio::test]
async fn an_expiry_is_set_kept_and_taken_away() {
    let api = Api::new();
    let path = format!("{ENTITIES}/{ID}");
    api.create(&json!({ "id": ID, "type": "T", "expiresAt": FUTURE, "x": 1 })).await;
    let with = async || api.get(&format!("{path}?sysAttrs=true")).await.value();
    assert_eq!(with().await["expiresAt"], FUTURE, "as it was given");
    assert_eq!(api.entity(ID).await.get("expiresAt"), None, "a system attribute");
    assert_eq!(api.patch(&path, &json!({ "x": 2 })).await.status, 204);
    assert_eq!(with().await["expiresAt"], FUTURE, "a merge keeps it");
    let null = json!({ "expiresAt": "urn:ngsi-ld:null" });
    assert_eq!(api.patch(&path, &null).await.status, 204);
    assert_eq!(with().await.get("expiresAt"), None);
    assert_eq!(api.patch(&path, &json!({ "expiresAt": FUTURE })).await.status, 204);
    let whole = json!({ "id": ID, "type": "T" });
    assert_eq!(api.json(Method::PUT, &path, &whole).await.status, 204);
    assert_eq!(with().await.get("expiresAt"), None, "a replacement does not");
    assert_eq!(api.patch(&path, &json!({ "expiresAt": PAST })).await.status, 204);
    api.get(&path).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn parts_that_have_expired_are_not_there() {
    let api = Api::new();
    api.create(&json!({
        "id": ID,
        "type": "T",
        "gone": { "type": "Property", "value": 1, "expiresAt": PAST },
        "some": [
            { "type": "Property", "value": 1 },
            { "type": "Property", "value": 2, "datasetId": "urn:d:1", "expiresAt": PAST },
        ],
        "with": {
            "type": "Property",
            "value": 1,
            "sub": { "type": "Property", "value": 2, "expiresAt": PAST },
        },
    }))
    .await;
    let entity = api.entity(ID).await;
    let expected = json!({
        "id": ID,
        "type": "T",
        "some": { "type": "Property", "value": 1 },
        "with": { "type": "Property", "value": 1 },
    });
    assert_eq!(entity, expected);
    assert_eq!(api.get(&format!("{ENTITIES}?q=gone")).await.value(), json!([]));
    let path = format!("{ENTITIES}/{ID}/attrs/gone");
    api.patch(&path, &json!({ "value": 3 })).await.is_problem(404, "ResourceNotFound");
    api.delete(&path).await.is_problem(404, "ResourceNotFound");
}
