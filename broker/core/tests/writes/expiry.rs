//! What expires is gone for every reader at once, and for the store a little later.

use std::sync::Arc;

use musubi_broker::{Common, Error, Ingest, Sweeper, SweeperOptions, UpsertMode, WriteRules};
use musubi_model::{Cause, EntityFragment, Overwrite, Patch, Trigger};
use musubi_query::{EntityQuery, Filter};
use musubi_store::{Store, Subject};

use crate::crowd::Crowded;
use crate::support::{Said, Town, at, fragment, id, name, plain};

fn until(seconds: i64) -> Said {
    Said { value: 1, expires: Some(seconds), ..Said::default() }
}

fn transient(number: u32, seconds: i64) -> EntityFragment {
    let expires_at = Patch::Set(at(seconds));
    EntityFragment { expires_at, ..fragment(number, &[("x", plain(1))]) }
}

async fn kept(town: &Town) -> usize {
    let query = EntityQuery { limit: 100, ..EntityQuery::default() };
    town.store.select(town.session.tenant(), &query).await.unwrap().items.len()
}

fn sweeper(town: &Town) -> Sweeper {
    Sweeper::new(town.broker.clone(), SweeperOptions { page: 2, ..SweeperOptions::default() })
}

#[tokio::test]
async fn what_has_expired_is_not_there_for_any_operation() {
    let town = Town::new();
    let session = &town.session;
    session.create_entity(transient(1, 10)).await.unwrap();
    town.clock.set(9);
    assert!(town.entity(1).await.is_some());
    town.clock.set(10);
    assert!(town.entity(1).await.is_none());
    assert_eq!(kept(&town).await, 1, "it is not swept yet");
    let part = || fragment(1, &[("x", plain(2))]);
    let missing = |error: Error| assert!(matches!(error, Error::ResourceNotFound(_)), "{error}");
    missing(session.delete_entity(&id(1), None).await.unwrap_err());
    missing(session.update_attributes(&id(1), None, part()).await.unwrap_err());
    missing(session.merge_entity(&id(1), None, part(), Common::default()).await.unwrap_err());
    missing(session.replace_entity(&id(1), None, part()).await.unwrap_err());
    missing(
        session
            .delete_attribute(&id(1), None, &name("x"), &musubi_model::Instances::All)
            .await
            .unwrap_err(),
    );
    let result = session.update_entities(vec![part()], Overwrite::Yes).await.unwrap();
    assert_eq!(result.errors.len(), 1);
    let query = EntityQuery { limit: 10, count: true, ..EntityQuery::default() };
    assert_eq!(session.query_entities(query).await.unwrap().total, Some(0));
}

#[tokio::test]
async fn an_id_is_free_as_soon_as_its_entity_has_expired() {
    let ways = ["create", "batch create", "upsert", "ingest"];
    for (number, way) in (0_u32..).zip(ways) {
        let town = Town::new();
        let session = &town.session;
        session.create_entity(transient(number, 10)).await.unwrap();
        town.clock.set(11);
        let again = fragment(number, &[("y", plain(2))]);
        match way {
            "create" => drop(session.create_entity(again).await.unwrap()),
            "batch create" => {
                let result = session.create_entities(vec![again]).await.unwrap();
                assert_eq!(result.created.len(), 1, "{:?}", result.errors);
            }
            "upsert" => {
                let result = session.upsert_entities(vec![again], UpsertMode::Update).await;
                assert_eq!(result.unwrap().created.len(), 1);
            }
            _ => {
                let item = Ingest { entities: vec![again], ..Ingest::default() };
                session.ingest(vec![item]).await.unwrap().pop().unwrap().unwrap();
            }
        }
        let entity = town.entity(number).await.unwrap();
        assert_eq!((entity.created_at, entity.expires_at), (at(11), None), "{way}");
        assert_eq!(town.value(number, "x").await, None, "nothing comes back: {way}");
        let causes: Vec<_> =
            town.changes().await.iter().map(|change| change.cause.clone()).collect();
        assert_eq!(causes.len(), 3, "created, expired, created: {way}");
        assert_eq!(causes[1], Cause::Expiry);
    }
}

#[tokio::test]
async fn a_live_entity_is_in_the_way() {
    let town = Town::new();
    town.session.create_entity(transient(1, 10)).await.unwrap();
    town.clock.set(9);
    let refused = town.session.create_entity(transient(1, 20)).await.unwrap_err();
    assert!(matches!(refused, Error::AlreadyExists(_)));
}

