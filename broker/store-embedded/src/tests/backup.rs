//! Backups: whole, of one moment, verified, and restored to what they were made of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use musubi_model::{EvolutionAction, EvolutionChange};
use musubi_store::{BackupError, Change, EvolutionWrite, Record, Subject};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::*;
use crate::backup::{
    ArchiveError, AttachedFile, Backup, Contents, VerifyError, backup_folder, restore,
    verify_backup, verify_store,
};
use crate::folder::{self, Folder};

const NOW: Timestamp = Timestamp::EPOCH;

/// Numbers that look like chance and are the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}

fn options(path: &Path) -> EmbeddedOptions {
    EmbeddedOptions { log_segment: 5, recent_changes: 2, ..EmbeddedOptions::new(path) }
}

fn evolution(number: usize) -> EvolutionWrite {
    let change = EvolutionChange { id: id(number), action: EvolutionAction::Remove };
    EvolutionWrite { tenant: Tenant::default(), change }
}

fn record_of(kind: RecordKind, key: usize, value: Option<Vec<u8>>) -> RecordWrite {
    let key = RecordKey { kind, tenant: Tenant::default(), key: format!("r{key}") };
    RecordWrite { key, expect: Expect::Any, value: value.map(Into::into) }
}

/// A group of some of everything.
fn group(chance: &mut Chance) -> Group {
    let mut group = Group::default();
    for _ in 0..chance.below(3) {
        let mut write = put(chance.below(40));
        if chance.below(4) == 0 {
            write.state = None;
        } else if let Some(entity) = &mut write.state {
            let entity = Arc::make_mut(entity);
            entity.attributes.push(entity_attribute(&format!("urn:x:a{}", chance.below(5))));
        }
        if chance.below(3) == 0 {
            write.tenant = "town".parse().unwrap();
        }
        if group.writes.iter().all(|other| other.id != write.id) {
            group.writes.push(write);
        }
    }
    let kind = RecordKind::ALL[chance.below(RecordKind::ALL.len())];
    let value = vec![7; chance.below(500)];
    group.records.push(record_of(kind, chance.below(9), (chance.below(5) > 0).then_some(value)));
    if chance.below(6) == 0 {
        group.evolutions.push(evolution(chance.below(40)));
    }
    group
}

async fn fill(store: &EmbeddedStore, seed: u64, groups: usize) {
    let mut chance = Chance(seed);
    for _ in 0..groups {
        store.commit(vec![group(&mut chance)]).await.unwrap();
    }
}

/// Everything that a store shows.
#[derive(Debug, PartialEq)]
struct Shown {
    entities: Vec<Vec<musubi_store::Found>>,
    records: Vec<Record>,
    changes: Vec<Arc<Change>>,
    newest: Sequence,
}

async fn shown(store: &EmbeddedStore) -> Shown {
    let everything = EntityQuery {
        filter: Filter::All(Vec::new()),
        start: Start::Offset(0),
        limit: usize::MAX,
        count: false,
        ..EntityQuery::default()
    };
    let mut shown = Shown {
        entities: Vec::new(),
        records: Vec::new(),
        changes: store.changes(Sequence(0), usize::MAX).await.unwrap(),
        newest: *store.newest().borrow(),
    };
    for tenant in [Tenant::default(), "town".parse().unwrap()] {
        shown.entities.push(store.select(&tenant, &everything).await.unwrap().items);
    }
    for kind in RecordKind::ALL {
        let query = RecordQuery {
            kind,
            tenant: None,
            prefix: String::new(),
            after: None,
            limit: usize::MAX,
        };
        shown.records.extend(store.records(&query).await.unwrap());
    }
    shown
}

fn begin(store: &EmbeddedStore) -> Backup {
    store.backup(store.hold_log(), Vec::new(), NOW).unwrap()
}

async fn rest(mut backup: Backup) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = backup.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    bytes
}

fn restored(bytes: &[u8]) -> (tempfile::TempDir, EmbeddedStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    restore(bytes, &path).unwrap();
    let store = EmbeddedStore::open(options(&path)).unwrap();
    (folder, store)
}

