//! Two brokers, one over each store, with the same clock, asked the same.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{self, Body};
use http::{HeaderMap, Method};
use musubi_broker::{Broker, BrokerOptions, StreamOptions, WriteRules};
use musubi_context::{Contexts, ContextsOptions};
use musubi_http::{HttpOptions, router};
use musubi_model::{Clock, Timestamp};
use musubi_notify::{Notifier, NotifierOptions};
use musubi_outbound::{Client, Guard};
use musubi_store::{ReferenceStore, Store};
use musubi_store_embedded::{EmbeddedOptions, EmbeddedStore};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

/// When the tests begin, in seconds since 1970.
pub(crate) const BEGIN: i64 = 1_767_225_600;

/// A request, and which operation it is of.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

/// A clock that stands still until it is told to go on.
#[derive(Debug)]
struct Standing(AtomicI64);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::Relaxed))
    }
}

/// The two brokers.
#[derive(Debug)]
pub(crate) struct Pair {
    left: Router,
    right: Router,
    clock: Arc<Standing>,
    _folders: Vec<TempDir>,
}

/// What can be compared of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: String,
    body: String,
}

/// What says the same in other words over each store: numbers that a store gives out.
const OWN_NUMBERS: &[&str] = &["etag"];

impl Pair {
    /// One over the plain reference, one over the embedded store.
    pub(crate) fn of_both_stores() -> Self {
        let clock = Arc::new(Standing(AtomicI64::new(BEGIN)));
        let (store, folder) = embedded();
        Self {
            left: over(Arc::new(ReferenceStore::new()), clock.clone()),
            right: over(store, clock.clone()),
            clock,
            _folders: vec![folder],
        }
    }

    /// Both over embedded stores.
    pub(crate) fn of_equals() -> Self {
        let clock = Arc::new(Standing(AtomicI64::new(BEGIN)));
        let ((one, first), (other, second)) = (embedded(), embedded());
        Self {
            left: over(one, clock.clone()),
            right: over(other, clock.clone()),
            clock,
            _folders: vec![first, second],
        }
    }

    /// Sends a request to the right one alone and returns everything that came back, as text.
    pub(crate) async fn right_alone(&self, request: &Request) -> String {
        let (answer, _) = ask(&self.right, request).await;
        format!("{}\n{}\n{}", answer.status, answer.headers, answer.body)
    }

    /// Sends the request to both, and to both again with each further page that they offer.
    /// Returns the status.
    pub(crate) async fn compare(&self, request: &Request, place: (u64, usize)) -> u16 {
        self.clock.0.fetch_add(1, Ordering::Relaxed);
        let mut left = ask(&self.left, request).await;
        let mut right = ask(&self.right, request).await;
        let status = left.0.status;
        for _ in 0..3 {
            assert_eq!(
                left.0, right.0,
                "seed {}, step {}: two answers to {request:#?}",
                place.0, place.1
            );
            // Each store names the next page with its own numbers.
            let (Some(one), Some(other)) = (left.1, right.1) else { break };
            left = ask(&self.left, &Request { path: one, ..request.clone() }).await;
            right = ask(&self.right, &Request { path: other, ..request.clone() }).await;
        }
        status
    }

    /// What the API says of itself.
    pub(crate) async fn document(&self) -> Value {
        let request = http::Request::get("/openapi.json").body(Body::empty()).expect("a request");
        let response = self.left.clone().oneshot(request).await.expect("an answer");
        let bytes = body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        serde_json::from_slice(&bytes).expect("JSON")
    }
}

fn embedded() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = EmbeddedStore::open(EmbeddedOptions::new(folder.path())).expect("a store");
    (Arc::new(store), folder)
}

fn over(store: Arc<dyn Store>, clock: Arc<Standing>) -> Router {
    let contexts = Contexts::new(ContextsOptions::default()).expect("the core context");
    let client = Client::guarded(Guard::default());
    let (_, notifications) =
        Notifier::new(NotifierOptions::default(), store.clone(), client, clock.clone());
    let broker = Broker::new(BrokerOptions {
        history: None,
        store,
        contexts,
        notifications,
        clock,
        replay: None,
        attempts: BrokerOptions::ATTEMPTS,
        log_kept: 0,
        streams: StreamOptions::default(),
        rules: WriteRules::default(),
    });
    router(broker, HttpOptions::default())
}

/// The answer, and the path of the next page if there is one that a cursor names.
async fn ask(router: &Router, request: &Request) -> (Answer, Option<String>) {
    let mut builder = http::Request::builder().method(&request.method).uri(&request.path);
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
    if request.body.is_some() {
        builder = builder.header("content-length", body.len());
    }
    let sent = builder.body(Body::from(body)).expect("a request");
    let response = router.clone().oneshot(sent).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let bytes = body::to_bytes(body, usize::MAX).await.expect("a body");
    let next = next_page(&parts.headers);
    let answer = Answer {
        status: parts.status.as_u16(),
        headers: told(&parts.headers),
        body: String::from_utf8(bytes.to_vec()).expect("UTF-8"),
    };
    (answer, next)
}

/// The headers, one to a line, without what is of one store alone.
fn told(headers: &HeaderMap) -> String {
    let mut lines: Vec<String> = headers
        .iter()
        .filter(|(name, _)| !OWN_NUMBERS.contains(&name.as_str()))
        .map(|(name, value)| {
            let value = value.to_str().unwrap_or_default();
            let value = match name.as_str() {
                "ngsild-entitymap" => "a map",
                _ if is_cursor(value) => "a page after a cursor",
                _ => value,
            };
            format!("{name}: {value}")
        })
        .collect();
    lines.sort();
    lines.iter().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "{line}");
        all
    })
}

fn is_cursor(link: &str) -> bool {
    link.contains("after=") && link.contains("rel=\"next\"")
}

fn next_page(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all("link").iter().filter_map(|value| value.to_str().ok());
    let mut next = links.filter(|link| is_cursor(link));
    let (path, _) = next.next()?.strip_prefix('<')?.split_once('>')?;
    Some(path.to_owned())
}
