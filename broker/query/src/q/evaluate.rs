//! What a query means: the values at a path, and how they compare.

use std::borrow::Cow;
use std::cmp::Ordering;

use musubi_model::{
    AttributeType, Document, Entity, Instance, Json, JsonKind, Limits, NGSI_LD, Node, Timestamp,
    Value,
};

use super::{Comparison, Literal, Query};
use crate::{AttributePath, Pattern};

/// A value that a path leads to.
pub(super) enum Found<'a> {
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
    /// An object or null, which equal nothing.
    Other,
}

/// Whether `test` holds for a value at the path, in any instance.
pub(super) fn any_value(
    path: &AttributePath,
    entity: &Entity,
    test: &mut dyn FnMut(Found<'_>) -> bool,
) -> bool {
    let Some((first, below)) = path.names.split_first() else { return false };
    if below.is_empty()
        && path.members.is_empty()
        && let Some(time) = time_of_entity(entity, first.as_str())
    {
        return test(Found::Time(time));
    }
    let Some(attribute) = entity.attribute(first) else { return false };
    attribute.instances.iter().any(|instance| any_value_below(instance, below, &path.members, test))
}

fn any_value_below(
    instance: &Instance,
    names: &[musubi_model::AttrName],
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
        AttributeType::Property
        | AttributeType::GeoProperty
        | AttributeType::JsonProperty
        | AttributeType::ListProperty => {
            if members.is_empty()
                && !matches!(value.json.kind(), JsonKind::Array | JsonKind::Object)
            {
                return test(scalar(&value.json));
            }
            let Some(node) = tree(&value.json) else { return false };
            let target = members.iter().try_fold(&node, |node, member| node.member(member));
            target.is_some_and(|target| test(Found::from_node(target)))
        }
    }
}

fn uris<'a>(value: &Value, found: fn(String) -> Found<'a>) -> Found<'a> {
    let mut uris: Vec<Found<'_>> = value.uris().into_iter().map(found).collect();
    match uris.pop() {
        Some(only) if value.json.kind() == JsonKind::String => only,
        Some(last) => {
            uris.push(last);
            Found::Elements(uris)
        }
        None => Found::Other,
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
            Some(elements) => texts.extend(elements.iter().map(Found::from_node)),
            None => texts.push(Found::from_node(node)),
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
        JsonKind::Number => json.as_f64().map_or(Found::Other, Found::Number),
        JsonKind::String => json.as_text().map_or(Found::Other, Found::Text),
        JsonKind::Boolean => json.as_bool().map_or(Found::Other, Found::Boolean),
        JsonKind::Null | JsonKind::Array | JsonKind::Object => Found::Other,
    }
}

impl<'a> Found<'a> {
    fn from_node(node: &'a Node<'_>) -> Self {
        match &node.document {
            Document::Number(number) => Self::Number(*number),
            Document::String(text) => Self::Text(Cow::Borrowed(text)),
            Document::Boolean(boolean) => Self::Boolean(*boolean),
            Document::Array(elements) => {
                Self::Elements(elements.iter().map(Self::from_element).collect())
            }
            // A JSON-LD typed value such as {"@type": "DateTime", "@value": "2024-…"}.
            Document::Object(_) => node.member("@value").map_or(Self::Other, Self::from_element),
            Document::Null => Self::Other,
        }
    }

    /// An element of an array; an array inside an array equals nothing.
    fn from_element(node: &'a Node<'_>) -> Self {
        match &node.document {
            Document::Array(_) => Self::Other,
            Document::Object(_) => match node.member("@value") {
                Some(value) if value.as_array().is_none() && value.as_object().is_none() => {
                    Self::from_node(value)
                }
                _ => Self::Other,
            },
            Document::Null | Document::Boolean(_) | Document::Number(_) | Document::String(_) => {
                Self::from_node(node)
            }
        }
    }

