//! Records that come and go, as those of a queue do: written in pairs, read, and deleted again, beside
//! readers and beside each other. A store may keep some kinds of records elsewhere than others, so
//! this is done for several.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use musubi_model::{Revision, Tenant};
use tokio::task::yield_now;

use super::Tasks;
use crate::conformance::generate::name;
use crate::conformance::trial::answered;
use crate::conformance::violation::{Breach, Rule, differing, shown};
use crate::{
    Expect, Group, Outcome, Record, RecordKey, RecordKind, RecordQuery, RecordWrite, Store,
};

const KINDS: [RecordKind; 4] =
    [RecordKind::Outbox, RecordKind::DeadLetter, RecordKind::Occasion, RecordKind::AdapterState];

/// How many pairs each queue sees, and how many of them it holds at a time.
const PAIRS: u64 = 40;
const LENGTH: u64 = 7;

const WRITING: &str = "writing to a queue of records";
const READING: &str = "reading a queue of records beside its writer";

/// One queue: the records of a kind in a tenant.
#[derive(Clone, Debug)]
struct Queue {
    kind: RecordKind,
    tenant: Tenant,
}

/// Spawns the writer of each queue.
pub(super) fn spawn_writers(tasks: &mut Tasks, store: &Arc<dyn Store>) {
    for queue in queues() {
        tasks.spawn(queue.write(store.clone()));
    }
}

/// Spawns a reader of each queue, who reads until the writers are done, and once more.
pub(super) fn spawn_readers(tasks: &mut Tasks, store: &Arc<dyn Store>, done: &Arc<AtomicBool>) {
    for queue in queues() {
        tasks.spawn(queue.read(store.clone(), done.clone()));
    }
}

fn queues() -> impl Iterator<Item = Queue> {
    KINDS.into_iter().map(|kind| Queue { kind, tenant: name("queues") })
}

impl Queue {
    fn key(&self, number: u64, side: &str) -> RecordKey {
        RecordKey {
            kind: self.kind,
            tenant: self.tenant.clone(),
            key: format!("{number:06}/{side}"),
        }
    }

    /// Writes pair after pair, each in one group with the deletion of the pair that is the oldest by
    /// then, and looks at what it has written.
    async fn write(self, store: Arc<dyn Store>) -> Result<(), Breach> {
        let mut written: Vec<[Revision; 2]> = Vec::new();
        for number in 0..PAIRS {
            let mut records = Vec::new();
            for side in ["left", "right"] {
                let value = Some(Arc::from(number.to_be_bytes()));
                let key = self.key(number, side);
                records.push(RecordWrite { key, expect: Expect::Absent, value });
            }
            if let Some(oldest) = number.checked_sub(LENGTH)
                && let Some(revisions) = usize::try_from(oldest).ok().and_then(|at| written.get(at))
            {
                for (side, revision) in ["left", "right"].into_iter().zip(revisions) {
                    let key = self.key(oldest, side);
                    records.push(RecordWrite { key, expect: Expect::At(*revision), value: None });
                }
            }
            written.push(self.commit(&*store, records).await?);
            let expected = number.saturating_sub(LENGTH - 1)..=number;
            let given = self.numbers(&self.page(&*store, None, usize::MAX).await?)?;
            if !expected.clone().eq(given.iter().copied()) {
                let difference = differing(&expected, &given);
                return Err(Breach::new(Rule::State, WRITING, difference));
            }
            yield_now().await;
        }
        Ok(())
    }

    async fn commit(
        &self,
        store: &dyn Store,
        records: Vec<RecordWrite>,
    ) -> Result<[Revision; 2], Breach> {
        let group = Group { records, ..Group::default() };
        let outcomes = answered(WRITING, store.commit(vec![group]).await)?;
        match outcomes.first() {
            Some(Outcome::Committed { revisions, .. }) => match revisions.as_slice() {
                [left, right, ..] => Ok([*left, *right]),
                _ => Err(Breach::new(Rule::Outcome, WRITING, "a write has no revision")),
            },
            other => Err(Breach::new(Rule::Outcome, WRITING, shown(&other))),
        }
    }

    async fn read(self, store: Arc<dyn Store>, done: Arc<AtomicBool>) -> Result<(), Breach> {
        loop {
            let last = done.load(Ordering::Acquire);
            self.numbers(&self.page(&*store, None, usize::MAX).await?)?;
            yield_now().await;
            self.walk(&*store).await?;
            yield_now().await;
            if last {
                return Ok(());
            }
        }
    }

    async fn page(
        &self,
        store: &dyn Store,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Record>, Breach> {
        let query = RecordQuery {
            kind: self.kind,
            tenant: Some(self.tenant.clone()),
            prefix: String::new(),
            after: after.map(|key| (self.tenant.clone(), key)),
            limit,
        };
        answered(READING, store.records(&query).await)
    }

    /// The numbers of a page that is the whole queue. It is of one moment, so every pair on it is
    /// whole.
    fn numbers(&self, page: &[Record]) -> Result<Vec<u64>, Breach> {
        let mut numbers = Vec::new();
        for pair in page.chunks(2) {
            let number = pair.first().and_then(|record| record.value.as_ref().try_into().ok());
            let number = u64::from_be_bytes(number.unwrap_or_default());
            let expected = ["left", "right"].map(|side| self.key(number, side));
            if !pair.iter().map(|record| &record.key).eq(&expected) {
                let given: Vec<_> = page.iter().map(|record| &record.key.key).collect();
                return Err(Breach::new(Rule::Moment, READING, shown(&given)));
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// From page to page nothing is seen twice or out of order.
    async fn walk(&self, store: &dyn Store) -> Result<(), Breach> {
        let mut last: Option<String> = None;
        // Each page goes on behind the last, and there are only so many keys.
        loop {
            let page = self.page(store, last.clone(), 3).await?;
            for record in page.iter().map(|record| &record.key.key) {
                if last.as_ref().is_some_and(|last| last >= record) {
                    let difference = format!("{record} after {last:?}");
                    return Err(Breach::new(Rule::Records, READING, difference));
                }
                last = Some(record.clone());
            }
            if page.len() < 3 {
                return Ok(());
            }
        }
    }
}
