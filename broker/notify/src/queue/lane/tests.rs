use super::*;

fn changes(range: std::ops::Range<u64>) -> Vec<Named> {
    let named = |n| Named { sequence: Sequence(n), time: Timestamp::from_seconds(0), bytes: 10 };
    range.map(named).collect()
}

fn lane(resumption: Resumption) -> Lane {
    Lane::new(Sequence(0), resumption)
}

const MOST: Most = Most { changes: 4, bytes: 1000 };

fn composed(lane: &Lane, most: Most) -> Vec<u64> {
    lane.compose(most, |_| false).into_iter().map(|(sequence, _)| sequence.0).collect()
}

#[test]
fn what_does_not_fit_is_read_again_from_its_row_and_nothing_twice() {
    let mut lane = lane(Resumption::default());
    let rows =
        [(Sequence(3), changes(1..4)), (Sequence(6), changes(4..7)), (Sequence(8), changes(7..9))];
    for (row, changes) in &rows {
        lane.take_in(*row, changes, 4);
    }
    let mut seen = Vec::new();
    loop {
        while lane.len() > 0 {
            let popped = lane.pop(1);
            seen.extend(popped.map(|it| (it.sequence.0, it.row.0, it.ends_row)));
        }
        let Some(from) = lane.spilled() else { break };
        for (row, changes) in rows.iter().filter(|(row, _)| *row >= from) {
            lane.read((from, *row), || changes.clone(), 4);
        }
        lane.pass(from, None);
    }
    let expected = [
        (1, 3, false),
        (2, 3, false),
        (3, 3, true),
        (4, 6, false),
        (5, 6, false),
        (6, 6, true),
        (7, 8, false),
        (8, 8, true),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_notification_holds_what_is_there_within_its_bounds() {
    let mut lane = lane(Resumption::default());
    assert!(composed(&lane, MOST).is_empty());
    lane.take_in(Sequence(9), &changes(1..3), 100);
    assert_eq!(composed(&lane, MOST), [1, 2]);
    lane.take_in(Sequence(20), &changes(3..20), 100);
    assert_eq!(composed(&lane, MOST), [1, 2, 3, 4]);
    assert_eq!(composed(&lane, Most { bytes: 25, ..MOST }), [1, 2]);
    assert_eq!(composed(&lane, Most { bytes: 3, ..MOST }), [1], "one is sent whatever its size");
    assert_eq!(composed(&lane, Most { changes: 1, ..MOST }), [1]);
}

#[test]
fn what_is_too_old_is_not_sent_together_with_what_is_not() {
    let mut lane = lane(Resumption::default());
    lane.take_in(Sequence(9), &changes(1..4), 100);
    let younger = changes(4..7).into_iter().map(|it| Named { time: it.time.plus_micros(9), ..it });
    lane.take_in(Sequence(9), &younger.collect::<Vec<_>>(), 100);
    let is_overdue = |time: Timestamp| time.as_micros() < 9;
    let most = Most { changes: 100, ..MOST };
    assert_eq!(lane.compose(most, is_overdue).len(), 3);
    assert_eq!(lane.pop(3).count(), 3);
    assert_eq!(lane.compose(most, is_overdue).len(), 3);
}

#[test]
fn after_a_crash_come_what_was_recorded_and_then_single_ones_and_then_several() {
    let resumption = Resumption { recorded: Some(Sequence(3)), alone: 5, upto: Sequence(9) };
    let mut lane = lane(resumption);
    let row = || changes(1..12);
    let read_on = |lane: &mut Lane| lane.read((Sequence(20), Sequence(20)), row, 2);
    lane.take_in(Sequence(20), &row(), 2);
    assert_eq!(composed(&lane, MOST), [1, 2, 3], "although the window is smaller");
    assert_eq!(lane.pop(3).count(), 3);
    for n in 4..9 {
        read_on(&mut lane);
        assert_eq!(composed(&lane, MOST), [n]);
        assert_eq!(lane.pop(1).count(), 1);
    }
    read_on(&mut lane);
    assert_eq!(composed(&lane, MOST), [9, 10]);
}

#[test]
fn what_is_newer_than_the_crash_is_not_sent_one_by_one() {
    let mut lane = lane(Resumption { recorded: None, alone: 50, upto: Sequence(2) });
    lane.take_in(Sequence(20), &changes(1..6), 9);
    assert_eq!(composed(&lane, MOST), [1]);
    assert_eq!(lane.pop(2).count(), 2);
    assert_eq!(composed(&lane, MOST), [3, 4, 5]);
}

/// The changes at the head, and whether the row is over with them.
fn popped(lane: &mut Lane) -> Vec<(u64, bool)> {
    let changes = lane.len();
    lane.pop(changes).map(|pending| (pending.sequence.0, pending.ends_row)).collect()
}

#[test]
fn a_row_that_grows_while_there_is_no_room_is_not_over_with_what_is_there() {
    let row = Sequence(1);
    let mut lane = lane(Resumption::default());
    lane.take_in(row, &changes(1..2), 1);
    lane.take_in(row, &changes(2..3), 1);
    assert_eq!(popped(&mut lane), [(1, false)]);
    lane.read((row, row), || changes(1..3), 1);
    // It has been read whole, and grows again.
    assert_eq!(lane.spilled(), Some(row));
    lane.take_in(row, &changes(3..4), 1);
    assert_eq!(popped(&mut lane), [(2, false)]);
    lane.read((row, row), || changes(1..4), 1);
    assert_eq!(popped(&mut lane), [(3, true)]);
    lane.pass(row, None);
    assert_eq!(lane.spilled(), None);
}

#[test]
fn a_row_is_over_with_the_change_before_another_row() {
    let mut lane = lane(Resumption::default());
    lane.take_in(Sequence(1), &changes(1..2), 1);
    lane.take_in(Sequence(2), &changes(2..3), 1);
    assert_eq!(popped(&mut lane), [(1, true)]);
}
