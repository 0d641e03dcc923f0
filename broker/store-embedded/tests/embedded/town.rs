//! Entities, and short ways to write and read them.

use std::sync::Arc;

use musubi_model::{
    Attribute, AttributeType, Entity, EntityId, Instance, Json, Revision, Tenant, Timestamp, Value,
};
use musubi_query::{EntityQuery, Filter, Start};
use musubi_store::{
    Expect, Found, Group, Outcome, Record, RecordKey, RecordKind, RecordQuery, RecordWrite, Store,
    StoreError, Write,
};
use musubi_store_embedded::{EmbeddedOptions, EmbeddedStore};
use prometheus_client::registry::Registry;
use smallvec::smallvec;

pub(crate) fn open(options: &EmbeddedOptions) -> EmbeddedStore {
    EmbeddedStore::open(options.clone()).unwrap()
}

pub(crate) fn tenant() -> Tenant {
    Tenant::default()
}

pub(crate) fn id(name: &str) -> EntityId {
    format!("urn:ngsi-ld:Thing:{name}").parse().unwrap()
}

/// An entity with one property.
pub(crate) fn thing(name: &str, value: &str) -> Entity {
    let instance = Instance {
        value: Value { kind: AttributeType::Property, json: Json::from(value) },
        observed_at: None,
        created_at: Timestamp::default(),
        modified_at: Timestamp::default(),
        qualifiers: None,
    };
    Entity {
        id: id(name),
        types: vec!["https://example.org/Thing".parse().unwrap()],
        scopes: Vec::new(),
        created_at: Timestamp::default(),
        modified_at: Timestamp::default(),
        expires_at: None,
        attributes: vec![Attribute {
            name: "https://example.org/value".parse().unwrap(),
            instances: smallvec![instance],
        }],
    }
}

pub(crate) fn value_of(entity: &Entity) -> String {
    entity.attributes[0].instances[0].value.json.as_text().unwrap().into_owned()
}

pub(crate) fn put(name: &str, value: &str) -> Write {
    let state = Some(Arc::new(thing(name, value)));
    Write { tenant: tenant(), id: id(name), expect: Expect::Any, state }
}

pub(crate) fn delete(name: &str) -> Write {
    Write { tenant: tenant(), id: id(name), expect: Expect::Any, state: None }
}

pub(crate) fn group(writes: Vec<Write>) -> Group {
    Group { writes, ..Group::default() }
}

pub(crate) fn record(key: &str, value: Option<&str>) -> RecordWrite {
    record_of(RecordKind::Cursor, key, value)
}

pub(crate) fn record_of(kind: RecordKind, key: &str, value: Option<&str>) -> RecordWrite {
    RecordWrite {
        key: RecordKey { kind, tenant: tenant(), key: key.to_owned() },
        expect: Expect::Any,
        value: value.map(|value| value.as_bytes().into()),
    }
}

pub(crate) fn revisions(outcomes: &[Outcome]) -> Vec<Revision> {
    let each = outcomes.iter().flat_map(|outcome| match outcome {
        Outcome::Committed { revisions, .. } => revisions.clone(),
        Outcome::Refused(index) => panic!("refused at {index}"),
    });
    each.collect()
}

pub(crate) async fn commit(store: &impl Store, writes: Vec<Write>) -> Result<Revision, StoreError> {
    let outcomes = store.commit(vec![group(writes)]).await?;
    Ok(revisions(&outcomes)[0])
}

pub(crate) async fn find(store: &impl Store, name: &str) -> Option<Found> {
    let query = EntityQuery {
        filter: Filter::Ids(vec![id(name)]),
        start: Start::Offset(0),
        limit: 1,
        count: false,
        ..EntityQuery::default()
    };
    store.select(&tenant(), &query).await.unwrap().items.pop()
}

pub(crate) async fn all(store: &impl Store) -> Vec<Found> {
    let query = EntityQuery {
        filter: Filter::All(Vec::new()),
        start: Start::Offset(0),
        limit: usize::MAX,
        count: false,
        ..EntityQuery::default()
    };
    store.select(&tenant(), &query).await.unwrap().items
}

pub(crate) async fn cursors(store: &impl Store) -> Vec<Record> {
    records(store, RecordKind::Cursor).await.unwrap()
}

pub(crate) async fn records(
    store: &impl Store,
    kind: RecordKind,
) -> Result<Vec<Record>, StoreError> {
    let query =
        RecordQuery { kind, tenant: None, prefix: String::new(), after: None, limit: usize::MAX };
    store.records(&query).await
}

/// What the store's metrics say of this.
pub(crate) fn figure(store: &EmbeddedStore, name: &str) -> String {
    let mut registry = Registry::default();
    store.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    lines.find_map(|rest| rest.strip_prefix(' ')).unwrap().to_owned()
}
