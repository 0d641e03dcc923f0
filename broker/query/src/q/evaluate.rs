//! What a comparison means.

use std::cmp::Ordering;

use super::{Comparison, Literal, Query};
use crate::Pattern;
use crate::moment::Moment;
use crate::path::Found;

impl Found<'_> {
    /// Whether the value is as the comparison asks.
    pub(crate) fn satisfies(&self, comparison: &Comparison) -> bool {
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
            | Self::Json(_)
            | Self::Null => None,
        }
    }
}