    /// Whether the value is as the comparison asks.
    pub(super) fn satisfies(&self, comparison: &Comparison) -> bool {
        let compare = |literal: &Literal, fits: fn(Ordering) -> bool| {
            if let Self::Languages(texts) = self {
                texts.iter().any(|text| text.is(literal, fits))
            } else {
                self.is(literal, fits)
            }
        };
        match comparison {
            Comparison::Equal(literals) => self.equals_one(literals),
            Comparison::NotEqual(literals) => !self.equals_one(literals),
            Comparison::Greater(literal) => compare(literal, Ordering::is_gt),
            Comparison::GreaterOrEqual(literal) => compare(literal, Ordering::is_ge),
            Comparison::Less(literal) => compare(literal, Ordering::is_lt),
            Comparison::LessOrEqual(literal) => compare(literal, Ordering::is_le),
            Comparison::Like(pattern) => self.matches(pattern) == Some(true),
            Comparison::NotLike(pattern) => self.matches(pattern) == Some(false),
        }
    }

    fn equals_one(&self, literals: &[Literal]) -> bool {
        literals.iter().any(|literal| {
            if let Self::Elements(elements) | Self::Languages(elements) = self {
                elements.iter().any(|element| element.equals(literal))
            } else {
                self.equals(literal)
            }
        })
    }

    fn equals(&self, literal: &Literal) -> bool {
        match (self, literal) {
            (Self::Target(uri) | Self::Term(uri), Literal::Text(text)) => uri == text,
            (_, Literal::Range(from, to)) => {
                self.is(from, Ordering::is_ge) && self.is(to, Ordering::is_le)
            }
            (Self::Boolean(value), Literal::Boolean(wanted)) => value == wanted,
            _ => self.is(literal, Ordering::is_eq),
        }
    }

    /// Whether the value has an order with the literal, and it fits.
    fn is(&self, literal: &Literal, fits: fn(Ordering) -> bool) -> bool {
        let order = match (self, literal) {
            (Self::Number(value), Literal::Number(wanted)) => value.partial_cmp(wanted),
            (Self::Text(value), Literal::Text(wanted)) => Some(value.as_ref().cmp(wanted)),
            (Self::Text(value), Literal::Time(wanted)) => Moment::parse(value)
                .zip(Moment::parse(wanted))
                .and_then(|(value, wanted)| value.partial_cmp(&wanted)),
            (Self::Time(value), Literal::Time(wanted) | Literal::Text(wanted)) => {
                wanted.parse().ok().map(|wanted| value.cmp(&wanted))
            }
            _ => None,
        };
        order.is_some_and(fits)
    }

    /// Whether the pattern is found in the value; none if the value is no text, or too long a one.
    fn matches(&self, pattern: &Pattern) -> Option<bool> {
        match self {
            Self::Text(text) => (text.len() <= Query::MAX_MATCHED).then(|| pattern.is_match(text)),
            Self::Languages(texts) => {
                let found: Vec<bool> =
                    texts.iter().filter_map(|text| text.matches(pattern)).collect();
                (!found.is_empty()).then(|| found.contains(&true))
            }
            Self::Number(_)
            | Self::Boolean(_)
            | Self::Time(_)
            | Self::Target(_)
            | Self::Term(_)
            | Self::Elements(_)
            | Self::Other => None,
        }
    }
}

/// A date and time, a date or a time of day (CIM 009, clause 4.6.3). Two of different kinds have
/// no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    kind: MomentKind,
    /// The moment; of a date its beginning, of a time of day that on the first of January 1970.
    at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MomentKind {
    DateTime,
    Date,
    TimeOfDay,
}

impl Moment {
    pub(super) fn parse(text: &str) -> Option<Self> {
        // Not only quicker: nothing but digits can begin any of the three.
        if !text.starts_with(|character: char| character.is_ascii_digit()) || text.len() > 40 {
            return None;
        }
        let bytes = text.as_bytes();
        if bytes.len() == 10 && bytes.get(4) == Some(&b'-') {
            let at = Timestamp::parse_utc(&format!("{text}T00:00:00Z")).ok()?;
            return Some(Self { kind: MomentKind::Date, at });
        }
        if bytes.get(2) == Some(&b':') {
            let at = Timestamp::parse_utc(&format!("1970-01-01T{text}")).ok()?;
            return Some(Self { kind: MomentKind::TimeOfDay, at });
        }
        let at = text.parse().ok()?;
        Some(Self { kind: MomentKind::DateTime, at })
    }
}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.kind == other.kind).then(|| self.at.cmp(&other.at))
    }
}
