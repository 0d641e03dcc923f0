//! How an embedded store is set up.

use std::path::PathBuf;
use std::time::Duration;

use crate::engine::Opening;

/// When a write counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the disk says so: an answered write survives a power cut.
    Sync,
    /// When it has left the process: an answered write survives any end of the process, and the
    /// disk is asked once per this interval, so that a power cut takes the last interval at most.
    Interval(Duration),
}

/// The settings of an [`EmbeddedStore`](crate::EmbeddedStore).
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// The folder, which is made if it is not there. It belongs to one open store at a time.
    pub path: PathBuf,
    /// When a write counts as durable.
    pub durability: Durability,
    /// Bytes. With less than this free on the disk, writes are refused with
    /// [`StoreError::Full`](musubi_store::StoreError::Full); 0 means that they never are. With less
    /// than this, but half of it at least, what consumers of the log have to remember is still
    /// taken: without it no part of the log could ever be dropped.
    pub min_free_disk: u64,
    /// Changes per part of the log, from 1. The log is truncated by dropping whole parts. A batch
    /// is never cut in two, so a part may hold a few more.
    pub log_segment: u64,
    /// Bytes of rows that are kept in memory before they go from the log to the tables behind it; while
    /// they go, as many again. Up to six times as many bytes of the log are read again when the store
    /// is opened.
    pub pending_bytes: usize,
    /// The longest that one query may scan before it is refused with
    /// [`StoreError::TooComplex`](musubi_store::StoreError::TooComplex).
    pub query_time_limit: Duration,
    /// How many entities one query looks at before the values that it asks for are indexed; in a
    /// large table more, a part of all. The values at eight paths of a tenant are indexed at most,
    /// each in some 20 bytes per entity that has the attribute.
    pub index_after: usize,
    /// How many long scans run at once, from 1; others wait for one to end.
    pub scans: usize,
    /// The most changes that are kept in memory for readers of the log's end.
    pub recent_changes: usize,
    /// Bytes, as encoded, that the changes in memory take at most.
    pub recent_bytes: usize,
}

impl From<&EmbeddedOptions> for Opening {
    fn from(options: &EmbeddedOptions) -> Self {
        let is_synced = options.durability == Durability::Sync;
        Self { pending_bytes: options.pending_bytes, is_synced }
    }
}

impl EmbeddedOptions {
    /// The settings for a town on one machine, with its data in this folder: durable against a
    /// power cut, writes refused below 256 MiB of free disk.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::Sync,
            min_free_disk: 256 << 20,
            log_segment: 100_000,
            pending_bytes: 32 << 20,
            query_time_limit: Duration::from_secs(5),
            index_after: 512,
            scans: 2,
            recent_changes: 16_384,
            recent_bytes: 8 << 20,
        }
    }
}
