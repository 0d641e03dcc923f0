//! The query language `q` (CIM 009, clause 4.9).
//!
//! ```text
//! q     = and *( "|" and )                 ";" binds tighter than "|"
//! and   = atom *( ";" atom )
//! atom  = "(" q ")" / "!" path / path / path cmp value
//! path  = name *( "." name ) [ "[" member *( "." member ) "]" ]
//!       / name "{" [ type *( "," type ) ":" ] path "}"        a value of linked entities
//! value = number / "text" / true / false / date and time / date / time / URI
//!       / value ".." value / value *( "," value )              the last two for == and != alone
//! ```
//!
//! A path names a value in each instance of an attribute, whatever its data set, and in each
//! linked entity that it leads to; a comparison holds if it holds for one of them. Where there is
//! no value, no comparison holds, `!=` neither.

use musubi_model::{AttrName, Entity};
use serde::{Deserialize, Serialize};

use crate::{
    AttributePath, InvalidQuery, LinkedEntities, NoLinkedEntities, Pattern, Stopped, Terms,
};

mod evaluate;
mod parse;

/// A query on the attributes of an entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Query {
    /// All of these hold (`;`).
    And(Vec<Query>),
    /// One of these holds (`|`).
    Or(Vec<Query>),
    /// There is such a value (`path`), or there is none (`!path`).
    Exists {
        /// What to look for.
        path: AttributePath,
        /// Whether it has to be there.
        expected: bool,
    },
    /// A value at the path stands in this relation.
    Compare {
        /// What to look at.
        path: AttributePath,
        /// What is asked of it.
        comparison: Comparison,
    },
}

/// What a comparison asks of a value.
///
/// Values of different types are unequal and have no order. Texts are ordered by code point,
/// times by the moment that they mean. A relationship knows only `==` and `!=`. A language
/// property without a language has all its texts as its value; it equals a text if one of them
/// does, and is unequal to it if none does. Patterns are for texts of at most
/// [`MAX_MATCHED`](Query::MAX_MATCHED) bytes alone: neither `~=` nor `!~=` holds for anything else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Comparison {
    /// `==`: equal to one of these values, or within one of these ranges. For an array, one of
    /// its elements is.
    Equal(Vec<Literal>),
    /// `!=`: not so.
    NotEqual(Vec<Literal>),
    /// `>`.
    Greater(Literal),
    /// `>=`.
    GreaterOrEqual(Literal),
    /// `<`.
    Less(Literal),
    /// `<=`.
    LessOrEqual(Literal),
    /// `~=`: a text in which the pattern is found.
    Like(Pattern),
    /// `!~=`: a text in which it is not.
    NotLike(Pattern),
}

/// A value in a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Literal {
    /// A number.
    Number(f64),
    /// A quoted text, or an unquoted URI or word. Compared with the target of a relationship, or
    /// with the expanded terms of a vocabulary property, it is a URI.
    Text(String),
    /// `true` or `false`.
    Boolean(bool),
    /// A date and time, a date or a time of day, as it was written.
    Time(String),
    /// From the first to the second, both included.
    Range(Box<Literal>, Box<Literal>),
}

/// What the parameters beside `q` say about how it is read (CIM 009, clause 4.9).
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryOptions<'a> {
    /// `expandValues`: each text that is compared with one of these attributes becomes what the
    /// vocabulary of the context makes of it. The attribute is the last one of the path.
    pub expand_values: &'a [AttrName],
    /// `jsonKeys`: the values of these attributes are raw JSON, which nothing expands. That is so
    /// for the members of every value here; a name in both lists is as if it stood in this one
    /// alone.
    pub json_keys: &'a [AttrName],
}

impl QueryOptions<'_> {
    fn expands(&self, name: &AttrName) -> bool {
        self.expand_values.contains(name) && !self.json_keys.contains(name)
    }
}

impl Query {
    /// The longest text of a query, in bytes.
    pub const MAX_BYTES: usize = crate::cursor::MAX_BYTES;

    /// The deepest nesting of parentheses.
    pub const MAX_DEPTH: usize = 64;

    /// The most regular expressions in a query.
    pub const MAX_PATTERNS: usize = 16;

    /// The longest text that a pattern is looked for in, in bytes.
    pub const MAX_MATCHED: usize = 16 * 1024;

