//! What an item becomes, as `[[filter]]` and `[[entity]]` of a mapping file say. Pure.

mod compiled;
mod observed_at;

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use musubi_context::Context;
use musubi_model::{EntityFragment, EntityId, Timestamp};
use serde_json::Value;

use crate::expression::{Expression, Failure, Scope};
use crate::{MappingError, MappingFile, Skip};

use compiled::Compiled;

/// One item of a source, decoded.
#[derive(Clone, Debug)]
pub struct Input {
    /// The named levels of its topic; expressions see them as `topic`.
    pub topic: BTreeMap<String, String>,
    /// The message; expressions see it as `m`.
    pub message: Value,
    /// What is known of the device: an object, or null. Expressions see it as `device`.
    pub device: Value,
    /// When it came in; expressions see it as `arrival`, in RFC 3339.
    pub arrival: Timestamp,
    /// Where it came from, for a person: a topic, a file and line, an item of a feed.
    pub origin: String,
    /// What came in, for a dead letter.
    pub payload: Bytes,
}

/// Why an item becomes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmapped {
    /// A filter does not want it. This is no fault of the item.
    #[error("the filter on line {line} does not want it")]
    Filtered {
        /// Where the filter stands in the file, from 1.
        line: usize,
    },
    /// It cannot be used, and is one for the dead letters.
    #[error("{reason}")]
    Unusable {
        /// The kind of reason, for counting.
        skip: Skip,
        /// A sentence.
        reason: String,
    },
}

/// A part of an item that was not used, while the rest was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The attribute, as the mapping file names it.
    pub attribute: String,
    /// The kind of reason, for counting.
    pub skip: Skip,
    /// A sentence.
    pub reason: String,
}

/// The compiled filters and entities of a mapping file.
///
/// A text is a path (`m.object.laeq`, or `/object/laeq` into the message) or an expression in
/// CEL, which sees `m` (the message), `topic`, `device` and `arrival`, and has `round(x, digits)`,
/// `clamp(x, low, high)` and `parse_time(text, format, timezone)` beside its own functions. An
/// expression that holds a float literal or divides computes with floats, integers of the JSON
/// included; `int(m.a / m.b)` divides integers.
///
/// A value that is null or not there is missing, and `on_missing` decides. A value that is of
/// the wrong kind or outside its range is never written: `error` refuses the item, and otherwise
/// the attribute stays as it is.
#[derive(Debug)]
pub struct Mapper {
    filters: Vec<(Expression, usize)>,
    entities: Vec<Compiled>,
}

impl Mapper {
    /// Compiles what the file says, its terms expanded by `context`.
    ///
    /// # Errors
    ///
    /// [`MappingError`] with the place of an expression, a template, a time zone, a type or an
    /// attribute name that is not one.
    pub fn new(file: &MappingFile, context: &Context) -> Result<Self, MappingError> {
        let filters = file.filters.iter().map(|when| {
            let expression = Expression::compile(&when.text);
            Ok((expression.map_err(|reason| file.error_at(when, reason))?, when.line))
        });
        let entities = file.entities.iter().map(|entity| Compiled::new(file, entity, context));
        Ok(Self {
            filters: filters.collect::<Result<_, _>>()?,
            entities: entities.collect::<Result<_, _>>()?,
        })
    }

    /// The entities that an item becomes: at least one.
    ///
    /// # Errors
    ///
    /// [`Unmapped`] if it becomes none.
    pub fn map(&self, input: &Input) -> Result<Vec<EntityFragment>, Unmapped> {
        self.map_noting(input, &mut Vec::new())
    }

    /// As [`map`](Self::map), and adds to `notes` what was left out.
    ///
    /// # Errors
    ///
    /// [`Unmapped`] if it becomes none.
    pub fn map_noting(
        &self,
        input: &Input,
        notes: &mut Vec<Note>,
    ) -> Result<Vec<EntityFragment>, Unmapped> {
        let scope = Scope::new(&input.topic, &input.message, &input.device, input.arrival);
        for (filter, line) in &self.filters {
            match filter.evaluate(&scope) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) | Err(Failure::Missing(_)) => {
                    return Err(Unmapped::Filtered { line: *line });
                }
                Ok(_) => {
                    let reason = format!("the filter on line {line} is neither true nor false");
                    return Err(Unmapped::Unusable { skip: Skip::BAD_VALUE, reason });
                }
                Err(Failure::Failed(reason)) => {
                    let reason = format!("the filter on line {line}: {reason}");
                    return Err(Unmapped::Unusable { skip: Skip::BAD_VALUE, reason });
                }
            }
        }
        let mut fragments = Vec::with_capacity(self.entities.len());
        for entity in &self.entities {
            fragments.extend(entity.map(&scope, notes)?);
        }
        if fragments.is_empty() {
            let reason = "no attribute has a value".to_owned();
            return Err(Unmapped::Unusable { skip: Skip::MISSING, reason });
        }
        Ok(fragments)
    }

    /// What the same item is known by when it comes again: the values of the `dedup`
    /// expressions. None if the file has none, or one has no value.
    pub fn dedup_key(&self, input: &Input) -> Option<String> {
        let scope = Scope::new(&input.topic, &input.message, &input.device, input.arrival);
        let mut key = String::new();
        for (place, entity) in self.entities.iter().enumerate() {
            let Some(dedup) = &entity.dedup else { continue };
            let value = dedup.evaluate(&scope).ok()?;
            // Writing to a String does not fail.
            let _ = write!(key, "{place}:{value};");
        }
        (!key.is_empty()).then_some(key)
    }
}

/// The id that a template gives.
fn entity_id(text: &str) -> Result<EntityId, Unmapped> {
    text.parse().map_err(|error: musubi_model::InvalidEntityId| Unmapped::Unusable {
        skip: Skip::BAD_ID,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests;
