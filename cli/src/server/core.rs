//! The broker of a server, and what it is made of.

use std::sync::Arc;

use musubi_adapter_kit::{AdapterMetrics, Services};
use musubi_broker::{Broker, BrokerOptions, StreamOptions, Sweeper, SweeperOptions, WriteRules};
use musubi_context::{Contexts, ContextsOptions};
use musubi_history::Archive;
use musubi_model::{Clock, SystemClock};
use musubi_notify::{Notifications, Notifier, Replayer};
use musubi_outbound::{Authorities, Client, ClientOptions};
use musubi_schemas::{CONTEXT, CONTEXT_PATH};
use musubi_store::{History, Store};
use musubi_store_embedded::EmbeddedStore;
use prometheus_client::registry::Registry as MetricsRegistry;

use super::upkeep::Letters;
use crate::broker_sink::BrokerSink;
use crate::replay::Replays;
use crate::services::services;
use crate::settings::Settings;

/// The broker and what it is made of.
pub(super) struct Core {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) broker: Broker,
    pub(super) notifications: Notifications,
    pub(super) replays: Arc<Replays>,
}

/// The client for addresses that users of the API name.
fn client(settings: &Settings) -> Result<Client, String> {
    let authorities = match &settings.ca_file {
        None => Authorities::default(),
        Some(path) => {
            let unusable = |error: &dyn std::fmt::Display| {
                format!("outbound.ca_file {}: {error}", path.display())
            };
            let text = std::fs::read(path).map_err(|error| unusable(&error))?;
            Authorities::from_pem(&text).map_err(|error| unusable(&error))?
        }
    };
    let guard = Some(settings.guard.clone());
    Ok(Client::new(ClientOptions { guard, authorities, ..ClientOptions::default() }))
}

impl Core {
    pub(super) fn assemble(
        settings: &Settings,
        (store, archive): (&Arc<EmbeddedStore>, Option<Archive>),
        public: &str,
        metrics: &mut MetricsRegistry,
    ) -> Result<(Self, Notifier), String> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let client = client(settings)?;
        let contexts = contexts(settings, &client, public)?;
        let store: Arc<dyn Store> = store.clone();
        let options = settings.notify.clone();
        let replayer = Replayer::new(&options, store.clone(), client.clone(), clock.clone());
        let (notifier, notifications) =
            Notifier::new(options, store.clone(), client, clock.clone());
        notifications.register(metrics);
        let replays = Arc::new(Replays::new(replayer));
        let broker = Broker::new(BrokerOptions {
            history: archive.map(|archive| Arc::new(archive) as Arc<dyn History>),
            store,
            contexts,
            notifications: notifications.clone(),
            clock: clock.clone(),
            replay: Some(replays.clone()),
            attempts: BrokerOptions::ATTEMPTS,
            log_kept: settings.log_keep,
            streams: StreamOptions::default(),
            rules: WriteRules {
                entity_limit: settings.entity_limit,
                newer_only: settings.newer_only.clone(),
            },
        });
        Ok((Self { clock, broker, notifications, replays }, notifier))
    }

    /// What removes what has expired.
    pub(super) fn sweeper(&self, settings: &Settings) -> Sweeper {
        let options =
            SweeperOptions { interval: settings.sweep_interval, ..SweeperOptions::default() };
        Sweeper::new(self.broker.clone(), options)
    }

    /// What throws away old dead letters.
    pub(super) fn letters(&self, settings: &Settings) -> Letters {
        let (broker, clock) = (self.broker.clone(), self.clock.clone());
        Letters { broker, clock, kept: settings.dead_letters }
    }

    /// What adapters get that run in this process.
    pub(super) fn services(&self, metrics: &mut MetricsRegistry) -> Result<Services, String> {
        let counted = AdapterMetrics::default();
        counted.register(metrics);
        services(Arc::new(BrokerSink::new(self.broker.clone())), self.clock.clone(), counted)
    }
}

fn contexts(settings: &Settings, client: &Client, public: &str) -> Result<Contexts, String> {
    let own = format!("{public}{CONTEXT_PATH}");
    Contexts::new(ContextsOptions {
        client: Some(client.clone()),
        pinned: settings.contexts.pinned.clone(),
        built_in: vec![(own, CONTEXT.to_owned())],
        public_url: public.to_owned(),
        hosted: settings.contexts.hosted,
        memory: settings.contexts.memory,
        ..ContextsOptions::default()
    })
    .map_err(|error| error.to_string())
}
