//! The one queue between all connections and the place that takes their messages.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::traffic::Traffic;
use crate::{Message, Verdict};

/// What a message costs in the queue beside its topic and payload, in bytes.
const OVERHEAD: usize = 256;

/// A message on its way, and where its verdict goes.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) message: Message,
    /// None for a message that nobody wants acknowledged.
    pub(crate) reply: Option<Reply>,
}

/// Where a verdict goes.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The message's place in the window of its connection.
    pub(crate) place: u64,
    /// To the connection. Holds as many verdicts as the window, so it is never full.
    pub(crate) to: mpsc::Sender<(u64, Verdict)>,
}

impl Entry {
    /// What the entry costs while it waits, in bytes.
    fn cost(&self) -> usize {
        OVERHEAD + self.message.topic.len() + self.message.payload.len()
    }
}

/// The messages of all connections, in the order in which they came.
///
/// Messages that want an acknowledgement take room in bytes, and a connection that finds none
/// waits, and so does its client. The others take room apart; when it is full, the oldest of
/// them is dropped and counted.
#[derive(Debug)]
pub(crate) struct Queue {
    lines: Mutex<Lines>,
    arrived: Notify,
    room: Semaphore,
    capacity: usize,
    traffic: Traffic,
}

#[derive(Debug, Default)]
struct Lines {
    next: u64,
    at_least_once: VecDeque<(u64, Entry)>,
    at_most_once: VecDeque<(u64, Entry)>,
    at_most_once_bytes: usize,
    closed: bool,
}

/// Messages that were taken out together, and the room that they give back when they are done.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    room: usize,
}

impl Queue {
    /// A queue with so many bytes of room for each kind of message.
    pub(crate) fn new(capacity: usize, traffic: Traffic) -> Self {
        let capacity = capacity
            .min(Semaphore::MAX_PERMITS)
            .min(usize::try_from(u32::MAX).unwrap_or(usize::MAX));
        Self {
            lines: Mutex::default(),
            arrived: Notify::new(),
            room: Semaphore::new(capacity),
            capacity,
            traffic,
        }
    }

    /// Puts messages of one connection at the end, in their order; waits for room.
    pub(crate) async fn put(&self, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let room = self.room_of(&entries);
        if room > 0 {
            let Ok(permit) = self.room.acquire_many(u32::try_from(room).unwrap_or(u32::MAX)).await
            else {
                return;
            };
            permit.forget();
        }
        let mut lines = self.lines.lock();
        self.traffic.waiting.inc_by(i64::try_from(entries.len()).unwrap_or(i64::MAX));
        for entry in entries {
            let stamp = lines.next;
            lines.next += 1;
            if entry.reply.is_some() {
                lines.at_least_once.push_back((stamp, entry));
            } else {
                lines.at_most_once_bytes += entry.cost();
                lines.at_most_once.push_back((stamp, entry));
            }
        }
        while lines.at_most_once_bytes > self.capacity {
            let Some((_, dropped)) = lines.at_most_once.pop_front() else { break };
            lines.at_most_once_bytes -= dropped.cost();
            self.traffic.dropped.inc();
            self.traffic.waiting.dec();
        }
        drop(lines);
        self.arrived.notify_one();
    }

