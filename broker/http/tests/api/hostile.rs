//! Input that wants to do harm: a clear error, nothing stored, and the next request is served.

use axum::body::{Body, Bytes};
use futures_util::stream;
use http::Method;
use musubi_http::{HttpOptions, Limits};
use serde_json::json;

use crate::support::{Api, ENTITIES, JSON, request};

async fn post(api: &Api, body: String) -> crate::support::Answer {
    api.send(request(Method::POST, ENTITIES, &[("content-type", JSON)], body)).await
}

/// Refused as `name`, with nothing stored and the next request served.
async fn check(body: String, name: &str) {
    let api = Api::new();
    let answer = post(&api, body).await;
    answer.is_problem(400, name);
    let all = api.get(&format!("{ENTITIES}?local=true")).await;
    assert_eq!(all.body, "[]");
}

#[tokio::test]
async fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let value = format!("{}1{}", open.repeat(1000), close.repeat(1000));
        let body =
            format!(r#"{{"id":"urn:a:1","type":"T","a":{{"type":"Property","value":{value}}}}}"#);
        check(body, "InvalidRequest").await;
    }
    check("[".repeat(1_000_000), "InvalidRequest").await;
}

#[tokio::test]
async fn duplicate_keys_are_refused() {
    check(r#"{"id":"urn:a:1","type":"T","type":"U"}"#.to_owned(), "InvalidRequest").await;
    check(
        r#"{"id":"urn:a:1","type":"T","a":{"value":1,"v\u0061lue":2}}"#.to_owned(),
        "InvalidRequest",
    )
    .await;
}

#[tokio::test]
async fn numbers_that_are_none_are_refused() {
    for number in ["NaN", "Infinity", "1e999", "-1e999", "0x10", "01", "1.", &"9".repeat(400)] {
        let body =
            format!(r#"{{"id":"urn:a:1","type":"T","a":{{"type":"Property","value":{number}}}}}"#);
        check(body, "InvalidRequest").await;
    }
}

#[tokio::test]
async fn an_impossible_geometry_is_refused() {
    for geometry in [
        json!({ "type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]] }),
        json!({ "type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]] }),
        json!({ "type": "Point", "coordinates": [200, 0] }),
        json!({ "type": "Point", "coordinates": ["a", "b"] }),
        json!({ "type": "GeometryCollection", "geometries": [] }),
        json!({ "type": "Circle", "coordinates": [0, 0] }),
    ] {
        let entity = json!({
            "id": "urn:a:1",
            "type": "T",
            "location": { "type": "GeoProperty", "value": geometry },
        });
        check(entity.to_string(), "BadRequestData").await;
    }
}

#[tokio::test]
async fn hostile_queries_are_refused_or_answered_quickly() {
    let api = Api::new();
    let text = "a".repeat(5000);
    api.create(&json!({ "id": "urn:a:1", "type": "T", "a": text })).await;
    for pattern in ["(a%2B)%2B$", "(a*)*b", "(a%7Ca)*b"] {
        let answer = api.get(&format!("{ENTITIES}?type=T&q=a~%3D%22{pattern}%22")).await;
        assert_eq!(answer.status, 200, "{pattern}: {}", answer.body);
        let answer = api.get(&format!("{ENTITIES}?type=T&idPattern={pattern}")).await;
        assert_eq!(answer.status, 200, "{pattern}");
    }
    for query in [
        format!("idPattern={}", "(".repeat(500)),
        "idPattern=a%7B1000%7D%7B1000%7D%7B1000%7D".to_owned(),
        format!("idPattern={}", "a".repeat(2000)),
        format!("q={}a{}", "(".repeat(2000), ")".repeat(2000)),
        format!("pick={}", "a%7B".repeat(2000)),
        format!("scopeQ={}", "(".repeat(2000)),
        format!("attrs={}", vec!["a"; 501].join(",")),
        format!("omit={}", vec!["a"; 501].join(",")),
        format!("lang={}", vec!["en"; 17].join(",")),
    ] {
        let answer = api.get(&format!("{ENTITIES}?type=T&{query}")).await;
        answer.is_problem(400, "BadRequestData");
    }
    let many = "&a=1".repeat(100);
    api.get(&format!("{ENTITIES}?type=T{many}")).await.is_problem(400, "InvalidRequest");
    assert_eq!(api.get(&format!("{ENTITIES}/urn:a:1")).await.status, 200);
}

#[tokio::test]
async fn a_body_without_a_length_is_refused_bare() {
    let api = Api::new();
    let chunks = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{}"))]);
    let headers = [("content-type", JSON), ("ngsild-tenant", "nobody")];
    let request = request(Method::POST, ENTITIES, &headers, Body::from_stream(chunks));
    let answer = api.send(request).await;
    assert_eq!((answer.status, answer.body.as_str()), (411, ""));
}

#[tokio::test]
async fn headers_that_are_no_text_are_refused() {
    let api = Api::new();
    for name in ["accept", "link", "ngsild-tenant"] {
        let mut request = request(Method::GET, &format!("{ENTITIES}/urn:a:1"), &[], "");
        let value = http::HeaderValue::from_bytes(b"\xff\xfe").unwrap();
        request.headers_mut().insert(http::HeaderName::from_static(name), value);
        assert_eq!(api.send(request).await.status, 400, "{name}");
    }
    let answer = api.get_with(&format!("{ENTITIES}/urn:a:1"), &[("link", "nonsense")]).await;
    answer.is_problem(400, "InvalidRequest");
}

#[tokio::test]
async fn very_many_types_or_scopes_are_refused_at_once() {
    let many = |prefix: &str| (0..100_000).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    check(json!({ "id": "urn:a:1", "type": many("T") }).to_string(), "BadRequestData").await;
    let scopes = json!({ "id": "urn:a:1", "type": "T", "scope": many("/s") });
    check(scopes.to_string(), "BadRequestData").await;
}

#[tokio::test]
async fn a_batch_of_too_many_items_is_refused() {
    let api = Api::new();
    for operation in ["create", "upsert", "update", "merge", "delete"] {
        let path = format!("/ngsi-ld/v1/entityOperations/{operation}");
        let answer = api.post(&path, &json!(vec![json!({}); 10_001])).await;
        answer.is_problem(400, "BadRequestData");
        assert!(answer.body.contains("at most 10000 items"), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_batch_of_too_many_contexts_gets_those_alone_that_are_few() {
    let api = Api::new();
    let item = |n: usize| {
        let context = json!({ "@vocab": format!("https://example.jp/{n}#") });
        json!({ "id": format!("urn:a:{n}"), "type": "T", "@context": context })
    };
    let items: Vec<_> = (0..20).map(item).collect();
    let path = "/ngsi-ld/v1/entityOperations/create";
    let headers = [("content-type", crate::support::LD_JSON)];
    let body = json!(items).to_string();
    let answer = api.send(request(Method::POST, path, &headers, body)).await;
    assert_eq!(answer.status, 207, "{}", answer.body);
    assert_eq!(answer.value()["success"].as_array().unwrap().len(), 16);
    assert_eq!(answer.value()["errors"][3]["entityId"], "urn:a:19");
}

#[tokio::test]
async fn a_page_that_would_be_too_long_is_refused() {
    let limits = Limits { answer: 10_000, ..Limits::default() };
    let api = Api::with(HttpOptions { limits, ..HttpOptions::default() }, None);
    for n in 0..20 {
        api.create(&json!({ "id": format!("urn:a:{n}"), "type": "T", "a": "x".repeat(1000) }))
            .await;
    }
    api.get(&format!("{ENTITIES}?type=T")).await.is_problem(403, "TooComplexQuery");
    assert_eq!(api.get(&format!("{ENTITIES}?type=T&limit=5")).await.status, 200);
}

#[tokio::test]
async fn linked_entities_that_point_at_each_other_are_not_followed_forever() {
    let limits = Limits { answer: 200_000, ..Limits::default() };
    let api = Api::with(HttpOptions { limits, ..HttpOptions::default() }, None);
    let all: Vec<String> = (0..30).map(|n| format!("urn:a:{n}")).collect();
    for id in &all {
        let links = json!({ "type": "Relationship", "object": all });
        api.create(&json!({ "id": id, "type": "T", "to": links })).await;
    }
    // Of what is rendered next to nothing is shown.
    let nested = format!("{}to{}", "to{".repeat(9), "}".repeat(9));
    let query = format!("join=inline&joinLevel=10&pick={nested}&options=keyValues");
    let query = query.replace('{', "%7B").replace('}', "%7D");
    let answer = api.get(&format!("{ENTITIES}/urn:a:0?{query}")).await;
    answer.is_problem(403, "TooComplexQuery");
}

#[tokio::test]
async fn a_compressed_body_is_refused_bare() {
    let api = Api::new();
    let headers = [("content-type", JSON), ("content-encoding", "gzip")];
    let answer = api.send(request(Method::POST, ENTITIES, &headers, "{}")).await;
    assert_eq!((answer.status, answer.body.as_str()), (415, ""));
}

#[tokio::test]
async fn what_is_wrong_with_a_parameter_names_the_parameter() {
    let api = Api::new();
    api.create(&json!({ "id": "urn:a:1", "type": "T", "p": 1 })).await;
    let geo = [("accept", "application/geo+json")];
    for (method, path, name) in [
        (Method::GET, "?type=T&id=a", "id"),
        (Method::GET, "?type=T&attrs=id", "attrs"),
        (Method::GET, "?type=T&attrs=", "attrs"),
        (Method::GET, "?type=T&pick=%40p", "pick"),
        (Method::GET, "?type=T&geometryProperty=", "geometryProperty"),
        (Method::DELETE, "?type=T&drop=", "drop"),
        (Method::DELETE, "?type=T&keep=%40p", "keep"),
        (Method::DELETE, "/urn:a:1/attrs/p?datasetId=x", "datasetId"),
    ] {
        let answer =
            api.send(request(method, &format!("{ENTITIES}{path}"), &geo, String::new())).await;
        answer.is_problem(400, "BadRequestData");
        let detail = answer.value()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(&format!("{name}: ")), "{path}: {detail}");
    }
}

#[tokio::test]
async fn a_multitude_of_links_to_one_entity_is_one_link() {
    let api = Api::new();
    api.create(&json!({ "id": "urn:a:1", "type": "T", "n": 1 })).await;
    let links = vec!["urn:a:1"; 50_000];
    let relationship = json!({ "type": "Relationship", "object": links });
    api.create(&json!({ "id": "urn:a:2", "type": "T", "r": relationship })).await;
    let names: Vec<String> = (0..490).map(|number| format!("a{number}")).collect();
    let pick = format!("pick=id,r%7Bid,{}%7D", names.join(","));
    let answer = api.get(&format!("{ENTITIES}/urn:a:2?join=flat&{pick}&format=simplified")).await;
    let found = answer.value();
    let ids: Vec<&str> =
        found.as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(ids, ["urn:a:2", "urn:a:1"]);
}
