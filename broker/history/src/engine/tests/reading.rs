//! Questions that are answered while somebody writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use musubi_model::{
    AttrName, AttributeType, EntityId, EvolutionAction, EvolutionChange, Instance, Json,
    NewInstance, Recorded, Tenant, Timestamp, Value,
};
use musubi_store::{EvolutionWrite, Group, History, Store};

use super::world::World;
use super::{open, options};
use crate::read::{Deadline, Needed, anything};
use crate::{Archive, HistoryOptions, RetentionRule};

fn id() -> EntityId {
    "urn:e:hot".parse().unwrap()
}

pub(super) fn attribute() -> AttrName {
    "urn:p:a".parse().unwrap()
}

fn instance(value: u32) -> Instance {
    let time = Timestamp::from_seconds(1_000);
    let json = Json::parse(&value.to_string()).unwrap();
    Instance {
        value: Value { kind: AttributeType::Property, json },
        observed_at: None,
        created_at: time,
        modified_at: time,
        qualifiers: None,
    }
}

pub(super) async fn act(store: &Arc<dyn Store>, action: EvolutionAction) {
    let change = EvolutionChange { id: id(), action };
    let write = EvolutionWrite { tenant: Tenant::default(), change };
    let time = Timestamp::from_seconds(1_000);
    let group = Group { time, evolutions: vec![write], ..Group::default() };
    store.commit(vec![group]).await.unwrap();
}

/// Records these, in one change.
pub(super) async fn add(store: &Arc<dyn Store>, values: std::ops::Range<u32>) {
    let new = |value| NewInstance { instance: instance(value), deleted_at: None };
    let instances = values.map(|value| (attribute(), new(value))).collect();
    act(store, EvolutionAction::Add { types: Vec::new(), instances }).await;
}

async fn correct(store: &Arc<dyn Store>, old: &Recorded, value: u32) {
    let recorded = Box::new(Recorded { instance: instance(value), ..old.clone() });
    act(store, EvolutionAction::Correct { attribute: attribute(), recorded }).await;
}

async fn all(history: &dyn History) -> Vec<Recorded> {
    let mut query = anything();
    query.instances = 10_000;
    let page = history.evolutions(&Tenant::default(), &query).await.unwrap();
    let attributes = page.items.into_iter().flat_map(|item| item.evolution.attributes);
    attributes.flat_map(|attribute| attribute.instances).collect()
}

#[tokio::test]
async fn what_is_read_of_an_entity_is_as_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(61);
    let (store, archive) = (world.store(), open(folder.path(), &world));
    add(&store, 0..2).await;
    archive.shared().catch_up().await.unwrap();
    archive.flush().await.unwrap();
    add(&store, 2..4).await;
    let before = all(&archive).await;
    assert_eq!(before.len(), 4);
    let view = archive.shared().view();
    let entity = view.entity(&Tenant::default(), &id()).unwrap().unwrap();
    let deadline = Deadline::after(Duration::from_mins(1), 100, usize::MAX);
    let read = || {
        let series = entity.series().into_iter().collect::<Vec<_>>();
        entity.instances(&series, &anything(), Needed::All, &deadline).unwrap()
    };
    // One is corrected that is in a segment, and one that is in memory.
    for old in [&before[0], &before[3]] {
        correct(&store, old, 7).await;
        archive.shared().catch_up().await.unwrap();
        assert_eq!(read(), before);
    }
    act(&store, EvolutionAction::Remove).await;
    archive.shared().catch_up().await.unwrap();
    assert_eq!(read(), before);
    assert!(archive.shared().view().entity(&Tenant::default(), &id()).unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_instance_vanishes_while_it_is_corrected() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(62);
    let (store, archive) = (world.store(), open(folder.path(), &world));
    add(&store, 0..5).await;
    let recorded = all(&archive).await;
    archive.flush().await.unwrap();
    let is_writing = Arc::new(AtomicBool::new(true));
    let mut tasks = tokio::task::JoinSet::new();
    let (writer, is_over) = (archive.clone(), is_writing.clone());
    tasks.spawn(async move {
        for round in 0..300 {
            for old in &recorded {
                correct(&store, old, round).await;
            }
            writer.shared().catch_up().await.unwrap();
            if round % 50 == 49 {
                writer.flush().await.unwrap();
            }
        }
        is_over.store(false, Ordering::SeqCst);
    });
    let mut questions = 0;
    while is_writing.load(Ordering::SeqCst) || questions == 0 {
        assert_eq!(all(&archive).await.len(), 5);
        questions += 1;
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn what_is_in_memory_is_written_while_a_merge_waits_for_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(63);
    world.change(400).await;
    let rule = RetentionRule {
        tenant: None,
        entity_type: None,
        attribute: None,
        keep: Some(Duration::from_secs(10_000_000_000)),
        hourly: None,
        daily: None,
    };
    let little = HistoryOptions { memory: 4_096, retention: vec![rule], ..options(folder.path()) };
    let archive = Archive::open(little, world.store()).unwrap();
    // It has to read the whole log before, and there is no room for all of it at once.
    let mut merging = std::pin::pin!(archive.merge());
    let mut flushes = 0;
    loop {
        tokio::select! {
            biased;
            done = &mut merging => break done.unwrap(),
            () = tokio::task::yield_now() => {}
        }
        archive.flush().await.unwrap();
        flushes += 1;
    }
    assert!(flushes > 1, "{flushes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_that_come_while_others_are_merged_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(64);
    let little = HistoryOptions { merge_width: 2, ..options(folder.path()) };
    let archive = Archive::open(little, world.store()).unwrap();
    let end = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    let (merger, is_over) = (archive.clone(), end.clone());
    tasks.spawn(async move {
        while !is_over.load(Ordering::SeqCst) {
            merger.merge().await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    for _ in 0..60 {
        world.change(4).await;
        archive.shared().catch_up().await.unwrap();
        archive.flush().await.unwrap();
    }
    end.store(true, Ordering::SeqCst);
    tasks.join_all().await;
    assert!(archive.metrics().merges.get() > 3);
    world.compare(&archive, 40).await;
    drop(archive);
    world.compare(&open(folder.path(), &world), 40).await;
    // What no manifest names any more is gone: there are the segments, the manifest and the lock.
    let archive = open(folder.path(), &world);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, archive.freeze().unwrap().files.len() + 2);
}
