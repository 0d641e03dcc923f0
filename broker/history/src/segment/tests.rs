mod files;
mod speed;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use musubi_model::{EntityId, InstanceNumber, Sequence, Tenant, Timestamp, TypeName};
use musubi_query::TemporalProperty;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use tempfile::TempDir;

use super::*;
use crate::chunk::ChunkStats;
use crate::chunk::samples::{Noise, readings, some_entries, some_time, whole};
use crate::series::{Corrections, EntityKey, Entry, Head, SeriesKey, Superseded};

type Name = (String, Option<String>);

#[derive(Clone, Debug, Default)]
struct Series {
    corrections: Corrections,
    entries: Vec<Entry>,
    rollups: Vec<RollUp>,
}

#[derive(Clone, Debug)]
struct Kept {
    head: Head,
    series: BTreeMap<Name, Series>,
}

/// By tenant and id.
type Everything = BTreeMap<(String, String), Kept>;

fn entity_key(tenant: &str, id: &str) -> EntityKey {
    EntityKey { tenant: tenant.parse().unwrap(), id: id.parse().unwrap() }
}

fn series_key(entity: &EntityKey, (attribute, dataset): &Name) -> SeriesKey {
    SeriesKey {
        entity: entity.clone(),
        attribute: attribute.parse().unwrap(),
        dataset: dataset.as_ref().map(|name| name.parse().unwrap()),
    }
}

fn head(types: &[&str]) -> Head {
    Head {
        types: types.iter().map(|name| name.parse().unwrap()).collect(),
        created_at: Timestamp::from_seconds(1),
        modified_at: Timestamp::from_seconds(2),
        deleted_at: None,
        existence_of: Sequence(1),
        removed_upto: Sequence(0),
    }
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("1.segment")
}

fn write(path: &Path, everything: &Everything) -> SegmentSummary {
    let mut writer = SegmentWriter::create(path).unwrap();
    for ((tenant, id), kept) in everything {
        let entity = entity_key(tenant, id);
        writer.entity(&entity, &kept.head).unwrap();
        for (name, series) in &kept.series {
            writer.series(series_key(&entity, name), &series.corrections).unwrap();
            for entry in &series.entries {
                writer.push(entry.clone()).unwrap();
            }
            for rollup in &series.rollups {
                writer.rollup(rollup).unwrap();
            }
        }
    }
    writer.finish().unwrap()
}

fn rows(everything: &Everything) -> Vec<Row> {
    let mut rows = Vec::new();
    for ((tenant, id), kept) in everything {
        let entity = entity_key(tenant, id);
        rows.push(Row::Entity(entity.clone(), kept.head.clone()));
        for (name, series) in &kept.series {
            rows.push(Row::Series(series_key(&entity, name), series.corrections.clone()));
            rows.extend(series.entries.iter().cloned().map(Row::Entry));
            rows.extend(series.rollups.iter().copied().map(Row::RollUp));
        }
    }
    rows
}

/// Everything that can be asked of a segment, against what was written.
fn check(segment: &Segment, everything: &Everything) {
    segment.verify().unwrap();
    let read: Vec<Row> = segment.scan().map(Result::unwrap).collect();
    assert_eq!(read, rows(everything));
    let mut slot = PageSlot::default();
    for ((tenant, id), kept) in everything {
        let entity = entity_key(tenant, id);
        let row = segment.entity(&entity).unwrap().unwrap();
        assert_eq!((&row.key, &row.head), (&entity, &kept.head));
        let summaries = segment.series_of(&entity).unwrap();
        let keys: Vec<_> = kept.series.keys().map(|name| series_key(&entity, name)).collect();
        assert_eq!(summaries.iter().map(|one| one.key.clone()).collect::<Vec<_>>(), keys);
        let names: Vec<_> = keys.into_iter().map(|key| (key.attribute, key.dataset)).collect();
        assert_eq!(row.names, names);
        for (summary, series) in summaries.iter().zip(kept.series.values()) {
            assert_eq!(segment.series(&summary.key).unwrap().as_ref(), Some(summary));
            assert_eq!(summary.corrections, series.corrections);
            assert_eq!(summary.stats, ChunkStats::of(&series.entries));
            assert_eq!(summary.rollups, u64::try_from(series.rollups.len()).unwrap());
            let mut entries = Vec::new();
            for chunk in segment.chunks(summary, |_| true).unwrap() {
                let read = segment.load(&chunk, &mut slot).unwrap().entries().unwrap();
                assert_eq!(chunk.stats, ChunkStats::of(&read));
                entries.extend(read);
            }
            let text = |entries: &[Entry]| entries.iter().map(whole).collect::<Vec<_>>();
            assert_eq!(text(&entries), text(&series.entries));
            assert_eq!(segment.rollups(summary).unwrap(), series.rollups);
            assert!(segment.chunks(summary, |_| false).unwrap().is_empty());
        }
        let missing = series_key(&entity, &("https://example.org/none".to_owned(), None));
        assert_eq!(segment.series(&missing).unwrap(), None);
    }
}

