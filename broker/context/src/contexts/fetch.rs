//! Documents from the network: one request at a time for each, kept for as long as they say.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use musubi_outbound::{Client, Request, Response};
use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::cache::Cache;
use crate::ContextError;
use crate::document::context_of;

/// The longest document, in bytes.
const MAX_DOCUMENT: usize = 1 << 20;
/// How long one request may take. Less than the patience of those who wait, so that a failure is
/// known to those who come later.
const TIMEOUT: Duration = Duration::from_secs(3);
const ACCEPT: HeaderValue = HeaderValue::from_static("application/ld+json, application/json;q=0.9");

/// How long things are believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetimes {
    /// A document that does not say.
    pub(super) unsaid: Duration,
    /// At least, whatever a document says.
    pub(super) shortest: Duration,
    /// At most, whatever a document says.
    pub(super) longest: Duration,
    /// An old document whose origin did not give a new one.
    pub(super) stale: Duration,
    /// That there is no document.
    pub(super) failure: Duration,
}

const LIFETIMES: Lifetimes = Lifetimes {
    unsaid: Duration::from_hours(1),
    shortest: Duration::from_secs(10),
    longest: Duration::from_hours(7 * 24),
    stale: super::STALE,
    failure: Duration::from_secs(2),
};

/// Fetches documents and keeps them.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Option<Client>,
    pub(super) lifetimes: Lifetimes,
    documents: RwLock<Cache<Answer>>,
    /// What is being fetched, so that those who need the same wait for one request.
    flights: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// What is known of an address.
#[derive(Clone, Debug)]
struct Answer {
    document: Result<Arc<Value>, ContextError>,
    etag: Option<HeaderValue>,
    until: Instant,
    /// The length of the document, in bytes.
    length: usize,
}

/// A document that may be used.
#[derive(Debug)]
pub(super) struct Usable {
    pub(super) document: Arc<Value>,
    pub(super) until: Instant,
    /// In bytes.
    pub(super) length: usize,
}

impl Answer {
    fn usable(self) -> Result<Usable, ContextError> {
        let Self { document, until, length, .. } = self;
        document.map(|document| Usable { document, until, length })
    }
}

/// What an origin said.
enum Fetched {
    Document { document: Arc<Value>, length: usize, headers: HeaderMap },
    Unchanged { headers: HeaderMap },
}

impl Fetcher {
    pub(super) fn new(client: Option<Client>) -> Self {
        Self {
            client,
            lifetimes: LIFETIMES,
            documents: RwLock::default(),
            flights: Mutex::default(),
        }
    }

