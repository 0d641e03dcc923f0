//! How fast segments are written and read. It asserts no time, so it runs when it is asked for:
//! `cargo test --release -p musubi-history --lib speed -- --ignored --nocapture`.

use musubi_query::TemporalProperty;
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::chunk::{CHUNK, Chunk};
use crate::column::{Floats, Input, Integers};

/// Says how many things a second were done, in millions.
fn rate(what: &str, things: usize, work: impl FnOnce()) {
    let begin = Instant::now();
    work();
    let nanos = usize::try_from(begin.elapsed().as_nanos()).unwrap().max(1);
    let hundredths = u32::try_from(things * 100_000 / nanos).unwrap();
    println!("{what:<46} {:>8.2} M/s", f64::from(hundredths) / 100.0);
}

#[test]
#[ignore = "it prints rates and is of use in a release build only"]
fn rates_of_columns_chunks_and_segments() {
    const ROUNDS: usize = 200;
    let all = ROUNDS * CHUNK;
    let entries = readings(1, CHUNK);
    let times: Vec<i64> =
        entries.iter().map(|entry| entry.recorded.instance.modified_at.as_micros()).collect();
    let mut column = Vec::new();
    Integers::encode(&times, &mut column);
    let decode = |input: &[u8]| Integers::decode(&mut Input::new(input), CHUNK).unwrap();
    rate("integers encoded", all, || {
        for _ in 0..ROUNDS {
            Integers::encode(&times, &mut Vec::new());
        }
    });
    rate("integers decoded", all, || {
        for _ in 0..ROUNDS {
            assert_eq!(decode(&column).len(), CHUNK);
        }
    });
    let floats: Vec<f64> = (0..2048).map(|at| f64::from(at % 300) / 10.0).collect();
    let mut column = Vec::new();
    Floats::encode(&floats, &mut column);
    rate("floats decoded", all, || {
        for _ in 0..ROUNDS {
            assert_eq!(Floats::decode(&mut Input::new(&column), CHUNK).unwrap().len(), CHUNK);
        }
    });
    let bytes = Chunk::encode(&entries);
    rate("instances encoded", all, || {
        for _ in 0..ROUNDS {
            assert_eq!(Chunk::encode(&entries).len(), bytes.len());
        }
    });
    let chunk = Chunk::parse(bytes.clone().into(), 0..bytes.len()).unwrap();
    rate("instances decoded", all, || {
        for _ in 0..ROUNDS {
            assert_eq!(chunk.entries().unwrap().len(), CHUNK);
        }
    });
    rate("numbers of a chunk", all, || {
        for _ in 0..ROUNDS {
            assert_eq!(chunk.numbers().unwrap().unwrap().len(), CHUNK);
        }
    });
    rate("times of a chunk", all, || {
        for _ in 0..ROUNDS {
            let times = chunk.all_times(TemporalProperty::ObservedAt).unwrap();
            assert_eq!(times.unwrap().len(), CHUNK);
        }
    });
    let data = vec![7_u8; 64 << 20];
    rate("bytes summed", data.len(), || assert_ne!(crc32c(&[&data]), 0));
    segments();
}

fn segments() {
    const NUMBER: usize = 500_000;
    let folder = TempDir::new().unwrap();
    let everything = one_series(NUMBER);
    let expected = rows(&everything).len();
    rate("rows written", expected, || {
        write(&path(&folder), &everything);
    });
    let segment = Segment::open(&path(&folder)).unwrap();
    rate("rows scanned", expected, || assert_eq!(told(&segment).0.len(), expected));
    let entity = entity_key("", "urn:a:1");
    rate("series looked up, and their last chunk read", 1000, || {
        for _ in 0..1000 {
            let row = segment.entity(&entity).unwrap().unwrap();
            let series = segment.series_of(&row).unwrap();
            let chunks = segment.chunks(&series[1], |_| true).unwrap();
            let read = segment.load(chunks.last().unwrap(), &mut PageSlot::default()).unwrap();
            assert!(read.len() > 0);
        }
    });
}
