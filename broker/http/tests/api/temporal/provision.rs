//! Evolutions are created, added to and removed.

use http::Method;
use serde_json::{Value, json};

use super::{EVOLUTIONS, at, record, vehicle, without_instance_ids};
use crate::support::{Api, JSON, LD_JSON, request};

const ID: &str = "urn:ngsi-ld:Vehicle:1";

/// The evolution, which has to be there, without the ids of its instances.
async fn evolution(api: &Api) -> Value {
    let answer = api.get(&format!("{EVOLUTIONS}/{ID}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    without_instance_ids(&answer.value())
}

async fn values(api: &Api, attribute: &str) -> Vec<Value> {
    let evolution = evolution(api).await;
    let instances = evolution[attribute].as_array().cloned().unwrap_or_default();
    instances.iter().map(|instance| instance["value"].clone()).collect()
}

#[tokio::test]
async fn an_evolution_is_created_once_and_then_added_to() {
    let api = Api::new();
    for path in [EVOLUTIONS.to_owned(), format!("{EVOLUTIONS}/")] {
        let answer = api.post(&path, &vehicle(ID)).await;
        assert_eq!((answer.status, answer.body.as_str()), (201, ""));
        assert_eq!(answer.header("location"), format!("{EVOLUTIONS}/{ID}"));
        let again = api.post(&path, &vehicle(ID)).await;
        assert_eq!((again.status, again.body.as_str()), (204, ""));
        assert_eq!(again.header("location"), "");
        assert_eq!(api.delete(&format!("{EVOLUTIONS}/{ID}")).await.status, 204);
    }
    api.get(&format!("{EVOLUTIONS}/{ID}")).await.is_problem(404, "ResourceNotFound");
    // The entity itself is another thing.
    api.get(&format!("/ngsi-ld/v1/entities/{ID}")).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn what_is_told_again_is_there_once_and_the_last_word_counts() {
    let api = Api::new();
    record(&api, &vehicle(ID)).await;
    let first = api.get(&format!("{EVOLUTIONS}/{ID}?options=sysAttrs")).await.value();
    record(&api, &vehicle(ID)).await;
    let second = api.get(&format!("{EVOLUTIONS}/{ID}?options=sysAttrs")).await.value();
    assert_eq!(first, second);
    let other = json!({
        "id": ID,
        "type": ["Vehicle", "Truck"],
        "speed": [at("12:03:00", json!(121)), at("12:06:00", json!(90)), at("12:07:00", json!(100))],
        "fuelLevel": {"value": 40, "observedAt": "2020-08-01T14:07:00Z", "datasetId": "urn:d:1"},
    });
    record(&api, &other).await;
    assert_eq!(values(&api, "speed").await, [121, 80, 90, 100]);
    assert_eq!(values(&api, "fuelLevel").await, [67, 53, 40, 40]);
    let third = api.get(&format!("{EVOLUTIONS}/{ID}?options=sysAttrs")).await.value();
    assert_eq!(third["type"], json!(["Vehicle", "Truck"]));
    let [was, is] = [&first["speed"][0], &third["speed"][0]];
    assert_eq!((&is["instanceId"], &is["createdAt"]), (&was["instanceId"], &was["createdAt"]));
    assert_ne!(is["modifiedAt"], was["modifiedAt"]);
    assert_eq!(third["speed"][1], first["speed"][1]);
}

#[tokio::test]
async fn instances_of_one_request_may_have_the_same_time() {
    let api = Api::new();
    let twice = json!([at("12:03:00", json!(1)), at("12:03:00", json!(2))]);
    let entity = json!({ "id": ID, "type": "Vehicle", "speed": twice });
    record(&api, &entity).await;
    assert_eq!(values(&api, "speed").await, [1, 2]);
    record(&api, &entity).await;
    assert_eq!(values(&api, "speed").await, [1, 2]);
    let thrice =
        json!([at("12:03:00", json!(1)), at("12:03:00", json!(3)), at("12:03:00", json!(4)),]);
    record(&api, &json!({ "id": ID, "type": "Vehicle", "speed": thrice })).await;
    assert_eq!(values(&api, "speed").await, [1, 3, 4]);
}

#[tokio::test]
async fn much_is_compared_with_much() {
    let api = Api::new();
    let body = |offset: i64| {
        let instances: Vec<Value> = (0..3_000)
            .map(|n| {
                let (minute, second) = (n / 60, n % 60);
                at(&format!("12:{minute:02}:{second:02}"), json!(n + offset))
            })
            .collect();
        json!({ "id": ID, "type": "Vehicle", "speed": instances })
    };
    record(&api, &body(0)).await;
    record(&api, &body(1)).await;
    let values = values(&api, "speed").await;
    assert_eq!(values.len(), 3_000);
    assert_eq!((&values[0], &values[2_999]), (&json!(1), &json!(3_000)));
}

#[tokio::test]
async fn attributes_of_every_kind_come_back() {
    let api = Api::new();
    let time = "2020-08-01T12:03:00Z";
    let instances = json!({
        "aProperty": {"type": "Property", "value": {"a": [1]}, "unitCode": "CEL"},
        "relationship": {"type": "Relationship", "object": ["urn:a:1", "urn:a:2"]},
        "language": {"type": "LanguageProperty", "languageMap": {"ja": "避難所"}},
        "word": {"type": "VocabProperty", "vocab": "monument"},
        "anything": {"type": "JsonProperty", "json": {"value": 120}},
        "list": {"type": "ListProperty", "valueList": [1, 1]},
        "targets": {"type": "ListRelationship", "objectList": [{"object": "urn:a:1"}]},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1.5, 2]}},
        "rich": {
            "type": "Property", "value": 1, "by": {"type": "Relationship", "object": "urn:b:1"},
            "depth": {"type": "Property", "value": 5, "observedAt": time},
        },
    });
    let mut entity = json!({ "id": ID, "type": "Vehicle" });
    for (name, instance) in instances.as_object().unwrap() {
        let mut instance = instance.clone();
        instance["observedAt"] = json!(time);
        entity[name] = json!([instance]);
    }
    record(&api, &entity).await;
    let shown = evolution(&api).await;
    for (name, given) in entity.as_object().unwrap() {
        assert_eq!(&shown[name], given, "{name}");
    }
}

