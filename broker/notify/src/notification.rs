//! Notifications: id, headers, body (CIM 009, clauses 5.3.1, 5.8.6 and 6.3.8).

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use musubi_context::{CORE_CONTEXT_URL, Form, Representation, render_entity};
use musubi_model::{
    Attribute, AttributeType, Entity, EntityChange, Instance, Json, NULL, Sequence, Tenant,
    Timestamp, Trigger, Value,
};
use uuid::Uuid;

use crate::SubscriptionId;
use crate::applied::Applied;
use crate::subscription::endpoint::{Accept, Format};

/// The namespace of the UUIDs of notifications.
const NAMESPACE: Uuid = Uuid::from_u128(0x3c1b_60a5_9f0e_4a57_8d52_6e0f_b1a9_c7d4);

/// The id of the notification of this change to this subscription: always the same, so that a
/// receiver can tell a repetition.
pub(crate) fn notification_id(
    tenant: &Tenant,
    subscription: &SubscriptionId,
    change: (Sequence, Timestamp),
) -> String {
    // The time keeps the ids of a store that was emptied apart from those of its predecessor.
    let name = format!("{tenant}\n{subscription}\n{}\n{}", change.0.0, change.1.as_micros());
    format!("urn:ngsi-ld:Notification:{}", Uuid::new_v5(&NAMESPACE, name.as_bytes()))
}

/// The headers of a notification: media type, context, tenant, and what the receiver asked for.
pub(crate) fn headers(applied: &Applied) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let endpoint = &applied.subscription.notification.endpoint;
    let accept = endpoint.accept.unwrap_or(Accept::Json);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(accept.as_str()));
    if accept == Accept::Json {
        let url = applied.context.url().unwrap_or(CORE_CONTEXT_URL);
        let link = format!(
            "<{url}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\""
        );
        if let Ok(link) = HeaderValue::from_str(&link) {
            headers.insert(header::LINK, link);
        }
    }
    if !applied.tenant.is_default()
        && let Ok(tenant) = HeaderValue::from_str(applied.tenant.as_str())
    {
        headers.insert(HeaderName::from_static("ngsild-tenant"), tenant);
    }
    for pair in &endpoint.receiver_info {
        // Both were checked when the subscription was read.
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(&pair.key), HeaderValue::from_str(&pair.value))
        {
            headers.insert(name, value);
        }
    }
    headers
}

/// The body of a notification of one change, which happened at `time`.
pub(crate) fn body(
    applied: &Applied,
    change: &EntityChange,
    id: &str,
    time: Timestamp,
    notified_at: Timestamp,
) -> Vec<u8> {
    let subscription = &applied.subscription;
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(b"{\"id\":");
    string(&mut out, id);
    out.extend_from_slice(b",\"type\":\"Notification\",\"subscriptionId\":");
    string(&mut out, subscription.id().as_str());
    out.extend_from_slice(b",\"notifiedAt\":");
    string(&mut out, &notified_at.to_string());
    out.extend_from_slice(b",\"data\":[");
    Data { applied, change, time }.render(&mut out);
    out.push(b']');
    if subscription.notification.endpoint.accept == Some(Accept::JsonLd) {
        out.extend_from_slice(b",\"@context\":");
        out.extend_from_slice(applied.context.member().as_bytes());
    }
    out.push(b'}');
    out
}

/// The entity in a notification.
struct Data<'a> {
    applied: &'a Applied,
    change: &'a EntityChange,
    time: Timestamp,
}

