//! Entities in the less common shapes: some members only, language properties as one text, linked
//! entities inside. What most requests ask for never comes here; this reads what
//! [`render_entity`] wrote and copies the pieces that stay.

use std::cell::Cell;

use musubi_context::{Context, Representation, render_entity};
use musubi_model::{Attribute, AttributeType, Document, Entity, Json, Limits, Node};

use crate::join::Linked;
use crate::projection::Named;
use crate::{Earlier, Languages, Marks, Projection, ViewError};

mod attribute;
mod marked;

use attribute::Attributes;

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
    marks: Option<&'p Marks>,
}

impl Shape<'_> {
    /// The members of an entity that are shown, with what else is told of it.
    pub(crate) fn members(
        &self,
        (entity, marks): (&Entity, Option<&Marks>),
        projection: &Projection,
    ) -> Result<Members, ViewError> {
        let level = if self.inline.is_some() { self.level } else { 0 };
        let place = Place { entity, projection, level, outer: None, marks };
        self.place_members(&place, self.representation)
    }

    /// The members of an entity that was not asked for by itself.
    pub(crate) fn linked_members(
        &self,
        entity: &Entity,
        projection: &Projection,
    ) -> Result<Members, ViewError> {
        let place = Place { entity, projection, level: 0, outer: None, marks: None };
        self.place_members(&place, &self.linked_representation())
    }

    fn linked_representation(&self) -> Representation {
        Representation { attributes: None, context_member: false, ..self.representation.clone() }
    }

    fn place_members(
        &self,
        place: &Place<'_>,
        representation: &Representation,
    ) -> Result<Members, ViewError> {
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
            let left =
                self.room.get().checked_sub(rendered.len()).ok_or_else(ViewError::too_long)?;
            self.room.set(left);
        }
        let text = std::str::from_utf8(&rendered).map_err(|_| broken())?;
        let node = Node::parse(text, Limits { depth: Limits::MAX_DEPTH }).map_err(|_| broken())?;
        let Document::Object(parts) = &node.document else { return Err(broken()) };
        let mut members = Members::new();
        for (key, value) in parts {
            if Named::is_one(key) {
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
            let marks = place.marks.map_or(&[][..], |marks| marks.of(&name));
            match entity.attribute(&name) {
                Some(attribute) if !marks.is_empty() || self.touches(attribute, place.level) => {
                    let shaper =
                        Attributes { shape: self, place, attribute, beyond: &beyond, marks };
                    shaper.write(&mut out, value)?;
                }
                Some(_) | None => out.extend_from_slice(value.raw.as_bytes()),
            }
            members.push((key.clone().into_owned(), out));
        }
        // Without it, what is left of a deleted entity would look like one that is there.
        let deleted_at = place.marks.and_then(|marks| marks.deleted_at);
        if let Some(deleted_at) = deleted_at
            && !place.projection.omits_member("deletedAt")
        {
            members.push(("deletedAt".to_owned(), json_text(&deleted_at.to_string())));
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

fn broken() -> ViewError {
    ViewError::Internal("an entity was rendered as something that is not JSON")
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
pub fn separate(out: &mut Vec<u8>, index: usize) {
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
    out.extend_from_slice(Json::from(text).as_str().as_bytes());
}

/// A text as JSON.
fn json_text(text: &str) -> Vec<u8> {
    Json::from(text).as_str().as_bytes().to_vec()
}