    /// How many documents are being waited for.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.flights.lock().len()
    }

    /// The document at a normalized address.
    pub(super) async fn document(&self, address: &str) -> Result<Usable, ContextError> {
        if let Some(answer) = self.fresh(address) {
            return answer.usable();
        }
        let flight = Flight::join(self, address);
        let turn = flight.lock.lock().await;
        // Somebody may have fetched it while we waited for our turn.
        let answer = match self.fresh(address) {
            Some(answer) => answer,
            None => self.renewed(address).await,
        };
        drop(turn);
        answer.usable()
    }

    fn fresh(&self, address: &str) -> Option<Answer> {
        let documents = self.documents.read();
        documents.get(address).filter(|answer| Instant::now() < answer.until).cloned()
    }

    /// Asks the origin and keeps what comes of it.
    async fn renewed(&self, address: &str) -> Answer {
        let old = self.documents.read().get(address).cloned();
        let old = old.filter(|old| old.document.is_ok());
        let etag = old.as_ref().and_then(|old| old.etag.clone());
        let fetched = self.fetch(address, etag).await;
        let answer = match (fetched, old) {
            (Ok(Fetched::Document { document, length, headers }), _) => Answer {
                document: Ok(document),
                etag: headers.get(header::ETAG).cloned(),
                until: self.until(&headers),
                length,
            },
            (Ok(Fetched::Unchanged { headers }), Some(old)) => {
                Answer { until: self.until(&headers), ..old }
            }
            (Ok(Fetched::Unchanged { .. }), None) => {
                self.failure(unavailable(address, &"it answered 304 without having been asked"))
            }
            (Err(error), Some(old)) => {
                tracing::warn!(context.url = address, "going on with an old @context: {error}");
                Answer { until: Instant::now() + self.lifetimes.stale, ..old }
            }
            (Err(error), None) => self.failure(error),
        };
        // A tree of JSON takes several times the room of its text.
        let weight = 4 * answer.length + 512;
        self.documents.write().insert(address, answer.clone(), weight);
        answer
    }

    fn failure(&self, error: ContextError) -> Answer {
        let until = Instant::now() + self.lifetimes.failure;
        Answer { document: Err(error), etag: None, until, length: 0 }
    }

    async fn fetch(
        &self,
        address: &str,
        etag: Option<HeaderValue>,
    ) -> Result<Fetched, ContextError> {
        let Some(client) = &self.client else {
            return Err(unavailable(address, &"this server fetches no contexts"));
        };
        let url = Url::parse(address).map_err(|error| unavailable(address, &error))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, ACCEPT);
        if let Some(etag) = etag {
            headers.insert(header::IF_NONE_MATCH, etag);
        }
        let request = Request {
            method: Method::GET,
            url,
            headers,
            body: Bytes::new(),
            timeout: TIMEOUT,
            max_body: MAX_DOCUMENT,
        };
        let Response { status, headers, body } =
            client.send(request).await.map_err(|error| unavailable(address, &error))?;
        match status {
            StatusCode::OK => match context_of(&body) {
                Ok(document) => Ok(Fetched::Document { document, length: body.len(), headers }),
                Err(reason) => Err(ContextError::Invalid(format!("{address}: {reason}"))),
            },
            StatusCode::NOT_MODIFIED => Ok(Fetched::Unchanged { headers }),
            other => Err(unavailable(address, &format_args!("it answered {}", other.as_u16()))),
        }
    }

    fn until(&self, headers: &HeaderMap) -> Instant {
        let Lifetimes { unsaid, shortest, longest, .. } = self.lifetimes;
        Instant::now() + max_age(headers).unwrap_or(unsaid).clamp(shortest, longest)
    }
}

fn unavailable(url: &str, reason: &dyn std::fmt::Display) -> ContextError {
    ContextError::NotAvailable { url: url.to_owned(), reason: reason.to_string() }
}

/// For how long an answer may be used, if it says.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get_all(header::CACHE_CONTROL).into_iter().filter_map(|it| it.to_str().ok());
    let mut age = None;
    for directive in said.flat_map(|value| value.split(',')).map(str::trim) {
        if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache")
        {
            return Some(Duration::ZERO);
        }
        if let Some((name, seconds)) = directive.split_once('=')
            && name.eq_ignore_ascii_case("max-age")
        {
            age = seconds.trim_matches('"').parse().ok().map(Duration::from_secs);
        }
    }
    age
}

/// A place among those who wait for one document. Given up on every way out, so that nothing is
/// left behind by a request that is dropped.
struct Flight<'a> {
    fetcher: &'a Fetcher,
    address: &'a str,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl<'a> Flight<'a> {
    fn join(fetcher: &'a Fetcher, address: &'a str) -> Self {
        let mut flights = fetcher.flights.lock();
        let lock = Arc::clone(flights.entry(address.to_owned()).or_default());
        Self { fetcher, address, lock }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.fetcher.flights.lock();
        // The map's and our own: nobody else waits.
        if Arc::strong_count(&self.lock) == 2 {
            flights.remove(self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_read_from_the_header() {
        let check = |value: &str, seconds: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, value.parse().unwrap());
            assert_eq!(max_age(&headers), seconds.map(Duration::from_secs), "{value}");
        };
        check("max-age=60", Some(60));
        check("public, Max-Age=\"60\", immutable", Some(60));
        check("max-age=60, no-cache", Some(0));
        check("no-store", Some(0));
        check("public", None);
        check("max-age=soon", None);
        check("max-age=-1", None);
        assert_eq!(max_age(&HeaderMap::new()), None);
    }
}
