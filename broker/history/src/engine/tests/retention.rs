//! Instances that grow old, against a plain history that keeps everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use musubi_model::{
    AttrName, AttributeType, Clock, Datasets, EntityId, EvolutionAction, EvolutionChange, Instance,
    Json, NewInstance, Recorded, Tenant, Timestamp, Value,
};
use musubi_query::{
    Aggregation, AggregationMethod, EvolutionPage, TemporalProperty, TemporalQuery, TimeRelation,
    Zone, evolution_page,
};
use musubi_store::{EvolutionWrite, Group, History, ReferenceHistory, ReferenceStore, Store};

use super::super::faults::Step;
use crate::segment::Level;
use crate::{Archive, HistoryOptions, Kept, RetentionRule};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// The first day of 2026.
const START: i64 = 20_454 * DAY;

/// Numbers that are observed, values of all kinds, and numbers that are not observed.
const ATTRIBUTES: [&str; 3] = ["urn:p:numbers", "urn:p:mixed", "urn:p:plain"];

#[derive(Debug, Default)]
struct Standing(AtomicI64);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::Relaxed))
    }
}

struct Town {
    store: Arc<ReferenceStore>,
    reference: ReferenceHistory,
    clock: Arc<Standing>,
    rule: RetentionRule,
    state: u64,
    folder: tempfile::TempDir,
}

impl Town {
    fn new(seed: u64, rule: RetentionRule) -> Self {
        let store = Arc::new(ReferenceStore::new());
        let reference = ReferenceHistory::new(store.clone());
        let clock = Arc::new(Standing(AtomicI64::new(START)));
        let state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { store, reference, clock, rule, state, folder: tempfile::tempdir().unwrap() }
    }

    fn open(&self) -> Archive {
        let options = HistoryOptions {
            merge_width: 3,
            retention: vec![self.rule.clone()],
            clock: self.clock.clone(),
            ..HistoryOptions::new(self.folder.path())
        };
        Archive::open(options, self.store.clone()).unwrap()
    }

