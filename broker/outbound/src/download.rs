//! An answer that is read piece by piece, because it may be of any length.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::client::Error;
use crate::connection::Connection;

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct Download {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    pub(crate) host: String,
    pub(crate) patience: Duration,
    pub(crate) connection: Box<Connection>,
    pub(crate) body: Incoming,
}

impl Download {
    /// The next piece of the body; none at its end.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] if the connection broke before the end, [`Error::TimedOut`] if nothing
    /// came for as long as the request's timeout.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        let piece = timeout(self.patience, self.connection.part(&mut self.body)).await;
        let Ok(piece) = piece else {
            return Err(Error::TimedOut { host: self.host.clone(), ms: self.patience.as_millis() });
        };
        piece.transpose().map_err(|error| Error::Unreachable {
            host: self.host.clone(),
            reason: error.to_string(),
        })
    }
}
