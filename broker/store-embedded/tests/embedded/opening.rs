//! Opening a folder: what is refused, and what is there again.

use std::error::Error;

use musubi_store::{Store, StoreError};
use musubi_store_embedded::{EmbeddedOptions, EmbeddedStore, OpenError};

use crate::town::{
    all, commit, cursors, delete, find, group, open, put, record, revisions, value_of,
};

fn refusal(options: &EmbeddedOptions) -> String {
    let refused = EmbeddedStore::open(options.clone()).unwrap_err();
    refused.source().unwrap().downcast_ref::<OpenError>().unwrap().to_string()
}

#[tokio::test]
async fn what_was_written_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::new(folder.path());
    let store = open(&options);
    commit(&store, vec![put("a", "1"), put("b", "1")]).await.unwrap();
    commit(&store, vec![put("a", "2"), delete("b")]).await.unwrap();
    commit(&store, vec![put("c", "1"), put("b", "2")]).await.unwrap();
    let before = all(&store).await;
    let names: Vec<_> = before.iter().map(|found| found.entity.id.as_str()).collect();
    assert_eq!(names, ["urn:ngsi-ld:Thing:a", "urn:ngsi-ld:Thing:c", "urn:ngsi-ld:Thing:b"]);
    store.close().await.unwrap();

    let store = open(&options);
    assert_eq!(all(&store).await, before);
    assert_eq!(value_of(&find(&store, "a").await.unwrap().entity), "2");
}

#[tokio::test]
async fn a_second_store_on_a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::new(folder.path());
    let store = open(&options);
    assert!(refusal(&options).ends_with("is in use by another process"));
    drop(store);
    open(&options);
}

#[tokio::test]
async fn a_folder_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::new(folder.path());
    drop(open(&options));
    std::fs::write(folder.path().join("FORMAT"), "musubi-store-embedded 999\n").unwrap();
    let refusal = refusal(&options);
    assert!(refusal.contains("has the format \"musubi-store-embedded 999\""), "{refusal}");
}

#[tokio::test]
async fn a_closed_store_reads_and_does_not_write() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::new(folder.path());
    let store = open(&options);
    commit(&store, vec![put("a", "1")]).await.unwrap();
    store.close().await.unwrap();
    assert!(!*store.healthy().borrow());
    assert!(find(&store, "a").await.is_some());
    let refused = commit(&store, vec![put("a", "2")]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    store.close().await.unwrap();
    // The folder is free again while the closed store is still held.
    open(&options);
}

#[tokio::test]
async fn numbers_are_never_given_out_twice() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { log_segment: 1, ..EmbeddedOptions::new(folder.path()) };
    let mut seen = Vec::new();
    let mut positions = Vec::new();
    for round in 1..=4_u64 {
        let store = open(&options);
        let outcomes = store
            .commit(vec![musubi_store::Group {
                records: vec![record("x", Some("1"))],
                ..group(vec![put("a", "1")])
            }])
            .await
            .unwrap();
        seen.extend(revisions(&outcomes));
        positions.push(find(&store, "a").await.unwrap().position);
        // Nothing that has these numbers is left, but for the newest change.
        let outcomes = store
            .commit(vec![musubi_store::Group {
                records: vec![record("x", None)],
                ..group(vec![delete("a")])
            }])
            .await
            .unwrap();
        seen.extend(revisions(&outcomes));
        store.truncate(*store.newest().borrow()).await.unwrap();
        assert_eq!(store.newest().borrow().0, round * 2);
        assert!(all(&store).await.is_empty() && cursors(&store).await.is_empty());
    }
    assert!(seen.is_sorted_by(|one, next| one < next), "{seen:?}");
    assert!(positions.is_sorted_by(|one, next| one < next), "{positions:?}");
}
