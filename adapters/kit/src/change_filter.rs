//! What is worth a write: a pure comparison of what a source says with what the broker has.

use std::time::Duration;

use musubi_model::{
    AttrName, Attribute, AttributeFragment, Entity, EntityFragment, FragmentValue, Instance,
    InstanceFragment, Json, JsonKind, Patch, Timestamp, Value,
};
use serde_json::Value as Tree;

/// Leaves out what the broker has already.
///
/// An attribute instance is the same if its kind, value, unit, value type, object type and
/// sub-attributes are; `observedAt` does not count. Numbers are compared as numbers, so `20` and
/// `20.0` are the same. An attribute of the ignored names is written only along with another.
///
/// Once the heartbeat has passed since the broker's instance was observed (or, without
/// `observedAt`, modified), the same value is written again, so that a history has no holes.
/// Only what carries an `observedAt`, or has no observed companion in its fragment, takes part.
///
/// A value that is older than the one in the broker (its `observedAt` is earlier) is late and
/// left out: retries and shared subscriptions deliver out of order, and the newest observation
/// has to win.
#[derive(Clone, Debug, Default)]
pub struct ChangeFilter {
    ignore: Vec<AttrName>,
    heartbeat: Option<Duration>,
}

/// What is left of a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// This has to be written.
    Write(EntityFragment),
    /// The broker has all of it.
    Unchanged,
    /// The broker has something newer, or the same, for all of it.
    Late,
}

/// What one instance means for the broker.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Changed,
    Same,
    Due,
    Late,
}

impl ChangeFilter {
    /// A filter that ignores these attributes and writes the same value again after `heartbeat`
    /// (never, if none).
    pub fn new(ignore: Vec<AttrName>, heartbeat: Option<Duration>) -> Self {
        Self { ignore, heartbeat }
    }

    /// What of `fragment` has to be written to the entity as it is now.
    pub fn filter(
        &self,
        current: Option<&Entity>,
        mut fragment: EntityFragment,
        now: Timestamp,
    ) -> Filtered {
        let Some(current) = current else {
            drop_nulls(&mut fragment);
            return Filtered::Write(fragment);
        };
        let entity_changed = entity_differs(current, &fragment);
        let observes = fragment.attributes.iter().flat_map(|attribute| &attribute.instances);
        let any_observed =
            observes.clone().any(|instance| matches!(instance.observed_at, Patch::Set(_)));
        let mut late = false;
        let mut wanted = entity_changed;
        fragment.attributes.retain_mut(|attribute| {
            let ignored = self.ignore.contains(&attribute.name);
            let stored = current.attribute(&attribute.name);
            attribute.instances.retain(|instance| {
                let beats = !any_observed || matches!(instance.observed_at, Patch::Set(_));
                match self.verdict(stored, instance, now) {
                    Verdict::Changed => {
                        wanted |= !ignored;
                        true
                    }
                    Verdict::Due if beats => {
                        wanted |= !ignored;
                        true
                    }
                    Verdict::Due | Verdict::Same => false,
                    Verdict::Late => {
                        late = true;
                        false
                    }
                }
            });
            !attribute.instances.is_empty()
        });
        match (wanted, late) {
            (true, _) => Filtered::Write(fragment),
            (false, true) => Filtered::Late,
            (false, false) => Filtered::Unchanged,
        }
    }

    fn verdict(
        &self,
        stored: Option<&Attribute>,
        fragment: &InstanceFragment,
        now: Timestamp,
    ) -> Verdict {
        let dataset = fragment.dataset_id.as_ref();
        let Some(stored) = stored.and_then(|attribute| attribute.instance(dataset)) else {
            // To delete what is not there changes nothing.
            let deletes = matches!(fragment.value, Some(FragmentValue::Null));
            return if deletes { Verdict::Same } else { Verdict::Changed };
        };
        if let (Patch::Set(observed), Some(known)) = (&fragment.observed_at, stored.observed_at)
            && *observed < known
        {
            return Verdict::Late;
        }
        if !same_instance(stored, fragment) {
            return Verdict::Changed;
        }
        let since = stored.observed_at.unwrap_or(stored.modified_at);
        let until = match &fragment.observed_at {
            Patch::Set(observed) => *observed,
            Patch::Keep | Patch::Remove => now,
        };
        match self.heartbeat {
            Some(heartbeat) if elapsed(since, until) >= heartbeat => Verdict::Due,
            Some(_) | None => Verdict::Same,
        }
    }
}

