//! Attributes of one entity.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Api, CONTEXT, ENTITIES, LD_JSON, request};

const ID: &str = "urn:ngsi-ld:Sensor:1";

async fn api() -> (Api, String) {
    let api = Api::new();
    api.create(&json!({
        "id": ID,
        "type": "Sensor",
        "scope": "/Aichi/Nagoya",
        "level": [
            { "type": "Property", "value": 1, "unitCode": "MTR" },
            { "type": "Property", "value": 2, "datasetId": "urn:gauge:2" },
        ],
        "name": { "type": "Property", "value": "庄内川" },
    }))
    .await;
    (api, format!("{ENTITIES}/{ID}/attrs"))
}

#[tokio::test]
async fn an_append_overwrites_unless_told_not_to() {
    let (api, attrs) = api().await;
    let body = json!({ "name": { "type": "Property", "value": "矢田川" }, "depth": 3 });
    let answer = api.post(&format!("{attrs}?options=noOverwrite"), &body).await;
    assert_eq!(answer.status, 207, "{}", answer.body);
    let result = answer.value();
    let base = "https://uri.etsi.org/ngsi-ld/default-context/";
    assert_eq!(result["updated"], json!([format!("{base}depth")]));
    let left = &result["notUpdated"][0];
    assert!(left["attributeName"].as_str().unwrap().ends_with("name"), "{result}");
    assert!(!left["reason"].as_str().unwrap().is_empty());
    assert_eq!(api.entity(ID).await["name"]["value"], "庄内川");
    assert_eq!(api.entity(ID).await["depth"]["value"], 3);
    let answer = api.post(&attrs, &body).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(api.entity(ID).await["name"]["value"], "矢田川");
}

#[tokio::test]
async fn an_update_replaces_the_instance_that_it_names() {
    let (api, attrs) = api().await;
    let body = json!({ "level": { "type": "Property", "value": 9, "datasetId": "urn:gauge:2" } });
    assert_eq!(api.patch(&attrs, &body).await.status, 204);
    let level = api.entity(ID).await["level"].clone();
    let values: Vec<&Value> = level.as_array().unwrap().iter().map(|one| &one["value"]).collect();
    assert_eq!(values, [1, 9]);
}

#[tokio::test]
async fn a_partial_update_keeps_what_it_does_not_name() {
    let (api, attrs) = api().await;
    let path = format!("{attrs}/level");
    assert_eq!(api.patch(&path, &json!({ "value": 5 })).await.status, 204);
    let level = api.entity(ID).await["level"][0].clone();
    assert_eq!((&level["value"], &level["unitCode"]), (&json!(5), &json!("MTR")));
    let missing = api.patch(&format!("{attrs}/nothing"), &json!({ "value": 5 })).await;
    missing.is_problem(404, "ResourceNotFound");
    let kind = api.patch(&path, &json!({ "type": "Relationship", "object": "urn:a:b" })).await;
    kind.is_problem(400, "BadRequestData");
    let scope = api.patch(&format!("{attrs}/scope"), &json!({ "value": 5 })).await;
    scope.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn a_replacement_keeps_nothing_of_the_instance() {
    let (api, attrs) = api().await;
    let body = json!({ "type": "Property", "value": 7 });
    let path = format!("{attrs}/level");
    assert_eq!(api.json(Method::PUT, &path, &body).await.status, 204);
    let level = api.entity(ID).await["level"].clone();
    assert_eq!((&level[0], &level[1]["value"]), (&body, &json!(2)));
    let missing = api.json(Method::PUT, &format!("{attrs}/nothing"), &body).await;
    missing.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn instances_are_deleted_one_by_one_or_all() {
    let (api, attrs) = api().await;
    let both = format!("{attrs}/level?datasetId=urn:gauge:2&deleteAll=true");
    api.delete(&both).await.is_problem(400, "BadRequestData");
    let unknown = format!("{attrs}/level?datasetId=urn:gauge:3");
    api.delete(&unknown).await.is_problem(404, "ResourceNotFound");
    assert_eq!(api.delete(&format!("{attrs}/level?datasetId=urn:gauge:2")).await.status, 204);
    assert_eq!(api.entity(ID).await["level"]["value"], 1);
    assert_eq!(api.delete(&format!("{attrs}/level?deleteAll=true")).await.status, 204);
    assert!(api.entity(ID).await.get("level").is_none());
    api.delete(&format!("{attrs}/level")).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn the_scope_is_deleted_like_an_attribute() {
    let (api, attrs) = api().await;
    assert_eq!(api.delete(&format!("{attrs}/scope")).await.status, 204);
    assert!(api.entity(ID).await.get("scope").is_none());
    api.delete(&format!("{attrs}/scope")).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn a_body_of_one_attribute_may_bring_its_context() {
    let (api, attrs) = api().await;
    let body = json!({ "value": 6, "@context": CONTEXT }).to_string();
    let headers = [("content-type", LD_JSON)];
    let path = format!("{attrs}/level");
    let answer = api.send(request(Method::PATCH, &path, &headers, body)).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
    assert_eq!(api.entity(ID).await["level"][0]["value"], 6);
    for name in ["@id", "@invalid", "a%20b", "id"] {
        let answer = api.patch(&format!("{attrs}/{name}"), &json!({ "value": 1 })).await;
        answer.is_problem(400, "BadRequestData");
    }
}
