//! The members that are no attributes: times, identifiers, scopes, codes.

use std::sync::Arc;

use musubi_model::{AttributeType, DatasetId, NULL, Node, Patch, Scope, Timestamp};

use super::{Walk, Walked};
use crate::InvalidBody;

impl Walk<'_> {
    /// A point in time, or its removal.
    pub(super) fn date_time(&self, node: &Node<'_>) -> Walked<Patch<Timestamp>> {
        match node.as_str() {
            Some(NULL) => self.removal(),
            Some(text) => date_time(text).map(Patch::Set),
            None => Err(InvalidBody::here(NO_TIME)),
        }
    }

    /// A unit of measurement, or its removal.
    pub(super) fn unit_code(&self, node: &Node<'_>) -> Walked<Patch<Arc<str>>> {
        match node.as_str() {
            Some(NULL) => self.removal(),
            Some("") | None => Err(InvalidBody::here("a unitCode is a string, such as CEL")),
            Some(code) => Ok(Patch::Set(code.into())),
        }
    }

    /// The IRI of a data type, or its removal.
    pub(super) fn value_type(
        &self,
        kind: Option<AttributeType>,
        node: &Node<'_>,
    ) -> Walked<Patch<Arc<str>>> {
        const LANG_STRING: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString";
        let text = match node.as_str() {
            Some(NULL) => return self.removal(),
            Some("") | None => return Err(InvalidBody::here("a valueType is a string")),
            Some(text) => text,
        };
        let Some(iri) = self.context.vocabulary(text) else {
            return Err(InvalidBody::here("the @context makes no URI of this valueType"));
        };
        if kind == Some(AttributeType::LanguageProperty) && iri != LANG_STRING {
            return Err(InvalidBody::here("the valueType of a LanguageProperty is langString"));
        }
        Ok(Patch::Set(iri.as_ref().into()))
    }
}

/// The data set that a member names; none for the default one.
pub(super) fn dataset_id(node: &Node<'_>) -> Walked<Option<DatasetId>> {
    match node.as_str() {
        Some("@none") => Ok(None),
        Some(NULL) => {
            Err(InvalidBody::here("a datasetId cannot be taken away (CIM 009, clause 5.5.12)"))
        }
        _ => dataset(uri_text(node)?).map(Some),
    }
}

/// The data set of this name.
pub(super) fn dataset(text: &str) -> Walked<DatasetId> {
    if text == NULL || text.chars().any(is_invisible) {
        return Err(InvalidBody::here("this is no URI of a data set"));
    }
    text.parse().map_err(|error| InvalidBody::here(format!("{error}")))
}

/// The text of a URI that can be shown to a person. Whether it is absolute is for its type to
/// say.
pub(super) fn uri_text<'a>(node: &'a Node<'_>) -> Walked<&'a str> {
    match node.as_str() {
        None => Err(InvalidBody::here("a URI is a string")),
        Some(NULL) => Err(InvalidBody::here("urn:ngsi-ld:null has no place here")),
        Some(text) if text.chars().any(is_invisible) => {
            Err(InvalidBody::here("a URI has no characters that cannot be seen"))
        }
        Some(text) => Ok(text),
    }
}

/// Characters with which a URI would look like another one, or like nothing: spaces, controls,
/// format characters, fillers, variation selectors.
fn is_invisible(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control() || character == ' ';
    }
    character.is_control()
        || character.is_whitespace()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{ffff}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

const NO_TIME: &str = "a time is a string as in 2024-01-11T09:00:00Z, in UTC";

/// A point in time in UTC, with a point or a comma before the fraction of the second, of at most
/// six digits (CIM 009, clause 4.6.3).
fn date_time(text: &str) -> Walked<Timestamp> {
    let refuse = || InvalidBody::here(NO_TIME);
    let body = text.strip_suffix('Z').ok_or_else(refuse)?;
    // Date, `T` and the time to the second.
    let fraction = body.get(19..).ok_or_else(refuse)?;
    if fraction.is_empty() {
        return text.parse().map_err(|_| refuse());
    }
    let digits = fraction.strip_prefix(['.', ',']).ok_or_else(refuse)?;
    let fits = (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !fits {
        return Err(refuse());
    }
    if fraction.starts_with(',') {
        return text.replace(',', ".").parse().map_err(|_| refuse());
    }
    text.parse().map_err(|_| refuse())
}

/// A scope: levels of letters, digits and `_`, each beginning with a letter (CIM 009, clause
/// 4.18).
pub(super) fn scope(text: &str) -> Walked<Scope> {
    let refuse = || {
        let shown: String = text.chars().take(80).collect();
        InvalidBody::here(format!(
            "a scope has levels of letters, digits and '_', each beginning with a letter and \
             separated by '/', and {shown:?} has not"
        ))
    };
    let levels = text.strip_prefix('/').unwrap_or(text);
    if !levels.split('/').all(crate::term::is_name) {
        return Err(refuse());
    }
    Scope::parse(text).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_utc_with_at_most_six_digits_of_the_second() {
        let check = |text: &str, read: &str| {
            assert_eq!(date_time(text).unwrap().to_string(), read, "{text}");
        };
        check("2020-09-09T16:40:00Z", "2020-09-09T16:40:00Z");
        check("2020-09-09T16:40:00.5Z", "2020-09-09T16:40:00.500Z");
        check("2020-09-09T16:40:00,123456Z", "2020-09-09T16:40:00.123456Z");
        for wrong in [
            "",
            "Z",
            "not-a-date",
            "2020-09-09",
            "2020-09-09T16:40:00",
            "2020-09-09T16:40:00+02:00",
            "2020-09-09T16:40:00+02:00Z",
            "2020-09-09T16:40Z",
            "2020-09-09T16:40:00.Z",
            "2020-09-09T16:40:00.1234567Z",
            "2020-13-09T16:40:00Z",
            "２020-09-09T16:40:00Z",
        ] {
            assert!(date_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_scope_follows_its_grammar() {
        for (text, read) in [
            ("/Madrid/Gardens/ParqueNorte", "/Madrid/Gardens/ParqueNorte"),
            ("Madrid", "/Madrid"),
            ("/愛知/名古屋_2", "/愛知/名古屋_2"),
        ] {
            assert_eq!(scope(text).unwrap().as_str(), read);
        }
        for wrong in ["", "/", "9bad", "/a//b", "a-b", "/a/", "urn:ngsi-ld:null"] {
            assert!(scope(wrong).is_err(), "{wrong}");
        }
    }
}
