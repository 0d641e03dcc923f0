//! Many entities that expire, each at a moment of its own: what the indexes answer, what is looked
//! at under the lock and what is scanned give the same as the plain reference.

use std::sync::Arc;
use std::time::Duration;

use musubi_model::{
    Attribute, AttributeType, Entity, EntityId, Instance, Json, Qualifiers, Tenant, Timestamp,
    Value,
};
use musubi_query::{
    AttributePath, EntityQuery, Filter, Link, Order, OrderBy, OrderTerm, Query, Start,
    TypeSelection,
};
use musubi_store::{Expect, Group, ReferenceStore, Store, Write};
use musubi_store_embedded::{Durability, EmbeddedOptions, EmbeddedStore};
use serde_json::json;

/// More than are gathered at once by any limit of the store.
const MANY: i64 = 9_500;

/// The entities of these numbers have nothing that expires, so that there are always some.
const LASTING: i64 = 10;

fn id(number: i64) -> EntityId {
    format!("urn:x:{number}").parse().unwrap()
}

fn attribute(name: &str, (kind, json): (AttributeType, Json), expiry: Option<i64>) -> Attribute {
    let qualifiers = expiry.map(|seconds| {
        let expires_at = Some(Timestamp::from_seconds(seconds));
        Box::new(Qualifiers { expires_at, ..Qualifiers::default() })
    });
    let time = Timestamp::EPOCH;
    let instance = Instance {
        value: Value { kind, json },
        observed_at: None,
        created_at: time,
        modified_at: time,
        qualifiers,
    };
    Attribute { name: name.parse().unwrap(), instances: [instance].into_iter().collect() }
}

/// Entities of even numbers expire as a whole, the others lose an attribute: number n at n seconds.
fn entity(number: i64) -> Arc<Entity> {
    let expiry = (number % LASTING != 0).then_some(number);
    let (whole, part) = if number % 2 == 0 { (expiry, None) } else { (None, expiry) };
    let next = json!(id((number * 7) % MANY).as_str());
    Arc::new(Entity {
        id: id(number),
        types: vec![format!("urn:type:{}", number % 3).parse().unwrap()],
        scopes: Vec::new(),
        created_at: Timestamp::EPOCH,
        modified_at: Timestamp::EPOCH,
        expires_at: whole.map(Timestamp::from_seconds),
        attributes: vec![
            attribute("urn:a", (AttributeType::Property, Json::from(&json!(number % 13))), part),
            attribute("urn:next", (AttributeType::Relationship, Json::from(&next)), None),
        ],
    })
}

fn put(number: i64) -> Write {
    let (tenant, expect) = (Tenant::default(), Expect::Any);
    Write { tenant, id: id(number), expect, state: Some(entity(number)) }
}

fn of_type(kind: i64) -> Filter {
    let name = format!("urn:type:{kind}").parse().unwrap();
    Filter::Type(TypeSelection { any_of: vec![vec![name]] })
}

fn has_a() -> Filter {
    Filter::HasAny(vec!["urn:a".parse().unwrap()])
}

fn path(links: Vec<Link>) -> AttributePath {
    AttributePath { links, names: vec!["urn:a".parse().unwrap()], members: Vec::new() }
}

fn without_a(links: Vec<Link>) -> Filter {
    Filter::Query(Query::Exists { path: path(links), expected: false })
}

fn by_value(descending: bool) -> Order {
    let terms = vec![OrderTerm { by: OrderBy::Value(path(Vec::new())), descending }];
    Order { terms, ..Order::default() }
}

