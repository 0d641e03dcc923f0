//! Segments that are damaged while they are open, and a disk that is full.

use musubi_model::{Datasets, EvolutionAction};

use super::reading::{act, add, attribute};
use super::world::World;
use super::{open, options};
use crate::{Archive, HistoryOptions};

/// A history of so many segments of one entity, of which two become one.
async fn segments(path: &std::path::Path, world: &World, count: u32) -> Archive {
    let narrow = HistoryOptions { merge_width: 2, ..options(path) };
    let archive = Archive::open(narrow, world.store()).unwrap();
    for number in 0..count {
        add(&world.store(), number..number + 1).await;
        archive.shared().catch_up().await.unwrap();
        archive.flush().await.unwrap();
    }
    archive
}

/// Writes zeros over a segment.
fn damage(archive: &Archive, place: usize) {
    let file = archive.freeze().unwrap().files[place].clone();
    std::fs::write(&file.path, vec![0; usize::try_from(file.length).unwrap()]).unwrap();
}

fn levels(archive: &Archive) -> Vec<u32> {
    let state = archive.shared().state.read();
    state.manifest.segments.iter().map(|listed| listed.level).collect()
}

#[tokio::test]
async fn a_damaged_segment_stays_as_it_is_and_the_others_are_merged() {
    let folder = tempfile::tempdir().unwrap();
    let archive = segments(folder.path(), &World::new(71), 5).await;
    damage(&archive, 2);
    let refused = archive.merge().await.unwrap_err();
    assert!(matches!(refused, musubi_store::StoreError::Failed { .. }), "{refused}");
    assert_eq!(archive.metrics().damaged.get(), 1);
    archive.merge().await.unwrap();
    assert_eq!(levels(&archive), [0, 0, 0, 1]);
    archive.merge().await.unwrap();
    assert_eq!(levels(&archive), [1, 0, 1]);
    assert!(!archive.must_merge());
    archive.merge().await.unwrap();
    assert_eq!(levels(&archive), [1, 0, 1]);
}

#[tokio::test]
async fn what_is_in_memory_is_written_though_an_older_segment_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(72);
    let archive = segments(folder.path(), &world, 2).await;
    damage(&archive, 0);
    let (attribute, datasets) = (attribute(), Datasets::All);
    act(&world.store(), EvolutionAction::RemoveAttribute { attribute, datasets }).await;
    archive.shared().catch_up().await.unwrap();
    archive.flush().await.unwrap();
    assert_eq!(archive.cursor(), *world.store().newest().borrow());
    assert_eq!(levels(&archive).len(), 3);
}

#[tokio::test]
async fn segments_are_not_merged_while_the_disk_is_too_full() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(73);
    drop(segments(folder.path(), &world, 3).await);
    let full = HistoryOptions { min_free_disk: u64::MAX, ..options(folder.path()) };
    let archive = Archive::open(full, world.store()).unwrap();
    archive.merge().await.unwrap();
    archive.merge().await.unwrap();
    assert_eq!(levels(&archive), [0, 0, 0]);
    assert_eq!(archive.metrics().merges_put_off.get(), 2);
    archive.compact().await.unwrap_err();
    drop(archive);
    let archive = open(folder.path(), &world);
    archive.merge().await.unwrap();
    assert_eq!(levels(&archive), [1]);
}
