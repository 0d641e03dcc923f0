//! What is told of a change: the entity after it, and what it took away (CIM 009, clause 5.8.6).

use std::sync::Arc;

use musubi_model::{
    AttrName, Attribute, Entity, EntityChange, Instance, Json, NULL, Qualifiers, Timestamp,
    Trigger, Value,
};
use musubi_view::{InstanceMark, Marks};

use super::Item;
use crate::engine::applied::Applied;

/// What is told of a change that happened at `time`; none of one that is about nothing.
pub(super) fn told(applied: &Applied, change: &EntityChange, time: Timestamp) -> Option<Item> {
    let shown = |entity: &Arc<Entity>| applied.look.entity(entity, &applied.context);
    let telling = Telling { show_changes: applied.look.show_changes, time };
    match (&change.after, &change.before) {
        (Some(after), Some(before)) => Some(telling.changed(&shown(after), &shown(before))),
        (Some(after), None) => Some((shown(after), None)),
        (None, Some(before)) => {
            let before = shown(before);
            Some(telling.deleted(&before, |name| telling.show_changes || tells(applied, name)))
        }
        (None, None) => None,
    }
}

/// Whether a subscriber is told that this attribute went with its entity: whoever asked for
/// deletions of attributes is, of those that are watched.
fn tells(applied: &Applied, name: &AttrName) -> bool {
    let subscription = &applied.subscription;
    let triggers = subscription.triggers();
    let watched = &subscription.watched_attributes;
    (triggers.contains(&Trigger::AttributeDeleted) || triggers.contains(&Trigger::EntityUpdated))
        && (watched.is_empty() || watched.contains(name))
}

#[derive(Clone, Copy)]
struct Telling {
    show_changes: bool,
    time: Timestamp,
}

impl Telling {
    /// Of an entity that is there: what it lost, and what was there before.
    fn changed(self, after: &Arc<Entity>, before: &Entity) -> Item {
        let mut marks = Marks::default();
        let mut shown = Arc::clone(after);
        for earlier in &before.attributes {
            let Some(place) = after.attributes.iter().position(|it| it.name == earlier.name) else {
                let (attribute, gone) = self.gone(earlier);
                Arc::make_mut(&mut shown).attributes.push(attribute);
                marks.attributes.insert(earlier.name.clone(), gone);
                continue;
            };
            let Some(now) = after.attributes.get(place) else { continue };
            let mut told = Vec::new();
            for instance in &earlier.instances {
                match now.instance(instance.dataset_id()) {
                    None => {
                        told.push(self.gone_mark(instance));
                        if let Some(target) = Arc::make_mut(&mut shown).attributes.get_mut(place) {
                            target.instances.push(emptied(instance));
                        }
                    }
                    Some(current) if self.show_changes && current != instance => {
                        told.push(InstanceMark {
                            dataset: instance.dataset_id().cloned(),
                            deleted_at: None,
                            previous: Some(instance.value.clone()),
                        });
                    }
                    Some(_) => {}
                }
            }
            if !told.is_empty() {
                marks.attributes.insert(earlier.name.clone(), told);
            }
        }
        let nothing = marks.attributes.is_empty();
        (shown, (!nothing).then_some(marks))
    }

    /// Of an entity that is gone: when, and which of its attributes went with it.
    fn deleted(self, before: &Entity, tells: impl Fn(&AttrName) -> bool) -> Item {
        let mut marks = Marks { deleted_at: Some(self.time), ..Marks::default() };
        let mut attributes = Vec::new();
        for earlier in before.attributes.iter().filter(|earlier| tells(&earlier.name)) {
            let (attribute, gone) = self.gone(earlier);
            attributes.push(attribute);
            marks.attributes.insert(earlier.name.clone(), gone);
        }
        let shown = Entity { scopes: Vec::new(), attributes, ..before.clone() };
        (Arc::new(shown), Some(marks))
    }

    /// What stands in the place of a deleted attribute. Its default instance stands for all of
    /// them, unless there is something to say of each.
    fn gone(self, attribute: &Attribute) -> (Attribute, Vec<InstanceMark>) {
        let instances: Vec<&Instance> = match attribute.default_instance() {
            Some(instance) if !self.show_changes => vec![instance],
            Some(_) | None => attribute.instances.iter().collect(),
        };
        let marks = instances.iter().map(|instance| self.gone_mark(instance)).collect();
        let instances = instances.into_iter().map(emptied).collect();
        (Attribute { name: attribute.name.clone(), instances }, marks)
    }

    fn gone_mark(self, instance: &Instance) -> InstanceMark {
        InstanceMark {
            dataset: instance.dataset_id().cloned(),
            deleted_at: Some(self.time),
            previous: self.show_changes.then(|| instance.value.clone()),
        }
    }
}

/// What is left of a deleted instance: its place, and when it was.
fn emptied(instance: &Instance) -> Instance {
    let qualifiers = instance.dataset_id().map(|dataset| {
        Box::new(Qualifiers { dataset_id: Some(dataset.clone()), ..Qualifiers::default() })
    });
    let value = Value { kind: instance.value.kind, json: Json::from(NULL) };
    Instance { value, observed_at: None, qualifiers, ..instance.clone() }
}
