//! What an adapter is to the program that runs it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use musubi_context::Context;
use musubi_model::{Clock, Tenant};
use musubi_outbound::Client;
use tokio_util::sync::CancellationToken;

use crate::{AdapterMetrics, DeadLetter, ModelCheck, Preview, Sink};

/// What the program gives every adapter. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Services {
    /// Where to write.
    pub sink: Arc<dyn Sink>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How to reach the addresses of the mapping file.
    pub client: Client,
    /// What the terms of the mapping file mean.
    pub context: Context,
    /// The data models, if there are any.
    pub models: Option<Arc<dyn ModelCheck>>,
    /// Where to count.
    pub metrics: AdapterMetrics,
}

/// A source that is mapped and written.
///
/// An adapter crate makes one with a function
/// `from_mapping(&MappingFile, Services) -> Result<Arc<dyn Adapter>, MappingError>`, which reads
/// nothing from the source yet.
pub trait Adapter: Send + Sync + std::fmt::Debug {
    /// Its name, unique in the program.
    fn name(&self) -> &str;

    /// Whose data it writes.
    fn tenant(&self) -> &Tenant;

    /// Works until `shutdown`; then finishes what it has begun and ends. What can be tried again
    /// is tried again inside.
    ///
    /// The error is one that trying again does not mend.
    fn run(
        self: Arc<Self>,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, Result<(), AdapterError>>;

    /// Works through what the source has now, once, and ends when all of it is durable.
    fn run_once(self: Arc<Self>) -> BoxFuture<'static, Result<(), AdapterError>>;

    /// What the source has now and what it would become: at most `limit` inputs are looked at.
    /// Writes nothing.
    fn preview(&self, limit: usize) -> BoxFuture<'_, Result<Preview, AdapterError>>;

    /// How it does, as a JSON object: at least `name`, `kind`, `tenant` and the members of
    /// [`Counters::status`](crate::Counters::status).
    fn status(&self) -> serde_json::Value;

    /// Takes a body that was posted to `/musubi/v1/adapters/{name}/{what}` for `tenant`, and
    /// answers once it is durable. An adapter that takes nothing answers
    /// [`ReceiveError::NotSupported`].
    fn receive<'a>(
        &'a self,
        what: &'a str,
        tenant: &'a Tenant,
        body: &'a [u8],
    ) -> BoxFuture<'a, Result<serde_json::Value, ReceiveError>>;

    /// Takes the input of a dead letter once more, as of the time of the letter, so that it does
    /// not take the place of anything newer. Answers once it is durable; a letter that cannot be
    /// used again is refused with a sentence.
    fn replay<'a>(
        &'a self,
        tenant: &'a Tenant,
        letter: &'a DeadLetter,
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// Why an adapter ended, or could not be previewed. The sentence holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{adapter}: {reason}")]
pub struct AdapterError {
    /// The adapter.
    pub adapter: String,
    /// What happened.
    pub reason: String,
}

/// Why a posted body was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// The adapter takes no such thing, or belongs to another tenant: 404.
    #[error("nothing can be posted to {0}")]
    NotSupported(String),
    /// The body as a whole cannot be read: 400.
    #[error("{0}")]
    BadBody(String),
    /// It cannot be written now; the same body may be sent again: 503.
    #[error("the broker cannot be written to now: {0}")]
    Unavailable(String),
}
