//! From a subscription to what the API shows (CIM 009, clause 5.8.3).

use musubi_context::Context;
use musubi_model::{AttrName, EntityId, Timestamp};
use musubi_query::{Pattern, TypeSelection};
use serde_json::{Map, Value, json};

use super::Subscription;
use super::endpoint::{Accept, Endpoint};
use super::geo_query::WrittenGeoQuery;
use super::parameters::{Format, JoinWord, NotificationParameters};
use super::selector::EntitySelector;
use crate::DeliveryStatus;

/// How a subscription is to be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionView {
    /// Whether `createdAt` and `modifiedAt` are shown.
    pub system_attributes: bool,
    /// Whether it carries its `@context`, as in `application/ld+json`.
    pub context_member: bool,
}

impl Subscription {
    /// Appends the subscription to `out` as JSON, with the names of the reader's context and with
    /// what only the broker knows: its status at `now`, and how its delivery goes. Queries are
    /// shown as their author wrote them.
    #[expect(clippy::too_many_arguments, reason = "where to, for whom, when and how are as many")]
    pub fn render(
        &self,
        out: &mut Vec<u8>,
        context: &Context,
        delivery: &DeliveryStatus,
        now: Timestamp,
        view: SubscriptionView,
    ) {
        let mut members = Map::new();
        members.insert("id".into(), self.id.as_str().into());
        members.insert("type".into(), "Subscription".into());
        put(&mut members, "subscriptionName", self.name.as_deref());
        put(&mut members, "description", self.description.as_deref());
        if !self.entities.is_empty() {
            let shown = self.entities.iter().map(|selector| show_selector(selector, context));
            members.insert("entities".into(), shown.collect());
        }
        if !self.watched_attributes.is_empty() {
            let shown = show_names(&self.watched_attributes, context);
            members.insert("watchedAttributes".into(), shown);
        }
        if self.wants_changes() {
            members.insert("notificationTrigger".into(), json!(self.triggers()));
        }
        put(&mut members, "timeInterval", self.time_interval.map(show_number));
        put(&mut members, "throttling", self.throttling.map(show_number));
        put(&mut members, "silentFor", self.silent_for.as_ref().map(|it| it.as_str()));
        put(&mut members, "initialNotification", self.initial_notification);
        put(&mut members, "q", self.query.as_ref().map(|query| &*query.text));
        put(&mut members, "geoQ", self.geo_query.as_ref().map(|query| query.show(context)));
        put(&mut members, "scopeQ", self.scope_query.as_ref().map(|query| &*query.text));
        put(&mut members, "expandValues", self.expand_values.as_ref().map(|names| &*names.text));
        put(&mut members, "jsonKeys", self.json_keys.as_ref().map(|names| &*names.text));
        put(
            &mut members,
            "datasetId",
            self.datasets.as_ref().map(|it| it.names().collect::<Value>()),
        );
        put(&mut members, "lang", self.languages.as_ref().map(|it| &*it.text));
        put(&mut members, "ngsildConformance", self.conformance.as_ref().map(|it| &*it.text));
        put(&mut members, "isActive", self.is_active);
        put(&mut members, "localOnly", self.local_only);
        put(&mut members, "splitEntities", self.split_entities);
        put(&mut members, "expiresAt", self.expires_at.map(|time| time.to_string()));
        members.insert("notification".into(), self.notification.show(context, delivery));
        put(&mut members, "jsonldContext", self.context.url.as_deref());
        members.insert("status".into(), self.status(now).as_str().into());
        if view.system_attributes {
            members.insert("createdAt".into(), self.created_at.to_string().into());
            members.insert("modifiedAt".into(), self.modified_at.to_string().into());
        }
        if view.context_member {
            let member = serde_json::from_str(context.member()).unwrap_or(Value::Null);
            members.insert("@context".into(), member);
        }
        // A map of values has no reason to fail, and a vector takes every byte.
        let _ = serde_json::to_writer(out, &members);
    }
}