/// Where the counters stand: a new revision and a new position.
async fn next_numbers(store: &EmbeddedStore) -> (Revision, musubi_model::Position) {
    let revision = commit(store, vec![put(9_999)], vec![]).await.unwrap()[0];
    let page = select(store, Filter::Ids(vec![id(9_999)]), 1).await.unwrap();
    (revision, page.items[0].position)
}

#[tokio::test]
async fn what_is_restored_is_what_was_backed_up_and_goes_on_from_there() {
    let source = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(options(source.path())).unwrap();
    fill(&store, 3, 150).await;
    store.truncate(Sequence(60)).await.unwrap();
    let before = shown(&store).await;
    assert!(before.changes[0].sequence > Sequence(30) && before.changes.len() > 50);
    let bytes = rest(begin(&store)).await;
    let (head, contents) = verify_backup(&*bytes).unwrap();
    assert_eq!((head.store_format, head.made_at), (folder::NEWEST, NOW));
    assert_eq!(contents.newest, before.newest);
    assert_eq!(contents.oldest, before.changes[0].sequence);
    let entities: usize = before.entities.iter().map(Vec::len).sum();
    assert_eq!(contents.entities, u64::try_from(entities).unwrap());
    assert_eq!(contents.records, u64::try_from(before.records.len()).unwrap());

    let (_folder, copy) = restored(&bytes);
    assert_eq!(shown(&copy).await, before);
    // The same numbers are never given out twice, in either.
    let (old, new) = (next_numbers(&store).await, next_numbers(&copy).await);
    assert!(new.0 >= old.0 && new.1 >= old.1, "{new:?} comes before {old:?}");
    assert_eq!(*copy.newest().borrow(), Sequence(before.newest.0 + 1));
    // The log can be truncated, part by part.
    copy.truncate(Sequence(before.newest.0 - 1)).await.unwrap();
    let kept = copy.changes(Sequence(0), usize::MAX).await.unwrap();
    assert!(kept[0].sequence > before.changes[0].sequence, "nothing was dropped");
    assert_eq!(kept.last().unwrap().sequence, *copy.newest().borrow());
}

#[tokio::test]
async fn a_store_without_anything_is_restored() {
    let (_source, store) = open();
    let bytes = rest(begin(&store)).await;
    assert_eq!(verify_backup(&*bytes).unwrap().1, Contents::default());
    let (_folder, copy) = restored(&bytes);
    commit(&copy, vec![put(1)], vec![]).await.unwrap();
    assert_eq!(*copy.newest().borrow(), Sequence(1));
}

#[tokio::test]
async fn a_row_that_is_longer_than_a_piece_is_restored() {
    let (_source, store) = open();
    let value = vec![5; 100_000];
    let long = record_of(RecordKind::AdapterState, 1, Some(value));
    let short = record_of(RecordKind::AdapterState, 2, Some(vec![6]));
    commit(&store, vec![put(1)], vec![long, short]).await.unwrap();
    let before = shown(&store).await;
    let (_folder, copy) = restored(&rest(begin(&store)).await);
    assert_eq!(shown(&copy).await, before);
}

/// What writers have been told, and how often.
#[derive(Clone)]
struct Told(Arc<parking_lot::Mutex<BTreeMap<usize, u64>>>, watch::Sender<u64>);

