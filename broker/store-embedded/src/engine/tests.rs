use std::sync::mpsc;

use super::*;
use crate::engine::{Place, Rows};

fn put(engine: &Engine, key: &[u8], row: &[u8]) -> Written {
    let mut rows = Rows::default();
    rows.put(Place::Records, key, row);
    engine.write(rows).unwrap()
}

fn records(view: &View) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut seen = Vec::new();
    let visit = |key: &[u8], row: &[u8]| {
        seen.push((key.to_vec(), row.to_vec()));
        Ok::<(), EngineError>(())
    };
    view.page(Table::Records, None, usize::MAX, visit).unwrap();
    seen
}

/// Has what is shown go to the tables, and waits for it.
fn checkpoint(engine: &Engine) {
    let (done, is_done) = mpsc::channel();
    engine.checkpoint_and(move |_| {
        let _ = done.send(());
        Ok(())
    });
    // If it failed, the way back is dropped.
    let _ = is_done.recv();
}

#[test]
fn the_tables_hold_nothing_that_a_power_cut_could_take_from_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(folder.path(), Opening::PLAIN).unwrap();
    engine.show(put(&engine, b"a", b"1"));
    checkpoint(&engine);
    assert_eq!(engine.inner.tables.made().unwrap().marked().unwrap(), 1);
    engine.show(put(&engine, b"a", b"2"));
    engine.inner.log.fails.store(true, Ordering::SeqCst);
    checkpoint(&engine);
    assert_eq!(engine.inner.tables.made().unwrap().marked().unwrap(), 1);
    assert_eq!(
        engine.inner.tables.made().unwrap().record(b"a").unwrap().as_deref(),
        Some(b"1".as_slice())
    );
    assert_eq!(engine.record(b"a").unwrap().as_deref(), Some(b"2".as_slice()));
    // The writer hears of it.
    assert!(matches!(engine.sync(), Err(EngineError::Behind(_))));
    assert!(matches!(engine.write(Rows::default()), Err(EngineError::Behind(_))));
    drop(engine);
    let engine = Engine::open_again(folder.path(), Opening::PLAIN).unwrap();
    assert_eq!(engine.record(b"a").unwrap().as_deref(), Some(b"2".as_slice()));
}

#[test]
fn tables_of_which_the_making_was_interrupted_are_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let unfinished = folder.path().join("engine.unfinished");
    std::fs::create_dir_all(unfinished.join("keyspaces")).unwrap();
    // Over which the engine stumbles.
    std::fs::write(unfinished.join("0.jnl"), []).unwrap();
    let engine = Engine::open(folder.path(), Opening::PLAIN).unwrap();
    engine.show(put(&engine, b"a", b"1"));
    checkpoint(&engine);
    assert_eq!(engine.inner.tables.there().unwrap().marked().unwrap(), 1);
    assert!(!unfinished.exists());
    drop(engine);
    let engine = Engine::open(folder.path(), Opening::PLAIN).unwrap();
    assert_eq!(engine.record(b"a").unwrap().as_deref(), Some(b"1".as_slice()));
}

#[test]
fn an_engine_that_was_given_up_makes_no_tables() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(folder.path(), Opening::PLAIN).unwrap();
    engine.show(put(&engine, b"a", b"1"));
    engine.give_up();
    checkpoint(&engine);
    assert!(engine.inner.tables.there().is_none());
    assert!(!folder.path().join("engine.unfinished").exists());
}

#[test]
fn a_sync_behind_the_writer_that_fails_is_heard_of_and_not_said_to_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(folder.path(), Opening::PLAIN).unwrap();
    engine.inner.log.fails.store(true, Ordering::SeqCst);
    let (done, is_done) = mpsc::channel();
    engine.sync_behind(move || done.send(()).unwrap());
    is_done.recv().unwrap_err();
    // The order is over a moment before what became of it is said.
    while engine.check().is_ok() {
        std::thread::yield_now();
    }
}

#[test]
fn a_view_holds_of_log_and_tables_what_was_shown_by_its_moment() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(folder.path(), Opening::PLAIN).unwrap();
    let mut rows = Rows::default();
    rows.log(Sequence(1), b"change");
    rows.put(Place::State, b"entity", b"row");
    rows.put(Place::Records, b"record", b"row");
    let written = engine.write(rows).unwrap();
    let counts = |view: &View| {
        [Table::State, Table::Records, Table::Log].map(|table| {
            let mut count = 0;
            let visit = |_: &[u8], _: &[u8]| {
                count += 1;
                Ok::<(), EngineError>(())
            };
            view.page(table, None, usize::MAX, visit).unwrap();
            count
        })
    };
    let before = engine.view().unwrap();
    engine.show(written);
    let after = engine.view().unwrap();
    checkpoint(&engine);
    assert_eq!(counts(&before), [0, 0, 0]);
    assert_eq!(counts(&after), [1, 1, 1]);
    assert_eq!(counts(&engine.view().unwrap()), [1, 1, 1]);
}

#[test]
fn the_tables_are_made_when_there_is_something_to_put_into_them() {
    let folder = tempfile::tempdir().unwrap();
    let tables = folder.path().join(TABLES);
    let engine = Engine::open(folder.path(), Opening::PLAIN).unwrap();
    engine.show(put(&engine, b"a", b"1"));
    assert_eq!(records(&engine.view().unwrap()), [(b"a".to_vec(), b"1".to_vec())]);
    assert_eq!(engine.record(b"b").unwrap(), None);
    drop(engine);
    assert!(!tables.exists());
    let engine = Engine::open(folder.path(), Opening::PLAIN).unwrap();
    let before = engine.view().unwrap();
    checkpoint(&engine);
    assert!(tables.exists());
    for view in [before, engine.view().unwrap()] {
        assert_eq!(records(&view), [(b"a".to_vec(), b"1".to_vec())]);
    }
}

#[test]
fn the_newest_row_is_seen_wherever_older_ones_are() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(folder.path(), Opening::PLAIN).unwrap();
    for (key, row) in [(b"a", b"1"), (b"b", b"1"), (b"d", b"1")] {
        engine.show(put(&engine, key, row));
    }
    checkpoint(&engine);
    let mut rows = Rows::default();
    rows.delete(Place::Records, b"a");
    rows.put(Place::Records, b"b", b"2");
    rows.put(Place::Records, b"c", b"2");
    engine.show(engine.write(rows).unwrap());
    let expected = [(b"b", b"2"), (b"c", b"2"), (b"d", b"1")];
    let expected = expected.map(|(key, row)| (key.to_vec(), row.to_vec()));
    assert_eq!(records(&engine.view().unwrap()), expected);
    assert_eq!(engine.record(b"a").unwrap(), None);
    checkpoint(&engine);
    assert_eq!(records(&engine.view().unwrap()), expected);
    drop(engine);
    let engine = Engine::open(folder.path(), Opening::PLAIN).unwrap();
    assert_eq!(records(&engine.view().unwrap()), expected);
    assert_eq!(engine.record(b"a").unwrap(), None);
}
