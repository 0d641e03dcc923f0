//! The connections to MQTT brokers, shared by all subscriptions that lead to the same one.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use musubi_outbound::Client;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::subscription::address::MqttAddress;
use crate::subscription::notifier_info::{MqttQos, MqttVersion};
use crate::transport::failure::Failure;
use crate::transport::mqtt::link;

/// The most connections that are open at a time.
pub(super) const MAX_LINKS: usize = 256;
/// The most messages of one connection that are under way: on their way to it, in it, or without
/// the acknowledgement that they need. More wait.
pub(super) const MAX_UNDER_WAY: usize = 64;

/// A broker, and as whom it is spoken to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LinkKey {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_secure: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) version: MqttVersion,
}

impl LinkKey {
    pub(super) fn new(address: MqttAddress, version: MqttVersion) -> Self {
        let MqttAddress { host, port, secure, user, password, topic: _ } = address;
        Self { host, port, is_secure: secure, user, password, version }
    }
}

// User and password are secrets.
impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What is to be published.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) topic: Arc<str>,
    pub(super) qos: MqttQos,
    pub(super) payload: Bytes,
}

/// A message on its way into a link.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) message: Message,
    pub(super) done: oneshot::Sender<Result<(), Ended>>,
}

/// Why a message has not arrived.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    /// It never left, because the link had nothing to do for a while and was just being closed.
    Unsent,
    /// What became of it.
    Failed(Failure),
}

/// All links.
#[derive(Debug)]
pub(in crate::transport) struct Links {
    client: Client,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    links: FxHashMap<LinkKey, Link>,
    tasks: JoinSet<()>,
}

/// The way into a link.
#[derive(Clone, Debug)]
struct Link {
    orders: mpsc::Sender<Order>,
    room: Arc<Semaphore>,
}

impl Link {
    fn is_idle(&self) -> bool {
        self.room.available_permits() == MAX_UNDER_WAY
    }
}

impl Links {
    pub(in crate::transport) fn new(client: Client) -> Self {
        Self { client, open: Mutex::default() }
    }

    /// Publishes a message, over a connection that is opened if there is none. Waits for as long as
    /// the broker takes.
    pub(super) async fn publish(&self, key: &LinkKey, message: Message) -> Result<(), Failure> {
        loop {
            let link = self.link(key)?;
            let Ok(_room) = link.room.acquire().await else { continue };
            let (done, ended) = oneshot::channel();
            if link.orders.send(Order { message: message.clone(), done }).await.is_err() {
                continue;
            }
            return match ended.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(Ended::Unsent)) => continue,
                Ok(Err(Ended::Failed(failure))) => Err(failure),
                Err(_) => Err(Failure::passing("the connection to the broker ended")),
            };
        }
    }

    /// How many connections there are, or are being opened.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.open.lock().links.values().filter(|link| !link.orders.is_closed()).count()
    }

    /// The link to this broker, opened if there is none.
    fn link(&self, key: &LinkKey) -> Result<Link, Failure> {
        let mut open = self.open.lock();
        if let Some(link) = open.links.get(key).filter(|link| !link.orders.is_closed()) {
            return Ok(link.clone());
        }
        open.links.retain(|_, link| !link.orders.is_closed());
        while open.tasks.try_join_next().is_some() {}
        if open.links.len() >= MAX_LINKS {
            let idle = open.links.iter().find(|(_, link)| link.is_idle());
            let Some(idle) = idle.map(|(key, _)| key.clone()) else {
                return Err(Failure::passing("too many MQTT brokers are spoken to at a time"));
            };
            // Nobody can reach it any more, so it says goodbye.
            open.links.remove(&idle);
        }
        let (orders, taken) = mpsc::channel(MAX_UNDER_WAY);
        let link = Link { orders, room: Arc::new(Semaphore::new(MAX_UNDER_WAY)) };
        open.links.insert(key.clone(), link.clone());
        open.tasks.spawn(link::run(self.client.clone(), key.clone(), taken));
        Ok(link)
    }
}
