//! What the HTTP binding is told by the program that runs it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use musubi_model::Tenant;
use prometheus_client::registry::Registry;
use serde_json::Value;

/// Gives the page at `/`, as HTML.
pub type PageSource = Arc<dyn Fn() -> String + Send + Sync>;

/// Says whether requests can be served; if not, why, in a sentence for an operator.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// How requests are answered.
#[derive(Default)]
pub struct HttpOptions {
    /// How much a request may ask.
    pub limits: Limits,
    /// Under which names the server answers.
    pub hosts: Hosts,
    /// The origins whose web pages may read the answers, such as `https://map.example.jp`.
    pub origins: Vec<String>,
    /// What `/metrics` shows; the metrics of the requests are added to it.
    pub metrics: Registry,
    /// Whether requests can be served. None: always.
    pub ready: Option<Readiness>,
    /// The page at `/`. None: there is none.
    pub page: Option<PageSource>,
    /// The adapters in this process. None: there are none.
    pub adapters: Option<Arc<dyn Adapters>>,
    /// JSON-LD contexts that are served under `/musubi/v1/contexts/`: file name and document.
    pub contexts: Vec<(String, String)>,
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("limits", &self.limits)
            .field("hosts", &self.hosts)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

/// How much a request may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest body, in bytes.
    pub body: usize,
    /// How long a client may take to send its body.
    pub body_time: Duration,
    /// The deepest nesting of a body.
    pub depth: usize,
    /// The most items of a batch.
    pub batch: usize,
    /// The size of a page when the request does not say.
    pub page_default: usize,
    /// The largest page.
    pub page_max: usize,
    /// The longest page, and the longest answer that is composed of linked entities, in bytes.
    pub answer: usize,
    /// The most linked entities that one answer may need.
    pub linked: usize,
    /// The most instances of attributes in one answer about the past; what is more is left out and
    /// the answer is marked as a part (CIM 009, clause 6.3.10). At least 1.
    pub history_instances: usize,
    /// After so long without anything to tell, a stream says that it is still there. Well below
    /// [`ServeOptions::header_time`](crate::ServeOptions::header_time), after which a connection
    /// counts as idle.
    pub heartbeat: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 2 * 1024 * 1024,
            body_time: Duration::from_secs(30),
            depth: 64,
            batch: 10_000,
            page_default: 20,
            page_max: 1000,
            answer: 16 * 1024 * 1024,
            linked: 1000,
            history_instances: 10_000,
            heartbeat: Duration::from_secs(15),
        }
    }
}

/// Under which names, in the `Host` header, the server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Hosts {
    /// Under any. Only for a server that asks its callers who they are.
    #[default]
    Any,
    /// Under the names of the loopback interface and these, each with or without a port, so that
    /// a web page elsewhere cannot reach the server by rebinding its own name.
    LoopbackAnd(Vec<String>),
}

/// The adapters that run in this process.
pub trait Adapters: Send + Sync + fmt::Debug {
    /// What the adapters are doing: an array with one object per adapter, each with its `name`.
    fn list(&self) -> Value;

    /// Hands a message to the adapter of that name; `what` says what the message is, in the
    /// adapter's own words. The answer is for the sender.
    fn receive<'a>(
        &'a self,
        tenant: Tenant,
        name: &'a str,
        what: &'a str,
        body: Bytes,
    ) -> BoxFuture<'a, Result<Value, AdapterError>>;
}

/// Why an adapter did not take a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdapterError {
    /// There is no such adapter, or it takes no such messages.
    #[error("there is no such adapter, or it takes no such messages")]
    NotFound,
    /// The message is not acceptable, and never will be.
    #[error("{0}")]
    Invalid(String),
    /// The message cannot be taken now.
    #[error("{0}")]
    Unavailable(String),
}
