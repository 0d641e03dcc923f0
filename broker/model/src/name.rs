//! Expanded names: types, attributes, data sets, and URIs in general.
//!
//! Everything here is an absolute IRI. Short names (terms) exist only at the edges, where an
//! `@context` turns one into the other.

use crate::newtype::{checked_name, checked_string};

checked_name! {
    /// An expanded entity type name, such as `https://uri.etsi.org/ngsi-ld/default-context/Shelter`.
    TypeName, InvalidName, check
}

checked_name! {
    /// An expanded attribute name. Names of sub-attributes are of this type too.
    AttrName, InvalidName, check
}

checked_string! {
    /// The `datasetId` of an attribute instance (CIM 009, clause 4.5.5). The default instance
    /// has none.
    DatasetId, InvalidName, check
}

checked_string! {
    /// An absolute URI: a relationship's target, a vocabulary value, an address of a context.
    Uri, InvalidName, check
}

/// Why a string is no expanded name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// It is not an absolute URI.
    #[error("an absolute URI is needed, and {0:?} is not one")]
    NotAbsolute(String),
    /// It is longer than 2,048 bytes.
    #[error("a URI has at most 2048 bytes, and this one has {0}")]
    TooLong(usize),
}

const MAX_BYTES: usize = 2048;

fn check(text: &str) -> Result<(), InvalidName> {
    if text.len() > MAX_BYTES {
        return Err(InvalidName::TooLong(text.len()));
    }
    if crate::iri::is_absolute(text) {
        Ok(())
    } else {
        Err(InvalidName::NotAbsolute(text.to_owned()))
    }
}
