//! Exports out of a history in memory, run after run, whatever gets in between.

use std::fs;
use std::path::Path;

use futures_util::FutureExt as _;
use musubi_export::{Counts, Error, Export, Format, Options, RowReader, Selection, part_files};
use musubi_model::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::memory::{History, Kept, at};

fn options(rows: u64) -> Options {
    Options { selection: Selection::default(), format: None, rows }
}

fn run(
    folder: &Path,
    history: &History,
    until: Timestamp,
    options: Options,
) -> Result<Counts, Error> {
    let mut export = Export::open(folder, options)?;
    export.run(history, until, &mut |_| {}).now_or_never().expect("memory answers at once")?;
    Ok(export.counts())
}

/// What stands in the files, sorted.
fn exported(folder: &Path) -> Vec<Kept> {
    let mut rows = Vec::new();
    for file in part_files(folder).unwrap() {
        let mut reader = RowReader::open(&file).unwrap();
        while let Some(row) = reader.next_row().unwrap() {
            rows.push(Kept::of(&row));
        }
    }
    rows.sort();
    rows
}

fn file_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_modified_at_the_end_of_a_run_is_in_the_next_one_alone() {
    let history = History::default();
    for (id, time) in [(1, 9), (2, 10), (3, 11)] {
        history.record("urn:a:1", "x", id, time);
    }
    let folder = TempDir::new().unwrap();
    let ids = || exported(folder.path()).into_iter().map(|kept| kept.id).collect::<Vec<_>>();
    run(folder.path(), &history, at(10), options(100)).unwrap();
    assert_eq!(ids(), [1]);
    // The same end again finds nothing to do.
    let counts = run(folder.path(), &history, at(10), options(100)).unwrap();
    assert_eq!((counts, ids()), (Counts::default(), vec![1]));
    run(folder.path(), &history, at(11), options(100)).unwrap();
    assert_eq!(ids(), [1, 2]);
    run(folder.path(), &history, at(12), options(100)).unwrap();
    assert_eq!(ids(), [1, 2, 3]);
    assert_eq!(
        file_names(folder.path()),
        [
            "export.json",
            "export.lock",
            "part-000001.parquet",
            "part-000002.parquet",
            "part-000003.parquet"
        ]
    );
}

#[test]
fn a_run_with_nothing_new_writes_no_file() {
    let history = History::default();
    history.record("urn:a:1", "x", 1, 1);
    let folder = TempDir::new().unwrap();
    run(folder.path(), &history, at(5), options(100)).unwrap();
    let counts = run(folder.path(), &history, at(9), options(100)).unwrap();
    assert_eq!((counts.instances, counts.parts), (0, 0));
    let export = Export::open(folder.path(), options(100)).unwrap();
    assert_eq!((export.until(), export.unfinished()), (Some(at(9)), None));
}

#[test]
fn a_correction_comes_once_more_and_a_first_moment_is_kept_to() {
    let history = History::default();
    history.record("urn:a:1", "x", 1, 1);
    history.record("urn:a:1", "x", 2, 5);
    let folder = TempDir::new().unwrap();
    let from = |seconds| Options {
        selection: Selection { from: Some(at(seconds)), ..Selection::default() },
        format: Some(Format::Csv),
        rows: 100,
    };
    run(folder.path(), &history, at(10), from(3)).unwrap();
    history.correct(2, 20);
    run(folder.path(), &history, at(30), from(3)).unwrap();
    let times: Vec<_> = exported(folder.path()).iter().map(|kept| (kept.id, kept.time)).collect();
    assert_eq!(times, [(2, at(5)), (2, at(20))]);
    let refused = run(folder.path(), &history, at(30), from(4)).unwrap_err();
    assert!(refused.to_string().contains("holds an export from 1970-01-01T00:00:03Z on"));
}

#[test]
fn a_run_goes_on_with_the_bound_that_it_began_with() {
    let history = History::default();
    for id in 0..10 {
        history.record(&format!("urn:a:{id}"), "x", id, 5);
    }
    history.limit(3, 1 << 20);
    let folder = TempDir::new().unwrap();
    history.fail_after(2);
    let failed = run(folder.path(), &history, at(10), options(1)).unwrap_err();
    assert_eq!(failed.to_string(), "the power went");
    let export = Export::open(folder.path(), options(1)).unwrap();
    assert_eq!((export.unfinished(), export.until()), (Some(at(10)), None));
    drop(export);
    history.fail_after(usize::MAX);
    history.record("urn:a:0", "x", 77, 10);
    run(folder.path(), &history, at(10), options(1)).unwrap();
    assert_eq!(exported(folder.path()), history.until(at(10)));
    run(folder.path(), &history, at(11), options(1)).unwrap();
    assert_eq!(exported(folder.path()), history.until(at(11)));
}

