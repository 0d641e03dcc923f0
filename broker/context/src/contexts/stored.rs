//! What contexts there are that clients did not put here: downloaded, pinned, built in (CIM 009,
//! clause 5.13.1).

use std::time::Duration;

use musubi_model::{Tenant, Timestamp};
use serde_json::Value;
use tokio::time::Instant;

use super::fetch::Kept;
use super::hosted::hosted_id_for;
use super::{Contexts, PATIENCE};
use crate::ContextError;
use crate::compile::compile;
use crate::core_context::{CORE, CoreUrl, core_context_urls, core_url};
use crate::document::{Documents, Unresolved, address, flatten};

/// Where a context came from that is no client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was downloaded.
    Network,
    /// It is a core context.
    Core,
    /// It is pinned by the operator, or a part of the program.
    Fixed,
}

/// A context of the kind `Cached`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedContext {
    /// Its address.
    pub url: String,
    /// Its identifier: the same for as long as its address is.
    pub id: String,
    /// Where it came from.
    pub origin: Origin,
    /// When its origin last said that this is it; the start of the program for what was never
    /// downloaded.
    pub created_at: Timestamp,
    /// When it will be asked for again.
    pub expires_at: Option<Timestamp>,
    /// Its uses, if they are counted.
    pub uses: Option<Uses>,
}

/// The uses of a context since the start of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// How often it was found here: by requests that name it, and by those that look at it.
    pub hits: u64,
    /// When it was used last.
    pub last: Option<Timestamp>,
}

impl Contexts {
    /// The contexts that this tenant has without having put them here, by their address: the core
    /// contexts, what is pinned or built in, and what requests in this tenant made the broker
    /// download.
    pub fn stored(&self, tenant: &Tenant) -> Vec<CachedContext> {
        let mut all: Vec<CachedContext> = core_context_urls()
            .map(|url| self.fixed(url, Origin::Core))
            .chain(self.shared.fixed.keys().map(|url| self.fixed(url.clone(), Origin::Fixed)))
            .chain(self.shared.fetcher.all(tenant).into_iter().map(|kept| self.downloaded(kept)))
            .collect();
        all.sort_by(|one, other| one.url.cmp(&other.url));
        all
    }

    /// The context of this address or identifier, if it is one of [`stored`](Self::stored). That
    /// it was found is counted, from the next time on that somebody looks.
    pub fn find_stored(&self, tenant: &Tenant, name: &str) -> Option<CachedContext> {
        if let Ok(address) = address(name, None) {
            if core_url(&address) == CoreUrl::Known {
                return Some(self.fixed(address, Origin::Core));
            }
            if self.shared.fixed.contains_key(&address) {
                return Some(self.fixed(address, Origin::Fixed));
            }
            if let Some(kept) = self.shared.fetcher.kept(tenant, &address) {
                return Some(self.found(kept));
            }
        }
        let found = self.stored(tenant).into_iter().find(|stored| stored.id == name)?;
        match self.shared.fetcher.kept(tenant, &found.url) {
            Some(kept) if found.origin == Origin::Network => Some(self.found(kept)),
            _ => Some(found),
        }
    }

    /// Forgets what was downloaded from this address, so that it is downloaded again when it is
    /// needed. False if there was nothing.
    pub fn forget(&self, tenant: &Tenant, url: &str) -> bool {
        let was_there = self.shared.fetcher.remove(tenant, url);
        if was_there {
            self.recompile(tenant);
        }
        was_there
    }

    /// Downloads what is at this address, and puts it in the place of what was downloaded before
    /// if it is a valid context; otherwise nothing changes.
    ///
    /// # Errors
    ///
    /// [`ContextError::NotAvailable`] if it does not come or is not valid.
    pub async fn reload(&self, tenant: &Tenant, url: &str) -> Result<(), ContextError> {
        let unavailable =
            |reason: String| ContextError::NotAvailable { url: url.to_owned(), reason };
        let reloading = Box::pin(self.reloaded(tenant, url));
        match tokio::time::timeout(PATIENCE, reloading).await {
            Ok(Ok(())) => {
                self.recompile(tenant);
                Ok(())
            }
            Ok(Err(ContextError::Invalid(reason))) => {
                Err(unavailable(format!("what came is not valid: {reason}")))
            }
            Ok(Err(error @ ContextError::NotAvailable { .. })) => Err(error),
            Err(_) => Err(unavailable(format!("it did not come within {} s", PATIENCE.as_secs()))),
        }
    }

    async fn reloaded(&self, tenant: &Tenant, url: &str) -> Result<(), ContextError> {
        let fetcher = &self.shared.fetcher;
        let flight = fetcher.flights.join(tenant, url);
        let turn = flight.turn().await;
        let candidate = fetcher.candidate(url).await?;
        let mut documents = Documents::new();
        documents.insert(url.to_owned(), candidate.document.clone());
        let root = Value::from(url);
        let gathered = self.gathered(tenant, &root, documents).await?;
        let flattened = flatten(&root, &gathered.documents).map_err(Unresolved::into_error)?;
        compile(&flattened.pieces, &CORE)?;
        fetcher.replace(tenant, url, candidate);
        drop(turn);
        Ok(())
    }

    fn fixed(&self, url: String, origin: Origin) -> CachedContext {
        let created_at = self.shared.started_at;
        let id = hosted_id_for(&url);
        CachedContext { url, id, origin, created_at, expires_at: None, uses: None }
    }

    fn found(&self, kept: Kept) -> CachedContext {
        let usage = kept.usage.clone();
        let found = self.downloaded(kept);
        usage.count(self.shared.ticks.at(Instant::now()));
        found
    }

    fn downloaded(&self, kept: Kept) -> CachedContext {
        CachedContext {
            id: hosted_id_for(&kept.address),
            origin: Origin::Network,
            created_at: kept.confirmed_at,
            expires_at: Some(kept.confirmed_at.plus_micros(micros(kept.lifetime))),
            uses: Some(self.uses(&kept.usage)),
            url: kept.address,
        }
    }

    pub(super) fn uses(&self, usage: &super::usage::Usage) -> Uses {
        let ago = usage.ago(self.shared.ticks.at(Instant::now()));
        let last = ago.map(|ago| self.shared.clock.now().plus_micros(-micros(ago)));
        Uses { hits: usage.hits(), last }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
