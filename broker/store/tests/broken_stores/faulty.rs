//! The reference with one fault each.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a fault shows in one place; everywhere else a store with it does as the reference"
)]

mod select;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_model::{Entity, EntityId, Position, Revision, Sequence, Tenant, TypeName};
use musubi_query::{EntityQuery, Filter, Start};
use musubi_store::{
    AttributeSummary, Change, Expect, Found, Group, Outcome, Page, Record, RecordQuery,
    RecordWrite, ReferenceStore, Store, StoreError, Subject, TypeSummary, Write,
};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::yield_now;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `≤` for `<`: a page begins with the entity after which it should begin.
    CursorIncludesItsOwn,
    /// An answer ends one entity early.
    LastRowLost,
    /// A page that is not the last has one entity too few.
    PageCutShort,
    /// There is more whenever a page is full.
    FullPageMeansMore,
    /// One more is counted than there are.
    CountOffByOne,
    /// Updates do not reach the index.
    IndexStaleAfterUpdate,
    /// Deletions do not reach the index of types.
    TypeForgottenOnDelete,
    /// Entities come in the order of their ids.
    OrderedById,
    /// An entity that is deleted and created again stands where it stood.
    PlaceReused,
    /// A query other than for ids finds those of another tenant, whose name begins as this one's.
    TenantByPrefix,
    /// Some changes are not in the log.
    ChangeMissing,
    /// Some changes are in the log twice.
    ChangeTwice,
    /// The log does not say what was before.
    BeforeImageMissing,
    /// The log is truncated one change too far.
    TruncatedTooFar,
    /// A log from which everything has been dropped begins anew when the store is opened.
    LogBeginsAnew,
    /// A deletion answers with the revision 0.
    DeletionWithoutRevision,
    /// More entities than fit into one piece are not seen.
    OnePieceOnly,
    /// Nobody is told of new changes.
    NeverAnnounced,
    /// A write in four is only kept until the process ends.
    AcknowledgedButNotPersisted,
    /// What stands in a group before the write that is refused happens.
    GroupByHalf,
    /// Revisions are not looked at.
    ExpectationIgnored,
    /// A key that contains the prefix is found.
    PrefixAnywhere,
    /// Between checking a revision and writing others have their turn.
    CheckedThenWritten,
    /// The writes of a group become visible one after another.
    VisibleOneByOne,
    /// The records of a group become visible one after another.
    RecordsOneByOne,
    /// A scan goes on by counting, while entities before it come and go.
    ScanByCounting,
    /// An entity of which something has expired is shown as it is kept.
    ExpiredInstanceShown,
    /// What has expired is counted.
    ExpiredEntityCounted,
    /// What has expired is asked, though it is not shown.
    ExpiredPartAsked,
    /// What expires at a moment is still there at that moment.
    ExpiryComesLate,
    /// After an update only the expiry of the entity and of its attributes is known.
    SubAttributeExpiryMissed,
    /// Entities that stand equal come latest first.
    TiesTurnedRound,
    /// An order is ascending always.
    DescendingIgnored,
    /// A page is cut in the order of creation and then ordered.
    OrderedAfterCut,
    /// A path into linked entities is followed in the entity itself.
    LinksNotFollowed,
    /// What has expired of linked entities is still looked at.
    LinkedAsKept,
    /// A kind that an attribute had in a deleted entity stays.
    KindForgottenOnDelete,
}

/// A store with a fault.
#[derive(Debug)]
pub(crate) struct Faulty {
    fault: Fault,
    inner: ReferenceStore,
    memory: Mutex<Memory>,
    /// What is announced in place of what the reference announces, where a fault asks for that.
    announced: watch::Sender<Sequence>,
    /// What is taken off the numbers of the log.
    begins: u64,
}

/// What a fault has to remember.
#[derive(Debug, Default)]
struct Memory {
    /// Entities as they were created, and where.
    first: BTreeMap<(Tenant, EntityId), (Position, Arc<Entity>)>,
    /// What was deleted.
    deleted: Vec<(Tenant, Arc<Entity>)>,
    commits: u64,
    persisted: ReferenceStore,
}

impl Faulty {
    pub(crate) fn new(fault: Fault) -> Self {
        Self::over(fault, ReferenceStore::new(), Memory::default())
    }

