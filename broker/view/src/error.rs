//! Why a reader cannot be shown what was asked for.

/// Why entities are not shown as somebody asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The words are known, but what they say is forbidden.
    #[error("{0}")]
    BadRequest(String),
    /// A word is not one of those that are known.
    #[error("{0}")]
    InvalidRequest(String),
    /// It would take more linked entities, or more bytes, than are allowed.
    #[error("{0}")]
    TooComplex(String),
    /// A part of this broker did not do what it has to.
    #[error("{0}")]
    Internal(&'static str),
}

impl ViewError {
    /// The answer would have more bytes than are allowed.
    pub fn too_long() -> Self {
        let reason = "the answer would be too long; a smaller limit, or pick or omit, make it \
                      shorter";
        Self::TooComplex(reason.to_owned())
    }
}
