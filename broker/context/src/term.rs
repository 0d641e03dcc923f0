//! What a context says of one term.

use std::sync::Arc;

use musubi_model::{AttrName, TypeName};

/// How a context says that the values of a term are to be read: its `@type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coercion {
    /// `@id`: strings are IRIs.
    Id,
    /// `@vocab`: strings are terms of the vocabulary.
    Vocab,
    /// `@json`: JSON that is not to be looked into.
    Json,
    /// Strings are literals of the data type with this IRI.
    Datatype(Arc<str>),
}

/// What a term stands for.
#[derive(Clone, Debug)]
pub(crate) enum Mapping {
    /// An IRI. With the names made of it, unless it is too long or not absolute for one.
    Iri(Arc<str>, Option<Name>),
    /// A keyword of JSON-LD.
    Keyword(&'static str),
    /// Nothing: the context takes the term out of use.
    Nothing,
}

/// An IRI as the two kinds of name that it may be. Both share one text.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) attribute: AttrName,
    pub(crate) entity_type: TypeName,
}

/// What a context says of one term.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    pub(crate) mapping: Mapping,
    pub(crate) coercion: Option<Coercion>,
    /// Whether the term may stand in front of a colon.
    pub(crate) is_prefix: bool,
    /// Whether the term is a name that the specification supports.
    pub(crate) is_name: bool,
}

impl Name {
    pub(crate) fn new(iri: &Arc<str>) -> Option<Self> {
        let attribute = AttrName::try_from(Arc::clone(iri)).ok()?;
        let entity_type = TypeName::try_from(Arc::clone(iri)).ok()?;
        Some(Self { attribute, entity_type })
    }
}

impl Term {
    /// Whether both stand for the same and say the same of their values.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let is_same_mapping = match (&self.mapping, &other.mapping) {
            (Mapping::Iri(iri, _), Mapping::Iri(other, _)) => iri == other,
            (Mapping::Keyword(keyword), Mapping::Keyword(other)) => keyword == other,
            (Mapping::Nothing, Mapping::Nothing) => true,
            (Mapping::Iri(..) | Mapping::Keyword(_) | Mapping::Nothing, _) => false,
        };
        is_same_mapping && self.coercion == other.coercion && self.is_prefix == other.is_prefix
    }

    /// The IRI, if the term stands for one.
    pub(crate) fn iri(&self) -> Option<&Arc<str>> {
        match &self.mapping {
            Mapping::Iri(iri, _) => Some(iri),
            Mapping::Keyword(_) | Mapping::Nothing => None,
        }
    }
}

/// Whether a term without a colon is a name of a type or attribute: letters, digits and `_`,
/// beginning with a letter, of any script (CIM 009, clause 4.6.2).
pub(crate) fn is_name(term: &str) -> bool {
    let mut bytes = term.bytes();
    let ascii = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if ascii {
        return true;
    }
    let mut characters = term.chars();
    characters.next().is_some_and(char::is_alphabetic)
        && characters.all(|character| character.is_alphanumeric() || character == '_')
}

/// Whether the text begins like an absolute IRI: a scheme and a colon; or with what may stand in
/// front of `//`; or like the name of a blank node.
pub(crate) fn has_scheme(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let mut bytes = scheme.bytes();
    let is_scheme = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_scheme || scheme == "_" || (!scheme.is_empty() && rest.starts_with("//"))
}

/// Prefix and rest of what may be a compact IRI: split at the first colon, where that is neither
/// the first character nor followed by `//`.
pub(crate) fn split_compact(text: &str) -> Option<(&str, &str)> {
    let (prefix, rest) = text.split_once(':')?;
    if prefix.is_empty() || prefix == "_" || rest.starts_with("//") {
        return None;
    }
    Some((prefix, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_letters_digits_and_underscores_of_any_script() {
        for name in ["speed", "S", "a1_b", "Škola", "výška_1", "気温", "データ", "a_", "x２"]
        {
            assert!(is_name(name), "{name}");
        }
        for wrong in
            ["", "my attr", "9Vehicle", "_a", "a-b", "a.b", "@graph", "a:b", "a/b", "1", "é!"]
        {
            assert!(!is_name(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_absolute_iri_begins_with_a_scheme() {
        for absolute in ["urn:a", "https://e.example/", "a+b-c.1:x", "_:b0", "1a://x", "a:"] {
            assert!(has_scheme(absolute), "{absolute}");
        }
        for not in ["", "a", ":a", "1a:x", "a_b:x", "気温:x", "a b:c", "12:30", "//e.example"] {
            assert!(!has_scheme(not), "{not}");
        }
    }

    #[test]
    fn a_compact_iri_has_something_before_its_colon_and_no_authority_behind_it() {
        assert_eq!(split_compact("ex:foo"), Some(("ex", "foo")));
        assert_eq!(split_compact("ex:a:b"), Some(("ex", "a:b")));
        assert_eq!(split_compact("urn:ngsi-ld:null"), Some(("urn", "ngsi-ld:null")));
        for whole in ["foo", "https://example.org/a", ":foo", "_:b0"] {
            assert_eq!(split_compact(whole), None, "{whole}");
        }
    }
}
