//! Values as the methods of aggregation see them.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use musubi_model::{AttributeType, Document, Json, JsonKind, Limits, Node, Value};

use crate::AggregationMethod;
use crate::moment::{Moment, MomentKind};

/// A value, as the tables of CIM 009, clause 4.5.19.1 tell them apart.
///
/// A string of the form of a date and time, a date or a time of day is one, with a `valueType` or
/// without; it is a URI only if its type says so, and so are the terms of a vocabulary. Of a JSON-LD
/// typed value, what stands under `@value` counts. Maps of languages and geometries are JSON objects,
/// lists are JSON arrays. What stands in a `JsonProperty` is JSON and nothing more.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand<'a> {
    Number(f64),
    Boolean(bool),
    /// The number of its elements.
    Array(f64),
    Text(Cow<'a, str>),
    Moment(Moment, Cow<'a, str>),
    Uri,
    Targets,
    Object,
    Null,
}

impl<'a> Operand<'a> {
    pub(super) fn of(value: &'a Value, value_type: Option<&str>) -> Self {
        let json = &value.json;
        match value.kind {
            AttributeType::Relationship | AttributeType::ListRelationship => Self::Targets,
            AttributeType::LanguageProperty | AttributeType::GeoProperty => Self::Object,
            AttributeType::VocabProperty if json.kind() == JsonKind::String => Self::Uri,
            AttributeType::VocabProperty | AttributeType::JsonProperty => Self::of_json(json),
            AttributeType::Property | AttributeType::ListProperty => {
                if json.kind() == JsonKind::Object {
                    typed(json).unwrap_or(Self::Object)
                } else {
                    Self::of_json(json).of_type(value_type)
                }
            }
        }
    }

    fn of_json(json: &'a Json) -> Self {
        match json.kind() {
            JsonKind::Null => Self::Null,
            JsonKind::Boolean => Self::Boolean(json.as_bool().unwrap_or(false)),
            JsonKind::Number => json.as_f64().map_or(Self::Null, Self::Number),
            JsonKind::String => json.as_text().map_or(Self::Null, Self::Text),
            JsonKind::Object => Self::Object,
            JsonKind::Array => {
                let tree = tree(json);
                let elements = tree.as_ref().and_then(Node::as_array).unwrap_or_default();
                Self::Array(size(elements.len()))
            }
        }
    }

    /// The string of a property, seen with its type.
    fn of_type(self, value_type: Option<&str>) -> Self {
        let Self::Text(text) = self else { return self };
        let local = value_type.map(|name| name.rsplit(['#', '/', ':']).next().unwrap_or(name));
        if local.is_some_and(|name| matches!(name, "URI" | "anyURI" | "@id")) {
            return Self::Uri;
        }
        match Moment::parse(&text) {
            Some(moment) => Self::Moment(moment, text),
            None => Self::Text(text),
        }
    }

    /// Whether there is such an aggregate of such values.
    pub(super) fn allows(&self, method: AggregationMethod) -> bool {
        use AggregationMethod as M;
        match method {
            M::TotalCount | M::DistinctCount => true,
            M::Min | M::Max => {
                !matches!(self, Self::Uri | Self::Targets | Self::Object | Self::Null)
            }
            M::Avg => self.number().is_some() || self.is_time_of_day(),
            M::Sum => self.number().is_some(),
            M::Stddev | M::Sumsq => matches!(self, Self::Number(_) | Self::Boolean(_)),
        }
    }

    /// What is counted with: true is 1 and false is 0, an array is the number of its elements.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) | Self::Array(number) => Some(*number),
            Self::Boolean(truth) => Some(f64::from(u8::from(*truth))),
            Self::Text(_)
            | Self::Moment(..)
            | Self::Uri
            | Self::Targets
            | Self::Object
            | Self::Null => None,
        }
    }

    pub(super) fn is_time_of_day(&self) -> bool {
        matches!(self, Self::Moment(moment, _) if moment.kind == MomentKind::TimeOfDay)
    }

    /// What it is, as an error says it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Number(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Array(_) => "an array",
            Self::Text(_) => "a string",
            Self::Moment(moment, _) => match moment.kind {
                MomentKind::DateTime => "a date and time",
                MomentKind::Date => "a date",
                MomentKind::TimeOfDay => "a time of day",
            },
            Self::Uri => "a URI",
            Self::Targets => "a relationship",
            Self::Object => "an object",
            Self::Null => "null",
        }
    }
}

/// A JSON-LD typed value such as `{"@type": "DateTime", "@value": "2024-…"}`.
fn typed(json: &Json) -> Option<Operand<'_>> {
    let tree = tree(json)?;
    if tree.member("@id").is_some() {
        return Some(Operand::Uri);
    }
    let value = tree.member("@value")?;
    let named = tree.member("@type").and_then(Node::as_str);
    match &value.document {
        Document::Null => Some(Operand::Null),
        Document::Boolean(truth) => Some(Operand::Boolean(*truth)),
        Document::Number(number) => Some(Operand::Number(*number)),
        Document::String(text) => {
            Some(Operand::Text(Cow::Owned(text.clone().into_owned())).of_type(named))
        }
        Document::Array(_) | Document::Object(_) => None,
    }
}

fn tree(json: &Json) -> Option<Node<'_>> {
    Node::parse(json.as_str(), Limits { depth: Limits::MAX_DEPTH }).ok()
}

/// How many there are.
fn size(length: usize) -> f64 {
    f64::from(u32::try_from(length).unwrap_or(u32::MAX))
}

/// Feeds a JSON value to a hasher: two are fed alike if they are the same value, however they are
/// written. Numbers are compared as `f64`.
pub(super) fn feed_json(json: &Json, hasher: &mut impl Hasher) {
    match (json.as_f64(), json.as_text()) {
        (Some(number), _) => feed_number(number, hasher),
        (None, Some(text)) => feed_text(&text, hasher),
        (None, None) => match tree(json) {
            Some(tree) => feed(&tree, hasher),
            None => json.as_str().hash(hasher),
        },
    }
}

pub(super) fn feed_number(number: f64, hasher: &mut impl Hasher) {
    // There are two zeros.
    (1_u8, (number + 0.0).to_bits()).hash(hasher);
}

pub(super) fn feed_text(text: &str, hasher: &mut impl Hasher) {
    (2_u8, text).hash(hasher);
}

fn feed(node: &Node<'_>, hasher: &mut impl Hasher) {
    match &node.document {
        Document::Null => 3_u8.hash(hasher),
        Document::Boolean(truth) => (4_u8, truth).hash(hasher),
        Document::Number(number) => feed_number(*number, hasher),
        Document::String(text) => feed_text(text, hasher),
        Document::Array(elements) => {
            (5_u8, elements.len()).hash(hasher);
            for element in elements {
                feed(element, hasher);
            }
        }
        Document::Object(members) => {
            (6_u8, members.len()).hash(hasher);
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            for (name, member) in members {
                feed_text(name, hasher);
                feed(member, hasher);
            }
        }
    }
}
