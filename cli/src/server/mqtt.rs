//! The MQTT listener inside, and the adapters that take its messages.

use std::net::SocketAddr;
use std::sync::Arc;

use musubi_adapter_kit::{Adapter, MappingError, MappingFile, Services};
use musubi_adapter_mqtt::{Exchange, Limits, Listener, ListenerOptions, Users};
use musubi_model::Clock;
use prometheus_client::registry::Registry;

use crate::settings::Settings;

/// The listener, bound and not yet running.
#[derive(Debug)]
pub(super) struct Mqtt {
    exchange: Arc<Exchange>,
    listener: Option<Listener>,
}

impl Mqtt {
    /// Binds the listener, if the settings want one.
    pub(super) async fn prepare(
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        metrics: &mut Registry,
    ) -> Result<Self, String> {
        let exchange = Arc::new(Exchange::default());
        let Some(address) = settings.mqtt else { return Ok(Self { exchange, listener: None }) };
        let users = settings.mqtt_users.iter().map(|(name, user)| (name.clone(), user.clone()));
        let options = ListenerOptions {
            address,
            users: Users::new(users).map_err(|error| error.to_string())?,
            limits: Limits::default(),
            clock: clock.clone(),
        };
        let listener = Listener::bind(options, exchange.clone()).await.map_err(|error| {
            if error.kind() == std::io::ErrorKind::AddrInUse {
                format!("--mqtt {address}: port {} is taken by another program", address.port())
            } else {
                format!("--mqtt {address}: {error}")
            }
        })?;
        listener.traffic().register(metrics);
        Ok(Self { exchange, listener: Some(listener) })
    }

    /// The adapter of an MQTT source, which gets the listener's messages unless it names a broker.
    pub(super) fn adapter(
        &self,
        mapping: &MappingFile,
        services: Services,
    ) -> Result<Arc<dyn Adapter>, MappingError> {
        let adapter = musubi_adapter_mqtt::from_mapping(mapping, services)?;
        if adapter.listens() {
            if self.listener.is_none() {
                return Err(mapping.error(
                    "the source takes its messages from the MQTT listener, which is off: give \
                     --mqtt 127.0.0.1:1883, or name a broker with url = \"mqtt://…\"",
                ));
            }
            self.exchange.attach(adapter.clone());
        }
        Ok(adapter)
    }

    /// The listener, if there is one, and where it is.
    pub(super) fn listener(self) -> Result<Option<(SocketAddr, Listener)>, String> {
        let Some(listener) = self.listener else { return Ok(None) };
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        if self.exchange.is_empty() {
            tracing::warn!(
                "no adapter takes the messages of the MQTT listener, so none is acknowledged: \
                 give --adapter FILE with a source of the kind \"mqtt\""
            );
        }
        Ok(Some((address, listener)))
    }
}
