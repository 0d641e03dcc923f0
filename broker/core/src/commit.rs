//! From a decision to a durable write: read, decide, commit, and again if somebody was faster.

use std::sync::Arc;

use musubi_model::{Cause, Entity, EntityId, Timestamp};
use musubi_query::{Filter, TypeSelection};
use musubi_store::{Expect, Found, Group, Outcome, RecordWrite, Write};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::schemas::{Extent, Wrong};
use crate::{Committed, Error, Session, tenants};

/// Something to do to some entities, all or nothing.
pub(crate) trait Task {
    /// What is told about it once it is done.
    type Answer;

    /// The entities that it concerns.
    fn ids(&self) -> impl Iterator<Item = &EntityId>;

    /// What to write, given the entities as they are. May be asked again, with others.
    fn decide(&self, current: &Current, now: Timestamp) -> Result<Plan<Self::Answer>, Error>;

    /// How much of an entity that is there it brings. What it creates, it brings as a whole.
    fn extent(&self) -> Extent {
        Extent::Part
    }
}

/// What a [`Task`] wants written, and what is to be told then.
#[derive(Debug)]
pub(crate) struct Plan<A> {
    pub(crate) cause: Cause,
    pub(crate) writes: Vec<Change>,
    pub(crate) records: Vec<RecordWrite>,
    pub(crate) answer: A,
}

impl Plan<()> {
    /// One write that a request asks for.
    pub(crate) fn of_request(change: Change) -> Self {
        let (writes, records) = (vec![change], Vec::new());
        Self { cause: Cause::Request, writes, records, answer: () }
    }
}

/// One entity's new state.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) id: EntityId,
    pub(crate) expect: Expect,
    pub(crate) state: Option<Arc<Entity>>,
}

/// The entities of a round, as they were read.
#[derive(Debug, Default)]
pub(crate) struct Current(FxHashMap<EntityId, Found>);

impl Current {
    pub(crate) fn get(&self, id: &EntityId) -> Option<&Found> {
        self.0.get(id)
    }
}

/// What became of one task.
type Settled<A> = Result<(A, Committed), Error>;

struct Pending<T> {
    index: usize,
    task: T,
    attempts: usize,
}

impl Session {
    /// Changes one entity that is there, under the session's conditions. `decide` gives the new
    /// state, none to delete it, and the answer; it is asked again if somebody else was faster.
    pub(crate) async fn change<A>(
        &self,
        id: &EntityId,
        types: Option<&TypeSelection>,
        decide: impl FnMut(&Entity, Timestamp) -> Result<(Option<Entity>, A), Error>,
    ) -> Result<A, Error> {
        self.change_as(Extent::Part, id, types, decide).await
    }

    /// As [`change`](Self::change), where the new state is so much of the entity.
    pub(crate) async fn change_as<A>(
        &self,
        extent: Extent,
        id: &EntityId,
        types: Option<&TypeSelection>,
        mut decide: impl FnMut(&Entity, Timestamp) -> Result<(Option<Entity>, A), Error>,
    ) -> Result<A, Error> {
        self.require_tenant().await?;
        for _ in 0..self.broker.shared().options.attempts.max(1) {
            let now = self.now();
            let found = self.find(id, types, now).await?;
            if self.conditions.name_versions() {
                self.conditions.check(&found, &self.seal().await)?;
            }
            let (state, answer) = decide(&found.entity, now)?;
            if state.as_ref() == Some(&*found.entity) {
                return Ok(answer);
            }
            let mut wrong = Wrong::default();
            if let Some(state) = &state {
                self.broker.rules().check_size(state, Some(&found.entity))?;
                wrong = self.check_schemas(Some(&found.entity), state, extent)?;
            }
            let change = Change {
                id: id.clone(),
                expect: Expect::At(found.revision),
                state: state.map(Arc::new),
            };
            if self.commit_one(Plan::of_request(change), now).await?.is_some() {
                self.tell(wrong);
                return Ok(answer);
            }
        }
        Err(Error::Contended(format!("entity {id}")))
    }

