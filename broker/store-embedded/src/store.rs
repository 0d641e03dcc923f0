//! The store itself: the trait, and what its parts share.

use std::sync::Arc;
use std::thread::JoinHandle;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use musubi_model::{Sequence, Tenant, TypeName};
use musubi_query::EntityQuery;
use musubi_store::{
    AttributeSummary, Change, Group, Look, Outcome, Page, Record, RecordQuery, Shown, Store,
    StoreError, TypeSummary,
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{oneshot, watch};

use crate::backup::{Holds, Lent};
use crate::batch::Effects;
use crate::committer::{Committer, is_upkeep};
use crate::engine::{Engine, Published};
use crate::folder::Folder;
use crate::health::{Health, Trouble};
use crate::interner::Interner;
use crate::log::RecentChanges;
use crate::metrics::Metrics;
use crate::options::EmbeddedOptions;
use crate::pool::ScanPool;
use crate::queue::{CommitRequest, Queue, Request};
use crate::records::{self, Records};
use crate::recovery::{self, RecoveryError};
use crate::scan::{self, Step};
use crate::summaries;
use crate::tables::{SharedTable, Tables};

/// How many reads of the disk are under way at once.
const READERS: usize = 4;

/// What is in memory: nearly all that readers look at.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) tables: Tables,
    pub(crate) records: Records,
    pub(crate) recent: RecentChanges,
    pub(crate) interner: Interner,
    newest: watch::Sender<Sequence>,
    durable: watch::Sender<Sequence>,
}

/// What the committer and the callers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: EmbeddedOptions,
    pub(crate) resident: Resident,
    pub(crate) queue: Queue,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    /// The engine, for readers of the log and of records that are not resident; none while it has
    /// failed or is closed.
    pub(crate) published: RwLock<Option<Published>>,
    /// What a backup that is being made reads.
    pub(crate) lent: Lent,
    /// Who wants the log to stay as it is.
    pub(crate) holds: Holds,
    #[cfg(test)]
    pub(crate) faults: crate::tests::Faults,
}

/// The store of one machine.
///
/// Dropping it waits for what is queued, and closes it; [`close`](Self::close) does so without
/// holding up the thread.
#[derive(Debug)]
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    pool: ScanPool,
    /// For what is read from the disk, so that it waits for no scan.
    disk: ScanPool,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl Resident {
    pub(crate) fn new(
        options: &EmbeddedOptions,
        (tables, records, interner): (Tables, Records, Interner),
        newest: Sequence,
    ) -> Self {
        let recent = RecentChanges::new(options.recent_changes, options.recent_bytes);
        Self {
            tables,
            records,
            recent,
            interner,
            newest: watch::Sender::new(newest),
            durable: watch::Sender::new(newest),
        }
    }

    /// Everything until here is on the disk.
    pub(crate) fn set_durable(&self, upto: Sequence) {
        self.durable.send_if_modified(|known| std::mem::replace(known, upto) != upto);
    }

    /// The newest change that is visible.
    pub(crate) fn newest(&self) -> Sequence {
        *self.newest.borrow()
    }

    /// Makes visible what is durable: state, records, log, and then the news of it. A group's
    /// entities of one tenant appear at once.
    pub(crate) fn publish(&self, batch: Vec<Effects>) {
        let mut newest = self.newest();
        for effects in batch {
            for run in effects.entities.chunk_by(|(one, ..), (other, ..)| one == other) {
                let Some((tenant, ..)) = run.first() else { continue };
                let table = self.tables.of(tenant);
                let mut table = table.write();
                for (_, id, found) in run {
                    match found {
                        Some(found) => table.put(found),
                        None => table.remove(id),
                    }
                }
            }
            self.records.apply(effects.records);
            for (change, bytes) in effects.changes {
                newest = change.sequence;
                self.recent.push(change, bytes);
            }
        }
        self.newest.send_if_modified(|known| std::mem::replace(known, newest) != newest);
    }
}

