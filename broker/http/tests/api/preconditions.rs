//! Conditional requests, and what arrives late.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api, ENTITIES, JSON, LD_JSON, request};

const ID: &str = "urn:ngsi-ld:Sensor:1";

async fn api() -> (Api, String) {
    let api = Api::new();
    api.create(&json!({ "id": ID, "type": "Sensor", "level": measured(1, 10) })).await;
    (api, format!("{ENTITIES}/{ID}"))
}

fn measured(value: i64, second: u32) -> Value {
    let observed = format!("2024-01-11T09:00:{second:02}Z");
    json!({ "type": "Property", "value": value, "observedAt": observed })
}

async fn send(
    api: &Api,
    (method, path): (Method, &str),
    condition: (&str, &str),
    body: &Value,
) -> Answer {
    let headers = [("content-type", JSON), condition];
    api.send(request(method, path, &headers, body.to_string())).await
}

async fn tag(api: &Api, path: &str) -> String {
    api.get(path).await.header("etag").to_owned()
}

#[tokio::test]
async fn a_tag_changes_with_the_entity_and_with_the_representation() {
    let (api, path) = api().await;
    let first = tag(&api, &path).await;
    assert!(first.starts_with('"') && first.ends_with('"'), "{first}");
    assert_eq!(tag(&api, &path).await, first);
    let other = api.get_with(&path, &[("accept", LD_JSON)]).await.header("etag").to_owned();
    assert_ne!(other, first);
    assert_eq!(api.patch(&path, &json!({ "level": 2 })).await.status, 204);
    assert_ne!(tag(&api, &path).await, first);
    assert_eq!(tag(&api, &format!("{path}?join=inline")).await, "", "what is linked may change");
}

