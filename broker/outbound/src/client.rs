//! A client that asks the guard.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use url::{Host, Url};

use crate::Guard;
use crate::resolver::{AllForbidden, GuardedResolver};
use crate::tls;

/// An HTTP client: a cheap handle on one pool of connections. It speaks HTTP/1.1.
#[derive(Clone, Debug)]
pub struct Client {
    inner: reqwest::Client,
    guard: Option<Arc<Guard>>,
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

const USER_AGENT: &str = concat!("musubi/", env!("CARGO_PKG_VERSION"));
/// Idle connections kept per host.
const MAX_IDLE: usize = 16;
/// Below the shortest idle time that servers commonly allow, so that we close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Client {
    /// A client for addresses that others name.
    pub fn guarded(guard: Guard) -> Self {
        let guard = Arc::new(guard);
        let resolver = GuardedResolver(Arc::clone(&guard));
        Self { inner: build(builder().dns_resolver(resolver)), guard: Some(guard) }
    }

    /// A client for addresses that the operator wrote.
    pub fn unguarded() -> Self {
        Self { inner: build(builder()), guard: None }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// [`Error`] says why there is none. An answer with an error status is an answer, and so is
    /// a redirect, which is not followed.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let host = host_and_port(&request.url);
        self.check(&request.url, &host)?;
        let timeout = request.timeout;
        match tokio::time::timeout(timeout, self.exchange(request, &host)).await {
            Ok(result) => result,
            Err(_) => Err(Error::TimedOut { host, ms: timeout.as_millis() }),
        }
    }

    /// What can be said of the URL before a name is resolved. An address written as a number
    /// never meets the resolver, so it is checked here.
    fn check(&self, url: &Url, host: &str) -> Result<(), Error> {
        if !matches!(url.scheme(), "http" | "https") {
            let reason = format!("{} is neither http nor https", url.scheme());
            return Err(Error::Unreachable { host: host.to_owned(), reason });
        }
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        match &self.guard {
            Some(guard) if !guard.permits(address) => Err(Error::Forbidden(host.to_owned())),
            _ => Ok(()),
        }
    }

    async fn exchange(&self, request: Request, host: &str) -> Result<Response, Error> {
        let Request { method, url, headers, body, timeout, max_body } = request;
        let failed = |error: &reqwest::Error| describe(error, host, timeout);
        let mut outgoing = self.inner.request(method, url).headers(headers);
        if !body.is_empty() {
            outgoing = outgoing.body(body);
        }
        let mut answer = outgoing.send().await.map_err(|error| failed(&error))?;
        let too_large = || Error::TooLarge { host: host.to_owned(), limit: max_body };
        let announced = answer.content_length().and_then(|length| usize::try_from(length).ok());
        if announced.is_some_and(|length| length > max_body) {
            return Err(too_large());
        }
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
            if chunk.len() > max_body.saturating_sub(body.len()) {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, headers, body: body.freeze() })
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE)
        .pool_idle_timeout(IDLE_TIMEOUT)
}

#[expect(
    clippy::expect_used,
    reason = "both fail only on constants of this crate, which tests build"
)]
fn build(builder: reqwest::ClientBuilder) -> reqwest::Client {
    let tls = tls::client_config().expect("ring speaks TLS 1.2 and 1.3");
    builder.tls_backend_preconfigured(tls).build().expect("the settings are valid")
}

/// Host and port, and nothing else of the URL.
fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn describe(error: &reqwest::Error, host: &str, timeout: Duration) -> Error {
    let mut cause: &(dyn StdError + 'static) = error;
    loop {
        if cause.is::<AllForbidden>() {
            return Error::Forbidden(host.to_owned());
        }
        let Some(next) = cause.source() else { break };
        cause = next;
    }
    if error.is_timeout() {
        return Error::TimedOut {
            host: host.to_owned(),
            ms: timeout.min(CONNECT_TIMEOUT).as_millis(),
        };
    }
    // The text of the error itself would name the whole URL, the innermost cause does not; where
    // there is no cause, only a fixed sentence is safe.
    let reason = if cause.is::<reqwest::Error>() {
        "the request could not be sent".to_owned()
    } else {
        cause.to_string()
    };
    Error::Unreachable { host: host.to_owned(), reason }
}

#[cfg(test)]
mod tests;
