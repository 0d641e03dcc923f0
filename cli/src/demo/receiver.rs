//! A vendor's receiver of notifications, which can be unplugged and plugged in again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A receiver: a cheap handle.
#[derive(Clone, Debug)]
pub(super) struct Receiver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    plugged: watch::Sender<bool>,
    received: AtomicU64,
    latest: Mutex<Option<String>>,
}

/// The longest notification that is read, in bytes.
const BODY_LIMIT: usize = 1 << 20;

impl Receiver {
    /// A receiver at this address; it listens once it [runs](Self::run).
    pub(super) fn new(address: SocketAddr) -> Self {
        Self(Arc::new(Shared {
            address,
            plugged: watch::Sender::new(true),
            received: AtomicU64::new(0),
            latest: Mutex::new(None),
        }))
    }

    /// Where notifications go.
    pub(super) fn url(&self) -> String {
        format!("http://{}/notify", self.0.address)
    }

    /// Plugs it in, or unplugs it: the port is closed, and so is every connection.
    pub(super) fn plug(&self, plugged: bool) {
        self.0.plugged.send_replace(plugged);
    }

    /// Whether it listens.
    pub(super) fn is_plugged(&self) -> bool {
        *self.0.plugged.borrow()
    }

    /// How many notifications came.
    pub(super) fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// What the newest one said, in a line.
    pub(super) fn latest(&self) -> Option<String> {
        self.0.latest.lock().clone()
    }

    /// Listens, whenever it is plugged in, until `shutdown`. The first listener was bound by the
    /// caller, so that a taken port shows at the start.
    pub(super) async fn run(self, first: TcpListener, shutdown: CancellationToken) {
        let mut plugged = self.0.plugged.subscribe();
        let mut bound = Some(first);
        while !shutdown.is_cancelled() {
            if *plugged.borrow_and_update() {
                let listener = match bound.take() {
                    Some(listener) => listener,
                    None => match TcpListener::bind(self.0.address).await {
                        Ok(listener) => listener,
                        Err(error) => {
                            tracing::warn!(error = %error, "the demo's receiver cannot listen");
                            return;
                        }
                    },
                };
                let app = Router::new().route("/notify", post(receive)).with_state(self.clone());
                tokio::select! {
                    served = axum::serve(listener, app).into_future() => {
                        if let Err(error) = served {
                            tracing::warn!(error = %error, "the demo's receiver ended");
                        }
                    }
                    _ = plugged.changed() => {}
                    () = shutdown.cancelled() => {}
                }
            } else {
                bound = None;
                tokio::select! {
                    _ = plugged.changed() => {}
                    () = shutdown.cancelled() => {}
                }
            }
        }
    }
}

async fn receive(State(receiver): State<Receiver>, body: axum::body::Body) -> StatusCode {
    if !receiver.is_plugged() {
        // A connection from before it was unplugged.
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let Ok(bytes) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE;
    };
    let Ok(notification) = serde_json::from_slice::<serde_json::Value>(&bytes) else {
        return StatusCode::BAD_REQUEST;
    };
    receiver.0.received.fetch_add(1, Ordering::Relaxed);
    if let Some(entity) = notification.pointer("/data/0") {
        *receiver.0.latest.lock() = Some(describe(entity));
    }
    StatusCode::OK
}

fn describe(entity: &serde_json::Value) -> String {
    let text = |name: &str| entity.get(name).map(plain);
    let id = text("id").unwrap_or_default();
    let parts = ["availableBikeNumber", "freeSlotNumber", "occupancy", "status"]
        .iter()
        .filter_map(|name| Some(format!("{name} {}", text(name)?)))
        .collect::<Vec<_>>();
    format!("{id}: {}", parts.join(", "))
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
