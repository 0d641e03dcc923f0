//! Streams: notifications for clients that come and get them.
//!
//! A client follows a subscription from a place in the log on. What it has missed it reads from
//! the log, which is its queue; what happens from then on the notifier hands to everybody who is
//! there, in [`hub`]. Nothing is kept for a client that is away, and next to nothing for one that
//! does not read: it falls back to the log.
//!
//! This does not know how a client is connected, and shows places in the log as they are; who
//! shows them to a tenant seals them.

pub(crate) mod due;
pub(crate) mod feed;
mod gauge;
pub(crate) mod handle;
pub(crate) mod hub;
pub(crate) mod inbox;
#[cfg(test)]
mod tests;