#[test]
fn what_was_answered_before_an_error_is_kept_and_not_asked_for_again() {
    let history = History::default();
    for id in 0..250 {
        history.record(&format!("urn:a:{id:03}"), "x", id, 5);
    }
    let folder = TempDir::new().unwrap();
    // Pages of 100 entities, and all in one file if nothing gets in between.
    for (answers, there) in [(1, 100), (0, 100), (1, 200)] {
        history.fail_after(answers);
        let failed = run(folder.path(), &history, at(10), options(1_000)).unwrap_err();
        assert_eq!(failed.to_string(), "the power went");
        assert_eq!(exported(folder.path()).len(), there);
    }
    history.fail_after(1);
    run(folder.path(), &history, at(10), options(1_000)).unwrap();
    assert_eq!(exported(folder.path()), history.until(at(10)));
}

#[test]
fn what_a_killed_process_left_is_no_part() {
    let history = History::default();
    history.record("urn:a:1", "x", 1, 1);
    let folder = TempDir::new().unwrap();
    history.fail_after(0);
    run(folder.path(), &history, at(10), options(1)).unwrap_err();
    // Killed after a part got its name, and before that was noted.
    for name in ["part-000001.parquet", "part-000001.parquet.partial", "part-000002.parquet"] {
        fs::write(folder.path().join(name), "half").unwrap();
    }
    history.fail_after(usize::MAX);
    assert_eq!(exported(folder.path()), []);
    run(folder.path(), &history, at(10), options(1)).unwrap();
    assert_eq!(exported(folder.path()), history.until(at(10)));
}

#[test]
fn a_folder_is_of_one_export_and_of_one_process() {
    let history = History::default();
    history.record("urn:a:1", "x", 1, 1);
    let folder = TempDir::new().unwrap();
    run(folder.path(), &history, at(10), options(1)).unwrap();
    let refused = |options: Options| Export::open(folder.path(), options).unwrap_err().to_string();
    let of = |selection: Selection| Options { selection, format: None, rows: 1 };
    let tenant = Some("nanao".to_owned());
    let reason = refused(of(Selection { tenant, ..Selection::default() }));
    assert!(reason.contains("holds an export of the default tenant"), "{reason}");
    let types = vec!["T".to_owned()];
    let reason = refused(of(Selection { types, ..Selection::default() }));
    assert!(reason.contains("of other types: all"), "{reason}");
    let attributes = vec!["x".to_owned()];
    let reason = refused(of(Selection { attributes, ..Selection::default() }));
    assert!(reason.contains("of other attributes: all"), "{reason}");
    let reason = refused(Options { format: Some(Format::Csv), ..options(1) });
    assert!(reason.contains("in files that end in .parquet"), "{reason}");

    let _working = Export::open(folder.path(), options(1)).unwrap();
    assert!(matches!(Export::open(folder.path(), options(1)), Err(Error::InUse { .. })));
}

#[test]
fn files_of_which_nothing_is_known_are_not_added_to() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("mine.csv"), "a,b\n").unwrap();
    let reason = Export::open(folder.path(), options(1)).unwrap_err().to_string();
    assert!(reason.contains("without its export.json"), "{reason}");
}

#[test]
fn a_damaged_journal_is_refused() {
    let history = History::default();
    let folder = TempDir::new().unwrap();
    run(folder.path(), &history, at(10), options(1)).unwrap();
    let path = folder.path().join("export.json");
    let text = fs::read_to_string(&path).unwrap();
    for damaged in ["", "{}", &text.replace("\"version\": 1", "\"version\": 2"), &text[..40]] {
        fs::write(&path, damaged).unwrap();
        let refused = Export::open(folder.path(), options(1));
        assert!(matches!(refused, Err(Error::Damaged { .. })), "{damaged}");
    }
}

