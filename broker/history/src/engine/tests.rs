//! What can only be tested from inside: segments that are written and merged at given moments, and
//! writes that fail.

mod damage;
mod faults;
mod format;
mod late;
mod limits;
mod questions;
mod reading;
mod retention;
mod seeding;
mod world;

use std::sync::Arc;
use std::time::Duration;

use musubi_model::{Sequence, Tenant, Timestamp};
use musubi_query::{TemporalQuery, TimeRelation};
use musubi_store::{History, Store};

use self::questions::question;
use self::world::World;
use super::Archive;
use crate::{HistoryOptions, OpenError};

fn options(path: &std::path::Path) -> HistoryOptions {
    HistoryOptions { merge_width: 3, ..HistoryOptions::new(path) }
}

fn open(path: &std::path::Path, world: &World) -> Archive {
    Archive::open(options(path), world.store()).unwrap()
}

#[tokio::test]
async fn answers_are_those_of_the_reference_whenever_segments_are_written_and_merged() {
    for seed in 1..=6 {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(seed);
        let mut archive = open(folder.path(), &world);
        for round in 0..30 {
            let changes = world.below(6);
            world.change(changes).await;
            match world.below(8) {
                0..=2 => {
                    // What the log says is taken in before, so that the table holds it.
                    archive.shared().catch_up().await.unwrap();
                    archive.flush().await.unwrap();
                }
                3 => archive.merge().await.unwrap(),
                4 if round % 4 == 0 => archive.compact().await.unwrap(),
                5 => {
                    drop(archive);
                    archive = open(folder.path(), &world);
                }
                _ => {}
            }
            world.compare(&archive, 6).await;
        }
        archive.compact().await.unwrap();
        world.compare(&archive, 40).await;
        assert_eq!(archive.gap(), None);
    }
}

#[tokio::test]
async fn the_log_is_not_needed_where_segments_reach() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(7);
    let archive = open(folder.path(), &world);
    assert_eq!(archive.needed_from(), Sequence(1));
    world.change(30).await;
    world.compare(&archive, 1).await;
    assert_eq!(archive.needed_from(), Sequence(1), "what is in memory alone is needed still");
    archive.flush().await.unwrap();
    let newest = *world.store().newest().borrow();
    assert_eq!(archive.needed_from(), Sequence(newest.0 + 1));
    let expected = world.answers(20).await;
    drop(archive);
    world.store().truncate(newest).await.unwrap();
    let archive = open(folder.path(), &world);
    world.check(&archive, expected).await;
    assert_eq!(archive.gap(), None);
}

#[tokio::test]
async fn a_log_that_does_not_reach_back_is_noted_as_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(8);
    world.change(30).await;
    world.store().truncate(Sequence(9)).await.unwrap();
    let archive = open(folder.path(), &world);
    archive.shared().catch_up().await.unwrap();
    assert_eq!(archive.gap(), Some(Sequence(9)));
    let first = world.store().changes(Sequence(9), 1).await.unwrap()[0].time;
    said_incomplete(&archive, &mut world, first).await;
    archive.flush().await.unwrap();
    drop(archive);
    let archive = open(folder.path(), &world);
    said_incomplete(&archive, &mut world, first).await;
    assert_eq!(archive.gap(), Some(Sequence(9)), "it is remembered");
    world.store().truncate(*world.store().newest().borrow()).await.unwrap();
    world.change(1).await;
    let newest = *world.store().newest().borrow();
    world.store().truncate(newest).await.unwrap();
    archive.shared().catch_up().await.unwrap();
    assert_eq!(archive.gap(), Some(newest), "nothing at all was left to read");
}

/// Passes if answers about times of before the moment say that changes are missing, and others do not.
async fn said_incomplete(archive: &Archive, world: &mut World, before: Timestamp) {
    let later = before.plus_micros(1);
    for (times, is_reached) in [
        (None, true),
        (Some(TimeRelation::Before(later)), true),
        (Some(TimeRelation::After(before.plus_micros(-1))), true),
        (Some(TimeRelation::Between(before, later)), false),
        (Some(TimeRelation::After(before)), false),
    ] {
        let query = TemporalQuery { range: times, ..question(world) };
        let page = archive.evolutions(&Tenant::default(), &query).await.unwrap();
        assert_eq!(page.incomplete_before, is_reached.then_some(before), "{times:?}");
    }
}

#[tokio::test]
async fn a_folder_is_opened_once_at_a_time_and_only_with_its_own_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(9);
    world.change(5).await;
    let archive = open(folder.path(), &world);
    let refused = Archive::open(options(folder.path()), world.store()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse(_)), "{refused}");
    archive.compact().await.unwrap();
    drop(archive);
    let other: Arc<dyn Store> = Arc::new(musubi_store::ReferenceStore::new());
    let refused = Archive::open(options(folder.path()), other).unwrap_err();
    assert!(matches!(refused, OpenError::Ahead { .. }), "{refused}");
}

