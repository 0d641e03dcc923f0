//! The store of one machine: resident tables over a durable engine.
//!
//! One thread, the committer, changes things: it takes the groups that wait, checks what they
//! expect, writes one batch, makes it durable, publishes it to the tables in memory, and answers.
//! Readers look at the tables, beside the committer, under one short lock per tenant.
//!
//! Entities are resident as a whole, and so are most records: a town's entities fit in memory many
//! times over, and a reader then never waits for a disk, nor for an engine that is being opened
//! again. Two things are read from the disk: the log further back than memory goes, and records of
//! the kinds that grow for as long as a receiver is away (what is due, and dead letters). Their
//! readers see what the last durable batch left; while the engine has failed they are answered
//! `Unavailable`.
//!
//! What this crate does not do: it does not decide what a query means (`Filter::matches` of
//! `musubi_query` does), and it has no opinion on when the log may be truncated.

mod answer;
mod backup;
mod batch;
mod codec;
mod committer;
mod cost;
mod engine;
mod expiries;
mod fetch;
mod folder;
mod health;
mod indexes;
mod interner;
mod log;
mod metrics;
mod migrations;
mod neighbors;
mod options;
mod places;
mod plan;
mod points;
mod pool;
mod queue;
mod records;
mod recovery;
mod relationships;
mod scan;
mod slot_table;
mod slots;
mod sorted;
mod store;
mod summaries;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod values;

pub use backup::{
    ArchiveError, AttachedFile, Backup, BackupFile, BackupHead, Contents, LogHold, RestoreError,
    RowProblem, VerifyError, backup_folder, restore, restore_if, verify_backup,
    verify_backup_files, verify_store,
};
pub use folder::{OpenError, create_durably};
pub use metrics::Metrics;
pub use options::{Durability, EmbeddedOptions};
pub use store::EmbeddedStore;
