//! Writes that fail at each of their steps.

use super::super::faults::Step;
use super::world::World;
use super::{open, options};
use crate::Archive;

#[tokio::test]
async fn a_write_that_fails_at_any_step_loses_nothing() {
    for (step, is_reopened) in Step::ALL.into_iter().flat_map(|step| [(step, false), (step, true)])
    {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(21);
        let mut archive = open(folder.path(), &world);
        for _ in 0..3 {
            world.change(12).await;
            archive.shared().catch_up().await.unwrap();
            archive.shared().faults.fail_before(step);
            archive.flush().await.unwrap_err();
            world.change(3).await;
            world.compare(&archive, 20).await;
            if is_reopened {
                drop(archive);
                archive = open(folder.path(), &world);
                world.compare(&archive, 20).await;
            }
            archive.flush().await.unwrap();
            world.compare(&archive, 20).await;
        }
        archive.shared().faults.fail_before(step);
        archive.merge().await.unwrap_err();
        world.compare(&archive, 20).await;
        if is_reopened {
            drop(archive);
            archive = open(folder.path(), &world);
            world.compare(&archive, 20).await;
        }
        archive.compact().await.unwrap();
        world.compare(&archive, 20).await;
        // One segment, the manifest and the lock: nothing else was left behind.
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 3, "{step:?}");
    }
}

#[tokio::test]
async fn what_an_unfinished_write_left_is_removed_and_other_files_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(22);
    world.change(10).await;
    let path = |name: &str| folder.path().join(name);
    for name in ["00000000000000ff.segment", "0000000000000100.segment.part", "MANIFEST.new"] {
        std::fs::write(path(name), "half").unwrap();
    }
    std::fs::write(path("notes.txt"), "not ours").unwrap();
    let archive = Archive::open(options(folder.path()), world.store()).unwrap();
    assert!(!path("00000000000000ff.segment").exists());
    assert!(!path("0000000000000100.segment.part").exists());
    assert!(!path("MANIFEST.new").exists());
    assert!(path("notes.txt").exists());
    world.compare(&archive, 5).await;
}
