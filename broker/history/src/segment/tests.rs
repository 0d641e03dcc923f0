mod files;
mod some;
mod speed;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use musubi_model::{EntityId, InstanceNumber, Sequence, Tenant, Timestamp, TypeName};
use musubi_query::TemporalProperty;
use proptest::prelude::*;
use tempfile::TempDir;

use self::some::everything;
use super::*;
use crate::chunk::ChunkStats;
use crate::chunk::samples::{Noise, readings, whole};
use crate::series::{Corrections, EntityKey, Entry, Head, SeriesKey, SeriesName, Superseded};

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

fn series_name((attribute, dataset): &Name) -> SeriesName {
    (attribute.parse().unwrap(), dataset.as_ref().map(|name| name.parse().unwrap()))
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
            writer.series(series_name(name), &series.corrections).unwrap();
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

/// What a segment tells of an entity: what it is, or one of its rows.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Entity(EntityKey, Head),
    Row(Row),
}

fn rows(everything: &Everything) -> Vec<Told> {
    let mut rows = Vec::new();
    for ((tenant, id), kept) in everything {
        let entity = entity_key(tenant, id);
        rows.push(Told::Entity(entity, kept.head.clone()));
        for (name, series) in &kept.series {
            rows.push(Told::Row(Row::Series(series_name(name), series.corrections.clone())));
            rows.extend(series.entries.iter().cloned().map(Row::Entry).map(Told::Row));
            rows.extend(series.rollups.iter().copied().map(Row::RollUp).map(Told::Row));
        }
    }
    rows
}

/// All that a segment tells, until it is over or an error comes.
fn told(segment: &Segment) -> (Vec<Told>, Result<(), SegmentError>) {
    let mut told = Vec::new();
    let mut tell = || {
        let mut scan = segment.scan();
        while scan.next_entity()? {
            let (key, head) = scan.open()?;
            told.push(Told::Entity(key, head));
            while let Some(row) = scan.step()? {
                told.push(Told::Row(row));
            }
        }
        Ok(())
    };
    let done = tell();
    (told, done)
}

/// Takes over every row of a segment that is whole, and says which.
fn take_over(segment: &Segment, into: &Path) -> Vec<EntityKey> {
    let mut writer = SegmentWriter::create(into).unwrap();
    let mut names = Foreign::new(segment.names());
    let (mut scan, mut taken) = (segment.scan(), Vec::new());
    while scan.next_entity().unwrap() {
        if let Some(body) = scan.whole() {
            let id = scan.entity().unwrap().1;
            writer.whole((scan.tenant().unwrap(), id), body, &mut names).unwrap();
            let tenant = scan.tenant().unwrap().clone();
            let id = std::str::from_utf8(id).unwrap().parse().unwrap();
            taken.push(EntityKey { tenant, id });
        } else {
            scan.open().unwrap();
            while scan.step().unwrap().is_some() {}
        }
    }
    writer.take_over(&segment.summary().stats);
    writer.finish().unwrap();
    taken
}

/// Everything that can be asked of a segment, against what was written.
fn check(segment: &Segment, everything: &Everything) {
    segment.verify().unwrap();
    let (read, done) = told(segment);
    done.unwrap();
    assert_eq!(read, rows(everything));
    let mut slot = PageSlot::default();
    for ((tenant, id), kept) in everything {
        let entity = entity_key(tenant, id);
        let row = segment.entity(&entity).unwrap().unwrap();
        assert_eq!((&row.key, &row.head), (&entity, &kept.head));
        let summaries = segment.series_of(&row).unwrap();
        let names: Vec<_> = kept.series.keys().map(series_name).collect();
        let keys: Vec<_> = names.iter().map(|name| SeriesKey::new(&entity, name)).collect();
        assert_eq!(summaries.iter().map(|one| one.key.clone()).collect::<Vec<_>>(), keys);
        assert_eq!(row.names, names);
        for ((summary, name), series) in summaries.iter().zip(names).zip(kept.series.values()) {
            assert_eq!(segment.series(&row, &name).unwrap().as_ref(), Some(summary));
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
        let missing = series_name(&("https://example.org/none".to_owned(), None));
        assert_eq!(segment.series(&row, &missing).unwrap(), None);
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
    }

    #[test]
    fn a_row_that_is_taken_over_says_in_another_segment_what_it_said(everything in everything()) {
        let folder = TempDir::new().unwrap();
        write(&path(&folder), &everything);
        let segment = Segment::open(&path(&folder)).unwrap();
        let into = folder.path().join("2.segment");
        let taken = take_over(&segment, &into);
        let whole = |(entity, kept): &(&(String, String), &Kept)| {
            let is_short = |series: &Series| {
                let is_short = series.corrections.is_empty() && series.rollups.is_empty();
                is_short && (1..=few::FEW).contains(&series.entries.len())
            };
            let is_whole = kept.head.removed_upto == Sequence(0)
                && !kept.series.is_empty()
                && kept.series.values().all(is_short);
            assert_eq!(is_whole, taken.contains(&entity_key(&entity.0, &entity.1)));
            is_whole
        };
        let left = everything.iter().filter(whole);
        let left: Everything = left.map(|(key, kept)| (key.clone(), kept.clone())).collect();
        let segment = Segment::open(&into).unwrap();
        let summary = segment.summary();
        let instances = left.values().flat_map(|kept| kept.series.values());
        let instances = instances.map(|series| series.entries.len()).sum::<usize>();
        prop_assert_eq!(summary.stats.count, u64::try_from(instances).unwrap());
        prop_assert_eq!(summary.entities, u64::try_from(left.len()).unwrap());
        check(&segment, &left);
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
