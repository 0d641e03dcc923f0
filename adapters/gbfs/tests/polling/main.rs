//! The adapter from the first poll on: synthetic feeds over HTTP and in a folder, and real ones.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what the tests share fails by panic, too"
)]

mod feed;
mod real_data;
mod support;