    /// The most conditions of a query that look into linked entities.
    pub const MAX_LINKED_CONDITIONS: usize = 16;

    /// The most values in all lists of a query. Each is compared with each element of an array.
    pub const MAX_VALUES: usize = 1_000;

    /// Reads a query. Values are taken as they are written: a term of a vocabulary property is
    /// compared expanded, so the query has to have its URI.
    ///
    /// # Errors
    ///
    /// [`InvalidQuery`] if the text is not of the language, is longer than
    /// [`MAX_BYTES`](Self::MAX_BYTES), nests deeper than [`MAX_DEPTH`](Self::MAX_DEPTH), has more
    /// than [`MAX_PATTERNS`](Self::MAX_PATTERNS) regular expressions or one that is malformed or
    /// too large, more than [`MAX_VALUES`](Self::MAX_VALUES) values, more than
    /// [`MAX_LINKED_CONDITIONS`](Self::MAX_LINKED_CONDITIONS) conditions on linked entities, or a
    /// path of more than [`AttributePath::MAX_LINKS`] links.
    pub fn parse(text: &str, terms: &dyn Terms) -> Result<Self, InvalidQuery> {
        parse::query(text, terms, &QueryOptions::default())
    }

    /// Reads a query as [`parse`](Self::parse) does, with what the parameters beside it say.
    ///
    /// # Errors
    ///
    /// [`InvalidQuery`] as for [`parse`](Self::parse).
    pub fn parse_with(
        text: &str,
        terms: &dyn Terms,
        options: &QueryOptions<'_>,
    ) -> Result<Self, InvalidQuery> {
        parse::query(text, terms, options)
    }

    /// Reads a query as [`parse`](Self::parse) does, but expands the texts that are compared with
    /// these attributes, as the parameter `expandValues` asks for: each becomes what the
    /// vocabulary of the context makes of it.
    ///
    /// # Errors
    ///
    /// [`InvalidQuery`] as for [`parse`](Self::parse).
    pub fn parse_expanding(
        text: &str,
        terms: &dyn Terms,
        expand_values: &[AttrName],
    ) -> Result<Self, InvalidQuery> {
        let options = QueryOptions { expand_values, ..QueryOptions::default() };
        parse::query(text, terms, &options)
    }

    /// Whether `entity` satisfies this query, where nothing is known of the entities that it is
    /// linked with.
    pub fn matches(&self, entity: &Entity) -> bool {
        self.matches_among(entity, &NoLinkedEntities)
    }

    /// Whether `entity`, in these surroundings, satisfies this query.
    pub fn matches_among(&self, entity: &Entity, linked: &dyn LinkedEntities) -> bool {
        self.evaluate(entity, linked, &mut || true) == Ok(true)
    }

    /// Whether `entity` satisfies this query, as [`matches`](Self::matches) says it. It is asked
    /// before each value that is looked at whether to go on.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if it was not to go on.
    pub fn matches_while(
        &self,
        entity: &Entity,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, Stopped> {
        self.evaluate(entity, &NoLinkedEntities, goes_on)
    }

    fn evaluate(
        &self,
        entity: &Entity,
        linked: &dyn LinkedEntities,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, Stopped> {
        match self {
            Self::And(queries) => {
                for query in queries {
                    if !query.evaluate(entity, linked, goes_on)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(queries) => {
                for query in queries {
                    if query.evaluate(entity, linked, goes_on)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Exists { path, expected } => {
                Stopped::unless(goes_on())?;
                Ok(path.any_value(entity, linked, &mut |_| true) == *expected)
            }
            Self::Compare { path, comparison } => {
                let mut going = Stopped::unless(goes_on());
                let found = path.any_value(entity, linked, &mut |found| {
                    going = Stopped::unless(goes_on());
                    going.is_err() || found.satisfies(comparison)
                });
                going.map(|()| found)
            }
        }
    }

    /// How many links the longest path follows.
    pub fn link_depth(&self) -> usize {
        match self {
            Self::And(queries) | Self::Or(queries) => {
                queries.iter().map(Self::link_depth).max().unwrap_or(0)
            }
            Self::Exists { path, .. } | Self::Compare { path, .. } => path.links.len(),
        }
    }
}

#[cfg(test)]
mod tests;
