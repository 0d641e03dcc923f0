//! Backups that earlier versions made: every later version restores them.
//!
//! When the format of the store or of backups changes, add one:
//! `cargo test -p musubi-store-embedded --test embedded fixture -- --ignored` writes that of the
//! present version.

use std::path::PathBuf;

use musubi_model::{EvolutionAction, EvolutionChange, Sequence, Timestamp};
use musubi_store::{EvolutionWrite, Group, RecordKind, Store, Subject};
use musubi_store_embedded::{EmbeddedOptions, restore, verify_backup};

use crate::town::{
    all, commit, delete, find, group, id, open, put, record_of, records, tenant, value_of,
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[tokio::test]
#[ignore = "writes the fixture of the present version anew"]
async fn write_the_fixture() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&EmbeddedOptions::new(folder.path()));
    commit(&store, vec![put("a", "1"), put("b", "1")]).await.unwrap();
    let change = EvolutionChange { id: id("c"), action: EvolutionAction::Remove };
    let evolutions = vec![EvolutionWrite { tenant: tenant(), change }];
    let records = vec![
        record_of(RecordKind::Cursor, "reader", Some("4")),
        record_of(RecordKind::Subscription, "urn:x:s", Some("{}")),
        record_of(RecordKind::DeadLetter, "letter", Some("lost")),
    ];
    let writes = vec![put("a", "2"), delete("b"), put("c", "3")];
    store.commit(vec![Group { records, evolutions, ..group(writes) }]).await.unwrap();
    let mut backup = store.backup(store.hold_log(), Vec::new(), Timestamp::EPOCH).unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = backup.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    std::fs::write(fixture("store-3.backup"), bytes).unwrap();
}

#[tokio::test]
async fn a_backup_of_the_second_format_is_restored() {
    check(2).await;
}

#[tokio::test]
async fn a_backup_of_the_third_format_is_restored() {
    check(3).await;
}

async fn check(format: u32) {
    let bytes = std::fs::read(fixture(&format!("store-{format}.backup"))).unwrap();
    assert_eq!(verify_backup(&*bytes).unwrap().0.store_format, format);
    let folder = tempfile::tempdir().unwrap();
    restore(&*bytes, folder.path()).unwrap();
    let store = open(&EmbeddedOptions::new(folder.path()));
    let names: Vec<_> = all(&store).await.iter().map(|found| value_of(&found.entity)).collect();
    assert_eq!(names, ["2", "3"]);
    assert!(find(&store, "b").await.is_none());
    for (kind, value) in [
        (RecordKind::Cursor, "4"),
        (RecordKind::Subscription, "{}"),
        (RecordKind::DeadLetter, "lost"),
    ] {
        assert_eq!(&*records(&store, kind).await.unwrap()[0].value, value.as_bytes());
    }
    let changes = store.changes(Sequence(0), 100).await.unwrap();
    assert_eq!(changes.len(), 7);
    let Subject::Evolution(change) = &changes[6].subject else { panic!("{changes:?}") };
    assert_eq!(change.action, EvolutionAction::Remove);
    commit(&store, vec![put("a", "9")]).await.unwrap();
    assert_eq!(*store.newest().borrow(), Sequence(8));
}
