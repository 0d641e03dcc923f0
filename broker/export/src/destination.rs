//! Where an import goes to.

use futures_util::future::BoxFuture;

/// How many instances came of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Instances that are there now and were not before.
    pub recorded: u64,
    /// Instances that were there already.
    pub already_there: u64,
}

/// Why instances were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Something is wrong with them, as a sentence. Others may be sent.
    Instances(String),
    /// The destination does not work, as a sentence.
    Failure(String),
}

/// A broker that takes history.
pub trait Destination: Send + Sync {
    /// Takes a JSON array of temporal evolutions, whose instances keep their times. What is there
    /// already is left out, so what was sent may be sent again.
    fn take(&self, body: Vec<u8>) -> BoxFuture<'_, Result<Taken, Refusal>>;
}
