//! Attributes in the less common shapes.

use std::sync::Arc;

use musubi_context::Form;
use musubi_model::{Attribute, Document, Entity, EntityId, Node};

use super::{Place, Shape, separate, write_key, write_members, write_text};
use crate::{InstanceMark, Projection, ViewError};

/// One attribute on its way out.
pub(super) struct Attributes<'s> {
    pub(super) shape: &'s Shape<'s>,
    pub(super) place: &'s Place<'s>,
    pub(super) attribute: &'s Attribute,
    pub(super) beyond: &'s Projection,
    /// What is told of its instances beyond their state.
    pub(super) marks: &'s [InstanceMark],
}

impl Attributes<'_> {
    pub(super) fn write(&self, out: &mut Vec<u8>, node: &Node<'_>) -> Result<(), ViewError> {
        if !self.marks.is_empty() {
            return self.marked(out, node);
        }
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
        write: fn(&Self, &mut Vec<u8>, &Node<'_>) -> Result<(), ViewError>,
    ) -> Result<(), ViewError> {
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
    pub(super) fn simplified(&self, out: &mut Vec<u8>, node: &Node<'_>) -> Result<(), ViewError> {
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
    pub(super) fn instance(&self, out: &mut Vec<u8>, node: &Node<'_>) -> Result<(), ViewError> {
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
    fn entities(&self, out: &mut Vec<u8>, node: &Node<'_>) -> Result<(), ViewError> {
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

    fn entity(&self, out: &mut Vec<u8>, entity: &Entity) -> Result<(), ViewError> {
        let place = Place {
            entity,
            projection: self.beyond,
            level: self.place.level.saturating_sub(1),
            outer: Some(self.place),
            marks: None,
        };
        let representation = self.shape.linked_representation();
        write_members(out, &self.shape.place_members(&place, &representation)?);
        Ok(())
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
