//! What was recorded comes back.

use http::Method;
use musubi_http::{HttpOptions, Limits};
use serde_json::{Value, json};

use super::EVOLUTIONS;
use crate::support::Api;

const IMPORT: &str = "/musubi/v1/history/entities";

fn evolution(id: &str, modified_at: &str) -> Value {
    let speed = json!({ "type": "Property", "value": 1, "modifiedAt": modified_at });
    json!({ "id": id, "type": "Vehicle", "speed": [speed] })
}

#[tokio::test]
async fn what_is_brought_keeps_its_times_and_is_brought_once() {
    let api = Api::new();
    let all = json!([
        evolution("urn:x:1", "2020-01-01T00:00:00Z"),
        evolution("urn:x:2", "2021-01-01T00:00:00Z"),
    ]);
    let first = api.post(IMPORT, &all).await;
    assert_eq!((first.status, first.value()), (200, json!({ "recorded": 2, "alreadyThere": 0 })));
    let again = api.post(IMPORT, &all).await;
    assert_eq!((again.status, again.value()), (200, json!({ "recorded": 0, "alreadyThere": 2 })));
    let there = api.get(&format!("{EVOLUTIONS}/urn:x:2?options=sysAttrs")).await.value();
    assert_eq!(there["speed"][0]["modifiedAt"], "2021-01-01T00:00:00Z", "{there}");
}

#[tokio::test]
async fn a_time_of_the_system_that_is_yet_to_come_is_refused_where_it_stands() {
    let api = Api::new();
    let late = evolution("urn:x:2", "2100-01-01T00:00:00Z");
    let answer = api.post(IMPORT, &late).await;
    answer.is_problem(400, "BadRequestData");
    assert!(answer.body.contains("\"/speed/0/modifiedAt: "), "{}", answer.body);
    let early = evolution("urn:x:1", "2020-01-01T00:00:00Z");
    let answer = api.post(IMPORT, &json!([early, late])).await;
    answer.is_problem(400, "BadRequestData");
    assert!(answer.body.contains("\"/1/speed/0/modifiedAt: "), "{}", answer.body);
    api.get(&format!("{EVOLUTIONS}/urn:x:1")).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn an_import_has_no_more_evolutions_than_a_batch_has_items() {
    let limits = Limits { batch: 1, ..Limits::default() };
    let api = Api::with(HttpOptions { limits, ..HttpOptions::default() }, None);
    let one = evolution("urn:x:1", "2020-01-01T00:00:00Z");
    api.post(IMPORT, &json!([one, one])).await.is_problem(400, "BadRequestData");
    api.post(IMPORT, &json!([])).await.is_problem(400, "BadRequestData");
    api.post(IMPORT, &json!("urn:x:1")).await.is_problem(400, "InvalidRequest");
    assert_eq!(api.json(Method::POST, IMPORT, &json!([one])).await.status, 200);
}
