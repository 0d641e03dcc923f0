//! What has come from a broker and waits to be handed on.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Message;

/// The most messages that wait.
const CAPACITY: usize = 4096;

/// The most bytes that they take together.
const CAPACITY_BYTES: usize = 64 * 1024 * 1024;

/// A message and how to acknowledge it.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) message: Message,
    /// None for quality of service 0.
    pub(crate) receipt: Option<Receipt>,
}

/// What an acknowledgement needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// The connection that the message came over: identifiers of an earlier one mean nothing.
    pub(crate) connection: u64,
    pub(crate) packet_id: u16,
}

/// What became of a message that was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Taken,
    /// It is in, and so many older ones of quality of service 0 are out.
    Dropped(usize),
    /// It is not in. It wants an acknowledgement and gets none, so the broker will send it again
    /// over the next connection.
    Full,
}

/// The messages that wait, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    arrived: Notify,
    taken: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Received>,
    bytes: usize,
    closed: bool,
}

fn cost(received: &Received) -> usize {
    256 + received.message.topic.len() + received.message.payload.len()
}

impl State {
    fn has_room(&self, for_bytes: usize) -> bool {
        self.waiting.len() < CAPACITY && self.bytes + for_bytes <= CAPACITY_BYTES
    }

    /// Takes the oldest message of quality of service 0 out.
    fn drop_oldest(&mut self) -> bool {
        let oldest = self.waiting.iter().position(|received| received.receipt.is_none());
        let dropped = oldest.and_then(|index| self.waiting.remove(index));
        if let Some(received) = &dropped {
            self.bytes -= cost(received);
        }
        dropped.is_some()
    }
}

impl Inbox {
    /// Puts a message at the end. Never waits.
    pub(crate) fn put(&self, received: Received) -> Put {
        let mut state = self.state.lock();
        let mut dropped = 0;
        while !state.has_room(cost(&received)) {
            if !state.drop_oldest() {
                return if received.receipt.is_none() {
                    Put::Dropped(dropped + 1)
                } else {
                    Put::Full
                };
            }
            dropped += 1;
        }
        state.bytes += cost(&received);
        state.waiting.push_back(received);
        drop(state);
        self.arrived.notify_one();
        if dropped == 0 { Put::Taken } else { Put::Dropped(dropped) }
    }

    /// Takes the oldest messages, at most so many; waits until there is one. Nothing, once the
    /// inbox is closed and empty.
    pub(crate) async fn take(&self, limit: usize) -> Vec<Received> {
        loop {
            {
                let mut state = self.state.lock();
                let count = limit.min(state.waiting.len());
                let batch: Vec<Received> = state.waiting.drain(..count).collect();
                state.bytes -= batch.iter().map(cost).sum::<usize>();
                if !batch.is_empty() || state.closed {
                    drop(state);
                    self.taken.notify_one();
                    return batch;
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Waits until half of the room is free.
    pub(crate) async fn half_empty(&self) {
        loop {
            {
                let state = self.state.lock();
                if state.waiting.len() <= CAPACITY / 2 && state.bytes <= CAPACITY_BYTES / 2 {
                    return;
                }
            }
            self.taken.notified().await;
        }
    }

    /// Says that no message will come any more.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.arrived.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use musubi_model::Timestamp;

    use super::*;

    fn received(name: u16, receipt: bool) -> Received {
        Received {
            message: Message {
                topic: "t".into(),
                payload: Bytes::from(name.to_string()),
                at: Timestamp::default(),
                retained: false,
            },
            receipt: receipt.then_some(Receipt { connection: 1, packet_id: name }),
        }
    }

    #[tokio::test]
    async fn a_full_inbox_drops_what_nobody_wants_acknowledged_and_nothing_else() {
        let inbox = Inbox::default();
        assert_eq!(inbox.put(received(0, false)), Put::Taken);
        for name in 1..=4095 {
            assert_eq!(inbox.put(received(name, true)), Put::Taken);
        }
        assert_eq!(inbox.put(received(4096, true)), Put::Dropped(1));
        assert_eq!(inbox.put(received(4097, true)), Put::Full);
        assert_eq!(inbox.put(received(4098, false)), Put::Dropped(1));
        let taken = inbox.take(2).await;
        let names: Vec<&[u8]> = taken.iter().map(|one| &*one.message.payload).collect();
        assert_eq!(names, [b"1", b"2"]);
        assert_eq!(inbox.put(received(4099, true)), Put::Taken);
    }

    #[tokio::test]
    async fn a_full_inbox_says_when_it_is_half_empty() {
        use futures_util::FutureExt;

        let inbox = Inbox::default();
        for name in 0..4096 {
            inbox.put(received(name, true));
        }
        let mut half = Box::pin(inbox.half_empty());
        assert!(half.as_mut().now_or_never().is_none());
        inbox.take(2000).await;
        assert!(half.as_mut().now_or_never().is_none());
        inbox.take(48).await;
        half.await;
    }

    #[tokio::test]
    async fn a_closed_inbox_gives_what_it_has_and_ends() {
        let inbox = Inbox::default();
        inbox.put(received(1, true));
        inbox.close();
        assert_eq!(inbox.take(9).await.len(), 1);
        assert!(inbox.take(9).await.is_empty());
    }
}
