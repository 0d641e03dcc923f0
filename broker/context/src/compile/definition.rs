//! The definition of one term, as it is written.

use serde_json::Value;

use super::container::kinds;
use super::header::is_direction;
use super::{invalid, of, shown};
use crate::ContextError;
use crate::keyword::keyword;

/// What a definition says of its IRI.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Id<'d> {
    #[default]
    Unsaid,
    /// There is to be none.
    Nothing,
    Text(&'d str),
}

/// The members of a definition, each of a form that JSON-LD 1.1 allows. What they name is not
/// looked up.
#[derive(Debug, Default)]
pub(super) struct Definition<'d> {
    pub(super) id: Id<'d>,
    pub(super) coercion: Option<&'d str>,
    pub(super) prefix: Option<bool>,
    pub(super) is_protected: Option<bool>,
    pub(super) index: Option<&'d str>,
    /// Whether it is a string and no object.
    pub(super) is_simple: bool,
    container: Vec<&'static str>,
    language: Option<&'d Value>,
    direction: Option<&'d Value>,
    nest: Option<&'d str>,
}

impl<'d> Definition<'d> {
    /// Reads a definition and refuses what NGSI-LD does not allow.
    pub(super) fn read(
        term: &str,
        value: &'d Value,
        may_be_scoped: bool,
    ) -> Result<Self, ContextError> {
        let members = match value {
            Value::Null => return Ok(Self { id: Id::Nothing, ..Self::default() }),
            Value::String(iri) => {
                return Ok(Self { id: Id::Text(iri), is_simple: true, ..Self::default() });
            }
            Value::Object(members) => members,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                return Err(of(term, "its definition is a string, an object or null"));
            }
        };
        let mut definition = Self::default();
        for (member, value) in members {
            if member == "@context" && may_be_scoped {
                continue;
            }
            definition.member(member, value).map_err(|what| of(term, &what))?;
        }
        Ok(definition)
    }

    fn member(&mut self, member: &str, value: &'d Value) -> Result<(), String> {
        let be = |form: &str| Err(format!("its {member} is {form}"));
        match (member, value) {
            ("@id", Value::Null) => self.id = Id::Nothing,
            ("@id", Value::String(iri)) => self.id = Id::Text(iri),
            ("@type", Value::String(coercion)) => self.coercion = Some(coercion),
            ("@index", Value::String(index)) => self.index = Some(index),
            ("@prefix", Value::Bool(is_prefix)) => self.prefix = Some(*is_prefix),
            ("@protected", Value::Bool(is_protected)) => self.is_protected = Some(*is_protected),
            ("@nest", Value::String(nest)) if nest == "@nest" || keyword(nest).is_none() => {
                self.nest = Some(nest);
            }
            ("@language", Value::Null | Value::String(_)) => self.language = Some(value),
            ("@direction", value) if is_direction(value) => self.direction = Some(value),
            ("@container", value) => match kinds(value) {
                Some(kinds) => self.container = kinds,
                None => return be("not one of JSON-LD's, or not with the others"),
            },
            ("@id" | "@language", _) => return be("a string or null"),
            ("@type" | "@index", _) => return be("a string"),
            ("@prefix" | "@protected", _) => return be("true or false"),
            ("@nest", _) => return be("a term or @nest"),
            ("@direction", _) => return be("ltr, rtl or null"),
            ("@context", _) => {
                let what = "it has a scoped @context, which NGSI-LD does not allow (CIM 009, \
                            clause 5.5.7)";
                return Err(what.to_owned());
            }
            ("@reverse", _) => {
                let what = "it has @reverse, which would turn an attribute into one of its value";
                return Err(what.to_owned());
            }
            (other, _) => return Err(format!("it has an unknown member {}", shown(other))),
        }
        Ok(())
    }

    /// Whether the values stand in a container of this kind.
    pub(super) fn has_container(&self, kind: &str) -> bool {
        self.container.contains(&kind)
    }

    /// What two definitions of one protected term have to agree in beside what becomes of them.
    pub(super) fn details(&self) -> String {
        // A term with a type has no language and no direction.
        let of_text = self.coercion.is_none().then_some((self.language, self.direction));
        format!("{:?} {of_text:?} {:?} {:?}", self.container, self.index, self.nest)
    }
}

/// Refuses the definition of a keyword. `@type` alone may be defined: as a set, or protected.
pub(super) fn check_keyword(keyword: &str, value: &Value) -> Result<(), ContextError> {
    let is_allowed = |(member, value): (&String, &Value)| match member.as_str() {
        "@container" => kinds(value).is_some_and(|kinds| kinds == ["@set"]),
        "@protected" => value.is_boolean(),
        _ => false,
    };
    let fits = value
        .as_object()
        .is_some_and(|members| !members.is_empty() && members.iter().all(is_allowed));
    if keyword == "@type" && fits {
        return Ok(());
    }
    Err(invalid(format!("the keyword {keyword} cannot be defined so")))
}
