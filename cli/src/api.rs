//! A small client of a running broker, for the commands that talk to one.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use musubi_outbound::{Client, Request};
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

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 64 << 20;
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

fn said(status: StatusCode, problem: &Value) -> String {
    let text = |name: &str| problem.get(name).and_then(Value::as_str);
    match text("detail").or_else(|| text("title")) {
        Some(detail) => format!("{detail} ({status})"),
        None => format!("the broker answered {status}"),
    }
}
