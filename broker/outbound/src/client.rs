//! A client that asks the guard.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::connection::Connection;
use crate::connector::{CONNECT_TIMEOUT, Connector, NoConnection, Security};
use crate::download::Download;
use crate::gzip::{Inflow, Unusable};
use crate::message::{Compressed, message};
use crate::pool::Pool;
use crate::{Authorities, Guard, Names, Stream, SystemNames, tls};

/// An HTTP client: a cheap handle on one pool of connections. It speaks HTTP/1.1.
#[derive(Clone, Debug)]
pub struct Client {
    connector: Arc<Connector>,
    pool: Arc<Pool>,
}

/// How a client works.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Which addresses may be reached; none for all. Default: none.
    pub guard: Option<Guard>,
    /// Authorities that are trusted beside those that browsers trust. Default: none.
    pub authorities: Authorities,
    /// How names become addresses. Default: as on this machine.
    pub names: Arc<dyn Names>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        let names = Arc::new(SystemNames::default());
        Self { guard: None, authorities: Authorities::default(), names }
    }
}

/// What to send.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// `http` or `https`.
    pub url: Url,
    /// Headers beside those that the transport adds.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// From the beginning of the attempt to the end of the answer's body.
    pub timeout: Duration,
    /// The longest body accepted, in bytes after decompression. For a longer one see
    /// [`Error::TooLarge`].
    pub max_body: usize,
}

/// What came back, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// What came back to a request whose answer is its status.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
}

/// Why nothing came back. No variant tells more of the address than its host and port, because
/// the rest of a URL may hold secrets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The guard does not allow the address.
    #[error("{0} is an address that this server may not reach ([outbound] in the configuration)")]
    Forbidden(String),
    /// No connection, or it broke.
    #[error("{host} could not be reached: {reason}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What happened.
        reason: String,
    },
    /// The answer took too long.
    #[error("{host} did not answer within {ms} ms")]
    TimedOut {
        /// Host and port.
        host: String,
        /// How long was waited.
        ms: u128,
    },
    /// The answer's body is longer than the request allows.
    #[error("the answer of {host} is longer than {limit} bytes")]
    TooLarge {
        /// Host and port.
        host: String,
        /// The limit.
        limit: usize,
    },
}

/// How long the body of an answer may take whose status is all that counts. Longer, and its
/// connection is closed.
const DRAIN_TIME: Duration = Duration::from_millis(250);

/// Whether a request may be sent once more when an idle connection broke under it, although the
/// other side may have seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    Yes,
    No,
}

/// The head of an answer, and where the rest will come from.
struct Begun {
    security: Security,
    connection: Box<Connection>,
    answer: http::Response<Incoming>,
}

/// What can be wrong before an answer begins.
enum Broken {
    NoConnection(NoConnection),
    Exchange(hyper::Error),
    Request(String),
}

impl Client {
    /// A client that works like this.
    pub fn new(options: ClientOptions) -> Self {
        let ClientOptions { guard, authorities, names } = options;
        let tls = TlsConnector::from(Arc::new(tls::client_config(authorities)));
        Self { connector: Arc::new(Connector { guard, names, tls }), pool: Arc::default() }
    }

    /// A client for addresses that others name.
    pub fn guarded(guard: Guard) -> Self {
        Self::new(ClientOptions { guard: Some(guard), ..ClientOptions::default() })
    }

    /// A client for addresses that the operator wrote.
    pub fn unguarded() -> Self {
        Self::new(ClientOptions::default())
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// [`Error`] says why there is none. An answer with an error status is an answer, and so is
    /// a redirect, which is not followed.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let host = host_and_port(&request.url);
        match timeout(request.timeout, self.exchange(&request, &host)).await {
            Ok(result) => result,
            Err(_) => Err(Error::TimedOut { host, ms: request.timeout.as_millis() }),
        }
    }

    /// Sends a request whose answer is its status. The answer counts once its head is there;
    /// of the body at most [`max_body`](Request::max_body) bytes are read, for at most a quarter
    /// of a second, and thrown away, so that the connection can be used again. If there is more
    /// of it, the connection is closed.
    ///
    /// When a connection that was idle breaks before an answer came, the request is sent once more
    /// over another one, whatever its method: the receiver is to recognize a repetition.
    ///
    /// # Errors
    ///
    /// [`Error`] says why there is no answer; [`Error::TooLarge`] never.
    pub async fn deliver(&self, request: Request) -> Result<Receipt, Error> {
        let host = host_and_port(&request.url);
        let attempt = self.begin(&request, &host, (Repeat::Yes, Compressed::Unwanted));
        let Begun { security, mut connection, answer } =
            match timeout(request.timeout, attempt).await {
                Ok(begun) => begun.map_err(|broken| broken.describe(&host, &request))?,
                Err(_) => return Err(Error::TimedOut { host, ms: request.timeout.as_millis() }),
            };
        let (head, mut body) = answer.into_parts();
        let drained = body.is_end_stream()
            || timeout(DRAIN_TIME, drain(&mut connection, &mut body, request.max_body))
                .await
                .unwrap_or(false);
        drop(body);
        if drained {
            self.pool.put(security, &host, connection);
        }
        Ok(Receipt { status: head.status, headers: head.headers })
    }