#[tokio::test]
async fn a_reader_is_not_sent_what_it_has() {
    let (api, path) = api().await;
    let tag = tag(&api, &path).await;
    for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let answer = api.get_with(&path, &[("if-none-match", &known)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{known}");
        assert_eq!(answer.header("etag"), tag);
        assert!(answer.header("vary").contains("ngsild-tenant"), "{:?}", answer.headers);
    }
    let answer = api.get_with(&path, &[("if-none-match", "\"x\"")]).await;
    assert_eq!(answer.status, 200);
    let headers = [("if-none-match", tag.as_str()), ("accept", LD_JSON)];
    assert_eq!(api.get_with(&path, &headers).await.status, 200, "another representation");
    let missing = format!("{ENTITIES}/urn:a:none");
    api.get_with(&missing, &[("if-none-match", "*")]).await.is_problem(404, "ResourceNotFound");
    api.get_with(&path, &[("if-none-match", "x")]).await.is_problem(400, "InvalidRequest");
}

#[tokio::test]
async fn every_change_of_one_entity_may_depend_on_its_version() {
    let attrs = |path: &str| format!("{path}/attrs");
    let level = |path: &str| format!("{path}/attrs/level");
    let whole = json!({ "id": ID, "type": "Sensor", "level": measured(5, 50) });
    let part = json!({ "level": measured(5, 50) });
    let path = format!("{ENTITIES}/{ID}");
    for (method, path, body) in [
        (Method::PATCH, path.clone(), part.clone()),
        (Method::PUT, path.clone(), whole),
        (Method::DELETE, path.clone(), json!(null)),
        (Method::POST, attrs(&path), part.clone()),
        (Method::PATCH, attrs(&path), part),
        (Method::PATCH, level(&path), measured(5, 50)),
        (Method::PUT, level(&path), measured(5, 50)),
        (Method::DELETE, level(&path), json!(null)),
    ] {
        let (api, entity) = api().await;
        let first = tag(&api, &entity).await;
        assert_eq!(api.patch(&entity, &json!({ "other": 1 })).await.status, 204);
        let second = tag(&api, &entity).await;
        let what = (method.clone(), path.as_str());
        for (header, value) in [
            ("if-match", first.as_str()),
            ("if-match", "\"of another server\""),
            ("if-none-match", second.as_str()),
            ("if-none-match", "*"),
        ] {
            let answer = send(&api, what.clone(), (header, value), &body).await;
            answer.is_problem(412, "InvalidRequest");
            assert_eq!(tag(&api, &entity).await, second, "{method} {path} {header}");
        }
        let weak = format!("W/{second}");
        send(&api, what.clone(), ("if-match", &weak), &body)
            .await
            .is_problem(412, "InvalidRequest");
        send(&api, what.clone(), ("if-match", "2"), &body).await.is_problem(400, "InvalidRequest");
        let answer = send(&api, what, ("if-match", &second), &body).await;
        assert_eq!(answer.status, 204, "{method} {path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_creation_may_say_that_it_must_be_the_first() {
    let (api, _) = api().await;
    let entity = json!({ "id": ID, "type": "Sensor" });
    let create = (Method::POST, ENTITIES);
    let answer = send(&api, create.clone(), ("if-none-match", "*"), &entity).await;
    answer.is_problem(412, "InvalidRequest");
    api.post(ENTITIES, &entity).await.is_problem(409, "AlreadyExists");
    let other = json!({ "id": "urn:ngsi-ld:Sensor:2", "type": "Sensor" });
    send(&api, create.clone(), ("if-match", "*"), &other).await.is_problem(412, "InvalidRequest");
    assert_eq!(send(&api, create, ("if-none-match", "*"), &other).await.status, 201);
}

#[tokio::test]
async fn what_arrives_late_is_left_alone_and_named() {
    const NEWER: (&str, &str) = ("musubi-if-newer", "observedAt");
    let body = json!({ "level": measured(5, 9), "depth": measured(5, 9) });
    let path = format!("{ENTITIES}/{ID}");
    for (method, path, body, updated) in [
        (Method::PATCH, path.clone(), body.clone(), 1),
        (Method::POST, format!("{path}/attrs"), body.clone(), 1),
        (Method::PATCH, format!("{path}/attrs"), body, 1),
        (Method::PATCH, format!("{path}/attrs/level"), measured(5, 10), 0),
        (Method::PUT, format!("{path}/attrs/level"), measured(5, 10), 0),
    ] {
        let (api, _) = api().await;
        let answer = send(&api, (method.clone(), &path), NEWER, &body).await;
        assert_eq!(answer.status, 207, "{method} {path}: {}", answer.body);
        let result = answer.value();
        assert_eq!(result["updated"].as_array().unwrap().len(), updated, "{method} {path}");
        let left = &result["notUpdated"];
        assert_eq!(left.as_array().unwrap().len(), 1, "{method} {path}");
        assert!(left[0]["attributeName"].as_str().unwrap().ends_with("/level"), "{left}");
        assert!(left[0]["reason"].as_str().unwrap().contains("2024-01-11T09:00:10Z"), "{left}");
        assert_eq!(api.entity(ID).await["level"]["value"], 1, "{method} {path}");
        let later =
            if updated == 0 { measured(5, 11) } else { json!({ "level": measured(5, 11) }) };
        assert_eq!(send(&api, (method, &path), NEWER, &later).await.status, 204);
        assert_eq!(api.entity(ID).await["level"]["value"], 5, "{path}");
    }
    let (api, path) = api().await;
    let answer = send(&api, (Method::PATCH, &path), (NEWER.0, "modifiedAt"), &json!({})).await;
    answer.is_problem(400, "InvalidRequest");
}

#[tokio::test]
async fn a_batch_leaves_alone_what_arrives_late() {
    const NEWER: (&str, &str) = ("musubi-if-newer", "observedAt");
    for operation in ["upsert", "upsert?options=update", "update", "merge"] {
        let (api, _) = api().await;
        let path = format!("/ngsi-ld/v1/entityOperations/{operation}");
        let item = |second| json!([{ "id": ID, "type": "Sensor", "level": measured(5, second), "depth": 3 }]);
        let answer = send(&api, (Method::POST, &path), NEWER, &item(9)).await;
        assert_eq!(answer.status, 207, "{operation}: {}", answer.body);
        let result = answer.value();
        assert_eq!(result["success"], json!([]), "{operation}");
        assert_eq!(result["errors"][0]["entityId"], ID, "{operation}");
        let entity = api.entity(ID).await;
        assert_eq!((&entity["level"]["value"], &entity["depth"]["value"]), (&json!(1), &json!(3)));
        let answer = send(&api, (Method::POST, &path), NEWER, &item(11)).await;
        assert_eq!(answer.status, 204, "{operation}: {}", answer.body);
    }
}