/// Writes numbers that grow into one record, and the same number of changes into one entity.
async fn write(store: Arc<EmbeddedStore>, writer: usize, told: Told, stop: watch::Receiver<bool>) {
    for count in 1_u64.. {
        let value = count.to_string().into_bytes();
        let record = record_of(RecordKind::Subscription, writer, Some(value));
        commit(&store, vec![put(writer)], vec![record]).await.unwrap();
        told.0.lock().insert(writer, count);
        told.1.send_modify(|all| *all += 1);
        if *stop.borrow() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_writes_holds_all_that_was_acknowledged_and_one_prefix_of_the_log() {
    let source = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(options(source.path())).unwrap());
    let told = Told(Arc::default(), watch::Sender::new(0));
    let (stop, stopping) = watch::channel(false);
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        writers.spawn(write(store.clone(), writer, told.clone(), stopping.clone()));
    }
    let mut count = told.1.subscribe();
    count.wait_for(|count| *count >= 40).await.unwrap();
    let acknowledged = told.0.lock().clone();
    let mut backup = begin(&store);
    let mut bytes = Vec::new();
    while let Some(piece) = backup.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
        // Somebody is told something between any two pieces.
        let before = *count.borrow();
        let newest = *store.newest().borrow();
        store.truncate(newest).await.unwrap();
        count.wait_for(|count| *count > before).await.unwrap();
    }
    drop(backup);
    stop.send(true).unwrap();
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }

    let (_folder, copy) = restored(&bytes);
    let copied = shown(&copy).await;
    assert!(copied.newest < *store.newest().borrow(), "nothing was written meanwhile");
    let numbers: Vec<u64> = copied.changes.iter().map(|change| change.sequence.0).collect();
    assert_eq!(numbers, (1..=copied.newest.0).collect::<Vec<_>>());
    let mut state = BTreeMap::new();
    let mut values = BTreeMap::new();
    for change in &copied.changes {
        match &change.subject {
            Subject::Entity(change) => {
                state.insert(change.id.clone(), (change.revision, change.after.clone()));
            }
            Subject::Record(change) => {
                drop(values.insert(change.key.clone(), change.value.clone()));
            }
            Subject::Evolution(_) => {}
        }
    }
    let entities: BTreeMap<_, _> = copied.entities[0]
        .iter()
        .map(|found| (found.entity.id.clone(), (found.revision, Some(found.entity.clone()))))
        .collect();
    assert_eq!(entities, state);
    let records: BTreeMap<_, _> = copied
        .records
        .iter()
        .map(|record| (record.key.key.clone(), Some(record.value.clone())))
        .collect();
    assert_eq!(records, values);
    for (writer, least) in acknowledged {
        let value = records[&format!("r{writer}")].clone().unwrap();
        let value: u64 = std::str::from_utf8(&value).unwrap().parse().unwrap();
        assert!(value >= least, "writer {writer} was told {least}, and {value} is in the backup");
    }
}

#[tokio::test]
async fn there_is_one_backup_at_a_time() {
    let (_folder, store) = open();
    let first = begin(&store);
    let refused = store.backup(store.hold_log(), Vec::new(), NOW).unwrap_err();
    assert!(matches!(refused, BackupError::Busy), "{refused:?}");
    drop(first);
    verify_backup(&*rest(begin(&store)).await).unwrap();
}

#[tokio::test]
async fn the_log_stays_as_it_is_while_somebody_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(options(folder.path())).unwrap();
    fill(&store, 5, 40).await;
    let all = shown(&store).await.changes.len();
    let (one, other) = (store.hold_log(), store.hold_log());
    let newest = *store.newest().borrow();
    store.truncate(newest).await.unwrap();
    drop(one);
    store.truncate(newest).await.unwrap();
    assert_eq!(shown(&store).await.changes.len(), all);
    drop(other);
    store.truncate(newest).await.unwrap();
    assert!(shown(&store).await.changes.len() < all);
}

#[tokio::test]
async fn a_backup_ends_without_an_end_when_the_engine_fails_and_does_not_keep_it_from_being_opened()
{
    let (_folder, store) = open();
    commit(&store, vec![put(1)], vec![]).await.unwrap();
    let mut backup = begin(&store);
    let mut bytes = backup.next().await.unwrap().unwrap();
    store.shared().faults.sync.store(true, Ordering::SeqCst);
    commit(&store, vec![put(2)], vec![]).await.unwrap_err();
    until_healthy(&store).await;
    let failed = backup.next().await.unwrap_err();
    assert!(matches!(failed, StoreError::Unavailable { .. }), "{failed:?}");
    bytes.extend(b"");
    let cut = verify_backup(&*bytes).unwrap_err();
    assert!(matches!(cut, VerifyError::Archive(ArchiveError::Cut(_))), "{cut}");
    drop(backup);
    verify_backup(&*rest(begin(&store)).await).unwrap();
}

#[tokio::test]
async fn a_backup_does_not_keep_the_store_from_closing() {
    let (folder, store) = open();
    commit(&store, vec![put(1)], vec![]).await.unwrap();
    let mut backup = begin(&store);
    backup.next().await.unwrap();
    store.close().await.unwrap();
    let again = EmbeddedStore::open(EmbeddedOptions::new(folder.path())).unwrap();
    assert_eq!(count(&again).await, 1);
    backup.next().await.unwrap_err();
    let refused = store.backup(store.hold_log(), Vec::new(), NOW).unwrap_err();
    assert!(matches!(refused, BackupError::Busy), "{refused:?}");
    drop(backup);
    let refused = store.backup(store.hold_log(), Vec::new(), NOW).unwrap_err();
    assert!(matches!(refused, BackupError::Store(_)), "{refused:?}");
}

