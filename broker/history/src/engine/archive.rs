//! The history, as others know it.

use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_model::{AttrName, EntityId, InstanceNumber, Recorded, Sequence, Tenant, Timestamp};
use musubi_query::{EvolutionPage, TemporalQuery, TimeRelation};
use musubi_store::{History, HistoryError, Outline, Store, StoreError};
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use super::frozen::Frozen;
use super::install::WriteError;
use super::merge;
use super::shared::Shared;
use crate::OpenError;
use crate::folder::Folder;
use crate::manifest::{Listed, Manifest};
use crate::metrics::Metrics;
use crate::options::HistoryOptions;
use crate::read::{self, Deadline, View};

/// The temporal evolutions of all entities of a store, in a folder of their own. A clone is the same
/// history.
#[derive(Clone, Debug)]
pub struct Archive {
    shared: Arc<Shared>,
}

/// What a folder was found to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many segments.
    pub segments: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// The last change of the log that is in them.
    pub cursor: Sequence,
    /// The last change of which it is known that it, or one before it, is missing.
    pub gap: Option<Sequence>,
}

/// What a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The last change of the log that is in the segments.
    pub cursor: Sequence,
    /// The last change of which it is known that it, or one before it, is missing.
    pub gap: Option<Sequence>,
    /// The names of the segments' files, and how many bytes each has.
    pub files: Vec<(String, u64)>,
}

impl Archive {
    /// The name of the file that says which segments there are.
    pub const MANIFEST: &str = crate::manifest::NAME;

    /// Reads a folder that no broker has open, from end to end, and compares all checksums. Blocks
    /// until that is done.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the folder is in use, or one of its files is damaged, missing or of another
    /// format.
    pub fn verify_folder(path: &Path) -> Result<Verified, OpenError> {
        Shared::verify_folder(path)
    }

    /// Reads what a file [`MANIFEST`](Self::MANIFEST) holds, be it in a folder or not.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it is damaged, or of another format.
    pub fn listed(manifest: &[u8]) -> Result<Listing, OpenError> {
        let manifest = Manifest::from_bytes(manifest, Path::new(Self::MANIFEST))?;
        let file = |listed: &Listed| (Folder::segment_name(listed.id), listed.bytes);
        Ok(Listing {
            cursor: manifest.cursor,
            gap: manifest.gap(),
            files: manifest.segments.iter().map(file).collect(),
        })
    }

    /// Opens the history in the folder, or begins one there. The log is read when somebody asks, and
    /// by [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the folder is in use, one of its files is damaged, missing or of another
    /// format, or it is not the history of this store.
    pub fn open(options: HistoryOptions, store: Arc<dyn Store>) -> Result<Self, OpenError> {
        Ok(Self { shared: Arc::new(Shared::open(options, store)?) })
    }

    /// Follows the log until it is told to end: takes its changes in, writes segments and merges
    /// them. Without it answers are right all the same, but nothing is ever written.
    pub async fn run(self, end: CancellationToken) {
        super::task::run(self, end).await;
    }

    /// The figures of this history, to be registered.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The last change of which it is known that it, or one before it, is missing, because the log
    /// did not hold it any more when it was read.
    pub fn gap(&self) -> Option<Sequence> {
        self.shared.state.read().manifest.gap()
    }

    /// The last change that is in a segment.
    pub fn cursor(&self) -> Sequence {
        self.shared.state.read().manifest.cursor
    }

