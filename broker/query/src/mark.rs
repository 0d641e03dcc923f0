//! What is there to be seen of a value without asking a comparison: for whoever looks up many
//! queries by a value rather than many values by a query.

use std::borrow::Cow;

use musubi_model::{Entity, NGSI_LD, Timestamp};

use crate::moment::{Moment, MomentKind};
use crate::path::{Found, SYSTEM_ATTRIBUTES};
use crate::{AttributePath, Literal, NoLinkedEntities};

/// A mark of a value.
///
/// A comparison holds only if the marks allow it ([`AttributePath::marks`]): with `==` one mark of
/// the value is that of the literal; with `<`, `<=`, `>`, `>=` and for a range, one mark of the
/// value stands on the same [`Axis`] as that of the literal, at such a place. The reverse is not
/// promised.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark<'a> {
    /// A number; zero has no sign.
    Number(f64),
    /// A text, the target of a relationship or an expanded term.
    Text(Cow<'a, str>),
    /// `true` or `false`.
    Boolean(bool),
    /// A text that is a date and time, a date or a time of day.
    Time(Axis, Timestamp),
}

/// A line on which marks have an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// That of the numbers.
    Number,
    /// That of dates and times.
    DateTime,
    /// That of dates.
    Date,
    /// That of times of day.
    TimeOfDay,
}

impl Axis {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::Number, Self::DateTime, Self::Date, Self::TimeOfDay];
}

impl From<MomentKind> for Axis {
    fn from(kind: MomentKind) -> Self {
        match kind {
            MomentKind::DateTime => Self::DateTime,
            MomentKind::Date => Self::Date,
            MomentKind::TimeOfDay => Self::TimeOfDay,
        }
    }
}

impl Mark<'_> {
    /// The axis of the mark and its place there; none for texts and booleans. Places keep the
    /// order of the values, but values close to each other may have the same one.
    pub fn place(&self) -> Option<(Axis, f64)> {
        match self {
            Self::Number(number) => Some((Axis::Number, *number)),
            Self::Time(axis, at) => Some((*axis, micros(*at))),
            Self::Text(_) | Self::Boolean(_) => None,
        }
    }
}

/// Beyond 2^53 neighbours fall together, and none changes places.
#[expect(clippy::cast_precision_loss, reason = "rounding keeps the order, which is all there is")]
fn micros(at: Timestamp) -> f64 {
    at.as_micros() as f64
}

impl Literal {
    /// The mark of the literal; none for a range, which has two ends, and for a time that is none.
    pub fn mark(&self) -> Option<Mark<'_>> {
        match self {
            Self::Number(number) => Some(Mark::Number(number + 0.0)),
            Self::Text(text) => Some(Mark::Text(Cow::Borrowed(text))),
            Self::Boolean(boolean) => Some(Mark::Boolean(*boolean)),
            Self::Time(text) => time(text),
            Self::Range(..) => None,
        }
    }
}

fn time(text: &str) -> Option<Mark<'static>> {
    Moment::parse(text).map(|moment| Mark::Time(moment.kind.into(), moment.at))
}

impl AttributePath {
    /// Whether [`marks`](Self::marks) tells all values at the path: not so for what stands in
    /// linked entities, and for system attributes.
    pub fn has_marks(&self) -> bool {
        self.links.is_empty() && self.names.last().is_some_and(|name| !is_of_system(name.as_str()))
    }

    /// Shows `see` the marks of all values at the path in this very entity, those of the elements
    /// of arrays and of every language included.
    pub fn marks(&self, entity: &Entity, see: &mut dyn FnMut(Mark<'_>)) {
        self.any_value(entity, &NoLinkedEntities, &mut |found| {
            found.mark(see);
            false
        });
    }
}

fn is_of_system(name: &str) -> bool {
    name.strip_prefix(NGSI_LD).is_some_and(|term| SYSTEM_ATTRIBUTES.contains(&term))
}

impl Found<'_> {
    fn mark(&self, see: &mut dyn FnMut(Mark<'_>)) {
        match self {
            Self::Number(number) => see(Mark::Number(number + 0.0)),
            Self::Text(text) => {
                if let Some(time) = time(text) {
                    see(time);
                }
                see(Mark::Text(Cow::Borrowed(text)));
            }
            Self::Target(uri) | Self::Term(uri) => see(Mark::Text(Cow::Borrowed(uri))),
            Self::Boolean(boolean) => see(Mark::Boolean(*boolean)),
            Self::Elements(elements) | Self::Languages(elements) => {
                for element in elements {
                    element.mark(see);
                }
            }
            Self::Time(_) | Self::Json(_) | Self::Null => {}
        }
    }
}

#[cfg(test)]
mod tests;