impl Data<'_> {
    fn render(&self, out: &mut Vec<u8>) {
        match (&self.change.after, &self.change.before) {
            (Some(after), Some(before)) => {
                let shown = with_deleted_instances(after, before);
                render_entity(out, &shown, &self.applied.context, &self.representation());
                let gone = before.attributes.iter().filter(|attribute| {
                    after.attribute(&attribute.name).is_none() && self.is_included(attribute)
                });
                self.splice(out, gone);
            }
            (Some(after), None) => {
                render_entity(out, after, &self.applied.context, &self.representation());
            }
            (None, Some(before)) => self.render_deleted(out, before),
            (None, None) => out.extend_from_slice(b"{}"),
        }
    }

    /// Of an entity that is gone: that it is gone, and to those who asked for deletions of
    /// attributes, which of those they watch went with it.
    fn render_deleted(&self, out: &mut Vec<u8>, before: &Entity) {
        let head = Entity { scopes: Vec::new(), attributes: Vec::new(), ..before.clone() };
        render_entity(out, &head, &self.applied.context, &self.representation());
        let subscription = &self.applied.subscription;
        let triggers = subscription.triggers();
        let tells = triggers.contains(&Trigger::AttributeDeleted)
            || triggers.contains(&Trigger::EntityUpdated);
        let watched = &subscription.watched_attributes;
        let gone = before.attributes.iter().filter(|attribute| {
            tells
                && (watched.is_empty() || watched.contains(&attribute.name))
                && self.is_included(attribute)
        });
        self.splice(out, gone);
        reopen(out, |out| {
            out.extend_from_slice(b",\"deletedAt\":");
            string(out, &self.time.to_string());
        });
    }

    fn form(&self) -> Form {
        self.applied.subscription.notification.format.map_or(Form::Normalized, Format::form)
    }

    fn system_attributes(&self) -> bool {
        self.applied.subscription.notification.system_attributes == Some(true)
    }

    fn representation(&self) -> Representation {
        let notification = &self.applied.subscription.notification;
        let attributes = &notification.attributes;
        Representation {
            form: self.form(),
            system_attributes: self.system_attributes(),
            attributes: (!attributes.is_empty()).then(|| attributes.clone()),
            context_member: notification.endpoint.accept == Some(Accept::JsonLd),
        }
    }

    fn is_included(&self, attribute: &Attribute) -> bool {
        let attributes = &self.applied.subscription.notification.attributes;
        attributes.is_empty() || attributes.contains(&attribute.name)
    }

    /// Adds deleted attributes to the entity at the end of `out`.
    fn splice<'a>(&self, out: &mut Vec<u8>, gone: impl Iterator<Item = &'a Attribute>) {
        reopen(out, |out| {
            for attribute in gone {
                let Some(instance) = attribute.default_instance().or(attribute.instances.first())
                else {
                    continue;
                };
                out.push(b',');
                string(out, &self.applied.context.compact(attribute.name.as_str()));
                out.push(b':');
                self.render_null(out, instance);
            }
        });
    }

    /// The Null in the place of a deleted attribute: bare, unless there is more to say.
    fn render_null(&self, out: &mut Vec<u8>, instance: &Instance) {
        let kind = instance.value.kind;
        match self.form() {
            Form::Simplified => return string(out, NULL),
            Form::Concise if !self.system_attributes() => return string(out, NULL),
            Form::Concise => out.push(b'{'),
            Form::Normalized => {
                out.extend_from_slice(b"{\"type\":");
                string(out, kind.as_str());
                out.push(b',');
            }
        }
        string(out, kind.member());
        out.push(b':');
        out.extend_from_slice(null(kind).as_str().as_bytes());
        if self.system_attributes() {
            for (name, time) in [
                ("createdAt", instance.created_at),
                ("modifiedAt", instance.modified_at),
                ("deletedAt", self.time),
            ] {
                out.push(b',');
                string(out, name);
                out.push(b':');
                string(out, &time.to_string());
            }
        }
        out.push(b'}');
    }
}

/// The entity, with a Null for each instance that an attribute lost while others of its
/// instances stayed.
fn with_deleted_instances(after: &Arc<Entity>, before: &Entity) -> Arc<Entity> {
    let mut shown = Arc::clone(after);
    for attribute in &before.attributes {
        let Some(place) = after.attributes.iter().position(|it| it.name == attribute.name) else {
            continue;
        };
        for lost in &attribute.instances {
            let kept = after.attributes.get(place).and_then(|it| it.instance(lost.dataset_id()));
            if kept.is_none()
                && let Some(target) = Arc::make_mut(&mut shown).attributes.get_mut(place)
            {
                let kind = lost.value.kind;
                let value = Value { kind, json: null(kind) };
                target.instances.push(Instance { value, ..lost.clone() });
            }
        }
    }
    shown
}

/// The NGSI-LD Null as the value of an attribute of this kind (CIM 009, clause 4.5.0).
fn null(kind: AttributeType) -> Json {
    match kind {
        AttributeType::LanguageProperty => Json::from(&serde_json::json!({ "@none": NULL })),
        AttributeType::Property
        | AttributeType::GeoProperty
        | AttributeType::Relationship
        | AttributeType::VocabProperty
        | AttributeType::JsonProperty
        | AttributeType::ListProperty
        | AttributeType::ListRelationship => Json::from(NULL),
    }
}

/// Lets `add` write further members into the object at the end of `out`.
fn reopen(out: &mut Vec<u8>, add: impl FnOnce(&mut Vec<u8>)) {
    if out.pop_if(|last| *last == b'}').is_some() {
        add(out);
        out.push(b'}');
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    // A vector takes every byte, and a string has no reason to fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests;
