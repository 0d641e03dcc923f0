//! Serving: connections in, answers out, and an orderly end.

pub(crate) mod gate;
pub(crate) mod patience;
pub(crate) mod request_line;
pub(crate) mod stay;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::BoxFuture;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::Service;

use crate::server::patience::{Activity, Patience};
use crate::server::stay::{Stay, Then};

/// How connections are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeOptions {
    /// How long a client may take to send the head of a request, the wait for it included, counted
    /// from the last byte that it took of the answer before. Longer than `write_time`.
    pub header_time: Duration,
    /// The longest head of a request, in bytes; at least 8,192.
    pub header_bytes: usize,
    /// How long an answer may wait for a client that does not read it.
    pub write_time: Duration,
    /// The most connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// How long requests that are being answered may still take after the shutdown began.
    pub drain: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            header_time: Duration::from_secs(75),
            header_bytes: 64 * 1024,
            write_time: Duration::from_secs(30),
            connections: 8192,
            drain: Duration::from_secs(10),
        }
    }
}

/// How long to wait after an error that is not the fault of one connection, such as too many open
/// files.
const PAUSE: Duration = Duration::from_millis(100);

/// The place of a connection among those that may be open.
type Slot = Result<OwnedSemaphorePermit, AcquireError>;

/// Serves HTTP/1.1 until `shutdown` completes; then accepts nothing more, lets the requests that
/// are being answered finish, and returns when they have or [`ServeOptions::drain`] is over.
///
/// # Errors
///
/// None at present: errors of a connection end that connection, and errors of the listener are
/// waited out.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    serve_until(listener, router, options, Box::pin(shutdown)).await
}

/// The same for one type, so that what serves a connection is compiled here and not with whoever
/// calls it, who may want it small rather than quick.
async fn serve_until(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    mut shutdown: BoxFuture<'_, ()>,
) -> io::Result<()> {
    let (stop, stopping) = watch::channel(());
    let slots = Arc::new(Semaphore::new(options.connections));
    let mut connections = JoinSet::new();
    loop {
        // Connections that have ended leave the set, so that it does not grow.
        while connections.try_join_next().is_some() {}
        let accepted = async {
            let slot = slots.clone().acquire_owned().await;
            (slot, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            (slot, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let stopping = (stopping.clone(), slot);
                    connections.spawn(connection(stream, router.clone(), options, stopping));
                }
                Err(error) => {
                    tracing::warn!("a connection cannot be accepted: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    drop(stop);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(options.drain, drained).await.is_err() {
        tracing::warn!("requests that were still being answered have been cut off");
        connections.shutdown().await;
    }
    Ok(())
}

/// Serves one connection until it ends, or has finished its request after the shutdown began. The
/// slot is taken until then.
async fn connection(
    stream: TcpStream,
    router: Router,
    options: ServeOptions,
    (mut stopping, _slot): (watch::Receiver<()>, Slot),
) {
    // Answers are one piece; to hold them back for more would only cost time.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("TCP_NODELAY: {error}");
    }
    let activity = Activity::new();
    let stream = TokioIo::new(Patience::new(stream, options.write_time, activity.clone()));
    let (then, stop) = (Then::default(), stopping.clone());
    let service = service_fn(|mut request| {
        activity.asked();
        if Stay::is_for(request.uri()) {
            request.extensions_mut().insert(Stay::new(stop.clone(), then.clone()));
        }
        // A router is always ready.
        let answer = router.clone().call(request);
        let activity = &activity;
        async move {
            let answer = answer.await;
            activity.answered();
            answer
        }
    });
    let mut builder = http1::Builder::new();
    // The time for the head is kept here, and not by a timer for each request.
    builder.header_read_timeout(None).max_buf_size(options.header_bytes.max(8192));
    let mut connection = pin!(builder.serve_connection(stream, service).with_upgrades());
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = activity.exhausted(options.header_time) => {
            tracing::debug!("a connection was closed because no request came");
            return;
        }
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended early: {error}");
    } else if let Some(work) = then.take() {
        work.await;
    }
}
