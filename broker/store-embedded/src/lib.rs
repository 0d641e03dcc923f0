//! The store of one machine: resident tables over a durable engine.
//!
//! One thread, the committer, changes things: it takes the groups that wait, checks what they
//! expect, writes one batch, makes it durable, publishes it to the tables in memory, and answers.
//! Readers look at the tables only, beside the committer, under one short lock per tenant; the log
//! further back than memory goes is the one thing that is read from the disk.
//!
//! Entities and records are resident as a whole: a town's entities fit in memory many times over,
//! and a reader then never waits for a disk, nor for an engine that is being opened again.
//!
//! What this crate does not do: it does not decide what a query means (`Filter::matches` of
//! `musubi_query` does), and it has no opinion on when the log may be truncated.

mod answer;
mod batch;
mod codec;
mod committer;
mod cost;
mod engine;
mod expiries;
mod folder;
mod health;
mod indexes;
mod interner;
mod log;
mod metrics;
mod neighbors;
mod options;
mod plan;
mod pool;
mod queue;
mod records;
mod recovery;
mod relationships;
mod rtree;
mod scan;
mod slots;
mod store;
mod summaries;
mod table;
mod tables;
#[cfg(test)]
mod tests;

pub use folder::OpenError;
pub use metrics::Metrics;
pub use options::{Durability, EmbeddedOptions};
pub use store::EmbeddedStore;
