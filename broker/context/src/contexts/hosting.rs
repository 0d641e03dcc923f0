//! Contexts that clients have this broker keep, resolved, checked and counted (CIM 009, clauses
//! 5.13.1 and 5.13.2). Where they are kept is not known here.

use std::sync::Arc;

use musubi_model::{Node, Tenant};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;
use tokio::time::Instant;

use super::fetch::unavailable;
use super::usage::Usage;
use super::{Contexts, Hosted, HostedLimits, PATIENCE, Uses, hosted_id, parsed};
use crate::ContextError;
use crate::compile::compile;
use crate::core_context::CORE;
use crate::document::{Documents, Unresolved, flatten};

/// What may not stand in the last segment of a path. An identifier of ours has none of it.
const SEGMENT: &AsciiSet = &CONTROLS.add(b' ').add(b'/').add(b'?').add(b'#').add(b'%');

impl Contexts {
    /// Checks the value of an `@context` member and makes it complete: the same context, as JSON
    /// text, without references to any document but the core context.
    ///
    /// # Errors
    ///
    /// [`ContextError`] if it is not valid, or if a document cannot be had that it names.
    pub async fn prepared(&self, tenant: &Tenant, node: &Node<'_>) -> Result<String, ContextError> {
        let root = parsed(node)?;
        let gathering = Box::pin(self.gathered(tenant, &root, Documents::new()));
        let gathered = tokio::time::timeout(PATIENCE, gathering).await.map_err(|_| {
            let reason = format!("it did not come within {} s", PATIENCE.as_secs());
            ContextError::NotAvailable { url: "in the body".to_owned(), reason }
        })??;
        let flattened = flatten(&root, &gathered.documents).map_err(Unresolved::into_error)?;
        compile(&flattened.pieces, &CORE)?;
        let tick = self.shared.ticks.at(Instant::now());
        gathered.used.iter().for_each(|usage| usage.count(tick));
        flattened.to_snapshot()
    }

    /// The URL of a hosted context.
    pub fn hosted_url(&self, id: &str) -> String {
        format!("{}{}", self.shared.hosted_base, utf8_percent_encode(id, SEGMENT))
    }

    /// How much a tenant may have this broker keep.
    pub fn hosted_limits(&self) -> HostedLimits {
        self.shared.hosted_limits
    }

    /// The uses of a hosted context.
    pub fn hosted_uses(&self, tenant: &Tenant, id: &str) -> Uses {
        let usage = self.shared.hosted_usages.known(tenant, id);
        usage.map(|usage| self.uses(&usage)).unwrap_or_default()
    }

    /// Counts one more use of a hosted context.
    pub fn count_hosted(&self, tenant: &Tenant, id: &str) {
        let tick = self.shared.ticks.at(Instant::now());
        self.shared.hosted_usages.of(tenant, id).count(tick);
    }

    /// Takes a hosted context out of use that is not kept any more. Whoever holds it compiled
    /// keeps it.
    pub fn hosted_removed(&self, tenant: &Tenant, id: &str) {
        self.shared.hosted_usages.forget(tenant, id);
        self.recompile(tenant);
    }

    /// The document at an address, its length in bytes and its uses, if it is one that the tenant
    /// hosts.
    pub(super) async fn own(
        &self,
        tenant: &Tenant,
        address: &str,
    ) -> Result<Option<(Arc<Value>, usize, Arc<Usage>)>, ContextError> {
        let Some(id) = hosted_id(address) else { return Ok(None) };
        let Some(hosted) = &self.hosted else { return Ok(None) };
        let missing = || Err(unavailable(address, &"there is no such context here"));
        match hosted.find(tenant, &id).await? {
            Hosted::Here(text) => {
                let document = serde_json::from_str(&text)
                    .map_err(|error| ContextError::Invalid(error.to_string()))?;
                let usage = self.shared.hosted_usages.of(tenant, &id);
                Ok(Some((Arc::new(document), text.len(), usage)))
            }
            Hosted::OfAnother => missing(),
            // To ask ourselves would tell nothing more.
            Hosted::Unknown if address.starts_with(&self.shared.hosted_base) => missing(),
            Hosted::Unknown => Ok(None),
        }
    }
}
