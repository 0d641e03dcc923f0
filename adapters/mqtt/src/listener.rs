//! An MQTT endpoint of our own: it takes messages, and acknowledges each after it is durable.
//!
//! It is no broker. It distributes nothing, so a subscription is answered with a failure code and
//! a will is accepted and ignored. It speaks MQTT 3.1.1 and 5 on the same port, with quality of
//! service 0 and 1; a message with quality 2 ends the connection. A message that its client wants
//! retained is taken like any other.
//!
//! Messages of all connections go through one queue to one [`Ingest`], in batches. A PUBACK is
//! sent after the verdict, in the order of the messages, and a connection with a full window of
//! unacknowledged messages is not read from until some are. While nothing can be stored nothing
//! is acknowledged, and nothing of quality 1 is dropped.

mod answer;
mod batcher;
mod connection;
mod queue;
mod registry;
mod stream;
mod traffic;
mod window;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use musubi_model::{Clock, SystemClock};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use traffic::Traffic;

use crate::{Ingest, Users};
use connection::Shared;
use queue::Queue;
use registry::Clients;

/// What a listener asks of its clients, and they of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at once. One more is closed at once.
    pub max_connections: usize,
    /// The most bytes of a packet.
    pub max_packet: usize,
    /// The most messages of a connection that wait for their acknowledgement; at least 1.
    pub window: u16,
    /// The most bytes that all waiting messages of quality 1 take together, and as much again for
    /// those of quality 0.
    pub queue: usize,
    /// How long a client may take for its CONNECT.
    pub connect_timeout: Duration,
    /// The longest keep-alive; also that of a client that asks for none.
    pub idle: Duration,
    /// How long a shutdown waits for messages that are on their way.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_packet: 256 * 1024,
            window: 256,
            queue: 64 * 1024 * 1024,
            connect_timeout: Duration::from_secs(10),
            idle: Duration::from_hours(1),
            drain: Duration::from_secs(10),
        }
    }
}

/// How a listener is set up.
#[derive(Debug)]
pub struct ListenerOptions {
    /// Where to listen; port 0 picks a free one.
    pub address: SocketAddr,
    /// Who may publish what. With no users the address must be a loopback one.
    pub users: Users,
    /// The limits.
    pub limits: Limits,
    /// Says when a message arrived.
    pub clock: Arc<dyn Clock>,
}

impl ListenerOptions {
    /// Anybody may publish, from this machine: for a loopback address.
    pub fn open(address: SocketAddr) -> Self {
        Self {
            address,
            users: Users::default(),
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// An endpoint that is bound, and serves once it is run.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    shared: Arc<Shared>,
    ingest: Arc<dyn Ingest>,
}

impl Listener {
    /// Binds the address. Messages will go to `ingest`.
    ///
    /// # Errors
    ///
    /// When the address is taken or not there, and when it is not a loopback address although no
    /// users are configured.
    pub async fn bind(options: ListenerOptions, ingest: Arc<dyn Ingest>) -> io::Result<Self> {
        if options.users.is_empty() && !options.address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "without users ([mqtt.users]) MQTT listens on a loopback address only, and {} \
                     is none",
                    options.address
                ),
            ));
        }
        let socket = TcpListener::bind(options.address).await?;
        let traffic = Traffic::default();
        // At least a few packets have to fit, or no connection would ever find room.
        let queue = options.limits.queue.max(4 * options.limits.max_packet);
        let shared = Shared {
            queue: Queue::new(queue, traffic.clone()),
            limits: Limits {
                window: options.limits.window.max(1),
                max_connections: options.limits.max_connections.min(Semaphore::MAX_PERMITS),
                ..options.limits
            },
            users: options.users,
            clients: Arc::new(Clients::default()),
            traffic,
            clock: options.clock,
        };
        Ok(Self { socket, shared: Arc::new(shared), ingest })
    }

    /// The address, with the real port.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The numbers of this listener.
    pub fn traffic(&self) -> Traffic {
        self.shared.traffic.clone()
    }

    /// Serves until `shutdown`, then acknowledges what was received, for at most
    /// [`Limits::drain`], and ends. Ends by itself only if the [`Ingest`] panics: nothing could
    /// be acknowledged any more.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { socket, shared, ingest } = self;
        let (abort, stop) = (CancellationToken::new(), shutdown.child_token());
        let mut batchers = JoinSet::new();
        batchers.spawn({
            let (shared, abort) = (shared.clone(), abort.clone());
            async move {
                batcher::run(&shared.queue, &*ingest, &shared.traffic, &abort).await;
            }
        });
        let mut connections = JoinSet::new();
        let seats = Arc::new(Semaphore::new(shared.limits.max_connections));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = batchers.join_next() => {
                    note(ended);
                    stop.cancel();
                }
                Some(ended) = connections.join_next(), if !connections.is_empty() => note(ended),
                accepted = socket.accept() => match accepted {
                    Ok((stream, _)) => accept(stream, &shared, &seats, &mut connections, &stop),
                    Err(error) => {
                        tracing::error!("an MQTT connection could not be accepted: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop(socket);
        let drained = async {
            while let Some(ended) = connections.join_next().await {
                note(ended);
            }
            shared.queue.close();
            while let Some(ended) = batchers.join_next().await {
                note(ended);
            }
        };
        if timeout(shared.limits.drain, drained).await.is_err() {
            tracing::warn!("messages that could not be stored in time stay unacknowledged");
            abort.cancel();
            connections.shutdown().await;
            batchers.shutdown().await;
        }
    }
}

fn accept(
    stream: TcpStream,
    shared: &Arc<Shared>,
    seats: &Arc<Semaphore>,
    connections: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    let Ok(seat) = seats.clone().try_acquire_owned() else {
        shared.traffic.over_capacity.inc();
        return;
    };
    // Answers are small and awaited, so they must not wait for more to come.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (shared, stop) = (shared.clone(), stop.clone());
    connections.spawn(async move {
        connection::serve(stream, shared, stop).await;
        drop(seat);
    });
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a task of the MQTT listener ended with a bug: {error}");
    }
}
