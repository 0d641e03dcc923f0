//! Entities in the less common shapes: some members only, language properties as one text, linked
//! entities inside. What most requests ask for never comes here; this reads what
//! [`render_entity`] wrote and copies the pieces that stay.

use std::cell::Cell;
use std::sync::Arc;

use musubi_context::{Context, Form, Representation, render_entity};
use musubi_model::{Attribute, AttributeType, Document, Entity, EntityId, Limits, Node};

use crate::error::Error;
use crate::view::earlier::Earlier;
use crate::view::join::Linked;
use crate::view::languages::Languages;
use crate::view::projection::{MEMBERS, Projection};
use crate::view::too_long;

/// How entities are shaped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'a> {
    pub(crate) context: &'a Context,
    /// How entities that are asked for look.
    pub(crate) representation: &'a Representation,
    pub(crate) languages: Option<&'a Languages>,
    /// The linked entities that go inside the relationships that point at them.
    pub(crate) inline: Option<&'a Linked>,
    /// How many links inside each other are filled in.
    pub(crate) level: usize,
    /// The earlier version of the specification that entities are to conform to.
    pub(crate) earlier: Option<Earlier<'a>>,
    /// Set if that made one of them other than it is.
    pub(crate) altered: &'a Cell<bool>,
    /// How many bytes of linked entities may still be rendered, all answers together. An entity
    /// that many point at is rendered for each of them, whatever is left out of it then.
    pub(crate) room: &'a Cell<usize>,
}

/// The members of an entity, each with its value as JSON text.
pub(crate) type Members = Vec<(String, Vec<u8>)>;

/// An entity on its way out, and those that it is inside of.
struct Place<'p> {
    entity: &'p Entity,
    projection: &'p Projection,
    /// Links that may still be filled in.
    level: usize,
    outer: Option<&'p Place<'p>>,
}

impl Shape<'_> {
    /// The members of an entity that are shown.
    pub(crate) fn members(
        &self,
        entity: &Entity,
        projection: &Projection,
    ) -> Result<Members, Error> {
        let level = if self.inline.is_some() { self.level } else { 0 };
        let place = Place { entity, projection, level, outer: None };
        self.place_members(&place, self.representation)
    }

    /// The members of an entity that was not asked for by itself.
    pub(crate) fn linked_members(
        &self,
        entity: &Entity,
        projection: &Projection,
    ) -> Result<Members, Error> {
        let place = Place { entity, projection, level: 0, outer: None };
        self.place_members(&place, &self.linked_representation())
    }

    fn linked_representation(&self) -> Representation {
        Representation { attributes: None, context_member: false, ..self.representation.clone() }
    }

    fn place_members(
        &self,
        place: &Place<'_>,
        representation: &Representation,
    ) -> Result<Members, Error> {
        let mut representation = Representation { context_member: false, ..representation.clone() };
        if place.outer.is_none() {
            // What is not picked would be written and read for nothing. There may be more linked
            // entities than it is worth to do this for.
            representation.attributes = place.projection.picked().or(representation.attributes);
        }
        let earlier = self.earlier.map(|earlier| earlier.of(place.entity));
        let entity = earlier.as_ref().unwrap_or(place.entity);
        let mut rendered = Vec::new();
        render_entity(&mut rendered, entity, self.context, &representation);
        if earlier.is_some() && !self.altered.get() {
            let mut native = Vec::new();
            render_entity(&mut native, place.entity, self.context, &representation);
            self.altered.set(native != rendered);
        }
        if place.outer.is_some() {
            let left = self.room.get().checked_sub(rendered.len()).ok_or_else(too_long)?;
            self.room.set(left);
        }
        let text = std::str::from_utf8(&rendered).map_err(|_| broken())?;
        let node = Node::parse(text, Limits { depth: Limits::MAX_DEPTH }).map_err(|_| broken())?;
        let Document::Object(parts) = &node.document else { return Err(broken()) };
        let mut members = Members::new();
        for (key, value) in parts {
            if MEMBERS.contains(&&**key) {
                if place.projection.shows_member(key) {
                    members.push((key.clone().into_owned(), value.raw.as_bytes().to_vec()));
                }
                continue;
            }
            let Ok(name) = self.context.attribute(key) else { continue };
            if !place.projection.shows_attribute(&name) {
                continue;
            }
            let mut out = Vec::new();
            let beyond = place.projection.beyond(&name);
            match entity.attribute(&name) {
                Some(attribute) if self.touches(attribute, place.level) => {
                    let shaper = Attributes { shape: self, place, attribute, beyond: &beyond };
                    shaper.write(&mut out, value)?;
                }
                Some(_) | None => out.extend_from_slice(value.raw.as_bytes()),
            }
            members.push((key.clone().into_owned(), out));
        }
        Ok(members)
    }

    /// Whether an attribute comes out differently than it is rendered.
    fn touches(&self, attribute: &Attribute, level: usize) -> bool {
        attribute.instances.iter().any(|instance| match instance.value.kind {
            AttributeType::LanguageProperty => self.languages.is_some(),
            AttributeType::Relationship | AttributeType::ListRelationship => level > 0,
            AttributeType::Property
            | AttributeType::GeoProperty
            | AttributeType::VocabProperty
            | AttributeType::JsonProperty
            | AttributeType::ListProperty => false,
        })
    }
}

