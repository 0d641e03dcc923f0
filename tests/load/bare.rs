//! The limit that reading is compared with: an axum server that answers recorded bytes from
//! memory, with the recorded headers, and does nothing else.

use std::io::Write as _;
use std::path::Path;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use axum::routing::get;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

use crate::Failure;

/// A recorded answer.
#[derive(Clone, Debug)]
struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = std::fs::read(path)?;
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no head")?;
        let head = str::from_utf8(bytes.get(..end).unwrap_or_default())?;
        let mut headers = HeaderMap::new();
        for (name, value) in head.split("\r\n").filter_map(|line| line.split_once(':')) {
            let name: HeaderName = name.parse()?;
            // The server writes these two itself, as it did where the answer was recorded.
            if name != header::DATE && name != header::CONTENT_LENGTH {
                headers.append(name, HeaderValue::from_str(value.trim())?);
            }
        }
        let body = Bytes::from(bytes).slice(end + 4..);
        Ok(Self { headers, body })
    }
}

/// Serves the two answers on a free port, until the process is ended.
///
/// # Errors
///
/// If an answer cannot be read, or there is no port.
pub(crate) fn run(entity: &Path, page: &Path) -> Result<(), Failure> {
    let app = Router::new()
        .route("/ngsi-ld/v1/entities/{id}", get(answer).with_state(Answer::read(entity)?))
        .route("/ngsi-ld/v1/entities", get(answer).with_state(Answer::read(page)?));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut out = std::io::stdout();
        writeln!(out, "listening http://{}", listener.local_addr()?)?;
        out.flush()?;
        let listener = listener.tap_io(|stream| {
            // Without it the connection is slower, and still one.
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, app).await?)
    })
}

async fn answer(State(answer): State<Answer>) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.headers_mut() = answer.headers;
    response
}
