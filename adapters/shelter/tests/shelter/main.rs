//! The adapter as a whole: synthetic tables and bodies, and real tables if there are any.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod mapping;
mod nanao;
mod posts;
mod posts_order;
mod preview;
mod support;
mod tables;
mod tables_failures;
mod watch;