#[tokio::test]
async fn a_change_does_not_bring_back_what_has_expired() {
    let town = Town::new();
    let first = fragment(1, &[("x", until(10)), ("y", plain(1)), ("z", until(50))]);
    town.session.create_entity(first).await.unwrap();
    town.clock.set(20);
    let part = fragment(1, &[("y", plain(2))]);
    town.session.append_attributes(&id(1), None, part, Overwrite::Yes).await.unwrap();
    let query = EntityQuery { limit: 1, filter: Filter::default(), ..EntityQuery::default() };
    let stored = town.store.select(town.session.tenant(), &query).await.unwrap();
    let names: Vec<_> =
        stored.items[0].entity.attributes.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["urn:y", "urn:z"]);
    // An attribute that has expired is not there to be updated, but may be appended anew.
    let changed = crate::support::instance(plain(3));
    let missing = town.session.update_attribute(&id(1), None, &name("x"), changed).await;
    assert!(matches!(missing.unwrap_err(), Error::ResourceNotFound(_)));
}

#[tokio::test]
async fn the_sweeper_removes_entities_and_parts_of_them_in_every_tenant() {
    let town = Town::new();
    for number in 0..5 {
        town.session.create_entity(transient(number, 10)).await.unwrap();
    }
    town.session.create_entity(fragment(5, &[("x", until(10)), ("y", plain(1))])).await.unwrap();
    town.session.create_entity(fragment(6, &[("x", until(99))])).await.unwrap();
    let other = town.broker.session(musubi_broker::Caller::Local, "other".parse().unwrap());
    other.create_entity(transient(0, 10)).await.unwrap();
    let before = town.changes().await.len();
    assert_eq!(sweeper(&town).round().await.unwrap().entities, 0, "nothing has expired yet");
    town.clock.set(10);
    assert_eq!(sweeper(&town).round().await.unwrap().entities, 7);
    assert_eq!(sweeper(&town).round().await.unwrap().entities, 0);
    assert_eq!(kept(&town).await, 2);
    let entity = town.entity(5).await.unwrap();
    assert_eq!((entity.attributes.len(), entity.modified_at), (1, at(10)));
    let changes = town.changes().await;
    let swept = changes.get(before..).unwrap();
    assert!(swept.iter().all(|change| change.cause == Cause::Expiry && change.time == at(10)));
    let trigger = |change: &Arc<musubi_store::Change>| match &change.subject {
        Subject::Entity(entity) => entity.entity_trigger(),
        Subject::Record(_) | Subject::Evolution(_) => unreachable!("only entities expire"),
    };
    let deleted = swept.iter().filter(|change| trigger(change) == Trigger::EntityDeleted).count();
    assert_eq!(deleted, 6, "subscriptions hear of it as of a deletion");
}

#[tokio::test]
async fn a_round_is_bounded_and_says_that_there_is_more() {
    let town = Town::new();
    for number in 0..5 {
        town.session.create_entity(transient(number, 10)).await.unwrap();
    }
    town.clock.set(10);
    let options = SweeperOptions { page: 1, pages: 2, ..SweeperOptions::default() };
    let sweeper = Sweeper::new(town.broker.clone(), options);
    for (entities, more) in [(2, true), (2, true), (1, false), (0, false)] {
        let round = sweeper.round().await.unwrap();
        assert_eq!((round.entities, round.more), (entities, more));
    }
}

#[tokio::test]
async fn a_life_that_is_extended_meanwhile_is_not_ended() {
    let crowded = Crowded::empty();
    let town = Town::over(crowded.store(), crowded.clone(), WriteRules::default());
    town.session.create_entity(transient(1, 10)).await.unwrap();
    town.clock.set(10);
    crowded.meanwhile(transient(1, 99));
    assert_eq!(sweeper(&town).round().await.unwrap().entities, 0);
    assert_eq!(town.entity(1).await.unwrap().expires_at, Some(at(99)));
}

#[tokio::test(start_paused = true)]
async fn the_service_sweeps_until_it_is_told_to_end() {
    let town = Town::new();
    town.session.create_entity(transient(1, 10)).await.unwrap();
    let mut newest = town.store.newest();
    newest.mark_unchanged();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut running = tokio::task::JoinSet::new();
    running.spawn(sweeper(&town).run(async { drop(stopped.await) }));
    town.clock.set(10);
    newest.changed().await.unwrap();
    assert_eq!(kept(&town).await, 0);
    drop(stop);
    running.join_next().await.unwrap().unwrap();
}
