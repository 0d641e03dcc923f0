//! Files that are damaged, cut off, not finished, or written in the wrong order.

use super::*;

#[test]
fn every_flipped_byte_is_found() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder);
    let mut everything = one_series(200);
    for kept in everything.values_mut() {
        for series in kept.series.values_mut() {
            series.rollups.truncate(20);
            series.corrections.superseded.truncate(20);
        }
    }
    write(&path, &everything);
    let expected = rows(&everything);
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, &damaged).unwrap();
        let Ok(segment) = Segment::open(&path) else { continue };
        assert!(segment.verify().is_err(), "byte {at}");
        let (read, done) = told(&segment);
        for (row, expected) in read.iter().zip(&expected) {
            assert_eq!(row, expected, "byte {at}");
        }
        assert!(done.is_err(), "byte {at}");
    }
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder);
    write(&path, &one_series(500));
    let bytes = fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(37).chain([bytes.len() - 1]) {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(matches!(Segment::open(&path), Err(SegmentError::Damaged(_))), "{length}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    fs::write(&path, &longer).unwrap();
    assert!(matches!(Segment::open(&path), Err(SegmentError::Damaged(_))));
}

#[test]
fn what_does_not_follow_is_refused() {
    let folder = TempDir::new().unwrap();
    let refused = |result: Result<(), SegmentError>| {
        assert!(matches!(result, Err(SegmentError::Order(_))), "{result:?}");
    };
    let (one, two) = (entity_key("", "urn:a:1"), entity_key("", "urn:a:2"));
    let [a, b, c] = ["a", "b", "c"].map(|name| format!("https://example.org/{name}"));
    let [a, b, c] = [a, b, c].map(|name| series_name(&(name, None)));
    let none = Corrections::default();
    let entries = readings(1, 2);
    let rollup = RollUp::empty(Level::Hour, TemporalProperty::ObservedAt, 0);
    let mut writer = SegmentWriter::create(&path(&folder)).unwrap();
    refused(writer.series(a.clone(), &none));
    refused(writer.push(entries[0].clone()));
    refused(writer.rollup(&rollup));
    writer.entity(&two, &head(&[])).unwrap();
    refused(writer.entity(&two, &head(&[])));
    refused(writer.entity(&one, &head(&[])));
    writer.series(b.clone(), &none).unwrap();
    refused(writer.series(b.clone(), &none));
    refused(writer.series(a.clone(), &none));
    writer.push(entries[1].clone()).unwrap();
    refused(writer.push(entries[1].clone()));
    refused(writer.push(entries[0].clone()));
    writer.rollup(&rollup).unwrap();
    refused(writer.rollup(&rollup));
    let number = InstanceNumber::default();
    let twice = vec![Superseded { number, version: Sequence(1) }; 2];
    let twice = Corrections { superseded: twice, ..none };
    refused(writer.series(c, &twice));
    writer.finish().unwrap();
    assert_eq!(Segment::open(&path(&folder)).unwrap().summary().stats.count, 1);
}

#[test]
fn a_segment_that_is_not_finished_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let mut writer = SegmentWriter::create(&path(&folder)).unwrap();
    writer.entity(&entity_key("", "urn:a:1"), &head(&[])).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn pages_of_two_segments_are_not_mixed_up() {
    let folder = TempDir::new().unwrap();
    let mut slot = PageSlot::default();
    for sensor in 0..2 {
        let path = folder.path().join(sensor.to_string());
        let mut everything = one_series(0);
        for kept in everything.values_mut() {
            kept.series.values_mut().for_each(|series| series.entries = readings(sensor, 50));
        }
        write(&path, &everything);
        let segment = Segment::open(&path).unwrap();
        let row = segment.entity(&entity_key("", "urn:a:1")).unwrap().unwrap();
        let series = segment.series_of(&row).unwrap();
        let chunks = segment.chunks(&series[0], |_| true).unwrap();
        let read = segment.load(&chunks[0], &mut slot).unwrap().entries().unwrap();
        assert_eq!(read, readings(sensor, 50));
    }
}
