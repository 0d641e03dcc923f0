//! Tables of open shelters, read from files or an address, applied in the order of the moments
//! of which they speak.

mod made;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use musubi_adapter_kit::{
    AdapterError, DeadLetter, Encoding, Item, Preview, Settled, SinkError, Skip,
};
use musubi_model::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Base;
use super::remembered::{Applied, applied, is_refused, refusal};
use crate::files::{FoundFile, Place, Reading, Unread, fetch, list, read};
use crate::snapshot::Snapshot;
use made::make;

/// How often a watched folder is looked at.
const WATCH: Duration = Duration::from_secs(2);
/// How often a watched address is asked.
const POLL: Duration = Duration::from_mins(1);
/// How often everything is tried when it is to be worked through once.
const TRIES: u32 = 6;

/// A place with tables.
#[derive(Debug)]
pub(super) struct Tables {
    base: Arc<Base>,
    place: Place,
    encoding: Encoding,
    watch: bool,
    /// What the files say that have been read. The lock makes one pass follow the other.
    seen: tokio::sync::Mutex<HashMap<FoundFile, Seen>>,
}

/// What a file says, as far as it has to be remembered to read it once only.
#[derive(Clone, Debug)]
enum Seen {
    /// It is a table of this moment, and this is the sign of its bytes.
    Table { at: Timestamp, mark: String },
    /// It cannot be used.
    Refused,
}

impl Tables {
    pub(super) fn new(base: Arc<Base>, place: Place, encoding: Encoding, watch: bool) -> Self {
        Self { base, place, encoding, watch, seen: tokio::sync::Mutex::default() }
    }

    /// Works until `shutdown`.
    pub(super) async fn run(&self, shutdown: &CancellationToken) {
        match (&self.place, self.watch) {
            (Place::Path(path), true) => self.watch(path, shutdown).await,
            (Place::Url(_), true) => loop {
                // Without a limit of tries it ends well, or is stopped.
                let _ = self.persist(u32::MAX, shutdown).await;
                if is_stopped(POLL, shutdown).await {
                    return;
                }
            },
            (Place::Path(_) | Place::Url(_), false) => {
                let _ = self.persist(u32::MAX, shutdown).await;
                shutdown.cancelled().await;
            }
        }
    }

    /// Works through what is there now.
    ///
    /// # Errors
    ///
    /// [`AdapterError`] if that does not work for some time.
    pub(super) async fn run_once(&self) -> Result<(), AdapterError> {
        let worked = self.persist(TRIES, &CancellationToken::new()).await;
        worked.map_err(|reason| self.base.error(&reason))
    }

    /// Shows what of the files that are there now would be written, of at most `limit` of them.
    pub(super) async fn preview(&self, limit: usize, preview: &mut Preview) -> Result<(), String> {
        let said = |error: SinkError| error.to_string();
        let mut readings = Vec::new();
        match &self.place {
            Place::Url(url) => readings.push(self.fetch(url).await?),
            Place::Path(path) => {
                for file in self.list(path).await?.iter().take(limit) {
                    readings.push(read(file, self.encoding).await.map_err(|why| why.to_string())?);
                }
            }
        }
        readings.sort_by_key(|reading| {
            let at = reading.snapshot.as_ref().ok().map(|snapshot| snapshot.at);
            (at, reading.written)
        });
        let mut before = applied(&self.base).await.map_err(said)?;
        for reading in &readings {
            match &reading.snapshot {
                Err(reason) => preview.skip(&reading.origin, Skip::UNREADABLE, reason.clone()),
                Ok(snapshot) if self.base.is_future(snapshot.at) => {
                    preview.skip(
                        &reading.origin,
                        Skip::BAD_TIME,
                        future(&reading.origin, snapshot.at),
                    );
                }
                Ok(snapshot) if !before.awaits(snapshot.at, &reading.mark) => {
                    preview.skip(&reading.origin, Skip::LATE, "it, or a newer one, was applied");
                }
                Ok(snapshot) => {
                    let made = make(&self.base, reading, snapshot, &before).await.map_err(said)?;
                    let (pipeline, tenant) = (&self.base.pipeline, &self.base.tenant);
                    pipeline.preview(tenant, vec![made.item], preview).await.map_err(said)?;
                    before = made.applied;
                }
            }
        }
        Ok(())
    }

    /// Takes the file of a dead letter once more.
    pub(super) async fn replay(&self, origin: &str, payload: Bytes) -> Result<(), String> {
        if payload.len() >= DeadLetter::MAX_PAYLOAD {
            return Err(
                "the letter may hold only the beginning of the file; put the file back".to_owned()
            );
        }
        let said = |error: SinkError| error.to_string();
        let unknown = Timestamp::default();
        let mut reading = Reading::of(origin.to_owned(), payload, unknown, self.encoding);
        // If it is refused again, that is the same letter.
        reading.written = reading.snapshot.as_ref().map_or(unknown, |snapshot| snapshot.at);
        let snapshot = reading.snapshot.as_ref().map_err(Clone::clone)?;
        if self.base.is_future(snapshot.at) {
            return Err(future(origin, snapshot.at));
        }
        let _one_at_a_time = self.seen.lock().await;
        let mut before = applied(&self.base).await.map_err(said)?;
        if !before.awaits(snapshot.at, &reading.mark) {
            return Err("it, or a newer table, has been applied".to_owned());
        }
        self.apply(&reading, snapshot, &mut before).await.map_err(said)?
    }

