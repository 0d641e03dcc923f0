//! What is wrong with a query.

use musubi_model::{AttrName, InvalidName, TypeName};

/// Why a text is no query: what was expected, where, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{parameter}: {reason} at character {at} of {text:?}")]
pub struct InvalidQuery {
    /// The query parameter, such as `q`.
    pub parameter: &'static str,
    /// What is wrong, such as "a value was expected".
    pub reason: String,
    /// The character, from 1.
    pub at: usize,
    /// The text, cut to its first 200 characters.
    pub text: String,
}

/// Turns the short names of a query into expanded ones. An `@context` is one.
pub trait Terms {
    /// The expanded name of an attribute.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the term expands to no absolute URI.
    fn attribute(&self, term: &str) -> Result<AttrName, InvalidName>;

    /// The expanded name of a type.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the term expands to no absolute URI.
    fn entity_type(&self, term: &str) -> Result<TypeName, InvalidName>;

    /// A value as the vocabulary of the context expands it, for comparisons with a
    /// `VocabProperty`.
    fn vocabulary(&self, value: &str) -> String;
}
