//! The evolution of one entity.

use serde_json::{Value, json};

use super::{EVOLUTIONS, at, record, vehicle, without_instance_ids};
use crate::support::{Answer, Api, ENTITIES};

const ID: &str = "urn:ngsi-ld:Vehicle:1";
const NOTHING: &str = "urn:ngsi-ld:null";

async fn retrieve(api: &Api, query: &str) -> Answer {
    api.get(&format!("{EVOLUTIONS}/{ID}{query}")).await
}

/// What is answered with 200.
async fn shown(api: &Api, query: &str) -> Value {
    let answer = retrieve(api, query).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    without_instance_ids(&answer.value())
}

async fn with_vehicle() -> Api {
    let api = Api::new();
    record(&api, &vehicle(ID)).await;
    api
}

#[tokio::test]
async fn an_evolution_is_shown_as_it_was_recorded() {
    let api = with_vehicle().await;
    assert_eq!(shown(&api, "").await, vehicle(ID));
    let accept = [("accept", "application/ld+json")];
    let answer = api.get_with(&format!("{EVOLUTIONS}/{ID}/"), &accept).await;
    assert_eq!(answer.header("content-type"), "application/ld+json");
    assert!(answer.value().get("@context").is_some(), "{}", answer.body);
    let mut speed = vehicle(ID);
    speed.as_object_mut().unwrap().remove("fuelLevel");
    assert_eq!(shown(&api, "?attrs=speed").await, speed);
    retrieve(&api, "?attrs=unknown").await.is_problem(404, "ResourceNotFound");
    let answer = api.get(&format!("{EVOLUTIONS}/urn:ngsi-ld:Vehicle:unknown")).await;
    answer.is_problem(404, "ResourceNotFound");
    api.get(&format!("{EVOLUTIONS}/nonsense")).await.is_problem(400, "BadRequestData");
    let accept = [("accept", "application/geo+json")];
    let answer = api.get_with(&format!("{EVOLUTIONS}/{ID}"), &accept).await;
    answer.is_problem(406, "InvalidRequest");
}

#[tokio::test]
async fn the_bounds_of_a_stretch_of_time_are_those_of_the_specification() {
    let api = with_vehicle().await;
    let check = async |query: &str, expected: &[i64]| {
        let shown = shown(&api, &format!("?attrs=speed&{query}")).await;
        let speeds = shown["speed"].as_array().unwrap().iter();
        let speeds: Vec<i64> = speeds.map(|one| one["value"].as_i64().unwrap()).collect();
        assert_eq!(speeds, expected, "{query}");
    };
    check("timerel=after&timeAt=2020-08-01T12:05:00Z", &[80, 100]).await;
    check("timerel=after&timeAt=2020-08-01T12:05:00.000Z", &[80, 100]).await;
    check("timerel=before&timeAt=2020-08-01T12:05:00Z", &[120]).await;
    check("timerel=before&timeAt=2020-08-01T21:05:00%2B09:00", &[120]).await;
    let between = "timerel=between&timeAt=2020-08-01T12:03:00Z&endTimeAt=2020-08-01T12:05:00Z";
    check(between, &[120]).await;
    check("lastN=2", &[80, 100]).await;
    check("lastN=7", &[120, 80, 100]).await;
    check("timeproperty=modifiedAt&timerel=after&timeAt=2021-08-01T12:05:00Z", &[120, 80, 100])
        .await;
    // Nothing of the attributes that are named, and nothing at all.
    let never = "timerel=between&timeAt=2020-08-02T00:00:00Z&endTimeAt=2020-08-01T00:00:00Z";
    retrieve(&api, &format!("?attrs=speed&{never}")).await.is_problem(404, "ResourceNotFound");
    assert_eq!(shown(&api, &format!("?{never}")).await, json!({ "id": ID, "type": "Vehicle" }));
}

