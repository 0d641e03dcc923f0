//! Somebody else who writes at the worst moment.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_model::{Entity, EntityFragment, Sequence, Tenant, Timestamp, TypeName};
use musubi_query::EntityQuery;
use musubi_store::{
    AttributeSummary, Change, Expect, Group, Outcome, Page, Record, RecordQuery, ReferenceStore,
    Store, StoreError, TypeSummary, Write,
};
use parking_lot::Mutex;
use tokio::sync::watch;

/// A store in which somebody else writes once, between what an operation reads and what it commits.
#[derive(Debug)]
pub(crate) struct Crowded {
    store: Arc<ReferenceStore>,
    meanwhile: Mutex<Option<Group>>,
}

impl Crowded {
    pub(crate) fn empty() -> Arc<Self> {
        Arc::new(Self { store: Arc::new(ReferenceStore::new()), meanwhile: Mutex::default() })
    }

    /// What it really holds.
    pub(crate) fn store(&self) -> Arc<ReferenceStore> {
        self.store.clone()
    }

    /// What is written right before the next commit.
    pub(crate) fn meanwhile(&self, entity: EntityFragment) {
        let entity = Entity::create(entity, Timestamp::EPOCH).unwrap();
        let write = Write {
            tenant: Tenant::default(),
            id: entity.id.clone(),
            expect: Expect::Any,
            state: Some(Arc::new(entity)),
        };
        self.before_next(Group { writes: vec![write], ..Group::default() });
    }

    /// What is committed right before the next commit.
    pub(crate) fn before_next(&self, group: Group) {
        *self.meanwhile.lock() = Some(group);
    }
}

impl Store for Crowded {
    fn commit(&self, groups: Vec<Group>) -> BoxFuture<'_, Result<Vec<Outcome>, StoreError>> {
        async move {
            let meanwhile = self.meanwhile.lock().take();
            if let Some(group) = meanwhile {
                self.store.commit(vec![group]).await?;
            }
            self.store.commit(groups).await
        }
        .boxed()
    }

    fn select<'a>(
        &'a self,
        tenant: &'a Tenant,
        query: &'a EntityQuery,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        self.store.select(tenant, query)
    }

    fn types<'a>(
        &'a self,
        tenant: &'a Tenant,
    ) -> BoxFuture<'a, Result<Vec<TypeSummary>, StoreError>> {
        self.store.types(tenant)
    }

    fn attributes<'a>(
        &'a self,
        tenant: &'a Tenant,
        of_type: Option<&'a TypeName>,
    ) -> BoxFuture<'a, Result<Vec<AttributeSummary>, StoreError>> {
        self.store.attributes(tenant, of_type)
    }

    fn changes(
        &self,
        after: Sequence,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Change>>, StoreError>> {
        self.store.changes(after, limit)
    }

    fn newest(&self) -> watch::Receiver<Sequence> {
        self.store.newest()
    }

    fn durable(&self) -> watch::Receiver<Sequence> {
        self.store.durable()
    }

    fn truncate(&self, upto: Sequence) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.truncate(upto)
    }

    fn records<'a>(
        &'a self,
        query: &'a RecordQuery,
    ) -> BoxFuture<'a, Result<Vec<Record>, StoreError>> {
        self.store.records(query)
    }
}
