//! Entity identifiers: the `id` member of an entity (CIM 009, clause 4.6.1).

use crate::newtype::checked_string;

checked_string! {
    /// The identifier of an entity: an absolute URI of at most
    /// [`MAX_BYTES`](Self::MAX_BYTES) bytes, such as `urn:ngsi-ld:Shelter:23211-004`.
    ///
    /// A value of this type has been checked, so code that holds one does not check it again.
    /// Cloning is one atomic increment.
    ///
    /// ```
    /// use musubi_model::EntityId;
    ///
    /// let id: EntityId = "urn:ngsi-ld:Shelter:23211-004".parse()?;
    /// assert_eq!(id.as_str(), "urn:ngsi-ld:Shelter:23211-004");
    /// assert!("Shelter 4".parse::<EntityId>().is_err());
    /// # Ok::<(), musubi_model::InvalidEntityId>(())
    /// ```
    EntityId, InvalidEntityId, check
}

impl EntityId {
    /// The longest identifier accepted, in bytes. Stores build keys out of identifiers and rely
    /// on this bound.
    pub const MAX_BYTES: usize = 2048;
}

/// Why a string is no entity identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntityId {
    /// It is not an absolute URI.
    #[error("an entity id is an absolute URI, and {0:?} is not one")]
    NotAbsolute(String),
    /// It is longer than [`EntityId::MAX_BYTES`].
    #[error("an entity id has at most {max} bytes, and this one has {0}", max = EntityId::MAX_BYTES)]
    TooLong(usize),
}

fn check(text: &str) -> Result<(), InvalidEntityId> {
    if text.len() > EntityId::MAX_BYTES {
        return Err(InvalidEntityId::TooLong(text.len()));
    }
    if crate::iri::is_absolute(text) {
        Ok(())
    } else {
        Err(InvalidEntityId::NotAbsolute(text.to_owned()))
    }
}
