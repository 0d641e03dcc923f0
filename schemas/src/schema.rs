//! A JSON Schema, compiled.

use std::sync::Arc;

use jsonschema::{PatternOptions, Registry, ValidationError, Validator};
use serde_json::Value;

use crate::references::References;
use crate::violation::{Violation, shortened};

/// The dialect that is spoken here.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The largest compiled regular expression, in bytes.
const MAX_PATTERN: usize = 1 << 20;
/// The longest that a part of a schema is shown in an error, in characters.
const SHOWN: usize = 200;

/// A JSON Schema of draft 2020-12 for entities in their simplified form.
///
/// Compiled so that a check neither takes long nor asks anybody: references lead to the document
/// itself, to what is embedded in it, or to one of the project's models; regular expressions are
/// those that can be matched in linear time; formats such as `date-time` are checked. Cloning is
/// cheap.
#[derive(Clone, Debug)]
pub struct Schema(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    document: Value,
    validator: Validator,
}

/// Why a document cannot be used as a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {reason}")]
pub struct InvalidSchema {
    /// Where in the document, as a JSON pointer; `/` for the whole of it.
    pub at: String,
    /// What is wrong there.
    pub reason: String,
}

impl InvalidSchema {
    pub(crate) fn new(at: impl Into<String>, reason: impl Into<String>) -> Self {
        let mut at = at.into();
        if at.is_empty() {
            at.push('/');
        }
        Self { at, reason: reason.into() }
    }

    fn of(error: &ValidationError<'_>) -> Self {
        Self::new(error.instance_path().as_str(), shortened(&error.to_string(), SHOWN))
    }
}

impl Schema {
    /// The longest schema, in bytes of compact JSON.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// The most places of the schema, references followed, that one entity may be held against.
    pub const MAX_PLACES: u64 = 20_000;

    /// The most regular expressions in a schema.
    pub const MAX_PATTERNS: usize = 100;

    /// Compiles a document.
    ///
    /// # Errors
    ///
    /// [`InvalidSchema`] if it is no schema of draft 2020-12, is longer than
    /// [`MAX_BYTES`](Self::MAX_BYTES), refers to something that is not in it, refers back to
    /// itself, has more than [`MAX_PLACES`](Self::MAX_PLACES) places or
    /// [`MAX_PATTERNS`](Self::MAX_PATTERNS) patterns, or has a pattern that cannot be matched in
    /// linear time.
    pub fn compile(document: Value) -> Result<Self, InvalidSchema> {
        Self::compile_with(document, crate::model::library()?)
    }

    /// As [`compile`](Self::compile), with other documents to refer to.
    pub(crate) fn compile_with(
        document: Value,
        library: &Registry<'_>,
    ) -> Result<Self, InvalidSchema> {
        let Some(members) = document.as_object() else {
            return Err(InvalidSchema::new("", "a schema is a JSON object"));
        };
        if let Some(dialect) = members.get("$schema") {
            let spoken = dialect.as_str().map(|url| url.trim_end_matches('#')) == Some(DIALECT);
            if !spoken {
                let reason = format!("the dialect of a schema is {DIALECT}");
                return Err(InvalidSchema::new("/$schema", reason));
            }
        }
        if document.to_string().len() > Self::MAX_BYTES {
            let reason = format!("a schema has at most {} bytes", Self::MAX_BYTES);
            return Err(InvalidSchema::new("", reason));
        }
        if let Err(error) = jsonschema::draft202012::meta::validate(&document) {
            return Err(InvalidSchema::of(&error));
        }
        References::check(&document, library)?;
        let validator = build(&document, library)?;
        Ok(Self(Arc::new(Compiled { document, validator })))
    }

    /// What holds values against a part of a schema that is a schema itself.
    pub(crate) fn validator(part: &Value) -> Result<Validator, InvalidSchema> {
        build(part, crate::model::library()?)
    }

    /// The document that was compiled.
    pub fn document(&self) -> &Value {
        &self.0.document
    }

    /// Whether a simplified entity is as the schema wants it.
    pub fn accepts(&self, entity: &Value) -> bool {
        self.0.validator.is_valid(entity)
    }

    /// What the schema finds wrong with a simplified entity, in the order of the schema; nothing
    /// if it [`accepts`](Self::accepts) the entity.
    pub fn violations<'a>(&'a self, entity: &'a Value) -> impl Iterator<Item = Violation> + 'a {
        self.0.validator.iter_errors(entity).map(|error| Violation::of(&error, &self.0.document))
    }
}

fn build(document: &Value, library: &Registry<'_>) -> Result<Validator, InvalidSchema> {
    jsonschema::draft202012::options()
        .offline()
        .with_registry(library)
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN))
        .should_validate_formats(true)
        .build(document)
        .map_err(|error| InvalidSchema::of(&error))
}

#[cfg(test)]
mod tests;
