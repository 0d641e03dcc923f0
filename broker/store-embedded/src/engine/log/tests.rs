use super::*;

fn row(number: u64) -> Vec<u8> {
    number.to_string().repeat(40).into_bytes()
}

fn add(log: &Log, changes: u64) {
    let mut frame = Frame::default();
    let next = log.end().next.0;
    for number in next..next + changes {
        frame.change(Sequence(number), &row(number));
    }
    frame.put(b"key", &next.to_le_bytes());
    log.append(&mut frame).unwrap();
}

/// Opens the log of batches that were on the disk one by one, and gives it with the changes that were
/// replayed.
fn open(folder: &Path, mark: Batch) -> Result<(Log, Vec<u64>)> {
    open_with(folder, (mark, Holes::Damage))
}

fn open_with(folder: &Path, opening: (Batch, Holes)) -> Result<(Log, Vec<u64>)> {
    let mut replayed = Vec::new();
    let log = Log::open(folder, opening, &mut |_, entry| {
        if let Entry::Change(sequence, change) = entry {
            assert_eq!(change, row(sequence.0));
            replayed.push(sequence.0);
        }
        Ok(())
    })?;
    Ok((log, replayed))
}

fn read(log: &Log, range: (u64, u64), limit: usize) -> Vec<u64> {
    let mut seen = Vec::new();
    log.visit((Sequence(range.0), Sequence(range.1)), limit, |sequence, change| {
        assert_eq!(change, row(sequence.0));
        seen.push(sequence.0);
        Ok::<(), EngineError>(())
    })
    .unwrap();
    seen
}

/// A log of 40 changes in 20 batches and some files.
fn filled(folder: &Path) -> Log {
    let (log, replayed) = open(folder, 0).unwrap();
    assert_eq!(replayed, [] as [u64; 0]);
    for _ in 0..20 {
        log.roll(7).unwrap();
        add(&log, 2);
    }
    log
}

fn files(folder: &Path) -> Vec<PathBuf> {
    paths(folder).unwrap()
}

#[test]
fn what_follows_the_mark_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let end = filled(folder.path()).end();
    assert_eq!(end, End { batch: 20, next: Sequence(41) });
    assert_eq!(files(folder.path()).len(), 5);
    for mark in 0..=20 {
        let (log, replayed) = open(folder.path(), mark).unwrap();
        assert_eq!(replayed, (mark * 2 + 1..=40).collect::<Vec<_>>(), "after batch {mark}");
        assert_eq!(log.end(), end);
    }
    let refused = open(folder.path(), 21).unwrap_err();
    assert!(refused.to_string().contains("ends before what the tables hold"), "{refused}");
}

#[test]
fn any_part_of_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let (log, _) = open(folder.path(), 20).unwrap();
    add(&log, 3);
    for after in 0..=43 {
        for upto in [after, after + 1, after + 9, 43] {
            let expected: Vec<_> = (after + 1..=upto.min(43)).collect();
            assert_eq!(read(&log, (after, upto.min(43)), usize::MAX), expected);
            let first: Vec<_> = expected.into_iter().take(3).collect();
            assert_eq!(read(&log, (after, upto.min(43)), 3), first);
        }
    }
}

#[test]
fn wherever_the_last_file_is_cut_the_batches_before_are_there_and_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let paths = files(folder.path());
    let (last, before_last) = (&paths[4], &paths[3]);
    let whole = fs::read(last).unwrap();
    let full = fs::read(before_last).unwrap();
    for length in 0..whole.len() {
        fs::write(last, &whole[..length]).unwrap();
        let (log, replayed) = open(folder.path(), 0).unwrap();
        let End { batch, next } = log.end();
        assert!((16..20).contains(&batch), "{batch} batches of {length} bytes");
        assert_eq!(next.0, batch * 2 + 1);
        assert_eq!(replayed, (1..next.0).collect::<Vec<_>>());
        add(&log, 1);
        let (_, replayed) = open(folder.path(), 0).unwrap();
        assert_eq!(replayed.len() as u64, next.0, "what came later is there, too");
        fs::write(before_last, &full).unwrap();
    }
}

#[test]
fn a_changed_byte_is_damage_unless_only_the_last_batch_may_be_lost() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let paths = files(folder.path());
    for path in &paths {
        let whole = fs::read(path).unwrap();
        for at in (0..whole.len()).step_by(13) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(path, &changed).unwrap();
            let is_last = path == &paths[4];
            match open(folder.path(), 0) {
                Ok((log, _)) => assert!(is_last && log.end().batch == 19, "byte {at}"),
                Err(_) => assert!(!is_last || at < whole.len() - 40, "byte {at}"),
            }
            if is_last && at >= 40 {
                fs::write(path, &changed).unwrap();
                let (log, _) = open_with(folder.path(), (0, Holes::PowerCut)).unwrap();
                let end = log.end();
                assert!((16..20).contains(&end.batch), "byte {at}");
                // What stood behind a hole is kept.
                assert_eq!(path.with_extension(CUT_OFF).exists(), end.batch < 19, "byte {at}");
                let _ = fs::remove_file(path.with_extension(CUT_OFF));
                fs::write(path, &changed).unwrap();
                open_with(folder.path(), (20, Holes::PowerCut)).map(drop).unwrap_err();
            }
            fs::write(path, &whole).unwrap();
        }
    }
}

