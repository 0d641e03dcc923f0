//! The contexts that a broker keeps and uses.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, Method};
use musubi_context::{ContextsOptions, HostedLimits};
use musubi_http::{HttpOptions, router};
use musubi_outbound::{Client, Guard, Private};
use musubi_store::{ReferenceStore, Store};
use musubi_store_embedded::{EmbeddedOptions, EmbeddedStore};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::support::{Answer, Api, CONTEXT, ENTITIES, JSON, LD_JSON, broker_with, request};

const PATH: &str = "/ngsi-ld/v1/jsonldContexts";
const CORE: &str = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld";
/// As a segment of a path.
const ESCAPED_CORE: &str =
    "https%3A%2F%2Furi.etsi.org%2Fngsi-ld%2Fv1%2Fngsi-ld-core-context-v1.9.jsonld";

/// A server of contexts on loopback, which also takes notifications.
struct Origin {
    base: String,
    documents: Arc<Mutex<HashMap<String, String>>>,
    received: mpsc::UnboundedReceiver<(HeaderMap, String)>,
    _server: JoinSet<()>,
}

type Shared = (Arc<Mutex<HashMap<String, String>>>, mpsc::UnboundedSender<(HeaderMap, String)>);

impl Origin {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let documents = Arc::<Mutex<HashMap<String, String>>>::default();
        let (sender, received) = mpsc::unbounded_channel();
        let router = Router::new().fallback(serve).with_state((documents.clone(), sender));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, documents, received, _server: server }
    }

    fn put(&self, path: &str, context: &Value) -> String {
        let body = json!({ "@context": context }).to_string();
        self.documents.lock().insert(path.to_owned(), body);
        format!("{}{path}", self.base)
    }
}

async fn serve(State((documents, sender)): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if parts.method == Method::POST {
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        sender.send((parts.headers, String::from_utf8(body.to_vec()).unwrap())).unwrap();
        return Response::new(Body::empty());
    }
    let document = documents.lock().get(parts.uri.path()).cloned();
    let status = if document.is_some() { 200 } else { 404 };
    Response::builder().status(status).body(Body::from(document.unwrap_or_default())).unwrap()
}

fn options() -> ContextsOptions {
    let client = Client::guarded(Guard { private: Private::Loopback, allow: Vec::new() });
    ContextsOptions { client: Some(client), ..ContextsOptions::default() }
}

fn api_on(store: Arc<dyn Store>, options: ContextsOptions) -> Api {
    let broker = broker_with(store.clone(), None, options).0;
    Api { router: router(broker, HttpOptions::default()), store }
}

fn api() -> Api {
    api_on(Arc::new(ReferenceStore::new()), options())
}

impl Api {
    /// Hosts a context, which has to succeed; where it is.
    async fn host(&self, context: &Value) -> String {
        let answer = self.post(PATH, &json!({ "@context": context })).await;
        assert_eq!((answer.status, answer.body.as_str()), (201, ""));
        let location = answer.header("location").to_owned();
        assert!(location.starts_with(&format!("{PATH}/urn:ngsi-ld:JsonldContext:")), "{location}");
        location
    }

    /// Creates an entity with an attribute `a` in a context; what that expanded to, or the answer.
    async fn meaning(&self, context: &str) -> Result<String, Answer> {
        let id = "urn:ngsi-ld:Probe:1";
        let entity = json!({ "id": id, "type": "Probe", "a": 1, "@context": context });
        let headers = [("content-type", LD_JSON)];
        let answer = self.send(request(Method::POST, ENTITIES, &headers, entity.to_string())).await;
        if answer.status != 201 {
            return Err(answer);
        }
        let found = self.entity(id).await;
        assert_eq!(self.delete(&format!("{ENTITIES}/{id}")).await.status, 204);
        let names =
            found.as_object().unwrap().keys().filter(|key| !["id", "type"].contains(&&***key));
        Ok(names.cloned().collect())
    }

