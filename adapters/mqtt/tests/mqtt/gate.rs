//! A place for messages that notes what comes and answers when the test says so.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_adapter_mqtt::{
    Ingest, Limits, Listener, ListenerOptions, Message, Traffic, Users, Verdict,
};
use musubi_model::SystemClock;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Holds every message back until it is let through.
#[derive(Debug)]
pub(crate) struct Gate {
    seen: Mutex<Vec<Message>>,
    taken: Mutex<Vec<Message>>,
    /// Verdicts other than "committed", by payload; each is given once.
    verdicts: Mutex<Vec<(Vec<u8>, Verdict)>>,
    changed: Notify,
    open: Semaphore,
}

impl Gate {
    pub(crate) fn closed() -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            taken: Mutex::default(),
            verdicts: Mutex::default(),
            changed: Notify::new(),
            open: Semaphore::new(0),
        })
    }

    pub(crate) fn open() -> Arc<Self> {
        let gate = Self::closed();
        gate.let_through(1_000_000);
        gate
    }

    /// Lets so many messages pass.
    pub(crate) fn let_through(&self, messages: usize) {
        self.open.add_permits(messages);
    }

    /// Gives the next message with this payload another verdict.
    pub(crate) fn answer(&self, payload: &str, verdict: Verdict) {
        self.verdicts.lock().push((payload.as_bytes().to_vec(), verdict));
    }

    /// Waits until so many messages have come, each coming counted.
    pub(crate) async fn seen(&self, messages: usize) -> Vec<Message> {
        loop {
            let changed = self.changed.notified();
            {
                let seen = self.seen.lock();
                if seen.len() >= messages {
                    return seen.clone();
                }
            }
            changed.await;
        }
    }

    /// Waits until so many messages have been taken for good, and answers their payloads.
    pub(crate) async fn taken(&self, messages: usize) -> Vec<String> {
        loop {
            let changed = self.changed.notified();
            {
                let taken = self.taken.lock();
                if taken.len() >= messages {
                    let text = |message: &Message| String::from_utf8_lossy(&message.payload).into();
                    return taken.iter().map(text).collect();
                }
            }
            changed.await;
        }
    }

    fn verdict(&self, message: &Message) -> Verdict {
        let mut verdicts = self.verdicts.lock();
        let found = verdicts.iter().position(|(payload, _)| *payload == message.payload);
        found.map_or(Verdict::Committed, |index| verdicts.remove(index).1)
    }
}

impl Ingest for Gate {
    fn ingest<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Verdict>> {
        async move {
            self.seen.lock().extend_from_slice(messages);
            self.changed.notify_waiters();
            let count = u32::try_from(messages.len()).unwrap();
            self.open.acquire_many(count).await.unwrap().forget();
            let verdicts: Vec<Verdict> =
                messages.iter().map(|message| self.verdict(message)).collect();
            for (message, verdict) in messages.iter().zip(&verdicts) {
                if *verdict == Verdict::Committed {
                    self.taken.lock().push(message.clone());
                }
            }
            self.changed.notify_waiters();
            verdicts
        }
        .boxed()
    }
}

/// A listener that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) traffic: Traffic,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: JoinSet<()>,
}

pub(crate) async fn run(gate: &Arc<Gate>) -> Running {
    run_with(gate, Users::default(), Limits::default()).await
}

pub(crate) async fn run_with(gate: &Arc<Gate>, users: Users, limits: Limits) -> Running {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = ListenerOptions { address, users, limits, clock: Arc::new(SystemClock) };
    let listener = Listener::bind(options, gate.clone()).await.unwrap();
    let (address, traffic) = (listener.local_addr().unwrap(), listener.traffic());
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(listener.run(shutdown.clone()));
    Running { address, traffic, shutdown, tasks }
}