fn put(members: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), value.into());
    }
}

/// A number without a fraction is shown without one.
fn show_number(number: f64) -> Value {
    let shown = number.to_string();
    serde_json::from_str(&shown).unwrap_or_else(|_| json!(number))
}

fn show_names(names: &[AttrName], context: &Context) -> Value {
    names.iter().map(|name| context.compact(name.as_str())).collect()
}

fn show_selector(selector: &EntitySelector, context: &Context) -> Value {
    let mut members = Map::new();
    match &*selector.ids {
        [] => {}
        [id] => put(&mut members, "id", Some(id.as_str())),
        ids => put(&mut members, "id", Some(ids.iter().map(EntityId::as_str).collect::<Value>())),
    }
    put(&mut members, "idPattern", selector.id_pattern.as_ref().map(Pattern::as_str));
    let types = selector.types.as_ref().map_or_else(|| "*".to_owned(), |t| show_types(t, context));
    put(&mut members, "type", Some(types));
    Value::Object(members)
}

fn show_types(selection: &TypeSelection, context: &Context) -> String {
    let groups = selection.any_of.iter().map(|group| {
        let names: Vec<_> = group.iter().map(|name| context.compact(name.as_str())).collect();
        if names.len() == 1 { names.concat() } else { format!("({})", names.join(";")) }
    });
    groups.collect::<Vec<_>>().join(",")
}

impl WrittenGeoQuery {
    fn show(&self, context: &Context) -> Value {
        let mut members = Map::new();
        put(&mut members, "georel", Some(self.relation.as_str()));
        put(&mut members, "geometry", Some(self.geometry.as_str()));
        put(&mut members, "coordinates", Some(self.coordinates.to_value()));
        if self.property_given {
            let property = context.compact(self.meaning.property.as_str());
            put(&mut members, "geoproperty", Some(property));
        }
        Value::Object(members)
    }
}

impl NotificationParameters {
    fn show(&self, context: &Context, delivery: &DeliveryStatus) -> Value {
        let mut members = Map::new();
        if !self.attributes.is_empty() {
            members.insert("attributes".into(), show_names(&self.attributes, context));
        }
        put(&mut members, "pick", self.projection.pick(context));
        put(&mut members, "omit", self.projection.omit(context));
        put(&mut members, "format", self.format.map(Format::as_str));
        put(&mut members, "showChanges", self.show_changes);
        put(&mut members, "sysAttrs", self.system_attributes);
        put(&mut members, "join", self.join.map(JoinWord::as_str));
        put(&mut members, "joinLevel", self.join_level);
        members.insert("endpoint".into(), self.endpoint.show());
        put(&mut members, "status", delivery.status());
        if delivery.times_sent > 0 {
            members.insert("timesSent".into(), delivery.times_sent.into());
        }
        if delivery.times_failed > 0 {
            members.insert("timesFailed".into(), delivery.times_failed.into());
        }
        let shown = |time: Timestamp| time.to_string();
        put(&mut members, "lastNotification", delivery.last_notification.map(shown));
        put(&mut members, "lastSuccess", delivery.last_success.map(shown));
        put(&mut members, "lastFailure", delivery.last_failure.map(shown));
        Value::Object(members)
    }
}

impl Endpoint {
    fn show(&self) -> Value {
        let mut members = Map::new();
        put(&mut members, "uri", Some(self.uri.written.as_str()));
        put(&mut members, "accept", self.accept.map(Accept::as_str));
        put(&mut members, "timeout", self.timeout.map(show_number));
        put(&mut members, "cooldown", self.cooldown.map(show_number));
        let receiver_info = (!self.receiver_info.is_empty()).then(|| json!(self.receiver_info));
        put(&mut members, "receiverInfo", receiver_info);
        let settings = (!self.notifier_info.is_empty()).then(|| self.shown_notifier_info());
        put(&mut members, "notifierInfo", settings);
        Value::Object(members)
    }
}
