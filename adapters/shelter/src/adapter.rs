//! The adapter: files that are watched, and bodies that are posted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use musubi_adapter_kit::{
    Adapter, AdapterError, ChangeFilter, Counters, DeadLetter, Encoding, Item, MappingError,
    MappingFile, ModelChecking, Pipeline, Preset, Preview, ReceiveError, Services, Settled,
    SinkError, Skip, Source, StateWrite,
};
use musubi_model::{EntityId, Tenant, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::files::{Place, Reading, reading};
use crate::lifecycle::{Shelter, Thresholds};
use crate::map::{CountMethod, dynamic, fixed, known, shelter_id};
use crate::{Occupancy, Snapshot};

mod posted;

/// How often a watched folder is looked at.
const WATCH: Duration = Duration::from_secs(2);
/// How often a watched address is asked.
const POLL: Duration = Duration::from_secs(60);
/// How often a write is tried before [`Adapter::run_once`] gives up.
const TRIES: u32 = 6;
/// The state under which the newest applied snapshot is remembered.
const APPLIED: &str = "snapshot/applied";

/// A source of shelters.
#[derive(Debug)]
pub struct ShelterAdapter {
    name: String,
    tenant: Tenant,
    kind: &'static str,
    services: Services,
    pipeline: Pipeline,
    counters: Counters,
    thresholds: Thresholds,
    files: Option<Files>,
    /// What has been counted of each shelter, as far as it has been needed. The lock makes one
    /// posted body follow the other.
    counted: tokio::sync::Mutex<HashMap<String, Occupancy>>,
}

#[derive(Debug)]
struct Files {
    place: Place,
    encoding: Encoding,
    watch: bool,
}

/// What is remembered of the snapshots: the moment of the newest, and which shelters it named.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
struct Applied {
    at: Timestamp,
    open: Vec<EntityId>,
}

/// The adapter that a mapping file describes: `kind = "file"` with the preset `shelter-snapshot`,
/// or `kind = "http_push"` with `shelter-reports`.
///
/// # Errors
///
/// [`MappingError`] if the file asks for something else.
pub fn from_mapping(
    mapping: &MappingFile,
    services: Services,
) -> Result<Arc<dyn Adapter>, MappingError> {
    let preset = mapping.map.as_ref().map(|map| map.preset);
    let files = match (&mapping.source, preset) {
        (Source::File(source), Some(Preset::ShelterSnapshot)) => Some(Files {
            place: Place::of(mapping, source)?,
            encoding: mapping.decode.encoding,
            watch: source.watch,
        }),
        (Source::HttpPush(_), Some(Preset::ShelterReports)) => None,
        _ => {
            return Err(mapping.error(
                "shelters come from kind = \"file\" with preset = \"shelter-snapshot\", or from \
                 kind = \"http_push\" with preset = \"shelter-reports\"",
            ));
        }
    };
    let ignore = mapping
        .change
        .ignore
        .iter()
        .map(|term| services.context.attribute(term))
        .collect::<Result<_, _>>()
        .map_err(|error| mapping.error(format!("change.ignore: {error}")))?;
    let counters = services.metrics.counters(&mapping.name);
    let checking = ModelChecking::new(mapping.model_check.as_ref(), services.models.clone());
    let filter = ChangeFilter::new(ignore, mapping.change.heartbeat);
    Ok(Arc::new(ShelterAdapter {
        name: mapping.name.clone(),
        tenant: mapping.tenant.clone(),
        kind: mapping.source.kind(),
        pipeline: Pipeline::new(&services, filter, checking, counters.clone()),
        services,
        counters,
        thresholds: Thresholds::default(),
        files,
        counted: tokio::sync::Mutex::default(),
    }))
}

impl ShelterAdapter {
    /// Applies every snapshot that is newer than the newest one applied, oldest first.
    async fn apply_all(&self, files: &Files) -> Result<(), String> {
        let readings =
            files.place.read(files.encoding, &self.services.client, usize::MAX).await?;
        self.counters.received(readings.len());
        let mut applied = self.applied().await.map_err(|error| error.to_string())?;
        for reading in readings {
            match &reading.snapshot {
                Ok(snapshot) if applied.as_ref().is_some_and(|known| snapshot.at <= known.at) => {
                    self.counters.skipped(Skip::LATE, 1);
                }
                Ok(snapshot) => {
                    let next = self
                        .apply(&reading, snapshot, applied.as_ref())
                        .await
                        .map_err(|error| error.to_string())?;
                    applied = Some(next);
                }
                Err(reason) => {
                    self.refuse(&reading, reason).await.map_err(|error| error.to_string())?;
                }
            }
        }
        self.counters.succeeded(self.services.clock.now());
        Ok(())
    }

    async fn applied(&self) -> Result<Option<Applied>, SinkError> {
        let state = self.services.sink.state(&self.tenant, &self.name, APPLIED).await?;
        Ok(state.first().and_then(|(_, value)| serde_json::from_slice(value).ok()))
    }

    /// Writes what a snapshot says: one delivery, so that it is there entirely or not at all, and
    /// is not applied a second time.
    async fn apply(
        &self,
        reading: &Reading,
        snapshot: &Snapshot,
        before: Option<&Applied>,
    ) -> Result<Applied, SinkError> {
        let (item, applied) = self.item(reading, snapshot, before).await?;
        self.counters.mapped(item.entities.len());
        let settled = self.pipeline.run(&self.tenant, vec![item]).await?;
        if let Some(Settled::Dead(reason)) = settled.first() {
            tracing::warn!(adapter = self.name, origin = reading.origin, reason, "a snapshot was not taken");
            return Ok(before.cloned().unwrap_or_default());
        }
        Ok(applied)
    }

    async fn item(
        &self,
        reading: &Reading,
        snapshot: &Snapshot,
        before: Option<&Applied>,
    ) -> Result<(Item, Applied), SinkError> {
        let named: Vec<(EntityId, &crate::Row)> = snapshot
            .rows
            .iter()
            .filter_map(|row| Some((shelter_id(&row.id).ok()?, row)))
            .collect();
        let gone = before.map_or(&[][..], |applied| &applied.open);
        let gone = gone.iter().filter(|id| named.iter().all(|(named, _)| named != *id));
        let mut ids: Vec<EntityId> = named.iter().map(|(id, _)| id.clone()).collect();
        let applied = Applied { at: snapshot.at, open: ids.clone() };
        ids.extend(gone.cloned());
        let current = self.current(&ids).await?;
        let mut entities = Vec::with_capacity(ids.len());
        for (index, id) in ids.iter().enumerate() {
            let shelter = current.get(id).cloned().unwrap_or_default();
            let fragment = match named.get(index) {
                Some((_, row)) => {
                    let shelter = Shelter {
                        capacity: row.capacity.or(shelter.capacity),
                        households: row.households.or(shelter.households),
                        ..shelter
                    };
                    let next =
                        shelter.reported(snapshot.at, Some(row.people), None, &self.thresholds);
                    let mut fragment =
                        dynamic(id.clone(), &next, snapshot.at, CountMethod::HeadCount);
                    fixed(&mut fragment, row);
                    fragment
                }
                None => dynamic(
                    id.clone(),
                    &shelter.closed(snapshot.at),
                    snapshot.at,
                    CountMethod::HeadCount,
                ),
            };
            entities.push(fragment);
        }
        let value = serde_json::to_vec(&applied).unwrap_or_default();
        let item = Item {
            entities,
            state: vec![StateWrite { key: APPLIED.to_owned(), value: Some(value.into()) }],
            dead_letters: Vec::new(),
            origin: reading.origin.clone(),
            payload: reading.payload.clone(),
            arrival: self.services.clock.now(),
        };
        Ok((item, applied))
    }

    /// What the broker knows of these shelters.
    async fn current(&self, ids: &[EntityId]) -> Result<HashMap<EntityId, Shelter>, SinkError> {
        let found = self.services.sink.read(&self.tenant, ids).await?;
        Ok(ids
            .iter()
            .zip(found)
            .filter_map(|(id, entity)| Some((id.clone(), known(&*entity?))))
            .collect())
    }

    /// Keeps a file that says nothing as a dead letter; nothing else changes.
    async fn refuse(&self, reading: &Reading, reason: &str) -> Result<(), SinkError> {
        tracing::warn!(adapter = self.name, origin = reading.origin, reason, "a snapshot cannot be used");
        self.counters.skipped(Skip::UNREADABLE, 1);
        self.counters.failed(
            self.services.clock.now(),
            format!("{}: {reason}", reading.origin),
        );
        let letter = DeadLetter::new(
            &self.name,
            &reading.origin,
            reason,
            &reading.payload,
            reading.written,
        );
        let item = Item {
            dead_letters: vec![letter],
            origin: reading.origin.clone(),
            payload: Bytes::new(),
            arrival: reading.written,
            ..Item::default()
        };
        self.pipeline.run(&self.tenant, vec![item]).await.map(drop)
    }

    /// Tries to apply everything until it works, or `tries` are used up.
    async fn persist(&self, files: &Files, tries: u32) -> Result<(), AdapterError> {
        let mut wait = Duration::from_millis(500);
        for attempt in 1_u32.. {
            match self.apply_all(files).await {
                Ok(()) => return Ok(()),
                Err(reason) => {
                    tracing::warn!(adapter = self.name, attempt, reason, "snapshots could not be applied");
                    self.counters.failed(self.services.clock.now(), reason.clone());
                    if attempt >= tries {
                        return Err(AdapterError { adapter: self.name.clone(), reason });
                    }
                    self.counters.retried();
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(30));
        }
        Ok(())
    }

    async fn watch(&self, files: &Files) -> Result<(), AdapterError> {
        self.persist(files, u32::MAX).await?;
        if !files.watch {
            return std::future::pending().await;
        }
        let mut applied = files.place.signature().await;
        loop {
            match files.place {
                Place::Url(_) => {
                    tokio::time::sleep(POLL).await;
                    self.persist(files, u32::MAX).await?;
                }
                Place::Path(_) => {
                    let before = files.place.signature().await;
                    tokio::time::sleep(WATCH).await;
                    let now = files.place.signature().await;
                    // A file that is still being written is left alone until it rests.
                    if now == before && now != applied {
                        self.persist(files, u32::MAX).await?;
                        applied = now;
                    }
                }
            }
        }
    }
}

impl Adapter for ShelterAdapter {
    fn name(&self) -> &str {
        &self.name
    }

    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    fn run(
        self: Arc<Self>,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, Result<(), AdapterError>> {
        async move {
            let Some(files) = &self.files else {
                shutdown.cancelled().await;
                return Ok(());
            };
            tokio::select! {
                ended = self.watch(files) => ended,
                () = shutdown.cancelled() => Ok(()),
            }
        }
        .boxed()
    }

    fn run_once(self: Arc<Self>) -> BoxFuture<'static, Result<(), AdapterError>> {
        async move {
            match &self.files {
                Some(files) => self.persist(files, TRIES).await,
                None => Err(AdapterError {
                    adapter: self.name.clone(),
                    reason: "what is posted cannot be worked through once".to_owned(),
                }),
            }
        }
        .boxed()
    }

    fn preview(&self, limit: usize) -> BoxFuture<'_, Result<Preview, AdapterError>> {
        async move {
            let refuse = |reason: String| AdapterError { adapter: self.name.clone(), reason };
            let mut preview = Preview::new(&self.name, &self.tenant);
            let Some(files) = &self.files else {
                preview.note("reports and check-ins are posted; there is nothing to look at");
                return Ok(preview);
            };
            let readings = files
                .place
                .read(files.encoding, &self.services.client, limit)
                .await
                .map_err(refuse)?;
            let mut applied = self.applied().await.map_err(|error| refuse(error.to_string()))?;
            for reading in &readings {
                match &reading.snapshot {
                    Err(reason) => preview.skip(&reading.origin, Skip::UNREADABLE, reason.clone()),
                    Ok(snapshot) => {
                        let (item, next) = self
                            .item(reading, snapshot, applied.as_ref())
                            .await
                            .map_err(|error| refuse(error.to_string()))?;
                        self.pipeline
                            .preview(&self.tenant, vec![item], &mut preview)
                            .await
                            .map_err(|error| refuse(error.to_string()))?;
                        applied = Some(next);
                    }
                }
            }
            Ok(preview)
        }
        .boxed()
    }

    fn status(&self) -> serde_json::Value {
        let mut status = self.counters.status();
        if let Some(members) = status.as_object_mut() {
            members.insert("name".to_owned(), self.name.as_str().into());
            members.insert("kind".to_owned(), self.kind.into());
            members.insert("tenant".to_owned(), self.tenant.as_str().into());
        }
        status
    }

    fn receive<'a>(
        &'a self,
        what: &'a str,
        tenant: &'a Tenant,
        body: &'a [u8],
    ) -> BoxFuture<'a, Result<serde_json::Value, ReceiveError>> {
        async move {
            if self.files.is_some() || *tenant != self.tenant {
                return Err(ReceiveError::NotSupported(format!("{}/{what}", self.name)));
            }
            self.post(what, body).await
        }
        .boxed()
    }

    fn replay<'a>(
        &'a self,
        tenant: &'a Tenant,
        origin: &'a str,
        payload: Bytes,
    ) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let Some(files) = &self.files else {
                return Err("what was posted is answered, not kept; post it again".to_owned());
            };
            if *tenant != self.tenant {
                return Err("the letter is of another tenant".to_owned());
            }
            let reading = reading(origin.to_owned(), payload, Timestamp::default(), files.encoding);
            let snapshot = reading.snapshot.clone()?;
            let applied = self.applied().await.map_err(|error| error.to_string())?;
            if applied.as_ref().is_some_and(|known| snapshot.at <= known.at) {
                return Err("a newer table has been applied".to_owned());
            }
            let next = self.apply(&reading, &snapshot, applied.as_ref()).await;
            next.map(drop).map_err(|error| error.to_string())
        }
        .boxed()
    }
}
