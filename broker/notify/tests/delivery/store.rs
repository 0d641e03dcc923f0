//! A store that does not always do what it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use musubi_model::{Sequence, Tenant, TypeName};
use musubi_query::EntityQuery;
use musubi_store::{
    AttributeSummary, Change, Group, Outcome, Page, Record, RecordKind, RecordQuery,
    ReferenceStore, Store, StoreError, TypeSummary,
};
use tokio::sync::watch;

/// The methods of a store that read entities, by those of its `inner`.
macro_rules! reads_entities_of_inner {
    () => {
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
    };
}
pub(crate) use reads_entities_of_inner;

/// The plain store, which sometimes says that it could not commit; what it says
/// it could not commit, it may have committed.
#[derive(Debug, Default)]
pub(crate) struct Unreliable {
    inner: ReferenceStore,
    is_failing: AtomicBool,
    calls: AtomicUsize,
    hides: AtomicBool,
    reads: AtomicUsize,
    is_full: AtomicBool,
    most: AtomicUsize,
}

impl Unreliable {
    pub(crate) fn fail_from_now_on(&self) {
        self.fail(true);
    }

    pub(crate) fn fail(&self, is_failing: bool) {
        self.is_failing.store(is_failing, Ordering::Relaxed);
    }

    /// From now on nothing can be committed, or everything again.
    pub(crate) fn fill(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    /// The most records that were committed at once.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// From now on every other look at what is due is refused.
    pub(crate) fn hide_from_now_on(&self) {
        self.hides.store(true, Ordering::Relaxed);
    }

    /// How many looks were refused.
    pub(crate) fn hidden(&self) -> usize {
        self.reads.load(Ordering::Relaxed).div_ceil(2)
    }

    fn hides(&self, kind: RecordKind) -> bool {
        let is_due = matches!(kind, RecordKind::Outbox | RecordKind::Occasion);
        let looks = is_due && self.hides.load(Ordering::Relaxed);
        looks && self.reads.fetch_add(1, Ordering::Relaxed).is_multiple_of(2)
    }

    fn fails(&self) -> Result<bool, StoreError> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(StoreError::Full);
        }
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
            let records = groups.iter().map(|group| group.records.len()).sum();
            self.most.fetch_max(records, Ordering::Relaxed);
            let outcomes = self.inner.commit(groups).await?;
            if fails_after {
                let source = "the answer was lost".into();
                return Err(StoreError::Unavailable { doing: "a commit", source });
            }
            Ok(outcomes)
        }
        .boxed()
    }

    crate::store::reads_entities_of_inner!();

    fn changes(
        &self,
        after: Sequence,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Change>>, StoreError>> {
        self.inner.changes(after, limit)
    }

    fn newest(&self) -> watch::Receiver<Sequence> {
        self.inner.newest()
    }

    fn durable(&self) -> watch::Receiver<Sequence> {
        self.inner.durable()
    }

    fn truncate(&self, upto: Sequence) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.truncate(upto)
    }

    fn records<'a>(
        &'a self,
        query: &'a RecordQuery,
    ) -> BoxFuture<'a, Result<Vec<Record>, StoreError>> {
        if self.hides(query.kind) {
            let (doing, source) = ("reading records", "the disk is away".into());
            return ready(Err(StoreError::Unavailable { doing, source })).boxed();
        }
        self.inner.records(query)
    }
}

/// A store that at some moment does not answer the notifier any more.
#[derive(Debug)]
pub(crate) struct Halting {
    inner: Arc<dyn Store>,
    /// What the notifier may still commit.
    left: AtomicUsize,
    /// Whether what is not answered has been done.
    is_done: bool,
    halted: watch::Sender<bool>,
}

impl Halting {
    pub(crate) fn after(commits: usize, is_done: bool, inner: Arc<dyn Store>) -> Self {
        let halted = watch::Sender::new(false);
        Self { inner, left: AtomicUsize::new(commits), is_done, halted }
    }

    pub(crate) fn is_halted(&self) -> bool {
        *self.halted.borrow()
    }

    pub(crate) async fn halted(&self) {
        self.halted.subscribe().wait_for(|halted| *halted).await.unwrap();
    }

    fn may(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

impl Store for Halting {
    fn commit(&self, groups: Vec<Group>) -> BoxFuture<'_, Result<Vec<Outcome>, StoreError>> {
        async move {
            if self.may() {
                return self.inner.commit(groups).await;
            }
            if self.is_done && !self.is_halted() {
                self.inner.commit(groups).await?;
            }
            self.halted.send_replace(true);
            std::future::pending().await
        }
        .boxed()
    }

    crate::store::reads_entities_of_inner!();

    fn changes(
        &self,
        after: Sequence,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Change>>, StoreError>> {
        self.inner.changes(after, limit)
    }

    fn newest(&self) -> watch::Receiver<Sequence> {
        self.inner.newest()
    }

    fn durable(&self) -> watch::Receiver<Sequence> {
        self.inner.durable()
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