    fn over(fault: Fault, inner: ReferenceStore, memory: Memory) -> Self {
        let newest = inner.newest().borrow().0;
        let log = inner.changes(Sequence(0), 1).now_or_never();
        let dropped = log.is_some_and(|log| log.is_ok_and(|log| log.is_empty()));
        let begins = if fault == Fault::LogBeginsAnew && dropped { newest } else { 0 };
        let announced = watch::Sender::new(Sequence(newest - begins));
        Self { fault, inner, memory: Mutex::new(memory), announced, begins }
    }

    /// The store after a clean end, with everything.
    pub(crate) fn closed(&self) -> Self {
        Self::over(self.fault, self.inner.reopen(), std::mem::take(&mut *self.memory.lock()))
    }

    /// The store after a kill.
    pub(crate) fn killed(&self) -> Self {
        let memory = std::mem::take(&mut *self.memory.lock());
        let inner = match self.fault {
            Fault::AcknowledgedButNotPersisted => memory.persisted.reopen(),
            _ => self.inner.reopen(),
        };
        Self::over(self.fault, inner, memory)
    }

    /// Everything that the filter matches.
    async fn all(&self, tenant: &Tenant, filter: Filter) -> Result<Vec<Found>, StoreError> {
        let query = EntityQuery {
            filter,
            start: Start::Offset(0),
            limit: usize::MAX,
            count: false,
            ..EntityQuery::default()
        };
        Ok(self.inner.select(tenant, &query).await?.items)
    }

    /// The whole answer to a question.
    async fn whole(&self, tenant: &Tenant, query: &EntityQuery) -> Result<Vec<Found>, StoreError> {
        let (start, limit, count) = (Start::Offset(0), usize::MAX, false);
        let query = EntityQuery { start, limit, count, ..query.clone() };
        Ok(self.inner.select(tenant, &query).await?.items)
    }

    async fn holds(&self, write: &Write) -> Result<bool, StoreError> {
        let found = self.all(&write.tenant, Filter::Ids(vec![write.id.clone()])).await?;
        let current = found.first().map(|found| found.revision);
        Ok(match write.expect {
            Expect::Absent => current.is_none(),
            Expect::At(revision) => current == Some(revision),
            Expect::Any => true,
        })
    }

    async fn commit_one(&self, group: Group) -> Result<Outcome, StoreError> {
        let outcomes = self.inner.commit(vec![group]).await?;
        Ok(outcomes.into_iter().next().unwrap_or(Outcome::Refused(0)))
    }

    async fn commit_faultily(&self, mut group: Group) -> Result<Outcome, StoreError> {
        match self.fault {
            Fault::GroupByHalf => {
                let outcome = self.commit_one(group.clone()).await?;
                if let Outcome::Refused(index) = outcome {
                    group.writes.truncate(index);
                    group.records.clear();
                    self.commit_one(group).await?;
                }
                Ok(outcome)
            }
            Fault::ExpectationIgnored => {
                for write in &mut group.writes {
                    if matches!(write.expect, Expect::At(_)) {
                        write.expect = Expect::Any;
                    }
                }
                self.commit_one(group).await
            }
            Fault::CheckedThenWritten => {
                for (index, write) in group.writes.iter_mut().enumerate() {
                    if !self.holds(write).await? {
                        return Ok(Outcome::Refused(index));
                    }
                    write.expect = Expect::Any;
                }
                yield_now().await;
                self.commit_one(group).await
            }
            Fault::DeletionWithoutRevision => {
                let deletions: Vec<_> =
                    group.writes.iter().map(|write| write.state.is_none()).collect();
                let mut outcome = self.commit_one(group).await?;
                if let Outcome::Committed { revisions, .. } = &mut outcome {
                    for (revision, _) in revisions.iter_mut().zip(deletions).filter(|(_, is)| *is) {
                        *revision = Revision(0);
                    }
                }
                Ok(outcome)
            }
            Fault::VisibleOneByOne => self.commit_one_by_one(group).await,
            Fault::RecordsOneByOne => self.commit_records_one_by_one(group).await,
            _ => self.commit_one(group).await,
        }
    }

