//! A store that does not always do what it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_model::{Sequence, Tenant, TypeName};
use musubi_query::EntityQuery;
use musubi_store::{
    AttributeSummary, Change, Group, Outcome, Page, Record, RecordQuery, ReferenceStore, Store,
    StoreError, TypeSummary,
};

/// The plain store, which sometimes says that it could not commit; what it says
/// it could not commit, it may have committed.
#[derive(Debug, Default)]
pub(crate) struct Unreliable {
    inner: ReferenceStore,
    is_failing: AtomicBool,
    calls: AtomicUsize,
}

impl Unreliable {
    pub(crate) fn fail_from_now_on(&self) {
        self.is_failing.store(true, Ordering::Relaxed);
    }

    fn fails(&self) -> Result<bool, StoreError> {
        if !self.is_failing.load(Ordering::Relaxed) {
            return Ok(false);
        }
        match self.calls.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => Err(StoreError::Full),
            1 => Ok(true),
            _ => Ok(false),
        }
    }
}

impl Store for Unreliable {
    fn commit(&self, groups: Vec<Group>) -> BoxFuture<'_, Result<Vec<Outcome>, StoreError>> {
        async move {
            let fails_after = self.fails()?;
            let outcomes = self.inner.commit(groups).await?;
            if fails_after {
                let source = "the answer was lost".into();
                return Err(StoreError::Unavailable { doing: "a commit", source });
            }
            Ok(outcomes)
        }
        .boxed()
    }

    fn select<'a>(
        &'a self,
        tenant: &'a Tenant,
        query: &'a EntityQuery,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        self.inner.select(tenant, query)
    }

    fn types<'a>(
        &'a self,
        tenant: &'a Tenant,
    ) -> BoxFuture<'a, Result<Vec<TypeSummary>, StoreError>> {
        self.inner.types(tenant)
    }

    fn attributes<'a>(
        &'a self,
        tenant: &'a Tenant,
        of_type: Option<&'a TypeName>,
    ) -> BoxFuture<'a, Result<Vec<AttributeSummary>, StoreError>> {
        self.inner.attributes(tenant, of_type)
    }

    fn changes(
        &self,
        after: Sequence,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Change>>, StoreError>> {
        self.inner.changes(after, limit)
    }

    fn newest(&self) -> tokio::sync::watch::Receiver<Sequence> {
        self.inner.newest()
    }

    fn truncate(&self, upto: Sequence) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.truncate(upto)
    }

    fn records<'a>(
        &'a self,
        query: &'a RecordQuery,
    ) -> BoxFuture<'a, Result<Vec<Record>, StoreError>> {
        self.inner.records(query)
    }
}
