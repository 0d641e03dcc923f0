//! How a history is set up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use musubi_model::{Clock, SystemClock};

use crate::RetentionRule;

/// The settings of an [`Archive`](crate::Archive).
#[derive(Clone, Debug)]
pub struct HistoryOptions {
    /// The folder, which is made if it is not there. It belongs to one open history at a time.
    pub path: PathBuf,
    /// Bytes, about. When what is in no segment yet takes more, it becomes one; when it takes four
    /// times as much because the disk does not take it, nothing more is read from the log.
    pub memory: usize,
    /// Changes. When more of them than this are in no segment yet, they become one, so that the log
    /// can be truncated and a start does not take long.
    pub log_length: u64,
    /// How many segments of about the same size, one after another in age, become one; from 2.
    pub merge_width: usize,
    /// Bytes that are to stay free on the disk. Segments become one only if they fit there once more
    /// besides.
    pub min_free_disk: u64,
    /// The longest that one query may take before it is refused with
    /// [`StoreError::TooComplex`](musubi_store::StoreError::TooComplex).
    pub query_time_limit: Duration,
    /// How many queries are answered at once, from 1. Others wait for one to end, as long as a query may
    /// take, then or if too many of their tenant wait they are refused with
    /// [`StoreError::Unavailable`](musubi_store::StoreError::Unavailable).
    pub queries: usize,
    /// The most instances of one entity that a question may have to hold in memory at once, where
    /// it cannot be answered bit by bit.
    pub entity_instances: usize,
    /// The most text of instances, in bytes, that a question may have to hold in memory at once. An
    /// answer that can be cut in time is cut before it is that much; one that cannot is refused.
    pub entity_bytes: usize,
    /// How long what is kept. The first rule that fits holds; what none fits is kept for ever.
    pub retention: Vec<RetentionRule>,
    /// How often it is looked for segments with instances that are not kept any more; more than 0.
    /// They are gone from all answers before.
    pub tidy: Duration,
    /// What time it is, to judge by how old an instance is.
    pub clock: Arc<dyn Clock>,
}

impl HistoryOptions {
    /// The settings for a town on one machine, with the history in this folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            memory: 32 << 20,
            log_length: 200_000,
            merge_width: 8,
            min_free_disk: 64 << 20,
            query_time_limit: Duration::from_secs(5),
            queries: 2,
            entity_instances: 1_000_000,
            entity_bytes: 64 << 20,
            retention: Vec::new(),
            tidy: Duration::from_mins(10),
            clock: Arc::new(SystemClock),
        }
    }
}
