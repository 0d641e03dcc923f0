//! A client of the API, as a vendor's program is one.

use reqwest::{Client, Method};
use serde_json::Value;

/// A client of one server and one tenant.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    base: String,
    tenant: Option<String>,
    link: Option<String>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as it stands.
    pub text: String,
}

impl Answer {
    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// A header's text; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Http {
    /// A client of the server at this address, as in `http://127.0.0.1:1026`.
    ///
    /// # Panics
    ///
    /// If no client can be made.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        // Another client may have said the same already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap_or_else(|error| panic!("no HTTP client: {error}"));
        Self { client, base: base.into(), tenant: None, link: None }
    }

    /// The same, in a tenant.
    #[must_use]
    pub fn tenant(&self, tenant: &str) -> Self {
        Self { tenant: Some(tenant.to_owned()), ..self.clone() }
    }

    /// The same, in the project's own `@context`.
    #[must_use]
    pub fn own_context(&self) -> Self {
        let link = format!(
            "<{}/musubi/v1/contexts/musubi.jsonld>; rel=\"http://www.w3.org/ns/json-ld#context\"; \
             type=\"application/ld+json\"",
            self.base
        );
        Self { link: Some(link), ..self.clone() }
    }

    /// The address of the server.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request; an error is one of the connection.
    ///
    /// # Errors
    ///
    /// If no answer came.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(tenant) = &self.tenant {
            request = request.header("NGSILD-Tenant", tenant);
        }
        if let Some(link) = &self.link {
            request = request.header("Link", link);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        Ok(Answer { status, headers, text: response.text().await? })
    }

    /// Sends a request.
    ///
    /// # Panics
    ///
    /// If no answer came.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let what = format!("{method} {path}");
        self.try_send(method, path, body)
            .await
            .unwrap_or_else(|error| panic!("{what} was not answered: {error}"))
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// `POST`
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `PATCH`
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }
}
