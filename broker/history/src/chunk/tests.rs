use crate::column::Input;
use musubi_model::{Sequence, Timestamp};
use musubi_query::TemporalProperty;
use proptest::collection::vec;
use proptest::prelude::*;

use super::samples::{readings, some_entries, whole};
use super::*;

fn back(entries: &[Entry]) -> Chunk {
    let bytes = Chunk::encode(entries);
    let mut padded = vec![9; 7];
    padded.extend_from_slice(&bytes);
    padded.push(9);
    let chunk = Chunk::parse(padded.into(), 7..7 + bytes.len()).unwrap();
    assert_eq!(chunk.len(), entries.len());
    let read = chunk.entries().unwrap();
    for (read, written) in read.iter().zip(entries) {
        assert_eq!(whole(read), whole(written));
    }
    assert_eq!(read, entries);
    chunk
}

fn check_columns(entries: &[Entry], chunk: &Chunk) {
    for property in [
        TemporalProperty::ObservedAt,
        TemporalProperty::CreatedAt,
        TemporalProperty::ModifiedAt,
        TemporalProperty::DeletedAt,
    ] {
        let times = entries.iter().map(|entry| property.of(&entry.recorded));
        let times: Vec<_> = times.map(|time| time.map(Timestamp::as_micros)).collect();
        let all: Option<Vec<_>> = times.into_iter().collect();
        assert_eq!(chunk.all_times(property).unwrap(), all, "{property:?}");
    }
    let numbers = entries.iter().map(|entry| {
        let number = entry.recorded.instance.value.json.as_f64();
        number.filter(|_| entry.recorded.deleted_at.is_none())
    });
    let numbers: Option<Vec<f64>> = numbers.collect();
    assert_eq!(chunk.numbers().unwrap(), numbers);
    let versions: Vec<Sequence> = entries.iter().map(|entry| entry.version).collect();
    assert_eq!(chunk.versions().unwrap(), versions);
    let numbers: Vec<_> = entries.iter().map(|entry| entry.recorded.number).collect();
    assert_eq!(chunk.instance_numbers().unwrap(), numbers);
}

#[test]
fn readings_of_a_sensor_take_few_bytes() {
    let entries = readings(3, CHUNK);
    let chunk = back(&entries);
    check_columns(&entries, &chunk);
    assert!(Chunk::encode(&entries).len() < 8 * CHUNK, "{}", Chunk::encode(&entries).len());
}

#[test]
fn what_is_known_of_a_chunk_is_read_back() {
    for entries in [readings(1, 100), readings(2, 1)] {
        let stats = ChunkStats::of(&entries);
        assert_eq!(stats.count, u64::try_from(entries.len()).unwrap());
        let mut bytes = Vec::new();
        stats.write(&mut bytes);
        assert_eq!(ChunkStats::read(&mut Input::new(&bytes)).unwrap(), stats);
        let (first, rest) = entries.split_at(entries.len() / 2);
        let mut merged = ChunkStats::of(first);
        merged.merge(&ChunkStats::of(rest));
        assert_eq!(merged, stats);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_instances_come_back(entries in some_entries(60)) {
        prop_assume!(!entries.is_empty());
        let chunk = back(&entries);
        check_columns(&entries, &chunk);
        let mut bytes = Vec::new();
        let stats = ChunkStats::of(&entries);
        stats.write(&mut bytes);
        prop_assert_eq!(ChunkStats::read(&mut Input::new(&bytes)).unwrap(), stats);
    }

    #[test]
    fn a_damaged_chunk_is_read_as_something_or_refused(
        entries in some_entries(30),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!entries.is_empty());
        let mut bytes = Chunk::encode(&entries);
        let whole = 0..bytes.len();
        let cut = 0..cut.index(bytes.len());
        for (place, bits) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= bits;
        }
        for range in [whole, cut] {
            if let Ok(chunk) = Chunk::parse(bytes.clone().into(), range) {
                let _ = (chunk.entries(), chunk.numbers(), chunk.versions());
                let _ = (chunk.instance_numbers(), chunk.all_times(TemporalProperty::CreatedAt));
                let _ = chunk.all_times(TemporalProperty::ModifiedAt);
            }
        }
    }
}
