//! What is ours: health, metrics, the page, adapters, the host check.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Method;
use musubi_http::{AdapterError, Adapters, Hosts, HttpOptions};
use musubi_model::Tenant;
use serde_json::{Value, json};

use crate::support::{Api, ENTITIES, request};

#[tokio::test]
async fn health_says_whether_requests_can_be_served() {
    let answer = Api::new().get("/health/live").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "live\n"));
    assert_eq!(Api::new().get("/health/ready").await.status, 200);
    let ready: musubi_http::Readiness = Arc::new(|| Err("the store is being read".to_owned()));
    let api = Api::with(HttpOptions { ready: Some(ready), ..HttpOptions::default() }, None);
    let answer = api.get("/health/ready").await;
    answer.is_problem(503, "InternalError");
    assert!(answer.body.contains("the store is being read"));
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(api.get("/health/live").await.status, 200);
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_status() {
    let api = Api::new();
    api.get(&format!("{ENTITIES}/urn:a:1")).await;
    api.get(&format!("{ENTITIES}/urn:a:2")).await;
    api.get("/nowhere").await;
    let answer = api.get("/metrics").await;
    let line = "http_requests_total{route=\"/ngsi-ld/v1/entities/{id}\",method=\"GET\",\
                status=\"404\"} 2";
    assert!(answer.body.contains(line), "{}", answer.body);
    assert!(answer.body.contains("{route=\"\",method=\"GET\",status=\"404\"} 1"));
    assert!(answer.body.contains("http_request_duration_seconds_bucket"));
    assert!(answer.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_page_is_html() {
    Api::new().get("/").await.is_problem(404, "ResourceNotFound");
    let page: musubi_http::PageSource = Arc::new(|| "<h1>結び</h1>".to_owned());
    let api = Api::with(HttpOptions { page: Some(page), ..HttpOptions::default() }, None);
    let answer = api.get("/").await;
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.body, "<h1>結び</h1>");
}

#[derive(Debug)]
struct Shelters;

impl Adapters for Shelters {
    fn list(&self) -> Value {
        json!([{ "name": "shelter", "state": "running" }])
    }

    fn receive<'a>(
        &'a self,
        tenant: Tenant,
        name: &'a str,
        what: &'a str,
        body: Bytes,
    ) -> BoxFuture<'a, Result<Value, AdapterError>> {
        async move {
            match (name, what, &body[..]) {
                ("shelter", "counts", b"1") => Ok(json!({ "tenant": tenant.as_str() })),
                ("shelter", "counts", b"later") => {
                    Err(AdapterError::Unavailable("not now".to_owned()))
                }
                ("shelter", "counts", _) => Err(AdapterError::Invalid("no count".to_owned())),
                _ => Err(AdapterError::NotFound),
            }
        }
        .boxed()
    }
}

