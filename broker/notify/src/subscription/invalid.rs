//! What can be wrong with a subscription.

use std::fmt;

/// Why a body is no subscription, or none that can be served. Says which member is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSubscription {
    at: String,
    reason: String,
    problem: Problem,
}

/// What kind of wrong it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The specification does not allow it.
    Forbidden,
    /// The specification knows it, and this broker does not do it.
    Unsupported,
}

impl InvalidSubscription {
    pub(crate) fn forbidden(at: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self { at: at.into(), reason: reason.to_string(), problem: Problem::Forbidden }
    }

    pub(crate) fn unsupported(at: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self { at: at.into(), reason: reason.to_string(), problem: Problem::Unsupported }
    }

    /// Where, as a JSON pointer such as `/notification/endpoint/uri`; `/` for the whole body.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// What is wrong there.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether it is wrong, or only not supported here.
    pub fn problem(&self) -> Problem {
        self.problem
    }
}

impl fmt::Display for InvalidSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.reason)
    }
}

impl std::error::Error for InvalidSubscription {}
