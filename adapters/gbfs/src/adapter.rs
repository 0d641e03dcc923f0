//! The adapter: polls a feed and writes what has changed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use musubi_adapter_kit::{
    Adapter, AdapterError, ChangeFilter, Counters, DeadLetter, GbfsSource, Item, MappingError,
    MappingFile, ModelChecking, Pipeline, Preset, Preview, ReceiveError, Services, Settled,
    SinkError,
};
use musubi_model::{AttrName, Tenant, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::feed::{Feed, FeedError, Snapshot};
use crate::map::{FeedStatus, Origin, StationMapper};
use crate::model::{Problem, System};
use crate::schedule::{Freshness, retry_wait};
use crate::source::Source;
use crate::terms;

/// Stations written at once.
const BATCH: usize = 2000;
/// Problems of the last poll that the status shows.
const SAMPLES: usize = 5;

/// A GBFS feed whose stations become `BikeHireDockingStation` entities.
#[derive(Debug)]
pub(crate) struct GbfsAdapter {
    name: String,
    tenant: Tenant,
    settings: GbfsSource,
    attribution: Option<String>,
    place: String,
    source: Source,
    services: Services,
    mapper: StationMapper,
    stations: Pipeline,
    /// Of the feed's own entity, which has no data model.
    own: Pipeline,
    counters: Counters,
    feed: tokio::sync::Mutex<Polled>,
    shown: Mutex<Shown>,
}

/// The feed, and how far its last snapshot got.
#[derive(Debug)]
struct Polled {
    feed: Feed,
    /// Whether everything that was last got is written.
    is_settled: bool,
    announced: Option<(FeedStatus, Option<System>)>,
}

/// For the status.
#[derive(Debug, Default)]
struct Shown {
    status: Option<FeedStatus>,
    last_updated: Option<Timestamp>,
    next_poll: Option<Timestamp>,
    stations: usize,
    samples: Vec<Problem>,
}

/// Why a poll did not get to its end.
#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

impl GbfsAdapter {
    pub(crate) fn from_mapping(
        mapping: &MappingFile,
        services: Services,
    ) -> Result<Self, MappingError> {
        let musubi_adapter_kit::Source::Gbfs(settings) = &mapping.source else {
            let kind = mapping.source.kind();
            return Err(mapping.error(format!("the source is of kind {kind:?}, not \"gbfs\"")));
        };
        check_map(mapping)?;
        let url = match settings.url.strip_prefix("env:") {
            Some(name) => std::env::var(name).map_err(|_| {
                mapping.error(format!("the environment variable {name} is not set to a text"))
            })?,
            None => settings.url.clone(),
        };
        let root = Source::place(&url, &mapping.folder).map_err(|reason| mapping.error(reason))?;
        let place = root.public();
        let source = Source::new(services.client.clone(), root, headers(mapping, settings)?);
        let mapper = StationMapper::new().map_err(|error| mapping.error(error.to_string()))?;
        let ignore = mapping.change.ignore.iter().map(|term| {
            terms::attribute(term).map_err(|_| {
                mapping.error(format!("[change] ignore: {term:?} is no attribute of a station"))
            })
        });
        let ignore: Vec<AttrName> = ignore.collect::<Result<_, _>>()?;
        let filter = ChangeFilter::new(ignore, mapping.change.heartbeat);
        let models = services.models.clone();
        let checking = ModelChecking::new(mapping.model_check.as_ref(), models);
        let counters = services.metrics.counters(&mapping.name);
        let own_filter = ChangeFilter::default();
        let own_checking = ModelChecking::default();
        let feed = Feed::new(source.clone(), settings.language.clone(), settings.min_interval);
        Ok(Self {
            name: mapping.name.clone(),
            tenant: mapping.tenant.clone(),
            settings: settings.clone(),
            attribution: mapping.map.as_ref().and_then(|map| map.attribution.clone()),
            place,
            source,
            mapper,
            stations: Pipeline::new(&services, filter, checking, counters.clone()),
            own: Pipeline::new(&services, own_filter, own_checking, counters.clone()),
            services,
            counters,
            feed: tokio::sync::Mutex::new(Polled { feed, is_settled: false, announced: None }),
            shown: Mutex::default(),
        })
    }

    /// Gets the feed, writes what has changed, and says how long to wait. None if stopped before
    /// anything was written.
    async fn poll(&self, shutdown: &CancellationToken) -> Result<Option<Duration>, PollError> {
        let mut polled = self.feed.lock().await;
        let now = self.services.clock.now();
        let refreshed = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(None),
            refreshed = polled.feed.refresh(now) => refreshed,
        };
        let snapshot = match refreshed {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.announce(&mut polled, FeedStatus::Unavailable).await?;
                return Err(error.into());
            }
        };
        for warning in &snapshot.warnings {
            tracing::warn!(adapter = self.name, "a file of the feed is kept as it was: {warning}");
        }
        polled.is_settled &= !snapshot.is_new;
        self.write(&mut polled, &snapshot, now).await?;
        let freshness = snapshot.freshness;
        let status = self.judge(freshness, now);
        self.announce(&mut polled, status).await?;
        self.counters.succeeded(self.services.clock.now());
        Ok(Some(freshness.wait(now, self.settings.min_interval, rand::random())))
    }

    /// Writes the stations of a snapshot, unless that has been done.
    async fn write(
        &self,
        polled: &mut Polled,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<(), SinkError> {
        self.counters.received(snapshot.statuses.data.len());
        if polled.is_settled {
            self.counters.unchanged(snapshot.stations.data.len());
            return Ok(());
        }
        let (items, problems) = self.items(snapshot, now);
        self.counters.mapped(items.len());
        for problem in &problems {
            self.counters.skipped(problem.skip, 1);
        }
        {
            let mut shown = self.shown.lock();
            shown.stations = items.len();
            shown.samples = problems.into_iter().take(SAMPLES).collect();
        }
        let mut items = items.into_iter().peekable();
        while items.peek().is_some() {
            let batch = items.by_ref().take(BATCH).collect();
            for settled in self.stations.run(&self.tenant, batch).await? {
                if let Settled::Dead(reason) = settled {
                    tracing::warn!(adapter = self.name, "a station is a dead letter: {reason}");
                }
            }
        }
        polled.is_settled = true;
        Ok(())
    }

    /// The stations of a snapshot, and everything that could not be used.
    fn items(&self, snapshot: &Snapshot, now: Timestamp) -> (Vec<Item>, Vec<Problem>) {
        let origin = self.origin(&snapshot.system.data);
        let (stations, statuses) = (&snapshot.stations.data, &snapshot.statuses.data);
        let mapped = self.mapper.map(&origin, stations, statuses);
        let mut problems = snapshot.stations.problems.clone();
        problems.extend(snapshot.statuses.problems.iter().cloned());
        problems.extend(mapped.problems);
        let items = mapped.stations.into_iter().map(|station| {
            let payload = json!({ "information": station.station, "status": station.status });
            Item {
                entities: vec![station.entity],
                origin: format!("{} station {}", self.place, station.station.id),
                payload: Bytes::from(payload.to_string()),
                arrival: now,
                ..Item::default()
            }
        });
        (items.collect(), problems)
    }

    fn origin(&self, system: &System) -> Origin {
        Origin {
            system: system.clone(),
            attribution: self.attribution.clone(),
            source: self.source.is_web().then(|| self.place.clone()),
        }
    }

    fn judge(&self, freshness: Freshness, now: Timestamp) -> FeedStatus {
        self.shown.lock().last_updated = freshness.last_updated;
        if let Some(age) = freshness.age(now) {
            self.counters.feed_age_seconds(age.as_secs_f64());
        }
        if freshness.is_stale(now) { FeedStatus::Stale } else { FeedStatus::Ok }
    }

    /// Writes how the feed is to its own entity, if that is another than before.
    async fn announce(&self, polled: &mut Polled, status: FeedStatus) -> Result<(), SinkError> {
        if self.shown.lock().status.replace(status) != Some(status) {
            match status {
                FeedStatus::Ok => tracing::info!(adapter = self.name, "the feed is current"),
                FeedStatus::Stale => tracing::warn!(adapter = self.name, "the feed is stale"),
                FeedStatus::Unavailable => tracing::warn!(adapter = self.name, "the feed is away"),
            }
        }
        let announced = (status, polled.feed.system().cloned());
        if polled.announced.as_ref() == Some(&announced) {
            return Ok(());
        }
        let origin = self.origin(&announced.1.clone().unwrap_or_default());
        match self.mapper.feed(&self.name, &origin, status) {
            Ok(entity) => {
                let arrival = self.services.clock.now();
                let origin = self.place.clone();
                let item = Item { entities: vec![entity], origin, arrival, ..Item::default() };
                self.own.run(&self.tenant, vec![item]).await?;
            }
            Err(reason) => tracing::warn!(adapter = self.name, "the feed has no entity: {reason}"),
        }
        polled.announced = Some(announced);
        Ok(())
    }

    /// Notes a failed poll and says how long to wait.
    fn failed(&self, error: &PollError, failures: u32) -> Duration {
        self.counters.failed(self.services.clock.now(), error.to_string());
        self.counters.retried();
        let wait = retry_wait(failures, rand::random());
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(adapter = self.name, wait_ms, "a poll failed, to be tried again: {error}");
        wait
    }

    async fn work(&self, shutdown: CancellationToken) {
        let mut failures = 0_u32;
        loop {
            let wait = match self.poll(&shutdown).await {
                Ok(None) => return,
                Ok(Some(wait)) => {
                    failures = 0;
                    wait
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.failed(&error, failures)
                }
            };
            let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
            self.shown.lock().next_poll = Some(self.services.clock.now().plus_micros(micros));
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn error(&self, reason: &impl ToString) -> AdapterError {
        AdapterError { adapter: self.name.clone(), reason: reason.to_string() }
    }

    async fn look(&self, limit: usize) -> Result<Preview, AdapterError> {
        let language = self.settings.language.clone();
        let mut feed = Feed::new(self.source.clone(), language, self.settings.min_interval);
        let now = self.services.clock.now();
        let snapshot = feed.refresh(now).await.map_err(|error| self.error(&error))?;
        let mut preview = Preview::new(&self.name, &self.tenant);
        let version = snapshot.statuses.version.as_deref().unwrap_or("not given");
        let system = &snapshot.system.data.id;
        let (mut items, problems) = self.items(&snapshot, now);
        preview.note(format!("{}: system {system}, version {version}", self.place));
        preview.note(format!("{} stations; shown are at most {limit}", items.len()));
        if let Some(age) = snapshot.freshness.age(now) {
            let stale = if snapshot.freshness.is_stale(now) { ": the feed is stale" } else { "" };
            preview.note(format!("the numbers are {} s old{stale}", age.as_secs()));
        }
        for problem in problems {
            let (origin, fate) = (format!("station {}", problem.item), problem.fatal);
            let reason =
                if fate { problem.reason } else { format!("{} (in part)", problem.reason) };
            preview.skip(&origin, problem.skip, reason);
        }
        items.truncate(limit);
        let shown = self.stations.preview(&self.tenant, items, &mut preview).await;
        shown.map_err(|error| self.error(&error)).map(|()| preview)
    }
}

/// What of the mapping file a feed cannot do.
fn check_map(mapping: &MappingFile) -> Result<(), MappingError> {
    if !mapping.entities.is_empty() || !mapping.filters.is_empty() || !mapping.groups.is_empty() {
        return Err(mapping.error(
            "[[entity]], [[filter]] and [groups] do not go with a gbfs source: its stations are \
             mapped by the preset \"gbfs-stations\"",
        ));
    }
    let Some(map) = &mapping.map else { return Ok(()) };
    if map.preset != Preset::GbfsStations {
        return Err(mapping.error("a gbfs source needs the preset \"gbfs-stations\""));
    }
    if map.vehicles {
        return Err(mapping.error("vehicles = true is not supported: only stations are mapped"));
    }
    Ok(())
}

fn headers(mapping: &MappingFile, settings: &GbfsSource) -> Result<HeaderMap, MappingError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let refuse = |reason: String| mapping.error(format!("the header {name:?}: {reason}"));
        let value = value.read(&mapping.folder).map_err(refuse)?;
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| refuse("its value cannot be sent".to_owned()))?;
        value.set_sensitive(true);
        let name = HeaderName::try_from(name)
            .map_err(|_| refuse("this is no name of a header".to_owned()))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

impl Adapter for GbfsAdapter {
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
            self.work(shutdown).await;
            Ok(())
        }
        .boxed()
    }

    fn run_once(self: Arc<Self>) -> BoxFuture<'static, Result<(), AdapterError>> {
        async move {
            let polled = self.poll(&CancellationToken::new()).await;
            polled.map(drop).map_err(|error| {
                self.counters.failed(self.services.clock.now(), error.to_string());
                self.error(&error)
            })
        }
        .boxed()
    }

    fn preview(&self, limit: usize) -> BoxFuture<'_, Result<Preview, AdapterError>> {
        self.look(limit).boxed()
    }

    fn status(&self) -> Value {
        let mut status = self.counters.status();
        let shown = self.shown.lock();
        let samples = shown.samples.iter().map(|problem| {
            json!({
                "item": problem.item, "reason": problem.reason, "kind": problem.skip.0,
                "sample": problem.sample,
            })
        });
        let own = json!({
            "name": self.name,
            "kind": "gbfs",
            "tenant": self.tenant.as_str(),
            "source": self.place,
            "feedStatus": shown.status.map(FeedStatus::as_str),
            "feedLastUpdated": shown.last_updated.map(|time| time.to_string()),
            "nextPoll": shown.next_poll.map(|time| time.to_string()),
            "stations": shown.stations,
            "problems": samples.collect::<Vec<_>>(),
        });
        if let (Value::Object(all), Value::Object(own)) = (&mut status, own) {
            all.extend(own);
        }
        status
    }

    fn receive<'a>(
        &'a self,
        what: &'a str,
        _tenant: &'a Tenant,
        _body: &'a [u8],
    ) -> BoxFuture<'a, Result<Value, ReceiveError>> {
        let what = format!("{}/{what}", self.name);
        async move { Err(ReceiveError::NotSupported(what)) }.boxed()
    }

    fn replay<'a>(
        &'a self,
        _tenant: &'a Tenant,
        _letter: &'a DeadLetter,
    ) -> BoxFuture<'a, Result<(), String>> {
        let reason = "a feed is not replayed: its next poll brings the present state";
        std::future::ready(Err(reason.to_owned())).boxed()
    }
}
