//! The log as a chain of parts.

use musubi_model::Sequence;
use musubi_store::Store;
use musubi_store_embedded::{Durability, EmbeddedOptions, EmbeddedStore};

use crate::town::{commit, open, put};

async fn sequences(store: &EmbeddedStore, after: u64, limit: usize) -> Vec<u64> {
    let changes = store.changes(Sequence(after), limit).await.unwrap();
    changes.iter().map(|change| change.sequence.0).collect()
}

/// Parts of 10 changes, and only the last 3 changes in memory.
fn options(folder: &tempfile::TempDir) -> EmbeddedOptions {
    EmbeddedOptions { log_segment: 10, recent_changes: 3, ..EmbeddedOptions::new(folder.path()) }
}

async fn filled(options: &EmbeddedOptions) -> EmbeddedStore {
    let store = open(options);
    for number in 1..=95 {
        commit(&store, vec![put("a", &number.to_string())]).await.unwrap();
    }
    store
}

#[tokio::test]
async fn it_is_read_across_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder);
    let store = filled(&options).await;
    let check = async |store: &EmbeddedStore| {
        assert_eq!(sequences(store, 0, usize::MAX).await, (1..=95).collect::<Vec<_>>());
        assert_eq!(sequences(store, 9, 3).await, [10, 11, 12]);
        assert_eq!(sequences(store, 93, 10).await, [94, 95]);
        assert_eq!(sequences(store, 95, 10).await, [] as [u64; 0]);
        assert_eq!(sequences(store, u64::MAX, 10).await, [] as [u64; 0]);
    };
    check(&store).await;
    drop(store);
    check(&open(&options)).await;
}

#[tokio::test]
async fn it_is_truncated_by_whole_parts_and_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder);
    let store = filled(&options).await;
    store.truncate(Sequence(39)).await.unwrap();
    assert_eq!(sequences(&store, 0, 1).await, [31]);
    store.truncate(Sequence(40)).await.unwrap();
    assert_eq!(sequences(&store, 0, 1).await, [41]);
    assert_eq!(sequences(&store, 0, usize::MAX).await.len(), 55);
    store.truncate(Sequence(u64::MAX)).await.unwrap();
    assert_eq!(sequences(&store, 0, usize::MAX).await, [91, 92, 93, 94, 95]);
    drop(store);

    let store = open(&options);
    assert_eq!(*store.newest().borrow(), Sequence(95));
    assert_eq!(sequences(&store, 0, usize::MAX).await, [91, 92, 93, 94, 95]);
    commit(&store, vec![put("a", "96")]).await.unwrap();
    assert_eq!(*store.newest().borrow(), Sequence(96));
    assert_eq!(sequences(&store, 94, usize::MAX).await, [95, 96]);
}

#[tokio::test]
async fn the_newest_change_stays_when_its_part_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { log_segment: 5, ..options(&folder) };
    let store = filled(&options).await;
    store.truncate(Sequence(95)).await.unwrap();
    drop(store);
    let store = open(&options);
    assert_eq!(*store.newest().borrow(), Sequence(95));
    assert_eq!(sequences(&store, 0, usize::MAX).await, [91, 92, 93, 94, 95]);
}

#[tokio::test]
async fn it_is_known_how_much_of_it_a_power_cut_cannot_take() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(&EmbeddedOptions { durability: Durability::Sync, ..options(&folder) }).await;
    assert_eq!(*store.durable().borrow(), Sequence(95));
    drop(store);

    let hour = Durability::Interval(std::time::Duration::from_hours(1));
    let store = open(&EmbeddedOptions { durability: hour, ..options(&folder) });
    commit(&store, vec![put("a", "96")]).await.unwrap();
    assert_eq!(*store.newest().borrow(), Sequence(96));
    assert_eq!(*store.durable().borrow(), Sequence(95), "nobody has asked the disk yet");
    drop(store);

    let soon = Durability::Interval(std::time::Duration::from_millis(1));
    let store = open(&EmbeddedOptions { durability: soon, ..options(&folder) });
    commit(&store, vec![put("a", "97")]).await.unwrap();
    let mut durable = store.durable();
    durable.wait_for(|known| *known == Sequence(97)).await.unwrap();
}
