//! Entity maps: how long they live, and how much room they take.

use musubi_broker::{
    EntityMap, EntityMapId, Error, MapOfAnswer, MapTerms, MapWish, RecordKind, Selection, Sweeper,
    SweeperOptions,
};
use std::sync::Arc;

use musubi_model::{Entity, EntityFragment};
use musubi_query::{EntityQuery, Filter};
use musubi_store::{Expect, Group, Record, RecordQuery, RecordWrite, Store, Write};

use crate::crowd::Crowded;
use crate::support::{Town, at, fragment, id, name, plain};

const MAX_IDS: usize = 10_000;
const MAX_MAPS: usize = 500;

/// Those that have an attribute.
fn query(attribute: &str, limit: usize) -> EntityQuery {
    let filter = Filter::HasAny(vec![name(attribute)]);
    EntityQuery { filter, limit, ..EntityQuery::default() }
}

fn living(text: &str) -> MapTerms {
    MapTerms { lifetime: Some(text.parse().unwrap()), ..MapTerms::default() }
}

fn of(id: EntityMapId) -> MapTerms {
    MapTerms { wish: MapWish::This(id), ..MapTerms::default() }
}

fn with(number: u32, attribute: &str) -> EntityFragment {
    fragment(number, &[(attribute, plain(1))])
}

/// A town with entities of these numbers.
async fn town(numbers: std::ops::Range<u32>) -> Town {
    let town = Town::new();
    for number in numbers {
        town.session.create_entity(with(number, "x")).await.unwrap();
    }
    town
}

async fn map(town: &Town, terms: &MapTerms) -> EntityMap {
    town.session.create_entity_map(&query("x", 0), terms).await.unwrap()
}

/// How many records of maps are kept.
async fn kept(town: &Town) -> usize {
    records(town).await.len()
}

async fn records(town: &Town) -> Vec<Record> {
    let query = RecordQuery {
        kind: RecordKind::EntityMap,
        tenant: None,
        prefix: String::new(),
        after: None,
        limit: 10_000,
    };
    town.store.records(&query).await.unwrap()
}

fn is_missing<T: std::fmt::Debug>(result: Result<T, Error>) {
    match result {
        Err(Error::ResourceNotFound(_)) => {}
        other => panic!("{other:?}"),
    }
}

