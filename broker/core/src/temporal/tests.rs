//! What is recorded in a crowd, and for whom it is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all, ready};
use musubi_context::{Context, Contexts, ContextsOptions, expand_kept, expand_temporal};
use musubi_model::{
    AttrName, Clock, DatasetId, EntityId, EvolutionFragment, InstanceNumber, Instances, Limits,
    Node, Recorded, Sequence, Tenant, Timestamp,
};
use musubi_notify::{Notifier, NotifierOptions};
use musubi_outbound::{Client, Guard};
use musubi_query::{Cut, EvolutionPage, TemporalQuery, TimeRelation};
use musubi_store::{
    History, HistoryError, Outline, ReferenceHistory, ReferenceStore, Store, StoreError,
};

use super::Upserted;
use crate::{
    Broker, BrokerOptions, Caller, Error, Imported, KeptEvolution, MapTerms, Session,
    StreamOptions, WriteRules,
};

/// A clock that goes on when somebody says so.
#[derive(Debug)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::Relaxed))
    }
}

/// A history that lets others go first, and takes ten seconds for a question.
#[derive(Debug)]
struct Slow {
    reference: ReferenceHistory,
    clock: Arc<Hands>,
    /// The data set of which so much is recorded that an answer holds a microsecond.
    dense: DatasetId,
}

impl Slow {
    /// An answer that is cut behind its first moment.
    fn cut(query: &TemporalQuery) -> Option<EvolutionPage> {
        let Some(TimeRelation::Between(first, end)) = query.range else { return None };
        let cut = (end > first.plus_micros(1)).then(|| Cut { first, last: first.plus_micros(1) });
        Some(EvolutionPage { cut, ..EvolutionPage::default() })
    }
}

impl History for Slow {
    fn evolutions<'a>(
        &'a self,
        tenant: &'a Tenant,
        query: &'a TemporalQuery,
    ) -> BoxFuture<'a, Result<EvolutionPage, HistoryError>> {
        let is_dense = |datasets: &Vec<_>| datasets.contains(&Some(self.dense.clone()));
        if let Some(page) =
            Self::cut(query).filter(|_| query.datasets.as_ref().is_some_and(is_dense))
        {
            return ready(Ok(page)).boxed();
        }
        async move {
            let page = self.reference.evolutions(tenant, query).await;
            self.clock.0.fetch_add(10, Ordering::Relaxed);
            tokio::task::yield_now().await;
            page
        }
        .boxed()
    }

    fn outline<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a EntityId,
    ) -> BoxFuture<'a, Result<Option<Outline>, StoreError>> {
        async move {
            let outline = self.reference.outline(tenant, id).await;
            tokio::task::yield_now().await;
            outline
        }
        .boxed()
    }

    fn instance<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a EntityId,
        attribute: &'a AttrName,
        number: InstanceNumber,
    ) -> BoxFuture<'a, Result<Option<Recorded>, StoreError>> {
        self.reference.instance(tenant, id, attribute, number)
    }

    fn needed_from(&self) -> Sequence {
        self.reference.needed_from()
    }
}

fn broker() -> Broker {
    let store: Arc<dyn Store> = Arc::new(ReferenceStore::new());
    let client = Client::guarded(Guard::default());
    let clock = Arc::new(Hands(AtomicI64::new(1_700_000_000)));
    let (_, notifications) =
        Notifier::new(NotifierOptions::default(), store.clone(), client, clock.clone());
    let reference = ReferenceHistory::new(store.clone());
    let dense = "urn:d:dense".parse().unwrap();
    Broker::new(BrokerOptions {
        history: Some(Arc::new(Slow { reference, clock: clock.clone(), dense })),
        store,
        contexts: Contexts::new(ContextsOptions::default()).unwrap(),
        notifications,
        clock,
        replay: None,
        attempts: BrokerOptions::ATTEMPTS,
        log_kept: 0,
        streams: StreamOptions::default(),
        rules: WriteRules::default(),
    })
}

fn session(broker: &Broker, caller: Caller) -> Session {
    broker.session(caller, Tenant::default())
}

/// Somebody who sees nothing of what the tests record.
fn stranger(broker: &Broker) -> Session {
    session(broker, Caller::OfType("urn:type:Other".parse().unwrap()))
}

const BODY: &str = r#"{"id":"urn:a:1","type":"T","x":[
    {"value":1,"observedAt":"2020-01-01T00:00:00Z"},{"value":2,"observedAt":"2020-01-01T00:00:01Z"}]}"#;

fn id() -> EntityId {
    "urn:a:1".parse().unwrap()
}

