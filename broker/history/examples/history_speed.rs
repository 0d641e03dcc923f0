//! How fast a history takes instances in, what they take on the disk, and how long questions take.
//!
//! `cargo run --release -p musubi-history --example history_speed -- 10000000 1000` takes ten million
//! instances of a thousand sensors that tell a temperature once a minute.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use musubi_history::{Archive, HistoryOptions};
use musubi_model::{
    AttrName, AttributeType, Cause, EntityId, EvolutionAction, EvolutionChange, Instance, Json,
    NewInstance, Sequence, Tenant, Timestamp, TypeName, Value,
};
use musubi_query::{
    Aggregation, AggregationMethod, EntityQuery, EvolutionStart, Filter, Shown, TemporalProperty,
    TemporalQuery, TimeRelation, Zone,
};
use musubi_store::{
    AttributeSummary, Change, Group, History, Outcome, Page, Record, RecordQuery, Store,
    StoreError, Subject, TypeSummary,
};
use tokio::sync::watch;
use tokio::time::Instant;

/// Changes between two segments.
const FLUSH: u64 = 100_000;

/// When the first minute begins, in seconds.
const START: i64 = 1_704_067_200;

/// A store of which there is nothing but the log, and that only when it is read.
#[derive(Debug)]
struct Sensors {
    newest: watch::Sender<Sequence>,
    count: u64,
    attribute: AttrName,
    of_type: TypeName,
}

impl Sensors {
    fn change(&self, sequence: u64) -> Arc<Change> {
        let (minute, sensor) = ((sequence - 1) / self.count, (sequence - 1) % self.count);
        let seconds = START + 60 * i64::try_from(minute).unwrap_or_default();
        let time = Timestamp::from_micros(seconds * 1_000_000 + 137_000 + millis(sequence));
        // A curve over the day, and noise in the last digit.
        let noise = sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61;
        let tenths = 150 + (minute % 1440).abs_diff(720) / 10 + noise;
        let value = format!("{}.{}", tenths / 10, tenths % 10);
        let instance = Instance {
            value: Value {
                kind: AttributeType::Property,
                json: Json::parse(&value).unwrap_or_else(|_| Json::from("")),
            },
            observed_at: Some(Timestamp::from_seconds(seconds)),
            created_at: Timestamp::from_seconds(START),
            modified_at: time,
            qualifiers: None,
        };
        let new = NewInstance { instance, deleted_at: None };
        let action = EvolutionAction::Add {
            types: vec![self.of_type.clone()],
            instances: vec![(self.attribute.clone(), new)],
        };
        Arc::new(Change {
            sequence: Sequence(sequence),
            tenant: Tenant::default(),
            time,
            cause: Cause::default(),
            subject: Subject::Evolution(EvolutionChange { id: id(sensor), action }),
        })
    }
}

fn millis(sequence: u64) -> i64 {
    i64::try_from(sequence % 977).unwrap_or_default() * 1_000
}

fn id(sensor: u64) -> EntityId {
    let text = format!("urn:ngsi-ld:Sensor:{sensor:05}");
    text.parse().unwrap_or_else(|_| unreachable!("{text} is a URI"))
}

fn nothing<T: Default + Send + 'static>() -> BoxFuture<'static, Result<T, StoreError>> {
    ready(Ok(T::default())).boxed()
}

impl Store for Sensors {
    fn commit(&self, _: Vec<Group>) -> BoxFuture<'_, Result<Vec<Outcome>, StoreError>> {
        nothing()
    }

    fn select<'a>(
        &'a self,
        _: &'a Tenant,
        _: &'a EntityQuery,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        nothing()
    }

    fn types<'a>(&'a self, _: &'a Tenant) -> BoxFuture<'a, Result<Vec<TypeSummary>, StoreError>> {
        nothing()
    }

    fn attributes<'a>(
        &'a self,
        _: &'a Tenant,
        _: Option<&'a TypeName>,
    ) -> BoxFuture<'a, Result<Vec<AttributeSummary>, StoreError>> {
        nothing()
    }

    fn changes(
        &self,
        after: Sequence,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Change>>, StoreError>> {
        let newest = self.newest.borrow().0;
        let changes = (after.0 + 1..=newest).take(limit).map(|sequence| self.change(sequence));
        ready(Ok(changes.collect())).boxed()
    }

    fn newest(&self) -> watch::Receiver<Sequence> {
        self.newest.subscribe()
    }

    fn durable(&self) -> watch::Receiver<Sequence> {
        self.newest()
    }

    fn truncate(&self, _: Sequence) -> BoxFuture<'_, Result<(), StoreError>> {
        nothing()
    }

    fn records<'a>(&'a self, _: &'a RecordQuery) -> BoxFuture<'a, Result<Vec<Record>, StoreError>> {
        nothing()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let instances = arguments.next().transpose()?.unwrap_or(1_000_000);
    let sensors = arguments.next().transpose()?.unwrap_or(1_000).max(1);
    let folder = tempfile::tempdir()?;
    let store = Arc::new(Sensors {
        newest: watch::Sender::new(Sequence(0)),
        count: sensors,
        attribute: "https://example.org/temperature".parse()?,
        of_type: "https://example.org/Sensor".parse()?,
    });
    let archive = Archive::open(HistoryOptions::new(folder.path()), store.clone())?;
    fill(&archive, &store, instances).await?;
    last(&archive, &store).await?;
    hours(&archive, &store, 1).await?;
    hours(&archive, &store, 100).await?;
    Ok(())
}

