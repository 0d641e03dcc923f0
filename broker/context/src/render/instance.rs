//! Attribute instances in the three forms.

use musubi_model::{
    Attribute, AttributeType, Instance, Json, JsonKind, Limits, Node, Qualifiers, Value,
};

use super::Rendering;
use super::shape::BEFORE_TIME;
use super::writer::opening;
use crate::expand::{Looks, looks};

impl<'r> Rendering<'_, 'r> {
    pub(super) fn normalized(&mut self, instance: &'r Instance) {
        self.writer.raw(opening(instance.value.kind));
        self.normalized_rest(instance);
    }

    /// A normalized instance from its value on.
    #[inline]
    pub(super) fn normalized_rest(&mut self, instance: &'r Instance) {
        self.value(&instance.value);
        self.qualifiers(instance);
        self.writer.end();
    }

    /// Without `type` where it can be inferred, and without the object around it where there is
    /// nothing but a value that would be read as this one.
    pub(super) fn concise_alone(&mut self, instance: &'r Instance) {
        let value = &instance.value;
        let is_bare = match value.kind {
            AttributeType::Property => {
                has_value_alone(instance) && looks_like(&value.json) == Looks::Value
            }
            AttributeType::GeoProperty => has_value_alone(instance),
            AttributeType::Relationship
            | AttributeType::LanguageProperty
            | AttributeType::VocabProperty
            | AttributeType::JsonProperty
            | AttributeType::ListProperty
            | AttributeType::ListRelationship => false,
        };
        if is_bare && !self.system_attributes {
            self.writer.raw(value.json.as_str());
        } else {
            self.concise(instance);
        }
    }

    /// Without `type` where it can be inferred.
    pub(super) fn concise(&mut self, instance: &'r Instance) {
        let value = &instance.value;
        self.writer.raw("{");
        if value.kind == AttributeType::Property && looks_like(&value.json) == Looks::Geometry {
            self.writer.raw("\"type\":\"Property\",");
        }
        self.value_member(value);
        self.qualifiers(instance);
        self.writer.raw("}");
    }

    pub(super) fn simplified(&mut self, value: &Value) {
        match value.kind {
            AttributeType::Property
            | AttributeType::GeoProperty
            | AttributeType::Relationship
            | AttributeType::ListProperty
            | AttributeType::ListRelationship => self.writer.raw(value.json.as_str()),
            AttributeType::LanguageProperty
            | AttributeType::VocabProperty
            | AttributeType::JsonProperty => {
                self.writer.raw("{");
                self.value_member(value);
                self.writer.raw("}");
            }
        }
    }

    /// What a proof says of its entity: a string, and a type in its short form.
    pub(super) fn sealed(&mut self, member: &str, attribute: &Attribute) {
        self.writer.string(member);
        self.writer.raw(":");
        let value = attribute.instances.first().map(|instance| &instance.value);
        match value.and_then(|value| Some((value.kind, value.json.as_text()?))) {
            Some((AttributeType::VocabProperty, name)) => self.writer.new_name(&name),
            Some((_, text)) => self.writer.string(&text),
            None => self.writer.raw("null"),
        }
    }

    /// The member that holds the value.
    fn value_member(&mut self, value: &Value) {
        self.writer.raw("\"");
        self.writer.raw(value.kind.member());
        self.writer.raw("\":");
        self.value(value);
    }

    #[inline]
    pub(super) fn value(&mut self, value: &Value) {
        match value.kind {
            AttributeType::Property
            | AttributeType::GeoProperty
            | AttributeType::Relationship
            | AttributeType::LanguageProperty
            | AttributeType::JsonProperty
            | AttributeType::ListProperty => self.writer.raw(value.json.as_str()),
            AttributeType::VocabProperty => self.vocab(&value.json),
            AttributeType::ListRelationship => self.object_list(value.json.as_str()),
        }
    }

    /// Terms of the vocabulary in their short form.
    fn vocab(&mut self, json: &Json) {
        if let Some(iri) = json.as_text() {
            self.writer.term(&iri);
            return;
        }
        match json.to_value().as_array() {
            Some(iris) => self.writer.array(iris, |writer, iri| {
                writer.term(iri.as_str().unwrap_or_default());
            }),
            None => self.writer.raw(json.as_str()),
        }
    }

    /// An array of URIs as the array of objects that a client sees: each string of the text gets
    /// its braces, and everything else stays.
    fn object_list(&mut self, json: &str) {
        let mut rest = json;
        while let Some(start) = rest.find('"') {
            let (before, from_quote) = rest.split_at(start);
            let end = end_of_string(from_quote);
            let (string, after) = from_quote.split_at(end);
            self.writer.raw(before);
            self.writer.raw("{\"object\":");
            self.writer.raw(string);
            self.writer.raw("}");
            rest = after;
        }
        self.writer.raw(rest);
    }

    /// Everything but type and value.
    #[inline]
    pub(super) fn qualifiers(&mut self, instance: &'r Instance) {
        if let Some(observed_at) = instance.observed_at {
            self.writer.time(BEFORE_TIME, observed_at);
        }
        if let Some(qualifiers) = &instance.qualifiers {
            self.rare(qualifiers);
        }
        if self.system_attributes {
            self.system_times(instance);
        }
    }

    /// What few instances have.
    fn rare(&mut self, qualifiers: &'r Qualifiers) {
        if let Some(unit_code) = &qualifiers.unit_code {
            self.writer.raw(",\"unitCode\":");
            self.writer.string(unit_code);
        }
        if let Some(dataset_id) = &qualifiers.dataset_id {
            self.writer.raw(",\"datasetId\":");
            self.writer.string(dataset_id.as_str());
        }
        if let Some(value_type) = &qualifiers.value_type {
            self.writer.raw(",\"valueType\":");
            self.writer.term(value_type);
        }
        if !qualifiers.object_type.is_empty() {
            self.writer.raw(",\"objectType\":");
            self.types(&qualifiers.object_type);
        }
        for attribute in &qualifiers.attributes {
            self.attribute(attribute);
        }
    }

    fn system_times(&mut self, instance: &Instance) {
        self.writer.time(",\"createdAt\":", instance.created_at);
        self.writer.time(",\"modifiedAt\":", instance.modified_at);
        if let Some(expires_at) = instance.expires_at() {
            self.writer.time(",\"expiresAt\":", expires_at);
        }
    }
}

/// Whether there is nothing to be shown but the value, system attributes aside.
fn has_value_alone(instance: &Instance) -> bool {
    let is_bare = |qualifiers: &Qualifiers| {
        qualifiers.dataset_id.is_none()
            && qualifiers.unit_code.is_none()
            && qualifiers.value_type.is_none()
            && qualifiers.object_type.is_empty()
            && qualifiers.attributes.is_empty()
    };
    instance.observed_at.is_none()
        && instance.qualifiers.as_ref().is_none_or(|qualifiers| is_bare(qualifiers))
}

/// What a value of a Property would be read as if it stood there alone.
fn looks_like(json: &Json) -> Looks {
    let may_be_more = match json.kind() {
        JsonKind::Null | JsonKind::Boolean | JsonKind::Number | JsonKind::String => false,
        JsonKind::Array => json.as_str().contains('{'),
        JsonKind::Object => true,
    };
    if !may_be_more {
        return Looks::Value;
    }
    let limits = Limits { depth: Limits::MAX_DEPTH };
    Node::parse(json.as_str(), limits).map_or(Looks::Instance, |node| looks(&node))
}

/// How long the JSON string is that the text begins with, its quotes included, in bytes.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}