    fn below(&mut self, bound: i64) -> i64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        i64::try_from((self.state >> 11) % u64::try_from(bound).unwrap()).unwrap()
    }

    fn now(&self) -> i64 {
        self.clock.0.load(Ordering::Relaxed)
    }

    fn advance(&mut self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn cutoff(&self) -> i64 {
        let keep = i64::try_from(self.rule.keep.unwrap().as_secs()).unwrap();
        let time = (self.now() - keep) * 1_000_000;
        let time = match (self.rule.hourly, self.rule.daily) {
            (Some(_), _) => Level::Hour.start_of(time),
            (None, Some(_)) => Level::Day.start_of(time),
            (None, None) => time,
        };
        time / 1_000_000
    }

    fn id(&mut self) -> EntityId {
        format!("urn:e:{}", self.below(3)).parse().unwrap()
    }

    fn instance(&mut self, attribute: &str) -> Instance {
        let json = match (attribute, self.below(12)) {
            ("urn:p:mixed", 0..=5) => "\"open\"".to_owned(),
            (_, 0) => "true".to_owned(),
            _ => format!("{}.25", self.below(1_000) - 300),
        };
        let late = match self.below(5) {
            0 => self.below(4 * DAY),
            _ => self.below(2 * HOUR),
        };
        let now = self.now();
        Instance {
            value: Value { kind: AttributeType::Property, json: Json::parse(&json).unwrap() },
            observed_at: (attribute != "urn:p:plain").then(|| Timestamp::from_seconds(now - late)),
            created_at: Timestamp::from_seconds(now),
            modified_at: Timestamp::from_seconds(now),
            qualifiers: None,
        }
    }

    /// An instance that is still shown.
    async fn shown(&mut self, id: &EntityId) -> Option<(AttrName, Recorded)> {
        let cutoff = self.cutoff();
        let all = self.reference.all(&Tenant::default()).await.unwrap();
        let found = all.into_iter().find(|evolution| evolution.id == *id)?;
        let instances = found.attributes.into_iter().flat_map(|attribute| {
            let name = attribute.name.clone();
            attribute.instances.into_iter().map(move |recorded| (name.clone(), recorded))
        });
        let mut shown: Vec<_> =
            instances.filter(|(_, recorded)| primary(recorded) >= cutoff).collect();
        if shown.is_empty() {
            return None;
        }
        let at = self.below(i64::try_from(shown.len()).unwrap());
        Some(shown.swap_remove(usize::try_from(at).unwrap()))
    }

    async fn change(&mut self) {
        let id = self.id();
        let action = match self.below(40) {
            0 => EvolutionAction::Remove,
            1 | 2 => {
                let at = usize::try_from(self.below(3)).unwrap();
                let datasets = if at == 0 { Datasets::All } else { Datasets::One(None) };
                EvolutionAction::RemoveAttribute {
                    attribute: ATTRIBUTES[at].parse().unwrap(),
                    datasets,
                }
            }
            3..=6 => {
                let Some((attribute, old)) = self.shown(&id).await else { return };
                let instance = self.instance(attribute.as_str());
                let recorded = Box::new(Recorded { instance, ..old });
                EvolutionAction::Correct { attribute, recorded }
            }
            7 | 8 => {
                let Some((attribute, old)) = self.shown(&id).await else { return };
                let number = old.number;
                EvolutionAction::RemoveInstance { attribute, dataset: None, number }
            }
            _ => {
                let mut instances = Vec::new();
                for name in ATTRIBUTES {
                    for _ in 0..self.below(4) {
                        let instance = self.instance(name);
                        let time = Timestamp::from_seconds(self.now());
                        let deleted_at = (self.below(15) == 0).then_some(time);
                        let new = NewInstance { instance, deleted_at };
                        instances.push((name.parse().unwrap(), new));
                    }
                }
                EvolutionAction::Add { types: vec!["urn:t:1".parse().unwrap()], instances }
            }
        };
        self.commit(EvolutionChange { id, action }).await;
    }

    async fn commit(&self, change: EvolutionChange) {
        let time = Timestamp::from_seconds(self.now());
        let evolutions = vec![EvolutionWrite { tenant: Tenant::default(), change }];
        let group = Group { time, evolutions, ..Group::default() };
        self.store.commit(vec![group]).await.unwrap();
    }

    /// Writes, merges, kills or opens anew, and sometimes fails.
    async fn upset(&mut self, mut archive: Archive) -> Archive {
        if self.below(4) == 0 {
            let step = usize::try_from(self.below(5)).unwrap();
            archive.shared().faults.fail_before(Step::ALL[step]);
        }
        // With a fault any of them fails, and nothing is lost.
        let _ = match self.below(8) {
            0 | 1 => {
                archive.shared().catch_up().await.unwrap();
                archive.flush().await
            }
            2 => archive.merge().await,
            3 => archive.compact().await,
            4 => archive.tidy().await,
            _ => Ok(()),
        };
        if self.below(6) == 0 {
            drop(archive);
            archive = self.open();
        }
        archive
    }

    /// Aggregates of a range that begins and ends with a period that was rolled up, against those
    /// of everything there ever was.
    async fn compare_aggregates(&mut self, archive: &Archive, unit: i64) {
        use AggregationMethod::{Avg, Max, Min, Stddev, Sum, Sumsq, TotalCount};

        let at = usize::try_from(self.below(3)).unwrap();
        let (attribute, property) = match ATTRIBUTES[at] {
            "urn:p:plain" => ("urn:p:plain", TemporalProperty::ModifiedAt),
            other => (other, TemporalProperty::ObservedAt),
        };
        let first = (START - 5 * DAY) / unit;
        let units = self.now() / unit + 1 - first;
        let start = first + self.below(units);
        let end = start + 1 + self.below(first + units - start);
        let range = TimeRelation::Between(
            Timestamp::from_seconds(start * unit),
            Timestamp::from_seconds(end * unit),
        );
        let methods = match attribute {
            "urn:p:mixed" => vec![TotalCount],
            _ => vec![TotalCount, Sum, Avg, Min, Max, Stddev, Sumsq],
        };
        let period = match (unit, self.below(3)) {
            (_, 0) => "PT0S",
            (HOUR, 1) => "PT1H",
            (_, _) => "P1D",
        };
        let aggregation = Aggregation { methods, period: period.parse().unwrap(), zone: Zone::UTC };
        let query = TemporalQuery {
            property,
            range: Some(range),
            attributes: Some(vec![attribute.parse().unwrap()]),
            aggregation: Some(aggregation),
            ..TemporalQuery::default()
        };
        let tenant = Tenant::default();
        let wanted = figures(&self.reference.evolutions(&tenant, &query).await.unwrap());
        let found = figures(&archive.evolutions(&tenant, &query).await.unwrap());
        assert_eq!(found.len(), wanted.len(), "{query:#?}\n{found:#?}\n{wanted:#?}");
        for ((place, number), (expected, figure)) in found.iter().zip(&wanted) {
            assert_eq!(place, expected, "{query:#?}");
            let bound = if place.contains("Stddev") { 1e-3 } else { figure.abs().max(1.0) * 1e-9 };
            assert!((number - figure).abs() <= bound, "{place}: {number}, {figure} {query:#?}");
        }
    }

    /// Instances, against those that are not old of everything.
    async fn compare_instances(&mut self, archive: &Archive) {
        let cutoff = self.cutoff();
        let tenant = Tenant::default();
        let mut all = self.reference.all(&tenant).await.unwrap();
        for evolution in &mut all {
            for attribute in &mut evolution.attributes {
                attribute.instances.retain(|recorded| primary(recorded) >= cutoff);
            }
        }
        let moment = |town: &mut Self| Timestamp::from_seconds(town.now() - town.below(3 * DAY));
        let query = TemporalQuery {
            property: [TemporalProperty::ObservedAt, TemporalProperty::ModifiedAt]
                [usize::try_from(self.below(2)).unwrap()],
            range: match self.below(3) {
                0 => None,
                1 => Some(TimeRelation::After(moment(self))),
                _ => Some(TimeRelation::Before(moment(self))),
            },
            last: (self.below(3) == 0).then_some(2),
            limit: usize::try_from(self.below(3) + 1).unwrap(),
            count: self.below(2) == 0,
            instances: 10,
            ..TemporalQuery::default()
        };
        let wanted = evolution_page(&all, &query).unwrap();
        let mut found = archive.evolutions(&tenant, &query).await.unwrap();
        found.rolled_up_before = None;
        assert_eq!(format!("{found:#?}"), format!("{wanted:#?}"), "{query:#?}");
        let id = self.id();
        let outline = archive.outline(&tenant, &id).await.unwrap();
        let found = outline.map(|outline| outline.series).unwrap_or_default();
        let of_id = all.iter().find(|evolution| evolution.id == id);
        let attributes = of_id.iter().flat_map(|evolution| &evolution.attributes);
        let left = attributes.filter(|attribute| !attribute.instances.is_empty());
        let wanted: Vec<_> = left.map(|attribute| (attribute.name.clone(), None)).collect();
        assert_eq!(found, wanted);
    }
}

