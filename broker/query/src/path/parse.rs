//! From text to path.
//!
//! ```text
//! path  = name "{" [ types ":" ] path "}" / value         any depth up to MAX_LINKS
//! types = type *( "," type )
//! value = name *( "." name ) [ "[" member *( "." member ) "]" ]
//! ```
//!
//! Names and types may have a prefix, as in `ex:name`. Inside braces that leaves `{a:b}` open: it
//! is a type and a name, `{a:b:c}` is a type with a prefix and a name, and `{a:b:c:d}` is both
//! with a prefix.

use musubi_model::{AttrName, NGSI_LD, TypeName};

use super::{AttributePath, Link};
use crate::cursor::Cursor;
use crate::{InvalidQuery, Terms};

/// The names that the core context reserves and a path may end with.
pub(crate) const SYSTEM_ATTRIBUTES: [&str; 6] =
    ["createdAt", "modifiedAt", "expiresAt", "observedAt", "unitCode", "datasetId"];

/// Whether a name may have this character beside its first one, the `:` of a prefix included.
fn is_name_character(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | ':')
}

impl AttributePath {
    /// Reads a path that may lead to linked entities.
    pub(crate) fn read(cursor: &mut Cursor<'_>, terms: &dyn Terms) -> Result<Self, InvalidQuery> {
        let mut links: Vec<Link> = Vec::new();
        loop {
            cursor.skip_spaces();
            if let Some(link) = links.last_mut() {
                link.types = types(cursor, terms)?;
            }
            let start = *cursor;
            let first = name(cursor, terms)?;
            if cursor.eat("{") {
                if links.len() >= Self::MAX_LINKS {
                    let reason = format!("a path follows at most {} links", Self::MAX_LINKS);
                    return Err(start.error(reason));
                }
                links.push(Link { relationship: first, types: Vec::new() });
                continue;
            }
            let path = value(first, cursor, terms)?;
            if cursor.peek() == Some('{') {
                return Err(cursor.error(
                    "'{' follows the name of a relationship of the entity itself, and nothing else",
                ));
            }
            for _ in &links {
                cursor.skip_spaces();
                if !cursor.eat("}") {
                    return Err(cursor.error("'}' was expected"));
                }
            }
            return Ok(Self { links, ..path });
        }
    }

    /// Reads a path to a value of the entity itself.
    pub(crate) fn read_own(
        cursor: &mut Cursor<'_>,
        terms: &dyn Terms,
    ) -> Result<Self, InvalidQuery> {
        let first = name(cursor, terms)?;
        value(first, cursor, terms)
    }
}

/// What follows the first name of a path to a value.
fn value(
    first: AttrName,
    cursor: &mut Cursor<'_>,
    terms: &dyn Terms,
) -> Result<AttributePath, InvalidQuery> {
    let mut names = vec![first];
    while cursor.eat(".") {
        names.push(name(cursor, terms)?);
    }
    let members = if cursor.eat("[") { members(cursor)? } else { Vec::new() };
    Ok(AttributePath { links: Vec::new(), names, members })
}

fn name(cursor: &mut Cursor<'_>, terms: &dyn Terms) -> Result<AttrName, InvalidQuery> {
    let start = *cursor;
    let term = cursor.take_while(is_name_character);
    if !term.starts_with(char::is_alphabetic) {
        return Err(start.error("the name of an attribute was expected"));
    }
    let name = if SYSTEM_ATTRIBUTES.contains(&term) {
        format!("{NGSI_LD}{term}").parse()
    } else {
        terms.attribute(term)
    };
    name.map_err(|error| start.error(error.to_string()))
}

/// The members, of which the opening bracket has been read.
fn members(cursor: &mut Cursor<'_>) -> Result<Vec<String>, InvalidQuery> {
    let mut members = Vec::new();
    loop {
        let member = cursor.take_while(|character| !".[]".contains(character));
        if member.is_empty() {
            return Err(cursor.error("the name of a member was expected"));
        }
        members.push(member.to_owned());
        if cursor.eat("]") {
            return Ok(members);
        }
        if !cursor.eat(".") {
            return Err(cursor.error("'.' or ']' was expected"));
        }
    }
}

/// The types at the beginning of what stands in braces, if there are some.
fn types(cursor: &mut Cursor<'_>, terms: &dyn Terms) -> Result<Vec<TypeName>, InvalidQuery> {
    let rest = cursor.rest();
    let end = rest.find(|character| !is_name_character(character) && character != ',');
    let listed = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    let (before, last) =
        listed.rsplit_once(',').map_or(("", listed), |(before, last)| (before, last));
    let has_several = before.len() < listed.len() - last.len();
    let mut parts = last.splitn(4, ':');
    let length = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(_), None) => name.len(),
        (Some(prefix), Some(name), Some(_)) => prefix.len() + 1 + name.len(),
        _ if has_several => {
            cursor.take(listed.len());
            return Err(cursor.error("':' was expected behind the types"));
        }
        _ => return Ok(Vec::new()),
    };
    let mut types = Vec::new();
    let text = listed.get(..listed.len() - last.len() + length).unwrap_or_default();
    for term in text.split(',') {
        let start = *cursor;
        cursor.take(term.len());
        if !term.starts_with(char::is_alphabetic) {
            return Err(start.error("a type was expected"));
        }
        types.push(terms.entity_type(term).map_err(|error| start.error(error.to_string()))?);
        // The comma behind it, or the colon behind the last one.
        cursor.take(1);
    }
    Ok(types)
}
