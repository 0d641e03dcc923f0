//! Which types and attributes there are.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Api, JSON, LD_JSON, LINK, request};

const NGSI_LD: &str = "/ngsi-ld/v1";
const NAME: &str = "https://example.jp/terms#name";

async fn api() -> Api {
    let api = Api::new();
    let entity = |number: u32, kind: &str, more: Value| {
        let mut entity = json!({
            "@context": crate::support::CONTEXT,
            "id": format!("urn:a:{number}"),
            "type": kind,
            "name": { "type": "Property", "value": "n" },
        });
        entity.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        entity
    };
    for entity in [
        entity(1, "Shelter", json!({ "locatedIn": { "type": "Relationship", "object": "urn:c" } })),
        entity(2, "Shelter", json!({ "locatedIn": { "type": "Property", "value": "Wajima" } })),
        entity(3, "Hall", json!({})),
    ] {
        let headers = [("content-type", LD_JSON)];
        let path = crate::support::ENTITIES;
        let answer = api.send(request(Method::POST, path, &headers, entity.to_string())).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    api
}

#[tokio::test]
async fn a_type_is_described_with_its_attributes() {
    let api = api().await;
    let expected = json!({
        "id": "https://example.jp/terms#Shelter",
        "type": "EntityTypeInfo",
        "typeName": "Shelter",
        "entityCount": 2,
        "attributeDetails": [
            {
                "id": "https://example.jp/terms#locatedIn",
                "type": "Attribute",
                "attributeName": "locatedIn",
                "attributeTypes": ["Property", "Relationship"],
            },
            {
                "id": NAME,
                "type": "Attribute",
                "attributeName": "name",
                "attributeTypes": ["Property"],
            },
        ],
    });
    for name in ["Shelter", "https:%2F%2Fexample.jp%2Fterms%23Shelter"] {
        let path = format!("{NGSI_LD}/types/{name}");
        let answer = api.get_with(&path, &[("link", LINK)]).await;
        assert_eq!((answer.status, answer.value()), (200, expected.clone()));
        assert_eq!((answer.header("content-type"), answer.headers("link").len()), (JSON, 1));
    }
    // Without its context the term means another type.
    api.get(&format!("{NGSI_LD}/types/Shelter")).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn attributes_are_listed_and_described() {
    let api = api().await;
    let with = async |path: &str| {
        let answer = api.get_with(&format!("{NGSI_LD}{path}"), &[("link", LINK)]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.value()
    };
    let list = with("/attributes").await;
    assert_eq!(list["type"], "AttributeList");
    assert_eq!(list["id"], "urn:ngsi-ld:AttributeList:default");
    assert_eq!(list["attributeList"], json!(["locatedIn", "name"]));
    let details = with("/attributes?details=true").await;
    let name = json!({
        "id": NAME,
        "type": "Attribute",
        "attributeName": "name",
        "typeNames": ["Shelter", "Hall"],
    });
    assert_eq!((details.as_array().unwrap().len(), &details[1]), (2, &name));
    let mut one = name;
    one["attributeCount"] = json!(3);
    one["attributeTypes"] = json!(["Property"]);
    assert_eq!(with("/attributes/name").await, one);
    assert_eq!(with("/attributes/https:%2F%2Fexample.jp%2Fterms%23name").await, one);
}

#[tokio::test]
async fn members_of_an_entity_are_no_attributes() {
    let api = api().await;
    for member in ["id", "type", "scope", "createdAt", "modifiedAt", "@type", "unknown"] {
        let answer = api.get(&format!("{NGSI_LD}/attributes/{member}")).await;
        answer.is_problem(404, "ResourceNotFound");
    }
}

#[tokio::test]
async fn the_context_is_in_the_body_if_the_reader_wants_it_there() {
    let api = api().await;
    for path in ["/types", "/types/Shelter", "/attributes", "/attributes/name"] {
        let headers = [("link", LINK), ("accept", LD_JSON)];
        let answer = api.get_with(&format!("{NGSI_LD}{path}"), &headers).await;
        assert_eq!(answer.header("content-type"), LD_JSON, "{path}");
        assert!(answer.value().get("@context").is_some(), "{path}");
        assert!(answer.headers("link").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let api = api().await;
    for path in ["/types/Shelter", "/attributes", "/attributes/name", "/types/Nothing"] {
        let path = format!("{NGSI_LD}{path}");
        let headers = [("link", LINK)];
        let got = api.get_with(&path, &headers).await;
        let head = api.send(request(Method::HEAD, &path, &headers, "")).await;
        assert_eq!((head.status, head.body.as_str()), (got.status, ""), "{path}");
        assert_eq!(head.header("content-type"), got.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn parameters_of_other_operations_are_refused() {
    let api = api().await;
    for path in ["/types/Shelter?details=true", "/attributes?limit=5", "/attributes/a?details=true"]
    {
        api.get(&format!("{NGSI_LD}{path}")).await.is_problem(400, "InvalidRequest");
    }
    let path = format!("{NGSI_LD}/attributes?details=perhaps");
    api.get(&path).await.is_problem(400, "InvalidRequest");
}