#[tokio::test]
async fn a_missing_or_shortened_segment_is_named_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(10);
    world.change(20).await;
    let archive = open(folder.path(), &world);
    archive.compact().await.unwrap();
    let file = archive.freeze().unwrap().files.first().unwrap().clone();
    drop(archive);
    let whole = std::fs::read(&file.path).unwrap();
    std::fs::write(&file.path, &whole[..whole.len() - 1]).unwrap();
    let refused = Archive::open(options(folder.path()), world.store()).unwrap_err();
    assert!(refused.to_string().contains(&file.name), "{refused}");
    std::fs::remove_file(&file.path).unwrap();
    let refused = Archive::open(options(folder.path()), world.store()).unwrap_err();
    assert!(matches!(&refused, OpenError::Missing(path) if *path == file.path), "{refused}");
    std::fs::write(&file.path, &whole).unwrap();
    world.compare(&open(folder.path(), &world), 10).await;
}

#[tokio::test]
async fn the_files_of_a_frozen_history_stay_while_it_is_held() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut world = World::new(11);
    let archive = open(folder.path(), &world);
    for _ in 0..3 {
        world.change(10).await;
        archive.shared().catch_up().await.unwrap();
        archive.flush().await.unwrap();
    }
    let expected = world.answers(20).await;
    let frozen = archive.freeze().unwrap();
    archive.compact().await.unwrap();
    for file in &frozen.files {
        assert_eq!(std::fs::copy(&file.path, copy.path().join(&file.name)).unwrap(), file.length);
    }
    std::fs::write(copy.path().join("MANIFEST"), &frozen.manifest).unwrap();
    let paths: Vec<_> = frozen.files.iter().map(|file| file.path.clone()).collect();
    drop(frozen);
    assert!(paths.iter().all(|path| !path.exists()), "they go with the one who held them");
    let copied = open(copy.path(), &world);
    assert_eq!(copied.cursor(), *world.store().newest().borrow());
    world.check(&copied, expected).await;
}

#[tokio::test]
async fn the_task_writes_and_merges_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(12);
    let options = HistoryOptions { log_length: 3, ..options(folder.path()) };
    let archive = Archive::open(options, world.store()).unwrap();
    let end = tokio_util::sync::CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(archive.clone().run(end.clone()));
    while archive.metrics().merges.get() < 2 {
        world.change(2).await;
        tokio::task::yield_now().await;
    }
    world.compare(&archive, 20).await;
    end.cancel();
    tasks.join_all().await;
    let listed = archive.freeze().unwrap().files.len();
    assert!(listed < 12, "{listed} segments are left");
    world.compare(&archive, 20).await;
}

#[tokio::test]
async fn memory_that_is_used_up_is_told_and_not_exceeded() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(13);
    world.change(400).await;
    let little = HistoryOptions { memory: 4_096, ..options(folder.path()) };
    let impatient = HistoryOptions { query_time_limit: Duration::ZERO, ..little.clone() };
    let archive = Archive::open(impatient, world.store()).unwrap();
    let refused = archive.shared().catch_up().await.unwrap_err();
    assert!(matches!(refused, musubi_store::StoreError::Unavailable { .. }), "{refused}");
    drop(archive);
    // Who may wait is answered when there is room again.
    let archive = Archive::open(little, world.store()).unwrap();
    let writing = async {
        loop {
            archive.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        done = archive.shared().catch_up() => done.unwrap(),
        () = writing => unreachable!("it never ends"),
    }
    world.compare(&archive, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_while_segments_are_written_and_merged_sees_everything() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(14);
    world.change(120).await;
    let options = HistoryOptions { merge_width: 2, ..options(folder.path()) };
    let archive = Archive::open(options, world.store()).unwrap();
    let answers = world.answers(30).await;
    let writer = archive.clone();
    let store = world.store();
    let mut tasks = tokio::task::JoinSet::new();
    let writing = std::sync::atomic::AtomicBool::new(true);
    let writing = Arc::new(writing);
    let is_writing = writing.clone();
    tasks.spawn(async move {
        for round in 0..40 {
            // A change of something else, so that there is something to write.
            let group = musubi_store::Group {
                evolutions: vec![elsewhere(round)],
                ..musubi_store::Group::default()
            };
            store.commit(vec![group]).await.unwrap();
            writer.shared().catch_up().await.unwrap();
            writer.flush().await.unwrap();
            writer.merge().await.unwrap();
        }
        is_writing.store(false, std::sync::atomic::Ordering::SeqCst);
    });
    while writing.load(std::sync::atomic::Ordering::SeqCst) {
        world.check(&archive, answers.clone()).await;
    }
    tasks.join_all().await;
    world.check(&archive, answers).await;
    assert!(archive.metrics().merges.get() > 10, "{}", archive.metrics().merges.get());
}

fn elsewhere(number: u32) -> musubi_store::EvolutionWrite {
    let action = musubi_model::EvolutionAction::Remove;
    let id = format!("urn:e:elsewhere:{number}").parse().unwrap();
    let tenant = "elsewhere".parse().unwrap();
    let change = musubi_model::EvolutionChange { id, action };
    musubi_store::EvolutionWrite { tenant, change }
}
