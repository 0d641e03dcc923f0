//! The suite asks no more than the contract says: a store that numbers differently, keeps what it
//! may drop and says what it need not say passes it.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use musubi_model::{Position, Revision, Sequence, Tenant, TypeName};
use musubi_query::{EntityQuery, Start};
use musubi_store::conformance::{self, Failure, Place, Plan};
use musubi_store::{
    AttributeSummary, Change, Expect, Group, Outcome, Page, Record, RecordQuery, ReferenceStore,
    Store, StoreError, Subject, TypeSummary,
};
use tokio::sync::watch;

/// Positions from 0 in steps of 5, revisions from 10 in steps of 3.
#[derive(Debug)]
struct Renumbered(ReferenceStore);

fn position(inner: Position) -> Position {
    Position((inner.0 - 1) * 5)
}

fn revision(inner: Revision) -> Revision {
    Revision(inner.0 * 3 + 7)
}

fn expectation(outer: Expect) -> Expect {
    match outer {
        Expect::At(Revision(number)) if number >= 10 && (number - 7) % 3 == 0 => {
            Expect::At(Revision((number - 7) / 3))
        }
        Expect::At(_) => Expect::At(Revision(0)),
        Expect::Absent | Expect::Any => outer,
    }
}

fn renumbered(change: &Change) -> Arc<Change> {
    let mut change = change.clone();
    match &mut change.subject {
        Subject::Entity(entity) => {
            entity.position = position(entity.position);
            entity.revision = revision(entity.revision);
        }
        Subject::Record(record) => record.revision = revision(record.revision),
        Subject::Evolution(_) => {}
    }
    Arc::new(change)
}

impl Store for Renumbered {
    fn commit(&self, mut groups: Vec<Group>) -> BoxFuture<'_, Result<Vec<Outcome>, StoreError>> {
        for group in &mut groups {
            group.writes.iter_mut().for_each(|write| write.expect = expectation(write.expect));
            group.records.iter_mut().for_each(|write| write.expect = expectation(write.expect));
        }
        async move {
            let mut outcomes = self.0.commit(groups).await?;
            let last = *self.0.newest().borrow();
            for outcome in &mut outcomes {
                if let Outcome::Committed { newest, revisions } = outcome {
                    *newest = last;
                    for inner in revisions {
                        *inner = revision(*inner);
                    }
                }
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
        async move {
            let mut query = EntityQuery { count: true, ..query.clone() };
            if let Start::After(outer) = query.start {
                query.start = Start::After(Position(outer.0 / 5 + 1));
            }
            let mut page = self.0.select(tenant, &query).await?;
            page.more &= query.limit > 0;
            for found in &mut page.items {
                found.position = position(found.position);
                found.revision = revision(found.revision);
            }
            Ok(page)
        }
        .boxed()
    }

    fn types<'a>(
        &'a self,
        tenant: &'a Tenant,
    ) -> BoxFuture<'a, Result<Vec<TypeSummary>, StoreError>> {
        self.0.types(tenant)
    }

    fn attributes<'a>(
        &'a self,
        tenant: &'a Tenant,
        of_type: Option<&'a TypeName>,
    ) -> BoxFuture<'a, Result<Vec<AttributeSummary>, StoreError>> {
        self.0.attributes(tenant, of_type)
    }

    fn changes(
        &self,
        after: Sequence,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Change>>, StoreError>> {
        async move {
            let changes = self.0.changes(after, limit).await?;
            Ok(changes.iter().map(|change| renumbered(change)).collect())
        }
        .boxed()
    }

    fn newest(&self) -> watch::Receiver<Sequence> {
        self.0.newest()
    }

    fn durable(&self) -> watch::Receiver<Sequence> {
        self.0.durable()
    }

    fn truncate(&self, _: Sequence) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(Ok(())).boxed()
    }

    fn records<'a>(
        &'a self,
        query: &'a RecordQuery,
    ) -> BoxFuture<'a, Result<Vec<Record>, StoreError>> {
        async move {
            let mut records = self.0.records(query).await?;
            for record in &mut records {
                record.revision = revision(record.revision);
            }
            Ok(records)
        }
        .boxed()
    }
}

struct Renumbering;

struct Memory(Arc<Renumbered>);

impl conformance::Subject for Renumbering {
    fn place(&self) -> Box<dyn Place> {
        Box::new(Memory(Arc::new(Renumbered(ReferenceStore::new()))))
    }
}

impl Place for Memory {
    fn open(&mut self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>> {
        self.0 = Arc::new(Renumbered(self.0.0.reopen()));
        let store: Arc<dyn Store> = self.0.clone();
        ready(Ok(store)).boxed()
    }

    fn close(&mut self, _: Arc<dyn Store>) -> BoxFuture<'_, Result<(), Failure>> {
        ready(Ok(())).boxed()
    }

    fn kill(&mut self, _: Arc<dyn Store>) -> BoxFuture<'_, Result<(), Failure>> {
        ready(Ok(())).boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_with_other_numbers_passes_the_suite() {
    if let Err(violation) = conformance::check(&Renumbering, Plan::default()).await {
        panic!("{violation}");
    }
}
