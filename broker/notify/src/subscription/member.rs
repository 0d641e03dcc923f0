//! A member of a body with its place, so that an error can name it.

use std::borrow::Cow;

use musubi_model::{Document, Node, Timestamp};

use super::InvalidSubscription;

/// The longest array accepted in a subscription.
pub(super) const MAX_ITEMS: usize = 1000;

/// The longest text of a name, a description or a query, in bytes.
pub(super) const MAX_TEXT: usize = 16 * 1024;

/// A value and where it stands.
pub(super) struct Member<'a> {
    pub(super) at: String,
    pub(super) node: &'a Node<'a>,
}

impl<'a> Member<'a> {
    pub(super) fn new(parent: &str, name: &str, node: &'a Node<'a>) -> Self {
        Self { at: format!("{parent}/{name}"), node }
    }

    /// The error that this member is not what it has to be.
    pub(super) fn refuse(&self, reason: impl std::fmt::Display) -> InvalidSubscription {
        let reason = reason.to_string();
        // Some reasons begin with the name of what is wrong, which the place says already.
        let name = self.at.rsplit('/').next().unwrap_or_default();
        let short = reason.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        InvalidSubscription::forbidden(self.at.clone(), short.unwrap_or(&reason))
    }

    /// The error that this member is not supported here.
    pub(super) fn unsupported(&self, reason: impl std::fmt::Display) -> InvalidSubscription {
        InvalidSubscription::unsupported(self.at.clone(), reason)
    }

    /// Whether the member asks for its own removal: with the NGSI-LD Null, or with JSON's
    /// (CIM 009, clause 5.5.8; RFC 7396).
    pub(super) fn is_null(&self) -> bool {
        match &self.node.document {
            Document::Null => true,
            Document::String(text) => text == musubi_model::NULL,
            Document::Boolean(_)
            | Document::Number(_)
            | Document::Array(_)
            | Document::Object(_) => false,
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, InvalidSubscription> {
        match self.node.as_str() {
            Some(musubi_model::NULL) => Err(self.refuse("the NGSI-LD Null is not a value")),
            Some(text) => Ok(text),
            None => Err(self.refuse("a string is needed")),
        }
    }

    /// A text of at most [`MAX_TEXT`] bytes.
    pub(super) fn bounded(&self) -> Result<&'a str, InvalidSubscription> {
        let text = self.text()?;
        if text.len() > MAX_TEXT {
            return Err(self.refuse(format_args!("at most {MAX_TEXT} bytes are allowed")));
        }
        Ok(text)
    }

    pub(super) fn boolean(&self) -> Result<bool, InvalidSubscription> {
        let Document::Boolean(value) = self.node.document else {
            return Err(self.refuse("true or false is needed"));
        };
        Ok(value)
    }

    /// A number greater than 0.
    pub(super) fn positive(&self) -> Result<f64, InvalidSubscription> {
        let refuse = || self.refuse("a number greater than 0 is needed");
        let Document::Number(value) = self.node.document else { return Err(refuse()) };
        if value > 0.0 && value.is_finite() { Ok(value) } else { Err(refuse()) }
    }

    /// A whole number greater than 0, and not greater than `most`.
    pub(super) fn whole(&self, most: u16) -> Result<u16, InvalidSubscription> {
        let number = match self.node.document {
            Document::Number(value) => {
                (1..=most).find(|number| f64::from(*number).total_cmp(&value).is_eq())
            }
            Document::Null
            | Document::Boolean(_)
            | Document::String(_)
            | Document::Array(_)
            | Document::Object(_) => None,
        };
        number.ok_or_else(|| self.refuse(format_args!("a number from 1 to {most} is needed")))
    }

    pub(super) fn time(&self) -> Result<Timestamp, InvalidSubscription> {
        self.text()?.parse().map_err(|error| self.refuse(error))
    }

    /// The items of an array, of which there is at least one.
    pub(super) fn items(&self) -> Result<Vec<Member<'a>>, InvalidSubscription> {
        let Document::Array(items) = &self.node.document else {
            return Err(self.refuse("an array is needed"));
        };
        if items.is_empty() {
            return Err(self.refuse("an empty array is not allowed"));
        }
        if items.len() > MAX_ITEMS {
            return Err(self.refuse(format_args!("at most {MAX_ITEMS} items are allowed")));
        }
        let items = items.iter().enumerate();
        Ok(items.map(|(i, node)| Member::new(&self.at, &i.to_string(), node)).collect())
    }

    /// The members of an object.
    pub(super) fn members(&self) -> Result<Vec<(&'a str, Member<'a>)>, InvalidSubscription> {
        let Document::Object(members) = &self.node.document else {
            return Err(self.refuse("an object is needed"));
        };
        let members: &'a [(Cow<'a, str>, Node<'a>)] = members;
        let named = members.iter().map(|(name, node)| {
            let name: &'a str = name;
            (name, Member::new(&self.at, name, node))
        });
        Ok(named.collect())
    }

    /// The error for a member that this object does not have.
    pub(super) fn missing(&self, name: &str) -> InvalidSubscription {
        InvalidSubscription::forbidden(format!("{}/{name}", self.at), "this member is required")
    }
}
