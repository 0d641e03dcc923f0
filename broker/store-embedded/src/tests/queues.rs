//! Records that are not in memory, when the engine fails.

use std::collections::BTreeMap;

use super::*;
use crate::Durability;

fn queued(kind: RecordKind, key: &str, value: Option<&str>) -> RecordWrite {
    let key = RecordKey { kind, tenant: Tenant::default(), key: key.into() };
    RecordWrite { key, expect: Expect::Any, value: value.map(|value| value.as_bytes().into()) }
}

async fn queue(
    store: &EmbeddedStore,
    kind: RecordKind,
) -> Result<BTreeMap<String, String>, StoreError> {
    let query =
        RecordQuery { kind, tenant: None, prefix: String::new(), after: None, limit: usize::MAX };
    let found = store.records(&query).await?.into_iter();
    let text = |value: Arc<[u8]>| String::from_utf8(value.to_vec()).unwrap();
    Ok(found.map(|record| (record.key.key, text(record.value))).collect())
}

fn holding<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn a_queue_whose_sync_failed_is_seen_when_the_engine_is_open_again() {
    let (_folder, store) = open();
    let kind = RecordKind::Outbox;
    let first = vec![queued(kind, "a", Some("1")), queued(kind, "b", Some("1"))];
    commit(&store, vec![], first).await.unwrap();
    store.shared().faults.sync.store(true, Ordering::SeqCst);
    let second = vec![queued(kind, "a", None), queued(kind, "c", Some("2")), record(Some(b"2"))];
    commit(&store, vec![], second).await.unwrap_err();
    let refused = queue(&store, kind).await;
    // Unless it is open again already.
    if let Err(refused) = refused {
        assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    }
    until_healthy(&store).await;
    assert_eq!(queue(&store, kind).await.unwrap(), holding([("b", "1"), ("c", "2")]));
    assert_eq!(ledger(&store).await.as_deref(), Some(b"2".as_slice()), "a group is whole");
}

#[tokio::test]
async fn a_batch_of_queued_records_alone_is_there_or_not() {
    let (_folder, store) = open();
    let kind = RecordKind::DeadLetter;
    commit(&store, vec![], vec![queued(kind, "a", Some("1"))]).await.unwrap();
    store.shared().faults.write.store(true, Ordering::SeqCst);
    commit(&store, vec![], vec![queued(kind, "b", Some("1"))]).await.unwrap_err();
    until_healthy(&store).await;
    assert_eq!(queue(&store, kind).await.unwrap(), holding([("a", "1")]));
    store.shared().faults.sync.store(true, Ordering::SeqCst);
    commit(&store, vec![], vec![queued(kind, "a", None)]).await.unwrap_err();
    until_healthy(&store).await;
    assert_eq!(queue(&store, kind).await.unwrap(), holding([]));
}

#[tokio::test]
async fn what_is_not_durable_yet_is_not_seen() {
    let (_folder, store) = open();
    let kind = RecordKind::Occasion;
    commit(&store, vec![], vec![queued(kind, "a", Some("1"))]).await.unwrap();
    // What a reader holds is of one moment, whatever is written meanwhile.
    let published = store.shared().published.read().clone().unwrap();
    let view = published.view().unwrap();
    commit(&store, vec![], vec![queued(kind, "a", Some("2")), queued(kind, "b", Some("2"))])
        .await
        .unwrap();
    let mut before = Vec::new();
    let visit = |key: &[u8], row: &[u8]| {
        before.push(crate::codec::read_record(key, row).unwrap());
        Ok::<(), crate::engine::EngineError>(())
    };
    view.visit_records(kind, visit).unwrap();
    view.abandon();
    assert_eq!(before.len(), 1);
    assert_eq!(*before[0].2, *b"1");
    // The engine itself knows of a batch before the disk does; readers do not.
    let mut rows = crate::engine::Rows::default();
    let key = queued(kind, "c", None).key;
    let row = crate::codec::record_row(Revision(u64::MAX), b"3");
    rows.put(crate::engine::Place::Records, &crate::codec::record_key(&key), &row);
    drop(published.engine().write(rows).unwrap());
    published.abandon();
    assert_eq!(queue(&store, kind).await.unwrap(), holding([("a", "2"), ("b", "2")]));
}

#[tokio::test]
async fn what_the_disk_has_lost_of_an_interval_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let durability = Durability::Interval(Duration::from_hours(1));
    let options = EmbeddedOptions { durability, ..EmbeddedOptions::new(folder.path()) };
    let kind = RecordKind::Outbox;
    let store = EmbeddedStore::open(options.clone()).unwrap();
    let first = vec![queued(kind, "a", Some("1")), queued(kind, "b", Some("1"))];
    commit(&store, vec![], first).await.unwrap();
    drop(store);
    let lost = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), lost.path());
    let store = EmbeddedStore::open(options).unwrap();
    let second = vec![queued(kind, "a", None), queued(kind, "c", Some("2"))];
    commit(&store, vec![], second).await.unwrap();
    let engine = Arc::new(Engine::open(lost.path(), Opening::PLAIN).unwrap());
    // What the committer keeps until the disk has it, it takes back when it opens an engine.
    let mut unsynced = Unsynced::default();
    let effects = crate::batch::Effects {
        records: vec![
            (queued(kind, "a", None).key, None),
            (queued(kind, "c", None).key, Some((Revision(7), b"2".as_slice().into()))),
        ],
        ..crate::batch::Effects::default()
    };
    unsynced.add(&[effects]);
    let resident = &store.shared().resident;
    recovery::reconcile(&engine, resident, (&mut None, &mut unsynced)).unwrap();
    let published = crate::engine::Published::of(&engine);
    let query =
        RecordQuery { kind, tenant: None, prefix: String::new(), after: None, limit: usize::MAX };
    let found = crate::records::read(&published, &query).unwrap();
    published.abandon();
    let keys: Vec<_> = found.iter().map(|record| record.key.key.as_str()).collect();
    assert_eq!(keys, ["b", "c"]);
    assert_eq!(found[1].revision, Revision(7));
}
