//! Contexts that this broker itself keeps for its clients, seen from where contexts are resolved.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use musubi_model::Tenant;
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use url::Url;

use super::usage::Usage;
use crate::ContextError;

/// The path below which hosted contexts are, in the API (CIM 009, clause 6.30).
pub const HOSTED_PATH: &str = "/ngsi-ld/v1/jsonldContexts/";
/// How the identifier of every context begins that this broker keeps.
pub(super) const ID_PREFIX: &str = "urn:ngsi-ld:JsonldContext:";

/// Where the contexts are kept that this broker hosts.
pub trait HostedContexts: Send + Sync + fmt::Debug {
    /// The context of this identifier.
    fn find<'a>(&'a self, tenant: &'a Tenant, id: &'a str) -> FindingHosted<'a>;
}

/// What [`HostedContexts::find`] gives.
pub type FindingHosted<'a> =
    Pin<Box<dyn Future<Output = Result<Hosted, ContextError>> + Send + 'a>>;

/// What became of an identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosted {
    /// The tenant hosts it: the value of an `@context` member that names no document but the core
    /// context, as JSON text. See [`Contexts::prepared`](crate::Contexts::prepared).
    Here(String),
    /// Another tenant of this broker hosts it, so nobody needs to be asked.
    OfAnother,
    /// Nobody here does. Another broker may.
    Unknown,
}

/// The identifier in the URL of a hosted context.
///
/// The rule: any `http` or `https` URL without a query whose path ends with
/// `/ngsi-ld/v1/jsonldContexts/` and an identifier of ours. The host does not matter, because the
/// identifiers are unique everywhere, and a broker is reached under names that it does not know:
/// of a proxy, of a container, of each of its networks.
pub fn hosted_id(url: &str) -> Option<String> {
    // Most addresses are not ours, and this says so before anything is taken apart.
    if !url.contains(HOSTED_PATH) {
        return None;
    }
    let url = Url::parse(url).ok()?;
    let (_, segment) = url.path().rsplit_once(HOSTED_PATH)?;
    if url.query().is_some() || !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let id = percent_decode_str(segment).decode_utf8().ok()?;
    let named = id.strip_prefix(ID_PREFIX)?;
    uuid::Uuid::try_parse(named).ok()?;
    Some(id.into_owned())
}

/// A new identifier of a context.
pub fn new_hosted_id() -> String {
    format!("{ID_PREFIX}{}", uuid::Uuid::new_v4())
}

/// The identifier that stands for this text: always the same.
pub fn hosted_id_for(text: &str) -> String {
    format!("{ID_PREFIX}{}", uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, text.as_bytes()))
}

/// The uses of hosted contexts, since the start. As many as there are such contexts, since those
/// of a context that is deleted are forgotten.
#[derive(Debug, Default)]
pub(super) struct HostedUsages(Mutex<HashMap<Tenant, UsagesOfTenant>>);

type UsagesOfTenant = HashMap<Box<str>, Arc<Usage>>;

impl HostedUsages {
    pub(super) fn of(&self, tenant: &Tenant, id: &str) -> Arc<Usage> {
        let mut usages = self.0.lock();
        let of_tenant = usages.entry(tenant.clone()).or_default();
        Arc::clone(of_tenant.entry(id.into()).or_default())
    }

    /// What is known of its uses, without making anything known.
    pub(super) fn known(&self, tenant: &Tenant, id: &str) -> Option<Arc<Usage>> {
        self.0.lock().get(tenant)?.get(id).cloned()
    }

    pub(super) fn forget(&self, tenant: &Tenant, id: &str) {
        let mut usages = self.0.lock();
        if let Some(of_tenant) = usages.get_mut(tenant) {
            of_tenant.remove(id);
            if of_tenant.is_empty() {
                usages.remove(tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_hosted_context_is_known_by_its_path_and_identifier() {
        let id = new_hosted_id();
        let escaped = id.replace(':', "%3A");
        for url in [
            format!("http://127.0.0.1:1026/ngsi-ld/v1/jsonldContexts/{id}"),
            format!("https://broker.town.example/ngsi-ld/v1/jsonldContexts/{escaped}"),
            format!("https://town.example/behind/a/proxy/ngsi-ld/v1/jsonldContexts/{id}#x"),
            format!("HTTP://[::1]:1026/ngsi-ld/v1/jsonldContexts/{id}"),
        ] {
            assert_eq!(hosted_id(&url).as_deref(), Some(id.as_str()), "{url}");
        }
        for url in [
            format!("http://a.example/ngsi-ld/v1/jsonldContexts/{id}/x"),
            format!("http://a.example/ngsi-ld/v1/jsonldContexts/{id}?x"),
            format!("http://a.example/ngsi-ld/v1/jsonldContexts/{id}x"),
            format!("http://a.example/jsonldContexts/{id}"),
            format!("http://a.example/?/ngsi-ld/v1/jsonldContexts/{id}"),
            format!("ftp://a.example/ngsi-ld/v1/jsonldContexts/{id}"),
            format!("/ngsi-ld/v1/jsonldContexts/{id}"),
            "http://a.example/ngsi-ld/v1/jsonldContexts/".to_owned(),
            "http://a.example/ngsi-ld/v1/jsonldContexts/other".to_owned(),
        ] {
            assert_eq!(hosted_id(&url), None, "{url}");
        }
        assert_eq!(hosted_id_for("a"), hosted_id_for("a"));
        assert_ne!(hosted_id_for("a"), hosted_id_for("b"));
    }
}