fn primary(recorded: &Recorded) -> i64 {
    let instance = &recorded.instance;
    instance.observed_at.unwrap_or(instance.modified_at).as_micros().div_euclid(1_000_000)
}

/// Every aggregate, with what it is of.
fn figures(page: &EvolutionPage) -> Vec<(String, f64)> {
    let mut figures = Vec::new();
    for item in &page.items {
        for attribute in &item.aggregates {
            for (method, aggregates) in &attribute.methods {
                figures.extend(aggregates.iter().map(|one| {
                    let place = (&item.evolution.id, &attribute.name, method, one.start, one.end);
                    (format!("{place:?}"), one.value.as_f64().unwrap())
                }));
            }
        }
    }
    figures
}

fn days(number: u64) -> Duration {
    Duration::from_hours(24 * number)
}

/// A rule, and from which period on aggregates are told exactly.
fn rules() -> [(RetentionRule, i64); 4] {
    let keep = Some(days(1));
    let plain = RetentionRule { keep, ..RetentionRule::default() };
    let (ever, short) = (Some(Kept::Forever), Some(Kept::For(days(2))));
    [
        (RetentionRule { hourly: ever, daily: ever, ..plain.clone() }, HOUR),
        (RetentionRule { hourly: ever, ..plain.clone() }, HOUR),
        (RetentionRule { daily: ever, ..plain.clone() }, DAY),
        (RetentionRule { hourly: short, daily: ever, ..plain }, DAY),
    ]
}

