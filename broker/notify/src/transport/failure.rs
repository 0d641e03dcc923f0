//! How an attempt fails.

use std::time::Duration;

use bytes::Bytes;

/// How an attempt failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failure {
    /// In a sentence, without anything secret.
    pub(crate) reason: String,
    /// Whether the endpoint is there and does not want it.
    pub(crate) is_refusal: bool,
    /// Whether it never came to the endpoint, because of what others do here.
    pub(crate) is_local: bool,
    /// When the endpoint wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
    /// What was sent. Empty as long as only a transport knows of the failure.
    pub(crate) body: Bytes,
}

impl Failure {
    /// The endpoint is there and does not want it: another attempt will most likely end in the same
    /// way.
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_refusal: true, ..Self::default() }
    }

    /// There was no room for the attempt. It says nothing of the endpoint.
    pub(crate) fn no_room(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_local: true, ..Self::default() }
    }

    /// Another attempt may succeed.
    pub(crate) fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::default() }
    }
}
