//! Attributes of which more is told than their state: what was deleted, and what was there before
//! (CIM 009, clauses 4.5.0, 4.5.2 to 4.5.4, 4.8 and 5.8.6).

use musubi_context::Form;
use musubi_model::{AttributeType, Document, Instance, Json, Limits, NULL, Node, Timestamp, Value};

use super::attribute::Attributes;
use super::{separate, write_key, write_text};
use crate::earlier::short_terms;
use crate::{InstanceMark, ViewError};

impl Attributes<'_> {
    /// Writes the attribute with what is told of its instances.
    pub(super) fn marked(&self, out: &mut Vec<u8>, node: &Node<'_>) -> Result<(), ViewError> {
        if self.shape.representation.form == Form::Simplified {
            return self.marked_simplified(out, node);
        }
        match (self.attribute.instances.as_slice(), &node.document) {
            ([single], _) => self.marked_instance(out, (single, true), node),
            (several, Document::Array(items)) => {
                out.push(b'[');
                for (index, (instance, item)) in several.iter().zip(items).enumerate() {
                    separate(out, index);
                    self.marked_instance(out, (instance, false), item)?;
                }
                out.push(b']');
                Ok(())
            }
            _ => {
                out.extend_from_slice(node.raw.as_bytes());
                Ok(())
            }
        }
    }

    /// Keys and values: there is no room for more than that something is gone.
    fn marked_simplified(&self, out: &mut Vec<u8>, node: &Node<'_>) -> Result<(), ViewError> {
        let gone = |instance| self.mark(instance).is_some_and(|mark| mark.deleted_at.is_some());
        match self.attribute.instances.as_slice() {
            [single] if gone(single) => {
                match single.dataset_id() {
                    None => write_text(out, NULL),
                    Some(dataset) => {
                        out.extend_from_slice(b"{\"dataset\":{");
                        write_key(out, dataset.as_str());
                        write_text(out, NULL);
                        out.extend_from_slice(b"}}");
                    }
                }
                Ok(())
            }
            [_] => self.simplified(out, node),
            several => {
                let Some(Document::Object(sets)) = node.member("dataset").map(|it| &it.document)
                else {
                    return self.simplified(out, node);
                };
                out.extend_from_slice(b"{\"dataset\":{");
                for (index, (instance, (key, value))) in several.iter().zip(sets).enumerate() {
                    separate(out, index);
                    write_key(out, key);
                    if gone(instance) {
                        write_text(out, NULL);
                    } else {
                        self.simplified(out, value)?;
                    }
                }
                out.extend_from_slice(b"}}");
                Ok(())
            }
        }
    }

    fn marked_instance(
        &self,
        out: &mut Vec<u8>,
        (instance, alone): (&Instance, bool),
        node: &Node<'_>,
    ) -> Result<(), ViewError> {
        let Some(mark) = self.mark(instance) else { return self.instance(out, node) };
        let previous = self.previous(instance, mark);
        if let Some(deleted_at) = mark.deleted_at {
            self.gone(out, (instance, alone), previous.as_ref(), deleted_at);
            return Ok(());
        }
        let Some((name, text)) = previous else { return self.instance(out, node) };
        let member = instance.value.kind.member();
        if node.member(member).is_some() {
            self.instance(out, node)?;
            out.pop_if(|last| *last == b'}');
        } else {
            // The concise form of nothing but a value.
            out.push(b'{');
            write_key(out, member);
            out.extend_from_slice(node.raw.as_bytes());
        }
        out.push(b',');
        write_key(out, name);
        out.extend_from_slice(&text);
        out.push(b'}');
        Ok(())
    }

    /// The Null in the place of a deleted instance: bare, unless there is more to say.
    fn gone(
        &self,
        out: &mut Vec<u8>,
        (instance, alone): (&Instance, bool),
        previous: Option<&(&'static str, Vec<u8>)>,
        deleted_at: Timestamp,
    ) {
        let representation = self.shape.representation;
        let (concise, system) =
            (representation.form == Form::Concise, representation.system_attributes);
        let dataset = instance.dataset_id();
        if concise && alone && !system && dataset.is_none() && previous.is_none() {
            return write_text(out, NULL);
        }
        let mut kind = instance.value.kind;
        if kind == AttributeType::LanguageProperty && self.shape.languages.is_some() {
            // As the language filter shows it.
            kind = AttributeType::Property;
        }
        out.push(b'{');
        if !concise {
            write_key(out, "type");
            write_text(out, kind.as_str());
            out.push(b',');
        }
        write_key(out, kind.member());
        out.extend_from_slice(null(kind).as_str().as_bytes());
        let mut more = |name: &str, text: &[u8]| {
            out.push(b',');
            write_key(out, name);
            out.extend_from_slice(text);
        };
        if let Some((name, text)) = previous {
            more(name, text);
        }
        if let Some(dataset) = dataset {
            more("datasetId", Json::from(dataset.as_str()).as_str().as_bytes());
        }
        if system {
            for (name, time) in [
                ("createdAt", instance.created_at),
                ("modifiedAt", instance.modified_at),
                ("deletedAt", deleted_at),
            ] {
                more(name, Json::from(time.to_string().as_str()).as_str().as_bytes());
            }
        }
        out.push(b'}');
    }

    fn mark(&self, instance: &Instance) -> Option<&InstanceMark> {
        self.marks.iter().find(|mark| mark.dataset.as_ref() == instance.dataset_id())
    }

    /// The member with the previous value, if there is one that may stand in the instance.
    fn previous(
        &self,
        instance: &Instance,
        mark: &InstanceMark,
    ) -> Option<(&'static str, Vec<u8>)> {
        let previous = mark.previous.as_ref()?;
        if previous.kind.member() != instance.value.kind.member() {
            return None;
        }
        match (previous.kind, self.shape.languages) {
            (AttributeType::LanguageProperty, Some(languages)) => {
                let limits = Limits { depth: Limits::MAX_DEPTH };
                let map = Node::parse(previous.json.as_str(), limits).ok()?;
                let (_, text) = languages.choose(&map)?;
                Some(("previousValue", text.raw.as_bytes().to_vec()))
            }
            (kind, _) => Some((previous_member(kind), self.text(previous))),
        }
    }

    /// A value as it stands under its member.
    fn text(&self, value: &Value) -> Vec<u8> {
        match value.kind {
            AttributeType::VocabProperty => {
                short_terms(&value.json, self.shape.context).as_str().as_bytes().to_vec()
            }
            AttributeType::ListRelationship => {
                let mut out = vec![b'['];
                for (index, uri) in value.uris().iter().enumerate() {
                    separate(&mut out, index);
                    out.extend_from_slice(b"{\"object\":");
                    write_text(&mut out, uri);
                    out.push(b'}');
                }
                out.push(b']');
                out
            }
            AttributeType::Property
            | AttributeType::GeoProperty
            | AttributeType::Relationship
            | AttributeType::LanguageProperty
            | AttributeType::JsonProperty
            | AttributeType::ListProperty => value.json.as_str().as_bytes().to_vec(),
        }
    }
}

/// The NGSI-LD Null as the value of an attribute of this kind (CIM 009, clause 4.5.0).
fn null(kind: AttributeType) -> Json {
    match kind {
        AttributeType::LanguageProperty => {
            Json::parse("{\"@none\":\"urn:ngsi-ld:null\"}").unwrap_or_else(|_| Json::from(NULL))
        }
        AttributeType::Property
        | AttributeType::GeoProperty
        | AttributeType::Relationship
        | AttributeType::VocabProperty
        | AttributeType::JsonProperty
        | AttributeType::ListProperty
        | AttributeType::ListRelationship => Json::from(NULL),
    }
}

/// The member that holds what the value of an attribute of this kind was before.
fn previous_member(kind: AttributeType) -> &'static str {
    match kind {
        AttributeType::Property | AttributeType::GeoProperty => "previousValue",
        AttributeType::Relationship => "previousObject",
        AttributeType::LanguageProperty => "previousLanguageMap",
        AttributeType::VocabProperty => "previousVocab",
        AttributeType::JsonProperty => "previousJson",
        AttributeType::ListProperty => "previousValueList",
        AttributeType::ListRelationship => "previousObjectList",
    }
}
