//! What can only be tested from inside: faults at given moments, and a committer that is held up.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use musubi_model::{
    Attribute, AttributeType, Entity, EntityId, Instance, Json, Revision, Sequence, Tenant,
    Timestamp, Value,
};
use musubi_query::{EntityQuery, Filter, Query, Start};
use musubi_store::{
    Expect, Group, Outcome, Page, RecordKey, RecordKind, RecordQuery, RecordWrite, Store,
    StoreError, Write,
};
use prometheus_client::registry::Registry;

use crate::engine::{Engine, Opening};
use crate::recovery::{self, RecoveryError, Unsynced};
use crate::store::Resident;
use crate::{EmbeddedOptions, EmbeddedStore};

mod backup;
mod queues;
mod values;

/// Faults that a test asks for, each once.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    write: AtomicBool,
    sync: AtomicBool,
    bug: AtomicBool,
}

impl Faults {
    /// Fails before anything is written.
    pub(crate) fn before_write(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        assert!(!self.bug.load(Ordering::SeqCst), "a bug that the test asked for");
        fail_once(&self.write)
    }

    /// Fails when everything is written and nothing is known to be durable.
    pub(crate) fn before_sync(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        fail_once(&self.sync)
    }
}

fn fail_once(fault: &AtomicBool) -> Result<(), Box<dyn Error + Send + Sync>> {
    if fault.swap(false, Ordering::SeqCst) {
        return Err("a fault that the test asked for".into());
    }
    Ok(())
}

fn id(number: usize) -> EntityId {
    format!("urn:x:{number}").parse().unwrap()
}

fn put(number: usize) -> Write {
    let entity = Entity {
        id: id(number),
        types: vec!["urn:x:Type".parse().unwrap()],
        scopes: Vec::new(),
        created_at: Timestamp::default(),
        modified_at: Timestamp::default(),
        expires_at: None,
        attributes: Vec::new(),
    };
    let state = Some(Arc::new(entity));
    Write { tenant: Tenant::default(), id: id(number), expect: Expect::Any, state }
}

fn record(value: Option<&[u8]>) -> RecordWrite {
    let key = RecordKey { kind: RecordKind::Ledger, tenant: Tenant::default(), key: "x".into() };
    RecordWrite { key, expect: Expect::Any, value: value.map(Into::into) }
}

async fn commit(
    store: &EmbeddedStore,
    writes: Vec<Write>,
    records: Vec<RecordWrite>,
) -> Result<Vec<Revision>, StoreError> {
    let group = Group { writes, records, ..Group::default() };
    match store.commit(vec![group]).await?.remove(0) {
        Outcome::Committed { revisions, .. } => Ok(revisions),
        Outcome::Refused(index) => panic!("refused at {index}"),
    }
}

async fn select(store: &EmbeddedStore, filter: Filter, limit: usize) -> Result<Page, StoreError> {
    let query = EntityQuery {
        filter,
        start: Start::Offset(0),
        limit,
        count: true,
        ..EntityQuery::default()
    };
    store.select(&Tenant::default(), &query).await
}

async fn count(store: &EmbeddedStore) -> u64 {
    select(store, Filter::All(Vec::new()), 0).await.unwrap().total.unwrap()
}

async fn ledger(store: &EmbeddedStore) -> Option<Arc<[u8]>> {
    let query = RecordQuery {
        kind: RecordKind::Ledger,
        tenant: None,
        prefix: String::new(),
        after: None,
        limit: 1,
    };
    store.records(&query).await.unwrap().pop().map(|record| record.value)
}

async fn until_healthy(store: &EmbeddedStore) {
    let mut healthy = store.healthy();
    let wait = tokio::time::timeout(Duration::from_secs(30), healthy.wait_for(|healthy| *healthy));
    drop(wait.await.unwrap().unwrap());
}

fn open() -> (tempfile::TempDir, EmbeddedStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(EmbeddedOptions::new(folder.path())).unwrap();
    (folder, store)
}

