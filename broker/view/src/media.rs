//! Media types of entities (CIM 009, clause 6.3.4).

use serde::{Deserialize, Serialize};

/// A media type that entities come in. Declared in the order of preference of the clause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Media {
    /// `application/json`.
    #[default]
    Json,
    /// `application/ld+json`.
    LdJson,
    /// `application/geo+json`.
    GeoJson,
}

impl Media {
    /// The whole name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::LdJson => "application/ld+json",
            Self::GeoJson => "application/geo+json",
        }
    }

    /// What stands behind the slash.
    pub fn subtype(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::LdJson => "ld+json",
            Self::GeoJson => "geo+json",
        }
    }
}