#[tokio::test]
async fn values_stand_beside_their_times() {
    let api = with_vehicle().await;
    let expected = json!({
        "id": ID,
        "type": "Vehicle",
        "fuelLevel": { "type": "Property", "values": [
            [67, "2020-08-01T12:03:00Z"], [53, "2020-08-01T13:05:00Z"], [40, "2020-08-01T14:07:00Z"]
        ]},
        "speed": { "type": "Property", "values": [
            [120, "2020-08-01T12:03:00Z"], [80, "2020-08-01T12:05:00Z"], [100, "2020-08-01T12:07:00Z"]
        ]},
    });
    for query in ["?format=temporalValues", "?options=temporalValues"] {
        assert_eq!(shown(&api, query).await, expected, "{query}");
    }
    let answer =
        shown(&api, "?format=temporalValues&options=aggregatedValues&aggrMethods=sum").await;
    assert_eq!(answer, expected);
    let usual = shown(&api, "").await;
    for query in ["?format=normalized", "?options=normalized"] {
        assert_eq!(shown(&api, query).await, usual, "{query}");
    }
    for query in [
        "?format=keyValues",
        "?options=keyValues",
        "?options=temporalValues,nonsense",
        "?options=temporalValues,aggregatedValues",
        "?format=temporalValues&options=nonsense",
    ] {
        retrieve(&api, query).await.is_problem(400, "InvalidRequest");
    }
}

#[tokio::test]
async fn values_come_to_what_the_methods_say() {
    let api = with_vehicle().await;
    let query = "?options=aggregatedValues&aggrMethods=avg,max&aggrPeriodDuration=PT1H&attrs=speed";
    let expected = json!({
        "id": ID,
        "type": "Vehicle",
        "speed": {
            "type": "Property",
            "avg": [[100, "2020-08-01T12:03:00Z", "2020-08-01T13:03:00Z"]],
            "max": [[120, "2020-08-01T12:03:00Z", "2020-08-01T13:03:00Z"]],
        },
    });
    let found = shown(&api, query).await;
    assert_eq!(found["speed"]["avg"][0][0].as_f64(), Some(100.0));
    let numbers = |value: &Value| value.to_string().replace(".0", "");
    assert_eq!(numbers(&found), numbers(&expected));
    retrieve(&api, "?options=aggregatedValues").await.is_problem(400, "BadRequestData");
    record(&api, &json!({ "id": ID, "type": "Vehicle", "name": [at("12:00:00", json!("a"))] }))
        .await;
    let query = "?format=aggregatedValues&aggrMethods=avg&attrs=name";
    retrieve(&api, query).await.is_problem(400, "InvalidRequest");
}

#[tokio::test]
async fn picked_members_are_shown_and_omitted_ones_are_not() {
    let api = with_vehicle().await;
    let members = async |query: &str| -> Vec<String> {
        let shown = shown(&api, query).await;
        let mut names: Vec<String> = shown.as_object().unwrap().keys().cloned().collect();
        names.sort_unstable();
        names
    };
    assert_eq!(members("?pick=speed").await, ["speed"]);
    assert_eq!(members("?pick=id,speed").await, ["id", "speed"]);
    assert_eq!(members("?omit=speed").await, ["fuelLevel", "id", "type"]);
    assert_eq!(members("?omit=type,speed").await, ["fuelLevel", "id"]);
    assert_eq!(members("?pick=createdAt&sysAttrs=true").await, ["createdAt"]);
    for query in ["?pick=unknown", "?omit=id,type,fuelLevel,speed"] {
        retrieve(&api, query).await.is_problem(404, "ResourceNotFound");
    }
    for query in ["?pick=speed&omit=speed", "?pick=speed&attrs=fuelLevel", "?pick=owner{name}"] {
        retrieve(&api, query).await.is_problem(400, "BadRequestData");
    }
}