#[test]
fn one_moment_that_no_answer_can_hold_is_said_to_be_too_much() {
    let history = History::default();
    for id in 0..5 {
        history.record("urn:a:1", "x", id, 3);
    }
    history.record("urn:a:1", "scope", 9, 3);
    history.limit(5, 1 << 20);
    let folder = TempDir::new().unwrap();
    run(folder.path(), &history, at(10), options(100)).unwrap();
    assert_eq!(exported(folder.path()), history.until(at(10)));

    history.limit(4, 1 << 20);
    let folder = TempDir::new().unwrap();
    let reason = run(folder.path(), &history, at(10), options(100)).unwrap_err().to_string();
    let expected = "more instances of x of urn:a:1 were modified at 1970-01-01T00:00:03Z than";
    assert!(reason.starts_with(expected), "{reason}");
}

#[test]
fn answers_that_are_too_long_are_asked_for_in_pieces() {
    let history = History::default();
    for id in 0..60 {
        history.record(&format!("urn:a:{}", id % 3), "x", id, i64::try_from(id).unwrap() / 2);
    }
    history.limit(1000, 500);
    let folder = TempDir::new().unwrap();
    run(folder.path(), &history, at(100), options(7)).unwrap();
    assert_eq!(exported(folder.path()), history.until(at(100)));

    history.limit(1000, 20);
    let folder = TempDir::new().unwrap();
    let reason = run(folder.path(), &history, at(100), options(7)).unwrap_err().to_string();
    assert!(reason.contains("too long"), "{reason}");
}

#[derive(Clone, Debug)]
enum Event {
    Record {
        entity: u8,
        attribute: u8,
    },
    Correct {
        which: prop::sample::Index,
    },
    Tick,
    /// A run, which fails or is killed after so many answers.
    Export {
        answers: usize,
        is_killed: bool,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0..5_u8, 0..3_u8).prop_map(|(entity, attribute)| Event::Record { entity, attribute }),
        2 => any::<prop::sample::Index>().prop_map(|which| Event::Correct { which }),
        3 => Just(Event::Tick),
        1 => (0..12_usize, any::<bool>())
            .prop_map(|(answers, is_killed)| Event::Export { answers, is_killed }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_lost_and_nothing_doubled_however_often_a_run_is_killed(
        events in prop::collection::vec(event(), 1..120),
        most in 4..30_usize,
        longest in 2_000..6_000_usize,
        rows in 1..20_u64,
    ) {
        let history = History::default();
        let folder = TempDir::new().unwrap();
        let mut now = 0;
        let mut count = 0;
        // Before this moment, the runs that have come to their end have to have found everything.
        let mut ended = i64::MIN;
        let last = Event::Export { answers: usize::MAX, is_killed: false };
        for event in events.into_iter().chain([Event::Tick, last]) {
            match event {
                Event::Record { entity, attribute } => {
                    let (entity, attribute) = (format!("urn:a:{entity}"), format!("x{attribute}"));
                    // Of one moment no more than an answer holds.
                    if history.of_moment(&entity, &attribute, at(now)) < 4 {
                        history.record(&entity, &attribute, count, now);
                        count += 1;
                    }
                }
                Event::Correct { which } if count > 0 => {
                    let id = u64::try_from(which.index(usize::try_from(count).unwrap())).unwrap();
                    let (entity, attribute) = history.place(id);
                    if history.of_moment(&entity, &attribute, at(now)) < 4 {
                        history.correct(id, now);
                    }
                }
                Event::Correct { .. } => {}
                Event::Tick => now += 1,
                Event::Export { answers, is_killed } => {
                    history.limit(most, longest);
                    if is_killed {
                        history.hang_after(answers);
                    } else {
                        history.fail_after(answers);
                    }
                    let mut export = Export::open(folder.path(), options(rows)).unwrap();
                    let ran = export.run(&history, at(now), &mut |_| {}).now_or_never();
                    let until = export.until();
                    drop(export);
                    prop_assert!(ran.is_some() || is_killed);
                    if let Some(Err(error)) = ran {
                        prop_assert_eq!(error.to_string(), "the power went");
                    }
                    if let Some(until) = until {
                        ended = ended.max(until.as_micros());
                    }
                }
            }
        }
        let found = exported(folder.path());
        // No version of an instance is there twice.
        let mut once = found.clone();
        once.dedup();
        prop_assert_eq!(&once, &found);
        // Every version that is still there is, and what is there besides was corrected since.
        for kept in &history.until(Timestamp::from_micros(ended)) {
            prop_assert!(found.contains(kept), "{:?} is lost", kept);
        }
        for kept in &found {
            prop_assert!(history.was(kept), "{:?} never was", kept);
        }
    }
}
