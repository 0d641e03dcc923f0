//! `[[entity]]`: what an item becomes.

use std::collections::BTreeMap;

/// A text of the file, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The text.
    pub text: String,
    /// Its line, from 1.
    pub line: usize,
    /// Its first character in the line, from 1.
    pub column: usize,
}

/// One entity that an item becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityMapping {
    /// The type, as a term or IRI.
    pub entity_type: Located,
    /// The template of the id, with expressions in `${…}`.
    pub id: Located,
    /// The name or URL of the context that its terms are of; by default that of the program.
    pub context: Option<String>,
    /// The expression of the time at which the values held.
    pub observed_at: Option<Located>,
    /// The time zone of times that name none, such as `Asia/Tokyo`.
    pub timezone: Option<Located>,
    /// What an item without a usable time means.
    pub fallback: Fallback,
    /// What a value that is not there means.
    pub on_missing: OnMissing,
    /// The expression by which the same item is known again.
    pub dedup: Option<Located>,
    /// The attributes, by term or IRI.
    pub attributes: BTreeMap<String, AttributeMapping>,
}

/// What an item without a usable time means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// It is of the time at which it arrived.
    #[default]
    Arrival,
    /// It cannot be used.
    Reject,
}

/// What a value that is not there means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// The attribute is left as it is.
    #[default]
    Skip,
    /// The attribute is deleted.
    Null,
    /// The item cannot be used.
    Error,
}

/// Where an attribute comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeMapping {
    /// The place of the whole in the file, with the attribute's name as its text.
    pub place: Located,
    /// What makes its value.
    pub source: AttributeSource,
    /// The unit of measurement, a code of UN/CEFACT recommendation 20.
    pub unit: Option<String>,
    /// The smallest and the largest value that are believed.
    pub range: Option<(f64, f64)>,
}

/// What makes an attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeSource {
    /// A Property: an expression.
    Expression(Located),
    /// A Relationship: the template of the target's id.
    Relationship(Located),
    /// A point: the expressions of longitude and latitude, in degrees.
    GeoPoint(Located, Located),
    /// Texts: an expression for each language tag.
    Language(BTreeMap<String, Located>),
}