#[tokio::test]
async fn what_is_deleted_leaves_a_record_of_that() {
    let api = Api::new();
    api.create(&json!({
        "id": ID, "type": "Vehicle", "scope": "/a",
        "fuelLevel": { "type": "Property", "value": 67 },
        "isParkedIn": { "type": "Relationship", "object": "urn:p:1" },
        "name": { "type": "LanguageProperty", "languageMap": { "en": "car" } },
    }))
    .await;
    for name in ["fuelLevel", "isParkedIn", "name", "scope"] {
        assert_eq!(
            api.delete(&format!("{ENTITIES}/{ID}/attrs/{name}")).await.status,
            204,
            "{name}"
        );
    }
    let mut shown = shown(&api, "?timeproperty=deletedAt").await;
    for name in ["fuelLevel", "isParkedIn", "name", "scope"] {
        let instance = shown[name][0].as_object_mut().unwrap();
        assert!(instance.remove("deletedAt").is_some(), "{name}: {instance:?}");
    }
    let expected = json!({
        "id": ID, "type": "Vehicle",
        "fuelLevel": [{ "type": "Property", "value": NOTHING }],
        "isParkedIn": [{ "type": "Relationship", "object": NOTHING }],
        "name": [{ "type": "LanguageProperty", "languageMap": { "@none": NOTHING } }],
        "scope": [{ "type": "Property", "value": [] }],
    });
    assert_eq!(shown, expected);
    let values = retrieve(&api, "?timeproperty=deletedAt&options=temporalValues").await.value();
    assert_eq!(values["fuelLevel"]["values"][0][0], NOTHING);
    assert_eq!(values["isParkedIn"]["objects"][0][0], NOTHING);
    assert_eq!(
        values["name"]["languageMaps"][0][0],
        json!({ "languageMap": { "@none": NOTHING } })
    );
    assert_eq!(values["scope"]["values"][0][0], json!([]));
    assert_eq!(values["scope"]["values"][0].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn system_attributes_are_shown_to_whoever_asks() {
    let api = Api::new();
    api.create(&json!({
        "id": ID, "type": "Vehicle", "scope": "/old",
        "speed": { "type": "Property", "value": 1, "observedAt": "2026-08-10T00:00:00Z" },
    }))
    .await;
    let answer = api.patch(&format!("{ENTITIES}/{ID}"), &json!({ "scope": "/new" })).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
    let shown = shown(&api, "?options=sysAttrs").await;
    assert!(shown["createdAt"].is_string() && shown["modifiedAt"].is_string(), "{shown}");
    assert!(shown["speed"][0]["createdAt"].is_string(), "{shown}");
    let scopes = shown["scope"].as_array().unwrap();
    assert_eq!(scopes.len(), 2, "{shown}");
    assert_eq!(scopes[1]["value"], "/new");
    assert_eq!(scopes[1]["observedAt"], scopes[1]["modifiedAt"]);
    let mut members: Vec<&String> = scopes[1].as_object().unwrap().keys().collect();
    members.sort_unstable();
    assert_eq!(members, ["createdAt", "modifiedAt", "observedAt", "type", "value"]);
}

#[tokio::test]
async fn texts_are_shown_in_one_language_to_whoever_asks() {
    let api = Api::new();
    let street = |time: &str, map: Value| {
        let observed = format!("2020-08-01T{time}Z");
        json!({ "type": "LanguageProperty", "languageMap": map, "observedAt": observed })
    };
    let body = json!({ "id": ID, "type": "Vehicle", "street": [
        street("12:03:00", json!({ "fr": "Grand Place", "nl": "Grote Markt" })),
        street("12:05:00", json!({ "es": "Gran Lugar" })),
    ]});
    record(&api, &body).await;
    assert_eq!(shown(&api, "").await, body);
    let one = shown(&api, "?lang=nl").await;
    assert_eq!(
        one["street"][0],
        json!({ "type": "Property", "value": "Grote Markt", "lang": "nl",
                "observedAt": "2020-08-01T12:03:00Z" })
    );
    assert_eq!(one["street"][1]["value"], "Gran Lugar");
    let values = shown(&api, "?lang=nl&format=temporalValues").await;
    let expected =
        json!([["Grote Markt", "2020-08-01T12:03:00Z"], ["Gran Lugar", "2020-08-01T12:05:00Z"]]);
    assert_eq!(values["street"], json!({ "type": "Property", "values": expected }));
}
