//! Why a subscription did not fire.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api, ENTITIES, JSON, request};

const ID: &str = "urn:ngsi-ld:Sensor:1";
const TRACE: &str = "/musubi/v1/subscriptions/urn:ngsi-ld:Subscription:1/trace";

/// A broker with a sensor and a subscription to it.
async fn api(members: &Value) -> Api {
    let api = Api::new();
    api.create(&json!({
        "id": ID,
        "type": "Sensor",
        "level": {"type": "Property", "value": 1},
        "isIn": {"type": "Relationship", "object": "urn:ngsi-ld:Room:1"},
    }))
    .await;
    api.create(&json!({
        "id": "urn:ngsi-ld:Room:1",
        "type": "Room",
        "floor": {"type": "Property", "value": 2},
    }))
    .await;
    let mut body = json!({
        "id": "urn:ngsi-ld:Subscription:1",
        "type": "Subscription",
        "entities": [{"type": "Sensor"}],
        "notification": {"endpoint": {"uri": "http://127.0.0.1:9/notify"}},
    });
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    let answer = api.post("/ngsi-ld/v1/subscriptions", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    api
}

async fn set(api: &Api, level: i64) {
    let path = format!("{ENTITIES}/{ID}/attrs");
    let body = json!({"level": {"type": "Property", "value": level}}).to_string();
    let answer = api.send(request(Method::PATCH, &path, &[("content-type", JSON)], body)).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
}

async fn trace(api: &Api, change: &str) -> Answer {
    api.get(&format!("{TRACE}?change={change}")).await
}

fn verdict(answer: &Answer) -> (Value, Value, Value) {
    let value = answer.value();
    (value["due"].clone(), value["condition"].clone(), value["reason"].clone())
}

#[tokio::test]
async fn the_first_condition_that_failed_is_named() {
    let api = api(&json!({"q": "level>5"})).await;
    set(&api, 3).await;
    let answer = trace(&api, ID).await;
    let expected = json!("level>5 does not hold: level is 3");
    assert_eq!(verdict(&answer), (json!(false), json!("q"), expected));
    let change = &answer.value()["change"];
    assert_eq!((&change["entity"], &change["what"]), (&json!(ID), &json!("entityUpdated")));
    assert_eq!(change["attributes"], json!({"level": "attributeUpdated"}));
    set(&api, 9).await;
    assert_eq!(verdict(&trace(&api, ID).await), (json!(true), Value::Null, Value::Null));
}

#[tokio::test]
async fn a_change_is_named_by_the_version_that_it_made() {
    let api = api(&json!({"q": "level>5"})).await;
    let path = format!("{ENTITIES}/{ID}");
    let mut tags = Vec::new();
    for level in [3, 9] {
        tags.push(api.get(&path).await.header("etag").trim_matches('"').to_owned());
        set(&api, level).await;
    }
    let first = trace(&api, &tags[0]).await;
    assert_eq!(verdict(&first).1, json!("createdAt"), "{}", first.body);
    let second = trace(&api, &format!("%22{}%22", tags[1])).await;
    assert_eq!(verdict(&second).2, json!("level>5 does not hold: level is 3"));
    trace(&api, "0123456789abcdef").await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn a_query_is_traced_into_linked_entities() {
    let api = api(&json!({"q": "isIn{floor}>2"})).await;
    set(&api, 3).await;
    let expected = json!("isIn{floor}>2 does not hold: isIn{floor} is 2");
    assert_eq!(verdict(&trace(&api, ID).await), (json!(false), json!("q"), expected));
}

#[tokio::test]
async fn what_came_too_soon_after_another_is_said_to_be_throttled() {
    let api = api(&json!({"throttling": 3600})).await;
    set(&api, 3).await;
    assert_eq!(verdict(&trace(&api, ID).await), (json!(true), Value::Null, Value::Null));
    set(&api, 4).await;
    let (due, condition, reason) = verdict(&trace(&api, ID).await);
    assert_eq!((due, condition), (json!(true), json!("throttling")));
    assert!(reason.as_str().unwrap().contains("less than 3600 s"), "{reason}");
}

#[tokio::test]
async fn a_change_that_is_not_in_the_log_is_not_found_and_nothing_is_said_of_others() {
    let api = api(&json!({})).await;
    let answer = trace(&api, "urn:ngsi-ld:Sensor:2").await;
    answer.is_problem(404, "ResourceNotFound");
    assert!(answer.body.contains("among the recent ones in the log"), "{}", answer.body);
    api.get(TRACE).await.is_problem(400, "InvalidRequest");
    trace(&api, "nonsense").await.is_problem(400, "InvalidRequest");
    let path = format!("{}?change={ID}", TRACE.replace(":1/", ":2/"));
    api.get(&path).await.is_problem(404, "ResourceNotFound");
}