#[tokio::test]
async fn adapters_are_listed_and_take_messages() {
    let options = HttpOptions { adapters: Some(Arc::new(Shelters)), ..HttpOptions::default() };
    let api = Api::with(options, None);
    let path = "/musubi/v1/adapters";
    assert_eq!(api.get(path).await.value()[0]["name"], "shelter");
    assert_eq!(api.get(&format!("{path}/shelter")).await.value()["state"], "running");
    api.get(&format!("{path}/other")).await.is_problem(404, "ResourceNotFound");
    let send = async |name: &str, body: &str| {
        let tenant = [("ngsild-tenant", "nanao")];
        let path = format!("{path}/{name}");
        api.send(request(Method::POST, &path, &tenant, body.to_owned())).await
    };
    assert_eq!(send("shelter/counts", "1").await.value(), json!({ "tenant": "nanao" }));
    send("shelter/counts", "x").await.is_problem(400, "BadRequestData");
    send("shelter/counts", "later").await.is_problem(503, "InternalError");
    send("shelter/other", "1").await.is_problem(404, "ResourceNotFound");
    assert_eq!(Api::new().get(path).await.value(), json!([]));
    let answer = Api::new().post(&format!("{path}/shelter/counts"), &json!(1)).await;
    answer.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn only_its_own_names_reach_a_server_without_authentication() {
    let hosts = Hosts::LoopbackAnd(vec!["192.0.2.7:1026".to_owned()]);
    let api = Api::with(HttpOptions { hosts, ..HttpOptions::default() }, None);
    for host in ["localhost:1026", "127.0.0.1:1026", "[::1]:1026", "192.0.2.7:1026"] {
        let answer = api.get_with("/health/live", &[("host", host)]).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    let answer = api.get_with("/health/live", &[("host", "rebound.example:1026")]).await;
    answer.is_problem(421, "InvalidRequest");
    let answer = api.get_with("/nowhere", &[("host", "rebound.example:1026")]).await;
    answer.is_problem(421, "InvalidRequest");
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing_on_a_server_without_authentication() {
    let options = HttpOptions {
        hosts: Hosts::LoopbackAnd(Vec::new()),
        origins: vec!["https://map.example.jp".to_owned()],
        adapters: Some(Arc::new(Shelters)),
        ..HttpOptions::default()
    };
    let api = Api::with(options, None);
    let send = async |origin: &str| {
        let headers = [("host", "127.0.0.1:1026"), ("origin", origin)];
        let path = "/musubi/v1/adapters/shelter/counts";
        api.send(request(Method::POST, path, &headers, "1")).await
    };
    for origin in ["http://127.0.0.1:1026", "http://localhost:1026", "https://map.example.jp"] {
        assert_eq!(send(origin).await.status, 200, "{origin}");
    }
    for origin in ["https://evil.example", "null", "https://127.0.0.1.evil.example", ""] {
        send(origin).await.is_problem(403, "InvalidRequest");
    }
}

#[tokio::test]
async fn a_path_that_is_no_text_is_a_problem_everywhere() {
    let api = Api::new();
    api.get("/musubi/v1/contexts/%FF").await.is_problem(400, "BadRequestData");
    let answer = api.post("/musubi/v1/adapters/%FF/counts", &json!(1)).await;
    answer.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn pages_of_configured_origins_may_read_the_answers() {
    let origin = ("origin", "https://map.example.jp");
    let answer = Api::new().get_with("/health/live", &[origin]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let origins = vec!["https://map.example.jp".to_owned()];
    let api = Api::with(HttpOptions { origins, ..HttpOptions::default() }, None);
    let answer = api.get_with("/health/live", &[origin]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://map.example.jp");
    let preflight = [origin, ("access-control-request-method", "PATCH")];
    let path = format!("{ENTITIES}/urn:a:1");
    let answer = api.send(request(Method::OPTIONS, &path, &preflight, String::new())).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://map.example.jp");
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    for name in ["prefer", "link", "if-match", "ngsild-tenant", "musubi-if-newer"] {
        assert!(answer.header("access-control-allow-headers").contains(name), "{name}");
    }
    let answer = api.get_with("/health/live", &[origin]).await;
    for name in ["preference-applied", "ngsild-results-count", "musubi-schema-warning", "link"] {
        assert!(answer.header("access-control-expose-headers").contains(name), "{name}");
    }
    let answer = api.get_with("/health/live", &[("origin", "https://evil.example")]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_panic_is_answered_and_the_next_request_is_served() {
    let page: musubi_http::PageSource = Arc::new(|| panic!("on purpose"));
    let api = Api::with(HttpOptions { page: Some(page), ..HttpOptions::default() }, None);
    let answer = api.get("/").await;
    answer.is_problem(500, "InternalError");
    assert!(!answer.body.contains("on purpose"));
    assert_eq!(api.get("/health/live").await.status, 200);
}

#[tokio::test]
async fn problems_have_their_own_media_type_for_those_who_ask() {
    let api = Api::new();
    let accept = "application/json, application/problem+json";
    let answer = api.get_with("/nowhere", &[("accept", accept)]).await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
}
