//! Documents from the network: one request at a time for each, kept for as long as they say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use musubi_model::{Clock, Tenant, Timestamp};
use musubi_outbound::{Client, Request, Response};
use parking_lot::RwLock;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::cache::Cache;
use super::flights::Flights;
use super::lifetime::lifetime;
use super::usage::{Ticks, Usage};
use crate::ContextError;
use crate::document::{context_of, weight_of};

/// The longest document, in bytes.
const MAX_DOCUMENT: usize = 1 << 20;
/// The most documents that are on their way at once; more wait.
const MAX_DOWNLOADS: usize = 64;
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
    clock: Arc<dyn Clock>,
    ticks: Ticks,
    pub(super) lifetimes: Lifetimes,
    documents: RwLock<Cache<Answer>>,
    pub(super) flights: Flights,
    downloads: Semaphore,
}

/// What is known of an address.
#[derive(Clone, Debug)]
struct Answer {
    document: Result<Arc<Value>, ContextError>,
    etag: Option<HeaderValue>,
    until: Instant,
    /// When the origin last said that this is the document.
    confirmed_at: Timestamp,
    /// For how long after that it may be used.
    lifetime: Duration,
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
    pub(super) usage: Arc<Usage>,
}

/// What is kept of a document, for whoever asks what is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) address: String,
    pub(super) confirmed_at: Timestamp,
    pub(super) lifetime: Duration,
    pub(super) usage: Arc<Usage>,
}

/// A document that came and is not in use yet.
#[derive(Debug)]
pub(super) struct Candidate {
    answer: Answer,
    pub(super) document: Arc<Value>,
}

impl Answer {
    fn usable(self, usage: Arc<Usage>) -> Result<Usable, ContextError> {
        let Self { document, until, length, .. } = self;
        document.map(|document| Usable { document, until, length, usage })
    }
}

/// What an origin said.
enum Fetched {
    Document { document: Arc<Value>, length: usize, headers: HeaderMap },
    Unchanged { headers: HeaderMap },
}

impl Fetcher {
    /// A fetcher whose documents weigh at most so much together, in bytes.
    pub(super) fn new(
        client: Option<Client>,
        clock: Arc<dyn Clock>,
        ticks: Ticks,
        max_weight: usize,
    ) -> Self {
        Self {
            client,
            clock,
            ticks,
            lifetimes: LIFETIMES,
            documents: RwLock::new(Cache::new(max_weight)),
            flights: Flights::default(),
            downloads: Semaphore::new(MAX_DOWNLOADS),
        }
    }

    /// The document at a normalized address.
    pub(super) async fn document(
        &self,
        tenant: &Tenant,
        address: &str,
    ) -> Result<Usable, ContextError> {
        if let Some((answer, usage)) = self.fresh(tenant, address) {
            return answer.usable(usage);
        }
        let flight = self.flights.join(tenant, address);
        let turn = flight.turn().await;
        // Somebody may have fetched it while we waited for our turn.
        let (answer, usage) = match self.fresh(tenant, address) {
            Some(known) => known,
            None => self.renewed(tenant, address).await,
        };
        drop(turn);
        answer.usable(usage)
    }

    /// What is known of an address, whether it is still fresh or not.
    fn known(&self, tenant: &Tenant, address: &str) -> Option<(Answer, Arc<Usage>)> {
        let documents = self.documents.read();
        let entry = documents.get(tenant, address)?;
        Some((entry.value.clone(), Arc::clone(&entry.usage)))
    }

    fn fresh(&self, tenant: &Tenant, address: &str) -> Option<(Answer, Arc<Usage>)> {
        self.known(tenant, address).filter(|(answer, _)| Instant::now() < answer.until)
    }

    /// Asks the origin and keeps what comes of it.
    async fn renewed(&self, tenant: &Tenant, address: &str) -> (Answer, Arc<Usage>) {
        let old = self.known(tenant, address).filter(|(old, _)| old.document.is_ok());
        let (old, usage) = match old {
            Some((old, usage)) => (Some(old), usage),
            None => (None, Arc::default()),
        };
        let etag = old.as_ref().and_then(|old| old.etag.clone());
        let fetched = self.fetch(address, etag).await;
        let answer = match (fetched, old) {
            (Ok(Fetched::Document { document, length, headers }), _) => {
                self.answer(document, length, &headers)
            }
            (Ok(Fetched::Unchanged { headers }), Some(old)) => self.confirmed(old, &headers),
            (Ok(Fetched::Unchanged { .. }), None) => {
                self.failure(unavailable(address, &"it answered 304 without having been asked"))
            }
            (Err(error), Some(old)) => {
                tracing::warn!(context.url = address, "going on with an old @context: {error}");
                Answer { until: Instant::now() + self.lifetimes.stale, ..old }
            }
            (Err(error), None) => self.failure(error),
        };
        self.insert(tenant, address, answer.clone(), &usage);
        (answer, usage)
    }

