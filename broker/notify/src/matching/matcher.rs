//! Which change is due to which subscription: the definition.

use musubi_model::{
    AttrName, Attribute, AttributeChange, Entity, EntityChange, Timestamp, Trigger,
};
use musubi_query::{LinkedEntities, NoLinkedEntities};

use crate::{Status, Subscription};

/// Whether a change at `time` is to be notified to the subscription (CIM 009, clause 5.8.6), where
/// nothing is known of the entities that its entity is linked with. Says nothing about throttling,
/// which depends on what was due before.
///
/// - The subscription is active at that time, and waits for changes: one with `timeInterval` or
///   `silentFor` does not.
/// - The change is one that the subscription watches for: one of its triggers happened, to one of
///   the watched attributes if it names any. `entityUpdated` means any of the attribute triggers.
/// - The entity satisfies one of the selectors, the query, the geo query and the scope query; as
///   it is after the change, or if it is gone, as it was. A `datasetId` does not count: it limits
///   what a notification includes.
pub fn match_subscription(
    subscription: &Subscription,
    change: &EntityChange,
    time: Timestamp,
) -> bool {
    match_among(subscription, change, time, &NoLinkedEntities)
}

/// As [`match_subscription`], in these surroundings.
pub fn match_among(
    subscription: &Subscription,
    change: &EntityChange,
    time: Timestamp,
    linked: &dyn LinkedEntities,
) -> bool {
    unmet(subscription, change, time, linked).is_none()
}

/// A condition on which a change is due, by the member of the subscription that sets it; in the
/// order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unmet {
    /// It is not active.
    Status,
    /// It fires when its interval has passed.
    TimeInterval,
    /// It fires when nothing changes.
    SilentFor,
    WatchedAttributes,
    NotificationTrigger,
    Entities,
    Query,
    GeoQuery,
    ScopeQuery,
}

/// The first condition on which the change would be due and that does not hold.
pub(crate) fn unmet(
    subscription: &Subscription,
    change: &EntityChange,
    time: Timestamp,
    linked: &dyn LinkedEntities,
) -> Option<Unmet> {
    if subscription.status(time) != Status::Active {
        Some(Unmet::Status)
    } else if subscription.time_interval().is_some() {
        Some(Unmet::TimeInterval)
    } else if subscription.silent_for().is_some() {
        Some(Unmet::SilentFor)
    } else if !is_watched(subscription, change) {
        Some(Unmet::WatchedAttributes)
    } else if !is_triggered(subscription, change) {
        Some(Unmet::NotificationTrigger)
    } else {
        unselected(subscription, change, linked)
    }
}

/// The first condition on which the change would be a sign of life to a subscription with
/// `silentFor`, and that does not hold.
pub(crate) fn unconcerned(
    subscription: &Subscription,
    change: &EntityChange,
    time: Timestamp,
    linked: &dyn LinkedEntities,
) -> Option<Unmet> {
    if subscription.status(time) != Status::Active {
        Some(Unmet::Status)
    } else if subscription.silent_for().is_none() {
        Some(Unmet::SilentFor)
    } else if !is_watched(subscription, change) {
        Some(Unmet::WatchedAttributes)
    } else {
        unselected(subscription, change, linked)
    }
}

/// The entity after the change, or if it is gone, before it.
pub(crate) fn image(change: &EntityChange) -> Option<&Entity> {
    change.after.as_deref().or(change.before.as_deref())
}

fn unselected(
    subscription: &Subscription,
    change: &EntityChange,
    linked: &dyn LinkedEntities,
) -> Option<Unmet> {
    let Some(entity) = image(change).filter(|entity| is_selected(subscription, entity)) else {
        return Some(Unmet::Entities);
    };
    let (query, geo_query) = (&subscription.query, &subscription.geo_query);
    let scope_query = &subscription.scope_query;
    if query.as_ref().is_some_and(|query| !query.meaning.matches_among(entity, linked)) {
        Some(Unmet::Query)
    } else if geo_query.as_ref().is_some_and(|query| !query.meaning.matches(entity)) {
        Some(Unmet::GeoQuery)
    } else if scope_query.as_ref().is_some_and(|query| !query.meaning.matches(&entity.scopes)) {
        Some(Unmet::ScopeQuery)
    } else {
        None
    }
}

fn is_selected(subscription: &Subscription, entity: &Entity) -> bool {
    subscription.entities.is_empty()
        || subscription.entities.iter().any(|selector| selector.selects(entity))
}

fn is_watched(subscription: &Subscription, change: &EntityChange) -> bool {
    let watched = &subscription.watched_attributes;
    watched.is_empty() || change.changed.iter().any(|name| watched.contains(name))
}

/// Whether one of the triggers happened, of attributes to a watched one.
fn is_triggered(subscription: &Subscription, change: &EntityChange) -> bool {
    let watched = &subscription.watched_attributes;
    let mut seen =
        change.changed.iter().filter(|name| watched.is_empty() || watched.contains(name));
    let triggers = subscription.triggers();
    triggers.contains(&change.entity_trigger()) && is_whole(change)
        || seen.any(|name| happened(change, name).any(|what| fires(triggers, what)))
}

/// What happened to an attribute that the change touched. Of one that was there and is there,
/// instances may have come and gone besides, each with a data set of its own.
fn happened<'c>(
    change: &'c EntityChange,
    name: &AttrName,
) -> impl Iterator<Item = AttributeChange> + use<'c> {
    let find = |entity: Option<&'c Entity>| entity.and_then(|entity| entity.attribute(name));
    let lacks = |one: &Attribute, other: &Attribute| {
        one.instances.iter().any(|instance| other.instance(instance.dataset_id()).is_none())
    };
    let (came, went) = match (find(change.before.as_deref()), find(change.after.as_deref())) {
        (Some(before), Some(after)) => (lacks(after, before), lacks(before, after)),
        (_, _) => (false, false),
    };
    let came = came.then_some(AttributeChange::Created);
    let went = went.then_some(AttributeChange::Deleted);
    change.attribute(name).into_iter().chain(came).chain(went)
}

/// Whether the change is the entity's coming or going. That it was updated is told by its
/// attributes.
fn is_whole(change: &EntityChange) -> bool {
    match change.entity_trigger() {
        Trigger::EntityCreated | Trigger::EntityDeleted => true,
        Trigger::EntityUpdated
        | Trigger::AttributeCreated
        | Trigger::AttributeUpdated
        | Trigger::AttributeDeleted => false,
    }
}

fn fires(triggers: &[Trigger], what: AttributeChange) -> bool {
    let trigger = match what {
        AttributeChange::Created => Trigger::AttributeCreated,
        AttributeChange::Updated => Trigger::AttributeUpdated,
        AttributeChange::Deleted => Trigger::AttributeDeleted,
    };
    triggers.contains(&trigger) || triggers.contains(&Trigger::EntityUpdated)
}

#[cfg(test)]
mod tests;
