//! A receiver of notifications that answers as it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Larger for what arrived later, at whatever receiver.
    pub(crate) number: u64,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) text: String,
}

impl Arrival {
    /// The values of the attribute `count`, one for each change.
    pub(crate) fn counts(&self) -> Vec<u64> {
        let data = self.body["data"].as_array().unwrap().iter();
        data.map(|entity| entity["count"]["value"].as_u64().unwrap()).collect()
    }

    /// The value of the attribute `count`, if one change is told.
    pub(crate) fn count(&self) -> u64 {
        let [count] = self.counts()[..] else { panic!("one change is expected") };
        count
    }

    pub(crate) fn id(&self) -> &str {
        self.body["id"].as_str().unwrap()
    }
}

/// The changes that arrived, each once, in the order in which they first came. A repetition has to
/// be known by its id: no change ever stands in two notifications that differ in their ids, and no
/// id in two that differ in what they tell.
pub(crate) fn witness(arrivals: &[Arrival]) -> Vec<u64> {
    let (mut seen, mut by_change, mut by_id) = (Vec::new(), HashMap::new(), HashMap::new());
    for arrival in arrivals {
        let (path, id, counts) = (&arrival.path, arrival.id(), arrival.counts());
        let before = by_id.entry(id).or_insert_with(|| counts.clone());
        assert_eq!(*before, counts, "{path}: {id} tells of two things");
        for count in counts {
            let before = by_change.entry(count).or_insert_with(|| {
                seen.push(count);
                id
            });
            assert_eq!(*before, id, "{path}: {count} came in two notifications");
        }
    }
    seen
}

/// Arrivals at all receivers.
static ARRIVALS: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Default)]
struct Script {
    /// Whether everything is answered with 503.
    is_failing: bool,
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
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn listen(listener: TcpListener) -> Self {
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

    pub(crate) async fn start_many(number: usize) -> Vec<Self> {
        let mut receivers = Vec::new();
        for _ in 0..number {
            receivers.push(Self::start().await);
        }
        receivers
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

    /// Answers everything with 503, or not any more.
    pub(crate) fn fail(&self, is_failing: bool) {
        self.desk.script.lock().is_failing = is_failing;
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.desk.script.lock().is_failing
    }

    /// Keeps answers back, or gives them.
    pub(crate) fn hold(&self, held: bool) {
        self.desk.held.send_replace(held);
    }

    /// Waits until so many changes have been told on a path.
    pub(crate) async fn expect_told(&self, path: &str, number: usize) {
        let mut arrivals = self.desk.arrivals.subscribe();
        let told = |all: &Vec<Arrival>| -> usize {
            all.iter().filter(|it| it.path == path).map(|it| it.counts().len()).sum()
        };
        patiently("changes", arrivals.wait_for(|all| told(all) >= number)).await.unwrap();
    }

    /// All that arrived on a path.
    pub(crate) fn arrivals(&self, path: &str) -> Vec<Arrival> {
        self.desk.arrivals.borrow().iter().filter(|it| it.path == path).cloned().collect()
    }

    /// All that arrived.
    pub(crate) fn all(&self) -> Vec<Arrival> {
        self.desk.arrivals.borrow().clone()
    }

    /// Waits until so many notifications have arrived, and gives all of them.
    pub(crate) async fn all_after(&self, number: usize) -> Vec<Arrival> {
        let mut arrivals = self.desk.arrivals.subscribe();
        patiently("arrivals", arrivals.wait_for(|all| all.len() >= number)).await.unwrap();
        self.all()
    }

    /// What arrived on a path, change by change.
    pub(crate) fn told(&self, path: &str) -> Vec<u64> {
        self.arrivals(path).iter().flat_map(Arrival::counts).collect()
    }

    /// What [`witness`] says of a path.
    pub(crate) fn witnessed(&self, path: &str) -> Vec<u64> {
        witness(&self.arrivals(path))
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
    let text = String::from_utf8(body.to_vec()).unwrap();
    let body = serde_json::from_str(&text).unwrap();
    let number = ARRIVALS.fetch_add(1, Ordering::Relaxed);
    let arrival = Arrival { number, path: path.clone(), headers, body, text };
    desk.arrivals.send_modify(|all| all.push(arrival));
    desk.held.subscribe().wait_for(|held| !held).await.unwrap();
    let mut script = desk.script.lock();
    let next = script.next.get_mut(&path).and_then(VecDeque::pop_front);
    let next = next.or(script.is_failing.then_some(503));
    let status = next.or_else(|| script.always.get(&path).copied()).unwrap_or(200);
    (StatusCode::from_u16(status).unwrap(), [(header::RETRY_AFTER, "3600")]).into_response()
}
