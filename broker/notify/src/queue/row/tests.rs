use super::*;

fn key(name: &str) -> AccountKey {
    let id = format!("urn:ngsi-ld:Subscription:{name}").parse().unwrap();
    AccountKey { tenant: "town".parse().unwrap(), id }
}

fn of(row: &Row, name: &str) -> Vec<Named> {
    let key = key(name);
    row.entries().find(|(found, _)| **found == key).map(|(_, named)| named).unwrap_or_default()
}

fn named(sequence: u64, time: i64) -> Named {
    let (sequence, time) = (Sequence(sequence), Timestamp::from_micros(time));
    Named { sequence, time, bytes: 700 }
}

#[test]
fn a_row_is_read_as_it_was_written_also_with_a_clock_that_jumps() {
    let mut batch = Batch::default();
    let times = [1_700_000_000_000_000, 1_700_000_000_000_007, 5, -3, 253_402_300_799_999_999];
    for (n, time) in times.into_iter().enumerate() {
        let change = named(u64::MAX - 100 + 7 * u64::try_from(n).unwrap(), time);
        batch.add(key("a"), change);
        if n % 2 == 1 {
            batch.add(key("b"), change);
        }
    }
    let bytes = batch.to_bytes();
    let row = batch.into_row();
    assert_eq!(row.to_bytes(), bytes);
    let read = Row::from_bytes(&bytes).unwrap();
    assert_eq!(read, row);
    assert_eq!(of(&read, "b").len(), 2);
    assert!(Row::from_bytes(b"{\"changes\":[]}").is_err());
    assert_eq!(Row::from_bytes(&Row::default().to_bytes()).unwrap(), Row::default());
}

#[test]
fn a_row_of_an_earlier_version_is_read() {
    let AccountKey { tenant, id } = key("a");
    let packed = Packed { changes: vec![(7, 5), (2, 1)], due: vec![(tenant, id, vec![7, 2])] };
    let row = Row::from_bytes(&postcard::to_allocvec(&packed).unwrap()).unwrap();
    let times: Vec<_> = of(&row, "a").iter().map(|it| (it.sequence.0, it.time)).collect();
    assert_eq!(times, [(7, Timestamp::from_micros(5)), (9, Timestamp::from_micros(6))]);
}

#[test]
fn what_is_withdrawn_is_not_in_the_row() {
    let mut batch = Batch::default();
    for name in ["a", "b", "a"] {
        batch.add(key(name), named(3, 0));
    }
    batch.withdraw(&key("a"));
    batch.withdraw(&key("c"));
    assert_eq!(batch.pairs(), 1);
    let row = batch.into_row();
    assert_eq!(row.entries().map(|(key, _)| key.clone()).collect::<Vec<_>>(), [key("b")]);
}

#[test]
fn a_pair_takes_a_few_bytes() {
    let mut batch = Batch::default();
    // 5,000 changes per second.
    for n in 0..1000 {
        let time = 1_700_000_000_000_000 + 200 * n;
        batch.add(key("a"), named(10_000_000 + u64::try_from(n).unwrap(), time));
    }
    let bytes = batch.to_bytes().len();
    assert!(bytes < 7_000, "{bytes} bytes for 1,000 pairs");
}

#[test]
fn pairs_are_left_out_with_the_changes_that_nobody_else_waits_for_and_more_are_added() {
    let mut batch = Batch::default();
    for (name, at) in [("a", 1), ("a", 2), ("b", 2), ("b", 3)] {
        batch.add(key(name), named(at, 0));
    }
    batch.settle(|of| (*of == key("b")).then_some(Sequence(2)));
    let mut later = Batch::default();
    later.add(key("a"), named(7, 0));
    later.add(key("b"), named(7, 0));
    batch.extend(&later.into_row());
    assert_eq!(batch.pairs(), 3);
    let row = batch.into_row();
    assert_eq!(of(&row, "a"), [named(7, 0)]);
    assert_eq!(of(&row, "b"), [named(3, 0), named(7, 0)]);
    assert_eq!(row.first(), Some(Sequence(3)));
}
