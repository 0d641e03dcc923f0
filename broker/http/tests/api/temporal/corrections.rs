//! Attributes are removed; instances are corrected and removed, one by one.

use http::Method;
use serde_json::{Value, json};

use super::{EVOLUTIONS, at, record, vehicle};
use crate::support::{Api, JSON, request};

const ID: &str = "urn:ngsi-ld:Vehicle:1";

async fn evolution(api: &Api, id: &str) -> Value {
    let answer = api.get(&format!("{EVOLUTIONS}/{id}?options=sysAttrs")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.value()
}

/// Where the first instance of the speed is.
async fn first(api: &Api, id: &str) -> String {
    let evolution = evolution(api, id).await;
    let instance = evolution["speed"][0]["instanceId"].as_str().unwrap().to_owned();
    format!("{EVOLUTIONS}/{id}/attrs/speed/{instance}")
}

#[tokio::test]
async fn an_attribute_is_removed_by_its_data_sets() {
    let api = Api::new();
    let mut other = at("14:07:00", json!(40));
    other["datasetId"] = json!("urn:d:1");
    let fuel = json!([at("12:03:00", json!(67)), other, at("13:05:00", json!(53))]);
    let entity = json!({ "id": ID, "type": "Vehicle", "fuelLevel": fuel, "speed": [{"value": 1}] });
    record(&api, &entity).await;
    let path = format!("{EVOLUTIONS}/{ID}/attrs/fuelLevel");
    let remove = async |query: &str| api.delete(&format!("{path}{query}")).await;

    remove("?datasetId=urn:d:2").await.is_problem(404, "ResourceNotFound");
    assert_eq!(remove("?deleteAll=false").await.status, 204);
    let left = evolution(&api, ID).await["fuelLevel"].clone();
    assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
    assert_eq!(left[0]["value"], 40);
    remove("").await.is_problem(404, "ResourceNotFound");
    assert_eq!(remove("?datasetId=urn:d:1&deleteAll=false").await.status, 204);
    assert_eq!(evolution(&api, ID).await.get("fuelLevel"), None);
    remove("?deleteAll=true").await.is_problem(404, "ResourceNotFound");

    record(&api, &entity).await;
    let answer = remove("?deleteAll=true").await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let shown = evolution(&api, ID).await;
    assert_eq!(shown.get("fuelLevel"), None);
    assert!(shown.get("speed").is_some());
}

#[tokio::test]
async fn a_removal_names_an_attribute_that_is_there() {
    let api = Api::new();
    record(&api, &vehicle(ID)).await;
    let check = async |path: &str, status: u16, name: &str| {
        api.delete(&format!("{EVOLUTIONS}{path}")).await.is_problem(status, name);
    };
    check("//attrs/speed?deleteAll=false", 400, "BadRequestData").await;
    check("/invalidId/attrs/speed", 400, "BadRequestData").await;
    for name in ["invalid(Name", "%2e%2e", "..", ".", "%252e%252e", "@type", "a%20b"] {
        check(&format!("/{ID}/attrs/{name}?deleteAll=false"), 400, "BadRequestData").await;
    }
    check(&format!("/{ID}/attrs/speed?datasetId=nowhere"), 400, "BadRequestData").await;
    check(&format!("/{ID}/attrs/speed?deleteAll=maybe"), 400, "InvalidRequest").await;
    check("/urn:a:2/attrs/speed", 404, "ResourceNotFound").await;
    check(&format!("/{ID}/attrs/notExisting"), 404, "ResourceNotFound").await;
    assert_eq!(evolution(&api, ID).await["speed"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn an_instance_is_corrected_and_stays_that_instance() {
    let api = Api::new();
    record(&api, &vehicle(ID)).await;
    let was = evolution(&api, ID).await;
    let path = first(&api, ID).await;
    for (body, value) in [
        (json!({"type": "Property", "value": 129, "observedAt": "2020-08-01T12:03:00Z"}), 129),
        (json!([{"value": 130}]), 130),
        (json!({"speed": [{"value": 131, "datasetId": "@none"}]}), 131),
    ] {
        let answer = api.patch(&path, &body).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{body}");
        let is = evolution(&api, ID).await;
        let [before, after] = [&was["speed"][0], &is["speed"][0]];
        assert_eq!(after["value"], value);
        for member in ["instanceId", "createdAt", "observedAt"] {
            assert_eq!(after[member], before[member], "{member}");
        }
        assert_ne!(after["modifiedAt"], before["modifiedAt"]);
        assert_eq!(is["speed"][1], was["speed"][1]);
        assert_eq!(is["fuelLevel"], was["fuelLevel"]);
    }
    let moved = json!({"value": 1, "observedAt": "2020-08-01T23:00:00Z"});
    assert_eq!(api.patch(&path, &moved).await.status, 204);
    let is = evolution(&api, ID).await;
    assert_eq!(is["speed"][2]["instanceId"], was["speed"][0]["instanceId"]);
    // As a merge patch, and with a slash.
    let headers = [("content-type", "application/merge-patch+json")];
    let body = json!({"value": 2}).to_string();
    let answer = api.send(request(Method::PATCH, &format!("{path}/"), &headers, body)).await;
    assert_eq!(answer.status, 204);
    assert_eq!(evolution(&api, ID).await["speed"][2]["value"], 2);
}

#[tokio::test]
async fn a_correction_is_one_whole_instance() {
    let api = Api::new();
    record(&api, &vehicle(ID)).await;
    let path = first(&api, ID).await;
    for body in [
        json!({}),
        json!([]),
        json!([{"value": 1}, {"value": 2}]),
        json!({"observedAt": "2020-08-01T12:03:00Z"}),
        json!({"value": 1, "datasetId": "urn:d:1"}),
        json!({"value": 1, "observedAt": "urn:ngsi-ld:null"}),
        json!({"type": "Relationship", "object": "nowhere"}),
    ] {
        api.patch(&path, &body).await.is_problem(400, "BadRequestData");
    }
    for body in ["5", "", "{"] {
        let headers = [("content-type", JSON)];
        let answer = api.send(request(Method::PATCH, &path, &headers, body)).await;
        answer.is_problem(400, "InvalidRequest");
    }
    assert_eq!(evolution(&api, ID).await["speed"][0]["value"], 120);
}

#[tokio::test]
async fn an_instance_is_removed() {
    let api = Api::new();
    record(&api, &vehicle(ID)).await;
    let path = first(&api, ID).await;
    let answer = api.delete(&path).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let speed = evolution(&api, ID).await["speed"].clone();
    assert_eq!((speed.as_array().unwrap().len(), &speed[0]["value"]), (2, &json!(80)));
    api.delete(&path).await.is_problem(404, "ResourceNotFound");
    api.patch(&path, &json!({"value": 1})).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn an_instance_is_known_by_its_attribute_its_entity_and_its_tenant() {
    let api = Api::new();
    record(&api, &vehicle(ID)).await;
    record(&api, &vehicle("urn:ngsi-ld:Vehicle:2")).await;
    let headers = [("content-type", JSON), ("ngsild-tenant", "kyoto")];
    let body = vehicle(ID).to_string();
    assert_eq!(api.send(request(Method::POST, EVOLUTIONS, &headers, body)).await.status, 201);
    let own = first(&api, ID).await;
    let instance = own.rsplit('/').next().unwrap().to_owned();
    let kyoto = api.get_with(&format!("{EVOLUTIONS}/{ID}"), &headers[1..]).await.value();
    let kyoto = kyoto["speed"][0]["instanceId"].as_str().unwrap();
    assert_ne!(kyoto, instance);
    let paths = [
        (format!("/urn:ngsi-ld:Vehicle:2/attrs/speed/{instance}"), 404),
        (format!("/urn:ngsi-ld:Vehicle:3/attrs/speed/{instance}"), 404),
        (format!("/{ID}/attrs/fuelLevel/{instance}"), 404),
        (format!("/{ID}/attrs/speed2/{instance}"), 404),
        (format!("/{ID}/attrs/scope/{instance}"), 404),
        (format!("/{ID}/attrs/speed/{kyoto}"), 404),
        (format!("/{ID}/attrs/speed/urn:ngsi-ld:01234567890123456789"), 404),
        (format!("/{ID}/attrs/speed/urn:ngsi-ld:Instance:{}", "0".repeat(32)), 404),
        (format!("/{ID}/attrs/speed/invalidId"), 400),
        (format!("/invalidId/attrs/speed/{instance}"), 400),
        (format!("//attrs/speed/{instance}"), 400),
        (format!("/{ID}/attrs/invalid(Name/{instance}"), 400),
    ];
    for (path, status) in &paths {
        let name = if *status == 404 { "ResourceNotFound" } else { "BadRequestData" };
        let path = format!("{EVOLUTIONS}{path}");
        api.delete(&path).await.is_problem(*status, name);
        api.patch(&path, &json!({"value": "/A"})).await.is_problem(*status, name);
    }
    let nameless = format!("{EVOLUTIONS}/{ID}/attrs//{instance}");
    api.delete(&nameless).await.is_problem(400, "BadRequestData");
    // As the suite has it (016_02_06).
    assert_eq!(api.patch(&nameless, &json!({"value": 1})).await.status, 405);
    let without = format!("{EVOLUTIONS}/{ID}/attrs/speed/");
    assert_eq!(api.patch(&without, &json!({"value": 1})).await.status, 405);
    assert_eq!(evolution(&api, ID).await["speed"][0]["value"], 120);
}
