//! The contexts in use: built in, pinned, cached, fetched.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use musubi_model::Node;
use musubi_outbound::Client;
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
mod reduced;

use cache::Cache;
use fetch::Fetcher;
use reduced::{Reduced, reduce};

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
}

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
/// Compiled contexts are kept by URL, and inline ones by their text; of each at most 1,000, and
/// as many as fit into 32 MiB, the ones least recently used making room. A fetched document is
/// used for as long as its `Cache-Control` says, an hour if it does not, then asked for again by
/// its `ETag`; while its origin does not answer, the old one stays in use. A document that cannot
/// be had at all is asked for at most every two seconds.
#[derive(Clone, Debug)]
pub struct Contexts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Documents that are pinned or built in, by normalized address.
    fixed: Documents,
    fetcher: Fetcher,
    by_url: RwLock<Cache<Held>>,
    by_text: RwLock<Cache<Held>>,
}

/// A compiled context and when to look again whether it is still the right one.
#[derive(Clone, Debug)]
struct Held {
    context: Context,
    fresh_until: Instant,
}

/// How long one request waits for its context, over all the documents that it needs.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most documents that one context may consist of.
const MAX_DOCUMENTS: usize = 64;
/// The longest that all fetched documents of one context may be together, in bytes. A tree of
/// JSON takes several times the room of its text.
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
        Ok(Self(Arc::new(Shared {
            fixed,
            fetcher: Fetcher::new(options.client),
            by_url: RwLock::default(),
            by_text: RwLock::default(),
        })))
    }

    /// The compiled context that a request names, if nothing has to be done to have it.
    pub fn cached(&self, reference: ContextReference<'_>) -> Option<Context> {
        match reduced(reference) {
            Reduced::Core => Some(Context::core()),
            Reduced::Link(url) => fresh(&self.0.by_url, url),
            Reduced::Inline(node) => fresh(&self.0.by_text, node.raw),
        }
    }

    /// The compiled context that a request names.
    ///
    /// # Errors
    ///
    /// [`ContextError`] if it cannot be had.
    pub async fn resolve(&self, reference: ContextReference<'_>) -> Result<Context, ContextError> {
        if let Some(context) = self.cached(reference) {
            return Ok(context);
        }
        match reduced(reference) {
            Reduced::Core => Ok(Context::core()),
            Reduced::Link(url) => {
                let root = Value::from(url);
                Box::pin(self.held(&self.0.by_url, url, root)).await
            }
            Reduced::Inline(node) => {
                if node.raw.len() > MAX_INLINE {
                    let reason = format!("it is longer than {MAX_INLINE} bytes");
                    return Err(ContextError::Invalid(reason));
                }
                let root = serde_json::from_str(node.raw)
                    .map_err(|error| ContextError::Invalid(error.to_string()))?;
                Box::pin(self.held(&self.0.by_text, node.raw, root)).await
            }
        }
    }

    /// Makes the context and keeps it under `key`; an old one stays if there is no new one.
    async fn held(
        &self,
        cache: &RwLock<Cache<Held>>,
        key: &str,
        root: Value,
    ) -> Result<Context, ContextError> {
        let made = match tokio::time::timeout(PATIENCE, self.made(&root)).await {
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
                let Some(old) = cache.read().get(key).cloned() else { return Err(error) };
                tracing::warn!(context.url = key, "going on with an old @context: {error}");
                Held { fresh_until: Instant::now() + STALE, ..old }
            }
        };
        let context = held.context.clone();
        cache.write().insert(key, held, context.weight());
        Ok(context)
    }

    async fn made(&self, root: &Value) -> Result<Held, ContextError> {
        let mut documents = Documents::new();
        let mut fresh_until = Instant::now() + FIXED;
        let mut left = MAX_FETCHED;
        loop {
            let missing = match flatten(root, &documents) {
                Err(Unresolved::Missing(missing)) => missing,
                Err(Unresolved::Failed(error)) => return Err(error),
                Ok(flattened) => {
                    let source = ContextSource {
                        url: root.as_str().map(str::to_owned),
                        member: member(root, flattened.names_core),
                        document: flattened.to_document()?,
                    };
                    let table = compile(&flattened.pieces, &CORE)?;
                    return Ok(Held { context: Context::new(source, table), fresh_until });
                }
            };
            if documents.len() >= MAX_DOCUMENTS {
                let reason = format!("it consists of more than {MAX_DOCUMENTS} documents");
                return Err(ContextError::Invalid(reason));
            }
            let document = if let Some(document) = self.0.fixed.get(&missing) {
                Arc::clone(document)
            } else {
                let fetched = self.0.fetcher.document(&missing).await?;
                left = left.checked_sub(fetched.length).ok_or_else(|| {
                    let reason = format!("its documents are longer than {MAX_FETCHED} bytes");
                    ContextError::Invalid(reason)
                })?;
                fresh_until = fresh_until.min(fetched.until);
                fetched.document
            };
            documents.insert(missing, document);
        }
    }
}

fn reduced(reference: ContextReference<'_>) -> Reduced<'_> {
    match reference {
        ContextReference::Core => Reduced::Core,
        ContextReference::Link(url) => Reduced::link(url),
        ContextReference::Inline(node) => reduce(node),
    }
}

fn fresh(cache: &RwLock<Cache<Held>>, key: &str) -> Option<Context> {
    let cache = cache.read();
    let held = cache.get(key)?;
    (Instant::now() < held.fresh_until).then(|| held.context.clone())
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