#[tokio::test]
async fn a_batch_whose_sync_failed_is_found_when_the_engine_is_open_again() {
    let (_folder, store) = open();
    commit(&store, vec![put(1)], vec![record(Some(b"1"))]).await.unwrap();
    store.shared().faults.sync.store(true, Ordering::SeqCst);
    let failed = commit(&store, vec![put(2)], vec![record(Some(b"2"))]).await.unwrap_err();
    assert!(matches!(failed, StoreError::Unavailable { .. }), "{failed:?}");
    assert_eq!(count(&store).await, 1, "nothing is seen that is not known to be durable");
    let refused = commit(&store, vec![put(3)], vec![]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    until_healthy(&store).await;
    assert_eq!(count(&store).await, 2);
    assert_eq!(ledger(&store).await.as_deref(), Some(b"2".as_slice()));
    assert_eq!(*store.newest().borrow(), Sequence(2));
    commit(&store, vec![put(3)], vec![]).await.unwrap();
    assert_eq!(store.changes(Sequence(0), 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn after_a_failure_the_disk_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let durability = crate::Durability::Interval(Duration::from_millis(1));
    let options = EmbeddedOptions { durability, ..EmbeddedOptions::new(folder.path()) };
    let store = EmbeddedStore::open(options).unwrap();
    let mut durable = store.durable();
    for round in 1..=5 {
        commit(&store, vec![put(1)], vec![]).await.unwrap();
        store.shared().faults.sync.store(true, Ordering::SeqCst);
        commit(&store, vec![put(2)], vec![]).await.unwrap_err();
        until_healthy(&store).await;
        commit(&store, vec![put(3)], vec![]).await.unwrap();
        durable.wait_for(|known| *known == Sequence(round * 3)).await.unwrap();
    }
}

#[tokio::test]
async fn a_batch_that_was_not_written_leaves_nothing() {
    let (_folder, store) = open();
    commit(&store, vec![put(1)], vec![record(Some(b"1"))]).await.unwrap();
    store.shared().faults.write.store(true, Ordering::SeqCst);
    commit(&store, vec![put(2)], vec![record(None)]).await.unwrap_err();
    until_healthy(&store).await;
    assert_eq!(count(&store).await, 1);
    assert_eq!(ledger(&store).await.as_deref(), Some(b"1".as_slice()));
    commit(&store, vec![put(2)], vec![]).await.unwrap();
    assert_eq!(*store.newest().borrow(), Sequence(2));
}

#[tokio::test]
async fn a_deleted_record_whose_sync_failed_is_gone_when_the_engine_is_open_again() {
    let (_folder, store) = open();
    commit(&store, vec![], vec![record(Some(b"1"))]).await.unwrap();
    store.shared().faults.sync.store(true, Ordering::SeqCst);
    commit(&store, vec![], vec![record(None)]).await.unwrap_err();
    until_healthy(&store).await;
    assert_eq!(ledger(&store).await, None);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A store with three changes and a record, over an engine that has lost all but the first.
async fn forgetful(recent_changes: usize) -> ([tempfile::TempDir; 2], EmbeddedStore, Engine) {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { recent_changes, ..EmbeddedOptions::new(folder.path()) };
    let store = EmbeddedStore::open(options.clone()).unwrap();
    commit(&store, vec![put(1)], vec![]).await.unwrap();
    drop(store);
    let lost = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), lost.path());
    let store = EmbeddedStore::open(options).unwrap();
    commit(&store, vec![put(2)], vec![record(Some(b"1"))]).await.unwrap();
    let deletion = Write { state: None, ..put(1) };
    commit(&store, vec![deletion], vec![]).await.unwrap();
    let engine = Engine::open(lost.path(), Opening::PLAIN).unwrap();
    assert_eq!(engine.newest(), Sequence(1));
    ([folder, lost], store, engine)
}

#[tokio::test]
async fn what_the_disk_has_lost_is_written_again() {
    let (_folder, store, engine) = forgetful(16).await;
    let resident = &store.shared().resident;
    let counters =
        recovery::reconcile(&engine, resident, (&mut None, &mut Unsynced::default())).unwrap();
    assert_eq!(counters.newest, Sequence(3));
    let (loaded, _) = recovery::load(&engine, &store.shared().options).unwrap();
    assert_eq!(loaded.records.snapshot(), resident.records.snapshot());
    let entities = |resident: &Resident| {
        let table = resident.tables.of(&Tenant::default());
        let table = table.read();
        table.live().iter().filter_map(|slot| table.at(slot).cloned()).collect::<Vec<_>>()
    };
    assert_eq!(entities(&loaded), entities(resident));
    assert_eq!(entities(&loaded)[0].entity.id, id(2));
    let log = recovery::read_changes(&engine, (Sequence(0), Sequence(3)), 9).unwrap();
    assert_eq!(log, store.changes(Sequence(0), 9).await.unwrap());
}

#[tokio::test]
async fn what_is_lost_for_good_is_not_passed_over() {
    let (_folder, store, engine) = forgetful(1).await;
    let refused = recovery::reconcile(
        &engine,
        &store.shared().resident,
        (&mut None, &mut Unsynced::default()),
    )
    .unwrap_err();
    assert!(matches!(refused, RecoveryError::Lost(Sequence(1))), "{refused:?}");
}

#[tokio::test]
async fn a_committer_that_has_panicked_leaves_nobody_without_an_answer() {
    let (folder, store) = open();
    commit(&store, vec![put(1)], vec![]).await.unwrap();
    store.shared().faults.bug.store(true, Ordering::SeqCst);
    let (table, mut ended) = (store.shared().resident.tables.of(&Tenant::default()), store.ended());
    let held = table.write();
    // The committer waits for the table, and the others behind it.
    let group = || Group { writes: vec![put(2)], ..Group::default() };
    let mut waiting: Vec<_> = (0..10).map(|_| store.commit(vec![group()])).collect();
    for commit in &mut waiting {
        assert!(commit.now_or_never().is_none());
    }
    drop(held);
    let patience = Duration::from_secs(30);
    for refused in tokio::time::timeout(patience, join_all(waiting)).await.unwrap() {
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    }
    tokio::time::timeout(patience, ended.wait_for(|ended| *ended)).await.unwrap().unwrap();
    assert!(!*store.healthy().borrow());
    let later = store.commit(vec![group()]).now_or_never().unwrap();
    assert!(matches!(later, Err(StoreError::Unavailable { .. })), "{later:?}");
    assert_eq!(count(&store).await, 1, "reads go on");
    tokio::time::timeout(patience, store.close()).await.unwrap().unwrap();
    drop(store);
    let store = EmbeddedStore::open(EmbeddedOptions::new(folder.path())).unwrap();
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn with_too_little_room_consumers_of_the_log_may_still_get_on() {
    let folder = tempfile::tempdir().unwrap();
    let disk = rustix::fs::statvfs(folder.path()).unwrap();
    let free = disk.f_bavail * disk.f_frsize;
    let with = |min_free_disk| {
        let options = EmbeddedOptions { min_free_disk, ..EmbeddedOptions::new(folder.path()) };
        EmbeddedStore::open(options).unwrap()
    };
    let store = with(free / 2 * 3);
    store.healthy().wait_for(|healthy| !healthy).await.unwrap();
    let refused = commit(&store, vec![put(1)], vec![record(Some(b"1"))]).await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    commit(&store, vec![], vec![record(Some(b"2"))]).await.unwrap();
    assert_eq!(ledger(&store).await.as_deref(), Some(&b"2"[..]));
    drop(store);
    let store = with(u64::MAX);
    store.healthy().wait_for(|healthy| !healthy).await.unwrap();
    let refused = commit(&store, vec![], vec![record(Some(b"3"))]).await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    assert_eq!(ledger(&store).await.as_deref(), Some(&b"2"[..]));
}

#[tokio::test]
async fn groups_that_wait_are_committed_together() {
    let (_folder, store) = open();
    commit(&store, vec![put(0)], vec![]).await.unwrap();
    let mut commits: Vec<_> = (1..=50)
        .map(|number| {
            let write = Write { expect: Expect::Absent, ..put(number) };
            store.commit(vec![Group { writes: vec![write], ..Group::default() }])
        })
        .collect();
    let table = store.shared().resident.tables.of(&Tenant::default());
    let held = table.write();
    // The committer takes what comes first, and is held up at the table. The rest gathers.
    let queued = std::future::poll_fn(|context| {
        Poll::Ready(commits.iter_mut().all(|commit| commit.poll_unpin(context).is_pending()))
    });
    assert!(queued.now_or_never().unwrap());
    drop(held);
    for commit in commits {
        commit.await.unwrap();
    }
    let mut registry = Registry::default();
    store.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("store_batch_groups_sum 51.0"), "{text}");
    let count = text.lines().find_map(|line| line.strip_prefix("store_batch_groups_count "));
    assert!(count.unwrap().parse::<u32>().unwrap() <= 3, "{text}");
}

#[tokio::test]
async fn a_scan_over_its_time_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        EmbeddedOptions { query_time_limit: Duration::ZERO, ..EmbeddedOptions::new(folder.path()) };
    let store = EmbeddedStore::open(options).unwrap();
    commit(&store, (0..3_000).map(put).collect(), vec![]).await.unwrap();
    let pattern = Filter::IdPattern("7".parse().unwrap());
    let refused = select(&store, pattern, 10).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooComplex(0)), "{refused:?}");
    assert_eq!(count(&store).await, 3_000, "what the indexes answer takes no time");
}

