//! The one thread that changes things.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use musubi_model::Sequence;
use musubi_store::{Group, Outcome, RecordKind, StoreError};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::batch::{Counters, Draft, Effects};
use crate::engine::{Engine, Published, Rows, Written};
use crate::folder::Folder;
use crate::health::{Backoff, Trouble};
use crate::metrics::gauge;
use crate::options::Durability;
use crate::queue::{CommitRequest, Request};
use crate::recovery::{self, Unsynced};
use crate::store::Shared;

/// How often a full disk is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How often the figures that cost something are taken.
const FIGURES: Duration = Duration::from_secs(5);

/// The committer's own state. Everything that others see is in [`Shared`].
pub(crate) struct Committer {
    shared: Arc<Shared>,
    folder: Folder,
    counters: Counters,
    engine: Option<Arc<Engine>>,
    /// The batch at which the engine failed.
    uncertain: Option<Vec<Effects>>,
    /// What was acknowledged and is not known to be on the disk.
    unsynced: Unsynced,
    backoff: Backoff,
    /// When what was written has to be synced.
    sync_due: Option<Instant>,
    syncs: Syncs,
    figures_due: Instant,
    /// Whether something has changed since the figures were taken.
    figures_owed: bool,
}

/// The syncs that are done behind the writer.
#[derive(Debug, Default)]
struct Syncs {
    /// The number of the last one that was asked for.
    asked: u64,
    /// The number of the last one that was done.
    done: Arc<AtomicU64>,
    /// When to look whether it is done.
    look: Option<Instant>,
}

/// How often it is looked whether the disk has what it was asked to keep.
const LOOK_AT_SYNC: Duration = Duration::from_millis(50);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A batch that was not carried out.
struct Broken {
    error: Failure,
    /// What it holds, if it may have been written.
    uncertain: Option<Vec<Effects>>,
}

impl Broken {
    fn unwritten(error: impl Into<Failure>) -> Self {
        Self { error: error.into(), uncertain: None }
    }
}

/// Whether groups only say what became of changes that are in the log already. As long as that
/// cannot be written the log cannot be truncated, so a disk that is full of it would stay so. What
/// the broker knows of itself is a few bytes, once, and the ids of notifications are made with it.
pub(crate) fn is_upkeep(groups: &[Group]) -> bool {
    groups.iter().all(|group| {
        group.writes.is_empty()
            && group.evolutions.is_empty()
            && group.records.iter().all(|record| match record.key.kind {
                RecordKind::Cursor
                | RecordKind::Outbox
                | RecordKind::Ledger
                | RecordKind::DeadLetter
                | RecordKind::Occasion
                | RecordKind::Silence
                | RecordKind::Broker => true,
                RecordKind::Tenant
                | RecordKind::Subscription
                | RecordKind::AdapterState
                | RecordKind::Context
                | RecordKind::Schema
                | RecordKind::EntityMap => false,
            })
    })
}

