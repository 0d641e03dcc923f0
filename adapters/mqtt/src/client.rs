//! A subscriber of any MQTT broker that acknowledges a message after it is durable.
//!
//! Two tasks: one does nothing but poll the connection, because whoever stops polling is
//! disconnected and an acknowledgement waits for the poll that sends it; the other hands
//! messages on and acknowledges them in the order in which they came (MQTT 5, section 4.6). The
//! session outlives the connection, so what was not acknowledged comes again.
//!
//! This connection only takes messages. Publishing needs a connection of its own: on one that
//! does both, acknowledgements would wait behind messages that the broker does not take.

mod address;
mod inbox;
mod link;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use musubi_model::Clock;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use address::{BrokerAddress, InvalidBrokerAddress};

use crate::settle::{BATCH, settle};
use crate::{Ingest, Message, Verdict};
use inbox::{Inbox, Put, Receipt, Received};
use link::{Failure, Handle, Link, Signal, Version};

/// How long a shutdown waits for messages that are on their way.
const DRAIN: Duration = Duration::from_secs(10);
/// The longest that a broker is waited for that has been said goodbye to.
const GOODBYE: Duration = Duration::from_secs(2);

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The version of the protocol that is spoken with a broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 5, and 3.1.1 with a broker that does not know it.
    #[default]
    Newest,
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.
    V5,
}

/// How a broker is subscribed to.
#[derive(Clone)]
pub struct ClientOptions {
    /// The broker.
    pub broker: BrokerAddress,
    /// The version of the protocol.
    pub protocol: Protocol,
    /// Who we are; not empty. The same after every start, because the broker keeps messages
    /// under this name while we are away.
    pub client_id: String,
    /// User and password.
    pub login: Option<(String, String)>,
    /// The topics. Filters of a session that the broker still has stay subscribed even if they
    /// are no longer among these.
    pub filters: Vec<String>,
    /// Whether to subscribe with quality of service 1, or else 0.
    pub at_least_once: bool,
    /// The group of a shared subscription, whose members get each message once.
    pub shared_group: Option<String>,
    /// Whether the broker is asked to keep messages while we are away.
    pub keep_session: bool,
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("broker", &self.broker)
            .field("client_id", &self.client_id)
            .field("filters", &self.filters)
            .finish_non_exhaustive()
    }
}

impl ClientOptions {
    fn subscriptions(&self) -> Vec<String> {
        match &self.shared_group {
            Some(group) => {
                self.filters.iter().map(|filter| format!("$share/{group}/{filter}")).collect()
            }
            None => self.filters.clone(),
        }
    }
}

/// How a client does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientStatus {
    /// Whether there is a connection.
    pub connected: bool,
    /// Whether the broker has the subscription to all topics.
    pub subscribed: bool,
    /// Connections so far.
    pub connections: u64,
    /// Messages of quality of service 0 dropped because too many waited.
    pub dropped: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// A subscriber: a cheap handle on what it does.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    options: ClientOptions,
    ingest: Arc<dyn Ingest>,
    clock: Arc<dyn Clock>,
    inbox: Inbox,
    /// The connection that acknowledgements may be sent over, and its number.
    live: Mutex<Option<(u64, Handle)>>,
    /// There is room for another acknowledgement, or no connection any more.
    room: Notify,
    status: watch::Sender<ClientStatus>,
    /// The last acknowledgement has left.
    finished: CancellationToken,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Client {
    /// A client that will hand its messages to `ingest`.
    pub fn new(options: ClientOptions, ingest: Arc<dyn Ingest>, clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(Shared {
                options,
                ingest,
                clock,
                inbox: Inbox::default(),
                live: Mutex::default(),
                room: Notify::new(),
                status: watch::Sender::default(),
                finished: CancellationToken::new(),
            }),
        }
    }

    /// How it does.
    pub fn status(&self) -> ClientStatus {
        self.shared.status.borrow().clone()
    }

    /// How it does, and a way to wait until that changes.
    pub fn watch(&self) -> watch::Receiver<ClientStatus> {
        self.shared.status.subscribe()
    }

    /// Connects, and connects again whenever the connection is lost, until `shutdown`; then
    /// acknowledges what it has, for at most 10 s, and ends. Ends by itself only if the
    /// [`Ingest`] panics. To be called once.
    pub async fn run(self, shutdown: CancellationToken) {
        let abort = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let shared = self.shared.clone();
        tasks.spawn({
            let (shared, abort) = (shared.clone(), abort.clone());
            async move { shared.deliver(&abort).await }
        });
        tasks.spawn({
            let (shared, shutdown) = (shared.clone(), shutdown.clone());
            async move { shared.receive(&shutdown).await }
        });
        tokio::select! {
            () = shutdown.cancelled() => {
                let rest = async { while tasks.join_next().await.is_some() {} };
                if timeout(DRAIN, rest).await.is_err() {
                    tracing::warn!("messages that could not be stored in time stay unacknowledged");
                    abort.cancel();
                }
            }
            Some(_) = tasks.join_next() => {
                tracing::error!("a task of an MQTT client ended with a bug");
            }
        }
        tasks.shutdown().await;
        shared.status.send_modify(disconnected);
    }
}

