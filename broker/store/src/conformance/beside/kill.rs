//! A kill while commits are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use musubi_model::{EntityId, Sequence, Tenant};
use musubi_query::{EntityQuery, Filter, Start};
use tokio::sync::mpsc;
use tokio::task::yield_now;

use super::Tasks;
use crate::conformance::generate::{Random, name};
use crate::conformance::numbered::Numbered;
use crate::conformance::subject::Place;
use crate::conformance::trial::{Ending, answered, end, open};
use crate::conformance::violation::{Breach, Rule, differing};
use crate::{Expect, Group, RecordKey, RecordKind, RecordQuery, RecordWrite, Store};

const DOING: &str = "reading after a kill beside writers";
const WRITERS: usize = 6;
/// The kinds of the writers' records, in turn.
const KINDS: [RecordKind; 4] =
    [RecordKind::Subscription, RecordKind::Outbox, RecordKind::DeadLetter, RecordKind::Occasion];

/// A task that writes one number after another into two entities and a record.
#[derive(Debug)]
struct Writer {
    numbered: Numbered,
    tenant: Tenant,
    entities: [EntityId; 2],
    record: RecordKey,
    attempted: AtomicU64,
    acknowledged: AtomicU64,
}

/// Writes from several tasks, kills the store, opens it again: what was acknowledged has to be
/// there, and what was not may be, but whole.
pub(super) async fn kill_and_compare(
    mut place: Box<dyn Place>,
    store: Arc<dyn Store>,
    random: &mut Random,
) -> Result<(), Breach> {
    let writers: Vec<_> = (0..WRITERS).map(|number| Arc::new(Writer::new(number))).collect();
    let (sender, mut acknowledgements) = mpsc::channel(1);
    let mut tasks = Tasks::new();
    for writer in &writers {
        tasks.spawn(writer.clone().write(store.clone(), sender.clone()));
    }
    drop(sender);
    for _ in 0..5 + random.below(40) {
        // It ends before its time only if all writers have failed, which is noticed below.
        acknowledgements.recv().await;
    }
    tasks.abort_all();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(result) => result?,
            Err(error) if error.is_cancelled() => {}
            Err(error) => return Err(Breach::new(Rule::Answer, DOING, error.to_string())),
        }
    }
    end(&mut *place, store, Ending::Kill).await?;
    let store = open(&mut *place).await?;
    for writer in &writers {
        writer.compare(&*store).await?;
    }
    compare_log(&*store).await?;
    end(&mut *place, store, Ending::Close).await
}

impl Writer {
    fn new(number: usize) -> Self {
        let tenant: Tenant = name("killed");
        let id = |side: &str| name(&format!("urn:ngsi-ld:Killed:{number}:{side}"));
        let key = format!("writer {number}");
        let kind = KINDS.into_iter().cycle().nth(number).unwrap_or(RecordKind::Subscription);
        Self {
            numbered: Numbered::new(),
            entities: [id("left"), id("right")],
            record: RecordKey { kind, tenant: tenant.clone(), key },
            tenant,
            attempted: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
        }
    }

    /// Writes until it is aborted.
    async fn write(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        acknowledgements: mpsc::Sender<()>,
    ) -> Result<(), Breach> {
        for number in 1.. {
            self.attempted.store(number, Ordering::Release);
            let write = |id| self.numbered.write(&self.tenant, id, Some(number));
            let group = Group {
                writes: self.entities.iter().map(write).collect(),
                records: vec![RecordWrite {
                    key: self.record.clone(),
                    expect: Expect::Any,
                    value: Some(Arc::from(number.to_be_bytes())),
                }],
                ..Group::default()
            };
            answered("a commit before a kill", store.commit(vec![group]).await)?;
            self.acknowledged.store(number, Ordering::Release);
            if acknowledgements.send(()).await.is_err() {
                break;
            }
            yield_now().await;
        }
        Ok(())
    }

    async fn compare(&self, store: &dyn Store) -> Result<(), Breach> {
        let filter = Filter::Ids(self.entities.to_vec());
        let query = EntityQuery {
            filter,
            start: Start::Offset(0),
            limit: 10,
            count: false,
            ..EntityQuery::default()
        };
        let page = answered(DOING, store.select(&self.tenant, &query).await)?;
        let [left, right] = &self.entities;
        let left = self.numbered.number_on(&page.items, left)?.unwrap_or(0);
        let right = self.numbered.number_on(&page.items, right)?.unwrap_or(0);
        let record = self.recorded(store).await?;
        if left != right || left != record {
            let difference = format!("one group wrote them: {left}, {right} and {record}");
            return Err(Breach::new(Rule::Whole, DOING, difference));
        }
        let acknowledged = self.acknowledged.load(Ordering::Acquire);
        let attempted = self.attempted.load(Ordering::Acquire);
        if (acknowledged..=attempted).contains(&left) {
            return Ok(());
        }
        let difference =
            format!("{left} is there; {acknowledged} was acknowledged, {attempted} attempted");
        Err(Breach::new(Rule::Durable, DOING, difference))
    }

    async fn recorded(&self, store: &dyn Store) -> Result<u64, Breach> {
        let query = RecordQuery {
            kind: self.record.kind,
            tenant: Some(self.tenant.clone()),
            prefix: self.record.key.clone(),
            after: None,
            limit: 1,
        };
        let records = answered(DOING, store.records(&query).await)?;
        let value = records.first().and_then(|record| record.value.as_ref().try_into().ok());
        Ok(value.map_or(0, u64::from_be_bytes))
    }
}

/// The log has no holes, and ends where it is said to.
async fn compare_log(store: &dyn Store) -> Result<(), Breach> {
    let log = answered(DOING, store.changes(Sequence(0), usize::MAX).await)?;
    let given: Vec<_> = log.iter().map(|change| change.sequence.0).collect();
    let newest = *store.newest().borrow();
    if given.iter().copied().eq(1..=newest.0) {
        return Ok(());
    }
    let difference = format!("newest is {}, the log has {}", newest.0, differing(&"all", &given));
    Err(Breach::new(Rule::Durable, DOING, difference))
}