fn is_too_much<T: std::fmt::Debug>(result: Result<T, Error>) {
    match result {
        Err(Error::TooManyResults(_)) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_map_that_has_expired_is_not_there_for_any_operation() {
    let town = town(1..3).await;
    let session = &town.session;
    let made = map(&town, &living("PT10S")).await;
    assert_eq!(made.expires_at, at(10));
    assert_eq!(made.entities, [id(1), id(2)]);
    town.clock.set(9);
    assert_eq!(session.entity_map(made.id).await.unwrap(), made);
    town.clock.set(10);
    is_missing(session.entity_map(made.id).await);
    is_missing(session.update_entity_map(made.id, Some(at(99))).await);
    is_missing(session.delete_entity_map(made.id).await);
    let (page, answered) =
        session.query_entities_of_map(query("x", 1), &of(made.id)).await.unwrap();
    assert_eq!(page.items.len(), 1);
    let Some(MapOfAnswer::Created(new)) = answered else { panic!("{answered:?}") };
    assert_ne!(new, made.id);
    let selection = Selection::default();
    let (_, answered) =
        session.retrieve_entity_of_map(&id(2), &selection, &of(made.id)).await.unwrap();
    let Some(MapOfAnswer::Created(new)) = answered else { panic!("{answered:?}") };
    assert_eq!(session.entity_map(new).await.unwrap().entities, [id(2)]);
}

#[tokio::test]
async fn a_life_is_extended_within_limits_and_ended() {
    let town = town(1..2).await;
    let session = &town.session;
    let made = map(&town, &MapTerms::default()).await;
    assert_eq!(made.expires_at, at(300));
    let expiry = async || session.entity_map(made.id).await.unwrap().expires_at;
    session.update_entity_map(made.id, Some(at(1_000))).await.unwrap();
    assert_eq!(expiry().await, at(1_000));
    town.clock.set(500);
    session.update_entity_map(made.id, Some(at(1_000_000))).await.unwrap();
    assert_eq!(expiry().await, at(500 + 4 * 3_600));
    session.update_entity_map(made.id, None).await.unwrap();
    assert_eq!(expiry().await, at(500 + 4 * 3_600));
    session.update_entity_map(made.id, Some(at(500))).await.unwrap();
    is_missing(session.entity_map(made.id).await);
}

#[tokio::test]
async fn what_has_expired_is_swept_and_makes_room_for_what_is_new() {
    let town = town(1..2).await;
    map(&town, &living("PT10S")).await;
    let stays = map(&town, &living("PT1H")).await;
    assert_eq!(kept(&town).await, 4);
    let sweeper = Sweeper::new(town.broker.clone(), SweeperOptions::default());
    assert_eq!(sweeper.round_of_maps().await.unwrap(), 0);
    town.clock.set(10);
    assert_eq!(sweeper.round_of_maps().await.unwrap(), 1);
    assert_eq!(kept(&town).await, 2);
    assert_eq!(town.session.entity_map(stays.id).await.unwrap(), stays);
    let passing = map(&town, &living("PT1S")).await;
    town.clock.set(11);
    is_missing(town.session.entity_map(passing.id).await);
    map(&town, &living("PT1S")).await;
    assert_eq!(kept(&town).await, 4, "in its place");
    let newest = *town.store.newest().borrow();
    town.session.delete_entity_map(stays.id).await.unwrap();
    assert_eq!(kept(&town).await, 2);
    assert_eq!(*town.store.newest().borrow(), newest, "none of it is in the log");
}

#[tokio::test(start_paused = true)]
async fn the_sweeper_looks_after_maps_every_minute() {
    let town = town(1..2).await;
    map(&town, &living("PT10S")).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut running = tokio::task::JoinSet::new();
    let sweeper = Sweeper::new(town.broker.clone(), SweeperOptions::default());
    running.spawn(sweeper.run(async { drop(stopped.await) }));
    // The clock of tokio goes on by itself while all wait for it.
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    tokio::task::yield_now().await;
    assert_eq!(kept(&town).await, 2);
    town.clock.set(10);
    for _ in 0..120 {
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(kept(&town).await, 0);
    drop(stop);
    running.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn the_map_that_expires_first_makes_room_when_a_tenant_has_as_many_as_it_may() {
    let town = town(1..2).await;
    let long = map(&town, &living("PT4H")).await;
    let first = map(&town, &living("PT5M")).await;
    let second = map(&town, &living("PT6M")).await;
    for _ in 3..MAX_MAPS {
        map(&town, &living("PT3H")).await;
    }
    let session = &town.session;
    assert_eq!(session.entity_map(first.id).await.unwrap(), first);
    let new = MapTerms { wish: MapWish::New, ..living("PT4H") };
    session.query_entities_of_map(query("x", 1), &new).await.unwrap();
    is_missing(session.entity_map(first.id).await);
    assert_eq!(session.entity_map(second.id).await.unwrap(), second);
    session.retrieve_entity_of_map(&id(1), &Selection::default(), &new).await.unwrap();
    is_missing(session.entity_map(second.id).await);
    assert_eq!(session.entity_map(long.id).await.unwrap(), long);
    assert_eq!(kept(&town).await, 2 * MAX_MAPS);
}

#[tokio::test]
async fn a_map_lists_so_many_entities_and_no_more() {
    let town = Town::new();
    let most = u32::try_from(MAX_IDS).unwrap();
    let write = |number| {
        let entity = Entity::create(with(number, "x"), at(0)).unwrap();
        Write {
            tenant: town.session.tenant().clone(),
            id: entity.id.clone(),
            expect: Expect::Any,
            state: Some(Arc::new(entity)),
        }
    };
    let group = Group { writes: (0..most).map(write).collect(), ..Group::default() };
    town.store.commit(vec![group]).await.unwrap();
    assert_eq!(map(&town, &MapTerms::default()).await.entities.len(), MAX_IDS);
    town.session.create_entity(with(most, "x")).await.unwrap();
    is_too_much(town.session.create_entity_map(&query("x", 0), &MapTerms::default()).await);
    let new = MapTerms { wish: MapWish::New, ..MapTerms::default() };
    is_too_much(town.session.query_entities_of_map(query("x", 1), &new).await);
    assert_eq!(kept(&town).await, 2);
}

#[tokio::test]
async fn the_ids_of_a_map_have_so_many_bytes_and_no_more() {
    let town = Town::new();
    // Of 2,000 bytes each.
    for number in 0..525 {
        let id = format!("urn:a:{number:0>1994}").parse().unwrap();
        let entity = EntityFragment { id: Some(id), ..with(number, "x") };
        town.session.create_entity(entity).await.unwrap();
    }
    is_too_much(town.session.create_entity_map(&query("x", 0), &MapTerms::default()).await);
    let filter = Filter::HasAny(vec![name("x")]);
    let fewer = Filter::and(vec![
        filter,
        Filter::IdPattern(musubi_query::Pattern::new("[0-4][0-9][0-9]$").unwrap()),
    ]);
    let fewer = EntityQuery { filter: fewer, ..EntityQuery::default() };
    let terms = MapTerms::default();
    // About a megabyte each, of which a tenant may have sixty-four.
    let most = 64 * 1024 * 1024 / 1_000_000;
    let first = town.session.create_entity_map(&fewer, &living("PT1M")).await.unwrap();
    for _ in 1..most {
        town.session.create_entity_map(&fewer, &terms).await.unwrap();
    }
    assert_eq!(town.session.entity_map(first.id).await.unwrap(), first);
    town.session.create_entity_map(&fewer, &terms).await.unwrap();
    is_missing(town.session.entity_map(first.id).await);
    assert_eq!(kept(&town).await, 2 * most);
}

#[tokio::test]
async fn an_entity_that_is_created_meanwhile_is_not_in_the_pages() {
    let town = town(1..4).await;
    let made = map(&town, &MapTerms::default()).await;
    town.session.create_entity(with(9, "x")).await.unwrap();
    town.session.delete_entity(&id(2), None).await.unwrap();
    let counting = EntityQuery { count: true, ..query("x", 2) };
    let (page, answered) =
        town.session.query_entities_of_map(counting, &of(made.id)).await.unwrap();
    assert_eq!(answered, Some(MapOfAnswer::Used(made.id)));
    let ids: Vec<_> = page.items.iter().map(|found| found.entity.id.clone()).collect();
    assert_eq!((ids, page.total, page.more), (vec![id(1), id(3)], Some(2), false));
    assert_eq!(town.session.entity_map(made.id).await.unwrap().entities, [id(1), id(3)]);
    town.session.create_entity(with(2, "x")).await.unwrap();
    let (page, _) = town.session.query_entities_of_map(query("x", 5), &of(made.id)).await.unwrap();
    assert_eq!(page.items.len(), 2, "what has left does not come back");
}

#[tokio::test]
async fn a_map_of_another_tenant_is_not_there() {
    let town = town(1..2).await;
    let made = map(&town, &MapTerms::default()).await;
    let other = "other".parse().unwrap();
    let other = town.broker.session(musubi_broker::Caller::Local, other);
    let unknown = other.entity_map(made.id).await.unwrap_err();
    assert!(matches!(unknown, Error::NonexistentTenant(_)), "{unknown}");
    other.create_entity(with(1, "x")).await.unwrap();
    is_missing(other.entity_map(made.id).await);
    is_missing(other.delete_entity_map(made.id).await);
    is_missing(other.update_entity_map(made.id, Some(at(99))).await);
    assert_eq!(town.session.entity_map(made.id).await.unwrap(), made);
}

/// A town in which somebody deletes all maps right before the next commit.
async fn town_without_maps_at_the_next_commit() -> (Town, EntityMap) {
    let crowded = Crowded::empty();
    let town = Town::over(crowded.store(), crowded.clone(), musubi_broker::WriteRules::default());
    for number in 1..4 {
        town.session.create_entity(with(number, "x")).await.unwrap();
    }
    let made = map(&town, &MapTerms::default()).await;
    town.session.delete_entity(&id(1), None).await.unwrap();
    let deletion =
        |record: Record| RecordWrite { key: record.key, expect: Expect::Any, value: None };
    let records = records(&town).await.into_iter().map(deletion).collect();
    crowded.before_next(Group { records, ..Group::default() });
    (town, made)
}

#[tokio::test]
async fn a_map_that_somebody_deletes_meanwhile_does_not_come_back() {
    let (town, made) = town_without_maps_at_the_next_commit().await;
    let session = &town.session;
    let (page, _) = session.query_entities_of_map(query("x", 5), &of(made.id)).await.unwrap();
    assert_eq!(page.items.len(), 2);
    assert_eq!(kept(&town).await, 0);
    let (town, made) = town_without_maps_at_the_next_commit().await;
    is_missing(town.session.update_entity_map(made.id, Some(at(99))).await);
    assert_eq!(kept(&town).await, 0);
    let (town, made) = town_without_maps_at_the_next_commit().await;
    is_missing(town.session.delete_entity_map(made.id).await);
}
