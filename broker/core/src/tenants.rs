//! Which tenants there are (CIM 009, clause 4.14). The first write that creates something in a
//! tenant creates the tenant, in the same group; nothing ever takes one away.

use std::sync::Arc;

use arc_swap::ArcSwap;
use musubi_model::Tenant;
use musubi_store::{Expect, RecordKey, RecordKind, RecordQuery, RecordWrite, Store};
use rustc_hash::FxHashSet;

use crate::Error;

/// The tenants that are known to exist. One that is not in here may exist nevertheless: another
/// process may have created it.
#[derive(Debug, Default)]
pub(crate) struct Tenants(ArcSwap<FxHashSet<Tenant>>);

const PAGE: usize = 1000;

impl Tenants {
    pub(crate) fn is_known(&self, tenant: &Tenant) -> bool {
        tenant.is_default() || self.0.load().contains(tenant)
    }

    /// The tenants that are known to exist, the default one first.
    pub(crate) fn known(&self) -> Vec<Tenant> {
        let known = self.0.load();
        let named = known.iter().filter(|tenant| !tenant.is_default()).cloned();
        std::iter::once(Tenant::default()).chain(named).collect()
    }

    /// Remembers that a tenant exists.
    pub(crate) fn add(&self, tenants: impl IntoIterator<Item = Tenant>) {
        let new: Vec<Tenant> =
            tenants.into_iter().filter(|tenant| !self.is_known(tenant)).collect();
        if new.is_empty() {
            return;
        }
        self.0.rcu(|known| {
            let mut known = FxHashSet::clone(known);
            known.extend(new.iter().cloned());
            known
        });
    }

    /// Asks the store for one tenant.
    pub(crate) async fn look_up(&self, store: &dyn Store, tenant: &Tenant) -> Result<bool, Error> {
        let query = RecordQuery {
            kind: RecordKind::Tenant,
            tenant: Some(tenant.clone()),
            prefix: String::new(),
            after: None,
            limit: 1,
        };
        let exists = !store.records(&query).await?.is_empty();
        if exists {
            self.add([tenant.clone()]);
        }
        Ok(exists)
    }

    /// Asks the store for all tenants.
    pub(crate) async fn load(&self, store: &dyn Store) -> Result<(), Error> {
        let mut after = None;
        loop {
            let query = RecordQuery {
                kind: RecordKind::Tenant,
                tenant: None,
                prefix: String::new(),
                after,
                limit: PAGE,
            };
            let records = store.records(&query).await?;
            let Some(last) = records.last() else { return Ok(()) };
            after = Some((last.key.tenant.clone(), last.key.key.clone()));
            self.add(records.into_iter().map(|record| record.key.tenant));
        }
    }
}

/// The write that makes a tenant exist.
pub(crate) fn creation(tenant: &Tenant) -> RecordWrite {
    RecordWrite {
        key: RecordKey { kind: RecordKind::Tenant, tenant: tenant.clone(), key: String::new() },
        expect: Expect::Any,
        value: Some(Arc::from(&b"{}"[..])),
    }
}