    async fn details(&self, name: &str) -> Value {
        let path = if name.starts_with('/') { name.to_owned() } else { segment(name) };
        let answer = self.get(&format!("{path}?details=true")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.value()
    }

    async fn listed(&self, query: &str) -> Vec<String> {
        let answer = self.get(&format!("{PATH}{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let strings = answer.value();
        strings.as_array().unwrap().iter().map(|url| url.as_str().unwrap().to_owned()).collect()
    }
}

/// The path of a context that is named by its URL.
fn segment(url: &str) -> String {
    format!("{PATH}/{}", url.replace(':', "%3A").replace('/', "%2F"))
}

#[tokio::test]
async fn a_hosted_context_lives_from_creation_to_deletion() {
    let api = api();
    let context = json!({ "a": "https://e.example/a" });
    let body = json!({ "note": "left out", "@context": context });
    let answer = api.post(PATH, &body).await;
    let location = answer.header("location").to_owned();
    let answer = api.get(&location).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, JSON));
    assert_eq!(answer.value(), json!({ "@context": context }));
    assert!(answer.headers("link").is_empty());
    let answer = api.get_with(&location, &[("accept", LD_JSON)]).await;
    assert_eq!(answer.header("content-type"), LD_JSON);
    let url = format!("http://127.0.0.1:1026{location}");
    assert_eq!(api.listed("?kind=Hosted").await, [url.as_str()]);
    assert!(api.listed("").await.contains(&url));
    assert_eq!(api.listed("?kind=ImplicitlyCreated").await, Vec::<String>::new());
    for host in ["127.0.0.1:1026", "localhost", "broker.town.example:8443"] {
        let meaning = api.meaning(&format!("https://{host}{location}")).await.unwrap();
        assert_eq!(meaning, "https://e.example/a");
    }
    let answer = api.delete(&location).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    api.delete(&location).await.is_problem(404, "ResourceNotFound");
    api.get(&location).await.is_problem(404, "ResourceNotFound");
    let refused = api.meaning(&url).await.unwrap_err();
    refused.is_problem(504, "LdContextNotAvailable");
    assert_eq!(api.listed("?kind=Hosted").await, Vec::<String>::new());
}

#[tokio::test]
async fn the_details_of_a_context_say_where_it_is_and_how_it_is_used() {
    let origin = Origin::start().await;
    let api = api();
    let location = api.host(&json!({ "a": "https://e.example/a" })).await;
    let id = location.rsplit('/').next().unwrap();
    let details = api.details(&location).await;
    let url = format!("http://127.0.0.1:1026{location}");
    assert_eq!(details["URL"], url);
    assert_eq!((&details["localId"], &details["kind"]), (&json!(id), &json!("Hosted")));
    assert_eq!(details["numberOfHits"], 0);
    assert!(details["createdAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(details.get("lastUsage"), None);
    // The look itself was a use.
    api.meaning(&url).await.unwrap();
    let details = api.details(&url).await;
    assert_eq!(details["numberOfHits"], 2);
    assert!(details["lastUsage"].is_string());
    let cached = origin.put("/c", &json!({ "a": "https://e.example/c" }));
    api.meaning(&cached).await.unwrap();
    let details = api.details(&cached).await;
    assert_eq!((&details["URL"], &details["kind"]), (&json!(cached), &json!("Cached")));
    assert_eq!(details["numberOfHits"], 1);
    assert!(details["expiresAt"].as_str() > details["createdAt"].as_str());
    let by_id = format!("{PATH}/{}", details["localId"].as_str().unwrap());
    assert_eq!(api.details(&by_id).await["URL"], details["URL"]);
    let all = api.get(&format!("{PATH}?details=true&kind=Cached")).await.value();
    let urls: Vec<&Value> = all.as_array().unwrap().iter().map(|one| &one["URL"]).collect();
    assert!(urls.contains(&&json!(cached)) && urls.contains(&&json!(CORE)), "{urls:?}");
    assert!(urls.contains(&&json!(CONTEXT)), "{urls:?}");
}

#[tokio::test]
async fn a_reference_names_the_context_and_a_core_context() {
    let api = api();
    let location = api.host(&json!({ "a": "https://e.example/a" })).await;
    let url = format!("http://127.0.0.1:1026{location}");
    let answer = api.get(&format!("{location}?core=1.8")).await;
    let core = CORE.replace("1.9", "1.8");
    assert_eq!(answer.value(), json!({ "@context": [url, core] }));
    for query in [
        "core=1.77",
        "core=9",
        "core=v1.9",
        "core=",
        "core=1.8&details=true",
        "core=1.8&details=false",
        "details=yes",
        "details=",
        "details=TRUE",
    ] {
        api.get(&format!("{location}?{query}")).await.is_problem(400, "BadRequestData");
    }
    api.get(&format!("{location}?kind=Hosted")).await.is_problem(400, "InvalidRequest");
    let missing = format!("{PATH}/urn:none?core=1.8");
    api.get(&missing).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn what_is_no_context_is_not_hosted() {
    let origin = Origin::start().await;
    let (api, bad) = (api(), origin.put("/bad", &json!({ "a": 7 })));
    for (body, name) in [
        (json!({}), "InvalidRequest"),
        (json!([]), "InvalidRequest"),
        (json!("https://e.example/a"), "InvalidRequest"),
        (json!({ "@context": 42 }), "BadRequestData"),
        (json!({ "@context": ["https://e.example/a", 7] }), "BadRequestData"),
        (json!({ "@context": { "a": 7 } }), "BadRequestData"),
        (json!({ "@context": { "a": { "@id": "urn:a", "@context": {} } } }), "BadRequestData"),
        (json!({ "@context": "relative" }), "BadRequestData"),
        (json!({ "@context": bad }), "BadRequestData"),
    ] {
        let answer = api.post(PATH, &body).await;
        answer.is_problem(400, name);
        assert_eq!(answer.header("location"), "");
    }
    for missing in [format!("{}/missing", origin.base), "http://169.254.169.254/a".to_owned()] {
        let answer = api.post(PATH, &json!({ "@context": missing })).await;
        answer.is_problem(504, "LdContextNotAvailable");
    }
    let answer = api.post(&format!("{PATH}?details=true"), &json!({ "@context": {} })).await;
    answer.is_problem(400, "InvalidRequest");
    assert_eq!(api.listed("?kind=Hosted").await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let api = api();
    for query in ["details=other", "kind=other", "kind=cached", "kind=", "details=true&kind=all"] {
        api.get(&format!("{PATH}?{query}")).await.is_problem(400, "BadRequestData");
    }
    api.get(&format!("{PATH}?core=1.8")).await.is_problem(400, "InvalidRequest");
    let answer = api.get_with(PATH, &[("accept", "text/turtle")]).await;
    answer.is_problem(406, "InvalidRequest");
    for (path, status, name) in [
        ("wrong_id?reload=true", 400, "BadRequestData"),
        ("wrong_id?reload=xxx", 400, "BadRequestData"),
        ("wrong_id?reload=false", 404, "ResourceNotFound"),
        ("wrong_id", 404, "ResourceNotFound"),
        ("urn:none?reload=true", 404, "ResourceNotFound"),
        ("", 400, "BadRequestData"),
    ] {
        api.delete(&format!("{PATH}/{path}")).await.is_problem(status, name);
    }
    let location = api.host(&json!({})).await;
    api.delete(&format!("{location}?reload=true")).await.is_problem(400, "BadRequestData");
    let head = request(Method::HEAD, &location, &[], String::new());
    let head = api.send(head).await;
    assert_eq!((head.status, head.body.as_str(), head.header("content-type")), (200, "", JSON));
    let head = api.send(request(Method::HEAD, PATH, &[], String::new())).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn a_core_or_pinned_context_is_always_there_and_not_served() {
    let api = api();
    let core = format!("{PATH}/{ESCAPED_CORE}");
    let details = api.details(CORE).await;
    assert_eq!((&details["URL"], &details["kind"]), (&json!(CORE), &json!("Cached")));
    for path in [core.clone(), segment(CONTEXT), segment(&CORE.replace("1.9", "1.6"))] {
        api.get(&path).await.is_problem(422, "OperationNotSupported");
        api.get(&format!("{path}?core=1.8")).await.is_problem(422, "OperationNotSupported");
        api.delete(&path).await.is_problem(400, "BadRequestData");
        api.delete(&format!("{path}?reload=false")).await.is_problem(400, "BadRequestData");
    }
    assert_eq!(api.delete(&format!("{core}?reload=true")).await.status, 204);
    let pinned = format!("{}?reload=true", segment(CONTEXT));
    api.delete(&pinned).await.is_problem(400, "BadRequestData");
    let answer = api.get(&segment(CORE)).await;
    assert!(answer.body.contains(CORE), "{}", answer.body);
}

#[tokio::test]
async fn a_cached_context_is_reloaded_or_removed() {
    let origin = Origin::start().await;
    let (api, url) = (api(), origin.put("/c", &json!({ "a": "https://e.example/1" })));
    assert_eq!(api.meaning(&url).await.unwrap(), "https://e.example/1");
    api.get(&segment(&url)).await.is_problem(422, "OperationNotSupported");
    origin.put("/c", &json!({ "a": "https://e.example/2" }));
    assert_eq!(api.meaning(&url).await.unwrap(), "https://e.example/1");
    let reload = format!("{}?reload=true", segment(&url));
    assert_eq!(api.delete(&reload).await.status, 204);
    assert_eq!(api.meaning(&url).await.unwrap(), "https://e.example/2");
    origin.documents.lock().clear();
    api.delete(&reload).await.is_problem(504, "LdContextNotAvailable");
    assert_eq!(api.details(&url).await["kind"], "Cached");
    assert_eq!(api.meaning(&url).await.unwrap(), "https://e.example/2");
    assert_eq!(api.delete(&segment(&url)).await.status, 204);
    api.delete(&segment(&url)).await.is_problem(404, "ResourceNotFound");
    api.delete(&reload).await.is_problem(404, "ResourceNotFound");
    api.meaning(&url).await.unwrap_err().is_problem(504, "LdContextNotAvailable");
}

#[tokio::test]
async fn a_hosted_context_outlives_the_process_and_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let open = || EmbeddedStore::open(EmbeddedOptions::new(folder.path())).unwrap();
    let origin = Origin::start().await;
    let part = origin.put("/part", &json!({ "a": "https://e.example/a" }));
    let context = json!([part, { "b": "https://e.example/b" }]);
    let store = Arc::new(open());
    let api = api_on(store.clone(), options());
    let location = api.host(&context).await;
    let subscription = json!({
        "type": "Subscription", "entities": [{ "type": "Probe" }], "@context": context,
        "notification": { "endpoint": { "uri": "http://127.0.0.1:9/hook" } },
    });
    let headers = [("content-type", LD_JSON)];
    let path = "/ngsi-ld/v1/subscriptions";
    let answer = api.send(request(Method::POST, path, &headers, subscription.to_string())).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let implicit = api.listed("?kind=ImplicitlyCreated").await.remove(0);
    drop(api);
    drop(origin);
    store.close().await.unwrap();
    drop(store);

    let store = Arc::new(open());
    let api = api_on(store.clone(), ContextsOptions::default());
    assert_eq!(api.get(&location).await.value(), json!({ "@context": context }));
    for url in [format!("http://localhost:9{location}"), implicit.clone()] {
        assert_eq!(api.meaning(&url).await.unwrap(), "https://e.example/a");
    }
    assert_eq!(api.listed("?kind=ImplicitlyCreated").await, [implicit]);
    store.close().await.unwrap();
}

#[tokio::test]
async fn no_tenant_sees_the_contexts_of_another_one() {
    let origin = Origin::start().await;
    let cached = origin.put("/c", &json!({ "a": "https://e.example/a" }));
    let api = api();
    let ours = [("ngsild-tenant", "ours"), ("content-type", JSON)];
    let theirs = [("ngsild-tenant", "theirs")];
    let body = json!({ "@context": { "a": "https://secret.example/a" } }).to_string();
    let answer = api.send(request(Method::POST, PATH, &ours, body)).await;
    let location = answer.header("location").to_owned();
    let link = format!("<{cached}>; rel=\"http://www.w3.org/ns/json-ld#context\"");
    let probe = json!({ "id": "urn:a:1", "type": "T", "a": 1 }).to_string();
    let [tenant, media] = ours;
    let linked = [tenant, media, ("link", link.as_str())];
    assert_eq!(api.send(request(Method::POST, ENTITIES, &linked, probe)).await.status, 201);
    for tenant in [&theirs[..], &[]] {
        for path in [&location, &segment(&cached)] {
            for query in ["", "?details=true", "?core=1.8"] {
                let answer = api.get_with(&format!("{path}{query}"), tenant).await;
                answer.is_problem(404, "ResourceNotFound");
                assert!(!answer.body.contains("secret"), "{}", answer.body);
            }
            for query in ["", "?reload=true"] {
                let path = format!("{path}{query}");
                let answer = api.send(request(Method::DELETE, &path, tenant, "")).await;
                answer.is_problem(404, "ResourceNotFound");
            }
        }
        for query in ["", "?details=true"] {
            let answer = api.get_with(&format!("{PATH}{query}"), tenant).await;
            let id = location.rsplit('/').next().unwrap();
            assert_eq!(answer.status, 200);
            assert!(!answer.body.contains(id) && !answer.body.contains(&cached), "{}", answer.body);
        }
        // Nor can they write or read in it, under whatever name they call us.
        let url = format!("http://other.example{location}");
        let link = format!("<{url}>; rel=\"http://www.w3.org/ns/json-ld#context\"");
        let headers: Vec<_> = tenant.iter().copied().chain([("link", link.as_str())]).collect();
        let answer = api.get_with(&format!("{ENTITIES}?type=T"), &headers).await;
        answer.is_problem(504, "LdContextNotAvailable");
    }
    assert_eq!(api.get_with(&location, &ours[..1]).await.status, 200);
    assert_eq!(
        api.get_with(&format!("{}?details=true", segment(&cached)), &ours).await.status,
        200
    );
}

#[tokio::test]
async fn a_tenant_keeps_no_more_contexts_than_it_may() {
    let hosted = HostedLimits { contexts: 3, bytes: 10_000 };
    let options = || ContextsOptions { hosted, ..options() };
    let api = api_on(Arc::new(ReferenceStore::new()), options());
    let subscribe = async |number: u32| {
        let body = json!({
            "id": format!("urn:ngsi-ld:Subscription:{number}"),
            "type": "Subscription", "entities": [{ "type": "Probe" }],
            "notification": { "endpoint": { "uri": "http://127.0.0.1:9/hook" } },
            "@context": [{ "a": format!("https://e.example/{number}") }],
        });
        let headers = [("content-type", LD_JSON)];
        let path = "/ngsi-ld/v1/subscriptions";
        api.send(request(Method::POST, path, &headers, body.to_string())).await
    };
    assert_eq!(subscribe(1).await.status, 201);
    assert_eq!(subscribe(2).await.status, 201);
    let first = api.host(&json!({ "a": "https://e.example/a" })).await;
    let full = json!({ "@context": { "b": "https://e.example/b" } });
    api.post(PATH, &full).await.is_problem(422, "OperationNotSupported");
    subscribe(3).await.is_problem(422, "OperationNotSupported");
    // Contexts of the same text are one.
    subscribe(1).await.is_problem(409, "AlreadyExists");
    // What was created for a subscription stays after it, until the room is needed.
    let gone = api.listed("?kind=ImplicitlyCreated").await;
    assert_eq!(
        api.delete("/ngsi-ld/v1/subscriptions/urn:ngsi-ld:Subscription:1").await.status,
        204
    );
    assert_eq!(api.listed("?kind=ImplicitlyCreated").await, gone);
    assert_eq!(api.post(PATH, &full).await.status, 201);
    assert_eq!(api.listed("?kind=ImplicitlyCreated").await.len(), 1);
    api.post(PATH, &full).await.is_problem(422, "OperationNotSupported");
    assert_eq!(api.delete(&first).await.status, 204);
    let term = |number: u32| (format!("a{number}"), json!(format!("https://e.example/{number}")));
    let large: serde_json::Map<String, Value> = (0..300).map(term).collect();
    api.post(PATH, &json!({ "@context": large })).await.is_problem(422, "OperationNotSupported");
    assert_eq!(api.post(PATH, &full).await.status, 201);
    let other = [("ngsild-tenant", "other"), ("content-type", JSON)];
    let answer = api.send(request(Method::POST, PATH, &other, full.to_string())).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn a_notification_names_the_context_of_its_subscription_even_if_that_has_no_address() {
    let mut origin = Origin::start().await;
    let store: Arc<dyn Store> = Arc::new(ReferenceStore::new());
    let (broker, notifier) = broker_with(store.clone(), None, options());
    let api = Api { router: router(broker, HttpOptions::default()), store };
    let (stop, stopped) = oneshot::channel::<()>();
    let mut running = JoinSet::new();
    running.spawn(notifier.run(async { drop(stopped.await) }));

    let context = json!([{ "Probe": "https://e.example/Probe" }, { "a": "https://e.example/a" }]);
    let subscription = json!({
        "id": "urn:ngsi-ld:Subscription:1", "type": "Subscription",
        "entities": [{ "type": "Probe" }], "@context": context,
        "notification": { "endpoint": { "uri": format!("{}/hook", origin.base) } },
    });
    let headers = [("content-type", LD_JSON)];
    let subscriptions = "/ngsi-ld/v1/subscriptions";
    let body = subscription.to_string();
    let answer = api.send(request(Method::POST, subscriptions, &headers, body)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let shown = api.get(&format!("{subscriptions}/urn:ngsi-ld:Subscription:1")).await.value();
    let url = shown["jsonldContext"].as_str().unwrap();
    assert_eq!(api.listed("?kind=ImplicitlyCreated").await, [url]);
    let path = url.strip_prefix("http://127.0.0.1:1026").unwrap();
    let served = api.get(path).await.value();
    assert_eq!(served, json!({ "@context": [context[0], context[1], CORE] }));
    api.delete(&format!("{path}?reload=true")).await.is_problem(400, "BadRequestData");

    let notify = async |id: &str, origin: &mut Origin| {
        let entity = json!({ "id": id, "type": "Probe", "a": 1, "@context": context });
        let entity = request(Method::POST, ENTITIES, &headers, entity.to_string());
        assert_eq!(api.send(entity).await.status, 201);
        let (headers, body) = origin.received.recv().await.unwrap();
        let link = headers["link"].to_str().unwrap().to_owned();
        assert!(
            link.starts_with(&format!("<{url}>; rel=\"http://www.w3.org/ns/json-ld#context\""))
        );
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["data"][0]["a"]["value"], 1, "{body}");
    };
    notify("urn:a:1", &mut origin).await;
    // The subscription keeps what it was created with.
    assert_eq!(api.delete(path).await.status, 204);
    notify("urn:a:2", &mut origin).await;
    drop(stop);
    while running.join_next().await.is_some() {}
}
