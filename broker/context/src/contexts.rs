//! The contexts in use: built in, pinned, cached, fetched.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use musubi_model::{Clock, Node, Tenant, Timestamp};
use parking_lot::RwLock;
use serde_json::Value;
use tokio::time::Instant;

use crate::compile::compile;
use crate::context::ContextSource;
use crate::core_context::{CORE, CORE_CONTEXT_URL};
use crate::document::{Documents, Unresolved, address, context_of, flatten};
use crate::{Context, ContextError, pinned};

mod cache;
mod fetch;
mod flights;
mod hosted;
mod hosting;
mod lifetime;
mod options;
mod reduced;
mod stored;
mod usage;

use cache::Cache;
use fetch::Fetcher;
use flights::Flights;
use hosted::HostedUsages;
pub use hosted::{
    FindingHosted, HOSTED_PATH, Hosted, HostedContexts, hosted_id, hosted_id_for, new_hosted_id,
};
pub use options::{ContextsOptions, HostedLimits};
use reduced::{Reduced, reduce};
pub use stored::{CachedContext, Origin, Uses};
use usage::{Ticks, Usage};

/// The context that a request names.
#[derive(Clone, Copy, Debug)]
pub enum ContextReference<'a> {
    /// None: the core context.
    Core,
    /// A URL, in a `Link` header.
    Link(&'a str),
    /// The value of an `@context` member: a URL, an object, or an array of both.
    Inline(&'a Node<'a>),
}

/// The contexts in use: a cheap handle on a shared cache.
///
/// **Each tenant has a cache of its own.** What one tenant made the broker download or compile is
/// not there for another one, which has it downloaded anew: so no tenant can learn, from a list, a
/// counter, an error or from how long something takes, what contexts others use, and none can
/// change or take away what others work with.
///
/// Compiled contexts are kept by URL, and inline ones by their text, and documents by their
/// address: of each at most 1,000 over all tenants, and as many as fit into
/// [`ContextsOptions::memory`]; the tenant that takes up the most makes room, with what it did not
/// use for the longest. A fetched document is used for as long as its headers say (CIM 009,
/// clause 6.3.16), an hour if they do not, then asked for again by its `ETag`; while its origin
/// does not answer, the old one stays in use. A document that cannot be had at all is asked for at
/// most every two seconds.
#[derive(Clone, Debug)]
pub struct Contexts {
    shared: Arc<Shared>,
    hosted: Option<Arc<dyn HostedContexts>>,
}

#[derive(Debug)]
struct Shared {
    /// Documents that are pinned or built in, by normalized address.
    fixed: Documents,
    fetcher: Fetcher,
    by_url: RwLock<Cache<Held>>,
    by_text: RwLock<Cache<Held>>,
    compiling: Flights,
    hosted_usages: HostedUsages,
    hosted_limits: HostedLimits,
    /// The beginning of the URLs of hosted contexts.
    hosted_base: String,
    /// Counts what takes compiled contexts out of use, so that one which is being compiled
    /// meanwhile is not kept.
    epoch: AtomicU64,
    clock: Arc<dyn Clock>,
    started_at: Timestamp,
    ticks: Ticks,
}

/// A compiled context and when to look again whether it is still the right one.
#[derive(Clone, Debug)]
struct Held {
    context: Context,
    fresh_until: Instant,
    /// The uses of the documents that it consists of.
    used: Arc<[Arc<Usage>]>,
}

/// A context that is to be compiled: where it is kept, under which key, and when it is too late.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    cache: &'a RwLock<Cache<Held>>,
    tenant: &'a Tenant,
    key: &'a str,
    deadline: Instant,
}

/// The documents of a context, of which none is missing.
struct Gathered {
    documents: Documents,
    fresh_until: Instant,
    used: Vec<Arc<Usage>>,
}

/// How long one request waits for its context, over all the documents that it needs.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most documents that one context may consist of.
const MAX_DOCUMENTS: usize = 64;
/// The longest that all documents of one context may be together that were not there from the
/// start, in bytes. A tree of JSON takes several times the room of its text.
const MAX_FETCHED: usize = 4 << 20;
/// The longest inline context, in bytes.
const MAX_INLINE: usize = 1 << 20;
/// For how long a context is used that needs nothing from the network.
const FIXED: Duration = Duration::from_hours(24);
/// For how long an old context goes on being used before its origin is asked again.
const STALE: Duration = Duration::from_secs(30);

