//! A receiver of notifications that remembers all of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::process::PATIENCE;

/// A receiver: a cheap handle. It listens until [`stop`](Self::stop).
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Value>>>,
    count: watch::Sender<usize>,
    refuses: Arc<AtomicBool>,
    shutdown: CancellationToken,
}

impl Receiver {
    /// Starts a receiver on a free port.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts a receiver at this address.
    ///
    /// # Panics
    ///
    /// If the port is taken.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let receiver = Self {
            address: listener.local_addr().expect("an address"),
            received: Arc::default(),
            count: watch::Sender::new(0),
            refuses: Arc::default(),
            shutdown: CancellationToken::new(),
        };
        let app = Router::new().route("/notify", post(receive)).with_state(receiver.clone());
        let shutdown = receiver.shutdown.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let listener = listener.into_std().expect("a socket");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("a socket");
                tokio::select! {
                    served = axum::serve(listener, app).into_future() => served.expect("it serves"),
                    () = shutdown.cancelled() => {}
                }
            });
        });
        receiver
    }

    /// Where notifications go.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/notify", self.address)
    }

    /// Answers 503 to everything and forgets it, or not any more.
    pub fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Closes the port.
    pub fn stop(&self) {
        self.shutdown.cancel();
    }

    /// All notifications so far, in the order of their arrival.
    #[must_use]
    pub fn received(&self) -> Vec<Value> {
        self.received.lock().clone()
    }

    /// Waits until what was received satisfies a condition.
    ///
    /// # Panics
    ///
    /// If nothing has come for long and it still does not.
    pub async fn until(&self, what: &str, mut satisfied: impl FnMut(&[Value]) -> bool) {
        let mut changes = self.count.subscribe();
        loop {
            changes.mark_unchanged();
            if satisfied(&self.received.lock()) {
                return;
            }
            let come = tokio::time::timeout(PATIENCE, changes.changed()).await;
            assert!(
                come.is_ok(),
                "{what} did not happen; {} notifications came",
                self.received.lock().len()
            );
        }
    }
}

async fn receive(State(receiver): State<Receiver>, body: String) -> StatusCode {
    if receiver.refuses.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    match serde_json::from_str(&body) {
        Ok(notification) => {
            receiver.received.lock().push(notification);
            receiver.count.send_modify(|count| *count += 1);
            StatusCode::OK
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}