#[tokio::test]
async fn aggregates_are_those_of_everything_and_instances_those_that_are_not_old() {
    for (seed, (rule, unit)) in (31..).zip(rules()) {
        let mut town = Town::new(seed, rule);
        let mut archive = town.open();
        let mut dropped = 0;
        for _ in 0..120 {
            for _ in 0..town.below(4) {
                town.change().await;
            }
            let pause = town.below(3 * HOUR);
            town.advance(pause);
            let before = archive.metrics().dropped.get();
            archive = town.upset(archive).await;
            dropped += archive.metrics().dropped.get().saturating_sub(before);
            town.compare_aggregates(&archive, unit).await;
            town.compare_instances(&archive).await;
        }
        assert!(dropped > 50, "only {dropped} instances were dropped");
    }
}

/// A number of a sensor for every hour of the first two days, and the clock a day and an hour after.
async fn two_days(rule: RetentionRule) -> Town {
    let town = Town::new(1, rule);
    for hour in 0..48 {
        let time = Timestamp::from_seconds(START + hour * HOUR);
        let instance = Instance {
            value: Value {
                kind: AttributeType::Property,
                json: Json::parse(&format!("{hour}")).unwrap(),
            },
            observed_at: Some(time),
            created_at: time,
            modified_at: time,
            qualifiers: None,
        };
        let new = NewInstance { instance, deleted_at: None };
        let instances = vec![("urn:p:numbers".parse().unwrap(), new)];
        let types = vec!["urn:t:1".parse().unwrap()];
        let id = "urn:e:0".parse().unwrap();
        let action = EvolutionAction::Add { types, instances };
        town.commit(EvolutionChange { id, action }).await;
    }
    town
}

fn asked(method: AggregationMethod, period: &str) -> TemporalQuery {
    let (period, zone) = (period.parse().unwrap(), Zone::UTC);
    let aggregation = Aggregation { methods: vec![method], period, zone };
    let range = TimeRelation::After(Timestamp::from_seconds(START));
    TemporalQuery { range: Some(range), aggregation: Some(aggregation), ..TemporalQuery::default() }
}

async fn told(archive: &Archive, method: AggregationMethod, period: &str) -> Vec<f64> {
    let query = asked(method, period);
    let page = archive.evolutions(&Tenant::default(), &query).await.unwrap();
    figures(&page).into_iter().map(|(_, figure)| figure).collect()
}

#[tokio::test]
async fn what_is_old_is_hidden_at_once_and_the_answer_says_so() {
    let rule = rules()[0].0.clone();
    let mut town = two_days(rule).await;
    let archive = town.open();
    let tenant = Tenant::default();
    let id = "urn:e:0".parse().unwrap();
    let first = town.reference.all(&tenant).await.unwrap()[0].attributes[0].instances[0].number;
    let name = "urn:p:numbers".parse().unwrap();
    town.advance(DAY - 1);
    let all = TemporalQuery::default();
    let page = archive.evolutions(&tenant, &all).await.unwrap();
    assert_eq!(page.rolled_up_before, None);
    assert!(archive.instance(&tenant, &id, &name, first).await.unwrap().is_some());
    town.advance(DAY + HOUR / 2);
    let before = Timestamp::from_seconds(START + DAY);
    for is_written in [false, true] {
        if is_written {
            archive.compact().await.unwrap();
        }
        let page = archive.evolutions(&tenant, &all).await.unwrap();
        assert_eq!(page.items[0].evolution.attributes[0].instances.len(), 24);
        assert_eq!(page.rolled_up_before, Some(before));
        let later = TemporalQuery { range: Some(TimeRelation::After(before)), ..all.clone() };
        let page = archive.evolutions(&tenant, &later).await.unwrap();
        assert_eq!(page.rolled_up_before, None, "nothing of that time is gone");
        assert_eq!(archive.instance(&tenant, &id, &name, first).await.unwrap(), None);
        let sums = told(&archive, AggregationMethod::Sum, "P1D").await;
        assert_eq!(sums, [276.0, 852.0]);
        let counting = asked(AggregationMethod::DistinctCount, "P1D");
        archive.evolutions(&tenant, &counting).await.unwrap_err();
    }
}