/// A folder of a closed store, and its backup with attached files, one of them empty.
async fn with_files() -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(options(folder.path())).unwrap();
    fill(&store, 11, 6).await;
    store.close().await.unwrap();
    drop(store);
    fs::create_dir_all(folder.path().join("history/segments")).unwrap();
    fs::write(folder.path().join("history/segments/1"), vec![9; 700]).unwrap();
    fs::write(folder.path().join("history/MANIFEST"), "").unwrap();
    let attach = |name| AttachedFile::open(folder.path(), name).unwrap();
    let files: Vec<_> = ["history/segments/1", "history/MANIFEST"]
        .map(attach)
        .into_iter()
        .chain([AttachedFile::from_bytes("history/last", b"the end".to_vec()).unwrap()])
        .collect();
    // What becomes of the name of a file that is attached does not matter.
    fs::remove_file(folder.path().join("history/segments/1")).unwrap();
    let mut bytes = Vec::new();
    backup_folder(folder.path(), files, NOW, |piece| {
        bytes.extend_from_slice(piece);
        Ok::<(), StoreError>(())
    })
    .unwrap();
    (folder, bytes)
}

#[tokio::test]
async fn attached_files_are_where_they_were() {
    let (_source, bytes) = with_files().await;
    let (_, contents) = verify_backup(&*bytes).unwrap();
    assert_eq!((contents.files, contents.file_bytes), (3, 707));
    let (folder, _store) = restored(&bytes);
    let history = folder.path().join("data/history");
    assert_eq!(fs::read(history.join("segments/1")).unwrap(), vec![9; 700]);
    assert_eq!(fs::read(history.join("MANIFEST")).unwrap(), b"");
    assert_eq!(fs::read(history.join("last")).unwrap(), b"the end");
}

#[test]
fn a_file_stays_below_its_folder_and_out_of_the_place_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x"), "x").unwrap();
    for name in ["", "/x", "../x", "a/../x", "./x", "engine/x", "FORMAT", "LOCK", "a//x", "x/"] {
        let refused = AttachedFile::open(folder.path(), name).unwrap_err();
        assert!(refused.to_string().contains("is no name of a file"), "{name}: {refused}");
    }
    AttachedFile::open(folder.path(), "x").unwrap();
}

#[tokio::test]
async fn every_changed_byte_is_found() {
    let (_source, bytes) = with_files().await;
    verify_backup(&*bytes).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(verify_backup(&*changed).is_err(), "a change at {at} was not found");
    }
}

#[tokio::test]
async fn every_cut_is_found() {
    let (_source, bytes) = with_files().await;
    for end in 0..bytes.len() {
        assert!(verify_backup(&bytes[..end]).is_err(), "a cut at {end} was not found");
    }
}

#[tokio::test]
async fn nothing_damaged_is_restored_to_something_that_opens() {
    let (_source, bytes) = with_files().await;
    let folder = tempfile::tempdir().unwrap();
    for (number, at) in (0..bytes.len()).step_by(bytes.len() / 12).enumerate() {
        let path = |kind: &str| folder.path().join(format!("{kind}{number}"));
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        restore(&*changed, &path("changed")).unwrap_err();
        restore(&bytes[..at], &path("cut")).unwrap_err();
        for path in [path("changed"), path("cut")] {
            // A backup that is none from its first frame on has touched nothing.
            if path.exists() {
                let refused = EmbeddedStore::open(options(&path)).unwrap_err();
                let reason = refused.source().unwrap().to_string();
                assert!(reason.contains("did not come to its end"), "{reason}");
            }
        }
    }
}

#[tokio::test]
async fn a_backup_is_restored_into_an_empty_folder_only() {
    let (source, bytes) = with_files().await;
    let before = fs::read_dir(source.path()).unwrap().count();
    let refused = restore(&*bytes, source.path()).unwrap_err();
    assert!(refused.is_untouched());
    assert!(refused.to_string().contains("is not empty"), "{refused}");
    assert_eq!(fs::read_dir(source.path()).unwrap().count(), before);
    let folder = tempfile::tempdir().unwrap();
    restore(&*bytes, folder.path()).unwrap();
}