impl Shared {
    /// Hands messages on and acknowledges them, until the inbox is closed and empty.
    async fn deliver(&self, abort: &CancellationToken) {
        loop {
            let batch = self.inbox.take(BATCH).await;
            if batch.is_empty() {
                self.finished.cancel();
                return;
            }
            let mut messages = Vec::with_capacity(batch.len());
            let mut receipts = Vec::with_capacity(batch.len());
            for received in batch {
                messages.push(received.message);
                receipts.push(received.receipt);
            }
            let verdicts = settle(&*self.ingest, messages, abort).await;
            for (verdict, receipt) in verdicts.into_iter().zip(receipts) {
                match (verdict, receipt) {
                    // In order, so what follows an open message stays open too.
                    (Verdict::Later(_), _) => return,
                    (Verdict::Committed | Verdict::Refused(_), Some(receipt)) => {
                        self.acknowledge(receipt).await;
                    }
                    (Verdict::Committed | Verdict::Refused(_), None) => {}
                }
            }
        }
    }

    async fn acknowledge(&self, receipt: Receipt) {
        loop {
            {
                // Under the lock, so that no acknowledgement is put on its way over the next
                // connection: see `lost`.
                let live = self.live.lock();
                match &*live {
                    Some((connection, handle)) if *connection == receipt.connection => {
                        if handle.try_acknowledge(receipt.packet_id) {
                            return;
                        }
                    }
                    // The broker sends the message again, which is harmless.
                    Some(_) | None => return,
                }
            }
            self.room.notified().await;
        }
    }