    /// Commits one plan. None if an entity or record was not as the plan expects.
    pub(crate) async fn commit_one(
        &self,
        plan: Plan<()>,
        now: Timestamp,
    ) -> Result<Option<Committed>, Error> {
        let (group, ()) = self.group(plan, now);
        let outcomes = self.commit(vec![group]).await?;
        Ok(outcomes.into_iter().next().and_then(Result::ok))
    }

    /// Carries out tasks, those that concern the same entity in their order: one result per task.
    ///
    /// Each round takes the tasks that have to wait for no earlier one, reads all their entities
    /// at once, and commits all their groups at once.
    pub(crate) async fn carry_out<T: Task>(
        &self,
        tasks: Vec<T>,
    ) -> Result<Vec<Settled<T::Answer>>, Error> {
        let mut results: Vec<Option<Settled<T::Answer>>> = Vec::new();
        results.resize_with(tasks.len(), || None);
        let mut pending: Vec<Pending<T>> = tasks
            .into_iter()
            .enumerate()
            .map(|(index, task)| Pending { index, task, attempts: 0 })
            .collect();
        while !pending.is_empty() {
            let (round, later) = split_round(pending);
            let (settled, again) = self.round(round).await?;
            for (index, result) in settled {
                if let Some(place) = results.get_mut(index) {
                    *place = Some(result);
                }
            }
            pending = again;
            pending.extend(later);
            pending.sort_by_key(|task| task.index);
        }
        let lost = || Err(Error::Internal("a task was carried out without a result".to_owned()));
        Ok(results.into_iter().map(|result| result.unwrap_or_else(lost)).collect())
    }

    /// Tries tasks of which no two concern the same entity: those that are settled, and those
    /// that have to be tried again.
    async fn round<T: Task>(&self, round: Vec<Pending<T>>) -> Result<Round<T>, Error> {
        let now = self.now();
        let current = self.read(&round, now).await?;
        let mut settled = Vec::with_capacity(round.len());
        let mut groups = Vec::with_capacity(round.len());
        let mut waiting = Vec::with_capacity(round.len());
        for pending in round {
            match self.decide(&pending.task, &current, now) {
                Err(error) => settled.push((pending.index, Err(error))),
                Ok((plan, _)) if plan.writes.is_empty() && plan.records.is_empty() => {
                    settled.push((pending.index, Ok((plan.answer, Committed::default()))));
                }
                Ok((plan, wrong)) => {
                    let (group, answer) = self.group(plan, now);
                    waiting.push((pending, group.writes.len(), (answer, wrong)));
                    groups.push(group);
                }
            }
        }
        let outcomes = if groups.is_empty() { Vec::new() } else { self.commit(groups).await? };
        let mut again = Vec::new();
        let mut in_the_way = Vec::new();
        for ((mut pending, writes, (answer, wrong)), outcome) in waiting.into_iter().zip(outcomes) {
            pending.attempts += 1;
            match outcome {
                Ok(committed) => {
                    self.tell(wrong);
                    settled.push((pending.index, Ok((answer, committed))));
                }
                // What a record is to be was not decided from what was read, so to read again
                // would not help.
                Err(at) if at >= writes => settled.push((pending.index, Err(record_refused()))),
                Err(_) if pending.attempts < self.broker.shared().options.attempts => {
                    let absent = pending.task.ids().filter(|id| current.get(id).is_none());
                    in_the_way.extend(absent.cloned());
                    again.push(pending);
                }
                Err(_) => {
                    let id = pending.task.ids().next().map(ToString::to_string);
                    let what = format!("entity {}", id.unwrap_or_default());
                    settled.push((pending.index, Err(Error::Contended(what))));
                }
            }
        }
        if !in_the_way.is_empty() {
            self.remove_expired(in_the_way, now).await?;
        }
        Ok((settled, again))
    }