impl Committer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        folder: Folder,
        (engine, counters): (Arc<Engine>, Counters),
    ) -> Self {
        shared.published.write().replace(Published::of(&engine));
        Self {
            shared,
            folder,
            counters,
            engine: Some(engine),
            uncertain: None,
            unsynced: Unsynced::default(),
            backoff: Backoff::new(),
            sync_due: None,
            syncs: Syncs::default(),
            figures_due: Instant::now(),
            figures_owed: true,
        }
    }

    /// Serves the queue until it is asked to end.
    pub(crate) fn run(mut self) {
        self.attend();
        loop {
            let requests = self.shared.queue.take(self.deadline());
            self.attend();
            let mut commits = Vec::new();
            for request in requests {
                match request {
                    Request::Commit(commit) => commits.push(commit),
                    Request::Truncate(upto, answer) => {
                        self.commit(std::mem::take(&mut commits));
                        self.truncate(upto, answer);
                    }
                    Request::Close(answer) => {
                        self.commit(std::mem::take(&mut commits));
                        let result = self.close();
                        let _ = answer.send(result);
                        return;
                    }
                }
            }
            self.commit(commits);
        }
    }

    /// When there is something to do without being asked.
    fn deadline(&self) -> Option<Instant> {
        if self.engine.is_none() {
            return Some(self.backoff.due());
        }
        let is_full = self.shared.health.trouble() == Some(Trouble::Full);
        let look_again = is_full.then(|| Instant::now() + LOOK_AGAIN);
        let figures = self.figures_owed.then_some(self.figures_due);
        [self.sync_due, self.syncs.look, look_again, figures].into_iter().flatten().min()
    }

    /// Does what is due.
    fn attend(&mut self) {
        let now = Instant::now();
        if self.engine.is_none() && now >= self.backoff.due() {
            self.reopen();
        }
        self.look_at_sync(now);
        if self.sync_due.is_some_and(|due| now >= due) {
            self.sync();
        }
        if self.engine.is_some() {
            let trouble = (!self.has_room()).then_some(Trouble::Full);
            if self.shared.health.trouble() != trouble {
                self.shared.health.set(trouble);
            }
        }
        self.figures(now);
    }

    fn figures(&mut self, now: Instant) {
        let Shared { metrics, health, queue, resident, .. } = &*self.shared;
        metrics.queue_length.set(gauge(queue.len()));
        metrics.healthy.set(i64::from(health.trouble().is_none()));
        metrics.log_newest.set(gauge(resident.newest().0));
        if now < self.figures_due {
            return;
        }
        self.figures_due = now + FIGURES;
        self.figures_owed = false;
        let (tenants, entities) = resident.tables.size();
        metrics.tenants.set(gauge(tenants));
        metrics.entities.set(gauge(entities));
        metrics.records.set(gauge(resident.records.len()));
        if let Ok(free) = self.folder.free_bytes() {
            metrics.disk_free_bytes.set(gauge(free));
        }
        if let Some(engine) = &self.engine {
            metrics.disk_bytes.set(gauge(engine.disk_bytes()));
            metrics.log_first.set(gauge(engine.log_first().0));
        }
    }

    fn has_room(&self) -> bool {
        let least = self.shared.options.min_free_disk;
        least == 0 || self.folder.free_bytes().map_or(true, |free| free >= least)
    }

    /// Carries out what was taken as one batch, and answers all of it.
    fn commit(&mut self, requests: Vec<CommitRequest>) {
        if requests.is_empty() {
            return;
        }
        self.figures_owed = true;
        let start = Instant::now();
        let requests = self.refuse(requests);
        let Some(engine) = self.engine.clone().filter(|_| !requests.is_empty()) else { return };
        let (groups, answers): (Vec<_>, Vec<_>) =
            requests.into_iter().map(|request| (request.groups, request.answer)).unzip();
        match self.carry_out(&engine, groups) {
            Ok(outcomes) => {
                self.shared.metrics.commit_seconds.observe(start.elapsed().as_secs_f64());
                for (answer, outcomes) in answers.into_iter().zip(outcomes) {
                    let _ = answer.send(Ok(outcomes));
                }
            }
            Err(Broken { error, uncertain }) => {
                drop(engine);
                let doing = "writing";
                let text = error.to_string();
                self.give_up(&error, uncertain);
                for answer in answers {
                    let source = text.clone().into();
                    let _ = answer.send(Err(StoreError::Unavailable { doing, source }));
                }
            }
        }
    }

    /// Answers what cannot be carried out now, and gives the rest.
    fn refuse(&self, requests: Vec<CommitRequest>) -> Vec<CommitRequest> {
        let trouble = match &self.engine {
            Some(_) => self.shared.health.trouble(),
            None => Some(self.shared.health.trouble().unwrap_or(Trouble::Failed)),
        };
        let Some(trouble) = trouble else { return requests };
        let has_reserve = self.engine.is_some() && trouble == Trouble::Full && self.has_reserve();
        let (taken, refused): (Vec<_>, Vec<_>) =
            requests.into_iter().partition(|request| has_reserve && is_upkeep(&request.groups));
        for request in refused {
            let _ = request.answer.send(Err(trouble.answer("writing")));
        }
        taken
    }

    /// Whether there is room for what helps to make room.
    fn has_reserve(&self) -> bool {
        let least = self.shared.options.min_free_disk / 2;
        self.folder.free_bytes().is_ok_and(|free| free >= least)
    }

    /// Writes a batch, makes it durable and publishes it.
    fn carry_out(
        &mut self,
        engine: &Arc<Engine>,
        requests: Vec<Vec<Group>>,
    ) -> Result<Vec<Vec<Outcome>>, Broken> {
        engine.roll(self.shared.options.log_segment).map_err(Broken::unwritten)?;
        let mut draft = Draft::new((&self.shared.resident, engine), self.counters);
        let mut count = 0_u32;
        let mut outcomes = Vec::with_capacity(requests.len());
        for groups in requests {
            count += u32::try_from(groups.len()).unwrap_or(u32::MAX);
            let done: Result<Vec<_>, _> =
                groups.into_iter().map(|group| draft.add(group)).collect();
            outcomes.push(done.map_err(Broken::unwritten)?);
        }
        let (rows, effects, counters) = draft.end();
        // Numbers are given out once, whatever becomes of the batch; but the log has no gaps.
        self.counters = Counters { newest: self.counters.newest, ..counters };
        if rows.is_empty() {
            return Ok(outcomes);
        }
        let written = match self.write(engine, rows) {
            Ok(written) => written,
            Err(error) => return Err(Broken { error, uncertain: Some(effects) }),
        };
        self.counters.newest = counters.newest;
        if self.sync_due.is_some() {
            self.unsynced.add(&effects);
        }
        engine.show(written);
        self.shared.resident.publish(effects);
        if self.sync_due.is_none() {
            self.shared.resident.set_durable(self.counters.newest);
        }
        self.shared.metrics.batch_groups.observe(f64::from(count));
        Ok(outcomes)
    }

    fn write(&mut self, engine: &Engine, rows: Rows) -> Result<Written, Failure> {
        let metrics = &self.shared.metrics;
        #[cfg(test)]
        self.shared.faults.before_write()?;
        let written = engine.write(rows)?;
        metrics.stall_seconds.inc_by(written.stalled().as_secs_f64());
        #[cfg(test)]
        self.shared.faults.before_sync()?;
        match self.shared.options.durability {
            Durability::Sync => {
                let start = Instant::now();
                engine.sync()?;
                metrics.sync_seconds.observe(start.elapsed().as_secs_f64());
            }
            Durability::Interval(interval) => {
                self.sync_due.get_or_insert_with(|| Instant::now() + interval);
            }
        }
        Ok(written)
    }

    /// Has the disk asked to keep what was written, while others go on writing.
    fn sync(&mut self) {
        self.sync_due = None;
        let Some(engine) = &self.engine else { return };
        if self.syncs.done.load(Ordering::Acquire) < self.syncs.asked {
            // The disk is still busy with what it was asked for before.
            self.sync_due = self.syncs.look;
            return;
        }
        self.syncs.asked += 1;
        self.unsynced.ask(self.syncs.asked);
        let (shared, done) = (self.shared.clone(), self.syncs.done.clone());
        let (asked, newest, start) = (self.syncs.asked, self.counters.newest, Instant::now());
        engine.sync_behind(move || {
            done.store(asked, Ordering::Release);
            shared.resident.set_durable(newest);
            shared.metrics.sync_seconds.observe(start.elapsed().as_secs_f64());
        });
        self.syncs.look = Some(start + LOOK_AT_SYNC);
    }

    /// Looks whether the disk has kept what it was asked to, and whether something behind the writer has
    /// failed.
    fn look_at_sync(&mut self, now: Instant) {
        if self.syncs.look.is_none_or(|look| now < look) {
            return;
        }
        let done = self.syncs.done.load(Ordering::Acquire);
        self.unsynced.done(done);
        self.syncs.look = (done < self.syncs.asked).then(|| now + LOOK_AT_SYNC);
        let failure = self.engine.as_ref().and_then(|engine| engine.check().err());
        if let Some(error) = failure {
            self.give_up(&error.into(), None);
        }
    }

    /// Drops what may be dropped of the log: at once, or when the tables hold what it did.
    fn truncate(&mut self, upto: Sequence, answer: oneshot::Sender<Result<(), StoreError>>) {
        let doing = "truncating the log";
        let Some(engine) = self.engine.clone() else {
            let _ = answer.send(Err(Trouble::Failed.answer(doing)));
            return;
        };
        match self.shared.holds.unless_held(|| engine.truncate(upto)) {
            None | Some(Ok(false)) => {
                let _ = answer.send(Ok(()));
            }
            Some(Ok(true)) => {
                let shared = self.shared.clone();
                engine.checkpoint_and(move |behind| {
                    let truncated = shared.holds.unless_held(|| behind.truncate(upto));
                    truncated.transpose().map(|_| {
                        let _ = answer.send(Ok(()));
                    })
                });
            }
            Some(Err(error)) => {
                drop(engine);
                let source = error.to_string().into();
                self.give_up(&error.into(), None);
                let _ = answer.send(Err(StoreError::Unavailable { doing, source }));
            }
        }
    }

    /// Drops an engine that has failed. Readers go on with what is in memory.
    fn give_up(&mut self, error: &Failure, uncertain: Option<Vec<Effects>>) {
        let reason = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::error!(error = %error, reason, "the engine failed; writes are refused");
        self.shared.metrics.failures.inc();
        let trouble = if self.has_room() { Trouble::Failed } else { Trouble::Full };
        self.shared.health.set(Some(trouble));
        self.shared.metrics.healthy.set(0);
        self.uncertain = uncertain;
        self.sync_due = None;
        // What was asked for and not begun is never done.
        self.syncs = Syncs::default();
        self.backoff = Backoff::new();
        if let Some(engine) = &self.engine {
            engine.give_up();
        }
        self.drop_engine();
    }

    fn drop_engine(&mut self) {
        let published = self.shared.published.write().take();
        if let Some(published) = published {
            published.abandon();
        }
        self.shared.lent.take_back();
        if let Some(engine) = self.engine.take() {
            engine.abandon();
        }
    }

    /// Tries to open the engine again.
    fn reopen(&mut self) {
        if !self.has_room() {
            self.shared.health.set(Some(Trouble::Full));
            return self.backoff.again();
        }
        if self.folder.has_open_journal() {
            return self.backoff.again();
        }
        match self.open_and_reconcile() {
            Ok(()) => {
                self.shared.health.set(None);
                self.shared.metrics.healthy.set(1);
                tracing::info!(newest = self.counters.newest.0, "the engine is open again");
            }
            Err(error) => {
                let reason = error.source().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(error = %error, reason, "the engine could not be opened again");
                self.shared.health.set(Some(Trouble::Failed));
                self.backoff.failed();
            }
        }
    }

    fn open_and_reconcile(&mut self) -> Result<(), Failure> {
        let opening = (&self.shared.options).into();
        let engine = Arc::new(Engine::open_again(self.folder.path(), opening)?);
        let unknown = (&mut self.uncertain, &mut self.unsynced);
        let reconciled = recovery::reconcile(&engine, &self.shared.resident, unknown);
        match reconciled {
            Ok(found) => {
                self.counters =
                    Counters { newest: found.newest, ceilings: found.ceilings, ..self.counters };
                self.shared.resident.set_durable(self.counters.newest);
                self.shared.published.write().replace(Published::of(&engine));
                self.engine = Some(engine);
                Ok(())
            }
            Err(error) => {
                engine.abandon();
                Err(error.into())
            }
        }
    }

    /// Makes everything durable and gives up the engine and the folder.
    fn close(mut self) -> Result<(), StoreError> {
        let doing = "closing";
        let result = match &self.engine {
            Some(engine) => {
                engine.sync().map_err(|error| StoreError::Failed { doing, source: error.into() })
            }
            None => Err(self.shared.health.trouble().unwrap_or(Trouble::Failed).answer(doing)),
        };
        self.shared.health.set(Some(Trouble::Closed));
        self.shared.metrics.healthy.set(0);
        for request in self.shared.queue.close() {
            match request {
                Request::Commit(request) => {
                    let _ = request.answer.send(Err(Trouble::Closed.answer("writing")));
                }
                Request::Truncate(_, answer) | Request::Close(answer) => {
                    let _ = answer.send(Err(Trouble::Closed.answer(doing)));
                }
            }
        }
        self.drop_engine();
        result
    }
}
