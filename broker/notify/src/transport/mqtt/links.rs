//! The connections to MQTT brokers, shared by all subscriptions of a tenant that lead to the same
//! one.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use musubi_model::Tenant;
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
/// The most of them for one tenant, so that there is room for others.
pub(super) const MAX_OF_A_TENANT: usize = MAX_LINKS / 2;
/// The most messages of one connection that are under way: on their way to it, in it, or without
/// the acknowledgement that they need. More wait.
pub(super) const MAX_UNDER_WAY: usize = 64;

/// A broker, for whom it is spoken to, and as whom.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LinkKey {
    pub(super) tenant: Tenant,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_secure: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) version: MqttVersion,
}

impl LinkKey {
    pub(super) fn new(tenant: Tenant, address: MqttAddress, version: MqttVersion) -> Self {
        let MqttAddress { host, port, secure, user, password, topic: _ } = address;
        Self { tenant, host, port, is_secure: secure, user, password, version }
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

impl Open {
    /// Makes room for one more link of this tenant, at the cost of one that has nothing to do: one
    /// of its own if it has many, else one of whoever has most.
    fn make_room(&mut self, tenant: &Tenant) -> Result<(), Failure> {
        let mut held: FxHashMap<&Tenant, usize> = FxHashMap::default();
        for key in self.links.keys() {
            *held.entry(&key.tenant).or_default() += 1;
        }
        let own = held.get(tenant).copied().unwrap_or_default();
        let has_many = own >= MAX_OF_A_TENANT;
        if !has_many && self.links.len() < MAX_LINKS {
            return Ok(());
        }
        let idle = self
            .links
            .iter()
            .filter(|(key, link)| link.is_idle() && (!has_many || key.tenant == *tenant));
        let of_most = idle.max_by_key(|(key, _)| held.get(&key.tenant).copied());
        let Some(idle) = of_most.map(|(key, _)| key.clone()) else {
            return Err(Failure::no_room("too many MQTT brokers are spoken to at a time"));
        };
        // Nobody can reach it any more, so it says goodbye.
        self.links.remove(&idle);
        Ok(())
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
        open.make_room(&key.tenant)?;
        let (orders, taken) = mpsc::channel(MAX_UNDER_WAY);
        let link = Link { orders, room: Arc::new(Semaphore::new(MAX_UNDER_WAY)) };
        open.links.insert(key.clone(), link.clone());
        open.tasks.spawn(link::run(self.client.clone(), key.clone(), taken));
        Ok(link)
    }
}
