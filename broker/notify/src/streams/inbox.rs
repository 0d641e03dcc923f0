//! What waits for one listener.

use std::collections::VecDeque;
use std::sync::Arc;

use musubi_model::{Sequence, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::streams::due::Due;
use crate::streams::feed::FeedEnd;

/// The changes that the notifier has handed to one listener and that it has not taken yet.
///
/// Bounded in number and in bytes. When it is full it forgets everything, and its listener reads
/// on in the log.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    arrived: Notify,
    most: usize,
}

#[derive(Debug)]
struct Queue {
    due: VecDeque<Arc<Due>>,
    weight: usize,
    /// Whether changes have passed by that are not in here.
    is_behind: bool,
    end: Option<FeedEnd>,
    expires_at: Option<Timestamp>,
}

/// What a listener finds.
#[derive(Debug)]
pub(crate) enum Found {
    /// The next change. It stays until the listener is further than it.
    Due(Arc<Due>),
    /// Something has passed by.
    Behind,
    /// No more will come.
    End(FeedEnd),
    /// Nothing.
    Nothing,
}

/// The most bytes of changes that wait for one listener, unless a single one has more.
const MOST_BYTES: usize = 64 * 1024;

impl Inbox {
    /// An inbox whose listener has yet to catch up; for at most so many changes.
    pub(crate) fn new(most: usize) -> Self {
        let queue =
            Queue { due: VecDeque::new(), weight: 0, is_behind: true, end: None, expires_at: None };
        Self { queue: Mutex::new(queue), arrived: Notify::new(), most: most.max(1) }
    }

    /// Adds a change.
    pub(crate) fn push(&self, due: &Arc<Due>) {
        let mut queue = self.queue.lock();
        if queue.is_behind {
            return;
        }
        let weight = queue.weight + due.weight;
        let is_full = queue.due.len() >= self.most || weight > MOST_BYTES;
        if is_full && !queue.due.is_empty() {
            queue.fall_behind();
        } else {
            queue.weight = weight;
            queue.due.push_back(Arc::clone(due));
        }
        drop(queue);
        self.arrived.notify_one();
    }

    /// Says that something has passed by.
    pub(crate) fn fall_behind(&self) {
        self.queue.lock().fall_behind();
        self.arrived.notify_one();
    }

    /// Says that no more will come.
    pub(crate) fn end(&self, end: FeedEnd) {
        self.queue.lock().end.get_or_insert(end);
        self.arrived.notify_one();
    }

    /// Begins anew: from now on everything that comes is in here.
    pub(crate) fn restart(&self) {
        let mut queue = self.queue.lock();
        queue.fall_behind();
        queue.is_behind = false;
    }

    /// What there is after this place in the log. What is not is dropped.
    pub(crate) fn after(&self, at: Sequence) -> Found {
        let mut queue = self.queue.lock();
        if let Some(end) = queue.end {
            return Found::End(end);
        }
        if queue.is_behind {
            return Found::Behind;
        }
        while let Some(due) = queue.due.front() {
            if due.sequence() > at {
                return Found::Due(Arc::clone(due));
            }
            let weight = due.weight;
            queue.due.pop_front();
            queue.weight = queue.weight.saturating_sub(weight);
        }
        Found::Nothing
    }

    /// When the subscription expires, as far as the notifier knows.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.queue.lock().expires_at
    }

    pub(crate) fn set_expiry(&self, at: Option<Timestamp>) {
        self.queue.lock().expires_at = at;
        self.arrived.notify_one();
    }

    /// Waits until something of this may have changed. What changed before the wait began ends it
    /// too.
    pub(crate) async fn changed(&self) {
        self.arrived.notified().await;
    }
}

impl Queue {
    fn fall_behind(&mut self) {
        self.is_behind = true;
        // The room goes, too: there may be thousands of listeners that do not read.
        self.due = VecDeque::new();
        self.weight = 0;
    }
}
