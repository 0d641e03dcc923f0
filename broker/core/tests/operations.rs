//! Operations as their callers see them: in a crowd, in order, and together with records.

#[cfg(test)]
mod operations {
    use std::sync::Arc;

    use musubi_broker::{
        Broker, BrokerOptions, Caller, Error, Ingest, RecordKey, RecordKind, RecordWrite, Session,
        StreamOptions, WriteRules,
    };
    use musubi_context::{Contexts, ContextsOptions};
    use musubi_model::{
        AttributeFragment, Cause, Entity, EntityFragment, EntityId, FragmentValue,
        InstanceFragment, Json, Overwrite, Sequence, SystemClock, Tenant, Value,
    };
    use musubi_notify::{Notifier, NotifierOptions};
    use musubi_outbound::{Client, Guard};
    use musubi_store::{Expect, Group, Outcome, ReferenceStore, Store, Subject};
    use tokio::task::JoinSet;

    fn broker(store: Arc<dyn Store>) -> Broker {
        let contexts = ContextsOptions::default();
        let client = Client::guarded(Guard::default());
        let clock = Arc::new(SystemClock);
        let options = NotifierOptions::default();
        let (_, notifications) = Notifier::new(options, store.clone(), client, clock.clone());
        Broker::new(BrokerOptions {
            history: None,
            store,
            contexts: Contexts::new(contexts).unwrap(),
            notifications,
            clock,
            replay: None,
            attempts: BrokerOptions::ATTEMPTS,
            log_kept: 0,
            streams: StreamOptions::default(),
            rules: WriteRules::default(),
        })
    }

    fn session(store: &Arc<dyn Store>) -> Session {
        broker(store.clone()).session(Caller::Local, Tenant::default())
    }

    fn store() -> Arc<dyn Store> {
        Arc::new(ReferenceStore::new())
    }

    fn fragment(id: &str, attributes: &[(&str, Option<i64>)]) -> EntityFragment {
        let attribute = |(name, value): &(&str, Option<i64>)| {
            let json = value.map(|value| Json::from(&serde_json::Value::from(value)));
            let value = json.map_or(FragmentValue::Null, |json| {
                FragmentValue::Typed(Value { kind: musubi_model::AttributeType::Property, json })
            });
            let instance = InstanceFragment { value: Some(value), ..InstanceFragment::default() };
            AttributeFragment {
                name: format!("urn:{name}").parse().unwrap(),
                instances: std::iter::once(instance).collect(),
            }
        };
        EntityFragment {
            id: Some(id.parse().unwrap()),
            types: vec!["urn:T".parse().unwrap()],
            attributes: attributes.iter().map(attribute).collect(),
            ..EntityFragment::default()
        }
    }

    fn ingest(id: &str, attributes: &[(&str, Option<i64>)]) -> Ingest {
        Ingest {
            entities: vec![fragment(id, attributes)],
            records: Vec::new(),
            cause: Cause::Adapter("test".into()),
        }
    }

    async fn entity(session: &Session, id: &str) -> Arc<Entity> {
        let id: EntityId = id.parse().unwrap();
        session.retrieve_entity(&id, &musubi_broker::Selection::default()).await.unwrap().entity
    }