/// Both stores, filled alike with so many.
async fn stores(many: i64) -> (tempfile::TempDir, EmbeddedStore, ReferenceStore) {
    let folder = tempfile::tempdir().unwrap();
    let durability = Durability::Interval(Duration::from_millis(20));
    let options = EmbeddedOptions { durability, ..EmbeddedOptions::new(folder.path()) };
    let (store, reference) = (EmbeddedStore::open(options).unwrap(), ReferenceStore::new());
    let numbers: Vec<i64> = (0..many).collect();
    for numbers in numbers.chunks(1_000) {
        let writes = numbers.iter().map(|number| put(*number)).collect();
        let group = Group { writes, ..Group::default() };
        store.commit(vec![group.clone()]).await.unwrap();
        reference.commit(vec![group]).await.unwrap();
    }
    (folder, store, reference)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_have_expired_the_answer_is_that_of_the_reference() {
    let (_folder, store, reference) = stores(MANY).await;
    let link = Link { relationship: "urn:next".parse().unwrap(), types: Vec::new() };
    let filters = [
        Filter::default(),
        of_type(1),
        Filter::All(vec![of_type(2), has_a()]),
        without_a(Vec::new()),
        Filter::All(vec![of_type(0), without_a(vec![link.clone()])]),
        Filter::Query(Query::Exists { path: path(vec![link]), expected: true }),
        Filter::ExpiresBy(Timestamp::from_seconds(40)),
        Filter::ExpiresBy(Timestamp::from_seconds(MANY)),
    ];
    let starts = [(Start::Offset(0), 20), (Start::Offset(1_500), 7), (Start::Offset(3), 2_000)];
    let mut pages = 0;
    for at in [None, Some(30), Some(700), Some(5_000)] {
        let at = at.map(Timestamp::from_seconds);
        for filter in &filters {
            for order in [Order::default(), by_value(pages % 4 == 1)] {
                let filter = filter.clone();
                let (start, limit) = starts[pages % starts.len()];
                let query = EntityQuery { filter, order, at, start, limit, count: pages % 3 > 0 };
                let expected = reference.select(&Tenant::default(), &query).await.unwrap();
                let given = store.select(&Tenant::default(), &query).await.unwrap();
                // Both have given the same numbers: each entity was written once, in their order.
                assert!(expected == given, "{query:?}");
                pages += 1;
            }
        }
    }
}

#[tokio::test]
async fn an_entity_of_which_nothing_has_expired_is_not_copied() {
    let (_folder, store, _) = stores(2_000).await;
    let everything = EntityQuery { limit: usize::MAX, ..EntityQuery::default() };
    let kept = store.select(&Tenant::default(), &everything).await.unwrap().items;
    let at = Timestamp::from_seconds(8);
    let ids = Filter::Ids(vec![id(9), id(7)]);
    for filter in [Filter::Ids(vec![id(9)]), ids, of_type(0), has_a(), without_a(vec![])] {
        let (at, limit) = (Some(at), usize::MAX);
        let query = EntityQuery { filter, at, limit, ..EntityQuery::default() };
        let alive = store.select(&Tenant::default(), &query).await.unwrap().items;
        assert!(!alive.is_empty());
        for found in alive {
            let kept = kept.iter().find(|kept| kept.position == found.position).unwrap();
            let is_whole = kept.entity.first_expiry().is_none_or(|expiry| Some(expiry) > at);
            assert_eq!(Arc::ptr_eq(&kept.entity, &found.entity), is_whole, "{:?}", kept.entity.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_and_attributes_of_many_are_those_of_the_reference() {
    let (_folder, store, reference) = stores(2_000).await;
    let tenant = Tenant::default();
    // Attributes of many names, so that it is no little work.
    for number in 0..600 {
        let mut state = (*entity(number)).clone();
        let value = (AttributeType::Property, Json::from(&json!(1)));
        state.types = vec![format!("urn:type:{}", number % 40).parse().unwrap()];
        state.attributes.push(attribute(&format!("urn:b:{}", number / 2), value, None));
        let write = Write { state: Some(Arc::new(state)), ..put(number) };
        let group = Group { writes: vec![write], ..Group::default() };
        store.commit(vec![group.clone()]).await.unwrap();
        reference.commit(vec![group]).await.unwrap();
    }
    assert_eq!(store.types(&tenant).await.unwrap(), reference.types(&tenant).await.unwrap());
    let other = "urn:type:7".parse().unwrap();
    for of_type in [None, Some(&other)] {
        let expected = reference.attributes(&tenant, of_type).await.unwrap();
        assert_eq!(store.attributes(&tenant, of_type).await.unwrap(), expected);
        assert!(expected.len() > 10);
    }
}
