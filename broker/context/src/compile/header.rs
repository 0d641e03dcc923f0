//! The members of a context that say something of the whole and define no term.

use serde_json::{Map, Value};

use super::invalid;
use crate::ContextError;

/// What a context says of all its definitions.
#[derive(Debug)]
pub(super) struct Header<'d> {
    pub(super) vocab: Vocab<'d>,
    /// Whether its definitions are protected.
    pub(super) is_protected: bool,
}

/// What a context says of the vocabulary.
#[derive(Debug)]
pub(super) enum Vocab<'d> {
    Unsaid,
    /// There is to be none.
    Nothing,
    Text(&'d str),
}

impl<'d> Header<'d> {
    /// Reads and checks the members. What they name is not looked up.
    pub(super) fn read(context: &'d Map<String, Value>) -> Result<Self, ContextError> {
        let member = |name: &str| context.get(name);
        if member("@import").is_some() {
            return Err(invalid(
                "@import is not supported; name the other context beside this one",
            ));
        }
        if member("@version").is_some_and(|version| version.as_f64() != Some(1.1)) {
            return Err(invalid("@version is the number 1.1"));
        }
        match member("@propagate") {
            None | Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => {
                return Err(invalid(
                    "a @propagate of false would hide the terms from what is inside attributes, \
                     and one context is for the whole document (CIM 009, clause 5.5.7)",
                ));
            }
            Some(_) => return Err(invalid("@propagate is true or false")),
        }
        if member("@direction").is_some_and(|direction| !is_direction(direction)) {
            return Err(invalid("@direction is ltr, rtl or null"));
        }
        for name in ["@base", "@language"] {
            if member(name).is_some_and(|value| !(value.is_string() || value.is_null())) {
                return Err(invalid(format!("{name} is a string or null")));
            }
        }
        let vocab = match member("@vocab") {
            None => Vocab::Unsaid,
            Some(Value::Null) => Vocab::Nothing,
            Some(Value::String(text)) => Vocab::Text(text),
            Some(_) => return Err(invalid("@vocab is a string or null")),
        };
        let is_protected = match member("@protected") {
            None => false,
            Some(Value::Bool(is_protected)) => *is_protected,
            Some(_) => return Err(invalid("@protected is true or false")),
        };
        Ok(Self { vocab, is_protected })
    }
}

/// Whether a member of a context is no term.
pub(super) fn is_header(member: &str) -> bool {
    matches!(
        member,
        "@base"
            | "@direction"
            | "@import"
            | "@language"
            | "@propagate"
            | "@protected"
            | "@version"
            | "@vocab"
    )
}

/// Whether this is a direction of text, or that there is none.
pub(super) fn is_direction(value: &Value) -> bool {
    value.is_null() || matches!(value.as_str(), Some("ltr" | "rtl"))
}
