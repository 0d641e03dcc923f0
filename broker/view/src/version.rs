//! Versions of the specification (CIM 009, clause 4.3.6.8).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A version of the specification, of the 1.x that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(u16);

impl Version {
    /// What this broker writes by itself.
    pub const NATIVE: Self = Self(9);

    /// The version 1.`minor`.
    pub const fn one_dot(minor: u16) -> Self {
        Self(minor)
    }

    /// Reads `1.5`. Later versions than the native one are taken for that. None if the text is not
    /// two numbers with a dot between, or names a version before 1.0.
    pub fn parse(text: &str) -> Option<Self> {
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let (major, minor) = text.split_once('.')?;
        if !is_number(major) || !is_number(minor) {
            return None;
        }
        match (major.parse::<u16>().ok()?, minor.parse::<u16>().ok()?) {
            (0, _) => None,
            (1, minor) => Some(Self(minor).min(Self::NATIVE)),
            (_, _) => Some(Self::NATIVE),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_two_numbers_with_a_dot_between() {
        assert_eq!(Version::parse("1.5"), Some(Version::one_dot(5)));
        assert_eq!(Version::parse("1.9").map(|it| it.to_string()).as_deref(), Some("1.9"));
        for later in ["1.12", "2.0"] {
            assert_eq!(Version::parse(later), Some(Version::NATIVE));
        }
        for text in ["", "1", "0.9", "1.x", "1.99999999", "1.5.0", "+1.5"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
