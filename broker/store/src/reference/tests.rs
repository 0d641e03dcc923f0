//! What the reference answers, written out by hand.

use musubi_model::{Attribute, AttributeType, Cause, Instance, Json, Timestamp, Value};
use musubi_query::{Filter, TypeSelection};
use serde_json::json;

use super::*;
use crate::RecordKind;

fn id(short: &str) -> EntityId {
    format!("urn:ngsi-ld:Test:{short}").parse().unwrap()
}

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

/// An entity of one type with one number under one attribute.
fn entity(short: &str, kind: &str, number: u64) -> Arc<Entity> {
    let value = Value { kind: AttributeType::Property, json: Json::from(&json!(number)) };
    let time = Timestamp::from_seconds(1);
    let instance = Instance {
        value,
        observed_at: None,
        created_at: time,
        modified_at: time,
        qualifiers: None,
    };
    Arc::new(Entity {
        id: id(short),
        types: vec![format!("urn:type:{kind}").parse().unwrap()],
        scopes: Vec::new(),
        created_at: time,
        modified_at: time,
        expires_at: None,
        attributes: vec![Attribute {
            name: format!("urn:attribute:{kind}").parse().unwrap(),
            instances: [instance].into_iter().collect(),
        }],
    })
}

fn put(short: &str, number: u64, expect: Expect) -> Write {
    let state = Some(entity(short, "number", number));
    Write { tenant: Tenant::default(), id: id(short), expect, state }
}

fn delete(short: &str) -> Write {
    Write { tenant: Tenant::default(), id: id(short), expect: Expect::Any, state: None }
}

async fn commit(store: &ReferenceStore, writes: Vec<Write>) -> Outcome {
    let group = Group { writes, ..Group::default() };
    store.commit(vec![group]).await.unwrap().remove(0)
}

fn revisions(outcome: Outcome) -> Vec<Revision> {
    match outcome {
        Outcome::Committed { revisions, .. } => revisions,
        Outcome::Refused(index) => panic!("refused because of {index}"),
    }
}

async fn page(store: &ReferenceStore, start: Start, limit: usize) -> Page {
    let query = EntityQuery {
        filter: Filter::All(Vec::new()),
        start,
        limit,
        count: true,
        ..EntityQuery::default()
    };
    store.select(&Tenant::default(), &query).await.unwrap()
}

fn ids(page: &Page) -> Vec<EntityId> {
    page.items.iter().map(|found| found.entity.id.clone()).collect()
}

#[tokio::test]
async fn entities_come_in_the_order_of_their_creation() {
    let store = ReferenceStore::new();
    for short in ["c", "a", "b"] {
        commit(&store, vec![put(short, 1, Expect::Absent)]).await;
    }
    commit(&store, vec![put("c", 2, Expect::Any)]).await;
    let all = page(&store, Start::Offset(0), 10).await;
    assert_eq!(ids(&all), ["c", "a", "b"].map(id));
    assert_eq!((all.total, all.more), (Some(3), false));
    // Created again it stands at the end.
    commit(&store, vec![delete("c")]).await;
    commit(&store, vec![put("c", 3, Expect::Absent)]).await;
    let all = page(&store, Start::Offset(0), 10).await;
    assert_eq!(ids(&all), ["a", "b", "c"].map(id));
}

#[tokio::test]
async fn pages_are_cut_by_offset_and_by_position() {
    let store = ReferenceStore::new();
    for short in ["a", "b", "c", "d"] {
        commit(&store, vec![put(short, 1, Expect::Absent)]).await;
    }
    let first = page(&store, Start::Offset(0), 2).await;
    assert_eq!((ids(&first), first.more), (["a", "b"].map(id).to_vec(), true));
    let second = page(&store, Start::Offset(2), 2).await;
    assert_eq!((ids(&second), second.more), (["c", "d"].map(id).to_vec(), false));
    let last = first.items[1].position;
    commit(&store, vec![delete("a"), delete("b")]).await;
    let second = page(&store, Start::After(last), 2).await;
    assert_eq!((ids(&second), second.total), (["c", "d"].map(id).to_vec(), Some(2)));
    let none = page(&store, Start::After(Position(u64::MAX)), usize::MAX).await;
    assert_eq!((ids(&none), none.total, none.more), (Vec::new(), Some(2), false));
    let count = page(&store, Start::Offset(0), 0).await;
    assert_eq!((ids(&count), count.total), (Vec::new(), Some(2)));
}

#[tokio::test]
async fn a_group_is_refused_as_a_whole_because_of_its_first_wrong_write() {
    let store = ReferenceStore::new();
    let revision = revisions(commit(&store, vec![put("a", 1, Expect::Absent)]).await)[0];
    let key = RecordKey {
        kind: RecordKind::Subscription,
        tenant: Tenant::default(),
        key: "s".to_owned(),
    };
    let record = |expect| RecordWrite { key: key.clone(), expect, value: Some(Arc::from(*b"v")) };
    let group = Group {
        writes: vec![put("b", 1, Expect::Absent), put("a", 2, Expect::At(revision))],
        records: vec![record(Expect::At(revision))],
        ..Group::default()
    };
    let outcomes = store.commit(vec![group.clone()]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Refused(2)]);
    assert_eq!(ids(&page(&store, Start::Offset(0), 9).await), [id("a")]);
    assert_eq!(store.changes(Sequence(0), 9).await.unwrap().len(), 1);
    let group = Group { records: vec![record(Expect::Absent)], ..group };
    let outcomes = store.commit(vec![group.clone(), group]).await.unwrap();
    assert!(matches!(outcomes[0], Outcome::Committed { newest: Sequence(4), .. }));
    assert_eq!(outcomes[1], Outcome::Refused(0));
}

