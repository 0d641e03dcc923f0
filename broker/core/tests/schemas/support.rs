//! A broker, a context, and bodies that are read in it.

use std::sync::Arc;

use musubi_broker::{
    Broker, BrokerOptions, Caller, SchemaMode, SchemaSource, Session, StreamOptions, TypeSchema,
    WriteRules,
};
use musubi_context::{
    Context, ContextSource, Contexts, ContextsOptions, Form, Representation, expand_fragment,
    render_entity,
};
use musubi_model::{Entity, EntityFragment, EntityId, Limits, Node, SystemClock, Tenant};
use musubi_notify::{Notifier, NotifierOptions};
use musubi_outbound::{Client, Guard};
use musubi_store::{ReferenceStore, Store};
use serde_json::Value;

const TERMS: &str = r#"{
    "Thing": "https://example.jp/terms#Thing",
    "open": "https://example.jp/words#open",
    "a": "https://example.jp/terms#a",
    "b": "https://example.jp/terms#b",
    "c": { "@id": "https://example.jp/terms#c", "@type": "@vocab" }
}"#;

pub(crate) fn context() -> Context {
    let source = ContextSource { url: None, member: TERMS.to_owned(), document: TERMS.to_owned() };
    Context::from_source(&source).unwrap()
}

pub(crate) fn session() -> Session {
    let store: Arc<dyn Store> = Arc::new(ReferenceStore::new());
    let client = Client::guarded(Guard::default());
    let clock = Arc::new(SystemClock);
    let (_, notifications) =
        Notifier::new(NotifierOptions::default(), store.clone(), client, clock.clone());
    let broker = Broker::new(BrokerOptions {
        history: None,
        store,
        contexts: Contexts::new(ContextsOptions::default()).unwrap(),
        notifications,
        clock,
        replay: None,
        attempts: BrokerOptions::ATTEMPTS,
        log_kept: 0,
        streams: StreamOptions::default(),
        rules: WriteRules::default(),
    });
    broker.session(Caller::Local, Tenant::default())
}

pub(crate) async fn register(session: &Session, mode: SchemaMode, schema: &Value) {
    let context = context();
    let schema = TypeSchema {
        entity_type: context.entity_type("Thing").unwrap(),
        mode,
        source: SchemaSource::Own(schema.clone()),
        context,
    };
    session.put_schema(schema).await.unwrap();
}

/// A body of the API, expanded.
pub(crate) fn fragment(body: &Value) -> EntityFragment {
    let text = body.to_string();
    let node = Node::parse(&text, Limits { depth: 64 }).unwrap();
    expand_fragment(&node, &context()).unwrap()
}

/// What the API answers about the entity in the simplified form that readers know, written by code
/// that knows nothing of schemas, but without the one member that this form keeps around the
/// values of some kinds of attribute.
pub(crate) fn key_values(entity: &Entity) -> Value {
    let representation = Representation { form: Form::Simplified, ..Representation::default() };
    let mut out = Vec::new();
    render_entity(&mut out, entity, &context(), &representation);
    let mut simplified: Value = serde_json::from_slice(&out).unwrap();
    for value in simplified.as_object_mut().unwrap().values_mut() {
        for member in ["languageMap", "vocab", "json"] {
            if let Some(inner) = value.get_mut(member) {
                *value = inner.take();
            }
        }
    }
    simplified
}

pub(crate) async fn entity(session: &Session, id: &str) -> Option<Arc<Entity>> {
    let id: EntityId = id.parse().unwrap();
    let found = session.retrieve_entity(&id, &musubi_broker::Selection::default()).await;
    found.ok().map(|found| found.entity)
}

/// The validator alone, as anybody would use it.
pub(crate) fn plain(schema: &Value) -> jsonschema::Validator {
    jsonschema::draft202012::options().should_validate_formats(true).build(schema).unwrap()
}