    fn insert(&self, tenant: &Tenant, address: &str, answer: Answer, usage: &Arc<Usage>) {
        let weight = 512 + answer.document.as_ref().map_or(0, |document| weight_of(document));
        usage.touch(self.ticks.at(Instant::now()));
        self.documents.write().insert(tenant, address, answer, (Arc::clone(usage), weight));
    }

    fn answer(&self, document: Arc<Value>, length: usize, headers: &HeaderMap) -> Answer {
        let etag = headers.get(header::ETAG).cloned();
        let now = Instant::now();
        let confirmed_at = self.clock.now();
        let lifetime = self.lifetime(headers, confirmed_at);
        let until = now + lifetime;
        Answer { document: Ok(document), etag, until, confirmed_at, lifetime, length }
    }

    fn confirmed(&self, old: Answer, headers: &HeaderMap) -> Answer {
        let confirmed_at = self.clock.now();
        let lifetime = self.lifetime(headers, confirmed_at);
        Answer { until: Instant::now() + lifetime, confirmed_at, lifetime, ..old }
    }

    fn failure(&self, error: ContextError) -> Answer {
        let lifetime = self.lifetimes.failure;
        Answer {
            document: Err(error),
            etag: None,
            until: Instant::now() + lifetime,
            confirmed_at: self.clock.now(),
            lifetime,
            length: 0,
        }
    }

    /// The document as its origin has it now, without putting it in the place of the one that is
    /// kept.
    pub(super) async fn candidate(&self, address: &str) -> Result<Candidate, ContextError> {
        match self.fetch(address, None).await? {
            Fetched::Document { document, length, headers } => {
                let answer = self.answer(Arc::clone(&document), length, &headers);
                Ok(Candidate { answer, document })
            }
            Fetched::Unchanged { .. } => {
                Err(unavailable(address, &"it answered 304 without having been asked"))
            }
        }
    }

    /// Puts a document in the place of the one that is kept; its uses go on being counted.
    pub(super) fn replace(&self, tenant: &Tenant, address: &str, candidate: Candidate) {
        let usage = self.known(tenant, address).map(|(_, usage)| usage).unwrap_or_default();
        self.insert(tenant, address, candidate.answer, &usage);
    }

    /// What is kept of this address, if there is a document.
    pub(super) fn kept(&self, tenant: &Tenant, address: &str) -> Option<Kept> {
        let (answer, usage) = self.known(tenant, address)?;
        kept(address, &answer, &usage)
    }

    /// All documents that a tenant has.
    pub(super) fn all(&self, tenant: &Tenant) -> Vec<Kept> {
        let documents = self.documents.read();
        documents
            .of(tenant)
            .filter_map(|(address, entry)| kept(address, &entry.value, &entry.usage))
            .collect()
    }

    /// Forgets a document. False if there was none.
    pub(super) fn remove(&self, tenant: &Tenant, address: &str) -> bool {
        let mut documents = self.documents.write();
        let is_there =
            documents.get(tenant, address).is_some_and(|entry| entry.value.document.is_ok());
        is_there && documents.remove(tenant, address)
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
        let turn = self.downloads.acquire().await;
        let answered = client.send(request).await;
        drop(turn);
        let Response { status, headers, body } =
            answered.map_err(|error| unavailable(address, &error))?;
        match status {
            StatusCode::OK => match context_of(&body) {
                Ok(document) => Ok(Fetched::Document { document, length: body.len(), headers }),
                Err(reason) => Err(ContextError::Invalid(format!("{address}: {reason}"))),
            },
            StatusCode::NOT_MODIFIED => Ok(Fetched::Unchanged { headers }),
            other => Err(unavailable(address, &format_args!("it answered {}", other.as_u16()))),
        }
    }

    fn lifetime(&self, headers: &HeaderMap, now: Timestamp) -> Duration {
        let Lifetimes { unsaid, shortest, longest, .. } = self.lifetimes;
        lifetime(headers, now).unwrap_or(unsaid).clamp(shortest, longest)
    }
}

fn kept(address: &str, answer: &Answer, usage: &Arc<Usage>) -> Option<Kept> {
    answer.document.is_ok().then(|| Kept {
        address: address.to_owned(),
        confirmed_at: answer.confirmed_at,
        lifetime: answer.lifetime,
        usage: Arc::clone(usage),
    })
}

pub(super) fn unavailable(url: &str, reason: &dyn std::fmt::Display) -> ContextError {
    ContextError::NotAvailable { url: url.to_owned(), reason: reason.to_string() }
}
