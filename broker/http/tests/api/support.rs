//! A broker in memory, and a client for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{self, Body};
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{StreamExt, iter};
use http::{HeaderMap, Method, Request};
use musubi_broker::{
    BackupError, BackupStream, Backups, Broker, BrokerOptions, Replay, StreamOptions, WriteRules,
};
use musubi_context::{Contexts, ContextsOptions};
use musubi_http::{HttpOptions, router};
use musubi_model::{Clock, Timestamp};
use musubi_notify::{Notifications, Notifier, NotifierOptions};
use musubi_outbound::{Client, Guard};
use musubi_store::{ReferenceHistory, ReferenceStore, Store};
use serde_json::Value;
use tower::ServiceExt;

pub(crate) const JSON: &str = "application/json";
pub(crate) const LD_JSON: &str = "application/ld+json";
pub(crate) const ENTITIES: &str = "/ngsi-ld/v1/entities";
pub(crate) const CONTEXT: &str = "http://contexts.example/town.jsonld";
pub(crate) const LINK: &str = "<http://contexts.example/town.jsonld>; \
     rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"";

const CONTEXT_DOCUMENT: &str = r#"{"@context": {
    "Shelter": "https://example.jp/terms#Shelter",
    "name": "https://example.jp/terms#name",
    "capacity": "https://example.jp/terms#capacity",
    "locatedIn": "https://example.jp/terms#locatedIn"
}}"#;

/// A clock that goes on by a second whenever it is read.
#[derive(Debug)]
pub(crate) struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// A broker with an empty store, and a way to send it requests.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) router: Router,
    pub(crate) store: Arc<dyn Store>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// Makes backups of one piece, which say nothing of any store.
#[derive(Debug)]
struct Shortest;

impl Backups for Shortest {
    fn begin(&self) -> BoxFuture<'_, Result<BackupStream, BackupError>> {
        let pieces = iter([Ok(b"a piece".to_vec())]);
        ready(Ok(pieces.boxed())).boxed()
    }
}

impl Api {
    pub(crate) fn new() -> Self {
        Self::with(HttpOptions::default(), None)
    }

    pub(crate) fn with(options: HttpOptions, replay: Option<Arc<dyn Replay>>) -> Self {
        let store: Arc<dyn Store> = Arc::new(ReferenceStore::new());
        let broker = broker(store.clone(), replay);
        broker.backs_up_by(Arc::new(Shortest));
        Self { router: router(broker, options), store }
    }

    /// A broker that keeps nothing of the past.
    pub(crate) fn without_history() -> Self {
        let store: Arc<dyn Store> = Arc::new(ReferenceStore::new());
        let clock = Arc::new(Ticking(AtomicI64::new(1_700_000_000)));
        let streams = StreamOptions::default();
        let (options, ..) =
            options_of(store.clone(), None, ContextsOptions::default(), clock, streams);
        let broker = Broker::new(BrokerOptions { history: None, ..options });
        Self { router: router(broker, HttpOptions::default()), store }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let goes_on = parts.headers.get("content-type").is_some_and(|it| it == "text/event-stream");
        let bytes = if goes_on {
            // Of a body that goes on, the first piece.
            body.into_data_stream().next().await.transpose().unwrap().unwrap_or_default()
        } else {
            body::to_bytes(body, usize::MAX).await.unwrap()
        };
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(request(Method::GET, path, headers, String::new())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(request(Method::DELETE, path, &[], String::new())).await
    }

    /// Sends a body of `application/json`.
    pub(crate) async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", JSON)];
        self.send(request(method, path, &headers, body.to_string())).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.json(Method::PATCH, path, body).await
    }

    /// Creates an entity, which has to succeed.
    pub(crate) async fn create(&self, entity: &Value) {
        let answer = self.post(ENTITIES, entity).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }

    /// The entity of this id, which has to be there.
    pub(crate) async fn entity(&self, id: &str) -> Value {
        let answer = self.get(&format!("{ENTITIES}/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.value()
    }
}

pub(crate) fn broker(store: Arc<dyn Store>, replay: Option<Arc<dyn Replay>>) -> Broker {
    broker_with(store, replay, ContextsOptions::default()).0
}

/// A broker with contexts as `options` say, beside the built-in one, and its notifier, which is
/// not running yet.
pub(crate) fn broker_with(
    store: Arc<dyn Store>,
    replay: Option<Arc<dyn Replay>>,
    options: ContextsOptions,
) -> (Broker, Notifier) {
    let clock = Arc::new(Ticking(AtomicI64::new(1_700_000_000)));
    let (broker, notifier, _) = broker_at(store, replay, options, clock);
    (broker, notifier)
}

/// As above, with another clock and with what the notifier says of itself.
pub(crate) fn broker_at(
    store: Arc<dyn Store>,
    replay: Option<Arc<dyn Replay>>,
    options: ContextsOptions,
    clock: Arc<dyn Clock>,
) -> (Broker, Notifier, Notifications) {
    broker_of(store, replay, options, clock, StreamOptions::default())
}

/// A broker with streams as `streams` say.
pub(crate) fn broker_streaming(
    store: Arc<dyn Store>,
    streams: StreamOptions,
) -> (Broker, Notifier) {
    let clock = Arc::new(Ticking(AtomicI64::new(1_700_000_000)));
    let (broker, notifier, _) = broker_of(store, None, ContextsOptions::default(), clock, streams);
    (broker, notifier)
}

fn broker_of(
    store: Arc<dyn Store>,
    replay: Option<Arc<dyn Replay>>,
    options: ContextsOptions,
    clock: Arc<dyn Clock>,
    streams: StreamOptions,
) -> (Broker, Notifier, Notifications) {
    let (options, notifier, notifications) = options_of(store, replay, options, clock, streams);
    (Broker::new(options), notifier, notifications)
}

fn options_of(
    store: Arc<dyn Store>,
    replay: Option<Arc<dyn Replay>>,
    options: ContextsOptions,
    clock: Arc<dyn Clock>,
    streams: StreamOptions,
) -> (BrokerOptions, Notifier, Notifications) {
    let built_in = vec![(CONTEXT.to_owned(), CONTEXT_DOCUMENT.to_owned())];
    let contexts = Contexts::new(ContextsOptions { built_in, ..options }).unwrap();
    let client = Client::guarded(Guard::default());
    let (notifier, notifications) =
        Notifier::new(NotifierOptions::default(), store.clone(), client, clock.clone());
    let options = BrokerOptions {
        history: Some(Arc::new(ReferenceHistory::new(store.clone()))),
        store,
        contexts,
        notifications: notifications.clone(),
        clock,
        replay,
        attempts: BrokerOptions::ATTEMPTS,
        log_kept: 0,
        streams,
        rules: WriteRules::default(),
    };
    (options, notifier, notifications)
}

pub(crate) fn request(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Request<Body> {
    let mut builder = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.into()).unwrap()
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// Checks that this is a problem of that status and NGSI-LD type.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, name: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        let problem = self.value();
        let expected = format!("https://uri.etsi.org/ngsi-ld/errors/{name}");
        assert_eq!(problem["type"], expected, "{}", self.body);
        assert_eq!(problem["status"], status);
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        assert_eq!(self.header("content-type"), JSON);
    }
}
