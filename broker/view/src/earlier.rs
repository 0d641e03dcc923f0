//! Entities as earlier versions of the specification know them (CIM 009, clause 4.3.6.8).

use musubi_context::Context;
use musubi_model::{Attribute, AttributeType, Entity, Instance, Json, Value};

use crate::Version;

/// What an answer in an earlier version depends on.
#[derive(Clone, Copy, Debug)]
pub struct Earlier<'a> {
    /// The version.
    pub version: Version,
    /// The reader's context: what was a term of a vocabulary becomes a text in its short form.
    pub context: &'a Context,
    /// Whether language properties are shown as one text, which every version knows.
    pub one_language: bool,
}

/// Several types of an entity, several instances of an attribute, and what instances carry.
const INSTANCES: Version = Version::one_dot(3);
/// Scopes and language properties.
const SCOPES: Version = Version::one_dot(4);
/// The later kinds of attributes.
const KINDS: Version = Version::one_dot(8);
/// What expires, and the types of values.
const EXPIRY: Version = Version::one_dot(9);

impl Earlier<'_> {
    /// The entity without what the version does not know, or with what it knows in its place.
    pub fn of(&self, entity: &Entity) -> Entity {
        let mut entity = entity.clone();
        if self.version < EXPIRY {
            entity.expires_at = None;
        }
        if self.version < SCOPES {
            entity.scopes.clear();
        }
        if self.version < INSTANCES {
            entity.types.truncate(1);
        }
        self.attributes(&mut entity.attributes);
        entity
    }

    fn attributes(&self, attributes: &mut [Attribute]) {
        for attribute in attributes {
            if self.version < INSTANCES {
                let default = attribute.instances.iter().position(|one| one.dataset_id().is_none());
                attribute.instances.swap(0, default.unwrap_or(0));
                attribute.instances.truncate(1);
            }
            for instance in &mut attribute.instances {
                self.instance(instance);
            }
        }
    }

    fn instance(&self, instance: &mut Instance) {
        self.value(&mut instance.value);
        if self.version < INSTANCES {
            instance.observed_at = None;
        }
        let Some(qualifiers) = instance.qualifiers.as_deref_mut() else { return };
        if self.version < EXPIRY {
            qualifiers.expires_at = None;
            qualifiers.value_type = None;
        }
        if self.version < KINDS {
            qualifiers.object_type.clear();
        }
        if self.version < INSTANCES {
            qualifiers.dataset_id = None;
            qualifiers.unit_code = None;
        }
        self.attributes(&mut qualifiers.attributes);
    }

    fn value(&self, value: &mut Value) {
        match value.kind {
            AttributeType::Property | AttributeType::GeoProperty | AttributeType::Relationship => {}
            AttributeType::LanguageProperty => {
                if self.version < SCOPES && !self.one_language {
                    value.kind = AttributeType::Property;
                }
            }
            AttributeType::VocabProperty => {
                if self.version < KINDS {
                    value.kind = AttributeType::Property;
                    value.json = short_terms(&value.json, self.context);
                }
            }
            AttributeType::JsonProperty | AttributeType::ListProperty => {
                if self.version < KINDS {
                    value.kind = AttributeType::Property;
                }
            }
            AttributeType::ListRelationship => {
                if self.version < KINDS {
                    value.kind = AttributeType::Relationship;
                }
            }
        }
    }
}

/// Terms of a vocabulary in their short form.
pub(crate) fn short_terms(json: &Json, context: &Context) -> Json {
    let short = |iri: &str| Json::from(&*context.compact(iri));
    if let Some(iri) = json.as_text() {
        return short(&iri);
    }
    let value = json.to_value();
    let Some(iris) = value.as_array() else { return json.clone() };
    let terms: Vec<String> = iris
        .iter()
        .map(|iri| short(iri.as_str().unwrap_or_default()).as_str().to_owned())
        .collect();
    Json::parse(&format!("[{}]", terms.join(","))).unwrap_or_else(|_| json.clone())
}
