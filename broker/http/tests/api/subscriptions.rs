//! Subscriptions.

use serde_json::{Value, json};

use crate::support::{Api, LD_JSON};

const PATH: &str = "/ngsi-ld/v1/subscriptions";

fn subscription(number: u32) -> Value {
    json!({
        "id": format!("urn:ngsi-ld:Subscription:{number}"),
        "type": "Subscription",
        "entities": [{ "type": "Shelter" }],
        "notification": { "endpoint": { "uri": "http://127.0.0.1:9/hook" } },
    })
}

#[tokio::test]
async fn a_subscription_lives_from_creation_to_deletion() {
    let api = Api::new();
    let answer = api.post(PATH, &subscription(1)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let path = format!("{PATH}/urn:ngsi-ld:Subscription:1");
    assert_eq!(answer.header("location"), path);
    api.post(PATH, &subscription(1)).await.is_problem(409, "AlreadyExists");
    let shown = api.get(&path).await.value();
    assert_eq!((&shown["type"], &shown["status"]), (&json!("Subscription"), &json!("active")));
    assert_eq!(api.patch(&path, &json!({ "isActive": false })).await.status, 204);
    assert_eq!(api.get(&path).await.value()["status"], "paused");
    let answer = api.patch(&path, &json!({ "isactive": true })).await;
    answer.is_problem(400, "BadRequestData");
    let answer = api.delete(&path).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    api.get(&path).await.is_problem(404, "ResourceNotFound");
    api.delete(&path).await.is_problem(404, "ResourceNotFound");
    api.patch(&path, &json!({ "isActive": true })).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn a_subscription_without_an_id_gets_one() {
    let api = Api::new();
    let mut body = subscription(1);
    body.as_object_mut().unwrap().remove("id");
    let answer = api.post(PATH, &body).await;
    let location = answer.header("location").to_owned();
    let shown = api.get(&location).await.value();
    assert_eq!(location, format!("{PATH}/{}", shown["id"].as_str().unwrap()));
}

#[tokio::test]
async fn subscriptions_are_listed_page_by_page() {
    let api = Api::new();
    for number in 1..=5 {
        assert_eq!(api.post(PATH, &subscription(number)).await.status, 201);
    }
    let answer = api.get(&format!("{PATH}?limit=2&offset=2&count=true")).await;
    let ids: Vec<String> = answer
        .value()
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["urn:ngsi-ld:Subscription:3", "urn:ngsi-ld:Subscription:4"]);
    assert_eq!(answer.header("ngsild-results-count"), "5");
    let links = answer.headers("link").join(" ");
    assert!(links.contains("limit=2&offset=4>; rel=\"next\""), "{links}");
    assert!(links.contains("limit=2&offset=0>; rel=\"prev\""), "{links}");
    let answer = api.get(&format!("{PATH}?limit=2&offset=4")).await;
    assert_eq!(answer.value().as_array().unwrap().len(), 1);
    assert!(!answer.headers("link").join(" ").contains("next"));
    let answer = api.get_with(PATH, &[("accept", LD_JSON)]).await;
    assert!(answer.value()[0].get("@context").is_some());
}

#[tokio::test]
async fn what_is_no_subscription_is_refused() {
    let api = Api::new();
    api.post(PATH, &json!([])).await.is_problem(400, "InvalidRequest");
    api.post(PATH, &json!({})).await.is_problem(400, "BadRequestData");
    api.get(&format!("{PATH}/nothing")).await.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn a_subscription_has_a_ledger_from_its_beginning() {
    let api = Api::new();
    api.post(PATH, &subscription(1)).await;
    let path = "/musubi/v1/subscriptions/urn:ngsi-ld:Subscription:1/ledger";
    let ledger = api.get(path).await.value();
    assert_eq!((&ledger["due"], &ledger["pending"]), (&json!(0), &json!(0)));
    api.get(&path.replace(":1/", ":2/")).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn subscriptions_of_another_tenant_are_not_seen() {
    let api = Api::new();
    let body = subscription(1).to_string();
    let headers = [("content-type", "application/json"), ("ngsild-tenant", "kyoto")];
    let request = crate::support::request(http::Method::POST, PATH, &headers, body);
    assert_eq!(api.send(request).await.status, 201);
    assert_eq!(api.get(PATH).await.body, "[]");
    let answer = api.get_with(PATH, &headers[1..]).await;
    assert_eq!(answer.value().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_not_supported_is_told_from_what_is_wrong() {
    let api = Api::new();
    let mut body = subscription(1);
    body["csf"] = json!("a==1");
    api.post(PATH, &body).await.is_problem(422, "OperationNotSupported");
    body["csf"] = json!("((");
    api.post(PATH, &body).await.is_problem(400, "BadRequestData");
    body["csf"] = Value::Null;
    api.post(PATH, &body).await.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn every_version_knows_subscriptions_as_they_are() {
    let api = Api::new();
    assert_eq!(api.post(PATH, &subscription(1)).await.status, 201);
    let path = format!("{PATH}/urn:ngsi-ld:Subscription:1");
    let plain = api.get(&path).await;
    assert_eq!(plain.header("preference-applied"), "");
    let earlier = api.get_with(&path, &[("prefer", "NGSI-LD=\"1.0\"")]).await;
    assert_eq!((earlier.status, &earlier.body), (200, &plain.body));
    assert_eq!(earlier.header("preference-applied"), "ngsi-ld=1.0");
    let all = api.get_with(PATH, &[("prefer", "ngsi-ld=1.4")]).await;
    assert_eq!(all.header("preference-applied"), "ngsi-ld=1.4");
}

#[tokio::test]
async fn an_unknown_member_is_ignored_and_a_slip_is_not() {
    let api = Api::new();
    let mut body = subscription(1);
    body["colour"] = json!("blue");
    assert_eq!(api.post(PATH, &body).await.status, 201);
    let shown = api.get(&format!("{PATH}/urn:ngsi-ld:Subscription:1")).await;
    assert!(!shown.body.contains("colour"), "{}", shown.body);
    let mut body = subscription(2);
    body["watchedAtributes"] = json!(["name"]);
    let answer = api.post(PATH, &body).await;
    answer.is_problem(400, "BadRequestData");
    assert!(answer.body.contains("watchedAttributes"), "{}", answer.body);
}

#[tokio::test]
async fn a_secret_is_not_shown_again() {
    let api = Api::new();
    let mut body = subscription(1);
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    body["notification"]["endpoint"]["notifierInfo"] =
        json!([{ "key": "Webhook-Secret", "value": secret }]);
    assert_eq!(api.post(PATH, &body).await.status, 201);
    for path in [format!("{PATH}/urn:ngsi-ld:Subscription:1?sysAttrs=true"), PATH.to_owned()] {
        let shown = api.get(&path).await;
        assert!(shown.body.contains("whsec_…") && !shown.body.contains("MfKQ"), "{}", shown.body);
    }
}
