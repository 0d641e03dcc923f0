//! A small client of a running broker, for the commands that talk to one.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use musubi_outbound::{Client, Download, Request, Response};
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// A broker, as a command sees it.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    client: Client,
    base: Url,
    tenant: Option<HeaderValue>,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It is longer than is held in memory.
    TooLong,
    /// For another reason, as a sentence.
    Because(String),
}

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 64 << 20;
/// The longest description of a problem, in bytes.
const MAX_PROBLEM: usize = 64 << 10;
const TIMEOUT: Duration = Duration::from_secs(30);
/// For what the broker itself is known to take long over.
const LONG_TIMEOUT: Duration = Duration::from_mins(10);

impl Api {
    /// The broker at this address.
    ///
    /// # Errors
    ///
    /// A sentence, if the address or the tenant's name cannot be used.
    pub(crate) fn new(base: &str, tenant: Option<&str>) -> Result<Self, String> {
        let base = Url::parse(base).map_err(|error| format!("--broker {base}: {error}"))?;
        let tenant = tenant
            .map(|name| {
                HeaderValue::from_str(name).map_err(|_| format!("--tenant {name:?} is no name"))
            })
            .transpose()?;
        Ok(Self { client: Client::unguarded(), base, tenant })
    }

    /// Sends a request and gives the JSON of the answer, null if it has none.
    ///
    /// # Errors
    ///
    /// A sentence: what the broker said is wrong, or why there was no answer.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        self.send((method, path), body, HeaderMap::new(), TIMEOUT).await
    }

    /// The same without a body, and with more patience.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call).
    pub(crate) async fn call_for_long(&self, method: Method, path: &str) -> Result<Value, String> {
        self.send((method, path), None, HeaderMap::new(), LONG_TIMEOUT).await
    }

    /// The same, with the terms of the `@context` at this address.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call).
    pub(crate) async fn call_in(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        context: &str,
    ) -> Result<Value, String> {
        let link = format!(
            "<{context}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\""
        );
        let link = HeaderValue::from_str(&link).map_err(|error| error.to_string())?;
        let headers = HeaderMap::from_iter([(http::header::LINK, link)]);
        self.send((method, path), body, headers, TIMEOUT).await
    }

    /// Sends a request without a body, and gives the answer to be read piece by piece, if the broker
    /// is willing.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call).
    pub(crate) async fn download(&self, path: &str) -> Result<Download, String> {
        let url = self.base.join(path).map_err(|error| error.to_string())?;
        let request = Request {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: TIMEOUT,
            max_body: MAX_ANSWER,
        };
        let answer = self.client.download(request).await.map_err(|error| error.to_string())?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(refusal(answer).await)
    }

    /// Sends a request, whose body is JSON, and gives the whole answer, whatever its status is.
    ///
    /// # Errors
    ///
    /// Why there was no answer.
    pub(crate) async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Response, Unanswered> {
        let url = self.base.join(path).map_err(|error| Unanswered::Because(error.to_string()))?;
        let mut headers = HeaderMap::new();
        if let Some(tenant) = &self.tenant {
            headers.insert("NGSILD-Tenant", tenant.clone());
        }
        if !body.is_empty() {
            let json = HeaderValue::from_static("application/json");
            headers.insert(http::header::CONTENT_TYPE, json);
        }
        let (body, timeout) = (Bytes::from(body), LONG_TIMEOUT);
        let request = Request { method, url, headers, body, timeout, max_body: MAX_ANSWER };
        self.client.send(request).await.map_err(|error| match error {
            musubi_outbound::Error::TooLarge { .. } => Unanswered::TooLong,
            musubi_outbound::Error::Forbidden(_)
            | musubi_outbound::Error::Unreachable { .. }
            | musubi_outbound::Error::TimedOut { .. } => Unanswered::Because(error.to_string()),
        })
    }

    async fn send(
        &self,
        (method, path): (Method, &str),
        body: Option<&Value>,
        mut headers: HeaderMap,
        timeout: Duration,
    ) -> Result<Value, String> {
        let url = self.base.join(path).map_err(|error| error.to_string())?;
        if let Some(tenant) = &self.tenant {
            headers.insert("NGSILD-Tenant", tenant.clone());
        }
        if body.is_some() {
            headers
                .insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = Request { method, url, headers, body, timeout, max_body: MAX_ANSWER };
        let response = self.client.send(request).await.map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        if response.status.is_success() {
            return Ok(answer);
        }
        Err(said(response.status, &answer))
    }
}

/// What the broker says is wrong; as much of it as a sentence can have.
async fn refusal(mut answer: Download) -> String {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.piece().await {
        if body.len() + piece.len() > MAX_PROBLEM {
            break;
        }
        body.extend_from_slice(&piece);
    }
    said(answer.status, &serde_json::from_slice(&body).unwrap_or_default())
}

/// What the broker said is wrong, as a sentence.
pub(crate) fn said(status: StatusCode, problem: &Value) -> String {
    let text = |name: &str| problem.get(name).and_then(Value::as_str);
    match text("detail").or_else(|| text("title")) {
        Some(detail) => format!("{detail} ({status})"),
        None => format!("the broker answered {status}"),
    }
}