#[tokio::test]
async fn time_alone_takes_instances_from_the_disk_and_a_kill_loses_nothing() {
    for (step, is_reopened) in Step::ALL.into_iter().flat_map(|step| [(step, false), (step, true)])
    {
        let mut town = two_days(rules()[0].0.clone()).await;
        let mut archive = town.open();
        archive.compact().await.unwrap();
        town.advance(3 * DAY + HOUR);
        let hours = told(&archive, AggregationMethod::Sum, "PT1H").await;
        assert_eq!(hours.len(), 48);
        archive.shared().faults.fail_before(step);
        archive.tidy().await.unwrap_err();
        if is_reopened {
            drop(archive);
            archive = town.open();
        }
        assert_eq!(told(&archive, AggregationMethod::Sum, "PT1H").await, hours);
        archive.tidy().await.unwrap();
        assert_eq!(archive.metrics().instances.get(), 0, "all are dropped");
        assert_eq!(archive.metrics().roll_ups.get(), 48 + 2);
        assert_eq!(told(&archive, AggregationMethod::Sum, "PT1H").await, hours);
        let merges = archive.metrics().merges.get();
        archive.tidy().await.unwrap();
        assert_eq!(archive.metrics().merges.get(), merges, "there is nothing more to drop");
    }
}

#[tokio::test]
async fn days_take_the_place_of_hours_that_are_gone_and_go_themselves() {
    let (short, long) = (Some(Kept::For(days(2))), Some(Kept::For(days(4))));
    let keep = Some(days(1));
    let rule = RetentionRule { keep, hourly: short, daily: long, ..RetentionRule::default() };
    let mut town = two_days(rule).await;
    let archive = town.open();
    // The clock, and how many aggregates there are of hours.
    let tenant = Tenant::default();
    let named = TemporalQuery { keep_empty: true, ..TemporalQuery::default() };
    for (day, hours) in [(1, 48), (2, 48), (3, 25), (4, 2), (5, 1), (6, 0)] {
        town.advance(DAY);
        let page = archive.evolutions(&tenant, &named).await.unwrap();
        assert_eq!(page.items.len(), usize::from(hours > 0), "after day {day}");
        assert_eq!(
            told(&archive, AggregationMethod::Sum, "PT1H").await.len(),
            hours,
            "after day {day}"
        );
        archive.compact().await.unwrap();
        archive.tidy().await.unwrap();
        assert_eq!(
            told(&archive, AggregationMethod::Sum, "PT1H").await.len(),
            hours,
            "after day {day}"
        );
    }
    let id = "urn:e:0".parse().unwrap();
    for _ in 0..2 {
        assert_eq!(archive.outline(&tenant, &id).await.unwrap(), None);
        let page = archive.evolutions(&tenant, &named).await.unwrap();
        assert!(page.items.is_empty());
        assert!(page.rolled_up_before.is_some(), "that there was something is still known");
        town.advance(DAY);
        archive.tidy().await.unwrap();
    }
    assert_eq!(archive.metrics().roll_ups.get(), 1, "nothing else is left of it on the disk");
}

#[tokio::test]
async fn the_task_drops_what_is_old_when_nothing_is_written() {
    let mut town = two_days(rules()[0].0.clone()).await;
    let archive = town.open();
    archive.compact().await.unwrap();
    drop(archive);
    let options = HistoryOptions {
        retention: vec![town.rule.clone()],
        clock: town.clock.clone(),
        tidy: Duration::from_millis(1),
        ..HistoryOptions::new(town.folder.path())
    };
    let archive = Archive::open(options, town.store.clone()).unwrap();
    town.advance(5 * DAY);
    let end = tokio_util::sync::CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(archive.clone().run(end.clone()));
    while archive.metrics().dropped.get() < 48 {
        tokio::task::yield_now().await;
    }
    end.cancel();
    tasks.join_all().await;
    assert_eq!(told(&archive, AggregationMethod::TotalCount, "PT0S").await, [48.0]);
}
