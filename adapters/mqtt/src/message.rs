//! What comes in over MQTT, and the place that takes it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use musubi_model::Timestamp;

/// A message that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic, as it was written.
    pub topic: Arc<str>,
    /// The payload: any bytes.
    pub payload: Bytes,
    /// When it arrived here.
    pub at: Timestamp,
    /// Whether a broker had kept it and sends it again to a new subscriber. Such a message is a
    /// state, and maybe an old one.
    pub retained: bool,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable, or it says nothing that was not known.
    Committed,
    /// It cannot be used, now or later, and that is on record; a sentence says why. Its
    /// publisher need not send it again.
    Refused(String),
    /// It could not be taken now. It stays unacknowledged and is offered again; a sentence says
    /// why.
    Later(String),
}

/// A place that takes messages.
pub trait Ingest: Send + Sync + std::fmt::Debug {
    /// Takes messages in their order and answers once it is known what became of them: one
    /// verdict per message, in order. A message whose verdict is missing counts as
    /// [`Verdict::Later`]. The same message may come more than once.
    ///
    /// Called for one batch at a time. The listener and the client acknowledge a message only
    /// after its verdict, so what is answered with [`Verdict::Committed`] must be durable.
    fn ingest<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Verdict>>;
}
