//! The listener and the client over real sockets, with clients and brokers of others.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod adapter;
mod client;
mod gate;
mod limits;
mod listener;
mod malformed;
mod others;
mod raw;
mod users;