/// To delete what is not there changes nothing.
fn drop_nulls(fragment: &mut EntityFragment) {
    fragment.attributes.retain_mut(|attribute| {
        attribute.instances.retain(|instance| !matches!(instance.value, Some(FragmentValue::Null)));
        !attribute.instances.is_empty()
    });
}

fn elapsed(since: Timestamp, until: Timestamp) -> Duration {
    let micros = until.as_micros().saturating_sub(since.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Whether anything but attributes would change.
fn entity_differs(current: &Entity, fragment: &EntityFragment) -> bool {
    let types = fragment.types.iter().any(|name| !current.types.contains(name));
    let scopes = match &fragment.scopes {
        Patch::Keep => false,
        Patch::Remove => !current.scopes.is_empty(),
        Patch::Set(scopes) => scopes.iter().any(|scope| !current.scopes.contains(scope)),
    };
    types || scopes || differs(&fragment.expires_at, current.expires_at.as_ref())
}

fn differs<T: PartialEq>(patch: &Patch<T>, current: Option<&T>) -> bool {
    match patch {
        Patch::Keep => false,
        Patch::Remove => current.is_some(),
        Patch::Set(value) => current != Some(value),
    }
}

/// Whether the broker's instance says what the fragment says, `observedAt` left aside. A member
/// that the fragment does not mention would be gone after the write, so it has to be absent.
fn same_instance(stored: &Instance, fragment: &InstanceFragment) -> bool {
    let qualifiers = stored.qualifiers.as_deref();
    let stays = |given: Option<&str>, patch: &Patch<std::sync::Arc<str>>| match patch {
        Patch::Set(value) => given == Some(&**value),
        Patch::Keep | Patch::Remove => given.is_none(),
    };
    let object_type = qualifiers.map_or(&[][..], |found| &found.object_type);
    let same_object_type = match &fragment.object_type {
        Patch::Set(types) => types == object_type,
        Patch::Keep | Patch::Remove => object_type.is_empty(),
    };
    same_value(&stored.value, fragment.value.as_ref())
        && stays(stored.unit_code(), &fragment.unit_code)
        && stays(qualifiers.and_then(|found| found.value_type.as_deref()), &fragment.value_type)
        && !differs(&fragment.expires_at, stored.expires_at().as_ref())
        && same_object_type
        && same_attributes(stored.attributes(), &fragment.attributes)
}

fn same_attributes(stored: &[Attribute], fragment: &[AttributeFragment]) -> bool {
    stored.len() == fragment.len()
        && fragment.iter().all(|attribute| {
            stored.iter().find(|other| other.name == attribute.name).is_some_and(|other| {
                other.instances.len() == attribute.instances.len()
                    && attribute.instances.iter().all(|instance| {
                        other
                            .instance(instance.dataset_id.as_ref())
                            .is_some_and(|found| same_instance(found, instance))
                    })
            })
        })
}

fn same_value(stored: &Value, fragment: Option<&FragmentValue>) -> bool {
    match fragment {
        None => true,
        Some(FragmentValue::Null) => false,
        Some(FragmentValue::Typed(value)) => {
            value.kind == stored.kind && same_json(&value.json, &stored.json)
        }
        Some(FragmentValue::Simplified(json)) => same_json(json, &stored.json),
    }
}

fn same_json(one: &Json, other: &Json) -> bool {
    if one == other {
        return true;
    }
    match (one.kind(), other.kind()) {
        (JsonKind::Number, JsonKind::Number)
        | (JsonKind::Array, JsonKind::Array)
        | (JsonKind::Object, JsonKind::Object)
        // The same text may be escaped in two ways.
        | (JsonKind::String, JsonKind::String) => same_tree(&one.to_value(), &other.to_value()),
        _ => false,
    }
}

/// Whether two JSON values are the same, numbers compared as numbers.
pub(crate) fn same_tree(one: &Tree, other: &Tree) -> bool {
    match (one, other) {
        (Tree::Number(one), Tree::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Tree::Array(one), Tree::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| same_tree(one, other))
        }
        (Tree::Object(one), Tree::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, value)| other.get(key).is_some_and(|found| same_tree(value, found)))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests;
