//! A server for a GBFS feed that stands in a folder. The addresses in its `gbfs.json` are made to
//! point here, wherever they pointed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as Segment, State};
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A feed server. Ends when it is dropped.
#[derive(Debug)]
pub struct FeedServer {
    /// The address of the discovery file.
    pub url: String,
    requests: Arc<AtomicU64>,
    shutdown: CancellationToken,
}

#[derive(Clone, Debug)]
struct Feed {
    folder: PathBuf,
    address: SocketAddr,
    requests: Arc<AtomicU64>,
}

impl FeedServer {
    /// Serves the folder on a free port, from a thread of its own.
    ///
    /// # Panics
    ///
    /// If there is no port.
    pub async fn start(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicU64::new(0));
        let feed = Feed { folder: folder.to_owned(), address, requests: requests.clone() };
        let app = Router::new().route("/{file}", get(file)).with_state(feed);
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let listener = listener.into_std().expect("a socket");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("a socket");
                tokio::select! {
                    served = axum::serve(listener, app).into_future() => served.expect("it serves"),
                    () = stop.cancelled() => {}
                }
            });
        });
        Self { url: format!("http://{address}/gbfs.json"), requests, shutdown }
    }

    /// How often a file was asked for.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for FeedServer {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn file(
    State(feed): State<Feed>,
    Segment(name): Segment<String>,
) -> Result<Bytes, StatusCode> {
    feed.requests.fetch_add(1, Ordering::SeqCst);
    if name.contains("..") || name.contains('/') {
        return Err(StatusCode::NOT_FOUND);
    }
    let bytes = std::fs::read(feed.folder.join(&name)).map_err(|_| StatusCode::NOT_FOUND)?;
    if name != "gbfs.json" {
        return Ok(bytes.into());
    }
    // What is no JSON is served as it is.
    let Ok(mut discovery) = serde_json::from_slice::<Value>(&bytes) else {
        return Ok(bytes.into());
    };
    here(&mut discovery, feed.address);
    Ok(discovery.to_string().into())
}

/// Makes every `url` in the document point to the file of that name on this server.
fn here(value: &mut Value, address: SocketAddr) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(url) if name == "url" => {
                        let file = url.rsplit('/').next().unwrap_or_default();
                        *url = format!("http://{address}/{file}");
                    }
                    _ => here(member, address),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| here(item, address)),
        _ => {}
    }
}
