//! Versions, late arrivals, size.

use musubi_broker::{
    Caller, Common, Conditions, Error, Ingest, OutOfOrder, Session, TenantSet, UpsertMode, Version,
    Versions, WriteRules,
};
use musubi_model::{Overwrite, UpdateResult};
use tokio::task::JoinSet;

use crate::support::{Said, Town, fragment, id, instance, name, plain};

fn observed(value: i64, seconds: i64) -> Said {
    Said { value, observed: Some(seconds), ..Said::default() }
}

fn newer_only(session: &Session) -> Session {
    let out_of_order = OutOfOrder::LeaveAlone;
    session.clone().under(Conditions { out_of_order, ..Conditions::default() })
}

async fn version(town: &Town) -> Version {
    town.session.seal().await.version(&town.session.entities(vec![id(1)]).await.unwrap()[0])
}

#[tokio::test]
async fn a_change_of_another_version_is_refused() {
    let town = Town::new();
    town.session.create_entity(fragment(1, &[("x", plain(1))])).await.unwrap();
    let first = version(&town).await;
    let part = || fragment(1, &[("x", plain(2))]);
    let only = |versions: &[Version]| {
        let matches = Some(Versions::OneOf(versions.to_vec()));
        town.session.clone().under(Conditions { matches, ..Conditions::default() })
    };
    only(&[first]).update_attributes(&id(1), None, part()).await.unwrap();
    let failed = |error: Error| assert!(matches!(error, Error::PreconditionFailed(_)), "{error}");
    failed(only(&[first]).update_attributes(&id(1), None, part()).await.unwrap_err());
    failed(only(&[first]).merge_entity(&id(1), None, part(), Common::default()).await.unwrap_err());
    failed(only(&[first]).replace_entity(&id(1), None, part()).await.unwrap_err());
    failed(only(&[first]).delete_entity(&id(1), None).await.unwrap_err());
    failed(only(&[]).delete_entity(&id(1), None).await.unwrap_err());
    let none = |versions: Versions| {
        let matches_none = Some(versions);
        town.session.clone().under(Conditions { matches_none, ..Conditions::default() })
    };
    let second = version(&town).await;
    failed(none(Versions::OneOf(vec![second])).delete_entity(&id(1), None).await.unwrap_err());
    failed(none(Versions::Any).create_entity(part()).await.unwrap_err());
    failed(only(&[first]).create_entity(part()).await.unwrap_err());
    only(&[first, second]).delete_entity(&id(1), None).await.unwrap();
    let missing = only(&[second]).delete_entity(&id(1), None).await.unwrap_err();
    assert!(matches!(missing, Error::ResourceNotFound(_)), "what is not there has no version");
    none(Versions::Any).create_entity(part()).await.unwrap();
}

#[tokio::test]
async fn the_version_changes_when_a_part_expires() {
    let town = Town::new();
    let expires = |seconds| Said { value: 1, expires: Some(seconds), ..Said::default() };
    let first = fragment(1, &[("x", expires(10)), ("y", expires(20)), ("z", plain(1))]);
    town.session.create_entity(first).await.unwrap();
    let mut versions = Vec::new();
    for seconds in [0, 10, 20] {
        town.clock.set(seconds);
        versions.push(version(&town).await);
    }
    assert!(versions[0] != versions[1] && versions[1] != versions[2]);
}

