//! Which change is due to which subscription: the definition.

use musubi_model::{AttributeChange, Entity, EntityChange, Timestamp, Trigger};

use crate::{Status, Subscription};

/// Whether a change at `time` is to be notified to the subscription (CIM 009, clause 5.8.6). Says
/// nothing about throttling, which depends on what was due before.
///
/// - The subscription is active at that time.
/// - The change is one that the subscription watches for: one of its triggers happened, to one of
///   the watched attributes if it names any. `entityUpdated` means any of the attribute triggers.
/// - The entity satisfies one of the selectors, the query, the geo query and the scope query; as
///   it is after the change, or if it is gone, as it was.
pub fn match_subscription(
    subscription: &Subscription,
    change: &EntityChange,
    time: Timestamp,
) -> bool {
    let Some(entity) = image(change) else { return false };
    subscription.status(time) == Status::Active
        && is_triggered(subscription, change)
        && is_selected(subscription, entity)
        && subscription.query.as_ref().is_none_or(|query| query.meaning.matches(entity))
        && subscription.geo_query.as_ref().is_none_or(|query| query.meaning.matches(entity))
        && subscription
            .scope_query
            .as_ref()
            .is_none_or(|query| query.meaning.matches(&entity.scopes))
}

/// The entity after the change, or if it is gone, before it.
pub(crate) fn image(change: &EntityChange) -> Option<&Entity> {
    change.after.as_deref().or(change.before.as_deref())
}

fn is_selected(subscription: &Subscription, entity: &Entity) -> bool {
    subscription.entities.is_empty()
        || subscription.entities.iter().any(|selector| selector.selects(entity))
}

fn is_triggered(subscription: &Subscription, change: &EntityChange) -> bool {
    let watched = &subscription.watched_attributes;
    let watches_all = watched.is_empty();
    let mut seen = change.changed.iter().filter(|name| watches_all || watched.contains(name));
    let is_touched = watches_all || seen.clone().next().is_some();
    let triggers = subscription.triggers();
    triggers.contains(&change.entity_trigger()) && is_touched && is_whole(change)
        || seen.any(|name| change.attribute(name).is_some_and(|what| fires(triggers, what)))
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
