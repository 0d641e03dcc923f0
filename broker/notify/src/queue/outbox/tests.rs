use musubi_model::Timestamp;

use super::*;
use crate::queue::row::Named;

fn key(name: &str) -> AccountKey {
    let id = format!("urn:ngsi-ld:Subscription:{name}").parse().unwrap();
    AccountKey { tenant: "town".parse().unwrap(), id }
}

/// What is due to these subscriptions because of a change.
fn row(sequence: u64, names: &[&str]) -> Row {
    let mut batch = Batch::default();
    for name in names {
        let time = Timestamp::from_seconds(0);
        batch.add(key(name), Named { sequence: Sequence(sequence), time, bytes: 1 });
    }
    batch.into_row()
}

fn write(outbox: &mut Outbox, sequence: u64, names: &[&str]) -> (u64, usize) {
    let settled = |key: &AccountKey| (*key != self::key("done")).then_some(Sequence(0));
    let (at, bytes) = outbox.add(Sequence(sequence), &row(sequence, names), settled);
    let whole = Row::from_bytes(&bytes).unwrap();
    (at.0, whole.entries().map(|(_, changes)| changes.len()).sum())
}

fn accept(outbox: &mut Outbox, row: u64, names: &[&str]) {
    let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
    outbox.accept(Sequence(row), &keys.iter().collect::<Vec<_>>());
}

/// An outbox with so many open rows that the next one grows.
fn long() -> Outbox {
    let mut outbox = Outbox::default();
    for n in 0..MANY {
        let at = u64::try_from(n).unwrap() + 1;
        assert_eq!(write(&mut outbox, at, &["a"]), (at, 1));
        accept(&mut outbox, at, &["a"]);
    }
    outbox
}

#[test]
fn a_row_is_done_when_all_are_done_with_it() {
    let mut outbox = Outbox::default();
    accept(&mut outbox, 5, &["a", "b"]);
    accept(&mut outbox, 9, &[]);
    assert_eq!(outbox.take_done(10), [Sequence(9)]);
    outbox.finish(Sequence(5), &key("a"));
    outbox.finish(Sequence(9), &key("a"));
    assert!(!outbox.has_done());
    outbox.finish(Sequence(5), &key("b"));
    assert_eq!(outbox.take_done(10), [Sequence(5)]);
    assert_eq!(outbox.part_with(&key("c")), Sequence(9));
}

#[test]
fn while_many_rows_are_open_the_last_one_grows() {
    let mut outbox = long();
    assert_eq!(write(&mut outbox, 100, &["a", "done"]), (100, 2));
    accept(&mut outbox, 100, &["a", "done"]);
    outbox.finish(Sequence(100), &key("done"));
    assert_eq!(write(&mut outbox, 101, &["a", "b"]), (100, 3), "without what is done");
    accept(&mut outbox, 100, &["a", "b"]);
    assert_eq!(write(&mut outbox, 102, &["done"]), (100, 4));
    accept(&mut outbox, 100, &[]);
    for name in ["a", "b"] {
        assert!(!outbox.has_done());
        outbox.finish(Sequence(100), &key(name));
    }
    assert_eq!(outbox.take_done(10), [Sequence(100)], "each is done with it once");
    assert_eq!(write(&mut outbox, 103, &["a"]), (103, 1), "what is done does not come back");
}

#[test]
fn a_row_that_grows_is_not_done_before_that_is_accepted() {
    let mut outbox = long();
    write(&mut outbox, 100, &["a"]);
    accept(&mut outbox, 100, &["a"]);
    assert_eq!(write(&mut outbox, 101, &["b"]), (100, 2));
    outbox.finish(Sequence(100), &key("a"));
    // One who reads the row before that, and is done with it.
    outbox.finish(Sequence(100), &key("b"));
    assert!(!outbox.has_done());
    accept(&mut outbox, 100, &[]);
    assert_eq!(outbox.take_done(10), [Sequence(100)]);
}

#[test]
fn a_row_that_is_sealed_or_large_does_not_grow() {
    let mut outbox = long();
    write(&mut outbox, 100, &["a", "b"]);
    accept(&mut outbox, 100, &["a", "b"]);
    assert_eq!(outbox.part_with(&key("c")), Sequence(99));
    assert_eq!(write(&mut outbox, 100, &["a"]), (100, 3), "others do not seal it");
    accept(&mut outbox, 100, &["a"]);
    assert_eq!(outbox.part_with(&key("b")), Sequence(100));
    assert_eq!(write(&mut outbox, 101, &["a"]), (101, 1));
    accept(&mut outbox, 101, &["a"]);
    let names: Vec<_> = (0..LARGE / 30).map(|n| n.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(write(&mut outbox, 102, &names).0, 101);
    accept(&mut outbox, 101, &names);
    assert_eq!(write(&mut outbox, 103, &["a"]), (103, 1));
}

#[test]
fn what_is_written_for_a_row_has_bounds_and_rows_are_few() {
    let mut outbox = long();
    let (mut rows, mut written) = (FxHashSet::default(), 0);
    for sequence in 100..10_100 {
        let due = row(sequence, &["a"]);
        let (at, bytes) = outbox.add(Sequence(sequence), &due, |_| Some(Sequence(0)));
        outbox.accept(at, &[&key("a")]);
        rows.insert(at);
        written += bytes.len();
    }
    assert!(rows.len() < 50, "{} rows for 10,000 changes", rows.len());
    assert!(written < 1_500 * 10_000, "{written} bytes written");
}

#[test]
fn what_is_on_its_way_for_one_who_goes_is_not_counted_twice() {
    let mut outbox = long();
    write(&mut outbox, 100, &["a"]);
    accept(&mut outbox, 100, &["a"]);
    write(&mut outbox, 101, &["a", "gone"]);
    // It reads the row meanwhile, and goes. What is on its way to it is not accepted for it.
    assert_eq!(outbox.part_with(&key("gone")), Sequence(99), "that row does not wait for it");
    accept(&mut outbox, 100, &["a"]);
    assert!(!outbox.has_done());
    outbox.finish(Sequence(100), &key("a"));
    assert_eq!(outbox.take_done(10), [Sequence(100)]);
}