    fn value(entity: &Entity, name: &str) -> Option<String> {
        let attribute = entity.attribute(&format!("urn:{name}").parse().unwrap())?;
        Some(attribute.default_instance()?.value.json.as_str().to_owned())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_change_is_lost_among_fifty_writers_of_one_entity() {
        let session = session(&store());
        session.create_entity(fragment("urn:a:1", &[])).await.unwrap();
        let mut writers = JoinSet::new();
        for number in 0..50_i64 {
            let session = session.clone();
            writers.spawn(async move {
                let name = format!("a{number}");
                let part = fragment("urn:a:1", &[(name.as_str(), Some(number))]);
                let id = "urn:a:1".parse().unwrap();
                session.append_attributes(&id, None, part, Overwrite::Yes).await.unwrap();
            });
        }
        while let Some(ended) = writers.join_next().await {
            ended.unwrap();
        }
        assert_eq!(entity(&session, "urn:a:1").await.attributes.len(), 50);
    }

    #[tokio::test]
    async fn ingested_items_of_one_entity_keep_their_order() {
        let store = store();
        let session = session(&store);
        let items = vec![
            ingest("urn:a:1", &[("level", Some(1)), ("old", Some(1))]),
            ingest("urn:a:2", &[("level", Some(2))]),
            ingest("urn:a:1", &[("level", Some(3)), ("old", None)]),
            ingest("urn:a:1", &[("level", Some(4))]),
        ];
        let results = session.ingest(items).await.unwrap();
        assert!(results.iter().all(|result| result.as_ref().is_ok_and(|one| one.newest.0 > 0)));
        let first = entity(&session, "urn:a:1").await;
        assert_eq!(value(&first, "level").as_deref(), Some("4"));
        assert_eq!(value(&first, "old"), None, "a Null deletes");
        let changes = store.changes(Sequence(0), 100).await.unwrap();
        assert_eq!(changes.len(), 4, "each item is a change of its own");
        assert!(changes.iter().all(|change| change.cause == Cause::Adapter("test".into())));
        assert!(changes.iter().all(|change| matches!(change.subject, Subject::Entity(_))));
    }

    #[tokio::test]
    async fn an_item_that_cannot_be_used_does_not_hold_up_the_others() {
        let session = session(&store());
        let mut typeless = ingest("urn:a:1", &[("level", Some(1))]);
        typeless.entities[0].types.clear();
        let half = Ingest {
            entities: vec![fragment("urn:a:3", &[]), typeless.entities[0].clone()],
            ..Ingest::default()
        };
        let items = vec![typeless, ingest("urn:a:2", &[("level", Some(2))]), half];
        let results = session.ingest(items).await.unwrap();
        assert!(matches!(results[0], Err(Error::BadRequestData(_))));
        assert!(results[1].is_ok());
        assert!(matches!(results[2], Err(Error::BadRequestData(_))));
        let id: EntityId = "urn:a:3".parse().unwrap();
        assert!(session.entities(vec![id]).await.unwrap().is_empty(), "all or nothing");
    }

    #[tokio::test]
    async fn records_are_written_with_their_entities() {
        let store = store();
        let session = session(&store);
        let key = RecordKey {
            kind: RecordKind::AdapterState,
            tenant: Tenant::default(),
            key: "shelter/check-in".to_owned(),
        };
        let record =
            |expect| RecordWrite { key: key.clone(), expect, value: Some(Arc::from(&b"1"[..])) };
        let item = |expect, level| Ingest {
            records: vec![record(expect)],
            ..ingest("urn:a:1", &[("level", Some(level))])
        };
        let results = session.ingest(vec![item(Expect::Absent, 1)]).await.unwrap();
        assert_eq!(results[0].as_ref().unwrap().revisions.len(), 2);
        // The record is there already, so nothing of the item happens.
        let results = session.ingest(vec![item(Expect::Absent, 2)]).await.unwrap();
        assert!(matches!(results[0], Err(Error::Contended(_))));
        assert_eq!(value(&*entity(&session, "urn:a:1").await, "level").as_deref(), Some("1"));
        let state = session.adapter_state("shelter/").await.unwrap();
        assert_eq!(state, [("shelter/check-in".to_owned(), Arc::from(&b"1"[..]))]);
        assert!(session.adapter_state("gbfs/").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_tenant_made_by_another_process_is_found() {
        let store = store();
        let tenant: Tenant = "nanao".parse().unwrap();
        let reader = broker(store.clone()).session(Caller::Local, tenant.clone());
        assert!(matches!(reader.types().await, Err(Error::NonexistentTenant(_))));
        let writer = broker(store.clone()).session(Caller::Local, tenant.clone());
        writer.create_entity(fragment("urn:a:1", &[])).await.unwrap();
        assert_eq!(reader.types().await.unwrap().len(), 1);
        let third = broker(store.clone());
        third.load_tenants().await.unwrap();
        assert!(third.session(Caller::Local, tenant).types().await.is_ok());
    }

    #[tokio::test]
    async fn a_write_of_what_is_there_already_is_told_of() {
        let store = store();
        let session = session(&store);
        for _ in 0..2 {
            session.ingest(vec![ingest("urn:a:1", &[("level", Some(1))])]).await.unwrap();
        }
        assert_eq!(store.newest().borrow().0, 2, "the same value again is a change");
    }

    #[tokio::test]
    async fn the_log_is_kept_for_the_notifier() {
        let store = store();
        let broker = broker(store.clone());
        let session = broker.session(Caller::Local, Tenant::default());
        session.create_entity(fragment("urn:a:1", &[])).await.unwrap();
        broker.truncate_log().await.unwrap();
        let changes = store.changes(Sequence(0), 10).await.unwrap();
        assert_eq!(changes.len(), 1, "the notifier has not read it yet");
    }

    #[tokio::test]
    async fn a_batch_is_one_group_per_entity() {
        let store = store();
        let session = session(&store);
        // Somebody else's entity is in the way of one of them.
        let other = Entity::create(fragment("urn:a:2", &[]), session.now()).unwrap();
        let write = musubi_store::Write {
            tenant: Tenant::default(),
            id: other.id.clone(),
            expect: Expect::Any,
            state: Some(Arc::new(other)),
        };
        let group = Group { writes: vec![write], ..Group::default() };
        let outcomes = store.commit(vec![group]).await.unwrap();
        assert!(matches!(outcomes[0], Outcome::Committed { .. }));
        let fragments = ["urn:a:1", "urn:a:2", "urn:a:3"].map(|id| fragment(id, &[])).to_vec();
        let result = session.create_entities(fragments).await.unwrap();
        assert_eq!((result.created.len(), result.errors.len()), (2, 1));
    }
}
