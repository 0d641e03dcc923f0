//! The values at a path.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use musubi_model::{
    AttrName, AttributeType, Document, Entity, EntityId, Instance, Json, JsonKind, Limits, NGSI_LD,
    Node, Timestamp, Value,
};

use super::{AttributePath, Link};
use crate::LinkedEntities;

/// A value that a path leads to.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Number(f64),
    Text(Cow<'a, str>),
    Boolean(bool),
    /// The value of a system attribute.
    Time(Timestamp),
    /// The target of a relationship.
    Target(String),
    /// An expanded term.
    Term(String),
    /// The elements of an array.
    Elements(Vec<Found<'a>>),
    /// The texts of several languages.
    Languages(Vec<Found<'a>>),
    /// An object, or an array inside an array, as its JSON text.
    Json(&'a str),
    Null,
}

impl AttributePath {
    /// Whether `test` holds for a value at the path, in any instance of any entity that it leads
    /// to.
    pub(crate) fn any_value(
        &self,
        entity: &Entity,
        linked: &dyn LinkedEntities,
        test: &mut dyn FnMut(Found<'_>) -> bool,
    ) -> bool {
        let Some((first, further)) = self.links.split_first() else {
            return self.any_own_value(entity, test);
        };
        let mut walk = Walk { linked, left: Self::MAX_LINKED };
        let mut reached = walk.follow([entity], first);
        for link in further {
            reached = walk.follow(reached.iter().map(AsRef::as_ref), link);
        }
        reached.iter().any(|entity| self.any_own_value(entity, test))
    }

    /// Whether `test` holds for a value that the names and members lead to in this very entity.
    pub(crate) fn any_own_value(
        &self,
        entity: &Entity,
        test: &mut dyn FnMut(Found<'_>) -> bool,
    ) -> bool {
        let Some((first, below)) = self.names.split_first() else { return false };
        if below.is_empty()
            && self.members.is_empty()
            && let Some(time) = time_of_entity(entity, first.as_str())
        {
            return test(Found::Time(time));
        }
        let Some(attribute) = entity.attribute(first) else { return false };
        let members = &self.members;
        attribute.instances.iter().any(|instance| any_value_below(instance, below, members, test))
    }

    /// Whether `test` holds for an instance that the names lead to in this very entity.
    pub(crate) fn any_own_instance(
        &self,
        entity: &Entity,
        test: &mut dyn FnMut(&Instance) -> bool,
    ) -> bool {
        let Some((first, below)) = self.names.split_first() else { return false };
        let Some(attribute) = entity.attribute(first) else { return false };
        attribute.instances.iter().any(|instance| any_instance_below(instance, below, test))
    }
}

/// The way along links.
struct Walk<'a> {
    linked: &'a dyn LinkedEntities,
    /// How many entities may still be looked up.
    left: usize,
}

impl Walk<'_> {
    /// The entities that a link leads to, each once.
    fn follow<'e>(
        &mut self,
        from: impl IntoIterator<Item = &'e Entity>,
        link: &Link,
    ) -> Vec<Arc<Entity>> {
        let mut seen = HashSet::new();
        let mut reached = Vec::new();
        for target in from.into_iter().flat_map(|entity| targets(entity, &link.relationship)) {
            if !seen.insert(target.clone()) {
                continue;
            }
            let Some(left) = self.left.checked_sub(1) else { break };
            self.left = left;
            let Ok(id) = target.parse::<EntityId>() else { continue };
            let is_wanted = |entity: &Arc<Entity>| {
                link.types.is_empty() || link.types.iter().any(|name| entity.types.contains(name))
            };
            reached.extend(self.linked.entity(&id).filter(is_wanted));
        }
        reached
    }
}

/// The URIs that all instances of a relationship point at.
fn targets(entity: &Entity, relationship: &AttrName) -> impl Iterator<Item = String> {
    let instances = entity.attribute(relationship).map(|attribute| attribute.instances.as_slice());
    let values = instances.unwrap_or_default().iter().map(|instance| &instance.value);
    values
        .filter(|value| {
            matches!(value.kind, AttributeType::Relationship | AttributeType::ListRelationship)
        })
        .flat_map(Value::uris)
}

fn any_value_below(
    instance: &Instance,
    names: &[AttrName],
    members: &[String],
    test: &mut dyn FnMut(Found<'_>) -> bool,
) -> bool {
    let Some((first, below)) = names.split_first() else {
        return value_of(&instance.value, members, test);
    };
    if let Some(attribute) = instance.attribute(first) {
        return attribute
            .instances
            .iter()
            .any(|instance| any_value_below(instance, below, members, test));
    }
    if !below.is_empty() || !members.is_empty() {
        return false;
    }
    system_attribute(instance, first.as_str()).is_some_and(test)
}

fn any_instance_below(
    instance: &Instance,
    names: &[AttrName],
    test: &mut dyn FnMut(&Instance) -> bool,
) -> bool {
    let Some((first, below)) = names.split_first() else { return test(instance) };
    let Some(attribute) = instance.attribute(first) else { return false };
    attribute.instances.iter().any(|instance| any_instance_below(instance, below, test))
}

fn time_of_entity(entity: &Entity, name: &str) -> Option<Timestamp> {
    match name.strip_prefix(NGSI_LD)? {
        "createdAt" => Some(entity.created_at),
        "modifiedAt" => Some(entity.modified_at),
        "expiresAt" => entity.expires_at,
        _ => None,
    }
}

fn system_attribute<'a>(instance: &'a Instance, name: &str) -> Option<Found<'a>> {
    match name.strip_prefix(NGSI_LD)? {
        "createdAt" => Some(Found::Time(instance.created_at)),
        "modifiedAt" => Some(Found::Time(instance.modified_at)),
        "expiresAt" => instance.expires_at().map(Found::Time),
        "observedAt" => instance.observed_at.map(Found::Time),
        "unitCode" => instance.unit_code().map(|code| Found::Text(Cow::Borrowed(code))),
        "datasetId" => {
            instance.dataset_id().map(|dataset| Found::Text(Cow::Borrowed(dataset.as_str())))
        }
        _ => None,
    }
}

/// Whether `test` holds for the value, or for the member of it that is asked for.
fn value_of(value: &Value, members: &[String], test: &mut dyn FnMut(Found<'_>) -> bool) -> bool {
    match value.kind {
        AttributeType::Relationship => members.is_empty() && test(uris(value, Found::Target)),
        AttributeType::ListRelationship => {
            members.is_empty()
                && test(Found::Elements(value.uris().into_iter().map(Found::Target).collect()))
        }
        AttributeType::VocabProperty => members.is_empty() && test(uris(value, Found::Term)),
        AttributeType::LanguageProperty => languages(&value.json, members, test),
        // Nothing in raw JSON has a meaning of its own, `@value` neither.
        AttributeType::JsonProperty => json(&value.json, members, from_raw, test),
        AttributeType::Property | AttributeType::GeoProperty | AttributeType::ListProperty => {
            json(&value.json, members, from_node, test)
        }
    }
}

fn json(
    json: &Json,
    members: &[String],
    read: for<'n> fn(&'n Node<'_>) -> Found<'n>,
    test: &mut dyn FnMut(Found<'_>) -> bool,
) -> bool {
    if members.is_empty() && !matches!(json.kind(), JsonKind::Array | JsonKind::Object) {
        return test(scalar(json));
    }
    let Some(node) = tree(json) else { return false };
    let target = members.iter().try_fold(&node, |node, member| node.member(member));
    target.is_some_and(|target| test(read(target)))
}

/// One URI, or several in an array.
fn uris<'a>(value: &Value, found: fn(String) -> Found<'a>) -> Found<'a> {
    let mut uris: Vec<Found<'_>> = value.uris().into_iter().map(found).collect();
    match uris.pop() {
        Some(only) if value.json.kind() == JsonKind::String => only,
        last => {
            uris.extend(last);
            Found::Elements(uris)
        }
    }
}

/// The texts of one language, or of all: with no member, and with `*`.
fn languages(json: &Json, members: &[String], test: &mut dyn FnMut(Found<'_>) -> bool) -> bool {
    let Some(node) = tree(json) else { return false };
    let wanted = match members {
        [] => "*",
        [tag] => tag,
        _ => return false,
    };
    let mut texts = Vec::new();
    for (tag, node) in node.as_object().unwrap_or_default() {
        if wanted != "*" && !tag.eq_ignore_ascii_case(wanted) {
            continue;
        }
        match node.as_array() {
            Some(elements) => texts.extend(elements.iter().map(from_node)),
            None => texts.push(from_node(node)),
        }
    }
    !texts.is_empty() && test(Found::Languages(texts))
}

fn tree(json: &Json) -> Option<Node<'_>> {
    Node::parse(json.as_str(), Limits { depth: Limits::MAX_DEPTH }).ok()
}

/// A value that is no array and no object.
fn scalar(json: &Json) -> Found<'_> {
    match json.kind() {
        JsonKind::Number => json.as_f64().map_or(Found::Null, Found::Number),
        JsonKind::String => json.as_text().map_or(Found::Null, Found::Text),
        JsonKind::Boolean => json.as_bool().map_or(Found::Null, Found::Boolean),
        JsonKind::Null | JsonKind::Array | JsonKind::Object => Found::Null,
    }
}

