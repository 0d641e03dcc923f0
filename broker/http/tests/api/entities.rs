//! One entity as a whole.

use http::Method;
use serde_json::json;

use crate::support::{Api, CONTEXT, ENTITIES, JSON, LD_JSON, LINK, request};

const ID: &str = "urn:ngsi-ld:Shelter:1";

fn shelter() -> serde_json::Value {
    json!({
        "id": ID,
        "type": "Shelter",
        "name": { "type": "Property", "value": "能登小学校" },
        "capacity": { "type": "Property", "value": 120, "observedAt": "2024-01-11T09:00:00Z" },
    })
}

#[tokio::test]
async fn what_was_created_is_retrieved() {
    let api = Api::new();
    let answer = api.post(ENTITIES, &shelter()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.body, "");
    assert_eq!(answer.header("location"), format!("{ENTITIES}/{ID}"));
    let answer = api.get(&format!("{ENTITIES}/{ID}")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), JSON);
    assert!(answer.header("link").contains("ngsi-ld-core-context"), "{:?}", answer.headers);
    assert_eq!(answer.value(), shelter());
}

#[tokio::test]
async fn a_second_creation_conflicts_and_changes_nothing() {
    let api = Api::new();
    api.create(&shelter()).await;
    let other = json!({ "id": ID, "type": "Other" });
    api.post(ENTITIES, &other).await.is_problem(409, "AlreadyExists");
    assert_eq!(api.entity(ID).await, shelter());
}