    /// Looks at a path again and again. A folder is left alone until it rests, because a file
    /// that is still being written may look whole.
    async fn watch(&self, path: &Path, shutdown: &CancellationToken) {
        let mut before = None;
        let mut done = None;
        let mut failures = 0;
        loop {
            let now = list(path).await;
            let worked = match &now {
                Ok(files) if before.as_ref() == Some(files) && done.as_ref() != Some(files) => {
                    self.work_through(files, shutdown).await.map(|()| done = Some(files.clone()))
                }
                Ok(_) => Ok(()),
                Err(reason) => Err(reason.clone()),
            };
            failures = match worked {
                Ok(()) => 0,
                Err(reason) => self.failed(failures, &reason),
            };
            before = now.ok();
            if is_stopped(pause(failures).max(WATCH), shutdown).await {
                return;
            }
        }
    }

    /// Works through what is there now until it works, or `tries` are used up, or `shutdown`.
    async fn persist(&self, tries: u32, shutdown: &CancellationToken) -> Result<(), String> {
        let mut failures = 0;
        loop {
            let worked = match &self.place {
                Place::Path(path) => match self.list(path).await {
                    Ok(files) => self.work_through(&files, shutdown).await,
                    Err(reason) => Err(reason),
                },
                Place::Url(url) => self.ask(url).await,
            };
            let Err(reason) = worked else { return Ok(()) };
            failures = self.failed(failures, &reason);
            if failures >= tries {
                return Err(reason);
            }
            if is_stopped(pause(failures), shutdown).await {
                return Ok(());
            }
        }
    }

    fn failed(&self, before: u32, reason: &str) -> u32 {
        let attempt = before.saturating_add(1);
        tracing::warn!(
            adapter = self.base.name,
            attempt,
            reason,
            "tables of shelters could not be worked through"
        );
        self.base.counters.failed(self.base.services.clock.now(), reason);
        self.base.counters.retried();
        attempt
    }

    /// The files at a path, of which there has to be one.
    async fn list(&self, path: &Path) -> Result<Vec<FoundFile>, String> {
        let files = list(path).await?;
        if files.is_empty() {
            return Err(format!("{} has no CSV files", path.display()));
        }
        Ok(files)
    }

    async fn fetch(&self, url: &url::Url) -> Result<Reading, String> {
        let services = &self.base.services;
        fetch(url, self.encoding, &services.client, services.clock.now()).await
    }

    /// Applies what an address says now.
    async fn ask(&self, url: &url::Url) -> Result<(), String> {
        let reading = self.fetch(url).await?;
        let said = |error: SinkError| error.to_string();
        let _one_at_a_time = self.seen.lock().await;
        self.base.counters.received(1);
        match &reading.snapshot {
            Err(reason) => self.refuse(&reading, reason).await.map_err(said)?,
            Ok(snapshot) => {
                let mut before = applied(&self.base).await.map_err(said)?;
                if self.base.is_future(snapshot.at) {
                    return Err(self.future(&reading.origin, snapshot.at));
                }
                if before.awaits(snapshot.at, &reading.mark) {
                    self.apply_once(&reading, snapshot, &mut before).await.map_err(said)?;
                }
                self.base.counters.succeeded(self.base.services.clock.now());
            }
        }
        Ok(())
    }

    /// Applies every table that is newer than the newest one applied, oldest first.
    async fn work_through(
        &self,
        files: &[FoundFile],
        shutdown: &CancellationToken,
    ) -> Result<(), String> {
        let said = |error: SinkError| error.to_string();
        let mut seen = self.seen.lock().await;
        let (tables, mut problem) = self.look(files, &mut seen).await?;
        let mut before = applied(&self.base).await.map_err(said)?;
        for (file, at, mark) in tables {
            if shutdown.is_cancelled() {
                return Ok(());
            }
            if !before.awaits(at, &mark) {
                continue;
            }
            if self.base.is_future(at) {
                problem = Some(self.future(&file.origin, at));
                continue;
            }
            let reading = read(file, self.encoding).await.map_err(|why| why.to_string())?;
            if let Ok(snapshot) = &reading.snapshot {
                self.apply_once(&reading, snapshot, &mut before).await.map_err(said)?;
            }
        }
        if let Some(reason) = problem {
            return Err(reason);
        }
        self.base.counters.succeeded(self.base.services.clock.now());
        Ok(())
    }