    async fn commit_one_by_one(&self, group: Group) -> Result<Outcome, StoreError> {
        let counts = group.writes.len() < 2 || !group.records.is_empty();
        if counts || group.writes.iter().any(|write| write.expect != Expect::Any) {
            return self.commit_one(group).await;
        }
        let mut said = Sequence(0);
        let mut all = Vec::new();
        for write in group.writes {
            let cause = group.cause.clone();
            let one = Group { time: group.time, cause, writes: vec![write], ..Group::default() };
            if let Outcome::Committed { newest, revisions } = self.commit_one(one).await? {
                said = newest;
                all.extend::<Vec<Revision>>(revisions);
            }
            yield_now().await;
        }
        Ok(Outcome::Committed { newest: said, revisions: all })
    }

    async fn commit_records_one_by_one(&self, group: Group) -> Result<Outcome, StoreError> {
        let is_logged = |write: &RecordWrite| write.key.kind.is_logged();
        if !group.writes.is_empty() || group.records.iter().any(is_logged) {
            return self.commit_one(group).await;
        }
        let mut all = Vec::new();
        for write in group.records {
            let one = Group { records: vec![write], ..Group::default() };
            match self.commit_one(one).await? {
                Outcome::Committed { revisions, .. } => all.extend::<Vec<Revision>>(revisions),
                Outcome::Refused(_) => return Ok(Outcome::Refused(all.len())),
            }
            yield_now().await;
        }
        let newest = *self.inner.newest().borrow();
        Ok(Outcome::Committed { newest, revisions: all })
    }

    /// Takes down what the faults need to know of the changes after `before`.
    async fn remember(&self, before: Sequence) -> Result<(), StoreError> {
        let changes = self.inner.changes(before, usize::MAX).await?;
        if self.fault == Fault::LogBeginsAnew {
            let newest = self.inner.newest().borrow().0;
            self.announced.send_replace(Sequence(newest - self.begins));
        }
        let mut memory = self.memory.lock();
        for change in changes {
            let Subject::Entity(entity) = &change.subject else { continue };
            let key = (change.tenant.clone(), entity.id.clone());
            if let Some(after) = &entity.after {
                memory.first.entry(key).or_insert_with(|| (entity.position, after.clone()));
            } else if let Some(before) = &entity.before {
                memory.deleted.push((change.tenant.clone(), before.clone()));
            }
        }
        memory.commits += 1;
        if self.fault == Fault::AcknowledgedButNotPersisted && !memory.commits.is_multiple_of(4) {
            memory.persisted = self.inner.reopen();
        }
        Ok(())
    }

    /// The first state of what is found, and where it stood.
    fn first(&self, tenant: &Tenant, found: &Found) -> (Position, Arc<Entity>) {
        let key = (tenant.clone(), found.entity.id.clone());
        let first = self.memory.lock().first.get(&key).cloned();
        first.unwrap_or_else(|| (found.position, found.entity.clone()))
    }

    /// A page that was right.
    fn spoiled(&self, mut page: Page, query: &EntityQuery) -> Page {
        match self.fault {
            Fault::LastRowLost if !page.more && page.items.len() > 1 => drop(page.items.pop()),
            Fault::PageCutShort if page.more => drop(page.items.pop()),
            Fault::FullPageMeansMore => page.more = page.items.len() == query.limit,
            Fault::CountOffByOne => page.total = page.total.map(|total| total + 1),
            _ => {}
        }
        page
    }

    /// The log that was right.
    fn spoiled_log(&self, log: &[Arc<Change>]) -> Vec<Arc<Change>> {
        let mut spoiled = Vec::new();
        for change in log {
            let mut change = (**change).clone();
            let chosen = change.sequence.0.is_multiple_of(7);
            if self.fault == Fault::BeforeImageMissing
                && let Subject::Entity(entity) = &mut change.subject
                && entity.after.is_some()
            {
                entity.before = None;
            }
            let times = match self.fault {
                Fault::ChangeMissing if chosen => 0,
                Fault::ChangeTwice if chosen => 2,
                _ => 1,
            };
            spoiled.extend(std::iter::repeat_n(change, times));
        }
        // The numbers are without a hole, so that these alone tell nothing.
        let first = log.first().map_or(1, |change| change.sequence.0 - self.begins);
        (first..)
            .zip(spoiled)
            .map(|(number, change)| Arc::new(Change { sequence: Sequence(number), ..change }))
            .collect()
    }
}