#[tokio::test]
async fn an_entity_that_is_not_there_is_not_found() {
    let api = Api::new();
    let path = format!("{ENTITIES}/{ID}");
    api.get(&path).await.is_problem(404, "ResourceNotFound");
    api.delete(&path).await.is_problem(404, "ResourceNotFound");
    api.patch(&path, &json!({ "name": 1 })).await.is_problem(404, "ResourceNotFound");
    api.json(Method::PUT, &path, &shelter()).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn an_id_that_is_no_uri_is_refused() {
    let api = Api::new();
    api.get(&format!("{ENTITIES}/nothing")).await.is_problem(400, "BadRequestData");
    api.delete(&format!("{ENTITIES}/nothing")).await.is_problem(400, "BadRequestData");
    let answer = api.json(Method::PUT, &format!("{ENTITIES}/"), &shelter()).await;
    answer.is_problem(400, "BadRequestData");
    let other = format!("{ENTITIES}/urn:ngsi-ld:Shelter:2");
    api.create(&json!({ "id": "urn:ngsi-ld:Shelter:2", "type": "Shelter" })).await;
    api.json(Method::PUT, &other, &shelter()).await.is_problem(400, "BadRequestData");
    api.patch(&other, &shelter()).await.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn an_id_may_be_percent_encoded() {
    let api = Api::new();
    api.create(&shelter()).await;
    let answer = api.get("/ngsi-ld/v1/entities/urn%3Angsi-ld%3AShelter%3A1").await;
    assert_eq!(answer.status, 200);
    assert_eq!(api.get("/ngsi-ld/v1/entities/%FF").await.status, 400);
}

#[tokio::test]
async fn a_deleted_entity_is_gone_and_may_be_created_again() {
    let api = Api::new();
    api.create(&shelter()).await;
    let path = format!("{ENTITIES}/{ID}");
    let other = format!("{path}?type=Other");
    api.delete(&other).await.is_problem(404, "ResourceNotFound");
    let answer = api.delete(&format!("{path}?type=Shelter")).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    api.get(&path).await.is_problem(404, "ResourceNotFound");
    api.create(&shelter()).await;
}

#[tokio::test]
async fn a_replacement_keeps_only_the_time_of_creation() {
    let api = Api::new();
    api.create(&shelter()).await;
    let path = format!("{ENTITIES}/{ID}?options=sysAttrs");
    let before = api.get(&path).await.value();
    let new = json!({ "id": ID, "type": "Shelter", "open": { "type": "Property", "value": true } });
    assert_eq!(api.json(Method::PUT, &format!("{ENTITIES}/{ID}"), &new).await.status, 204);
    let after = api.get(&path).await.value();
    assert_eq!(after["createdAt"], before["createdAt"]);
    assert_ne!(after["modifiedAt"], before["modifiedAt"]);
    assert!(after.get("name").is_none() && after["open"]["value"] == true);
}

#[tokio::test]
async fn a_merge_changes_what_it_names_and_a_null_deletes() {
    let api = Api::new();
    api.create(&shelter()).await;
    let path = format!("{ENTITIES}/{ID}");
    let part = json!({ "capacity": { "value": 80 }, "name": "urn:ngsi-ld:null" });
    let answer = api.patch(&format!("{path}?observedAt=2024-02-01T00:00:00Z"), &part).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
    let entity = api.entity(ID).await;
    assert_eq!(entity["capacity"]["value"], 80);
    assert_eq!(entity["capacity"]["observedAt"], "2024-02-01T00:00:00Z");
    assert!(entity.get("name").is_none());
    let merge_patch = [("content-type", "application/merge-patch+json")];
    let body = r#"{"capacity": 70}"#;
    assert_eq!(api.send(request(Method::PATCH, &path, &merge_patch, body)).await.status, 204);
    assert_eq!(api.entity(ID).await["capacity"]["value"], 70);
}

#[tokio::test]
async fn a_simplified_merge_keeps_the_kind_of_what_is_there() {
    let api = Api::new();
    api.create(&json!({
        "id": ID,
        "type": "Shelter",
        "near": { "type": "Relationship", "object": "urn:ngsi-ld:Shelter:2" },
    }))
    .await;
    let path = format!("{ENTITIES}/{ID}");
    let part = json!({ "near": "urn:ngsi-ld:Shelter:3", "capacity": 5 });
    let answer = api.patch(&format!("{path}?options=keyValues"), &part).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
    let entity = api.entity(ID).await;
    assert_eq!(
        entity["near"],
        json!({ "type": "Relationship", "object": "urn:ngsi-ld:Shelter:3" })
    );
    assert_eq!(entity["capacity"], json!({ "type": "Property", "value": 5 }));
    let answer = api.patch(&format!("{path}?options=nonsense"), &part).await;
    answer.is_problem(400, "InvalidRequest");
}

#[tokio::test]
async fn a_text_is_merged_under_the_language_of_the_request() {
    let api = Api::new();
    let path = format!("{ENTITIES}/{ID}");
    for (query, part, expected) in [
        ("lang=en&format=simplified", json!("school"), json!({ "ja": "学校", "en": "school" })),
        ("lang=ja&options=keyValues", json!(["校"]), json!({ "ja": ["校"] })),
        ("lang=en", json!("school"), json!({ "ja": "学校", "en": "school" })),
        (
            "lang=en&format=simplified",
            json!({ "languageMap": { "fr": "école" } }),
            json!({ "ja": "学校", "fr": "école" }),
        ),
        ("format=simplified", json!("school"), json!({ "ja": "学校", "@none": "school" })),
    ] {
        let label = json!({ "type": "LanguageProperty", "languageMap": { "ja": "学校" } });
        api.create(&json!({ "id": ID, "type": "Shelter", "label": label, "name": "a" })).await;
        let part = json!({ "label": part, "name": "b" });
        let answer = api.patch(&format!("{path}?{query}"), &part).await;
        assert_eq!(answer.status, 204, "{query}: {}", answer.body);
        let entity = api.entity(ID).await;
        assert_eq!(entity["label"]["languageMap"], expected, "{query} {part}");
        assert_eq!(entity["name"], json!({ "type": "Property", "value": "b" }));
        assert_eq!(api.delete(&path).await.status, 204);
    }
    api.create(&shelter()).await;
    for tag in ["", "en,ja", "*", "e%20n"] {
        let answer = api.patch(&format!("{path}?lang={tag}"), &json!({ "name": "b" })).await;
        answer.is_problem(400, "BadRequestData");
        assert!(answer.body.contains("lang"), "{}", answer.body);
    }
}

#[tokio::test]
async fn names_are_those_of_the_context() {
    let api = Api::new();
    let with_link = [("content-type", JSON), ("link", LINK)];
    let body = shelter().to_string();
    assert_eq!(api.send(request(Method::POST, ENTITIES, &with_link, body)).await.status, 201);
    let path = format!("{ENTITIES}/{ID}");
    let entity = api.get(&path).await.value();
    assert_eq!(entity["type"], "https://example.jp/terms#Shelter");
    assert_eq!(entity["https://example.jp/terms#capacity"]["value"], 120);
    let answer = api.get_with(&path, &[("link", LINK)]).await;
    assert!(answer.header("link").contains(CONTEXT));
    assert_eq!(answer.value(), shelter());
    let answer = api.get_with(&path, &[("link", LINK), ("accept", LD_JSON)]).await;
    assert_eq!(answer.header("content-type"), LD_JSON);
    assert_eq!(answer.header("link"), "");
    let entity = answer.value();
    assert!(entity["@context"].to_string().contains(CONTEXT), "{entity}");
    assert_eq!(entity["name"], shelter()["name"]);
    let without = api.get(&format!("{path}?type=Shelter")).await;
    without.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn a_body_brings_its_context_in_exactly_one_way() {
    let api = Api::new();
    let body = json!({ "@context": CONTEXT, "id": ID, "type": "Shelter" }).to_string();
    let plain = json!({ "id": ID, "type": "Shelter" }).to_string();
    let check = async |headers: &[(&str, &str)], body: &str| {
        api.send(request(Method::POST, ENTITIES, headers, body.to_owned())).await
    };
    check(&[("content-type", JSON)], &body).await.is_problem(400, "BadRequestData");
    check(&[("content-type", LD_JSON)], &plain).await.is_problem(400, "BadRequestData");
    let both = [("content-type", LD_JSON), ("link", LINK)];
    check(&both, &body).await.is_problem(400, "BadRequestData");
    let two = [("content-type", JSON), ("link", LINK), ("link", LINK)];
    check(&two, &plain).await.is_problem(400, "BadRequestData");
    let unknown = [("content-type", LD_JSON)];
    let elsewhere = body.replace("town", "elsewhere");
    check(&unknown, &elsewhere).await.is_problem(504, "LdContextNotAvailable");
    assert_eq!(check(&[("content-type", LD_JSON)], &body).await.status, 201);
    let entity = api.entity(ID).await;
    assert_eq!(entity["type"], "https://example.jp/terms#Shelter");
}

#[tokio::test]
async fn tenants_are_walls_and_the_first_creation_makes_one() {
    let api = Api::new();
    let kyoto = [("ngsild-tenant", "kyoto")];
    let kamakura = [("ngsild-tenant", "kamakura"), ("content-type", JSON)];
    let path = format!("{ENTITIES}/{ID}");
    let answer = api.get_with(&path, &kyoto).await;
    answer.is_problem(404, "NonexistentTenant");
    assert_eq!(answer.header("ngsild-tenant"), "kyoto");
    let body = shelter().to_string();
    let answer = api.send(request(Method::POST, ENTITIES, &kamakura, body.clone())).await;
    assert_eq!((answer.status, answer.header("ngsild-tenant")), (201, "kamakura"));
    assert_eq!(api.get_with(&path, &kamakura[..1]).await.status, 200);
    api.get(&path).await.is_problem(404, "ResourceNotFound");
    api.get_with(&path, &kyoto).await.is_problem(404, "NonexistentTenant");
    let wrong = [("ngsild-tenant", "../etc"), ("content-type", JSON)];
    let answer = api.send(request(Method::POST, ENTITIES, &wrong, body)).await;
    answer.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn a_refused_creation_makes_no_tenant() {
    let api = Api::new();
    let headers = [("ngsild-tenant", "kyoto"), ("content-type", JSON)];
    let body = r#"{"id": "no uri", "type": "T"}"#;
    assert_eq!(api.send(request(Method::POST, ENTITIES, &headers, body)).await.status, 400);
    let answer = api.get_with("/ngsi-ld/v1/types", &headers[..1]).await;
    answer.is_problem(404, "NonexistentTenant");
}

#[tokio::test]
async fn a_head_request_is_answered_without_a_body() {
    let api = Api::new();
    api.create(&shelter()).await;
    for path in [format!("{ENTITIES}/{ID}"), format!("{ENTITIES}?type=Shelter")] {
        let get = api.get(&path).await;
        let head = api.send(request(Method::HEAD, &path, &[], String::new())).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.header("content-length"), get.body.len().to_string());
    }
}