#[tokio::test]
async fn what_the_system_sets_is_not_taken_from_a_body() {
    let api = Api::new();
    let time = "2001-01-01T00:00:00Z";
    let entity = json!({
        "id": ID, "type": "Vehicle", "createdAt": time, "modifiedAt": time, "deletedAt": time,
        "speed": [{
            "type": "Property", "value": 5, "instanceId": "urn:ngsi-ld:Instance:mine",
            "createdAt": time, "modifiedAt": time, "deletedAt": time,
        }],
    });
    record(&api, &entity).await;
    let answer = api.get(&format!("{EVOLUTIONS}/{ID}?options=sysAttrs")).await;
    assert!(!answer.body.contains("2001-01-01"), "{}", answer.body);
    assert!(!answer.body.contains("mine"), "{}", answer.body);
    assert!(answer.value()["speed"][0].get("deletedAt").is_none(), "{}", answer.body);
}

#[tokio::test]
async fn attributes_are_added_to_an_evolution_that_is_known() {
    let api = Api::new();
    record(&api, &vehicle(ID)).await;
    let path = format!("{EVOLUTIONS}/{ID}/attrs");
    let body =
        json!({ "speed": [at("11:00:00", json!(1))], "brand": {"value": "x"}, "type": "Car" });
    for path in [path.clone(), format!("{path}/")] {
        let answer = api.post(&path, &body).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    }
    assert_eq!(values(&api, "speed").await, [1, 120, 80, 100]);
    // Without a time, nothing says that the second is the first.
    assert_eq!(values(&api, "brand").await, ["x", "x"]);
    assert_eq!(evolution(&api).await["type"], json!(["Vehicle", "Car"]));
    assert_eq!(api.post(&path, &json!({})).await.status, 204);
    assert_eq!(api.post(&path, &json!({ "id": ID, "speed": [] })).await.status, 204);
    let other = json!({ "id": "urn:a:2", "speed": [at("11:00:00", json!(1))] });
    api.post(&path, &other).await.is_problem(400, "BadRequestData");
    let unknown = format!("{EVOLUTIONS}/urn:a:2/attrs");
    api.post(&unknown, &body).await.is_problem(404, "ResourceNotFound");
    api.post(&format!("{EVOLUTIONS}/invalid/attrs"), &body).await.is_problem(400, "BadRequestData");
    api.post(&format!("{EVOLUTIONS}//attrs"), &body).await.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn bodies_that_are_no_evolution_are_refused() {
    let api = Api::new();
    let time = "2020-08-01T12:03:00Z";
    for (body, place) in [
        (json!({ "type": "Vehicle", "speed": [{"value": 1}] }), "/: "),
        (json!({ "id": ID, "speed": [{"value": 1}] }), "/: "),
        (json!({ "id": "", "type": "Vehicle" }), "/id: "),
        (json!({ "id": "invalidId", "type": "Vehicle" }), "/id: "),
        (json!({ "id": ID, "type": "Vehicle" }), "begins with"),
        (json!({ "id": ID, "type": "Vehicle", "speed": [] }), "begins with"),
        (json!({ "id": ID, "type": "Vehicle", "speed": [1] }), "/speed/0: "),
        (json!({ "id": ID, "type": "Vehicle", "expiresAt": "urn:ngsi-ld:null" }), "/expiresAt: "),
        (
            json!({ "id": ID, "type": "Vehicle", "speed": [{"value": 1, "observedAt": "now"}] }),
            "/speed/0/observedAt: ",
        ),
        (
            json!({ "id": ID, "type": "T", "scope": [{"value": 5, "observedAt": time}] }),
            "/scope/0/value: ",
        ),
        (
            json!({ "id": ID, "type": "T", "a": [{"value": {"b": "urn:ngsi-ld:null"}}] }),
            "urn:ngsi-ld:null inside",
        ),
        (json!({ "id": ID, "type": "T", "a": vec![json!({"value": 1}); 10_001] }), "10000"),
    ] {
        let answer = api.post(EVOLUTIONS, &body).await;
        answer.is_problem(400, "BadRequestData");
        assert!(answer.body.contains(place), "{body}: {}", answer.body);
    }
    let headers = [("content-type", LD_JSON)];
    for body in ["", "{\"id\":,}", "[]", "5"] {
        let answer = api.send(request(Method::POST, EVOLUTIONS, &headers, body)).await;
        answer.is_problem(400, "InvalidRequest");
    }
    api.get(&format!("{EVOLUTIONS}/{ID}")).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn scopes_are_recorded_as_they_were() {
    let api = Api::new();
    let scopes = json!([
        {"type": "Property", "value": "/R", "observedAt": "2026-03-01T10:00:00Z"},
        {"type": "Property", "value": ["/S", "/T"], "observedAt": "2026-03-01T12:30:00Z"},
    ]);
    record(&api, &json!({ "id": ID, "type": "Vehicle", "scope": scopes })).await;
    assert_eq!(evolution(&api).await["scope"], scopes);
    let plain = json!({
        "scope": "/U",
        "speed": [at("12:05:00", json!(2)), at("12:03:00", json!(1))],
    });
    assert_eq!(api.post(&format!("{EVOLUTIONS}/{ID}/attrs"), &plain).await.status, 204);
    // It holds as long as what it comes with.
    let first = json!({"type": "Property", "value": "/U", "observedAt": "2020-08-01T12:03:00Z"});
    assert_eq!(evolution(&api).await["scope"][0], first);
    let path = format!("{EVOLUTIONS}/{ID}/attrs/scope");
    assert_eq!(api.delete(&path).await.status, 204);
    assert_eq!(evolution(&api).await.get("scope"), None);
    api.delete(&path).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn an_evolution_is_removed_and_the_entity_stays() {
    let api = Api::new();
    api.create(&json!({ "id": ID, "type": "Vehicle", "speed": 5 })).await;
    assert_eq!(api.post(EVOLUTIONS, &vehicle(ID)).await.status, 204);
    let path = format!("{EVOLUTIONS}/{ID}");
    let answer = api.delete(&path).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    api.delete(&path).await.is_problem(404, "ResourceNotFound");
    assert_eq!(api.entity(ID).await["speed"]["value"], 5);
    api.delete(&format!("{EVOLUTIONS}/invalidId")).await.is_problem(400, "BadRequestData");
    assert_eq!(api.delete(&format!("{EVOLUTIONS}/")).await.status, 405);
    assert_eq!(api.delete(EVOLUTIONS).await.status, 405);
}

#[tokio::test]
async fn a_tenant_comes_to_be_with_its_first_evolution() {
    let api = Api::new();
    let post = |tenant: &'static str, path: String, body: Value| {
        let headers = [("content-type", JSON), ("ngsild-tenant", tenant)];
        api.send(request(Method::POST, &path, &headers, body.to_string()))
    };
    let attrs = format!("{EVOLUTIONS}/{ID}/attrs");
    let part = json!({ "speed": [at("12:03:00", json!(1))] });
    let answer = post("kyoto", attrs.clone(), part.clone()).await;
    answer.is_problem(404, "NonexistentTenant");
    let path = format!("{EVOLUTIONS}/{ID}");
    let headers = [("ngsild-tenant", "kyoto")];
    for path in [path.clone(), format!("{path}/attrs/a"), format!("{path}/attrs/a/urn:x:1")] {
        let answer = api.send(request(Method::DELETE, &path, &headers, "")).await;
        answer.is_problem(404, "NonexistentTenant");
    }
    assert_eq!(post("kyoto", EVOLUTIONS.to_owned(), vehicle(ID)).await.status, 201);
    assert_eq!(post("kyoto", attrs, part).await.status, 204);
    assert_eq!(api.get_with(&path, &headers).await.status, 200);
    api.get(&path).await.is_problem(404, "ResourceNotFound");
    // It is a tenant as any other now.
    assert_eq!(api.get_with("/ngsi-ld/v1/types", &headers).await.status, 200);
}

#[tokio::test]
async fn without_history_everything_is_refused_with_the_reason() {
    let api = Api::without_history();
    let path = format!("{EVOLUTIONS}/{ID}");
    let instance = format!("{path}/attrs/speed/urn:x:1");
    for answer in [
        api.post(EVOLUTIONS, &vehicle(ID)).await,
        api.delete(&path).await,
        api.post(&format!("{path}/attrs"), &json!({ "speed": [{"value": 1}] })).await,
        api.delete(&format!("{path}/attrs/speed")).await,
        api.patch(&instance, &json!({ "value": 1 })).await,
        api.delete(&instance).await,
    ] {
        answer.is_problem(422, "OperationNotSupported");
        assert!(answer.body.contains("[history] enabled"), "{}", answer.body);
    }
}
