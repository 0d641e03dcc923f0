//! What waits for the committer.

use std::collections::VecDeque;

use musubi_model::Sequence;
use musubi_store::{Group, Outcome, StoreError};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

/// Writes that may wait. A caller with more of them than there is room for waits before the queue.
const ROOM: u32 = 32_768;
/// Writes that the committer takes at once, unless one request alone has more.
const BATCH: usize = 1_024;

/// Something that the committer is asked to do.
#[derive(Debug)]
pub(crate) enum Request {
    /// To carry out groups.
    Commit(CommitRequest),
    /// To drop changes up to this one.
    Truncate(Sequence, oneshot::Sender<Result<(), StoreError>>),
    /// To make everything durable, give up the engine, and end.
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// Groups, and where the answer goes.
#[derive(Debug)]
pub(crate) struct CommitRequest {
    pub(crate) groups: Vec<Group>,
    pub(crate) answer: oneshot::Sender<Result<Vec<Outcome>, StoreError>>,
}

/// A bounded queue: tasks put in, one thread takes out.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    ready: Condvar,
    room: Semaphore,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: VecDeque<(Request, u32)>,
    is_closed: bool,
}

/// The queue takes nothing any more.
#[derive(Debug)]
pub(crate) struct Closed;

impl Queue {
    pub(crate) fn new() -> Self {
        let room = Semaphore::new(usize::try_from(ROOM).unwrap_or(usize::MAX));
        Self { waiting: Mutex::default(), ready: Condvar::new(), room }
    }

    /// Puts a request at the end, once there is room for it.
    pub(crate) async fn push(&self, request: Request) -> Result<(), Closed> {
        let weight = request.weight();
        self.room.acquire_many(weight).await.map_err(|_| Closed)?.forget();
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            return Err(Closed);
        }
        waiting.requests.push_back((request, weight));
        drop(waiting);
        self.ready.notify_one();
        Ok(())
    }

    /// Takes what waits, up to a batch, waiting for the first until `deadline`. Empty if there is
    /// none by then.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Vec<Request> {
        let mut waiting = self.waiting.lock();
        while waiting.requests.is_empty() {
            match deadline {
                None => self.ready.wait(&mut waiting),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Vec::new();
                    }
                    self.ready.wait_for(&mut waiting, left);
                }
            }
        }
        let mut taken = Vec::new();
        let (mut writes, mut permits) = (0, 0);
        while let Some((request, weight)) = waiting.requests.pop_front() {
            writes += request.writes();
            permits += usize::try_from(weight).unwrap_or_default();
            taken.push(request);
            let next = waiting.requests.front().map_or(0, |(next, _)| next.writes());
            if writes + next > BATCH {
                break;
            }
        }
        drop(waiting);
        self.room.add_permits(permits);
        taken
    }

    /// Takes nothing any more, and gives what waited, so that it can be answered.
    pub(crate) fn close(&self) -> Vec<Request> {
        self.room.close();
        let mut waiting = self.waiting.lock();
        waiting.is_closed = true;
        waiting.requests.drain(..).map(|(request, _)| request).collect()
    }

    /// Puts the request to end at the end, without waiting for room.
    pub(crate) fn push_close(&self, answer: oneshot::Sender<Result<(), StoreError>>) {
        let mut waiting = self.waiting.lock();
        if !waiting.is_closed {
            waiting.requests.push_back((Request::Close(answer), 0));
        }
        drop(waiting);
        self.ready.notify_one();
    }

    /// How many requests wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().requests.len()
    }
}

impl Request {
    fn writes(&self) -> usize {
        match self {
            Self::Commit(request) => {
                request.groups.iter().map(|group| group.writes.len() + group.records.len()).sum()
            }
            Self::Truncate(..) | Self::Close(_) => 0,
        }
    }

    /// The room that it takes: one per write, and no more than lets two of the largest in.
    fn weight(&self) -> u32 {
        u32::try_from(self.writes()).unwrap_or(u32::MAX).clamp(1, ROOM / 2)
    }
}
