//! Many entities in one request.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Api, CONTEXT, ENTITIES, JSON, LD_JSON, LINK, request};

const BATCH: &str = "/ngsi-ld/v1/entityOperations";

fn id(number: u32) -> String {
    format!("urn:ngsi-ld:Dock:{number}")
}

fn dock(number: u32, bikes: u32) -> Value {
    json!({ "id": id(number), "type": "Dock", "bikes": { "type": "Property", "value": bikes } })
}

async fn post(api: &Api, operation: &str, body: Value) -> (u16, String) {
    let answer = api.post(&format!("{BATCH}/{operation}"), &body).await;
    (answer.status, answer.body)
}

fn errors(body: &str) -> Vec<(String, String)> {
    let result: Value = serde_json::from_str(body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let error = |one: &Value| {
        let name = text(&one["error"]["type"]);
        (text(&one["entityId"]), name.rsplit('/').next().unwrap().to_owned())
    };
    result["errors"].as_array().unwrap().iter().map(error).collect()
}

fn success(body: &str) -> Value {
    serde_json::from_str::<Value>(body).unwrap()["success"].clone()
}

#[tokio::test]
async fn what_can_be_created_is_and_the_rest_is_reported() {
    let api = Api::new();
    let (status, body) = post(&api, "create", json!([dock(1, 1), dock(2, 2)])).await;
    assert_eq!((status, body), (201, json!([id(1), id(2)]).to_string()));
    let (status, body) = post(&api, "create", json!([dock(2, 9), dock(3, 3), dock(3, 4)])).await;
    assert_eq!((status, success(&body)), (207, json!([id(3)])));
    let conflict = "AlreadyExists".to_owned();
    assert_eq!(errors(&body), [(id(2), conflict.clone()), (id(3), conflict)]);
    assert_eq!(api.entity(&id(2)).await["bikes"]["value"], 2);
    assert_eq!(api.entity(&id(3)).await["bikes"]["value"], 3);
}

#[tokio::test]
async fn an_upsert_creates_and_replaces_or_updates() {
    let api = Api::new();
    let (status, body) = post(&api, "upsert", json!([dock(1, 1)])).await;
    assert_eq!((status, body), (201, json!([id(1)]).to_string()));
    let extra = json!({ "id": id(1), "type": "Dock", "open": true });
    let (status, body) = post(&api, "upsert?options=update", json!([extra])).await;
    assert_eq!((status, body.as_str()), (204, ""));
    assert_eq!(api.entity(&id(1)).await["bikes"]["value"], 1);
    let (status, body) = post(&api, "upsert", json!([extra, dock(2, 2)])).await;
    assert_eq!((status, body), (201, json!([id(2)]).to_string()));
    assert!(api.entity(&id(1)).await.get("bikes").is_none());
    let (status, _) = post(&api, "upsert?options=replace,update", json!([extra])).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn the_last_of_the_same_id_wins_an_upsert() {
    let api = Api::new();
    let other = json!({ "id": id(1), "type": "Dock", "open": true });
    let (status, body) = post(&api, "upsert", json!([dock(1, 1), dock(1, 2), other])).await;
    assert_eq!((status, body), (201, json!([id(1)]).to_string()));
    let entity = api.entity(&id(1)).await;
    assert!(entity.get("bikes").is_none() && entity["open"]["value"] == true, "{entity}");
}

#[tokio::test]
async fn an_update_needs_entities_that_are_there() {
    let api = Api::new();
    api.create(&dock(1, 1)).await;
    let part = |number, bikes: u32| json!({ "id": id(number), "bikes": bikes });
    let (status, _) = post(&api, "update", json!([part(1, 5)])).await;
    assert_eq!(status, 204);
    assert_eq!(api.entity(&id(1)).await["bikes"]["value"], 5);
    let (status, body) = post(&api, "update", json!([part(1, 6), part(2, 6)])).await;
    assert_eq!((status, success(&body)), (207, json!([id(1)])));
    assert_eq!(errors(&body), [(id(2), "ResourceNotFound".to_owned())]);
    let new = json!([{ "id": id(1), "bikes": 7, "docks": 9 }]);
    let (status, body) = post(&api, "update?options=noOverwrite", new).await;
    assert_eq!((status, errors(&body).len()), (207, 1));
    let entity = api.entity(&id(1)).await;
    assert_eq!((&entity["bikes"]["value"], &entity["docks"]["value"]), (&json!(6), &json!(9)));
}

#[tokio::test]
async fn what_is_wrong_with_an_item_says_which_it_is() {
    let api = Api::new();
    for (operation, items, at) in [
        ("create", json!([dock(1, 1), 5]), "/1: "),
        ("create", json!([dock(2, 1), { "type": "Dock" }]), "/1: "),
        ("upsert", json!([{ "id": id(3), "type": "Dock", "bikes": null }]), "/0/bikes: "),
        ("update", json!([{ "bikes": 1 }]), "/0/id: "),
        ("delete", json!([id(1), 5]), "/1: "),
    ] {
        let (_, body) = post(&api, operation, items).await;
        assert!(body.contains(&format!("\"detail\":\"{at}")), "{operation}: {body}");
    }
}

#[tokio::test]
async fn a_merge_deletes_what_is_null() {
    let api = Api::new();
    api.create(&dock(1, 1)).await;
    let part = json!([{ "id": id(1), "bikes": "urn:ngsi-ld:null", "open": true }]);
    let (status, body) = post(&api, "merge", part).await;
    assert_eq!(status, 204, "{body}");
    let entity = api.entity(&id(1)).await;
    assert!(entity.get("bikes").is_none() && entity["open"]["value"] == true);
}

#[tokio::test]
async fn a_delete_reports_what_was_not_there() {
    let api = Api::new();
    api.create(&dock(1, 1)).await;
    api.create(&dock(2, 1)).await;
    assert_eq!(post(&api, "delete", json!([id(1)])).await, (204, String::new()));
    let (status, body) = post(&api, "delete", json!([id(1), id(2), id(2), "no uri"])).await;
    assert_eq!((status, success(&body)), (207, json!([id(2)])));
    let missing = "ResourceNotFound".to_owned();
    let refused = ("no uri".to_owned(), "BadRequestData".to_owned());
    assert_eq!(errors(&body), [refused, (id(1), missing.clone()), (id(2), missing)]);
}

#[tokio::test]
async fn one_wrong_item_does_not_spoil_the_others() {
    let api = Api::new();
    let wrong = json!({ "id": id(2), "type": "Dock", "bikes": { "type": "Property" } });
    let nameless = json!({ "type": "Dock" });
    let (status, body) = post(&api, "create", json!([dock(1, 1), wrong, nameless])).await;
    assert_eq!((status, success(&body)), (207, json!([id(1)])));
    let bad = "BadRequestData".to_owned();
    assert_eq!(errors(&body), [(id(2), bad.clone()), (String::new(), bad)]);
}

#[tokio::test]
async fn a_batch_is_an_array_with_something_in_it() {
    let api = Api::new();
    for operation in ["create", "upsert", "update", "merge", "delete"] {
        let path = format!("{BATCH}/{operation}");
        api.post(&path, &json!([])).await.is_problem(400, "BadRequestData");
        api.post(&path, &json!({})).await.is_problem(400, "InvalidRequest");
        api.post(&path, &json!([dock(1, 1), null])).await.is_problem(400, "BadRequestData");
    }
    api.get(&format!("{ENTITIES}/{}", id(1))).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn each_item_brings_its_own_context() {
    let api = Api::new();
    let ours = json!({ "@context": CONTEXT, "id": id(1), "type": "Shelter" });
    let core = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld";
    let plain = json!({ "@context": core, "id": id(2), "type": "Shelter" });
    let without = json!({ "id": id(3), "type": "Shelter" });
    let body = json!([ours, plain, without]).to_string();
    let path = format!("{BATCH}/create");
    let ld_json = [("content-type", LD_JSON)];
    let answer = api.send(request(Method::POST, &path, &ld_json, body.clone())).await;
    assert_eq!((answer.status, success(&answer.body)), (207, json!([id(1), id(2)])));
    assert_eq!(errors(&answer.body), [(id(3), "BadRequestData".to_owned())]);
    assert_eq!(api.entity(&id(1)).await["type"], "https://example.jp/terms#Shelter");
    assert_eq!(api.entity(&id(2)).await["type"], "Shelter");
    let both = [("content-type", LD_JSON), ("link", LINK)];
    let answer = api.send(request(Method::POST, &path, &both, body.clone())).await;
    answer.is_problem(400, "BadRequestData");
    let json = [("content-type", JSON)];
    let answer = api.send(request(Method::POST, &path, &json, body)).await;
    assert_eq!((answer.status, errors(&answer.body).len()), (207, 2));
}
