//! A town whose clock stands still until a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use musubi_broker::{Broker, BrokerOptions, Caller, Session, StreamOptions, WriteRules};
use musubi_context::{Contexts, ContextsOptions};
use musubi_model::{
    AttributeFragment, AttributeType, Clock, Entity, EntityFragment, EntityId, FragmentValue,
    InstanceFragment, Json, Patch, Sequence, Tenant, Timestamp, Value,
};
use musubi_notify::{Notifier, NotifierOptions};
use musubi_outbound::{Client, Guard};
use musubi_store::{Change, ReferenceStore, Store};

/// A clock that shows what it was set to, in seconds.
#[derive(Debug, Default)]
pub(crate) struct Standing(AtomicI64);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        at(self.0.load(Ordering::Relaxed))
    }
}

impl Standing {
    pub(crate) fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::Relaxed);
    }
}

/// A broker over an empty store.
#[derive(Debug)]
pub(crate) struct Town {
    pub(crate) store: Arc<ReferenceStore>,
    pub(crate) clock: Arc<Standing>,
    pub(crate) broker: Broker,
    pub(crate) session: Session,
}

impl Town {
    pub(crate) fn new() -> Self {
        Self::with(WriteRules::default())
    }

    pub(crate) fn with(rules: WriteRules) -> Self {
        let store = Arc::new(ReferenceStore::new());
        Self::over(store.clone(), store, rules)
    }

    /// A broker that sees `shown`, whose entities are in `store`.
    pub(crate) fn over(
        store: Arc<ReferenceStore>,
        shown: Arc<dyn Store>,
        rules: WriteRules,
    ) -> Self {
        let clock = Arc::new(Standing::default());
        let contexts = ContextsOptions::default();
        let (_, notifications) = Notifier::new(
            NotifierOptions::default(),
            shown.clone(),
            Client::guarded(Guard::default()),
            clock.clone(),
        );
        let broker = Broker::new(BrokerOptions {
            history: None,
            store: shown,
            contexts: Contexts::new(contexts).unwrap(),
            notifications,
            clock: clock.clone(),
            replay: None,
            attempts: BrokerOptions::ATTEMPTS,
            log_kept: 0,
            streams: StreamOptions::default(),
            rules,
        });
        let session = broker.session(Caller::Local, Tenant::default());
        Self { store, clock, broker, session }
    }

    /// The entity as its readers see it.
    pub(crate) async fn entity(&self, number: u32) -> Option<Arc<Entity>> {
        self.session.entities(vec![id(number)]).await.unwrap().pop().map(|found| found.entity)
    }

    /// The value of an attribute's default instance.
    pub(crate) async fn value(&self, number: u32, attribute: &str) -> Option<String> {
        let entity = self.entity(number).await?;
        let attribute = entity.attribute(&name(attribute))?.clone();
        Some(attribute.default_instance()?.value.json.as_str().to_owned())
    }

    pub(crate) async fn changes(&self) -> Vec<Arc<Change>> {
        self.store.changes(Sequence(0), 10_000).await.unwrap()
    }
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn id(number: u32) -> EntityId {
    format!("urn:a:{number}").parse().unwrap()
}

pub(crate) fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    format!("urn:{text}").parse().unwrap()
}

/// What is to be said of an attribute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    pub(crate) value: i64,
    pub(crate) observed: Option<i64>,
    pub(crate) expires: Option<i64>,
    pub(crate) dataset: Option<&'static str>,
}

pub(crate) fn instance(said: Said) -> InstanceFragment {
    let json = Json::from(&serde_json::Value::from(said.value));
    let time = |seconds: Option<i64>| seconds.map_or(Patch::Keep, |time| Patch::Set(at(time)));
    InstanceFragment {
        value: Some(FragmentValue::Typed(Value { kind: AttributeType::Property, json })),
        observed_at: time(said.observed),
        expires_at: time(said.expires),
        dataset_id: said.dataset.map(name),
        ..InstanceFragment::default()
    }
}

pub(crate) fn fragment(number: u32, attributes: &[(&str, Said)]) -> EntityFragment {
    let mut fragment = EntityFragment {
        id: Some(id(number)),
        types: vec![name("T")],
        ..EntityFragment::default()
    };
    for (attribute, said) in attributes {
        let attribute = name(attribute);
        let there = fragment.attributes.iter_mut().find(|one| one.name == attribute);
        match there {
            Some(there) => there.instances.push(instance(*said)),
            None => fragment.attributes.push(AttributeFragment {
                name: attribute,
                instances: std::iter::once(instance(*said)).collect(),
            }),
        }
    }
    fragment
}

pub(crate) fn plain(value: i64) -> Said {
    Said { value, ..Said::default() }
}
