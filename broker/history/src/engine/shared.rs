//! What the handle, the task and the readers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use musubi_model::{Clock as _, Sequence, SystemClock};
use musubi_store::{Change, Store, StoreError, Subject};
use parking_lot::RwLock;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::faults::Faults;
use super::turns::Turns;
use crate::folder::Folder;
use crate::live::LiveSegment;
use crate::manifest::Manifest;
use crate::metrics::{Metrics, gauge};
use crate::options::HistoryOptions;
use crate::read::View;
use crate::recent::Recent;
use crate::retention::Retention;

/// The most changes that are taken in under one lock, and how many at first.
const MOST_CHANGES: usize = 256;
const FIRST_CHANGES: usize = 32;

/// Bytes, about, that the changes of a batch are to hold: with much less the next one has more of them,
/// with more it has fewer.
const BATCH_BYTES: usize = 4 << 20;

/// What the handle, the task and the readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: HistoryOptions,
    pub(super) store: Arc<dyn Store>,
    pub(super) folder: Folder,
    pub(super) metrics: Metrics,
    pub(super) state: RwLock<State>,
    /// Whoever writes what is in memory holds it: one at a time.
    pub(super) flushing: Arc<Mutex<()>>,
    /// Whoever replaces segments holds it: one at a time, beside the one who writes what is in memory.
    pub(super) merging: Arc<Mutex<()>>,
    /// Whoever reads the log and takes in what it says, or takes the table away, holds it. Those who
    /// ask do not: what they read is of one moment by itself.
    pub(super) applier: Mutex<()>,
    /// Held from the reading of the manifest until the next one counts.
    pub(super) installing: parking_lot::Mutex<()>,
    pub(super) turns: Turns,
    /// Told when a segment was written, so that there is room in memory.
    pub(super) room: Notify,
    /// Whether the last merge was put off, because there is not enough room on the disk.
    pub(super) is_put_off: AtomicBool,
    /// How many changes the next batch has.
    pub(super) batch: AtomicUsize,
    /// Whether a merge gives up, because the process ends.
    pub(super) is_closing: AtomicBool,
    pub(super) faults: Faults,
}

/// What there is at a moment.
#[derive(Debug)]
pub(super) struct State {
    /// What takes in the changes after those of the frozen table.
    pub(super) active: Arc<Recent>,
    /// What is being written as a segment, and the last change in it.
    pub(super) frozen: Option<(Arc<Recent>, Sequence)>,
    pub(super) segments: Arc<[Arc<LiveSegment>]>,
    pub(super) manifest: Manifest,
    /// The last change that was taken in.
    pub(super) applied: Sequence,
    /// Segments whose writing did not come to its end, though a manifest on the disk may name them
    /// until the next one is written.
    pub(super) abandoned: Vec<u64>,
}

/// Why nothing more is taken in.
#[derive(Debug, thiserror::Error)]
#[error("the memory for what is in no segment is used up, because segments cannot be written")]
struct MemoryFull;

/// How far the log has been taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// As far as was asked for.
    Done,
    /// Not as far.
    More,
    /// Not as far, and there is no room for more until a segment has been written.
    Full,
}

impl Shared {
    /// How many changes the first batch has.
    pub(super) fn first_batch() -> AtomicUsize {
        AtomicUsize::new(FIRST_CHANGES)
    }
}

impl State {
    /// Bytes that are in no segment, about.
    pub(super) fn bytes(&self) -> usize {
        let frozen = self.frozen.as_ref().map_or(0, |(table, _)| table.bytes());
        self.active.bytes().saturating_add(frozen)
    }
}

impl Shared {
    /// What there is now.
    pub(super) fn view(&self) -> View {
        self.view_at(self.options.clock.now().as_micros())
    }

    /// What there is now, with instances as old as they were at that moment.
    pub(super) fn view_at(&self, now: i64) -> View {
        let retention = Retention::at(&self.options.retention, now);
        let state = self.state.read();
        let frozen = state.frozen.iter().map(|(table, _)| table.clone());
        let tables = frozen.chain([state.active.clone()]).collect();
        View { segments: state.segments.clone(), tables, retention }
    }

