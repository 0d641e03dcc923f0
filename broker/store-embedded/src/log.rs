//! The end of the log, in memory, and the rest of it, on the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use musubi_model::Sequence;
use musubi_store::Change;
use parking_lot::RwLock;

/// The newest changes: consecutive, bounded in number and in bytes.
#[derive(Debug)]
pub(crate) struct RecentChanges {
    changes: RwLock<Ring>,
    most: usize,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Ring {
    changes: VecDeque<(Arc<Change>, usize)>,
    bytes: usize,
}

impl RecentChanges {
    pub(crate) fn new(most: usize, most_bytes: usize) -> Self {
        Self { changes: RwLock::default(), most, most_bytes }
    }

    /// Adds a change that takes so many bytes when encoded.
    pub(crate) fn push(&self, change: Arc<Change>, bytes: usize) {
        let mut ring = self.changes.write();
        ring.bytes += bytes;
        ring.changes.push_back((change, bytes));
        while ring.changes.len() > self.most.max(1) || ring.bytes > self.most_bytes {
            let Some((_, bytes)) = ring.changes.pop_front() else { break };
            ring.bytes -= bytes;
        }
    }

    /// The changes after `after`, at most `limit`; none if some of them are not here any more.
    pub(crate) fn after(&self, after: Sequence, limit: usize) -> Option<Vec<Arc<Change>>> {
        let ring = self.changes.read();
        let (first, _) = ring.changes.front()?;
        let skipped = (after.0 + 1).checked_sub(first.sequence.0)?;
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let changes = ring.changes.iter().skip(skipped).take(limit);
        Some(changes.map(|(change, _)| change.clone()).collect())
    }
}
