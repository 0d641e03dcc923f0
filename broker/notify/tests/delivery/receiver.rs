//! A receiver of notifications that answers as it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::town::patiently;

/// A notification that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Arrival {
    /// The value of the attribute `count`.
    pub(crate) fn count(&self) -> u64 {
        self.body["data"][0]["count"]["value"].as_u64().unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        self.body["id"].as_str().unwrap()
    }
}

#[derive(Debug, Default)]
struct Script {
    /// What to answer next on a path.
    next: HashMap<String, VecDeque<u16>>,
    /// What to answer on a path when nothing is next.
    always: HashMap<String, u16>,
}

#[derive(Clone)]
struct Desk {
    arrivals: Arc<watch::Sender<Vec<Arrival>>>,
    script: Arc<Mutex<Script>>,
    /// Whether answers are kept back.
    held: Arc<watch::Sender<bool>>,
}

/// A server on a port of its own, so that it is an endpoint of its own.
pub(crate) struct Receiver {
    origin: String,
    desk: Desk,
    _server: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let desk = Desk {
            arrivals: Arc::new(watch::Sender::new(Vec::new())),
            script: Arc::default(),
            held: Arc::new(watch::Sender::new(false)),
        };
        let app = Router::new().fallback(take).with_state(desk.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { origin, desk, _server: server }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Answers with these, one after the other, and then with 200.
    pub(crate) fn answer(&self, path: &str, statuses: &[u16]) {
        self.desk.script.lock().next.insert(path.to_owned(), statuses.iter().copied().collect());
    }

    /// Answers always so.
    pub(crate) fn always(&self, path: &str, status: u16) {
        self.desk.script.lock().always.insert(path.to_owned(), status);
    }

    /// Keeps answers back, or gives them.
    pub(crate) fn hold(&self, held: bool) {
        self.desk.held.send_replace(held);
    }

    /// All that arrived on a path.
    pub(crate) fn arrivals(&self, path: &str) -> Vec<Arrival> {
        self.desk.arrivals.borrow().iter().filter(|it| it.path == path).cloned().collect()
    }

    /// Waits until so many notifications have arrived on a path, and gives them.
    pub(crate) async fn expect(&self, path: &str, number: usize) -> Vec<Arrival> {
        let mut arrivals = self.desk.arrivals.subscribe();
        let on_path = |all: &Vec<Arrival>| all.iter().filter(|it| it.path == path).count();
        patiently("arrivals", arrivals.wait_for(|all| on_path(all) >= number)).await.unwrap();
        self.arrivals(path)
    }
}

async fn take(State(desk): State<Desk>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    let body = serde_json::from_slice(&body).unwrap();
    desk.arrivals.send_modify(|all| all.push(Arrival { path: path.clone(), headers, body }));
    desk.held.subscribe().wait_for(|held| !held).await.unwrap();
    let mut script = desk.script.lock();
    let next = script.next.get_mut(&path).and_then(VecDeque::pop_front);
    let status = next.or_else(|| script.always.get(&path).copied()).unwrap_or(200);
    (StatusCode::from_u16(status).unwrap(), [(header::RETRY_AFTER, "3600")]).into_response()
}
