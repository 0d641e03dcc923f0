//! What an order looks at of an entity, and how that compares.

use std::cmp::Ordering;

use musubi_model::{AttributeType, Entity, Timestamp, parse_geometry};

use super::{Order, OrderBy, OrderTerm};
use crate::AttributePath;
use crate::geo_query::spherical_metres;
use crate::moment::{Moment, MomentKind};
use crate::path::Found;

/// What an order looks at of one entity, taken out of it once. Comes from [`Order::key`] and means
/// something to that order alone.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderKey(Vec<Part>);

/// A value, ready to be compared.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    /// Metres.
    Distance(f64),
    Number(f64),
    /// What the collation makes of the text.
    Text(Box<[u8]>),
    /// The JSON text.
    Object(Box<str>),
    Array(Box<[Part]>),
    Boolean(bool),
    TimeOfDay(Timestamp),
    Date(Timestamp),
    DateTime(Timestamp),
    Null,
    Missing,
}

impl OrderKey {
    /// About the bytes that it takes up. What keeps many of them needs to know.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.0.iter().map(Part::size).sum::<usize>()
    }
}

pub(super) fn of(order: &Order, entity: &Entity) -> OrderKey {
    OrderKey(order.terms.iter().map(|term| part_of(order, term, entity)).collect())
}

pub(super) fn compare(terms: &[OrderTerm], one: &OrderKey, other: &OrderKey) -> Ordering {
    let parts = one.0.iter().zip(&other.0);
    let orders = terms.iter().zip(parts).map(|(term, (one, other))| one.compare(other, term));
    orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// The value that a term looks at: of several, that which comes first.
fn part_of(order: &Order, term: &OrderTerm, entity: &Entity) -> Part {
    let parts = match &term.by {
        OrderBy::Id => vec![order.text(entity.id.as_str())],
        OrderBy::Type => entity.types.iter().map(|name| order.text(name.as_str())).collect(),
        OrderBy::Scope => entity.scopes.iter().map(|scope| order.text(scope.as_str())).collect(),
        OrderBy::Value(path) => values(order, path, entity),
        OrderBy::Distance(path) => {
            let distances = distances(order, path, entity);
            if distances.is_empty() { values(order, path, entity) } else { distances }
        }
    };
    parts.into_iter().min_by(|one, other| one.compare(other, term)).unwrap_or(Part::Missing)
}

fn values(order: &Order, path: &AttributePath, entity: &Entity) -> Vec<Part> {
    let mut parts = Vec::new();
    path.any_own_value(entity, &mut |found| {
        if let Found::Languages(texts) = found {
            parts.extend(texts.into_iter().map(|text| order.part(text)));
        } else {
            parts.push(order.part(found));
        }
        false
    });
    parts
}

fn distances(order: &Order, path: &AttributePath, entity: &Entity) -> Vec<Part> {
    let Some(from) = &order.from else { return Vec::new() };
    let mut distances = Vec::new();
    path.any_own_instance(entity, &mut |instance| {
        if instance.value.kind == AttributeType::GeoProperty
            && let Ok(geometry) = parse_geometry(&instance.value.json)
        {
            distances.push(Part::Distance(spherical_metres(from, &geometry)));
        }
        false
    });
    distances
}

impl Order {
    fn part(&self, found: Found<'_>) -> Part {
        match found {
            Found::Number(number) => Part::Number(number),
            Found::Text(text) => match Moment::parse(&text) {
                Some(Moment { kind: MomentKind::TimeOfDay, at }) => Part::TimeOfDay(at),
                Some(Moment { kind: MomentKind::Date, at }) => Part::Date(at),
                Some(Moment { kind: MomentKind::DateTime, at }) => Part::DateTime(at),
                None => self.text(&text),
            },
            Found::Target(text) | Found::Term(text) => self.text(&text),
            Found::Boolean(boolean) => Part::Boolean(boolean),
            Found::Time(at) => Part::DateTime(at),
            Found::Elements(elements) | Found::Languages(elements) => {
                let counting = elements.into_iter().take(Self::MAX_ELEMENTS);
                Part::Array(counting.map(|element| self.part(element)).collect())
            }
            Found::Json(text) => Part::Object(beginning(text).into()),
            Found::Null => Part::Null,
        }
    }

    fn text(&self, text: &str) -> Part {
        Part::Text(self.collation.key(beginning(text)))
    }
}

/// The characters that count.
fn beginning(text: &str) -> &str {
    let end = text.char_indices().nth(Order::MAX_CHARACTERS).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

impl Part {
    /// How two values of the same term stand to each other.
    fn compare(&self, other: &Self, term: &OrderTerm) -> Ordering {
        self.group().cmp(&other.group()).then_with(|| {
            let order = self.ascending(other);
            if term.descending { order.reverse() } else { order }
        })
    }

    fn size(&self) -> usize {
        let inside = match self {
            Self::Text(key) => key.len(),
            Self::Object(text) => text.len(),
            Self::Array(elements) => elements.iter().map(Self::size).sum(),
            Self::Distance(_)
            | Self::Number(_)
            | Self::Boolean(_)
            | Self::TimeOfDay(_)
            | Self::Date(_)
            | Self::DateTime(_)
            | Self::Null
            | Self::Missing => 0,
        };
        size_of::<Self>() + inside
    }

    /// What comes before what in either direction.
    fn group(&self) -> u8 {
        match self {
            Self::Distance(_) => 0,
            Self::Number(_)
            | Self::Text(_)
            | Self::Object(_)
            | Self::Array(_)
            | Self::Boolean(_)
            | Self::TimeOfDay(_)
            | Self::Date(_)
            | Self::DateTime(_) => 1,
            Self::Null => 2,
            Self::Missing => 3,
        }
    }

    /// The place of the type (CIM 009, clause 4.23.2).
    fn rank(&self) -> u8 {
        match self {
            Self::Distance(_) => 0,
            Self::Number(_) => 1,
            Self::Text(_) => 2,
            Self::Object(_) => 3,
            Self::Array(_) => 4,
            Self::Boolean(_) => 5,
            Self::TimeOfDay(_) => 6,
            Self::Date(_) => 7,
            Self::DateTime(_) => 8,
            Self::Null => 9,
            Self::Missing => 10,
        }
    }

    fn ascending(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Distance(one), Self::Distance(other))
            | (Self::Number(one), Self::Number(other)) => {
                // Zeros of either sign are equal. The order is total even if a distance is no number,
                // which rounding makes of the half way around the sphere.
                one.partial_cmp(other).unwrap_or_else(|| one.total_cmp(other))
            }
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Object(one), Self::Object(other)) => one.cmp(other),
            (Self::Array(one), Self::Array(other)) => {
                let elements = one.iter().zip(other.iter());
                let first = elements.map(|(one, other)| one.ascending(other)).find(|o| o.is_ne());
                first.unwrap_or_else(|| one.len().cmp(&other.len()))
            }
            (Self::Boolean(one), Self::Boolean(other)) => one.cmp(other),
            (Self::TimeOfDay(one), Self::TimeOfDay(other))
            | (Self::Date(one), Self::Date(other))
            | (Self::DateTime(one), Self::DateTime(other)) => one.cmp(other),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}