#[tokio::test]
async fn revisions_go_on_after_a_deletion() {
    let store = ReferenceStore::new();
    let first = revisions(commit(&store, vec![put("a", 1, Expect::Absent)]).await)[0];
    let deleted = revisions(commit(&store, vec![delete("a")]).await)[0];
    let second = revisions(commit(&store, vec![put("a", 1, Expect::Absent)]).await)[0];
    assert!(first < deleted && deleted < second);
    for stale in [first, deleted] {
        let outcome = commit(&store, vec![put("a", 2, Expect::At(stale))]).await;
        assert_eq!(outcome, Outcome::Refused(0));
    }
    revisions(commit(&store, vec![put("a", 2, Expect::At(second))]).await);
}

#[tokio::test]
async fn the_log_says_what_happened() {
    let store = ReferenceStore::new();
    let newest = store.newest();
    let time = Timestamp::from_seconds(7);
    for write in [put("a", 1, Expect::Any), put("a", 2, Expect::Any), delete("a"), delete("a")] {
        let group = Group { time, cause: Cause::Expiry, writes: vec![write], ..Group::default() };
        store.commit(vec![group]).await.unwrap();
    }
    assert_eq!(*newest.borrow(), Sequence(3));
    let log = store.changes(Sequence(0), 9).await.unwrap();
    assert_eq!(log.iter().map(|change| change.sequence.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(log.iter().all(|change| change.time == time && change.cause == Cause::Expiry));
    let states: Vec<_> = log
        .iter()
        .map(|change| match &change.subject {
            Subject::Entity(entity) => (entity.before.clone(), entity.after.clone()),
            other @ (Subject::Record(_) | Subject::Evolution(_)) => panic!("{other:?}"),
        })
        .collect();
    let (one, two) = (entity("a", "number", 1), entity("a", "number", 2));
    let expected = [(None, Some(one.clone())), (Some(one), Some(two.clone())), (Some(two), None)];
    assert_eq!(states, expected);
    assert_eq!(store.changes(Sequence(1), 1).await.unwrap(), log[1..2]);
    store.truncate(Sequence(2)).await.unwrap();
    assert_eq!(store.changes(Sequence(0), 9).await.unwrap(), log[2..]);
    assert_eq!(*store.reopen().newest().borrow(), Sequence(3));
}

#[tokio::test]
async fn types_are_those_of_the_entities_that_are_there() {
    let store = ReferenceStore::new();
    let write = |short: &str, kind: &str| Write {
        tenant: tenant("kyoto"),
        id: id(short),
        expect: Expect::Any,
        state: Some(entity(short, kind, 1)),
    };
    commit(&store, vec![write("a", "dock"), write("b", "dock"), write("c", "shelter")]).await;
    commit(&store, vec![Write { state: None, ..write("a", "dock") }, write("c", "sensor")]).await;
    let types = store.types(&tenant("kyoto")).await.unwrap();
    let brief: Vec<_> = types
        .iter()
        .map(|found| (found.name.as_str(), found.entities, found.attributes[0].as_str()))
        .collect();
    let expected = [
        ("urn:type:dock", 1, "urn:attribute:dock"),
        ("urn:type:sensor", 1, "urn:attribute:sensor"),
    ];
    assert_eq!(brief, expected);
    assert!(store.types(&Tenant::default()).await.unwrap().is_empty());
    let types = TypeSelection { any_of: vec![vec!["urn:type:shelter".parse().unwrap()]] };
    let filter = Filter::Type(types);
    let query = EntityQuery {
        filter,
        start: Start::Offset(0),
        limit: 9,
        count: false,
        ..EntityQuery::default()
    };
    assert_eq!(store.select(&tenant("kyoto"), &query).await.unwrap(), Page::default());
}

#[tokio::test]
async fn records_come_in_the_order_of_tenant_and_key() {
    let store = ReferenceStore::new();
    let key = |owner: &str, key: &str| RecordKey {
        kind: RecordKind::Outbox,
        tenant: tenant(owner),
        key: key.to_owned(),
    };
    let keys = [key("", "b"), key("", "ba"), key("a", "a"), key("a", "b"), key("a-b", "a")];
    let records = keys.iter().rev().map(|key| RecordWrite {
        key: key.clone(),
        expect: Expect::Absent,
        value: Some(Arc::from([])),
    });
    let group = Group { records: records.collect(), ..Group::default() };
    let outcomes = store.commit(vec![group]).await.unwrap();
    assert!(matches!(outcomes[0], Outcome::Committed { newest: Sequence(0), .. }));
    let all = RecordQuery {
        kind: RecordKind::Outbox,
        tenant: None,
        prefix: String::new(),
        after: None,
        limit: usize::MAX,
    };
    let check = async |query: RecordQuery, expected: &[RecordKey]| {
        let found = store.records(&query).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|record| record.key).collect();
        assert_eq!(found, expected, "{query:?}");
    };
    check(all.clone(), &keys).await;
    check(RecordQuery { limit: 2, ..all.clone() }, &keys[..2]).await;
    check(RecordQuery { tenant: Some(tenant("a")), ..all.clone() }, &keys[2..4]).await;
    check(RecordQuery { after: Some((tenant(""), "b".into())), ..all.clone() }, &keys[1..]).await;
    check(RecordQuery { after: Some((tenant("a"), "a0".into())), ..all.clone() }, &keys[3..]).await;
    let b = [keys[0].clone(), keys[1].clone(), keys[3].clone()];
    check(RecordQuery { prefix: "b".into(), ..all.clone() }, &b).await;
    check(RecordQuery { kind: RecordKind::Ledger, ..all }, &[]).await;
}