#[tokio::test]
async fn the_folder_of_a_store_is_verified() {
    let (source, bytes) = with_files().await;
    let (_, contents) = verify_backup(&*bytes).unwrap();
    let rows = Contents { files: 0, file_bytes: 0, ..contents };
    assert_eq!(verify_store(source.path()).unwrap(), rows);

    let store = EmbeddedStore::open(options(source.path())).unwrap();
    let refused = verify_store(source.path()).unwrap_err();
    assert!(refused.to_string().contains("in use by another process"), "{refused}");
    drop(store);

    let engine = Engine::open(source.path(), Opening::PLAIN).unwrap();
    let mut rows = crate::engine::Rows::default();
    rows.log(Sequence(contents.newest.0 + 1), b"\x01");
    drop(engine.write(rows).unwrap());
    engine.sync().unwrap();
    drop(engine);
    let refused = verify_store(source.path()).unwrap_err();
    let mut reasons = Vec::new();
    let mut reason: Option<&dyn Error> = Some(&refused);
    while let Some(error) = reason {
        reasons.push(error.to_string());
        reason = error.source();
    }
    assert!(reasons.iter().any(|reason| reason == "the row is malformed"), "{reasons:?}");
}

#[tokio::test]
async fn a_gap_in_the_log_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(options(folder.path())).unwrap();
    fill(&store, 5, 40).await;
    drop(store);
    let files = || {
        let entries = fs::read_dir(folder.path().join("log")).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    };
    let second = files().swap_remove(1);
    let kept = fs::read(&second).unwrap();
    fs::remove_file(&second).unwrap();
    let refused = verify_store(folder.path()).unwrap_err();
    assert!(matches!(refused, VerifyError::Engine(_)), "{refused:?}");
    fs::write(&second, kept).unwrap();

    // What the tables hold is not read again when the engine is opened.
    let engine = Arc::new(Engine::open(folder.path(), Opening::PLAIN).unwrap());
    let (done, is_done) = std::sync::mpsc::channel();
    engine.checkpoint_and(move |_| {
        done.send(()).unwrap();
        Ok(())
    });
    is_done.recv().unwrap();
    drop(engine);
    verify_store(folder.path()).unwrap();
    fs::remove_file(&second).unwrap();
    let refused = verify_store(folder.path()).unwrap_err();
    let refused = refused.to_string();
    assert!(refused.starts_with("the log: the changes after "), "{refused}");
    assert!(refused.ends_with(" are missing"), "{refused}");
}

fn format_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("FORMAT")).unwrap()
}

#[tokio::test]
async fn a_folder_of_the_first_format_becomes_one_of_the_newest_with_all_that_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(options(folder.path())).unwrap();
    fill(&store, 17, 30).await;
    let before = shown(&store).await;
    drop(store);
    assert_eq!(format_of(folder.path()), "musubi-store-embedded 3\n");
    folder::write_format(folder.path(), 1).unwrap();
    // As a kill leaves it in the middle.
    fs::write(folder.path().join("FORMAT.new"), "musubi-store-embedded").unwrap();

    // To be looked at and copied, it is left as it is.
    verify_store(folder.path()).unwrap();
    let mut bytes = Vec::new();
    backup_folder(folder.path(), Vec::new(), NOW, |piece| {
        bytes.extend_from_slice(piece);
        Ok::<(), StoreError>(())
    })
    .unwrap();
    assert_eq!(format_of(folder.path()), "musubi-store-embedded 1\n");
    let copy = folder.path().join("copy");
    assert_eq!(restore(&*bytes, &copy).unwrap().0.store_format, 1);
    assert_eq!(format_of(&copy), "musubi-store-embedded 3\n", "the rows are the same");

    for path in [PathBuf::from(folder.path()), copy] {
        let store = EmbeddedStore::open(options(&path)).unwrap();
        assert_eq!(shown(&store).await, before);
        assert_eq!(format_of(&path), "musubi-store-embedded 3\n");
        drop(store);
        drop(Folder::claim(&path).unwrap());
    }
}