#[tokio::test]
async fn fifty_clients_that_name_the_same_version_change_it_once() {
    let town = Town::new();
    town.session.create_entity(fragment(1, &[("x", plain(0))])).await.unwrap();
    let matches = Some(Versions::OneOf(vec![version(&town).await]));
    let session = town.session.clone().under(Conditions { matches, ..Conditions::default() });
    let mut writers = JoinSet::new();
    for number in 1..=50 {
        let session = session.clone();
        writers.spawn(async move {
            let part = fragment(1, &[("x", plain(number))]);
            session.update_attributes(&id(1), None, part).await.is_ok()
        });
    }
    let mut won = 0;
    while let Some(ended) = writers.join_next().await {
        won += usize::from(ended.unwrap());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn what_arrives_late_is_left_alone_by_every_operation() {
    let town = Town::new();
    let session = newer_only(&town.session);
    let there = fragment(1, &[("x", observed(1, 10)), ("y", observed(1, 10))]);
    session.create_entity(there).await.unwrap();
    let late = || fragment(1, &[("x", observed(2, 9)), ("y", observed(2, 11))]);
    let check = async |result: UpdateResult, way: &str| {
        let names: Vec<_> = result.not_updated.iter().map(|left| left.name.as_str()).collect();
        assert_eq!(names, ["urn:x"], "{way}");
        assert_eq!(town.value(1, "x").await.as_deref(), Some("1"), "{way}");
        assert_eq!(town.value(1, "y").await.as_deref(), Some("2"), "{way}");
        let back = fragment(1, &[("x", observed(1, 10)), ("y", observed(1, 10))]);
        town.session.replace_entity(&id(1), None, back).await.unwrap();
    };
    let result = session.append_attributes(&id(1), None, late(), Overwrite::Yes).await.unwrap();
    check(result, "append").await;
    check(session.update_attributes(&id(1), None, late()).await.unwrap(), "update").await;
    check(session.merge_entity(&id(1), None, late(), Common::default()).await.unwrap(), "merge")
        .await;
    let one = |said| instance(said);
    let result = session.update_attribute(&id(1), None, &name("x"), one(observed(2, 10))).await;
    assert_eq!(result.unwrap().not_updated.len(), 1);
    let mut late_x = fragment(1, &[("x", observed(2, 10))]);
    let result = session.replace_attribute(&id(1), None, late_x.attributes.remove(0)).await;
    assert_eq!(result.unwrap().not_updated.len(), 1);
    assert_eq!(town.value(1, "x").await.as_deref(), Some("1"));
    for mode in [UpsertMode::Update, UpsertMode::Replace] {
        let result = session.upsert_entities(vec![late()], mode).await.unwrap();
        assert_eq!((result.changed.len(), result.errors.len()), (0, 1), "{mode:?}");
        assert_eq!(town.value(1, "x").await.as_deref(), Some("1"), "{mode:?}");
        assert_eq!(town.value(1, "y").await.as_deref(), Some("2"), "{mode:?}");
    }
    let before = town.changes().await.len();
    session.merge_entity(&id(1), None, late(), Common::default()).await.unwrap();
    assert_eq!(town.changes().await.len(), before, "nothing new is no change");
}

#[tokio::test]
async fn a_tenant_may_have_the_rule_for_all_that_arrives() {
    let tenant = "nanao".parse().unwrap();
    let rules = WriteRules { newer_only: TenantSet::These(vec![tenant]), ..WriteRules::default() };
    let town = Town::with(rules);
    for (tenant, expected) in [("nanao", "1"), ("wajima", "2")] {
        let session = town.broker.session(Caller::Local, tenant.parse().unwrap());
        // What a request says does not lift the rule.
        let session = session.under(Conditions::default());
        for said in [observed(1, 10), observed(2, 9)] {
            let item = Ingest { entities: vec![fragment(1, &[("x", said)])], ..Ingest::default() };
            session.ingest(vec![item]).await.unwrap().pop().unwrap().unwrap();
        }
        let found = session.entities(vec![id(1)]).await.unwrap();
        let attribute = found[0].entity.attribute(&name("x")).unwrap();
        assert_eq!(attribute.instances[0].value.json.as_str(), expected, "{tenant}");
    }
}

#[tokio::test]
async fn the_newest_wins_whatever_the_order_of_arrival() {
    let town = Town::new();
    town.session.create_entity(fragment(1, &[("x", observed(0, 0))])).await.unwrap();
    let mut writers = JoinSet::new();
    for number in 1..=50 {
        let session = newer_only(&town.session);
        let seconds = number * 37 % 51;
        writers.spawn(async move {
            let part = fragment(1, &[("x", observed(seconds, seconds))]);
            session.update_attributes(&id(1), None, part).await.unwrap();
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    assert_eq!(town.value(1, "x").await.as_deref(), Some("50"));
}

#[tokio::test]
async fn an_entity_does_not_grow_without_end() {
    let small = WriteRules { entity_limit: 50, ..WriteRules::default() };
    let town = Town::with(small);
    let session = &town.session;
    session.create_entity(fragment(1, &[("x", plain(1))])).await.unwrap();
    let large = || fragment(1, &[("a-name-of-some-length-that-is-far-too-long", plain(1))]);
    let refused = |error: Error| {
        assert!(
            matches!(&error, Error::BadRequestData(text) if text.contains("at most 50")),
            "{error}"
        );
    };
    refused(session.append_attributes(&id(1), None, large(), Overwrite::Yes).await.unwrap_err());
    refused(session.merge_entity(&id(1), None, large(), Common::default()).await.unwrap_err());
    let result = session.upsert_entities(vec![large()], UpsertMode::Update).await.unwrap();
    refused(result.errors.into_iter().next().unwrap().1);
    let mut other = large();
    other.id = Some(id(2));
    refused(session.create_entity(other).await.unwrap_err());
    assert!(town.entity(1).await.unwrap().attributes.len() == 1);
}
