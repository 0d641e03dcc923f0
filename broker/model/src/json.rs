//! JSON text: parsed once, with limits, and kept as text.

use std::borrow::Cow;
use std::fmt;

use ecow::EcoString;
use serde::{Deserialize, Serialize};

mod compact;
mod parse;

/// Valid JSON text without insignificant white space. The unit in which values are kept,
/// compared and written out.
///
/// It takes two words. A text of up to 15 bytes, which most values are, stands in them; a longer one
/// is shared, so that a copy of an entity copies no texts.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Json(EcoString);

/// What a JSON text is, seen from its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonKind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Json {
    /// Reads a text that is one JSON value, within the default [`Limits`].
    ///
    /// # Errors
    ///
    /// [`JsonError`] as for [`Node::parse`].
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        Node::parse(text, Limits::default()).map(|node| node.to_json())
    }

    /// A text of which the caller knows that it is compact JSON: it was that of a `Json`.
    pub fn from_compact(text: impl AsRef<str>) -> Self {
        Self(EcoString::from(text.as_ref()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is.
    pub fn kind(&self) -> JsonKind {
        match self.0.as_bytes().first() {
            Some(b'n') | None => JsonKind::Null,
            Some(b't' | b'f') => JsonKind::Boolean,
            Some(b'"') => JsonKind::String,
            Some(b'[') => JsonKind::Array,
            Some(b'{') => JsonKind::Object,
            Some(_) => JsonKind::Number,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        if self.kind() == JsonKind::Number { self.0.parse().ok() } else { None }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.0.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The string, if it is one, with its escapes resolved.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            serde_json::from_str::<String>(&self.0).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(inner))
        }
    }

    /// The tree, for a caller that has to look inside.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        Self::from_compact(value.to_string())
    }
}

impl From<&str> for Json {
    /// The JSON string that holds this text.
    fn from(text: &str) -> Self {
        Self::from_compact(serde_json::Value::from(text).to_string())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much a document may ask of its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The deepest nesting of arrays and objects; above [`MAX_DEPTH`](Self::MAX_DEPTH) it counts
    /// as that.
    pub depth: usize,
}

impl Limits {
    /// The deepest nesting that any reader accepts. Whoever walks a tree may recurse, because it
    /// is never deeper than this.
    pub const MAX_DEPTH: usize = 100;
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64 }
    }
}

/// A JSON value inside a text, with the text of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'a> {
    /// The value as it stands in the text, white space included.
    pub raw: &'a str,
    /// What it is made of.
    pub document: Document<'a>,
}

/// The tree of a JSON text. Keys of an object are unique and in the order of the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Document<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, finite as an `f64`.
    Number(f64),
    /// A string with its escapes resolved.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Node<'a>>),
    /// An object.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// Why a text is not acceptable JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at line {line}, column {column}")]
pub struct JsonError {
    /// What is wrong there.
    pub reason: String,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl<'a> Node<'a> {
    /// Parses a text that is one JSON value. White space around it is accepted, anything else is
    /// not.
    ///
    /// # Errors
    ///
    /// [`JsonError`] if the text is not JSON (RFC 8259), is nested deeper than
    /// [`Limits::depth`], holds an object with the same key twice, a string with half of a
    /// surrogate pair, or a number that is not finite as an `f64`.
    pub fn parse(text: &'a str, limits: Limits) -> Result<Self, JsonError> {
        parse::document(text, limits)
    }

    /// The member of this name, if this is an object that has it.
    pub fn member(&self, name: &str) -> Option<&Node<'a>> {
        self.as_object()?.iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Document::String(text) = &self.document { Some(text) } else { None }
    }

    /// The elements, if this is an array.
    pub fn as_array(&self) -> Option<&[Node<'a>]> {
        if let Document::Array(elements) = &self.document { Some(elements) } else { None }
    }

    /// The members in the order of the text, if this is an object.
    pub fn as_object(&self) -> Option<&[(Cow<'a, str>, Node<'a>)]> {
        if let Document::Object(members) = &self.document { Some(members) } else { None }
    }

    /// The value as compact text: as it was written, but for the insignificant white space.
    pub fn to_json(&self) -> Json {
        match &self.document {
            Document::Array(_) | Document::Object(_) => Json::from_compact(compact::text(self.raw)),
            Document::Null | Document::Boolean(_) | Document::Number(_) | Document::String(_) => {
                Json::from_compact(self.raw)
            }
        }
    }
}

#[cfg(test)]
mod tests;
