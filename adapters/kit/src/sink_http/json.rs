//! Entities as normalized NGSI-LD with expanded names, out and in.

use musubi_context::{Context, expand_entity};
use musubi_model::{
    AttrName, Attribute, AttributeFragment, AttributeType, DatasetId, Entity, EntityFragment,
    FragmentValue, InstanceFragment, Limits, Node, Patch, Timestamp, Value as Typed,
};
use serde_json::{Map, Value, json};

const SYSTEM: [&str; 2] = ["createdAt", "modifiedAt"];

/// A fragment as an entity of a batch, without what is to be deleted.
pub(crate) fn fragment(fragment: &EntityFragment) -> Value {
    let mut entity = Map::new();
    if let Some(id) = &fragment.id {
        entity.insert("id".to_owned(), Value::from(id.as_str()));
    }
    match fragment.types.as_slice() {
        [] => {}
        [single] => {
            entity.insert("type".to_owned(), Value::from(single.as_str()));
        }
        several => {
            let names = several.iter().map(|name| Value::from(name.as_str())).collect();
            entity.insert("type".to_owned(), Value::Array(names));
        }
    }
    if let Patch::Set(scopes) = &fragment.scopes {
        let scopes = scopes.iter().map(|scope| Value::from(scope.as_str())).collect();
        entity.insert("scope".to_owned(), Value::Array(scopes));
    }
    if let Patch::Set(expires) = &fragment.expires_at {
        entity.insert("expiresAt".to_owned(), Value::from(expires.to_string()));
    }
    attributes(&mut entity, &fragment.attributes);
    Value::Object(entity)
}

fn attributes(into: &mut Map<String, Value>, from: &[AttributeFragment]) {
    for attribute in from {
        let mut instances: Vec<Value> = attribute.instances.iter().filter_map(instance).collect();
        let value = match (instances.pop(), instances.is_empty()) {
            (None, _) => continue,
            (Some(single), true) => single,
            (Some(last), false) => {
                instances.push(last);
                Value::Array(instances)
            }
        };
        into.insert(attribute.name.to_string(), value);
    }
}

/// None for an instance that is to be deleted.
fn instance(from: &InstanceFragment) -> Option<Value> {
    let mut members = Map::new();
    match &from.value {
        Some(FragmentValue::Null) => return None,
        Some(FragmentValue::Typed(value)) => {
            members.insert("type".to_owned(), Value::from(value.kind.as_str()));
            members.insert(value.kind.member().to_owned(), typed(value));
        }
        Some(FragmentValue::Simplified(value)) => {
            members.insert("value".to_owned(), value.to_value());
        }
        None => {}
    }
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), Value::String(value));
        }
    };
    set("datasetId", from.dataset_id.as_ref().map(ToString::to_string));
    set("observedAt", given(&from.observed_at));
    set("unitCode", given(&from.unit_code));
    set("expiresAt", given(&from.expires_at));
    set("valueType", given(&from.value_type));
    if let Patch::Set(types) = &from.object_type {
        let names = types.iter().map(|name| Value::from(name.as_str())).collect();
        members.insert("objectType".to_owned(), Value::Array(names));
    }
    attributes(&mut members, &from.attributes);
    Some(Value::Object(members))
}

fn given<T: ToString>(patch: &Patch<T>) -> Option<String> {
    match patch {
        Patch::Set(value) => Some(value.to_string()),
        Patch::Keep | Patch::Remove => None,
    }
}

fn typed(value: &Typed) -> Value {
    let json = value.json.to_value();
    match (value.kind, json) {
        // Held as plain URIs.
        (AttributeType::ListRelationship, Value::Array(targets)) => {
            targets.into_iter().map(|target| json!({ "object": target })).collect()
        }
        (_, json) => json,
    }
}

/// The attribute instances that are to be deleted.
pub(super) fn nulls(fragment: &EntityFragment) -> Vec<(&AttrName, Option<&DatasetId>)> {
    let instances = fragment.attributes.iter().flat_map(|attribute| {
        attribute.instances.iter().map(move |instance| (&attribute.name, instance))
    });
    instances
        .filter(|(_, instance)| matches!(instance.value, Some(FragmentValue::Null)))
        .map(|(name, instance)| (name, instance.dataset_id.as_ref()))
        .collect()
}

/// An entity of an answer, in the core context and with its system attributes.
///
/// The error is a sentence.
pub(super) fn entity(mut json: Value, now: Timestamp) -> Result<Entity, String> {
    let context = Context::core();
    let times = json.as_object_mut().map(take_times).unwrap_or_default();
    let mut modified = Vec::new();
    if let Some(members) = json.as_object_mut() {
        for (name, value) in members.iter_mut() {
            strip(name, value, &mut modified);
        }
    }
    let text = json.to_string();
    let node = Node::parse(&text, Limits::default()).map_err(|error| error.to_string())?;
    let fragment = expand_entity(&node, &context).map_err(|error| error.to_string())?;
    let mut entity =
        Entity::create(fragment, times.1.unwrap_or(now)).map_err(|error| error.to_string())?;
    entity.created_at = times.0.unwrap_or(entity.created_at);
    for (term, dataset, created_at, modified_at) in modified {
        let Ok(name) = context.attribute(&term) else { continue };
        let of_name = |attribute: &&mut Attribute| attribute.name == name;
        let attribute = entity.attributes.iter_mut().find(of_name);
        let instances = attribute.into_iter().flat_map(|attribute| &mut attribute.instances);
        for found in instances {
            if found.dataset_id().map(DatasetId::as_str) == dataset.as_deref() {
                found.created_at = created_at.unwrap_or(found.created_at);
                found.modified_at = modified_at.unwrap_or(found.modified_at);
            }
        }
    }
    Ok(entity)
}

type Times = (Option<Timestamp>, Option<Timestamp>);

fn take_times(members: &mut Map<String, Value>) -> Times {
    let [created, modified] = SYSTEM.map(|name| {
        members.shift_remove(name).and_then(|time| time.as_str().and_then(|text| text.parse().ok()))
    });
    (created, modified)
}

type Modified = (String, Option<String>, Option<Timestamp>, Option<Timestamp>);

/// Takes the system attributes out of an attribute and what is in it, and notes those of the
/// attribute itself.
fn strip(name: &str, value: &mut Value, modified: &mut Vec<Modified>) {
    match value {
        Value::Array(items) => {
            for item in items {
                strip(name, item, modified);
            }
        }
        Value::Object(members) if is_attribute(members) => {
            let (created_at, modified_at) = take_times(members);
            let dataset = members.get("datasetId").and_then(Value::as_str).map(str::to_owned);
            modified.push((name.to_owned(), dataset, created_at, modified_at));
            for (inner, value) in members.iter_mut() {
                strip(inner, value, &mut Vec::new());
            }
        }
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_attribute(members: &Map<String, Value>) -> bool {
    let kind = members.get("type").and_then(Value::as_str).and_then(AttributeType::from_name);
    kind.is_some_and(|kind| members.contains_key(kind.member()))
}
