//! What one caller may do in one tenant.

use musubi_model::{EntityId, Tenant, Timestamp};
use musubi_query::{EntityQuery, Filter, Start, TypeSelection};
use musubi_store::{Found, Record, RecordKey, RecordKind, RecordQuery};

use crate::{Broker, Caller, Error};

/// Somebody in a tenant: the operations are methods of this, in one file per group of them.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) broker: Broker,
    pub(crate) caller: Caller,
    pub(crate) tenant: Tenant,
}

impl Session {
    /// The tenant.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The broker.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The time now, as the broker's clock says.
    pub fn now(&self) -> Timestamp {
        self.broker.shared().options.clock.now()
    }

    /// Passes if the tenant exists.
    pub(crate) async fn require_tenant(&self) -> Result<(), Error> {
        let tenants = &self.broker.shared().tenants;
        if tenants.is_known(&self.tenant)
            || tenants.look_up(self.broker.store(), &self.tenant).await?
        {
            return Ok(());
        }
        Err(Error::NonexistentTenant(self.tenant.clone()))
    }

    /// The entity of this id, if the caller may see it and its types satisfy the selection.
    pub(crate) async fn find(
        &self,
        id: &EntityId,
        types: Option<&TypeSelection>,
    ) -> Result<Found, Error> {
        let ids = Filter::Ids(vec![id.clone()]);
        let filter = match types {
            None => ids,
            Some(types) => Filter::All(vec![ids, Filter::Type(types.clone())]),
        };
        self.first(filter).await?.ok_or_else(|| Error::no_entity(id))
    }

    /// The first visible entity that satisfies `filter`.
    pub(crate) async fn first(&self, filter: Filter) -> Result<Option<Found>, Error> {
        Ok(self.some(filter, 1).await?.pop())
    }

    /// The visible entities that satisfy `filter`, at most `limit`.
    pub(crate) async fn some(&self, filter: Filter, limit: usize) -> Result<Vec<Found>, Error> {
        let query = EntityQuery {
            filter: self.caller.narrow(filter),
            start: Start::Offset(0),
            limit,
            count: false,
        };
        Ok(self.broker.store().select(&self.tenant, &query).await?.items)
    }

    pub(crate) fn record_key(&self, kind: RecordKind, key: impl Into<String>) -> RecordKey {
        RecordKey { kind, tenant: self.tenant.clone(), key: key.into() }
    }

    /// The record of this kind and key.
    pub(crate) async fn record(
        &self,
        kind: RecordKind,
        key: &str,
    ) -> Result<Option<Record>, Error> {
        let query = RecordQuery {
            kind,
            tenant: Some(self.tenant.clone()),
            prefix: key.to_owned(),
            after: None,
            limit: 1,
        };
        // The key itself sorts before every longer one that begins so.
        let records = self.broker.store().records(&query).await?;
        Ok(records.into_iter().next().filter(|record| record.key.key == key))
    }
}