fn check_heads(segment: &Segment, everything: &Everything) {
    let mut tenants: Vec<&str> = everything.keys().map(|(tenant, _)| tenant.as_str()).collect();
    tenants.dedup();
    assert_eq!(segment.tenants().iter().map(Tenant::as_str).collect::<Vec<_>>(), tenants);
    let ids = ["urn:a:", "urn:a:1", "urn:a:3x", "urn:z:9"].map(|id| Some(id.parse().unwrap()));
    for tenant in ["", "anamizu", "nanao", "zzz"] {
        for after in ids.iter().chain([&None::<EntityId>]) {
            for types in [None, Some(vec![]), Some(vec![SHELTER]), Some(vec![SENSOR, "urn:t:none"])]
            {
                let wanted = |kept: &&Kept| {
                    types.as_ref().is_none_or(|types| {
                        kept.head.types.iter().any(|name| types.contains(&name.as_str()))
                    })
                };
                let expected: Vec<&Head> = everything
                    .iter()
                    .filter(|((of, _), _)| of == tenant)
                    .filter(|((_, id), _)| {
                        after.as_ref().is_none_or(|one| one.as_str() < id.as_str())
                    })
                    .map(|(_, kept)| kept)
                    .filter(wanted)
                    .map(|kept| &kept.head)
                    .collect();
                let names: Option<Vec<TypeName>> = types
                    .as_ref()
                    .map(|types| types.iter().map(|name| name.parse().unwrap()).collect());
                let tenant = tenant.parse().unwrap();
                let read = segment.heads(&tenant, after.as_ref(), names.as_deref());
                let read: Vec<Head> = read.map(|row| row.unwrap().head).collect();
                assert_eq!(read.iter().collect::<Vec<_>>(), expected);
            }
        }
    }
}

const SHELTER: &str = "https://example.org/Shelter";
const SENSOR: &str = "https://example.org/Sensor";

fn some_rollups() -> impl Strategy<Value = Vec<RollUp>> {
    let one = (vec(-1000..1000_i32, 0..4), 0..3_u64).prop_map(|(numbers, others)| {
        let mut rollup = RollUp::empty(Level::Hour, TemporalProperty::ObservedAt, 0);
        for _ in 0..others {
            rollup.add(None);
        }
        for number in numbers {
            rollup.add(Some(f64::from(number) / 7.0));
        }
        rollup
    });
    let key = (any::<bool>(), any::<bool>(), 0..50_i64);
    btree_map(key, one, 0..6).prop_map(|rollups| {
        let place = |((day, modified, period), rollup): ((bool, bool, i64), RollUp)| {
            let level = if day { Level::Day } else { Level::Hour };
            let property =
                if modified { TemporalProperty::ModifiedAt } else { TemporalProperty::ObservedAt };
            RollUp { level, property, start: period * level.micros(), ..rollup }
        };
        rollups.into_iter().map(place).collect()
    })
}

fn some_series() -> impl Strategy<Value = Series> {
    let superseded = btree_map((0..100_u64, 0..3_u32), 0..500_u64, 0..5);
    (superseded, 0..50_u64, some_entries(8), some_rollups()).prop_map(
        |(superseded, removed, entries, rollups)| {
            let superseded = superseded.into_iter().map(|((sequence, ordinal), version)| {
                let number = InstanceNumber { sequence: Sequence(sequence), ordinal };
                Superseded { number, version: Sequence(version) }
            });
            let superseded = superseded.collect();
            let corrections = Corrections { removed_upto: Sequence(removed), superseded };
            Series { corrections, entries, rollups }
        },
    )
}

fn some_head() -> impl Strategy<Value = Head> {
    (
        prop::sample::subsequence(vec![SHELTER, SENSOR], 0..=2),
        (some_time(), some_time(), prop::option::of(some_time())),
        (any::<u64>(), 0..9_u64),
    )
        .prop_map(|(types, (created_at, modified_at, deleted_at), (existence, removed))| {
            Head {
                created_at,
                modified_at,
                deleted_at,
                existence_of: Sequence(existence),
                removed_upto: Sequence(removed),
                ..head(&types)
            }
        })
}

