//! A member of a body with its place, so that an error can name it.

use std::borrow::Cow;

use musubi_model::{Document, Node, Timestamp};

use super::InvalidSubscription;

/// The longest array accepted in a subscription.
pub(super) const MAX_ITEMS: usize = 1000;

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
        InvalidSubscription::forbidden(self.at.clone(), reason)
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