    /// Reads what has not been read, and gives the tables in the order of their moments, those of
    /// one moment in the order in which they were written; and why a file could not be read now.
    async fn look<'a>(
        &self,
        files: &'a [FoundFile],
        seen: &mut HashMap<FoundFile, Seen>,
    ) -> Result<(Vec<(&'a FoundFile, Timestamp, String)>, Option<String>), String> {
        let mut known = std::mem::take(seen);
        let mut tables = Vec::new();
        let mut problem = None;
        for file in files {
            let says = match known.remove(file) {
                Some(says) => says,
                None => match read(file, self.encoding).await {
                    Ok(reading) => self.first_look(&reading).await.map_err(|e| e.to_string())?,
                    Err(Unread::Changing(reason)) => return Err(reason),
                    Err(Unread::Failed(reason)) => {
                        problem = Some(reason);
                        continue;
                    }
                },
            };
            if let Seen::Table { at, mark } = &says {
                tables.push((file, *at, mark.clone()));
            }
            seen.insert(file.clone(), says);
        }
        tables.sort_by_key(|(file, at, _)| (*at, file.written));
        Ok((tables, problem))
    }

    async fn first_look(&self, reading: &Reading) -> Result<Seen, SinkError> {
        self.base.counters.received(1);
        match &reading.snapshot {
            Ok(snapshot) => Ok(Seen::Table { at: snapshot.at, mark: reading.mark.clone() }),
            Err(reason) => self.refuse(reading, reason).await.map(|()| Seen::Refused),
        }
    }

    /// Keeps a file that says nothing as a dead letter, once; nothing else changes.
    async fn refuse(&self, reading: &Reading, reason: &str) -> Result<(), SinkError> {
        let base = &self.base;
        let origin = &reading.origin;
        base.counters.skipped(Skip::UNREADABLE, 1);
        base.counters.failed(base.services.clock.now(), format!("{origin}: {reason}"));
        if is_refused(base, origin, &reading.mark).await? {
            return Ok(());
        }
        tracing::warn!(adapter = base.name, origin, reason, "a table of shelters cannot be used");
        let (payload, at) = (&reading.payload, reading.written);
        let item = Item {
            dead_letters: vec![DeadLetter::new(&base.name, origin, reason, payload, at)],
            state: vec![refusal(origin, &reading.mark)],
            origin: origin.clone(),
            arrival: at,
            ..Item::default()
        };
        base.pipeline.run(&base.tenant, vec![item]).await.map(drop)
    }

    fn future(&self, origin: &str, at: Timestamp) -> String {
        self.base.counters.skipped(Skip::BAD_TIME, 1);
        future(origin, at)
    }

    /// Applies a table, unless the broker has refused it before.
    async fn apply_once(
        &self,
        reading: &Reading,
        snapshot: &Snapshot,
        before: &mut Applied,
    ) -> Result<(), SinkError> {
        if is_refused(&self.base, &reading.origin, &reading.mark).await? {
            self.base.counters.skipped(Skip::UNREADABLE, 1);
            return Ok(());
        }
        if self.apply(reading, snapshot, before).await?.is_err() {
            // The letter is kept already; this keeps it from being written again.
            let state = vec![refusal(&reading.origin, &reading.mark)];
            let item = Item { state, ..Item::default() };
            self.base.pipeline.run(&self.base.tenant, vec![item]).await?;
        }
        Ok(())
    }

    /// Writes what a table says: one delivery, so that it is there entirely or not at all, and
    /// is not applied a second time. The inner error is why the broker refused it.
    async fn apply(
        &self,
        reading: &Reading,
        snapshot: &Snapshot,
        before: &mut Applied,
    ) -> Result<Result<(), String>, SinkError> {
        let base = &self.base;
        let made = make(&self.base, reading, snapshot, before).await?;
        base.counters.mapped(made.item.entities.len());
        base.counters.skipped(Skip::LATE, made.late);
        let doubtful = snapshot.rows.iter().filter(|row| row.people.is_err()).count();
        if doubtful > 0 {
            base.counters.skipped(Skip::BAD_VALUE, doubtful);
            let origin = &reading.origin;
            tracing::warn!(adapter = base.name, origin, doubtful, "head counts cannot be read");
        }
        let settled = base.pipeline.run(&base.tenant, vec![made.item]).await?;
        if let Some(Settled::Dead(reason)) = settled.into_iter().next() {
            let origin = &reading.origin;
            base.counters.failed(base.services.clock.now(), format!("{origin}: {reason}"));
            tracing::warn!(adapter = base.name, origin, reason, "a table was refused");
            return Ok(Err(reason));
        }
        *before = made.applied;
        Ok(Ok(()))
    }
}

fn future(origin: &str, at: Timestamp) -> String {
    format!("{origin} speaks of {at}, which lies in the future")
}

/// How long to wait after so many failures.
fn pause(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(6));
    Duration::from_millis(500).saturating_mul(doubled).min(Duration::from_secs(30))
}

/// Waits; whether it was stopped meanwhile.
async fn is_stopped(wait: Duration, shutdown: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => true,
        () = tokio::time::sleep(wait) => false,
    }
}