impl Store for Faulty {
    fn commit(&self, groups: Vec<Group>) -> BoxFuture<'_, Result<Vec<Outcome>, StoreError>> {
        async move {
            let mut outcomes = Vec::new();
            for group in groups {
                let before = *self.inner.newest().borrow();
                outcomes.push(self.commit_faultily(group).await?);
                self.remember(before).await?;
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
            let mut query = query.clone();
            if let (Fault::CursorIncludesItsOwn, Start::After(position)) = (self.fault, query.start)
            {
                query.start = Start::After(Position(position.0.saturating_sub(1)));
            }
            self.select_faultily(tenant, &query).await
        }
        .boxed()
    }

    fn types<'a>(
        &'a self,
        tenant: &'a Tenant,
    ) -> BoxFuture<'a, Result<Vec<TypeSummary>, StoreError>> {
        async move {
            let mut types = self.inner.types(tenant).await?;
            if self.fault == Fault::TypeForgottenOnDelete {
                let memory = self.memory.lock();
                let deleted = memory.deleted.iter().filter(|(owner, _)| owner == tenant);
                for name in deleted.flat_map(|(_, entity)| &entity.types) {
                    match types.iter_mut().find(|known| known.name == *name) {
                        Some(known) => known.entities += 1,
                        None => types.push(TypeSummary {
                            name: name.clone(),
                            entities: 1,
                            attributes: Vec::new(),
                        }),
                    }
                }
                types.sort_by(|left, right| left.name.cmp(&right.name));
            }
            Ok(types)
        }
        .boxed()
    }

    fn attributes<'a>(
        &'a self,
        tenant: &'a Tenant,
        of_type: Option<&'a TypeName>,
    ) -> BoxFuture<'a, Result<Vec<AttributeSummary>, StoreError>> {
        async move {
            let mut attributes = self.inner.attributes(tenant, of_type).await?;
            if self.fault == Fault::KindForgottenOnDelete {
                let memory = self.memory.lock();
                for summary in &mut attributes {
                    let deleted = memory.deleted.iter().filter(|(owner, _)| owner == tenant);
                    let deleted = deleted.filter_map(|(_, entity)| entity.attribute(&summary.name));
                    let instances = deleted.flat_map(|attribute| &attribute.instances);
                    summary.kinds.extend(instances.map(|instance| instance.value.kind));
                    summary.kinds.sort_unstable();
                    summary.kinds.dedup();
                }
            }
            Ok(attributes)
        }
        .boxed()
    }

    fn changes(
        &self,
        after: Sequence,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Change>>, StoreError>> {
        async move {
            let log = self.inner.changes(Sequence(0), usize::MAX).await?;
            let spoiled = self.spoiled_log(&log).into_iter();
            Ok(spoiled.filter(|change| change.sequence > after).take(limit).collect())
        }
        .boxed()
    }

    fn newest(&self) -> watch::Receiver<Sequence> {
        match self.fault {
            Fault::NeverAnnounced | Fault::LogBeginsAnew => self.announced.subscribe(),
            _ => self.inner.newest(),
        }
    }

    fn durable(&self) -> watch::Receiver<Sequence> {
        self.newest()
    }

    fn truncate(&self, upto: Sequence) -> BoxFuture<'_, Result<(), StoreError>> {
        let further = u64::from(self.fault == Fault::TruncatedTooFar);
        self.inner.truncate(Sequence(upto.0 + further))
    }

    fn records<'a>(
        &'a self,
        query: &'a RecordQuery,
    ) -> BoxFuture<'a, Result<Vec<Record>, StoreError>> {
        async move {
            if self.fault != Fault::PrefixAnywhere {
                return self.inner.records(query).await;
            }
            let all = RecordQuery { prefix: String::new(), limit: usize::MAX, ..query.clone() };
            let found = self.inner.records(&all).await?.into_iter();
            let found = found.filter(|record| record.key.key.contains(&query.prefix));
            Ok(found.take(query.limit).collect())
        }
        .boxed()
    }
}
