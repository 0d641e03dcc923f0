//! The eight kinds of attribute (CIM 009, clauses 4.5.2 to 4.5.4, 4.5.18 to 4.5.22).

use serde::{Deserialize, Serialize};

use crate::{Json, Limits, Node};

/// What kind of attribute an instance is. It says what its value means and under which member
/// the value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AttributeType {
    /// A JSON value under `value`.
    Property,
    /// A GeoJSON geometry under `value`.
    GeoProperty,
    /// One target URI, or an array of them, under `object`.
    Relationship,
    /// Texts by language tag under `languageMap`.
    LanguageProperty,
    /// One vocabulary term, or an array of them, under `vocab`; held expanded.
    VocabProperty,
    /// JSON that no context touches, under `json`.
    JsonProperty,
    /// An ordered array under `valueList`.
    ListProperty,
    /// An ordered array of targets under `objectList`; held as an array of URIs.
    ListRelationship,
}

impl AttributeType {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 8] = [
        Self::Property,
        Self::GeoProperty,
        Self::Relationship,
        Self::LanguageProperty,
        Self::VocabProperty,
        Self::JsonProperty,
        Self::ListProperty,
        Self::ListRelationship,
    ];

    /// The value of the `type` member, which is a term of the core context.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Property => "Property",
            Self::GeoProperty => "GeoProperty",
            Self::Relationship => "Relationship",
            Self::LanguageProperty => "LanguageProperty",
            Self::VocabProperty => "VocabProperty",
            Self::JsonProperty => "JsonProperty",
            Self::ListProperty => "ListProperty",
            Self::ListRelationship => "ListRelationship",
        }
    }

    /// The member that holds the value.
    pub fn member(self) -> &'static str {
        match self {
            Self::Property | Self::GeoProperty => "value",
            Self::Relationship => "object",
            Self::LanguageProperty => "languageMap",
            Self::VocabProperty => "vocab",
            Self::JsonProperty => "json",
            Self::ListProperty => "valueList",
            Self::ListRelationship => "objectList",
        }
    }

    /// The kind that a `type` member names, if it names one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A kind and the JSON that goes with it. How the JSON looks for each kind is said at
/// [`AttributeType`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// What the JSON means.
    pub kind: AttributeType,
    /// The value, compact.
    pub json: Json,
}

impl Value {
    /// The URIs that a relationship or list of relationships points at, or the expanded terms of
    /// a vocabulary property; empty for every other kind.
    pub fn uris(&self) -> Vec<String> {
        match self.kind {
            AttributeType::Relationship
            | AttributeType::ListRelationship
            | AttributeType::VocabProperty => texts(&self.json),
            AttributeType::Property
            | AttributeType::GeoProperty
            | AttributeType::LanguageProperty
            | AttributeType::JsonProperty
            | AttributeType::ListProperty => Vec::new(),
        }
    }
}

/// The string, or the strings in the array.
fn texts(json: &Json) -> Vec<String> {
    if let Some(text) = json.as_text() {
        return vec![text.into_owned()];
    }
    let Ok(node) = Node::parse(json.as_str(), Limits { depth: Limits::MAX_DEPTH }) else {
        return Vec::new();
    };
    let elements = node.as_array().unwrap_or_default();
    elements.iter().filter_map(Node::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uris_of_a_value_are_those_of_its_kind() {
        let check = |kind, text: &str, expected: &[&str]| {
            let value = Value { kind, json: Json::parse(text).unwrap() };
            assert_eq!(value.uris(), expected, "{text}");
        };
        check(AttributeType::Relationship, "\"urn:a:1\"", &["urn:a:1"]);
        check(
            AttributeType::ListRelationship,
            r#"["urn:a:1","urn:a:2",5]"#,
            &["urn:a:1", "urn:a:2"],
        );
        check(AttributeType::VocabProperty, "\"urn:v\\u0031\"", &["urn:v1"]);
        check(AttributeType::Property, "\"urn:a:1\"", &[]);
        check(AttributeType::Relationship, "{}", &[]);
    }

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in AttributeType::ALL {
            assert_eq!(AttributeType::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(AttributeType::from_name("property"), None);
    }
}
