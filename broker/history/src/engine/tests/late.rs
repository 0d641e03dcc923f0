//! An instance that comes very late does not make questions about other times dear.

use std::sync::Arc;

use musubi_model::{
    AttributeType, EvolutionAction, EvolutionChange, Instance, Json, NewInstance, Tenant,
    Timestamp, Value,
};
use musubi_query::{Aggregation, AggregationMethod, TemporalQuery, TimeRelation, Zone};
use musubi_store::{EvolutionWrite, Group, History, ReferenceHistory, ReferenceStore, Store};

use super::{Archive, HistoryOptions, options};
use crate::series::Corrections;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// The first day of 2025.
const START: i64 = 20_089 * DAY;

/// The most instances that a question about one entity may hold.
const MOST: usize = 4_500;

struct Series {
    store: Arc<ReferenceStore>,
    archive: Archive,
    _folder: tempfile::TempDir,
}

impl Series {
    fn new() -> Self {
        let store = Arc::new(ReferenceStore::new());
        let folder = tempfile::tempdir().unwrap();
        let options = HistoryOptions { entity_instances: MOST, ..options(folder.path()) };
        let archive = Archive::open(options, store.clone()).unwrap();
        Self { store, archive, _folder: folder }
    }

    /// Writes what was observed at these moments, seconds after the start, as a segment.
    async fn observe(&self, seconds: impl IntoIterator<Item = i64>) {
        let instances = seconds.into_iter().map(|second| {
            let time = Timestamp::from_seconds(START + second);
            let json = Json::parse(&format!("{}", second / HOUR % 50)).unwrap();
            let instance = Instance {
                value: Value { kind: AttributeType::Property, json },
                observed_at: Some(time),
                created_at: time,
                modified_at: time,
                qualifiers: None,
            };
            ("urn:p:a".parse().unwrap(), NewInstance { instance, deleted_at: None })
        });
        let types = vec!["urn:t:1".parse().unwrap()];
        let action = EvolutionAction::Add { types, instances: instances.collect() };
        let change = EvolutionChange { id: "urn:e:1".parse().unwrap(), action };
        let evolutions = vec![EvolutionWrite { tenant: Tenant::default(), change }];
        self.store.commit(vec![Group { evolutions, ..Group::default() }]).await.unwrap();
        self.archive.shared().catch_up().await.unwrap();
        self.archive.flush().await.unwrap();
    }

    /// Passes if the means of the days are those of a plain history.
    async fn check(&self, range: Option<TimeRelation>) {
        let query = TemporalQuery {
            range,
            limit: 1,
            aggregation: Some(Aggregation {
                methods: vec![AggregationMethod::Avg, AggregationMethod::TotalCount],
                period: "P1D".parse().unwrap(),
                zone: Zone::UTC,
            }),
            ..TemporalQuery::default()
        };
        let reference = ReferenceHistory::new(self.store.clone());
        let expected = reference.evolutions(&Tenant::default(), &query).await.unwrap();
        let answer = self.archive.evolutions(&Tenant::default(), &query).await.unwrap();
        assert_eq!(format!("{answer:?}"), format!("{expected:?}"));
    }

    /// How many instances stand in the chunks that a question about this time reads.
    fn read(&self, range: TimeRelation) -> u64 {
        let view = self.archive.shared().view();
        let entity = view.entity(&Tenant::default(), &"urn:e:1".parse().unwrap()).unwrap();
        let query = TemporalQuery { range: Some(range), ..TemporalQuery::default() };
        let name = ("urn:p:a".parse().unwrap(), None);
        let sources = entity.unwrap().sources(&name, Corrections::default(), &query).unwrap();
        sources.iter().map(|source| source.chunk.stats.count).sum()
    }
}

fn june() -> TimeRelation {
    let from = |day: i64| Timestamp::from_seconds(START + day * DAY);
    TimeRelation::Between(from(151), from(181))
}

#[tokio::test]
async fn an_instance_that_comes_a_year_late_does_not_have_the_year_read_at_once() {
    let series = Series::new();
    series.observe((0..365 * 24).map(|hour| hour * HOUR)).await;
    series.check(None).await;
    let before = series.read(june());
    series.observe((366 * 24..370 * 24).map(|hour| hour * HOUR).chain([HOUR / 2])).await;
    assert_eq!(series.read(june()), before, "a month is read as if there were no late instance");
    series.check(Some(june())).await;
    // The whole year is more than may be held.
    const { assert!(365 * 24 > MOST) };
    series.check(None).await;
    series.archive.compact().await.unwrap();
    assert_eq!(series.read(june()), before);
    series.check(None).await;
}

#[tokio::test]
async fn a_chunk_that_spans_a_year_is_read_once_beside_those_of_the_year() {
    let series = Series::new();
    series.observe((0..365 * 24).map(|hour| hour * HOUR)).await;
    // Too few to be cut, and all over the year.
    series.observe((1..60).map(|at| at * 6 * DAY)).await;
    series.check(Some(june())).await;
    series.check(None).await;
}