    /// What a task wants written, and what is wrong with it, if every entity of it is small enough
    /// and follows what is enforced.
    fn decide<T: Task>(
        &self,
        task: &T,
        current: &Current,
        now: Timestamp,
    ) -> Result<(Plan<T::Answer>, Wrong), Error> {
        let mut wrong = Wrong::default();
        let plan = task.decide(current, now)?;
        for change in &plan.writes {
            let Some(state) = &change.state else { continue };
            let old = current.get(&change.id).map(|found| &*found.entity);
            self.broker.rules().check_size(state, old)?;
            let extent = if old.is_none() { Extent::Whole } else { task.extent() };
            wrong.add(self.check_schemas(old, state, extent)?);
        }
        Ok((plan, wrong))
    }

    async fn read<T: Task>(&self, round: &[Pending<T>], now: Timestamp) -> Result<Current, Error> {
        let ids: Vec<EntityId> =
            round.iter().flat_map(|pending| pending.task.ids()).cloned().collect();
        if ids.is_empty() {
            return Ok(Current::default());
        }
        let limit = ids.len();
        let found = self.some(Filter::Ids(ids), limit, Some(now)).await?;
        Ok(Current(found.into_iter().map(|found| (found.entity.id.clone(), found)).collect()))
    }

    /// The group of a plan; with the tenant's own record, if it may be the tenant's first.
    pub(crate) fn group<A>(&self, plan: Plan<A>, now: Timestamp) -> (Group, A) {
        let creates = |change: &Change| change.expect == Expect::Absent;
        let first = plan.writes.iter().any(creates) || !plan.records.is_empty();
        let mut records = plan.records;
        if first && !self.broker.shared().tenants.is_known(&self.tenant) {
            records.push(tenants::creation(&self.tenant));
        }
        let writes = plan
            .writes
            .into_iter()
            .map(|change| Write {
                tenant: self.tenant.clone(),
                id: change.id,
                expect: change.expect,
                state: change.state,
            })
            .collect();
        (Group { time: now, cause: plan.cause, writes, records, ..Group::default() }, plan.answer)
    }

    /// What became of each group; the index of what was refused, writes first.
    pub(crate) async fn commit(
        &self,
        groups: Vec<Group>,
    ) -> Result<Vec<Result<Committed, usize>>, Error> {
        let names_tenant = |group: &Group| {
            group.records.iter().any(|record| record.key.kind == musubi_store::RecordKind::Tenant)
        };
        let naming: Vec<bool> = groups.iter().map(names_tenant).collect();
        let outcomes = self.broker.store().commit(groups).await?;
        let created = naming
            .iter()
            .zip(&outcomes)
            .any(|(named, outcome)| *named && matches!(outcome, Outcome::Committed { .. }));
        if created {
            self.broker.shared().tenants.add([self.tenant.clone()]);
        }
        Ok(outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Outcome::Committed { newest, revisions } => Ok(Committed { newest, revisions }),
                Outcome::Refused(at) => Err(at),
            })
            .collect())
    }
}

type Round<T> = (Vec<(usize, Settled<<T as Task>::Answer>)>, Vec<Pending<T>>);

fn record_refused() -> Error {
    Error::Contended("a record that is to be written with it".to_owned())
}

/// The tasks that need not wait for another one, and the rest.
fn split_round<T: Task>(pending: Vec<Pending<T>>) -> (Vec<Pending<T>>, Vec<Pending<T>>) {
    let mut taken: FxHashSet<EntityId> = FxHashSet::default();
    taken.reserve(pending.len());
    let mut round = Vec::with_capacity(pending.len());
    let mut later = Vec::new();
    for pending in pending {
        let waits = pending.task.ids().any(|id| taken.contains(id));
        taken.extend(pending.task.ids().cloned());
        if waits { later.push(pending) } else { round.push(pending) }
    }
    (round, later)
}
