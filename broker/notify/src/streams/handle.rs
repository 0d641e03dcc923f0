//! The door to the streams.

use std::fmt;
use std::sync::Arc;

use musubi_model::{Clock, Sequence, Tenant};
use musubi_store::Store;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

use crate::engine::account::AccountKey;
use crate::engine::applied::CompiledContexts;
use crate::streams::feed::{Feed, PIECE, ROOM};
use crate::streams::gauge::StreamGauge;
use crate::streams::hub::{Hub, StreamRefused};
use crate::{NotificationKey, Notifications, SubscriptionId};

/// How much may be streamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// The most streams at once. Default 7,000.
    pub most: usize,
    /// The most streams of one tenant at once. Default 6,000.
    pub of_a_tenant: usize,
    /// The most changes that wait in memory for one client that does not read; at least 1. They
    /// have at most 64 KiB, too. With more of them the client goes on from the log. Default 32.
    pub window: usize,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { most: 7000, of_a_tenant: 6000, window: 32 }
    }
}

/// The streams of a broker. Cloning is one atomic increment.
#[derive(Clone)]
pub struct Streams(pub(crate) Arc<Parts>);

/// What all streams share.
pub(crate) struct Parts {
    pub(crate) hub: Arc<Hub>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: NotificationKey,
    pub(crate) contexts: Mutex<CompiledContexts>,
    /// Held by whoever reads the log. After a restart all come at once.
    pub(crate) readers: Semaphore,
    /// Held for what was read of the log and was not told yet.
    pub(crate) room: Arc<Semaphore>,
    options: StreamOptions,
}

/// How many read the log at the same time.
const READERS: usize = 4;

impl Streams {
    /// The streams of what this notifier finds due in the log of its store.
    pub fn new(
        options: StreamOptions,
        notifications: &Notifications,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Parts {
            hub: Arc::clone(&notifications.0.hub),
            store,
            clock,
            ids: notifications.0.ids,
            contexts: Mutex::default(),
            readers: Semaphore::new(READERS),
            room: Arc::new(Semaphore::new(ROOM / PIECE)),
            options,
        }))
    }

    /// What is due to a subscription after this place in the log; from now on, if none is given. That there is
    /// such a subscription is for the caller to know; one that is gone ends the feed.
    ///
    /// # Errors
    ///
    /// [`StreamRefused`] if there are as many feeds as there may be.
    pub fn follow(
        &self,
        tenant: &Tenant,
        id: &SubscriptionId,
        after: Option<Sequence>,
    ) -> Result<Feed, StreamRefused> {
        let key = AccountKey { tenant: tenant.clone(), id: id.clone() };
        let inbox = self.0.hub.enter(&key, &self.0.options)?;
        let newest = *self.0.store.newest().borrow();
        Ok(Feed::new(self.clone(), key, inbox, (after.unwrap_or(newest), newest)))
    }

    /// Adds how many feeds there are to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(StreamGauge(self.clone())));
    }

    /// How many feeds there are.
    pub fn count(&self) -> usize {
        self.0.hub.listeners()
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("count", &self.count()).finish_non_exhaustive()
    }
}
