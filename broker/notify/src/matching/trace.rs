//! Why a change is not due to a subscription.

use musubi_context::Context;
use musubi_model::{AttrName, AttributeChange, Entity, EntityChange, Tenant, Timestamp, Trigger};
use musubi_query::{LinkedEntities, TypeSelection};
use musubi_store::{Store, StoreError};

use crate::matching::linked::among_linked;
use crate::matching::matcher::{Unmet, image, unmet};
use crate::subscription::selector::EntitySelector;
use crate::{Status, Subscription};

mod query;

/// The first condition on which a change would have been due to a subscription, and that does not
/// hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// The member of the subscription that sets the condition; `status` if it is not active.
    pub member: &'static str,
    /// A sentence with what was asked and what was found. Names are those of the subscription's
    /// context.
    pub reason: String,
}

/// What is in the way of a change at `time` being due to the subscription; none if it is due.
///
/// # Errors
///
/// [`StoreError`] if the answer depends on linked entities and the store does not give them.
pub async fn hindrance(
    store: &dyn Store,
    tenant: &Tenant,
    subscription: &Subscription,
    change: &EntityChange,
    time: Timestamp,
) -> Result<Option<Hindrance>, StoreError> {
    among_linked(store, tenant, time, |linked| hindrance_among(subscription, change, time, linked))
        .await
}

/// As [`hindrance`], in these surroundings.
pub(crate) fn hindrance_among(
    subscription: &Subscription,
    change: &EntityChange,
    time: Timestamp,
    linked: &dyn LinkedEntities,
) -> Option<Hindrance> {
    let unmet = unmet(subscription, change, time, linked)?;
    let context = subscription.context().unwrap_or_else(|_| Context::core());
    let trace = Trace { subscription, change, time, names: Names(&context) };
    let (member, reason) = trace.explain(unmet, linked);
    Some(Hindrance { member, reason })
}

/// What happened to an attribute, by the word for it in `notificationTrigger`.
pub fn attribute_word(change: &EntityChange, name: &AttrName) -> &'static str {
    change.attribute(name).map_or("nothing", |what| {
        trigger_word(match what {
            AttributeChange::Created => Trigger::AttributeCreated,
            AttributeChange::Updated => Trigger::AttributeUpdated,
            AttributeChange::Deleted => Trigger::AttributeDeleted,
        })
    })
}

/// The word for a trigger in `notificationTrigger`.
pub fn trigger_word(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::EntityCreated => "entityCreated",
        Trigger::EntityUpdated => "entityUpdated",
        Trigger::EntityDeleted => "entityDeleted",
        Trigger::AttributeCreated => "attributeCreated",
        Trigger::AttributeUpdated => "attributeUpdated",
        Trigger::AttributeDeleted => "attributeDeleted",
    }
}

/// Names as the reader has them.
#[derive(Clone, Copy)]
struct Names<'a>(&'a Context);

impl Names<'_> {
    fn of(self, iri: &str) -> String {
        self.0.compact(iri).into_owned()
    }

    /// Names one after the other; "nothing" if there are none.
    fn list<'n>(self, names: impl IntoIterator<Item = &'n str>) -> String {
        listed(names.into_iter().map(|name| self.of(name)), ", ", "nothing")
    }
}

struct Trace<'a> {
    subscription: &'a Subscription,
    change: &'a EntityChange,
    time: Timestamp,
    names: Names<'a>,
}