#[test]
fn a_file_that_is_missing_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let paths = files(folder.path());
    let middle = fs::read(&paths[2]).unwrap();
    fs::remove_file(&paths[2]).unwrap();
    let refused = open(folder.path(), 0).unwrap_err();
    assert_eq!(refused.to_string(), "a file of the log is missing");
    fs::write(&paths[2], middle).unwrap();
    fs::remove_file(&paths[0]).unwrap();
    let refused = open(folder.path(), 2).unwrap_err();
    assert!(refused.to_string().contains("does not reach back"), "{refused}");
    open(folder.path(), 9).unwrap();
    for path in &paths[1..] {
        fs::remove_file(path).unwrap();
    }
    let refused = open(folder.path(), 20).unwrap_err();
    assert_eq!(refused.to_string(), "the files of the log are missing");
}

#[test]
fn only_what_the_tables_hold_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path());
    assert!(log.truncate(Sequence(40), 0).unwrap(), "nothing is in the tables");
    assert_eq!((files(folder.path()).len(), log.first()), (5, Sequence(1)));
    assert!(!log.truncate(Sequence(7), 20).unwrap(), "the first file ends later");
    assert_eq!(log.first(), Sequence(1));
    assert!(log.truncate(Sequence(40), 8).unwrap());
    assert_eq!((files(folder.path()).len(), log.first()), (3, Sequence(17)));
    assert!(!log.truncate(Sequence(u64::MAX), 20).unwrap());
    assert_eq!(files(folder.path()).len(), 1, "the newest change stays");
    assert_eq!(read(&log, (0, 40), 9), (33..=40).collect::<Vec<_>>());
    let (log, _) = open(folder.path(), 20).unwrap();
    assert_eq!(log.end(), End { batch: 20, next: Sequence(41) });
}

#[test]
fn a_last_file_that_was_written_anew_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path());
    let last = files(folder.path()).pop().unwrap();
    let before = fs::read(&last).unwrap();
    Log::write_anew(folder.path()).unwrap();
    assert_eq!(fs::read(&last).unwrap(), before);
    // Whoever still had the old file adds nothing to the new one.
    add(&log, 1);
    assert_eq!(open(folder.path(), 0).unwrap().0.end().next, Sequence(41));
}

#[test]
fn a_batch_that_does_not_follow_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path());
    let mut frame = Frame::default();
    frame.change(Sequence(42), b"");
    log.append(&mut frame).unwrap_err();
}

#[test]
fn a_filled_log_is_opened_from_its_first_change_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut filler = Filler::create(&path).unwrap();
    for number in 100..=150 {
        filler.change(Sequence(number), &row(number)).unwrap();
    }
    filler.change(Sequence(152), b"").unwrap_err();
    let batch = filler.finish().unwrap();
    let (log, replayed) = open(&path, batch).unwrap();
    assert_eq!(replayed, [] as [u64; 0]);
    assert_eq!((log.first(), log.end().next), (Sequence(100), Sequence(151)));
    assert_eq!(read(&log, (0, 150), usize::MAX), (100..=150).collect::<Vec<_>>());
    assert!(files(&path).len() > 3);
}

#[test]
fn files_in_which_no_change_is_are_dropped_when_the_tables_hold_them() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path());
    let before = files(folder.path()).len();
    for _ in 0..3 {
        // As if the file had become long.
        log.begin_file().unwrap();
        add(&log, 0);
    }
    add(&log, 1);
    let end = log.end();
    log.drop_unneeded(20).unwrap();
    assert_eq!(files(folder.path()).len(), before + 3, "the tables hold none of them");
    log.drop_unneeded(22).unwrap();
    assert_eq!(files(folder.path()).len(), before + 1);
    assert_eq!(read(&log, (0, 41), usize::MAX), (1..=41).collect::<Vec<_>>());
    drop(log);
    let (log, replayed) = open(folder.path(), 22).unwrap();
    assert_eq!((log.end(), replayed), (end, vec![41]));
    assert_eq!(read(&log, (0, 41), usize::MAX), (1..=41).collect::<Vec<_>>());
}

#[test]
fn a_file_that_was_dropped_while_it_was_looked_for_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path());
    let mut seen = Vec::new();
    log.visit((Sequence(0), Sequence(40)), usize::MAX, |sequence, _| {
        if seen.is_empty() {
            log.truncate(Sequence(24), 20).unwrap();
        }
        seen.push(sequence.0);
        Ok::<(), EngineError>(())
    })
    .unwrap();
    assert_eq!(seen, (1..=8).chain(25..=40).collect::<Vec<_>>());
}

#[test]
fn what_was_half_made_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let half_made = folder.path().join("00000000000000000017.new");
    fs::write(&half_made, "musubi").unwrap();
    open(folder.path(), 0).unwrap();
    assert!(!half_made.exists());
}