fn x() -> AttrName {
    Context::core().attribute("x").unwrap()
}

fn fragment(text: &str) -> EvolutionFragment {
    let node = Node::parse(text, Limits { depth: 64 }).unwrap();
    expand_temporal(&node, &Context::core()).unwrap()
}

fn kept(text: &str) -> KeptEvolution {
    let node = Node::parse(text, Limits { depth: 64 }).unwrap();
    expand_kept(&node, &Context::core(), Timestamp::from_micros(i64::MAX)).unwrap()
}

async fn instances(broker: &Broker) -> Vec<Recorded> {
    let page = session(broker, Caller::Local).evolution(&id(), TemporalQuery::default()).await;
    let item = page.unwrap().items.pop().unwrap();
    item.evolution.attributes.into_iter().flat_map(|attribute| attribute.instances).collect()
}

#[tokio::test]
async fn of_many_equal_requests_at_once_one_creates_and_each_instance_is_there_once() {
    let broker = broker();
    let one = || async {
        session(&broker, Caller::Local).upsert_evolution(fragment(BODY)).await.unwrap()
    };
    let answers = join_all((0..20).map(|_| one())).await;
    let created = answers.iter().filter(|answer| **answer != Upserted::Added).count();
    assert_eq!((created, instances(&broker).await.len()), (1, 2));
}

#[tokio::test]
async fn of_many_equal_imports_at_once_one_records() {
    let broker = broker();
    let text = r#"{"id":"urn:a:1","type":"T","x":{"value":1,"modifiedAt":"2020-01-01T00:00:00Z"}}"#;
    let one = || async {
        session(&broker, Caller::Local).import_evolutions(vec![kept(text)]).await.unwrap()
    };
    let answers = join_all((0..20).map(|_| one())).await;
    let recorded: u64 = answers.iter().map(|answer| answer.recorded).sum();
    assert_eq!((recorded, instances(&broker).await.len()), (1, 1));
}

#[tokio::test]
async fn what_is_recorded_is_of_the_moment_at_which_it_is_written() {
    let broker = broker();
    let session = session(&broker, Caller::Local);
    session.upsert_evolution(fragment(BODY)).await.unwrap();
    let before = broker.now();
    let other = BODY.replace(r#""value":2"#, r#""value":3"#);
    session.upsert_evolution(fragment(&other)).await.unwrap();
    let after = broker.now();
    assert!(after > before);
    assert_eq!(instances(&broker).await.last().unwrap().instance.modified_at, after);
    // Whatever an import says nothing of as well.
    let text = r#"{"id":"urn:a:1","type":"T","x":[{"value":1,"modifiedAt":"2020-01-01T00:00:00Z"},
        {"value":9,"observedAt":"2021-01-01T00:00:00Z"}]}"#;
    session.import_evolutions(vec![kept(text)]).await.unwrap();
    let now = broker.now();
    assert!(now > after);
    assert!(instances(&broker).await.iter().any(|one| one.instance.modified_at == now));
}

#[tokio::test]
async fn two_of_one_moment_stay_two_when_they_are_told_again() {
    let broker = broker();
    let session = session(&broker, Caller::Local);
    let text = BODY.replace("00:00:01Z", "00:00:00Z");
    session.upsert_evolution(fragment(&text)).await.unwrap();
    let first = instances(&broker).await;
    session.upsert_evolution(fragment(&text)).await.unwrap();
    assert_eq!(first.len(), 2);
    assert_eq!(instances(&broker).await, first);
}

