//! What others may ask a running notifier.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use musubi_model::{Clock, Sequence, Tenant, Timestamp};
use parking_lot::RwLock;
use prometheus_client::registry::Registry;
use rustc_hash::FxHashSet;
use tokio::sync::watch;

use crate::engine::account::AccountKey;
use crate::engine::metrics::{LedgerCollector, Metrics};
use crate::queue::endpoint::EndpointKey;
use crate::streams::hub::Hub;
use crate::{DeliveryStatus, Ledger, NotificationKey, SubscriptionId};

/// A handle on a [`Notifier`](crate::Notifier): what it has done, and how far it is. It answers
/// from memory, before the notifier runs with what a fresh one would say, and after it has ended
/// with what was true then.
#[derive(Clone, Debug)]
pub struct Notifications(pub(crate) Arc<Shared>);

/// How one subscription stands with the notifier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Its account.
    pub ledger: Ledger,
    /// How the delivery to it goes.
    pub status: DeliveryStatus,
    /// When the oldest change happened that is still to be delivered.
    pub oldest_pending: Option<Timestamp>,
    /// Whether its endpoint is left alone at present because it keeps failing.
    pub is_left_alone: bool,
    /// Why the last attempt failed, in a sentence; none if it did not, or not since the notifier
    /// began.
    pub last_failure: Option<Arc<str>>,
}

/// What a notifier shows of one subscription.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) ledger: Ledger,
    pub(crate) status: DeliveryStatus,
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) endpoint: EndpointKey,
    /// Why the last attempt failed.
    pub(crate) reason: Option<Arc<str>>,
}

/// What a notifier and its handles share. Written by the notifier alone.
#[derive(Debug)]
pub(crate) struct Shared {
    books: RwLock<Books>,
    /// The endpoints that are left alone.
    left_alone: RwLock<FxHashSet<EndpointKey>>,
    cursor: AtomicU64,
    needed_from: AtomicU64,
    updates: watch::Sender<u64>,
    /// Whether what was there before is shown.
    pub(crate) is_loaded: watch::Sender<bool>,
    clock: Arc<dyn Clock>,
    pub(crate) ids: NotificationKey,
    pub(crate) metrics: Metrics,
    /// Who is told of what is due as it is found.
    pub(crate) hub: Arc<Hub>,
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    /// In the order of their keys, which `/metrics` cuts off where they are too many.
    pub(crate) accounts: BTreeMap<AccountKey, Shown>,
    /// The sum over the subscriptions of a tenant, and how many those are.
    pub(crate) tenants: BTreeMap<Tenant, (Ledger, usize)>,
    /// The sum over subscriptions that are no longer there.
    retired: Ledger,
}

impl Books {
    fn put(&mut self, key: AccountKey, shown: Option<Shown>) {
        let (sum, count) = self.tenants.entry(key.tenant.clone()).or_default();
        if let Some(shown) = &shown {
            *sum = sum.plus(shown.ledger);
            *count += 1;
        }
        let tenant = key.tenant.clone();
        let before = match shown {
            Some(shown) => self.accounts.insert(key, shown),
            None => self.accounts.remove(&key),
        };
        if let Some(before) = before {
            *sum = sum.minus(before.ledger);
            *count = count.saturating_sub(1);
        }
        if *count == 0 {
            self.tenants.remove(&tenant);
        }
    }
}

impl Notifications {
    /// How the delivery to a subscription goes; all zero if nothing was sent to it, or if there is
    /// no such subscription.
    pub fn delivery(&self, tenant: &Tenant, id: &SubscriptionId) -> DeliveryStatus {
        self.0.shown(tenant, id).map(|shown| shown.status).unwrap_or_default()
    }

    /// The account of a subscription; none if the notifier does not know it, or not yet.
    pub fn ledger(&self, tenant: &Tenant, id: &SubscriptionId) -> Option<Ledger> {
        self.0.shown(tenant, id).map(|shown| shown.ledger)
    }

    /// All that is known of a subscription; none if the notifier does not know it, or not yet.
    pub fn standing(&self, tenant: &Tenant, id: &SubscriptionId) -> Option<Standing> {
        let shown = self.0.shown(tenant, id)?;
        let is_left_alone = self.0.left_alone.read().contains(&shown.endpoint);
        let Shown { ledger, status, oldest, reason, .. } = shown;
        let (oldest_pending, last_failure) = (oldest, reason);
        Some(Standing { ledger, status, oldest_pending, is_left_alone, last_failure })
    }