/// One attribute on its way out.
struct Attributes<'s> {
    shape: &'s Shape<'s>,
    place: &'s Place<'s>,
    attribute: &'s Attribute,
    beyond: &'s Projection,
}

impl Attributes<'_> {
    fn write(&self, out: &mut Vec<u8>, node: &Node<'_>) -> Result<(), Error> {
        let several = self.attribute.instances.len() > 1;
        match (self.shape.representation.form, &node.document) {
            (Form::Simplified, Document::Object(members)) if several => match members.first() {
                Some((key, sets)) if key == "dataset" => {
                    out.extend_from_slice(b"{\"dataset\":");
                    self.each(out, sets, Self::simplified)?;
                    out.push(b'}');
                    Ok(())
                }
                Some(_) | None => self.simplified(out, node),
            },
            (Form::Simplified, _) => self.simplified(out, node),
            (Form::Normalized | Form::Concise, Document::Array(_)) => {
                self.each(out, node, Self::instance)
            }
            (Form::Normalized | Form::Concise, _) => self.instance(out, node),
        }
    }

    /// Writes an array or object with each of its values written by `write`.
    fn each(
        &self,
        out: &mut Vec<u8>,
        node: &Node<'_>,
        write: fn(&Self, &mut Vec<u8>, &Node<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &node.document {
            Document::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    separate(out, index);
                    write(self, out, item)?;
                }
                out.push(b']');
            }
            Document::Object(members) => {
                out.push(b'{');
                for (index, (key, value)) in members.iter().enumerate() {
                    separate(out, index);
                    write_key(out, key);
                    write(self, out, value)?;
                }
                out.push(b'}');
            }
            Document::Null | Document::Boolean(_) | Document::Number(_) | Document::String(_) => {
                out.extend_from_slice(node.raw.as_bytes());
            }
        }
        Ok(())
    }

    /// A value in the simplified form.
    fn simplified(&self, out: &mut Vec<u8>, node: &Node<'_>) -> Result<(), Error> {
        if let (Some(languages), Some(map)) = (self.shape.languages, node.member("languageMap")) {
            let text = languages.choose(map).map_or("null", |(_, text)| text.raw);
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        match &node.document {
            Document::String(uri) => {
                if let Some(entity) = self.linked(uri) {
                    return self.entity(out, entity);
                }
                out.extend_from_slice(node.raw.as_bytes());
                Ok(())
            }
            Document::Array(_) => self.each(out, node, Self::simplified),
            Document::Object(_) | Document::Null | Document::Boolean(_) | Document::Number(_) => {
                out.extend_from_slice(node.raw.as_bytes());
                Ok(())
            }
        }
    }

    /// An instance in the normalized or concise form.
    fn instance(&self, out: &mut Vec<u8>, node: &Node<'_>) -> Result<(), Error> {
        let Document::Object(members) = &node.document else {
            out.extend_from_slice(node.raw.as_bytes());
            return Ok(());
        };
        out.push(b'{');
        for (index, (key, value)) in members.iter().enumerate() {
            separate(out, index);
            self.instance_member(out, (key, value), node);
        }
        self.entities(out, node)?;
        out.push(b'}');
        Ok(())
    }

    /// A member of an instance; a language map becomes one text and its tag.
    fn instance_member(&self, out: &mut Vec<u8>, (key, value): (&str, &Node<'_>), node: &Node<'_>) {
        let map = node.member("languageMap");
        match (self.shape.languages, map, key) {
            (Some(_), Some(_), "type") => out.extend_from_slice(b"\"type\":\"Property\""),
            (Some(languages), Some(_), "languageMap") => match languages.choose(value) {
                None => out.extend_from_slice(b"\"value\":null"),
                Some((tag, text)) => {
                    out.extend_from_slice(b"\"value\":");
                    out.extend_from_slice(text.raw.as_bytes());
                    out.push(b',');
                    write_key(out, "lang");
                    write_text(out, tag);
                }
            },
            _ => {
                write_key(out, key);
                out.extend_from_slice(value.raw.as_bytes());
            }
        }
    }

    /// The member with the linked entities, if any of them is there.
    fn entities(&self, out: &mut Vec<u8>, node: &Node<'_>) -> Result<(), Error> {
        let (uris, one) = match (node.member("object"), node.member("objectList")) {
            (Some(object), _) => (uris(object), matches!(object.document, Document::String(_))),
            (None, Some(list)) => (uris(list), false),
            (None, None) => return Ok(()),
        };
        let found: Vec<&Arc<Entity>> =
            uris.iter().filter_map(|uri| self.linked(uri.as_str())).collect();
        match (found.as_slice(), one) {
            ([], _) => Ok(()),
            ([entity], true) => {
                out.extend_from_slice(b",\"entity\":");
                self.entity(out, entity)
            }
            (entities, _) => {
                out.extend_from_slice(b",\"entityList\":[");
                for (index, entity) in entities.iter().enumerate() {
                    separate(out, index);
                    self.entity(out, entity)?;
                }
                out.push(b']');
                Ok(())
            }
        }
    }

    /// The linked entity of this id, unless it would stand inside itself.
    fn linked(&self, id: &str) -> Option<&Arc<Entity>> {
        if self.place.level == 0 || self.place.is_inside(id) {
            return None;
        }
        self.shape.inline?.get(id)
    }

    fn entity(&self, out: &mut Vec<u8>, entity: &Entity) -> Result<(), Error> {
        let place = Place {
            entity,
            projection: self.beyond,
            level: self.place.level.saturating_sub(1),
            outer: Some(self.place),
        };
        let representation = self.shape.linked_representation();
        write_members(out, &self.shape.place_members(&place, &representation)?);
        Ok(())
    }
}

impl Place<'_> {
    fn is_inside(&self, id: &str) -> bool {
        let mut place = Some(self);
        while let Some(here) = place {
            if here.entity.id.as_str() == id {
                return true;
            }
            place = here.outer;
        }
        false
    }
}