#[tokio::test]
async fn a_summary_over_its_time_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        EmbeddedOptions { query_time_limit: Duration::ZERO, ..EmbeddedOptions::new(folder.path()) };
    let store = EmbeddedStore::open(options).unwrap();
    let of_its_own = |number| {
        let mut write = put(number);
        let entity = Arc::make_mut(write.state.as_mut().unwrap());
        entity.types = vec![format!("urn:x:Type{number}").parse().unwrap()];
        let attribute = entity_attribute(&format!("urn:x:attribute{number}"));
        entity.attributes.push(attribute);
        write
    };
    commit(&store, (0..100).map(of_its_own).collect(), vec![]).await.unwrap();
    let tenant = Tenant::default();
    let refused = store.types(&tenant).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooComplex(0)), "{refused:?}");
    let refused = store.attributes(&tenant, None).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooComplex(0)), "{refused:?}");
}

fn entity_attribute(name: &str) -> Attribute {
    let value = Value { kind: AttributeType::Property, json: Json::from("1") };
    let time = Timestamp::default();
    Attribute {
        name: name.parse().unwrap(),
        instances: std::iter::once(Instance {
            value,
            observed_at: None,
            created_at: time,
            modified_at: time,
            qualifiers: None,
        })
        .collect(),
    }
}

#[tokio::test]
async fn a_long_scan_gives_what_a_short_one_does() {
    let (_folder, store) = open();
    commit(&store, (0..5_000).map(put).collect(), vec![]).await.unwrap();
    let pattern = Filter::IdPattern("99$".parse().unwrap());
    let page = select(&store, pattern, 20).await.unwrap();
    assert_eq!((page.total, page.more, page.items.len()), (Some(50), true, 20));
    assert_eq!(page.items[19].entity.id, id(1_999));
    let nothing = select(&store, Filter::Query(Query::Or(Vec::new())), 20).await.unwrap();
    assert_eq!((nothing.total, nothing.items.len()), (Some(0), 0));
}
