//! Records of the kinds that grow while a receiver is away: on the disk, and not in memory.

use musubi_model::Revision;
use musubi_store::{
    Expect, Group, Outcome, RecordKind, RecordQuery, RecordWrite, Store, StoreError,
};
use musubi_store_embedded::{EmbeddedOptions, EmbeddedStore};

use crate::town::{figure, open, record_of, records, tenant};

const QUEUES: [RecordKind; 4] =
    [RecordKind::Outbox, RecordKind::DeadLetter, RecordKind::Occasion, RecordKind::EntityMap];

async fn write(store: &EmbeddedStore, records: Vec<RecordWrite>) -> Vec<Revision> {
    let group = Group { records, ..Group::default() };
    match store.commit(vec![group]).await.unwrap().remove(0) {
        Outcome::Committed { revisions, .. } => revisions,
        Outcome::Refused(index) => panic!("refused at {index}"),
    }
}

/// Fills a queue with so many records of about so many bytes.
async fn fill(store: &EmbeddedStore, kind: RecordKind, count: usize, bytes: usize) {
    let value = "x".repeat(bytes);
    for first in (0..count).step_by(1_000) {
        let numbers = first..count.min(first + 1_000);
        let key = |number| format!("{number:08}");
        write(store, numbers.map(|number| record_of(kind, &key(number), Some(&value))).collect())
            .await;
    }
}

/// How many records the store says are in memory, once it has looked.
async fn resident(store: &EmbeddedStore, folder: &EmbeddedOptions) -> (EmbeddedStore, String) {
    store.close().await.unwrap();
    // The figures are taken when a store begins.
    let store = open(folder);
    write(&store, vec![record_of(RecordKind::Cursor, "x", None)]).await;
    let figure = figure(&store, "store_records");
    (store, figure)
}

#[tokio::test]
async fn what_waits_for_receivers_is_not_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::new(folder.path());
    let store = open(&options);
    for kind in QUEUES {
        fill(&store, kind, 3_000, 100).await;
    }
    fill(&store, RecordKind::Ledger, 7, 100).await;
    assert_eq!(records(&store, RecordKind::Outbox).await.unwrap().len(), 3_000);
    let (store, figure) = resident(&store, &options).await;
    assert_eq!(figure, "7");
    for kind in QUEUES {
        assert_eq!(records(&store, kind).await.unwrap().len(), 3_000);
    }
}

#[tokio::test]
async fn a_page_begins_after_any_key_and_ends_with_its_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&EmbeddedOptions::new(folder.path()));
    let kind = RecordKind::DeadLetter;
    let keys = ["", "a", "a/1", "a/2", "a0", "b", "\u{10ffff}"];
    write(&store, keys.iter().map(|key| record_of(kind, key, Some(key))).collect()).await;
    // Neighbours that are not to be seen.
    for kind in [RecordKind::Ledger, RecordKind::AdapterState, RecordKind::Occasion] {
        write(&store, vec![record_of(kind, "a/3", Some("3"))]).await;
    }
    let page = async |prefix: &str, after: Option<&str>, limit| {
        let after = after.map(|after| (tenant(), after.to_owned()));
        let prefix = prefix.to_owned();
        let query = RecordQuery { kind, tenant: Some(tenant()), prefix, after, limit };
        let found = store.records(&query).await.unwrap();
        found.into_iter().map(|record| record.key.key).collect::<Vec<_>>()
    };
    assert_eq!(page("", None, 100).await, keys);
    assert_eq!(page("a/", None, 100).await, ["a/1", "a/2"]);
    assert_eq!(page("a/", Some("a/1"), 100).await, ["a/2"]);
    assert_eq!(page("a/", Some("a/2"), 100).await, [""; 0]);
    assert_eq!(page("a/", Some("c"), 100).await, [""; 0]);
    assert_eq!(page("a/", Some(""), 1).await, ["a/1"]);
    assert_eq!(page("", Some("b"), 100).await, ["\u{10ffff}"]);
    assert_eq!(page("\u{10ffff}", None, 100).await, ["\u{10ffff}"]);
    assert_eq!(page("", None, 0).await, [""; 0]);
}

#[tokio::test]
async fn an_expectation_holds_or_not_after_a_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::new(folder.path());
    let store = open(&options);
    let kind = RecordKind::Outbox;
    let revision = write(&store, vec![record_of(kind, "a", Some("1"))]).await[0];
    store.close().await.unwrap();
    let store = open(&options);
    let expecting = |expect, value| RecordWrite { expect, ..record_of(kind, "a", value) };
    let outcome = async |expect, value| {
        let group = Group { records: vec![expecting(expect, value)], ..Group::default() };
        store.commit(vec![group]).await.unwrap().remove(0)
    };
    assert_eq!(outcome(Expect::Absent, Some("2")).await, Outcome::Refused(0));
    assert_eq!(outcome(Expect::At(Revision(0)), Some("2")).await, Outcome::Refused(0));
    let Outcome::Committed { revisions, .. } = outcome(Expect::At(revision), Some("2")).await
    else {
        panic!("refused");
    };
    assert!(revisions[0] > revision, "a revision is given out once");
    assert_eq!(outcome(Expect::At(revision), None).await, Outcome::Refused(0));
    outcome(Expect::At(revisions[0]), None).await;
    assert!(matches!(outcome(Expect::Absent, Some("3")).await, Outcome::Committed { .. }));
}

#[tokio::test]
async fn a_closed_store_says_that_it_cannot_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&EmbeddedOptions::new(folder.path()));
    fill(&store, RecordKind::DeadLetter, 1, 1).await;
    store.close().await.unwrap();
    let refused = records(&store, RecordKind::DeadLetter).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    assert!(records(&store, RecordKind::Ledger).await.unwrap().is_empty());
}

/// Kibibytes of this process in memory.
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "takes a minute and half a gigabyte of disk; prints what it measures"]
async fn measure_a_million_rows_and_two_hundred_thousand_letters() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::new(folder.path());
    let store = open(&options);
    println!("empty: {} KiB", memory("VmRSS:"));
    let start = tokio::time::Instant::now();
    fill(&store, RecordKind::Outbox, 1_000_000, 80).await;
    fill(&store, RecordKind::DeadLetter, 200_000, 1_024).await;
    println!("written in {:?}: {} KiB", start.elapsed(), memory("VmRSS:"));
    let query = RecordQuery {
        kind: RecordKind::Outbox,
        tenant: None,
        prefix: String::new(),
        after: Some((tenant(), "00900000".to_owned())),
        limit: 50,
    };
    let start = tokio::time::Instant::now();
    assert_eq!(store.records(&query).await.unwrap().len(), 50);
    println!("a page in {:?}: {} KiB", start.elapsed(), memory("VmRSS:"));
    store.close().await.unwrap();
    drop(store);
    let start = tokio::time::Instant::now();
    let store = open(&options);
    println!("opened in {:?}: {} KiB", start.elapsed(), memory("VmRSS:"));
    assert_eq!(store.records(&query).await.unwrap().len(), 50);
    println!("most ever: {} KiB", memory("VmHWM:"));
}
