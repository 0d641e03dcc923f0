//! What every route has to refuse: the table of all routes times all that can be wrong with a
//! request of any kind.

use http::Method;

use crate::support::{Api, JSON, request};

/// Where a map would be.
const MAP: &str =
    "/ngsi-ld/v1/entityMaps/urn:ngsi-ld:EntityMap:b8f6a1e2-57c9-4d0f-9a52-0d6f3c1b7e44";

/// Every route with every method: whether it reads a JSON body.
const ROUTES: &[(Method, &str, bool)] = &[
    (Method::POST, "/ngsi-ld/v1/entities", true),
    (Method::GET, "/ngsi-ld/v1/entities", false),
    (Method::POST, "/ngsi-ld/v1/entities/", true),
    (Method::GET, "/ngsi-ld/v1/entities/urn:a:1", false),
    (Method::DELETE, "/ngsi-ld/v1/entities/urn:a:1", false),
    (Method::PATCH, "/ngsi-ld/v1/entities/urn:a:1", true),
    (Method::PUT, "/ngsi-ld/v1/entities/urn:a:1", true),
    (Method::POST, "/ngsi-ld/v1/entities/urn:a:1/attrs", true),
    (Method::PATCH, "/ngsi-ld/v1/entities/urn:a:1/attrs/", true),
    (Method::PATCH, "/ngsi-ld/v1/entities/urn:a:1/attrs/b", true),
    (Method::PUT, "/ngsi-ld/v1/entities/urn:a:1/attrs/b", true),
    (Method::DELETE, "/ngsi-ld/v1/entities/urn:a:1/attrs/b", false),
    (Method::POST, "/ngsi-ld/v1/entityOperations/create", true),
    (Method::POST, "/ngsi-ld/v1/entityOperations/upsert", true),
    (Method::POST, "/ngsi-ld/v1/entityOperations/update", true),
    (Method::POST, "/ngsi-ld/v1/entityOperations/merge", true),
    (Method::POST, "/ngsi-ld/v1/entityOperations/delete", true),
    (Method::POST, "/ngsi-ld/v1/entityOperations/query", true),
    (Method::POST, "/ngsi-ld/v1/temporal/entities", true),
    (Method::POST, "/ngsi-ld/v1/temporal/entities/", true),
    (Method::DELETE, "/ngsi-ld/v1/temporal/entities/urn:a:1", false),
    (Method::POST, "/ngsi-ld/v1/temporal/entities/urn:a:1/attrs", true),
    (Method::DELETE, "/ngsi-ld/v1/temporal/entities/urn:a:1/attrs/b", false),
    (Method::PATCH, "/ngsi-ld/v1/temporal/entities/urn:a:1/attrs/b/urn:i:1", true),
    (Method::DELETE, "/ngsi-ld/v1/temporal/entities/urn:a:1/attrs/b/urn:i:1", false),
    (Method::DELETE, "/ngsi-ld/v1/entities", false),
    (Method::GET, "/ngsi-ld/v1/entityMaps", false),
    (Method::POST, "/ngsi-ld/v1/entityMaps", true),
    (Method::GET, "/ngsi-ld/v1/temporal/entityMaps", false),
    (Method::POST, "/ngsi-ld/v1/temporal/entityMaps", true),
    (Method::GET, MAP, false),
    (Method::PATCH, MAP, true),
    (Method::DELETE, MAP, false),
    (Method::GET, "/ngsi-ld/v1/types", false),
    (Method::GET, "/ngsi-ld/v1/types/T", false),
    (Method::GET, "/ngsi-ld/v1/attributes", false),
    (Method::GET, "/ngsi-ld/v1/attributes/a", false),
    (Method::GET, "/ngsi-ld/v1/info/sourceIdentity", false),
    (Method::POST, "/ngsi-ld/v1/jsonldContexts", true),
    (Method::GET, "/ngsi-ld/v1/jsonldContexts", false),
    (Method::GET, "/ngsi-ld/v1/jsonldContexts/urn:a:1", false),
    (Method::DELETE, "/ngsi-ld/v1/jsonldContexts/urn:a:1", false),
    (Method::POST, "/ngsi-ld/v1/subscriptions", true),
    (Method::GET, "/ngsi-ld/v1/subscriptions", false),
    (Method::GET, "/ngsi-ld/v1/subscriptions/urn:a:1", false),
    (Method::PATCH, "/ngsi-ld/v1/subscriptions/urn:a:1", true),
    (Method::DELETE, "/ngsi-ld/v1/subscriptions/urn:a:1", false),
    (Method::GET, "/musubi/v1/adapters", false),
    (Method::GET, "/musubi/v1/adapters/a", false),
    (Method::GET, "/musubi/v1/dead-letters", false),
    (Method::DELETE, "/musubi/v1/dead-letters", false),
    (Method::GET, "/musubi/v1/dead-letters/a", false),
    (Method::DELETE, "/musubi/v1/dead-letters/a", false),
    (Method::POST, "/musubi/v1/dead-letters/a/replay", false),
    (Method::POST, "/musubi/v1/dead-letters/replay", false),
    (Method::GET, "/musubi/v1/subscriptions", false),
    (Method::GET, "/musubi/v1/schemas", false),
    (Method::GET, "/musubi/v1/schemas/T", false),
    (Method::PUT, "/musubi/v1/schemas/T", true),
    (Method::DELETE, "/musubi/v1/schemas/T", false),
    (Method::GET, "/musubi/v1/streams/urn:a:1", false),
    (Method::GET, "/musubi/v1/subscriptions/urn:a:1/ledger", false),
    (Method::GET, "/musubi/v1/subscriptions/urn:a:1/trace", false),
];