    /// Takes in everything that the store had committed before this call. Where there is no room for
    /// it, waits until there is, as long as a question may take.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        let newest = *self.store.newest().borrow();
        let latest = Instant::now() + self.options.query_time_limit;
        loop {
            let room = self.room.notified();
            match self.advance(newest).await? {
                Progress::Done => return Ok(()),
                Progress::More => {}
                Progress::Full => {
                    tokio::time::timeout_at(latest, room).await.map_err(|_| {
                        let doing = "reading the history";
                        StoreError::Unavailable { doing, source: MemoryFull.into() }
                    })?;
                }
            }
        }
    }

    /// Takes in some of the changes up to `newest`. Any number may ask for it at once: each change
    /// counts once.
    pub(super) async fn advance(&self, newest: Sequence) -> Result<Progress, StoreError> {
        if self.state.read().applied >= newest {
            return Ok(Progress::Done);
        }
        let _alone = self.applier.lock().await;
        let after = {
            let state = self.state.read();
            if state.applied >= newest {
                return Ok(Progress::Done);
            }
            if state.bytes() >= self.options.memory.saturating_mul(4) {
                return Ok(Progress::Full);
            }
            state.applied
        };
        let count = self.batch.load(Ordering::Relaxed).clamp(1, MOST_CHANGES);
        let changes = self.store.changes(after, count).await?;
        let bytes: usize = changes.iter().map(|change| size(change)).sum();
        let next = if bytes > BATCH_BYTES { count / 2 } else { count * 2 };
        self.batch.store(next.clamp(1, MOST_CHANGES), Ordering::Relaxed);
        let applied = self.apply(after, &changes, newest);
        Ok(if applied < newest { Progress::More } else { Progress::Done })
    }

    /// Takes in what was read, for the one who holds the applier.
    fn apply(&self, after: Sequence, changes: &[Arc<Change>], newest: Sequence) -> Sequence {
        let active = self.state.read().active.clone();
        let (mut applied, mut gap) = (after, None);
        if changes.is_empty() {
            // The log does not hold any of them any more.
            tell_gap(applied, newest);
            gap = Some((newest, SystemClock.now()));
            applied = newest;
        }
        for change in changes {
            let sequence = change.sequence;
            if sequence <= applied {
                continue;
            }
            if sequence.0 > applied.0.saturating_add(1) {
                let missing = Sequence(sequence.0 - 1);
                tell_gap(applied, missing);
                gap = Some((missing, change.time));
            }
            active.apply(change);
            applied = sequence;
        }
        let mut state = self.state.write();
        state.applied = applied;
        if let Some((upto, until)) = gap {
            state.manifest.gap_upto = upto;
            state.manifest.gap_until = Some(until);
        }
        self.show(&state);
        drop(state);
        self.metrics.lag.set(gauge(newest.0.saturating_sub(applied.0)));
        applied
    }

    /// Brings the metrics up to date.
    pub(super) fn show(&self, state: &State) {
        let metrics = &self.metrics;
        let frozen = state.frozen.as_ref().map_or(0, |(table, _)| table.instances());
        metrics.recent_instances.set(gauge(state.active.instances().saturating_add(frozen)));
        metrics.recent_bytes.set(gauge(state.bytes()));
        metrics.cursor.set(gauge(state.manifest.cursor.0));
        metrics.gap.set(i64::from(state.manifest.gap_upto > Sequence(0)));
        let damaged = state.segments.iter().filter(|live| live.is_damaged());
        metrics.damaged.set(gauge(damaged.count()));
        metrics.segments.set(gauge(state.segments.len()));
        let bytes = state.manifest.segments.iter().map(|listed| listed.bytes).sum::<u64>();
        metrics.disk_bytes.set(gauge(bytes));
        let instances = state.segments.iter().map(|live| live.segment().summary().stats.count);
        metrics.instances.set(gauge(instances.sum::<u64>()));
        let roll_ups = state.segments.iter().map(|live| live.segment().summary().rollups);
        metrics.roll_ups.set(gauge(roll_ups.sum::<u64>()));
    }
}

/// Says that the changes after one and up to another, some or all, are missing.
fn tell_gap(after: Sequence, upto: Sequence) {
    tracing::error!(
        after = after.0,
        upto = upto.0,
        "the log does not reach back to what the history needs: it has a gap"
    );
}

/// About how much text a change holds, in bytes.
fn size(change: &Change) -> usize {
    match &change.subject {
        Subject::Entity(change) => change.after.as_ref().map_or(0, |entity| entity.text_size()),
        Subject::Record(record) => record.value.as_ref().map_or(0, |value| value.len()),
        Subject::Evolution(change) => change.text_size(),
    }
}