impl EmbeddedStore {
    /// Opens the store in the folder, or makes one there, and reads it into memory. Blocks until
    /// that is done: a few seconds for a million entities.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] with an [`OpenError`](crate::OpenError) behind it if the folder is in
    /// use, is of another format or holds a row that cannot be read, and with another error behind
    /// it if the disk or the engine fails.
    pub fn open(options: EmbeddedOptions) -> Result<Self, StoreError> {
        let failed = |doing| move |source| StoreError::Failed { doing, source };
        let folder = Folder::claim(&options.path).map_err(failed("opening the data folder"))?;
        let engine = Engine::open(folder.path(), (&options).into())
            .map_err(|error| failed("opening the engine")(error.into()))?;
        let (resident, counters) = recovery::load(&engine, &options)
            .map_err(|error| failed("reading the entities into memory")(error.into()))?;
        let pool = ScanPool::new(options.scans);
        let shared = Arc::new(Shared {
            options,
            resident,
            queue: Queue::new(),
            health: Health::new(),
            metrics: Metrics::new(),
            published: RwLock::new(None),
            lent: Lent::default(),
            holds: Holds::default(),
            #[cfg(test)]
            faults: crate::tests::Faults::default(),
        });
        let committer = Committer::new(shared.clone(), folder, (Arc::new(engine), counters));
        let thread = std::thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn({
                let end = End(shared.clone());
                move || {
                    committer.run();
                    drop(end);
                }
            })
            .map_err(|error| failed("starting the committer")(error.into()))?;
        let disk = ScanPool::new(READERS);
        Ok(Self { shared, pool, disk, committer: Mutex::new(Some(thread)) })
    }

    /// Carries out what is queued, makes everything durable and closes the store. Reads of what is in
    /// memory go on; writes and other reads are answered [`StoreError::Unavailable`] from then on.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine has failed, or fails in this. What was acknowledged is as safe
    /// as its durability says in any case.
    pub async fn close(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.shared.queue.push_close(answer);
        answered.await.unwrap_or(Ok(()))
    }

    /// The store's metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Whether writes are taken, and a way to wait for that to change. They are not while the disk
    /// is full, and while the engine has failed and is being opened again.
    pub fn healthy(&self) -> watch::Receiver<bool> {
        self.shared.health.watch()
    }

    /// Whether the store takes no writes any more, and a way to wait for that: it was closed, or
    /// the committer has ended by a bug. Only to open it again helps then.
    pub fn ended(&self) -> watch::Receiver<bool> {
        self.shared.health.watch_end()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn table(&self, tenant: &Tenant) -> Option<SharedTable> {
        self.shared.resident.tables.get(tenant)
    }

    /// Looks at the entities that have to be looked at: a few here, more in the pool.
    fn finish<'a>(
        &'a self,
        step: Step<'a>,
        table: SharedTable,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        let scan = match step {
            Step::Done(page) => return ready(Ok(page)).boxed(),
            Step::Look(scan) => scan,
        };
        match scan.run_inline(&table) {
            Ok(page) => ready(Ok(page)).boxed(),
            Err(scan) => {
                let scan = scan.into_owned();
                let options = &self.shared.options;
                let (limit, after) = (options.query_time_limit, options.index_after);
                self.pool.run("scanning", move || scan.run(&table, limit, after)).boxed()
            }
        }
    }

    /// Reads from the disk, beside the runtime.
    fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&Published) -> Result<T, RecoveryError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let Some(published) = self.shared.published.read().clone() else {
            let trouble = self.shared.health.trouble().unwrap_or(Trouble::Failed);
            return ready(Err(trouble.answer(doing))).boxed();
        };
        let work = move || {
            let found = read(&published);
            published.abandon();
            found.map_err(|error| StoreError::Failed { doing, source: error.into() })
        };
        self.disk.run(doing, work).boxed()
    }
}

/// The end of the committer. If it has panicked, nobody would be answered any more: what waits and
/// what comes is refused.
#[derive(Debug)]
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        let Shared { health, metrics, queue, .. } = &*self.0;
        health.set(Some(Trouble::Closed));
        metrics.healthy.set(0);
        // Who waits for an answer hears of it when the way back is dropped.
        drop(queue.close());
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        let (answer, _) = oneshot::channel();
        self.shared.queue.push_close(answer);
        if let Some(thread) = self.committer.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the committer panicked");
        }
    }
}