    /// Sends a request and gives the head of the answer; its body is read piece by piece, and may be
    /// of any length. The timeout is for the head, and for each piece.
    ///
    /// # Errors
    ///
    /// [`Error`] says why there is no answer; [`Error::TooLarge`] never.
    pub async fn download(&self, request: Request) -> Result<Download, Error> {
        let host = host_and_port(&request.url);
        let attempt = self.begin(&request, &host, (Repeat::No, Compressed::Unwanted));
        let Begun { connection, answer, .. } = match timeout(request.timeout, attempt).await {
            Ok(begun) => begun.map_err(|broken| broken.describe(&host, &request))?,
            Err(_) => return Err(Error::TimedOut { host, ms: request.timeout.as_millis() }),
        };
        let (head, body) = answer.into_parts();
        let (status, headers) = (head.status, head.headers);
        Ok(Download { status, headers, host, patience: request.timeout, connection, body })
    }

    /// A new connection to a host, for what is not HTTP. It is never pooled.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`], [`Error::Unreachable`], and [`Error::TimedOut`] after ten seconds.
    pub async fn connect(
        &self,
        host: &str,
        port: u16,
        security: Security,
    ) -> Result<Stream, Error> {
        let opened = self.connector.connect(host, port, security).await;
        opened.map_err(|error| no_connection(error, format!("{host}:{port}"), CONNECT_TIMEOUT))
    }

    async fn exchange(&self, request: &Request, host: &str) -> Result<Response, Error> {
        let begun = self.begin(request, host, (Repeat::No, Compressed::Welcome)).await;
        let Begun { security, mut connection, answer } =
            begun.map_err(|broken| broken.describe(host, request))?;
        let (mut head, mut body) = answer.into_parts();
        let limit = request.max_body;
        let too_large = || Error::TooLarge { host: host.to_owned(), limit };
        let is_gzip = head.headers.get(header::CONTENT_ENCODING).is_some_and(is_gzip);
        if !is_gzip && body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
            return Err(too_large());
        }
        let damaged = |reason: String| Error::Unreachable { host: host.to_owned(), reason };
        let fault = |unusable| match unusable {
            Unusable::TooLarge => too_large(),
            Unusable::Damaged => damaged("the answer is not what gzip makes".to_owned()),
        };
        let mut inflow = Inflow::new(is_gzip, limit);
        while let Some(part) = connection.part(&mut body).await {
            let part = part.map_err(|error| damaged(innermost(&error)))?;
            inflow.add(&part).map_err(fault)?;
        }
        drop(body);
        self.pool.put(security, host, connection);
        let body = inflow.end().map_err(fault)?;
        if is_gzip {
            head.headers.remove(header::CONTENT_ENCODING);
            head.headers.remove(header::CONTENT_LENGTH);
        }
        Ok(Response { status: head.status, headers: head.headers, body: body.into() })
    }

    /// Sends a request over an idle connection, or else over a new one, and waits for the head of
    /// its answer.
    async fn begin(
        &self,
        request: &Request,
        host: &str,
        (repeat, compressed): (Repeat, Compressed),
    ) -> Result<Begun, Broken> {
        let url = &request.url;
        let security = match url.scheme() {
            "http" => Security::Plain,
            "https" => Security::Tls,
            other => return Err(Broken::Request(format!("{other} is neither http nor https"))),
        };
        let write =
            || message(request, compressed).map_err(|error| Broken::Request(error.to_string()));
        let mut next = write()?;
        while let Some(mut connection) = self.pool.take(security, host) {
            match connection.send(next).await {
                Ok(answer) => return Ok(Begun { security, connection, answer }),
                // It did not leave.
                Err(mut failed) => match (failed.take_message(), repeat) {
                    (Some(unsent), _) => next = unsent,
                    (None, Repeat::Yes) => {
                        next = write()?;
                        break;
                    }
                    (None, Repeat::No) => return Err(Broken::Exchange(failed.into_error())),
                },
            }
        }
        let name = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let stream = self.connector.connect(name, port, security).await;
        let stream = stream.map_err(Broken::NoConnection)?;
        let connection = Connection::over(stream).await.map_err(Broken::Exchange)?;
        let mut connection = Box::new(connection);
        let sent = connection.send(next).await;
        let answer = sent.map_err(|failed| Broken::Exchange(failed.into_error()))?;
        Ok(Begun { security, connection, answer })
    }
}

/// Reads the rest of an answer; whether its end was reached.
async fn drain(connection: &mut Connection, body: &mut Incoming, limit: usize) -> bool {
    let mut left = limit;
    while let Some(part) = connection.part(body).await {
        match part.ok().and_then(|part| left.checked_sub(part.len())) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    true
}

fn is_gzip(encoding: &HeaderValue) -> bool {
    let encoding = encoding.as_bytes();
    encoding.eq_ignore_ascii_case(b"gzip") || encoding.eq_ignore_ascii_case(b"x-gzip")
}

/// Host and port, and nothing else of the URL.
fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

impl Broken {
    fn describe(self, host: &str, request: &Request) -> Error {
        let host = host.to_owned();
        match self {
            Self::NoConnection(error) => no_connection(error, host, request.timeout),
            Self::Exchange(error) => Error::Unreachable { host, reason: innermost(&error) },
            Self::Request(reason) => Error::Unreachable { host, reason },
        }
    }
}

fn no_connection(error: NoConnection, host: String, patience: Duration) -> Error {
    match error {
        NoConnection::Forbidden => Error::Forbidden(host),
        NoConnection::TimedOut => {
            Error::TimedOut { host, ms: patience.min(CONNECT_TIMEOUT).as_millis() }
        }
        NoConnection::Broken(error) => Error::Unreachable { host, reason: error.to_string() },
    }
}

/// What an error says at its root, where nothing of a URL stands.
fn innermost(error: &hyper::Error) -> String {
    let mut cause: &(dyn StdError + 'static) = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