    /// Waits until the notifier runs and knows what was there before it. Until then everything here
    /// is zero.
    pub async fn loaded(&self) {
        // The sender is here, so it is not closed.
        let _ = self.0.is_loaded.subscribe().wait_for(|is_loaded| *is_loaded).await;
    }

    /// The sum of the accounts of all subscriptions, those included that were deleted.
    pub fn totals(&self) -> Ledger {
        self.0.totals()
    }

    /// When the oldest change happened that is still to be delivered.
    pub fn oldest_pending(&self) -> Option<Timestamp> {
        self.0.oldest_pending()
    }

    /// The change up to which it is known, and durable, what is due.
    pub fn caught_up_to(&self) -> Sequence {
        Sequence(self.0.cursor.load(Ordering::Acquire))
    }

    /// The first change that has to stay in the log: not all that is due because of it, or of a
    /// later one, is settled, or saved.
    pub fn log_needed_from(&self) -> Sequence {
        Sequence(self.0.needed_from.load(Ordering::Acquire))
    }

    /// A number that changes whenever something of the above has changed.
    pub fn updates(&self) -> watch::Receiver<u64> {
        self.0.updates.subscribe()
    }

    /// Adds the notifier's metrics to a registry.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
        registry.register_collector(Box::new(LedgerCollector(Arc::clone(&self.0))));
    }
}

impl Shared {
    pub(crate) fn new(clock: Arc<dyn Clock>, ids: NotificationKey) -> Self {
        Self {
            books: RwLock::default(),
            left_alone: RwLock::default(),
            cursor: AtomicU64::new(0),
            needed_from: AtomicU64::new(1),
            updates: watch::Sender::new(0),
            is_loaded: watch::Sender::new(false),
            clock,
            ids,
            metrics: Metrics::default(),
            hub: Arc::default(),
        }
    }

    fn shown(&self, tenant: &Tenant, id: &SubscriptionId) -> Option<Shown> {
        let key = AccountKey { tenant: tenant.clone(), id: id.clone() };
        self.books.read().accounts.get(&key).cloned()
    }

    /// Lets somebody look at all accounts, who is not to take long over it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Books) -> T) -> T {
        look(&self.books.read())
    }

    /// Says whether an endpoint is left alone.
    pub(crate) fn set_left_alone(&self, endpoint: &EndpointKey, is_left_alone: bool) {
        if self.left_alone.read().contains(endpoint) == is_left_alone {
            return;
        }
        let mut left_alone = self.left_alone.write();
        if is_left_alone {
            left_alone.insert(endpoint.clone());
        } else {
            left_alone.remove(endpoint);
        }
        self.metrics.open_breakers.set(i64::try_from(left_alone.len()).unwrap_or(i64::MAX));
    }

    pub(crate) fn totals(&self) -> Ledger {
        let books = self.books.read();
        books.tenants.values().fold(books.retired, |sum, (ledger, _)| sum.plus(*ledger))
    }

    fn oldest_pending(&self) -> Option<Timestamp> {
        self.books.read().accounts.values().filter_map(|shown| shown.oldest).min()
    }

    /// How old the oldest pending change is, in seconds; 0 if nothing is pending.
    pub(crate) fn oldest_pending_seconds(&self) -> f64 {
        let Some(oldest) = self.oldest_pending() else { return 0.0 };
        let micros = self.clock.now().as_micros().saturating_sub(oldest.as_micros());
        u64::try_from(micros)
            .map_or(0.0, |micros| std::time::Duration::from_micros(micros).as_secs_f64())
    }

    /// Shows the present state of subscriptions; one without a state is no longer shown.
    pub(crate) fn show(
        &self,
        accounts: impl Iterator<Item = (AccountKey, Option<Shown>)>,
        retired: Ledger,
    ) {
        let mut books = self.books.write();
        books.retired = retired;
        for (key, shown) in accounts {
            books.put(key, shown);
        }
        let count = i64::try_from(books.accounts.len()).unwrap_or(i64::MAX);
        self.metrics.subscriptions.set(count);
        drop(books);
        self.tell();
    }

    pub(crate) fn set_cursor(&self, cursor: Sequence) {
        self.cursor.store(cursor.0, Ordering::Release);
        self.hub.reach(cursor);
        self.tell();
    }

    pub(crate) fn set_needed_from(&self, needed_from: Sequence) {
        self.needed_from.store(needed_from.0, Ordering::Release);
        self.tell();
    }

    fn tell(&self) {
        self.updates.send_modify(|version| *version = version.wrapping_add(1));
    }
}