impl Store for EmbeddedStore {
    fn commit(&self, groups: Vec<Group>) -> BoxFuture<'_, Result<Vec<Outcome>, StoreError>> {
        let doing = "writing";
        if groups.is_empty() {
            return ready(Ok(Vec::new())).boxed();
        }
        if let Some(trouble) = self.shared.health.trouble()
            && !(trouble == Trouble::Full && is_upkeep(&groups))
        {
            return ready(Err(trouble.answer(doing))).boxed();
        }
        async move {
            let (answer, answered) = oneshot::channel();
            let request = Request::Commit(CommitRequest { groups, answer });
            let queued = self.shared.queue.push(request).await;
            queued.map_err(|_| Trouble::Closed.answer(doing))?;
            answered.await.map_err(|_| Trouble::Closed.answer(doing))?
        }
        .boxed()
    }

    fn select<'a>(
        &'a self,
        tenant: &'a Tenant,
        query: &'a EntityQuery,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        let Some(table) = self.table(tenant) else {
            return ready(Ok(Page { total: query.count.then_some(0), ..Page::default() })).boxed();
        };
        // The lock is let go before anything is looked at.
        let step = scan::begin(&table.read(), query, self.shared.options.index_after);
        self.finish(step, table)
    }

    fn show<'a>(
        &'a self,
        tenant: &'a Tenant,
        query: &'a EntityQuery,
        look: &'a mut Look<'a>,
    ) -> BoxFuture<'a, Result<Shown, StoreError>> {
        let Some(table) = self.table(tenant) else {
            look(&[]);
            let total = query.count.then_some(0);
            return ready(Ok(Shown { total, ..Shown::default() })).boxed();
        };
        let lent = scan::lend(&table.read(), query, self.shared.options.index_after, look);
        match lent {
            Ok(shown) => ready(Ok(shown)).boxed(),
            Err(Step::Done(page)) => ready(Ok(page.show(look))).boxed(),
            Err(step) => {
                let found = self.finish(step, table);
                async move { Ok(found.await?.show(look)) }.boxed()
            }
        }
    }

    fn types<'a>(
        &'a self,
        tenant: &'a Tenant,
    ) -> BoxFuture<'a, Result<Vec<TypeSummary>, StoreError>> {
        let Some(table) = self.table(tenant) else { return ready(Ok(Vec::new())).boxed() };
        let limit = self.shared.options.query_time_limit;
        if summaries::is_little(&table) {
            return ready(summaries::types(&table, limit)).boxed();
        }
        self.pool.run("listing types", move || summaries::types(&table, limit)).boxed()
    }

    fn attributes<'a>(
        &'a self,
        tenant: &'a Tenant,
        of_type: Option<&'a TypeName>,
    ) -> BoxFuture<'a, Result<Vec<AttributeSummary>, StoreError>> {
        let Some(table) = self.table(tenant) else { return ready(Ok(Vec::new())).boxed() };
        let limit = self.shared.options.query_time_limit;
        if summaries::is_little(&table) {
            return ready(summaries::attributes(&table, of_type, limit)).boxed();
        }
        let of_type = of_type.cloned();
        let summarize = move || summaries::attributes(&table, of_type.as_ref(), limit);
        self.pool.run("listing attributes", summarize).boxed()
    }

    fn changes(
        &self,
        after: Sequence,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Change>>, StoreError>> {
        let doing = "reading the log";
        let newest = self.shared.resident.newest();
        if after >= newest || limit == 0 {
            return ready(Ok(Vec::new())).boxed();
        }
        if let Some(changes) = self.shared.resident.recent.after(after, limit) {
            return ready(Ok(changes)).boxed();
        }
        self.read(doing, move |published| {
            recovery::read_changes(published.engine(), (after, newest), limit)
        })
    }

    fn newest(&self) -> watch::Receiver<Sequence> {
        self.shared.resident.newest.subscribe()
    }

    fn durable(&self) -> watch::Receiver<Sequence> {
        self.shared.resident.durable.subscribe()
    }

    fn truncate(&self, upto: Sequence) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let closed = || Trouble::Closed.answer("truncating the log");
            let (answer, answered) = oneshot::channel();
            let queued = self.shared.queue.push(Request::Truncate(upto, answer)).await;
            queued.map_err(|_| closed())?;
            answered.await.map_err(|_| closed())?
        }
        .boxed()
    }

    fn records<'a>(
        &'a self,
        query: &'a RecordQuery,
    ) -> BoxFuture<'a, Result<Vec<Record>, StoreError>> {
        if records::is_resident(query.kind) {
            return ready(Ok(self.shared.resident.records.select(query))).boxed();
        }
        let query = query.clone();
        self.read("reading records", move |published| records::read(published, &query))
    }
}
