//! The task that follows the log.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, OptionFuture};
use musubi_store::StoreError;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::archive::Archive;
use super::shared::Progress;

/// When to try again after a failure: soon at first, then less and less often.
const FIRST_DELAY: Duration = Duration::from_millis(500);
/// How long changes gather before they are taken in together. A question takes in by itself what it
/// needs; so nobody waits for this task, and to wake it for every few commits would cost the writers.
const GATHERING: Duration = Duration::from_millis(20);
/// More often than this nobody has to look for what is not kept any more.
const SHORTEST_TIDY: Duration = Duration::from_millis(1);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// What is written at the moment.
type Job = OptionFuture<BoxFuture<'static, Result<(), StoreError>>>;

/// When something that failed is tried again.
#[derive(Debug)]
struct Retry {
    delay: Duration,
    due: Option<Instant>,
}

impl Retry {
    fn succeeded(&mut self) {
        *self = Self { delay: FIRST_DELAY, due: None };
    }

    fn failed(&mut self) {
        self.due = Some(Instant::now() + self.delay);
        self.delay = (self.delay * 2).min(LONGEST_DELAY);
    }

    fn is_waiting(&self) -> bool {
        self.due.is_some_and(|due| Instant::now() < due)
    }
}

/// What is written at the moment, of one kind, and when it is tried again if it failed.
struct Work {
    job: Job,
    is_busy: bool,
    retry: Retry,
}

impl Work {
    fn new() -> Self {
        Self { job: None.into(), is_busy: false, retry: retry() }
    }

    fn may_begin(&self) -> bool {
        !self.is_busy && !self.retry.is_waiting()
    }

    fn begin(&mut self, job: BoxFuture<'static, Result<(), StoreError>>) {
        self.job = Some(job).into();
        self.is_busy = true;
    }

    /// What was put off is tried again like what failed.
    fn ended(
        &mut self,
        done: Option<Result<(), StoreError>>,
        what: &'static str,
        is_put_off: bool,
    ) {
        self.job = None.into();
        self.is_busy = false;
        match done.unwrap_or(Ok(())) {
            Ok(()) if is_put_off => self.retry.failed(),
            done => note(done, &mut self.retry, what),
        }
    }

    async fn finish(self) {
        if self.is_busy {
            let _ = self.job.await;
        }
    }

    fn waits(&self) -> bool {
        !self.is_busy && self.retry.is_waiting()
    }
}

/// Takes in what the log says, writes segments and merges them until it is told to end. What is in
/// memory is written while a merge is under way, be it long: a question may wait for room there.
pub(super) async fn run(archive: Archive, end: CancellationToken) {
    let mut newest = archive.shared().store.newest();
    let (mut flush, mut merge, mut reading) = (Work::new(), Work::new(), retry());
    let (mut seed, mut gathered) = (Work::new(), None);
    let mut tidying = tokio::time::interval(archive.shared().options.tidy.max(SHORTEST_TIDY));
    tidying.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        begin(&archive, &mut flush, &mut merge, &mut seed);
        let upto = *newest.borrow_and_update();
        let may_read = !reading.is_waiting() && !is_full(&archive);
        let is_behind = archive.shared().state.read().applied < upto;
        let is_due = gathered.is_none_or(|at| at <= Instant::now());
        tokio::select! {
            biased;
            () = end.cancelled() => break,
            done = &mut flush.job, if flush.is_busy => {
                flush.ended(done, "a segment could not be written", false);
            }
            done = &mut merge.job, if merge.is_busy => {
                let is_put_off = archive.shared().is_put_off.load(Ordering::Relaxed);
                merge.ended(done, "segments could not be merged", is_put_off);
            }
            done = &mut seed.job, if seed.is_busy => {
                seed.ended(done, "what entities are could not be recorded", false);
            }
            done = archive.shared().advance(upto), if is_behind && may_read && is_due => {
                gathered = matches!(done, Ok(Progress::Done)).then(|| Instant::now() + GATHERING);
                note(done.map(|_| ()), &mut reading, "the log could not be read");
            }
            () = wait(gathered), if !is_due => {}
            changed = newest.changed(), if !is_behind && is_due => {
                if changed.is_err() {
                    break;
                }
            }
            _ = tidying.tick(), if !merge.is_busy && archive.has_rules() => {
                let archive = archive.clone();
                merge.begin(async move { archive.tidy().await }.boxed());
            }
            () = wait(flush.retry.due), if flush.waits() => {}
            () = wait(merge.retry.due), if merge.waits() => {}
            () = wait(seed.retry.due), if seed.waits() => {}
            () = wait(reading.due), if reading.is_waiting() => {}
        }
    }
    archive.shared().is_closing.store(true, Ordering::Relaxed);
    // What is under way comes to its end, or gives up; each may wait for what the other one holds.
    futures_util::future::join3(flush.finish(), merge.finish(), seed.finish()).await;
    archive.shared().is_closing.store(false, Ordering::Relaxed);
}

fn retry() -> Retry {
    Retry { delay: FIRST_DELAY, due: None }
}

/// Begins what has to be written now.
fn begin(archive: &Archive, flush: &mut Work, merge: &mut Work, seed: &mut Work) {
    if flush.may_begin() && archive.must_flush() {
        let archive = archive.clone();
        flush.begin(async move { archive.flush().await }.boxed());
    }
    if merge.may_begin() && archive.must_merge() {
        let archive = archive.clone();
        merge.begin(async move { archive.merge().await }.boxed());
    }
    if seed.may_begin() && archive.must_seed() {
        let archive = archive.clone();
        seed.begin(async move { archive.seed().await }.boxed());
    }
}

/// Whether the log has to wait until a segment is written.
fn is_full(archive: &Archive) -> bool {
    let limit = archive.shared().options.memory.saturating_mul(3);
    archive.shared().state.read().bytes() >= limit
}

fn note(done: Result<(), StoreError>, retry: &mut Retry, what: &'static str) {
    match done {
        Ok(()) => retry.succeeded(),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "{what}; it is tried again");
            retry.failed();
        }
    }
}

async fn wait(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due).await;
    }
}