impl Trace<'_> {
    fn explain(&self, unmet: Unmet, linked: &dyn LinkedEntities) -> (&'static str, String) {
        match unmet {
            Unmet::Status => ("status", self.status()),
            Unmet::TimeInterval => ("timeInterval", self.time_interval()),
            Unmet::SilentFor => ("silentFor", self.silent_for()),
            Unmet::WatchedAttributes => ("watchedAttributes", self.watched_attributes()),
            Unmet::NotificationTrigger => ("notificationTrigger", self.triggers()),
            Unmet::Entities => ("entities", self.entities()),
            Unmet::Query => ("q", self.query(linked)),
            Unmet::GeoQuery => ("geoQ", self.geo_query()),
            Unmet::ScopeQuery => ("scopeQ", self.scope_query()),
        }
    }

    fn status(&self) -> String {
        let at = self.time;
        match (self.subscription.status(at), self.subscription.expires_at) {
            (Status::Expired, Some(end)) => {
                format!("the subscription expired at {end}, and the change happened at {at}")
            }
            (Status::Active | Status::Paused | Status::Expired, _) => {
                "the subscription is paused: its isActive is false".to_owned()
            }
        }
    }

    fn time_interval(&self) -> String {
        let seconds = self.subscription.time_interval().unwrap_or_default().as_secs_f64();
        format!("it fires every {seconds} s, and does not fire on changes")
    }

    fn silent_for(&self) -> String {
        let seconds = self.subscription.silent_for().unwrap_or_default().as_secs_f64();
        format!(
            "it fires when an entity has not changed for {seconds} s and when it returns, and does \
             not fire on changes"
        )
    }

    fn watched_attributes(&self) -> String {
        let changed = self.names.list(self.change.changed.iter().map(AttrName::as_str));
        let watched = &self.subscription.watched_attributes;
        let watched = self.names.list(watched.iter().map(AttrName::as_str));
        format!("what changed is {changed}, and what is watched is {watched}")
    }

    fn triggers(&self) -> String {
        let watched = &self.subscription.watched_attributes;
        let seen = self.change.changed.iter();
        let seen = seen.filter(|name| watched.is_empty() || watched.contains(name)).map(|name| {
            format!("{} of {}", attribute_word(self.change, name), self.names.of(name.as_str()))
        });
        let entity = trigger_word(self.change.entity_trigger()).to_owned();
        let happened = listed([entity].into_iter().chain(seen), ", ", "nothing");
        let triggers = self.subscription.triggers().iter().map(|it| trigger_word(*it).to_owned());
        let triggers = listed(triggers, ", ", "nothing");
        format!("what happened is {happened}, and it fires on {triggers}")
    }

    fn entities(&self) -> String {
        let Some(entity) = image(self.change) else {
            return "nothing is known of the entity".to_owned();
        };
        let types = self.names.list(entity.types.iter().map(musubi_model::TypeName::as_str));
        let selectors = self.subscription.entities.iter().map(|it| self.selector(it));
        let selectors = listed(selectors, " or ", "nothing");
        format!(
            "the entity is {} of type {types}, and what is subscribed to is {selectors}",
            entity.id
        )
    }

    fn selector(&self, selector: &EntitySelector) -> String {
        let types = selector.types.as_ref().map(|types| self.types(types));
        let which = match (&*selector.ids, &selector.id_pattern) {
            ([], None) => "any entity".to_owned(),
            ([], Some(pattern)) => format!("an id like {}", pattern.as_str()),
            (ids, _) => listed(ids.iter().map(ToString::to_string), " or ", "nothing"),
        };
        types.map_or_else(|| which.clone(), |types| format!("{which} of type {types}"))
    }

    fn types(&self, types: &TypeSelection) -> String {
        let groups = types.any_of.iter().map(|group| {
            listed(group.iter().map(|name| self.names.of(name.as_str())), " and ", "any")
        });
        listed(groups, " or ", "none")
    }

    fn query(&self, linked: &dyn LinkedEntities) -> String {
        match (&self.subscription.query, image(self.change)) {
            (Some(query), Some(entity)) => {
                query::hindrance(&query.meaning, entity, linked, self.names)
            }
            _ => String::new(),
        }
    }

    fn geo_query(&self) -> String {
        let (Some(query), Some(entity)) = (&self.subscription.geo_query, image(self.change)) else {
            return String::new();
        };
        let asked =
            format!("{} of {} {}", query.relation, query.geometry, query.coordinates.as_str());
        let property = &query.meaning.property;
        let found = geometries(entity, property);
        let name = self.names.of(property.as_str());
        if found.is_empty() {
            return format!("{} does not hold: the entity has no {name}", shortened(asked));
        }
        let found = listed(found, ", ", "nothing");
        format!("{} does not hold: {name} is {found}", shortened(asked))
    }

    fn scope_query(&self) -> String {
        let (Some(query), Some(entity)) = (&self.subscription.scope_query, image(self.change))
        else {
            return String::new();
        };
        let scopes = entity.scopes.iter().map(ToString::to_string);
        let scopes = listed(scopes, ", ", "nothing");
        format!("{} does not hold: the scope is {scopes}", shortened(query.text.clone()))
    }
}

fn geometries(entity: &Entity, property: &AttrName) -> Vec<String> {
    let instances = entity.attribute(property).map(|attribute| attribute.instances.iter());
    instances.into_iter().flatten().map(|it| it.value.json.as_str().to_owned()).collect()
}

/// The most of anything that a sentence lists.
const MAX_LISTED: usize = 10;

/// The most characters of one thing in a sentence.
const MAX_SHOWN: usize = 200;

/// Texts one after the other, as many as fit into a sentence; `none` if there are none.
fn listed(texts: impl IntoIterator<Item = String>, separator: &str, none: &str) -> String {
    let mut texts = texts.into_iter();
    let mut shown: Vec<String> = texts.by_ref().take(MAX_LISTED).map(shortened).collect();
    if texts.next().is_some() {
        shown.push("…".to_owned());
    }
    if shown.is_empty() { none.to_owned() } else { shown.join(separator) }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => text,
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
