//! The broker: what a process holds once and clones into every request.

use std::fmt;
use std::sync::{Arc, OnceLock};

use musubi_context::Contexts;
use musubi_model::{Clock, Sequence, Tenant, Timestamp};
use musubi_notify::{Ledger, Notifications, StreamOptions, Streams};
use musubi_store::{Backups, History, Store};
use prometheus_client::registry::Registry as Metrics;
use tokio::sync::Semaphore;

use crate::contexts::StoredContexts;
use crate::dead_letters::Run;
use crate::identity::Identity;
use crate::schemas;
use crate::tenants::Tenants;
use crate::trace::SEARCHES;
use crate::turns::Turns;
use crate::{Caller, Conditions, Error, OutOfOrder, Replay, Session, WriteRules};

/// What a broker is made of.
#[derive(Clone)]
pub struct BrokerOptions {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Where the past is kept. None: nothing of it is kept, and questions for it are refused.
    pub history: Option<Arc<dyn History>>,
    /// The contexts that requests may name.
    pub contexts: Contexts,
    /// What became of notifications; only asked, never told.
    pub notifications: Notifications,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What carries a dead letter to where it belongs once more. None: replaying is refused.
    pub replay: Option<Arc<dyn Replay>>,
    /// How often a change is decided anew when others change the same entity meanwhile; at least
    /// 1. With `n` writers on one entity, `n` suffices.
    pub attempts: usize,
    /// How many changes stay in the log behind the slowest reader.
    pub log_kept: u64,
    /// What holds for every write.
    pub rules: WriteRules,
    /// How much may be streamed.
    pub streams: StreamOptions,
}

impl BrokerOptions {
    /// As many attempts as usual.
    pub const ATTEMPTS: usize = 100;
    /// As many kept changes as usual.
    pub const LOG_KEPT: u64 = 10_000;
}

impl fmt::Debug for BrokerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerOptions")
            .field("attempts", &self.attempts)
            .field("log_kept", &self.log_kept)
            .finish_non_exhaustive()
    }
}

/// The broker: a cheap handle, cloned into every request.
#[derive(Clone)]
pub struct Broker(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) options: BrokerOptions,
    pub(crate) tenants: Tenants,
    /// Held by whoever changes which contexts are kept here.
    pub(crate) hosting: futures_util::lock::Mutex<()>,
    /// Held by whoever looks whether there is room for one more entity map.
    pub(crate) mapping: Turns,
    pub(crate) identity: Identity,
    pub(crate) schemas: schemas::Registry,
    pub(crate) streams: Streams,
    /// The replay of dead letters that is to be gone on with.
    pub(crate) replaying: parking_lot::Mutex<Option<Run>>,
    /// What makes backups.
    pub(crate) backups: OnceLock<Arc<dyn Backups>>,
    /// Held by whoever changes what is recorded.
    pub(crate) turns: Turns,
    /// Held by whoever searches the log for a change.
    pub(crate) searches: Semaphore,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Broker").field(&self.0.options).finish()
    }
}

impl Broker {
    /// A broker on what `options` names.
    pub fn new(mut options: BrokerOptions) -> Self {
        let hosted = Arc::new(StoredContexts(Arc::clone(&options.store)));
        options.contexts = options.contexts.with_hosted(hosted);
        let streams = Streams::new(
            options.streams,
            &options.notifications,
            Arc::clone(&options.store),
            Arc::clone(&options.clock),
        );
        let identity = Identity::starting_now();
        let hosting = futures_util::lock::Mutex::new(());
        Self(Arc::new(Shared {
            options,
            tenants: Tenants::default(),
            hosting,
            mapping: Turns::default(),
            identity,
            schemas: schemas::Registry::default(),
            streams,
            turns: Turns::default(),
            replaying: parking_lot::Mutex::default(),
            backups: OnceLock::new(),
            searches: Semaphore::new(SEARCHES),
        }))
    }

    /// The only door to an operation: somebody, in a tenant.
    pub fn session(&self, caller: Caller, tenant: Tenant) -> Session {
        let out_of_order = if self.0.options.rules.newer_only.has(&tenant) {
            OutOfOrder::LeaveAlone
        } else {
            OutOfOrder::Apply
        };
        let conditions = Conditions { out_of_order, ..Conditions::default() };
        Session { broker: self.clone(), caller, tenant, conditions, warnings: None }
    }

    /// The time now, as the broker's clock says.
    pub fn now(&self) -> Timestamp {
        self.0.options.clock.now()
    }

    /// The contexts that requests may name.
    pub fn contexts(&self) -> &Contexts {
        &self.0.options.contexts
    }

    /// The sums of the ledgers of all subscriptions.
    pub fn totals(&self) -> Ledger {
        self.0.options.notifications.totals()
    }

    /// The newest change in the log.
    pub fn newest(&self) -> Sequence {
        *self.0.options.store.newest().borrow()
    }

    /// Reads the names of all tenants, so that no first request has to.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store does not answer.
    pub async fn load_tenants(&self) -> Result<(), Error> {
        self.0.tenants.load(self.store()).await
    }

    /// Puts the schemas in force that the store has. Until it has answered, writes are held
    /// against none, so it has to be called before the first of them.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store does not answer.
    pub async fn load_schemas(&self) -> Result<(), Error> {
        self.0.schemas.load(self.store()).await
    }

    /// Whether any tenant has a schema in force.
    pub fn has_schemas(&self) -> bool {
        self.0.schemas.any()
    }

    /// Adds what the broker itself counts to a registry.
    pub fn register_metrics(&self, metrics: &mut Metrics) {
        self.0.schemas.violations.register(metrics);
        self.0.streams.register(metrics);
    }

    /// The tenants that are known here, the default one first.
    pub fn tenants(&self) -> Vec<Tenant> {
        self.0.tenants.known()
    }

    /// Lets the store drop the changes that neither notifications nor history need any more, but for the newest
    /// [`BrokerOptions::log_kept`]. To be called now and then.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store does not answer.
    pub async fn truncate_log(&self) -> Result<(), Error> {
        let told = self.0.options.notifications.log_needed_from().0;
        let recorded = self.0.options.history.as_ref().map(|history| history.needed_from().0);
        let needed = told.min(recorded.unwrap_or(told));
        let kept = self.newest().0.saturating_sub(self.0.options.log_kept);
        let upto = needed.saturating_sub(1).min(kept);
        if upto > 0 {
            self.store().truncate(Sequence(upto)).await?;
        }
        Ok(())
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.0.options.store
    }

    pub(crate) fn rules(&self) -> &WriteRules {
        &self.0.options.rules
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }
}
