//! What every handler can reach.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use musubi_broker::Broker;
use prometheus_client::registry::Registry;

use crate::openapi::Description;
use crate::options::{Adapters, Hosts, Limits, PageSource, Readiness};

/// The state of the router. Cloning is one atomic increment.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

pub(crate) struct Parts {
    /// No two in a process have the same ([`App::next_number`]).
    pub(crate) number: u64,
    pub(crate) broker: Broker,
    pub(crate) limits: Limits,
    pub(crate) hosts: Hosts,
    /// The origins whose web pages may ask for changes.
    pub(crate) origins: Vec<String>,
    pub(crate) metrics: Registry,
    pub(crate) ready: Option<Readiness>,
    pub(crate) page: Option<PageSource>,
    pub(crate) adapters: Option<Arc<dyn Adapters>>,
    pub(crate) contexts: Vec<(String, String)>,
    pub(crate) description: Description,
}

impl App {
    /// A number that no other has.
    pub(crate) fn next_number() -> u64 {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        NUMBERS.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("limits", &self.limits).finish_non_exhaustive()
    }
}