impl Contexts {
    /// Contexts obtained as `options` say.
    ///
    /// # Errors
    ///
    /// [`ContextError`] if a pinned or built-in context cannot be read or is not valid.
    pub fn new(options: ContextsOptions) -> Result<Self, ContextError> {
        let mut fixed = Documents::new();
        let pinned = options.pinned.as_deref().map(pinned::read).transpose()?.unwrap_or_default();
        // What the operator pins comes last and wins.
        for (url, document) in options.built_in.into_iter().chain(pinned) {
            let address = address(&url, None)?;
            let context = context_of(document.as_bytes())
                .map_err(|reason| ContextError::Invalid(format!("{url}: {reason}")))?;
            fixed.insert(address, context);
        }
        for (url, context) in &fixed {
            check(url, context, &fixed)?;
        }
        let ticks = Ticks::start();
        let each = options.memory / 3;
        let shared = Shared {
            fixed,
            fetcher: Fetcher::new(options.client, Arc::clone(&options.clock), ticks, each),
            by_url: RwLock::new(Cache::new(each)),
            by_text: RwLock::new(Cache::new(each)),
            compiling: Flights::default(),
            hosted_usages: HostedUsages::default(),
            hosted_limits: options.hosted,
            hosted_base: format!("{}{HOSTED_PATH}", options.public_url.trim_end_matches('/')),
            epoch: AtomicU64::new(0),
            started_at: options.clock.now(),
            clock: options.clock,
            ticks,
        };
        Ok(Self { shared: Arc::new(shared), hosted: None })
    }

    /// These contexts, and those that are kept there.
    pub fn with_hosted(self, hosted: Arc<dyn HostedContexts>) -> Self {
        Self { hosted: Some(hosted), ..self }
    }

    /// The compiled context that a request names, if nothing has to be done to have it.
    pub fn cached(&self, tenant: &Tenant, reference: ContextReference<'_>) -> Option<Context> {
        match reduced(reference) {
            Reduced::Core => Some(Context::core()),
            Reduced::Link(url) => self.fresh(&self.shared.by_url, tenant, url),
            Reduced::Inline(node) => self.fresh(&self.shared.by_text, tenant, node.raw),
        }
    }

    /// The compiled context that a request names.
    ///
    /// # Errors
    ///
    /// [`ContextError`] if it cannot be had.
    pub async fn resolve(
        &self,
        tenant: &Tenant,
        reference: ContextReference<'_>,
    ) -> Result<Context, ContextError> {
        if let Some(context) = self.cached(tenant, reference) {
            return Ok(context);
        }
        let deadline = Instant::now() + PATIENCE;
        match reduced(reference) {
            Reduced::Core => Ok(Context::core()),
            Reduced::Link(url) => {
                let wanted = Wanted { cache: &self.shared.by_url, tenant, key: url, deadline };
                Box::pin(self.linked(wanted)).await
            }
            Reduced::Inline(node) => {
                let root = parsed(node)?;
                let cache = &self.shared.by_text;
                let wanted = Wanted { cache, tenant, key: node.raw, deadline };
                Box::pin(self.held(wanted, &root)).await
            }
        }
    }

    /// As [`held`](Self::held), for a URL, which those who need it at the same time have compiled
    /// once.
    async fn linked(&self, wanted: Wanted<'_>) -> Result<Context, ContextError> {
        let Wanted { cache, tenant, key, deadline } = wanted;
        let flight = self.shared.compiling.join(tenant, key);
        let turn = tokio::time::timeout_at(deadline, flight.turn()).await;
        // Somebody may have compiled it while we waited for our turn.
        if let Some(context) = self.fresh(cache, tenant, key) {
            return Ok(context);
        }
        let context = self.held(wanted, &Value::from(key)).await;
        drop(turn);
        context
    }

    /// Makes the context and keeps it; an old one stays if there is no new one.
    async fn held(&self, wanted: Wanted<'_>, root: &Value) -> Result<Context, ContextError> {
        let Wanted { cache, tenant, key, deadline } = wanted;
        let epoch = self.shared.epoch.load(Ordering::Acquire);
        let made = match tokio::time::timeout_at(deadline, self.made(tenant, root)).await {
            Ok(made) => made,
            Err(_) => Err(ContextError::NotAvailable {
                url: root.as_str().unwrap_or("in the body").to_owned(),
                reason: format!("it did not come within {} s", PATIENCE.as_secs()),
            }),
        };
        let held = match made {
            Ok(held) => held,
            Err(error @ ContextError::Invalid(_)) => return Err(error),
            Err(error @ ContextError::NotAvailable { .. }) => {
                let old = cache.read().get(tenant, key).map(|entry| entry.value.clone());
                let Some(old) = old else { return Err(error) };
                tracing::warn!(context.url = key, "going on with an old @context: {error}");
                Held { fresh_until: Instant::now() + STALE, ..old }
            }
        };
        let tick = self.shared.ticks.at(Instant::now());
        held.used.iter().for_each(|usage| usage.count(tick));
        let usage = Arc::new(Usage::default());
        usage.touch(tick);
        let context = held.context.clone();
        let mut cache = cache.write();
        if self.shared.epoch.load(Ordering::Acquire) == epoch {
            cache.insert(tenant, key, held, (usage, context.weight()));
        }
        Ok(context)
    }