#[tokio::test]
async fn an_instance_is_imported_as_often_as_it_is_brought_and_not_again() {
    let broker = broker();
    let session = session(&broker, Caller::Local);
    let instance = r#"{"value":1,"modifiedAt":"2020-01-01T00:00:00Z"}"#;
    let unit = r#"{"value":1,"unitCode":"CEL","modifiedAt":"2020-01-01T00:00:00Z"}"#;
    let body = |instances: &[&str]| {
        let list = instances.join(",");
        kept(&format!(r#"{{"id":"urn:a:1","type":"T","x":[{list}]}}"#))
    };
    let import = |evolutions| {
        let session = &session;
        async move {
            let Imported { recorded, already_there } =
                session.import_evolutions(evolutions).await.unwrap();
            (recorded, already_there)
        }
    };
    assert_eq!(import(vec![body(&[instance, instance])]).await, (2, 0));
    assert_eq!(import(vec![body(&[instance, instance])]).await, (0, 2));
    // What differs in anything is another one.
    assert_eq!(import(vec![body(&[instance, unit])]).await, (1, 1));
    let apart = vec![body(&[instance, instance]), body(&[instance])];
    assert_eq!(import(apart).await, (1, 2));
    assert_eq!(instances(&broker).await.len(), 4);
}

#[tokio::test]
async fn an_import_of_what_is_modified_later_or_of_too_much_is_refused() {
    let broker = broker();
    let session = session(&broker, Caller::Local);
    let late = r#"{"id":"urn:a:1","type":"T","x":{"value":1,"modifiedAt":"2100-01-01T00:00:00Z"}}"#;
    let refused = session.import_evolutions(vec![kept(late)]).await;
    assert!(matches!(refused, Err(Error::BadRequestData(_))), "{refused:?}");
    let many = vec![r#"{"value":1}"#; Imported::MOST / 2 + 1].join(",");
    let half = kept(&format!(r#"{{"id":"urn:a:1","type":"T","x":[{many}]}}"#));
    let refused = session.import_evolutions(vec![half.clone(), half]).await;
    assert!(matches!(refused, Err(Error::BadRequestData(_))), "{refused:?}");
}

#[tokio::test]
async fn the_last_moment_of_all_is_looked_at_too() {
    let broker = broker();
    let session = session(&broker, Caller::Local);
    let body =
        r#"{"id":"urn:a:1","type":"T","x":{"value":1,"observedAt":"9999-12-31T23:59:59.999999Z"}}"#;
    for _ in 0..2 {
        session.upsert_evolution(fragment(body)).await.unwrap();
    }
    assert_eq!(instances(&broker).await.len(), 1);
}

#[tokio::test]
async fn what_would_have_to_be_read_too_often_is_refused() {
    let broker = broker();
    let session = session(&broker, Caller::Local);
    let body = |seconds: u32| {
        let instance = |second: u32| {
            let (minute, second) = (second / 60, second % 60);
            format!(
                r#"{{"value":1,"datasetId":"urn:d:dense","observedAt":"2020-01-01T00:{minute:02}:{second:02}Z"}}"#
            )
        };
        let list = (0..seconds).map(instance).collect::<Vec<_>>().join(",");
        fragment(&format!(r#"{{"id":"urn:a:1","type":"T","x":[{list}]}}"#))
    };
    session.upsert_evolution(body(1)).await.unwrap();
    session.upsert_evolution(body(1_000)).await.unwrap();
    let refused = session.upsert_evolution(body(1_001)).await;
    assert!(matches!(refused, Err(Error::TooComplex(_))), "{refused:?}");
}

#[tokio::test]
async fn what_a_caller_may_not_see_is_not_there_and_stays_as_it_is() {
    let broker = broker();
    let local = session(&broker, Caller::Local);
    local.upsert_evolution(fragment(BODY)).await.unwrap();
    let before = instances(&broker).await;
    let instance_id = local.seal().await.instance_id(before.first().unwrap().number);
    let stranger = stranger(&broker);
    let not_found = |result: Result<(), Error>| {
        assert!(matches!(result, Err(Error::ResourceNotFound(_))), "{result:?}");
    };
    let record = || fragment(BODY).attributes.pop().unwrap().1.pop().unwrap();
    not_found(stranger.add_to_evolution(&id(), fragment(BODY)).await);
    not_found(stranger.remove_evolution(&id()).await);
    not_found(stranger.remove_evolution_attribute(&id(), &x(), &Instances::All).await);
    not_found(stranger.correct_instance(&id(), &x(), &instance_id, record()).await);
    not_found(stranger.remove_instance(&id(), &x(), &instance_id).await);
    let missing = || Error::no_entity(&id());
    not_found(stranger.record_deletion(&id(), &x(), &Instances::All, missing()).await);
    // Whoever creates learns that the id is taken.
    let refused = stranger.upsert_evolution(fragment(BODY)).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
    let refused = stranger.import_evolutions(vec![kept(BODY)]).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
    assert_eq!(instances(&broker).await, before);

    let query = TemporalQuery::default();
    let map = local.create_temporal_entity_map(&query, &MapTerms::default()).await.unwrap();
    assert_eq!(map.entities, [id()]);
    assert_eq!(local.entity_map(map.id).await.unwrap().entities, [id()]);
    assert_eq!(stranger.entity_map(map.id).await.unwrap().entities, []);
    // It is a deletion for whoever may see it.
    local.record_deletion(&id(), &x(), &Instances::All, missing()).await.unwrap();
    assert_eq!(instances(&broker).await.len(), 3);
}
