//! What can go wrong in an operation, in the terms of the specification (CIM 009, clause 5.5.2).
//! Nothing here knows about HTTP.

use musubi_context::ContextError;
use musubi_model::{EntityId, InvalidFragment, Tenant};
use musubi_notify::{InvalidSubscription, Problem};
use musubi_query::AggregationRefusal;
use musubi_store::{HistoryError, StoreError};

use crate::Right;

/// Why the broker did not carry out an operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is well formed, but says something that the model forbids.
    #[error("{0}")]
    BadRequestData(String),
    /// What was to be created is there already; the text names it, as in "entity urn:a:1".
    #[error("{0} exists already")]
    AlreadyExists(String),
    /// What was asked for is not there; the text names it, as in "entity urn:a:1".
    #[error("there is no {0}")]
    ResourceNotFound(String),
    /// The entity is at a version at which the client does not want it changed.
    #[error("{0}")]
    PreconditionFailed(String),
    /// The tenant has never been written to.
    #[error("there is no tenant {0:?}")]
    NonexistentTenant(Tenant),
    /// The caller does not have the right that the operation needs.
    #[error("the right {0:?} is needed")]
    Forbidden(Right),
    /// A context that the body names cannot be had.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// This broker has not been set up for the operation, or does not know how to do it.
    #[error("{0}")]
    NotSupported(String),
    /// Nothing of the past is kept here.
    #[error(
        "this broker keeps no history, because its configuration says so; with [history] enabled = \
         true it does"
    )]
    NoHistory,
    /// The values of a temporal query are not put together as it wants.
    #[error(transparent)]
    Aggregation(#[from] AggregationRefusal),
    /// Another writer changed the entity between our read and our write, and kept doing so for as
    /// long as we retried.
    #[error("{0} is being changed by others; try again")]
    Contended(String),
    /// What was asked for is more than the broker keeps together; the text says how much it keeps.
    #[error("{0}")]
    TooManyResults(String),
    /// To answer would take longer than the broker allows; the text says what to do.
    #[error("{0}")]
    TooComplex(String),
    /// There is no room for one more of something; the text says of what.
    #[error("{0}")]
    Exhausted(String),
    /// A dead letter was replayed and refused again.
    #[error("the dead letter was not accepted: {0}")]
    NotReplayed(String),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something is not as this program left it. The message is for the log, never for the
    /// client.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    pub(crate) fn no_entity(id: &EntityId) -> Self {
        Self::ResourceNotFound(format!("entity {id}"))
    }
}

impl From<HistoryError> for Error {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Store(error) => Self::Store(error),
            HistoryError::Refused(refusal) => Self::Aggregation(refusal),
        }
    }
}

impl From<InvalidFragment> for Error {
    fn from(error: InvalidFragment) -> Self {
        Self::BadRequestData(error.to_string())
    }
}

impl From<InvalidSubscription> for Error {
    fn from(error: InvalidSubscription) -> Self {
        match error.problem() {
            Problem::Forbidden => Self::BadRequestData(error.to_string()),
            Problem::Unsupported => Self::NotSupported(error.to_string()),
        }
    }
}
