//! Subscriptions and entities from JSON, for the tests of this crate.

use std::sync::Arc;

use musubi_context::{Context, expand_entity};
use musubi_model::{
    AttrName, Entity, EntityChange, Limits, Node, Position, Revision, Tenant, Timestamp,
};
use serde_json::Value;

use crate::engine::applied::{Applied, CompiledContexts};
use crate::{InvalidSubscription, Subscription};

pub(crate) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

pub(crate) fn entity(json: &Value, at: Timestamp) -> Entity {
    let text = json.to_string();
    let body = Node::parse(&text, Limits::default()).unwrap();
    Entity::create(expand_entity(&body, &Context::core()).unwrap(), at).unwrap()
}

pub(crate) fn read(json: &Value) -> Result<Subscription, InvalidSubscription> {
    let text = json.to_string();
    let body = Node::parse(&text, Limits::default()).unwrap();
    let fresh = "urn:ngsi-ld:Subscription:fresh".parse().unwrap();
    Subscription::parse(&body, &Context::core(), fresh, time(0))
}

/// The subscription of these members, with an endpoint unless they name one.
pub(crate) fn subscription(members: &Value) -> Subscription {
    let mut json = serde_json::json!({
        "id": "urn:ngsi-ld:Subscription:1",
        "type": "Subscription",
        "notification": {"endpoint": {"uri": "http://127.0.0.1:9/notify"}},
    });
    for (name, value) in members.as_object().unwrap() {
        json[name] = value.clone();
    }
    read(&json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

pub(crate) fn applied(tenant: &str, members: &Value) -> Applied {
    let bytes = subscription(members).to_bytes();
    let mut contexts = CompiledContexts::default();
    Applied::new(tenant.parse::<Tenant>().unwrap(), bytes, &mut contexts).unwrap()
}

pub(crate) fn change(before: Option<&Value>, after: Option<&Value>) -> EntityChange {
    let before = before.map(|json| entity(json, time(1)));
    let after = after.map(|json| Arc::new(entity(json, time(2))));
    let id = before.as_ref().or(after.as_deref()).unwrap().id.clone();
    let mut change =
        EntityChange::between(id, (Revision(2), Position(1)), before.as_ref(), after.clone());
    // Every attribute has another time of modification here; those that are otherwise the same
    // were not touched.
    let (Some(before), Some(after)) = (before, after) else { return change };
    let values = |entity: &Entity, name: &AttrName| {
        entity.attribute(name).map(|attribute| {
            let instances = attribute.instances.iter();
            instances.map(|it| (it.dataset_id().cloned(), it.value.clone())).collect::<Vec<_>>()
        })
    };
    change.changed.retain(|name| values(&before, name) != values(&after, name));
    let mut trimmed = before.clone();
    trimmed.attributes.retain(|attribute| change.changed.contains(&attribute.name));
    change.before = Some(Arc::new(trimmed));
    change
}
