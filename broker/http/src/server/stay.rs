//! Requests that stay: an answer that goes on for as long as the client wants it, and a connection
//! that becomes something else.
//!
//! Both have to end when the server does, and both have to be counted until they have; so the
//! connection lends its handler what it takes.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::Uri;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Requests may stay whose path begins so.
const PATHS: [&str; 2] = ["/musubi/v1/streams/", "/musubi/v1/backup"];

/// What the connection lends to the handler of a request that may stay.
#[derive(Clone)]
pub(crate) struct Stay {
    stopping: watch::Receiver<()>,
    then: Then,
}

/// What is to be done with the connection after its last answer.
#[derive(Clone, Default)]
pub(crate) struct Then(Arc<Mutex<Option<BoxFuture<'static, ()>>>>);

impl Stay {
    /// Whether requests to there may stay. Others are spared the cost.
    pub(crate) fn is_for(uri: &Uri) -> bool {
        PATHS.iter().any(|path| uri.path().starts_with(path))
    }

    pub(crate) fn new(stopping: watch::Receiver<()>, then: Then) -> Self {
        Self { stopping, then }
    }

    /// Waits until the server is to stop.
    pub(crate) async fn stopped(&mut self) {
        // The other side only ever goes away.
        while self.stopping.changed().await.is_ok() {}
    }

    /// Has this done after the last answer, as a part of the connection.
    pub(crate) fn afterwards(&self, work: BoxFuture<'static, ()>) {
        *self.then.0.lock() = Some(work);
    }
}

impl Then {
    /// What is to be done now that the last answer was given.
    pub(crate) fn take(&self) -> Option<BoxFuture<'static, ()>> {
        self.0.lock().take()
    }
}

impl fmt::Debug for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stay").finish_non_exhaustive()
    }
}