fn everything() -> impl Strategy<Value = Everything> {
    let tenant = select(vec!["", "anamizu", "nanao"]).prop_map(str::to_owned);
    let id = select(vec!["urn:a:1", "urn:a:2", "urn:a:20", "urn:a:3", "urn:b:1", "urn:c:避"])
        .prop_map(str::to_owned);
    let attribute = select(vec!["https://example.org/a", "https://example.org/b", "urn:x:y"]);
    let dataset = select(vec![None, Some("urn:set:1".to_owned()), Some("urn:set:2".to_owned())]);
    let name = (attribute.prop_map(str::to_owned), dataset);
    let kept = (some_head(), btree_map(name, some_series(), 0..4))
        .prop_map(|(head, series)| Kept { head, series });
    btree_map((tenant, id), kept, 0..7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_segment_says_what_was_written(everything in everything()) {
        let folder = TempDir::new().unwrap();
        let summary = write(&path(&folder), &everything);
        let segment = Segment::open(&path(&folder)).unwrap();
        prop_assert_eq!(segment.summary(), &summary);
        prop_assert_eq!(summary.bytes, fs::metadata(path(&folder)).unwrap().len());
        check(&segment, &everything);
        check_heads(&segment, &everything);
        let stranger = entity_key("nanao", "urn:q:1");
        prop_assert_eq!(segment.entity(&stranger).unwrap(), None);
        prop_assert!(segment.series_of(&stranger).unwrap().is_empty());
    }
}

fn one_series(number: usize) -> Everything {
    let mut series = BTreeMap::new();
    let rollups = (0..3000).map(|hour| {
        let mut rollup =
            RollUp::empty(Level::Hour, TemporalProperty::ObservedAt, hour * 3_600_000_000);
        rollup.add(Some(21.5));
        rollup
    });
    let superseded = (0..2500).map(|number| Superseded {
        number: InstanceNumber { sequence: Sequence(number), ordinal: 0 },
        version: Sequence(number + 7),
    });
    let corrections = Corrections { removed_upto: Sequence(3), superseded: superseded.collect() };
    let of = Series { corrections, entries: readings(1, number), rollups: rollups.collect() };
    series.insert(("https://example.org/temperature".to_owned(), None), of);
    series.insert(("https://example.org/pressure".to_owned(), None), Series::default());
    let kept = Kept { head: head(&[SENSOR]), series };
    BTreeMap::from([((String::new(), "urn:a:1".to_owned()), kept)])
}

#[test]
fn a_long_series_has_many_pages_and_several_rows() {
    let everything = one_series(crate::chunk::CHUNK * 70);
    let folder = TempDir::new().unwrap();
    write(&path(&folder), &everything);
    check(&Segment::open(&path(&folder)).unwrap(), &everything);
}

#[test]
fn many_entities_and_large_values_have_many_pages() {
    let mut everything = Everything::new();
    for at in 0..1500 {
        let mut entries = readings(at, 1);
        if at % 500 == 0 {
            let text = "y".repeat(300_000);
            entries[0].recorded.instance.value.json = text.as_str().into();
        }
        let series = Series { entries, ..Series::default() };
        let names = ["https://example.org/a", "https://example.org/b"];
        let series = names.map(|name| ((name.to_owned(), None), series.clone()));
        let kept = Kept { head: head(&[SENSOR]), series: BTreeMap::from(series) };
        everything.insert(("nanao".to_owned(), format!("urn:ngsi-ld:Sensor:{at:05}")), kept);
    }
    let folder = TempDir::new().unwrap();
    write(&path(&folder), &everything);
    check(&Segment::open(&path(&folder)).unwrap(), &everything);
}

#[test]
fn a_reading_takes_less_than_sixteen_bytes() {
    const SENSORS: u64 = 20;
    const READINGS: usize = 6000;
    let mut everything = Everything::new();
    for sensor in 0..SENSORS {
        let of = Series { entries: readings(sensor, READINGS), ..Series::default() };
        let name = ("https://example.org/temperature".to_owned(), None);
        let kept = Kept { head: head(&[SENSOR]), series: BTreeMap::from([(name, of)]) };
        everything.insert((String::new(), format!("urn:ngsi-ld:Sensor:{sensor:03}")), kept);
    }
    let folder = TempDir::new().unwrap();
    let summary = write(&path(&folder), &everything);
    let tenths = summary.bytes * 10 / summary.stats.count;
    println!("{}.{} bytes for each instance", tenths / 10, tenths % 10);
    assert!(tenths <= 160, "{tenths}");
}

#[test]
fn a_roll_up_takes_less_than_forty_bytes() {
    let mut noise = Noise(9);
    let mut rollups = Vec::new();
    for hour in 0..1000 {
        let mut rollup =
            RollUp::empty(Level::Hour, TemporalProperty::ObservedAt, hour * 3_600_000_000);
        for _ in 0..60 {
            let tenths = i32::try_from(noise.below(300)).unwrap();
            rollup.add(Some(f64::from(tenths) / 10.0));
        }
        rollups.push(rollup);
    }
    let bytes = blocks::write_rollups(&rollups);
    assert!(bytes.len() <= 40 * rollups.len(), "{}", bytes.len());
    assert_eq!(blocks::read_rollups(&bytes).unwrap(), rollups);
}

#[test]
fn roll_ups_of_parts_are_that_of_the_whole() {
    let empty = RollUp::empty(Level::Day, TemporalProperty::ModifiedAt, 0);
    let (mut one, mut two, mut all) = (empty, empty, empty);
    for (at, number) in [Some(3.0), None, Some(-1.5), Some(8.0)].into_iter().enumerate() {
        all.add(number);
        if at < 2 { one.add(number) } else { two.add(number) }
    }
    one.merge(&two);
    one.merge(&empty);
    assert_eq!(one, all);
    assert_eq!((all.count, all.numbers.count), (4, 3));
    assert_eq!((all.numbers.min, all.numbers.max, all.numbers.sum), (-1.5, 8.0, 9.5));
    assert_eq!(Level::Hour.start_of(-1), -3_600_000_000);
}
