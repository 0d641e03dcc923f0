//! A history that begins in a store that is not empty, or goes on behind a gap.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use musubi_model::{
    Attribute, AttributeType, Entity, EntityId, Evolution, Instance, InstanceNumber, Json,
    Qualifiers, Sequence, Tenant, Timestamp, Value,
};
use musubi_query::{EntityQuery, TemporalQuery};
use musubi_store::{
    Expect, Group, History, RecordKey, RecordKind, RecordWrite, ReferenceStore, Store, Write,
};

use super::{Archive, HistoryOptions, options};
use crate::RetentionRule;

/// More than are looked at together.
const ENTITIES: i64 = 150;

fn tenants() -> [Tenant; 2] {
    ["", "other"].map(|name| name.parse().unwrap())
}

fn id(number: i64) -> EntityId {
    format!("urn:e:{number:03}").parse().unwrap()
}

fn instance(json: &str, second: i64, dataset: Option<&str>) -> Instance {
    let time = Timestamp::from_seconds(second);
    let dataset_id = dataset.map(|name| name.parse().unwrap());
    let qualifiers = Qualifiers { dataset_id, ..Qualifiers::default() };
    Instance {
        value: Value { kind: AttributeType::Property, json: Json::parse(json).unwrap() },
        observed_at: dataset.is_none().then_some(time),
        created_at: Timestamp::from_seconds(1),
        modified_at: time,
        qualifiers: dataset.map(|_| Box::new(qualifiers)),
    }
}

/// An entity whose second attribute was written last.
fn entity(number: i64, second: i64) -> Entity {
    let old = vec![instance("1.5", 10, None), instance("\"a\"", 11, Some("urn:d:1"))];
    let new = vec![instance(&format!("{second}"), second, None)];
    let attributes = [("urn:p:a", old), ("urn:p:b", new)].map(|(name, instances)| Attribute {
        name: name.parse().unwrap(),
        instances: instances.into(),
    });
    let scopes: &[&str] = if number % 2 == 0 { &["/x"] } else { &[] };
    Entity {
        id: id(number),
        types: vec!["urn:t:1".parse().unwrap()],
        scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        created_at: Timestamp::from_seconds(1),
        modified_at: Timestamp::from_seconds(second),
        expires_at: None,
        attributes: attributes.into(),
    }
}

async fn write(store: &ReferenceStore, number: i64, second: i64) {
    let writes = tenants().map(|tenant| {
        let state = Some(Arc::new(entity(number, second)));
        Write { tenant, id: id(number), expect: Expect::Any, state }
    });
    let time = Timestamp::from_seconds(second);
    for write in writes {
        let group = Group { time, writes: vec![write], ..Group::default() };
        store.commit(vec![group]).await.unwrap();
    }
}

/// A store whose log says nothing any more of the entities in it.
async fn store() -> Arc<ReferenceStore> {
    let store = Arc::new(ReferenceStore::new());
    let key =
        RecordKey { kind: RecordKind::Tenant, tenant: tenants()[1].clone(), key: String::new() };
    let record = RecordWrite { key, expect: Expect::Any, value: Some(Arc::new([])) };
    store.commit(vec![Group { records: vec![record], ..Group::default() }]).await.unwrap();
    for number in 0..ENTITIES {
        write(&store, number, 20).await;
    }
    let newest = *store.newest().borrow();
    store.truncate(newest).await.unwrap();
    store
}

async fn evolutions(archive: &Archive, tenant: &Tenant) -> Vec<Evolution> {
    let query = TemporalQuery { limit: 1_000, ..TemporalQuery::default() };
    let page = archive.evolutions(tenant, &query).await.unwrap();
    page.items.into_iter().map(|item| item.evolution).collect()
}

/// Passes if of every entity exactly what it is is recorded, with numbers that are all different.
async fn check(archive: &Archive, store: &ReferenceStore) -> BTreeSet<InstanceNumber> {
    let mut numbers = BTreeSet::new();
    let mut count = 0;
    for tenant in tenants() {
        let query = EntityQuery { limit: 1_000, ..EntityQuery::default() };
        let there = store.select(&tenant, &query).await.unwrap();
        let recorded = evolutions(archive, &tenant).await;
        assert_eq!(recorded.len(), there.items.len());
        for (found, evolution) in there.items.iter().zip(recorded) {
            assert_eq!(evolution.id, found.entity.id);
            assert_eq!(evolution.types, found.entity.types);
            let scopes: Vec<_> =
                evolution.scopes.iter().map(|it| &it.instance.value.json).collect();
            assert_eq!(scopes.len(), found.entity.scopes.len(), "{}", evolution.id);
            for (was, is) in evolution.attributes.iter().zip(&found.entity.attributes) {
                let mut was: Vec<_> = was.instances.iter().map(|it| &it.instance).collect();
                was.sort_by_key(|instance| instance.dataset_id());
                assert_eq!(was, is.instances.iter().collect::<Vec<_>>());
            }
            let attributes = evolution.attributes.iter().flat_map(|it| &it.instances);
            for recorded in attributes.chain(&evolution.scopes) {
                count += 1;
                numbers.insert(recorded.number);
            }
        }
    }
    let of_both = usize::try_from(2 * ENTITIES).unwrap();
    assert_eq!(count, of_both * 3 + of_both / 2);
    assert_eq!(numbers.len(), count);
    numbers
}