    /// Takes the oldest messages, at most so many; waits until there is one. Nothing, once the
    /// queue is closed and empty.
    pub(crate) async fn take(&self, limit: usize) -> Batch {
        loop {
            {
                let mut lines = self.lines.lock();
                let entries = lines.take(limit);
                if !entries.is_empty() || lines.closed {
                    drop(lines);
                    return Batch { room: self.room_of(&entries), entries };
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Gives back the room of messages that are done.
    pub(crate) fn done(&self, batch: &Batch, messages: usize) {
        self.traffic.waiting.dec_by(i64::try_from(messages).unwrap_or(i64::MAX));
        self.room.add_permits(batch.room);
    }

    /// Says that no message will come any more.
    pub(crate) fn close(&self) {
        self.lines.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Never more than all the room there is, so that a single large batch comes through too.
    fn room_of(&self, entries: &[Entry]) -> usize {
        let bytes: usize =
            entries.iter().filter(|entry| entry.reply.is_some()).map(Entry::cost).sum();
        bytes.min(self.capacity)
    }
}

impl Lines {
    fn take(&mut self, limit: usize) -> Vec<Entry> {
        let waiting = self.at_least_once.len() + self.at_most_once.len();
        let mut entries = Vec::with_capacity(limit.min(waiting));
        while entries.len() < limit {
            let unasked = match (self.at_least_once.front(), self.at_most_once.front()) {
                (None, None) => break,
                (Some(_), None) => false,
                (None, Some(_)) => true,
                (Some((asked, _)), Some((unasked, _))) => unasked < asked,
            };
            if unasked {
                if let Some((_, entry)) = self.at_most_once.pop_front() {
                    self.at_most_once_bytes -= entry.cost();
                    entries.push(entry);
                }
            } else if let Some((_, entry)) = self.at_least_once.pop_front() {
                entries.push(entry);
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt;
    use musubi_model::Timestamp;

    use super::*;

    fn entry(name: u8, reply: Option<&mpsc::Sender<(u64, Verdict)>>) -> Entry {
        Entry {
            message: Message {
                topic: "t".into(),
                payload: Bytes::from(vec![name]),
                at: Timestamp::default(),
                retained: false,
            },
            reply: reply.map(|to| Reply { place: 0, to: to.clone() }),
        }
    }

    fn names(batch: &Batch) -> Vec<u8> {
        batch.entries.iter().map(|entry| entry.message.payload[0]).collect()
    }

    const COST: usize = OVERHEAD + 2;

    #[tokio::test]
    async fn both_kinds_leave_in_the_order_of_their_arrival() {
        let (to, _verdicts) = mpsc::channel(4);
        let queue = Queue::new(10 * COST, Traffic::default());
        queue.put(vec![entry(1, Some(&to)), entry(2, None), entry(3, Some(&to))]).await;
        queue.put(vec![entry(4, None)]).await;
        assert_eq!(names(&queue.take(3).await), [1, 2, 3]);
        assert_eq!(names(&queue.take(3).await), [4]);
    }

    #[tokio::test]
    async fn the_oldest_message_that_nobody_wants_acknowledged_is_dropped_and_counted() {
        let (to, _verdicts) = mpsc::channel(4);
        let traffic = Traffic::default();
        let queue = Queue::new(2 * COST, traffic.clone());
        queue.put(vec![entry(0, Some(&to))]).await;
        for name in 1..=4 {
            queue.put(vec![entry(name, None)]).await;
        }
        assert_eq!(names(&queue.take(9).await), [0, 3, 4]);
        assert_eq!(traffic.dropped.get(), 2);
    }

    #[tokio::test]
    async fn a_connection_waits_for_room_until_others_are_done() {
        let (to, _verdicts) = mpsc::channel(4);
        let queue = Queue::new(COST, Traffic::default());
        queue.put(vec![entry(1, Some(&to))]).await;
        let mut second = Box::pin(queue.put(vec![entry(2, Some(&to))]));
        assert!(second.as_mut().now_or_never().is_none());
        let batch = queue.take(9).await;
        assert!(second.as_mut().now_or_never().is_none());
        queue.done(&batch, 1);
        second.await;
        assert_eq!(names(&queue.take(9).await), [2]);
    }

    #[tokio::test]
    async fn a_closed_queue_gives_what_it_has_and_ends() {
        let queue = Queue::new(COST, Traffic::default());
        queue.put(vec![entry(1, None)]).await;
        queue.close();
        assert_eq!(names(&queue.take(9).await), [1]);
        assert!(queue.take(9).await.entries.is_empty());
    }
}