fn with_bodies() -> impl Iterator<Item = (&'static Method, &'static str)> {
    ROUTES.iter().filter(|(_, _, body)| *body).map(|(method, path, _)| (method, *path))
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_everywhere() {
    let api = Api::new();
    for (method, path, _) in ROUTES {
        let path = format!("{path}?nonsense=1");
        let headers = [("content-type", JSON)];
        let answer = api.send(request(method.clone(), &path, &headers, "{}")).await;
        answer.is_problem(400, "InvalidRequest");
        assert!(answer.body.contains("nonsense"), "{method} {path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_everywhere() {
    let api = Api::new();
    for (method, path) in with_bodies() {
        for body in [&b"{"[..], b"", b"{\"a\": 1,}", b"\xff\xfe", b"{\"a\":1} {}", b"nonsense"] {
            let headers = [("content-type", JSON)];
            let answer = api.send(request(method.clone(), path, &headers, body)).await;
            answer.is_problem(400, "InvalidRequest");
        }
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_refused_everywhere() {
    let api = Api::new();
    for (method, path) in with_bodies() {
        for headers in [
            &[][..],
            &[("content-type", "text/plain")],
            &[("content-type", "application/geo+json")],
            &[("content-type", "application/json; charset=shift_jis")],
            &[("content-type", JSON), ("content-type", JSON)],
        ] {
            let answer = api.send(request(method.clone(), path, headers, "{}")).await;
            let found = (answer.status, answer.body.as_str());
            assert_eq!(found, (415, ""), "{method} {path} {headers:?}");
        }
        let merge_patch = [("content-type", "application/merge-patch+json")];
        let answer = api.send(request(method.clone(), path, &merge_patch, "{}")).await;
        assert_eq!(answer.status == 415, method != Method::PATCH, "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_everywhere() {
    let api = Api::new();
    let body = format!("{{\"id\":\"{}\"}}", "a".repeat(2 * 1024 * 1024));
    for (method, path) in with_bodies() {
        let headers = [("content-type", JSON)];
        let answer = api.send(request(method.clone(), path, &headers, body.clone())).await;
        answer.is_problem(413, "InvalidRequest");
    }
    let path = "/musubi/v1/adapters/a/counts";
    api.send(request(Method::POST, path, &[], body)).await.is_problem(413, "InvalidRequest");
}

#[tokio::test]
async fn a_tenant_that_does_not_exist_is_not_found_by_reads() {
    let api = Api::new();
    for (method, path, _) in ROUTES {
        // Who the broker is and what contexts come with it say nothing of a tenant, so that is
        // told to all.
        let told_to_all = ["adapters", "/info/", "jsonldContexts"];
        let told_to_all = told_to_all.iter().any(|part| path.contains(part));
        let reads = *method == Method::GET && !told_to_all;
        if reads {
            let query = match *path {
                "/ngsi-ld/v1/temporal/entityMaps" => {
                    "?type=T&timerel=after&timeAt=2020-01-01T00:00:00Z"
                }
                path if path.ends_with("/entities") || path.ends_with("/entityMaps") => "?type=T",
                path if path.ends_with("/trace") => "?change=urn:a:1",
                _ => "",
            };
            let tenant = [("ngsild-tenant", "nobody")];
            let answer = api.get_with(&format!("{path}{query}"), &tenant).await;
            answer.is_problem(404, "NonexistentTenant");
        }
    }
}

#[tokio::test]
async fn another_method_is_refused_with_those_that_are_allowed() {
    let api = Api::new();
    for (_, path, _) in ROUTES {
        let answer = api.send(request(Method::OPTIONS, path, &[], "")).await;
        answer.is_problem(405, "InvalidRequest");
        let allowed: Vec<&str> = answer.header("allow").split(',').collect();
        for (method, other, _) in ROUTES {
            if other == path {
                assert!(allowed.contains(&method.as_str()), "{path}: {allowed:?}");
            }
        }
    }
}

#[tokio::test]
async fn another_path_is_not_found() {
    let api = Api::new();
    for path in ["/nowhere", "/ngsi-ld/v1", "/ngsi-ld/v1/entities/urn:a:1/attrs/b/c", "/musubi/v1"]
    {
        api.get(path).await.is_problem(404, "ResourceNotFound");
    }
}