#[tokio::test]
async fn a_history_that_begins_late_knows_what_every_entity_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = store().await;
    let archive = Archive::open(options(folder.path()), store.clone()).unwrap();
    archive.shared().catch_up().await.unwrap();
    assert!(archive.must_seed());
    archive.seed().await.unwrap();
    assert!(!archive.must_seed());
    let numbers = check(&archive, &store).await;
    archive.compact().await.unwrap();
    drop(archive);
    let archive = Archive::open(options(folder.path()), store.clone()).unwrap();
    assert!(!archive.must_seed(), "it is remembered");
    assert_eq!(check(&archive, &store).await, numbers, "instances keep their numbers");
}

#[tokio::test]
async fn what_a_kill_interrupts_is_gone_on_with_and_nothing_recorded_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = store().await;
    let archive = Archive::open(options(folder.path()), store.clone()).unwrap();
    archive.shared().catch_up().await.unwrap();
    // A kill behind the first page.
    archive.seed_page(&tenants()[0], None).await.unwrap();
    drop(archive);
    let archive = Archive::open(options(folder.path()), store.clone()).unwrap();
    archive.shared().catch_up().await.unwrap();
    let some = evolutions(&archive, &tenants()[0]).await.len();
    assert!(some > 0 && i64::try_from(some).unwrap() < ENTITIES, "{some}");
    assert!(archive.must_seed());
    archive.seed().await.unwrap();
    check(&archive, &store).await;
    let newest = *store.newest().borrow();
    archive.seed().await.unwrap();
    assert_eq!(*store.newest().borrow(), newest, "nothing is left to be recorded");
}

#[tokio::test]
async fn behind_a_gap_only_what_was_missed_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let store = store().await;
    let archive = Archive::open(options(folder.path()), store.clone()).unwrap();
    archive.shared().catch_up().await.unwrap();
    archive.seed().await.unwrap();
    archive.compact().await.unwrap();
    write(&store, 4, 30).await;
    let missed = *store.newest().borrow();
    store.truncate(missed).await.unwrap();
    write(&store, 5, 40).await;
    let last = *store.newest().borrow();
    archive.shared().catch_up().await.unwrap();
    assert!(archive.must_seed());
    archive.seed().await.unwrap();
    let added = Sequence(last.0 + 2);
    assert_eq!(*store.newest().borrow(), added, "one entity of each tenant");
    let recorded = evolutions(&archive, &tenants()[0]).await;
    for (number, seconds) in [(3, vec![20]), (4, vec![20, 30]), (5, vec![20, 40])] {
        let evolution = recorded.iter().find(|evolution| evolution.id == id(number)).unwrap();
        let last = evolution.attributes.last().unwrap();
        let times = last.instances.iter().map(|it| it.instance.modified_at.as_micros() / 1_000_000);
        assert_eq!(times.collect::<Vec<_>>(), seconds, "{number}");
        let scopes = usize::from(number % 2 == 0);
        assert_eq!(evolution.scopes.len(), scopes, "the scope is the one that is known");
    }
}

#[tokio::test]
async fn what_has_outlived_its_retention_is_not_recorded_to_be_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let store = store().await;
    let before = *store.newest().borrow();
    let keep = Some(Duration::from_hours(1));
    let retention = vec![RetentionRule { keep, ..RetentionRule::default() }];
    let options = HistoryOptions { retention, ..options(folder.path()) };
    let archive = Archive::open(options, store.clone()).unwrap();
    archive.shared().catch_up().await.unwrap();
    archive.seed().await.unwrap();
    // Scopes are under a rule only if it names them; every second entity has one.
    let scopes = u64::try_from(ENTITIES).unwrap();
    assert_eq!(store.newest().borrow().0 - before.0, scopes);
}

#[tokio::test]
async fn the_task_records_what_entities_are_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = store().await;
    let archive = Archive::open(options(folder.path()), store.clone()).unwrap();
    let end = tokio_util::sync::CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(archive.clone().run(end.clone()));
    while archive.gap().is_none() || archive.must_seed() {
        tokio::task::yield_now().await;
    }
    check(&archive, &store).await;
    end.cancel();
    tasks.join_all().await;
}