async fn fill(archive: &Archive, store: &Sensors, instances: u64) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let mut reading = Duration::ZERO;
    for upto in (0..instances).step_by(usize::try_from(FLUSH)?).skip(1).chain([instances]) {
        store.newest.send_replace(Sequence(upto));
        let step = Instant::now();
        archive.outline(&Tenant::default(), &id(0)).await?;
        reading += step.elapsed();
        archive.flush().await?;
        archive.merge().await?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let rate = |seconds: f64| per_second(instances, seconds);
    println!(
        "taken in: {} a second; with segments and merges: {}",
        rate(reading.as_secs_f64()),
        rate(seconds)
    );
    let size = |archive: &Archive| -> Result<(u64, usize), StoreError> {
        let frozen = archive.freeze()?;
        Ok((frozen.files.iter().map(|file| file.length).sum(), frozen.files.len()))
    };
    let (bytes, files) = size(archive)?;
    println!("{:.2} bytes an instance in {files} segments", ratio(bytes, instances));
    let begun = Instant::now();
    archive.compact().await?;
    let (bytes, _) = size(archive)?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{:.2} bytes an instance in one, made in {seconds:.1} s", ratio(bytes, instances));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let most = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("memory unknown");
    println!("{most}");
    Ok(())
}

fn per_second(count: u64, seconds: f64) -> String {
    format!("{:.0}", ratio(count, 1) / seconds.max(0.000_001))
}

#[expect(clippy::cast_precision_loss, reason = "figures to look at")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other.max(1) as f64
}

fn question(store: &Sensors, ids: Vec<EntityId>) -> TemporalQuery {
    TemporalQuery {
        limit: ids.len(),
        filter: Filter::Ids(ids),
        property: TemporalProperty::ObservedAt,
        range: None,
        attributes: Some(vec![store.attribute.clone()]),
        keep_empty: false,
        shown: Shown::All,
        datasets: None,
        values: None,
        geo: None,
        scope: None,
        last: None,
        start: EvolutionStart::Offset(0),
        count: false,
        instances: 10_000,
        bytes: usize::MAX,
        aggregation: None,
    }
}

async fn last(archive: &Archive, store: &Sensors) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    for round in 0..500 {
        let sensor = (round * 7_919) % store.count;
        let query = TemporalQuery { last: Some(1_000), ..question(store, vec![id(sensor)]) };
        let begun = Instant::now();
        let page = archive.evolutions(&Tenant::default(), &query).await?;
        times.push(begun.elapsed());
        let shown = page.items.first().and_then(|item| item.evolution.attributes.first());
        if shown.is_none() {
            return Err("a sensor has no instances".into());
        }
    }
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!("the last 1,000 of a sensor: p50 {:?}, p99 {:?}", at(50), at(99));
    Ok(())
}

async fn hours(archive: &Archive, store: &Sensors, sensors: u64) -> Result<(), Box<dyn Error>> {
    let end = Timestamp::from_seconds(START + 30 * 86_400);
    let query = TemporalQuery {
        range: Some(TimeRelation::Between(Timestamp::from_seconds(START), end)),
        aggregation: Some(Aggregation {
            methods: vec![AggregationMethod::Avg],
            period: "PT1H".parse()?,
            zone: Zone::UTC,
        }),
        ..question(store, (0..sensors.min(store.count)).map(id).collect())
    };
    let mut best = Duration::MAX;
    let mut periods = 0;
    for _ in 0..10 {
        let begun = Instant::now();
        let page = archive.evolutions(&Tenant::default(), &query).await?;
        best = best.min(begun.elapsed());
        let aggregates = page.items.iter().flat_map(|item| &item.aggregates);
        let methods = aggregates.flat_map(|aggregates| &aggregates.methods);
        periods = methods.map(|(_, periods)| periods.len()).sum();
    }
    println!("{periods} averages of hours, {sensors} sensors: {best:?}");
    Ok(())
}
