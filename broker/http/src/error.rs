//! What can be wrong with a request before an operation is reached, and what an operation says.

use musubi_context::{ContextError, InvalidBody};
use musubi_model::{InvalidEntityId, InvalidName, InvalidTenant, JsonError};
use musubi_query::InvalidQuery;
use musubi_view::ViewError;

use crate::options::AdapterError;

/// Why a request is not answered as it hoped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request is not of the form that the specification asks for.
    #[error("{0}")]
    InvalidRequest(String),
    /// The request is well formed, but says something that the model forbids.
    #[error("{0}")]
    BadRequestData(String),
    #[error("there is nothing at this path")]
    NoSuchPath,
    #[error("there is no {0}")]
    NotFound(String),
    #[error("this method is not available here; the Allow header names those that are")]
    MethodNotAllowed,
    #[error("available here: {0}")]
    NotAcceptable(String),
    #[error("a body needs a Content-Length")]
    LengthRequired,
    #[error("a body may have at most {0} bytes")]
    TooLarge(usize),
    #[error("a body is application/json or application/ld+json, and not compressed")]
    UnsupportedMediaType,
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("at most {0} results may be asked for at once")]
    TooManyResults(usize),
    #[error("{0}")]
    TooComplex(String),
    #[error(transparent)]
    Context(#[from] ContextError),
    #[error("this server does not answer under the name {0:?}")]
    Misdirected(String),
    #[error("web pages of {0:?} may change nothing here")]
    ForeignOrigin(String),
    #[error("web pages of other sites get nothing here")]
    ForeignSite,
    #[error("{0}")]
    Unavailable(String),
    #[error("internal error")]
    Panicked,
    #[error(transparent)]
    Broker(#[from] musubi_broker::Error),
}

impl From<JsonError> for Error {
    fn from(error: JsonError) -> Self {
        Self::InvalidRequest(format!("the body is not acceptable JSON: {error}"))
    }
}

impl From<InvalidBody> for Error {
    fn from(error: InvalidBody) -> Self {
        Self::BadRequestData(error.to_string())
    }
}

impl From<InvalidQuery> for Error {
    fn from(error: InvalidQuery) -> Self {
        Self::BadRequestData(error.to_string())
    }
}

impl From<ViewError> for Error {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::BadRequest(reason) => Self::BadRequestData(reason),
            ViewError::InvalidRequest(reason) => Self::InvalidRequest(reason),
            ViewError::TooComplex(reason) => Self::TooComplex(reason),
            ViewError::Internal(reason) => {
                Self::Broker(musubi_broker::Error::Internal(reason.to_owned()))
            }
        }
    }
}

impl From<InvalidName> for Error {
    fn from(error: InvalidName) -> Self {
        Self::BadRequestData(error.to_string())
    }
}

impl From<InvalidEntityId> for Error {
    fn from(error: InvalidEntityId) -> Self {
        Self::BadRequestData(error.to_string())
    }
}

impl From<InvalidTenant> for Error {
    fn from(error: InvalidTenant) -> Self {
        Self::BadRequestData(error.to_string())
    }
}

impl From<AdapterError> for Error {
    fn from(error: AdapterError) -> Self {
        match error {
            AdapterError::NotFound => Self::NotFound("such adapter or message".to_owned()),
            AdapterError::Invalid(reason) => Self::BadRequestData(reason),
            AdapterError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}