    /// Writes what is in memory as a segment.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] if it could not be written; nothing is lost then.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let alone = self.shared.flushing.clone().lock_owned().await;
        let Some((table, upto)) = self.shared.freeze_table().await else { return Ok(()) };
        self.shared.until_durable(upto).await?;
        self.write_alone(alone, move |shared| {
            let begun = tokio::time::Instant::now();
            let done = shared.write_table(&table, upto);
            shared.metrics.flush_seconds.inc_by(begun.elapsed().as_secs_f64());
            done
        })
        .await
    }

    /// Takes in all that was committed, writes it as a segment, and makes one segment of all.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the log could not be read or a segment not be written, or there is not enough
    /// room on the disk; nothing is lost then.
    pub async fn compact(&self) -> Result<(), StoreError> {
        self.shared.catch_up().await?;
        self.flush().await?;
        self.merge_where(|count| (count > 1).then_some(0..count)).await
    }

    /// Reads every segment and compares all checksums. Blocks until that is done.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] if one is damaged or cannot be read.
    pub fn verify(&self) -> Result<(), StoreError> {
        let segments = self.shared.state.read().segments.clone();
        let verified = |live: &Arc<crate::live::LiveSegment>| live.segment().verify();
        segments.iter().try_for_each(verified).map_err(|error| StoreError::Failed {
            doing: "reading a segment of the history",
            source: error.into(),
        })
    }

    /// The segments as they are now, for the one who copies them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] if the manifest cannot be put into bytes.
    pub fn freeze(&self) -> Result<Frozen, StoreError> {
        self.shared.freeze().map_err(|error| WriteError::from(error).into())
    }

    /// Whether it is time to write what is in memory.
    pub(super) fn must_flush(&self) -> bool {
        let (state, options) = (self.shared.state.read(), &self.shared.options);
        let length = state.applied.0.saturating_sub(state.manifest.cursor.0);
        state.frozen.is_some()
            || state.active.bytes() >= options.memory
            || length > options.log_length
    }

    /// Whether there are segments that are to become one.
    pub(super) fn must_merge(&self) -> bool {
        let width = self.shared.options.merge_width;
        merge::due(&self.shared.state.read().segments, width).is_some()
    }

    /// Merges what is to be merged next, if anything is and there is room for it on the disk.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] if the merged segment could not be written; nothing is lost then.
    pub async fn merge(&self) -> Result<(), StoreError> {
        self.rewrite(|shared| {
            let width = shared.options.merge_width;
            let due = merge::due(&shared.state.read().segments, width);
            due.map_or(Ok(()), |range| or_put_off(timed_merge(shared, range)))
        })
        .await
    }

    /// Rewrites segments that hold what is not kept any more, if it pays.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] if one could not be written; nothing is lost then.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        self.rewrite(|shared| {
            let begun = tokio::time::Instant::now();
            let done = or_put_off(shared.tidy());
            shared.metrics.merge_seconds.inc_by(begun.elapsed().as_secs_f64());
            done
        })
        .await
    }

    /// Whether anything is ever dropped because of its age.
    pub(super) fn has_rules(&self) -> bool {
        self.shared.options.retention.iter().any(|rule| rule.keep.is_some())
    }

    async fn merge_where(
        &self,
        range: impl FnOnce(usize) -> Option<std::ops::Range<usize>> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.rewrite(|shared| {
            let count = shared.state.read().segments.len();
            range(count).map_or(Ok(()), |range| timed_merge(shared, range))
        })
        .await
    }

    /// The moment before which changes are missing, if such a range reaches before it.
    fn missing(&self, times: Option<TimeRelation>) -> Option<Timestamp> {
        let until = self.shared.state.read().manifest.gap_until?;
        let is_reached = match times {
            None | Some(TimeRelation::Before(_)) => true,
            Some(TimeRelation::After(start) | TimeRelation::Between(start, _)) => start < until,
        };
        is_reached.then_some(until)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Does something with what was written before, with nobody else who does; what is in memory may be
    /// written meanwhile. A caller that goes away does not end it. What is to be rolled up must not
    /// have been corrected meanwhile: so all corrections are read that there are.
    async fn rewrite(
        &self,
        work: impl FnOnce(&Shared) -> Result<(), WriteError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let alone = self.shared.merging.clone().lock_owned().await;
        if self.has_rules() {
            self.shared.catch_up().await?;
        }
        self.write_alone(alone, work).await
    }

    /// Does something with the segments, for the one who has the right to. A caller that goes away does
    /// not end it.
    async fn write_alone(
        &self,
        alone: OwnedMutexGuard<()>,
        work: impl FnOnce(&Shared) -> Result<(), WriteError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&shared);
            drop((alone, shared));
            done
        });
        let failed = |error: tokio::task::JoinError| StoreError::Failed {
            doing: "writing a segment of the history",
            source: error.into(),
        };
        let done = done.await.map_err(failed)?;
        if let Err(error) = &done
            && !matches!(error, WriteError::Closing)
        {
            self.shared.metrics.failures.inc();
            self.shared.show(&self.shared.state.read());
        }
        Ok(done?)
    }

    /// Answers something on a thread for what takes long, from all that was committed before.
    async fn read<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        tenant: &Tenant,
        work: impl FnOnce(&View, &Deadline) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let doing = "reading the history";
        let failed = |source| E::from(StoreError::Failed { doing, source });
        let options = &self.shared.options;
        self.shared.catch_up().await?;
        let permit = self.shared.turns.take(tenant, options.query_time_limit).await?;
        let view = self.shared.view();
        let (instances, bytes) = (options.entity_instances, options.entity_bytes);
        let deadline = Deadline::after(options.query_time_limit, instances, bytes);
        let done = tokio::task::spawn_blocking(move || {
            let answer = work(&view, &deadline);
            drop((view, permit));
            answer
        });
        done.await.map_err(|error| failed(error.into()))?
    }
}

/// What was put off for want of room on the disk is done later.
fn or_put_off(done: Result<(), WriteError>) -> Result<(), WriteError> {
    match done {
        Err(WriteError::NoRoom) => Ok(()),
        done => done,
    }
}

fn timed_merge(shared: &Shared, range: std::ops::Range<usize>) -> Result<(), WriteError> {
    let begun = tokio::time::Instant::now();
    let done = shared.merge(range);
    shared.metrics.merge_seconds.inc_by(begun.elapsed().as_secs_f64());
    done
}

impl History for Archive {
    fn evolutions<'a>(
        &'a self,
        tenant: &'a Tenant,
        query: &'a TemporalQuery,
    ) -> BoxFuture<'a, Result<EvolutionPage, HistoryError>> {
        let (own, query) = (tenant.clone(), query.clone());
        async move {
            let times = query.range;
            let work = move |view: &View, deadline: &Deadline| {
                read::evolutions(view, &own, &query, deadline)
            };
            let answer = self.read(tenant, work).await;
            answer.map(|page| EvolutionPage { incomplete_before: self.missing(times), ..page })
        }
        .boxed()
    }

    fn outline<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a EntityId,
    ) -> BoxFuture<'a, Result<Option<Outline>, StoreError>> {
        let (own, id) = (tenant.clone(), id.clone());
        self.read(tenant, move |view, deadline| read::outline(view, &own, &id, deadline)).boxed()
    }

    fn instance<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a EntityId,
        attribute: &'a AttrName,
        number: InstanceNumber,
    ) -> BoxFuture<'a, Result<Option<Recorded>, StoreError>> {
        let (own, id, attribute) = (tenant.clone(), id.clone(), attribute.clone());
        self.read(tenant, move |view, _| read::instance(view, &own, (&id, &attribute), number))
            .boxed()
    }

    fn needed_from(&self) -> Sequence {
        Sequence(self.cursor().0.saturating_add(1))
    }
}