fn from_node<'n>(node: &'n Node<'_>) -> Found<'n> {
    match &node.document {
        Document::Array(elements) => Found::Elements(elements.iter().map(from_element).collect()),
        // A JSON-LD typed value such as {"@type": "DateTime", "@value": "2024-…"}.
        Document::Object(_) => node.member("@value").map_or(Found::Json(node.raw), from_element),
        Document::Null | Document::Boolean(_) | Document::Number(_) | Document::String(_) => {
            from_scalar(node)
        }
    }
}

/// An element of an array; an array inside an array equals nothing.
fn from_element<'n>(node: &'n Node<'_>) -> Found<'n> {
    match node.member("@value") {
        Some(value) if value.as_array().is_none() && value.as_object().is_none() => {
            from_scalar(value)
        }
        _ => from_scalar(node),
    }
}

fn from_raw<'n>(node: &'n Node<'_>) -> Found<'n> {
    match node.as_array() {
        Some(elements) => Found::Elements(elements.iter().map(from_scalar).collect()),
        None => from_scalar(node),
    }
}

fn from_scalar<'n>(node: &'n Node<'_>) -> Found<'n> {
    match &node.document {
        Document::Number(number) => Found::Number(*number),
        Document::String(text) => Found::Text(Cow::Borrowed(text)),
        Document::Boolean(boolean) => Found::Boolean(*boolean),
        Document::Null => Found::Null,
        Document::Array(_) | Document::Object(_) => Found::Json(node.raw),
    }
}
