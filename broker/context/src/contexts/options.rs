//! How contexts are obtained, and how much of them there may be.

use std::path::PathBuf;
use std::sync::Arc;

use musubi_model::{Clock, SystemClock};
use musubi_outbound::Client;

/// How contexts are obtained.
#[derive(Clone, Debug)]
pub struct ContextsOptions {
    /// How to fetch. None: nothing is fetched.
    pub client: Option<Client>,
    /// A folder of pinned contexts: `contexts.json` in it maps URLs to file names. They are never
    /// fetched.
    pub pinned: Option<PathBuf>,
    /// Contexts that are built into the program, beside the core ones: URL and document. They are
    /// never fetched.
    pub built_in: Vec<(String, String)>,
    /// How clients reach this broker, without a slash at the end: the beginning of the URLs of
    /// the contexts that it hosts.
    pub public_url: String,
    /// How much a tenant may keep here.
    pub hosted: HostedLimits,
    /// About the most memory that downloaded and compiled contexts take up, in bytes, over all
    /// tenants.
    pub memory: usize,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Default for ContextsOptions {
    fn default() -> Self {
        Self {
            client: None,
            pinned: None,
            built_in: Vec::new(),
            public_url: "http://127.0.0.1:1026".to_owned(),
            hosted: HostedLimits::default(),
            memory: Self::MEMORY,
            clock: Arc::new(SystemClock),
        }
    }
}

impl ContextsOptions {
    /// As much memory as usual, in bytes.
    pub const MEMORY: usize = 96 << 20;
}

/// How many contexts a tenant may have this broker keep, both hosted and implicitly created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostedLimits {
    /// The most contexts.
    pub contexts: usize,
    /// The most that they may come to together, in bytes.
    pub bytes: usize,
}

impl Default for HostedLimits {
    fn default() -> Self {
        Self { contexts: 1000, bytes: 16 << 20 }
    }
}