    async fn made(&self, tenant: &Tenant, root: &Value) -> Result<Held, ContextError> {
        let gathered = self.gathered(tenant, root, Documents::new()).await?;
        let flattened = flatten(root, &gathered.documents).map_err(Unresolved::into_error)?;
        let source = ContextSource {
            url: root.as_str().map(str::to_owned),
            member: member(root, flattened.names_core),
            document: flattened.to_document()?,
        };
        let context = Context::new(source, compile(&flattened.pieces, &CORE)?);
        Ok(Held { context, fresh_until: gathered.fresh_until, used: gathered.used.into() })
    }

    /// All documents that `root` needs, beside those that are there.
    async fn gathered(
        &self,
        tenant: &Tenant,
        root: &Value,
        mut documents: Documents,
    ) -> Result<Gathered, ContextError> {
        let mut fresh_until = Instant::now() + FIXED;
        let mut left = MAX_FETCHED;
        let mut used = Vec::new();
        loop {
            let missing = match flatten(root, &documents) {
                Ok(_) => return Ok(Gathered { documents, fresh_until, used }),
                Err(Unresolved::Failed(error)) => return Err(error),
                Err(Unresolved::Missing(missing)) => missing,
            };
            if documents.len() >= MAX_DOCUMENTS {
                let reason = format!("it consists of more than {MAX_DOCUMENTS} documents");
                return Err(ContextError::Invalid(reason));
            }
            if let Some(document) = self.shared.fixed.get(&missing) {
                documents.insert(missing, Arc::clone(document));
                continue;
            }
            let (document, length) =
                if let Some((document, length, usage)) = self.own(tenant, &missing).await? {
                    used.push(usage);
                    (document, length)
                } else {
                    let fetched = self.shared.fetcher.document(tenant, &missing).await?;
                    fresh_until = fresh_until.min(fetched.until);
                    used.push(fetched.usage);
                    (fetched.document, fetched.length)
                };
            left = left.checked_sub(length).ok_or_else(|| {
                let reason = format!("its documents are longer than {MAX_FETCHED} bytes");
                ContextError::Invalid(reason)
            })?;
            documents.insert(missing, document);
        }
    }

    fn fresh(&self, cache: &RwLock<Cache<Held>>, tenant: &Tenant, key: &str) -> Option<Context> {
        let now = Instant::now();
        let cache = cache.read();
        let entry = cache.get(tenant, key)?;
        if now >= entry.value.fresh_until {
            return None;
        }
        let tick = self.shared.ticks.at(now);
        entry.usage.touch(tick);
        entry.value.used.iter().for_each(|usage| usage.count(tick));
        Some(entry.value.context.clone())
    }

    /// Takes what is compiled in a tenant out of use, because one of its documents has changed.
    fn recompile(&self, tenant: &Tenant) {
        // First this, so that nothing compiled from the old document is kept after it.
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
        self.shared.by_url.write().clear(tenant);
        self.shared.by_text.write().clear(tenant);
    }
}

/// An inline context as a tree of its own.
fn parsed(node: &Node<'_>) -> Result<Value, ContextError> {
    if node.raw.len() > MAX_INLINE {
        return Err(ContextError::Invalid(format!("it is longer than {MAX_INLINE} bytes")));
    }
    serde_json::from_str(node.raw).map_err(|error| ContextError::Invalid(error.to_string()))
}

fn reduced(reference: ContextReference<'_>) -> Reduced<'_> {
    match reference {
        ContextReference::Core => Reduced::Core,
        ContextReference::Link(url) => Reduced::link(url),
        ContextReference::Inline(node) => reduce(node),
    }
}

/// The `@context` member that makes a body complete JSON-LD: what the request named, and the core
/// context behind it where that does not name it.
fn member(root: &Value, names_core: bool) -> String {
    if names_core {
        return root.to_string();
    }
    let mut elements = root.as_array().cloned().unwrap_or_else(|| vec![root.clone()]);
    elements.push(Value::from(CORE_CONTEXT_URL));
    Value::Array(elements).to_string()
}

/// Refuses a fixed document that is not valid. One that refers to documents which have to be
/// fetched is looked at when it is used.
fn check(url: &str, context: &Value, fixed: &Documents) -> Result<(), ContextError> {
    let named = |error: ContextError| match error {
        ContextError::Invalid(reason) => ContextError::Invalid(format!("{url}: {reason}")),
        ContextError::NotAvailable { .. } => error,
    };
    match flatten(context, fixed) {
        Ok(flattened) => compile(&flattened.pieces, &CORE).map(drop).map_err(named),
        Err(Unresolved::Missing(_)) => Ok(()),
        Err(Unresolved::Failed(error)) => Err(named(error)),
    }
}

#[cfg(test)]
mod tests;
