//! What one caller may do in one tenant.

use musubi_model::{EntityId, Tenant, Timestamp};
use musubi_query::{EntityQuery, Filter, Start, TypeSelection};
use musubi_store::{Found, Record, RecordKey, RecordKind, RecordQuery};

use crate::{Broker, Caller, Conditions, Error, OutOfOrder, SchemaWarnings};

/// Somebody in a tenant: the operations are methods of this, in one file per group of them.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) broker: Broker,
    pub(crate) caller: Caller,
    pub(crate) tenant: Tenant,
    pub(crate) conditions: Conditions,
    pub(crate) warnings: Option<SchemaWarnings>,
}

impl Session {
    /// The tenant.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The same session, whose writes of one entity happen only under these conditions. What the
    /// tenant's rules ask for stays.
    #[must_use]
    pub fn under(self, conditions: Conditions) -> Self {
        let out_of_order = match self.conditions.out_of_order {
            OutOfOrder::LeaveAlone => OutOfOrder::LeaveAlone,
            OutOfOrder::Apply => conditions.out_of_order,
        };
        Self { conditions: Conditions { out_of_order, ..conditions }, ..self }
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

    /// The entity of this id as it is at that moment, if the caller may see it and its types
    /// satisfy the selection.
    pub(crate) async fn find(
        &self,
        id: &EntityId,
        types: Option<&TypeSelection>,
        at: Timestamp,
    ) -> Result<Found, Error> {
        let ids = Filter::Ids(vec![id.clone()]);
        let filter = match types {
            None => ids,
            Some(types) => Filter::All(vec![ids, Filter::Type(types.clone())]),
        };
        self.first(filter, at).await?.ok_or_else(|| Error::no_entity(id))
    }

    /// The first visible entity that satisfies `filter` at that moment.
    pub(crate) async fn first(
        &self,
        filter: Filter,
        at: Timestamp,
    ) -> Result<Option<Found>, Error> {
        let query = self.seen(filter, 1, Some(at));
        Ok(self.broker.store().select(&self.tenant, &query).await?.items.pop())
    }

    /// The visible entities that satisfy `filter` at that moment, or with all that is kept of them
    /// if none is given; at most `limit`.
    pub(crate) async fn some(
        &self,
        filter: Filter,
        limit: usize,
        at: Option<Timestamp>,
    ) -> Result<Vec<Found>, Error> {
        let query = self.seen(filter, limit, at);
        Ok(self.broker.store().select(&self.tenant, &query).await?.items)
    }

    /// A query for the first entities that the caller may see.
    fn seen(&self, filter: Filter, limit: usize, at: Option<Timestamp>) -> EntityQuery {
        EntityQuery {
            filter: self.caller.narrow(filter),
            at,
            start: Start::Offset(0),
            limit,
            count: false,
            ..EntityQuery::default()
        }
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
