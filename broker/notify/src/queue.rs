//! What waits to be sent, and whose turn it is.

pub(crate) mod backoff;
pub(crate) mod breaker;
pub(crate) mod endpoint;
pub(crate) mod lane;
pub(crate) mod occasions;
pub(crate) mod outbox;
pub(crate) mod row;
pub(crate) mod turns;

#[cfg(test)]
mod tests;
