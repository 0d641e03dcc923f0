//! The `Prefer` header, over a real socket: earlier versions of the specification (CIM 009,
//! clause 4.3.6.8).

use serde_json::{Value, json};

use crate::socket::Server;
use crate::support::{ENTITIES, LD_JSON};

async fn server() -> Server {
    let every_kind = json!({
        "id": "urn:ngsi-ld:Thing:1",
        "type": ["Thing", "Other"],
        "scope": "/Nanao",
        "expiresAt": "2100-01-01T00:00:00Z",
        "plain": [
            { "type": "Property", "value": 2, "datasetId": "urn:d:1", "unitCode": "CEL" },
            { "type": "Property", "value": 1, "unitCode": "CEL", "valueType": "xsd:int",
              "observedAt": "2026-01-01T00:00:00Z" },
        ],
        "words": { "type": "LanguageProperty", "languageMap": { "en": "yes", "fr": "oui" } },
        "kinds": { "type": "VocabProperty", "vocab": ["shelter", "hall"] },
        "raw": { "type": "JsonProperty", "json": { "a": null } },
        "list": { "type": "ListProperty", "valueList": [1, 2] },
        "route": { "type": "ListRelationship", "objectList": ["urn:a:1", "urn:a:2"] },
        "owner": { "type": "Relationship", "object": "urn:a:1", "objectType": "Person",
                   "since": { "type": "VocabProperty", "vocab": "ever" } },
    });
    let plain = json!({
        "id": "urn:ngsi-ld:Plain:1",
        "type": "Plain",
        "value1": { "type": "Property", "value": 1 },
    });
    Server::with(&[every_kind, plain]).await
}

async fn get(server: &Server, path: &str, version: &str) -> (u16, String, Value) {
    let preference = format!("ngsi-ld={version}");
    let answer = server.get_with(&format!("{ENTITIES}{path}"), &[("prefer", &preference)]).await;
    let applied = answer.header("preference-applied").to_owned();
    (answer.status, applied, answer.value())
}

#[tokio::test]
async fn each_version_gets_what_it_knows() {
    let server = server().await;
    let thing = "/urn:ngsi-ld:Thing:1?options=sysAttrs";
    let types = |body: &Value| {
        let names = ["words", "kinds", "raw", "list", "route", "owner"];
        names.map(|name| body[name]["type"].as_str().unwrap().to_owned()).join(" ")
    };
    let native =
        "LanguageProperty VocabProperty JsonProperty ListProperty ListRelationship Relationship";
    let (status, applied, body) = get(&server, thing, "1.9").await;
    assert_eq!((status, applied.as_str()), (200, "ngsi-ld=1.9"));
    assert_eq!(types(&body), native);
    assert!(body.get("expiresAt").is_some());

    let (status, applied, body) = get(&server, thing, "1.8").await;
    assert_eq!((status, applied.as_str()), (203, "ngsi-ld=1.8"));
    assert_eq!(types(&body), native);
    assert!(body.get("expiresAt").is_none() && body["plain"][1].get("valueType").is_none());

    let (status, _, body) = get(&server, thing, "1.5").await;
    assert_eq!(status, 203);
    assert_eq!(
        types(&body),
        "LanguageProperty Property Property Property Relationship Relationship"
    );
    assert_eq!(body["kinds"]["value"], json!(["shelter", "hall"]));
    assert_eq!(body["raw"]["value"], json!({ "a": null }));
    assert_eq!(body["list"]["value"], json!([1, 2]));
    assert_eq!(body["route"]["object"], json!(["urn:a:1", "urn:a:2"]));
    assert_eq!(body["owner"]["since"]["value"], "ever");
    assert!(body["owner"].get("objectType").is_none());
    assert_eq!(body["scope"], "/Nanao");

    let (_, _, body) = get(&server, thing, "1.3").await;
    assert_eq!(body["words"]["value"], json!({ "en": "yes", "fr": "oui" }));
    assert!(body.get("scope").is_none());
    assert_eq!(body["plain"].as_array().unwrap().len(), 2);

    let (status, applied, body) = get(&server, thing, "1.0").await;
    assert_eq!((status, applied.as_str()), (203, "ngsi-ld=1.0"));
    assert_eq!(body["type"], "Thing");
    assert_eq!(body["plain"]["value"], 1);
    for member in ["unitCode", "observedAt", "datasetId"] {
        assert!(body["plain"].get(member).is_none(), "{member}");
    }
}

#[tokio::test]
async fn what_every_version_knows_is_not_altered() {
    let server = server().await;
    let (status, applied, body) = get(&server, "/urn:ngsi-ld:Plain:1", "1.0").await;
    assert_eq!((status, applied.as_str()), (200, "ngsi-ld=1.0"));
    assert_eq!(body["value1"]["value"], 1);
    // A preference that means nothing is none.
    for version in ["x", "0.5", "1"] {
        let (status, applied, _) = get(&server, "/urn:ngsi-ld:Thing:1", version).await;
        assert_eq!((status, applied.as_str()), (200, ""), "{version}");
    }
    let (status, applied, _) = get(&server, "/urn:ngsi-ld:Thing:1", "2.1").await;
    assert_eq!((status, applied.as_str()), (200, "ngsi-ld=1.9"));
}

#[tokio::test]
async fn pages_languages_and_other_forms_follow_too() {
    let server = server().await;
    let (status, applied, body) = get(&server, "?type=Thing,Plain&format=simplified", "1.5").await;
    assert_eq!((status, applied.as_str()), (203, "ngsi-ld=1.5"));
    assert_eq!(body[0]["kinds"], json!(["shelter", "hall"]));
    let (status, _, _) = get(&server, "?type=Plain", "1.5").await;
    assert_eq!(status, 200);
    let (_, _, body) = get(&server, "/urn:ngsi-ld:Thing:1?lang=fr", "1.0").await;
    assert_eq!(body["words"]["value"], "oui");
    let headers = [("prefer", "ngsi-ld=1.5"), ("accept", LD_JSON)];
    let answer = server.get_with(&format!("{ENTITIES}/urn:ngsi-ld:Thing:1"), &headers).await;
    assert_eq!(answer.status, 203);
    assert!(answer.value().get("@context").is_some());
    let query = json!({ "type": "Query", "entities": [{ "type": "Thing" }] });
    let headers = [("prefer", "ngsi-ld=1.5"), ("content-type", "application/json")];
    let path = "/ngsi-ld/v1/entityOperations/query";
    let answer = server.ask("POST", path, &headers, &query.to_string()).await;
    assert_eq!((answer.status, answer.header("preference-applied")), (203, "ngsi-ld=1.5"));
}