    /// Polls the connection; nothing here waits for anything else while it is open.
    async fn receive(&self, shutdown: &CancellationToken) {
        let mut version = match self.options.protocol {
            Protocol::Newest | Protocol::V5 => Version::V5,
            Protocol::V4 => Version::V4,
        };
        let (mut handle, mut link) = link::open(&self.options, version);
        let mut connection = 0;
        let mut pause = FIRST_PAUSE;
        loop {
            let polled = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                polled = link.poll() => polled,
            };
            match polled {
                Ok(Signal::Connected { session }) => {
                    connection += 1;
                    pause = FIRST_PAUSE;
                    self.connected(connection, &handle, session);
                }
                Ok(Signal::Message { topic, payload, retained, packet_id }) => {
                    let receipt = packet_id.map(|packet_id| Receipt { connection, packet_id });
                    let at = self.clock.now();
                    let message = Message { topic, payload, at, retained };
                    match self.inbox.put(Received { message, receipt }) {
                        Put::Taken => {}
                        Put::Dropped(count) => {
                            let count = u64::try_from(count).unwrap_or(u64::MAX);
                            self.status.send_modify(|status| status.dropped += count);
                        }
                        Put::Full => {
                            self.lost(&mut link, "too many messages wait; connecting again later");
                            shutdown.run_until_cancelled(self.inbox.half_empty()).await;
                        }
                    }
                }
                Ok(signal) => self.noted(&signal),
                Err(Failure { reason, maybe_version }) => {
                    self.lost(&mut link, &reason);
                    if connection == 0 && maybe_version && self.options.protocol == Protocol::Newest
                    {
                        version = match version {
                            Version::V4 => Version::V5,
                            Version::V5 => Version::V4,
                        };
                        (handle, link) = link::open(&self.options, version);
                    }
                    let jitter = 0.75 + 0.5 * rand::random::<f64>();
                    let wait = tokio::time::sleep(pause.mul_f64(jitter));
                    shutdown.run_until_cancelled(wait).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        self.inbox.close();
        self.leave(link, &handle).await;
    }

    fn connected(&self, connection: u64, handle: &Handle, session: bool) {
        *self.live.lock() = Some((connection, handle.clone()));
        // Once in a process in any case: the mapping file may have changed in between.
        let subscribe = !session || connection == 1;
        self.status.send_modify(|status| {
            status.connected = true;
            status.subscribed = !subscribe;
            status.connections += 1;
        });
        tracing::info!(broker = %self.options.broker, session, "connected to an MQTT broker");
        if subscribe
            && !handle.try_subscribe(&self.options.subscriptions(), self.options.at_least_once)
        {
            self.failed("the subscription could not be sent");
        }
    }

    fn noted(&self, signal: &Signal) {
        match signal {
            Signal::Acknowledged => self.room.notify_one(),
            Signal::Subscribed { refused: 1.. } => {
                self.failed("the broker refuses the subscription to some of the topics");
            }
            Signal::Subscribed { refused: 0 } => {
                self.status.send_modify(|status| status.subscribed = true);
            }
            Signal::Connected { .. }
            | Signal::Message { .. }
            | Signal::Disconnected
            | Signal::Other => {}
        }
    }

    /// Notes that there is no connection, and takes back the acknowledgements that were put on
    /// their way over it: over the next one, their identifiers may mean other messages.
    fn lost(&self, link: &mut Link, reason: &str) {
        *self.live.lock() = None;
        link.forget();
        self.room.notify_one();
        self.status.send_modify(disconnected);
        self.failed(reason);
    }

    fn failed(&self, reason: &str) {
        tracing::warn!(broker = %self.options.broker, "MQTT: {reason}");
        self.status.send_modify(|status| status.last_error = Some(reason.to_owned()));
    }

    /// Sends the last acknowledgements and says goodbye. New messages are left to the broker.
    async fn leave(&self, mut link: Link, handle: &Handle) {
        if self.live.lock().is_none() {
            self.finished.cancelled().await;
            return;
        }
        let mut said = false;
        loop {
            tokio::select! {
                () = self.finished.cancelled(), if !said => {
                    handle.try_disconnect();
                    said = true;
                }
                polled = link.poll() => match polled {
                    Ok(Signal::Disconnected) => break,
                    Ok(signal) => self.noted(&signal),
                    Err(failure) => {
                        self.lost(&mut link, &failure.reason);
                        self.finished.cancelled().await;
                        return;
                    }
                },
            }
        }
        // The broker closes the connection when it has read all of this. If we did so first, and it
        // sent something meanwhile, the system would drop acknowledgements that it has not read.
        let closed = async { while link.poll().await.is_ok() {} };
        if timeout(GOODBYE, closed).await.is_err() {
            tracing::debug!("the broker left the connection open");
        }
    }
}

fn disconnected(status: &mut ClientStatus) {
    status.connected = false;
    status.subscribed = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_subscription_names_its_group() {
        let mut options = ClientOptions {
            broker: "mqtt://a".parse().unwrap(),
            protocol: Protocol::Newest,
            client_id: "c".to_owned(),
            login: Some(("user".to_owned(), "hunter2".to_owned())),
            filters: vec!["/json/k/+/attrs".to_owned()],
            at_least_once: true,
            shared_group: None,
            keep_session: true,
        };
        assert_eq!(options.subscriptions(), ["/json/k/+/attrs"]);
        options.shared_group = Some("g".to_owned());
        assert_eq!(options.subscriptions(), ["$share/g//json/k/+/attrs"]);
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