/// The targets of a relationship: a URI, or an array of URIs or of objects with one each.
fn uris(node: &Node<'_>) -> Vec<EntityId> {
    let target = |node: &Node<'_>| match &node.member("object").unwrap_or(node).document {
        Document::String(text) => text.parse().ok(),
        Document::Null
        | Document::Boolean(_)
        | Document::Number(_)
        | Document::Array(_)
        | Document::Object(_) => None,
    };
    if let Document::Array(items) = &node.document {
        return items.iter().filter_map(target).collect();
    }
    target(node).into_iter().collect()
}

fn broken() -> Error {
    let reason = "an entity was rendered as something that is not JSON";
    Error::Broker(musubi_broker::Error::Internal(reason.to_owned()))
}

/// Writes an object.
pub(crate) fn write_members(out: &mut Vec<u8>, members: &[(String, Vec<u8>)]) {
    out.push(b'{');
    for (index, (key, value)) in members.iter().enumerate() {
        separate(out, index);
        write_key(out, key);
        out.extend_from_slice(value);
    }
    out.push(b'}');
}

/// Writes what stands before the item of this number.
pub(crate) fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

/// Writes the name of a member, and the colon after it.
pub(crate) fn write_key(out: &mut Vec<u8>, key: &str) {
    write_text(out, key);
    out.push(b':');
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(musubi_model::Json::from(text).as_str().as_bytes());
}
