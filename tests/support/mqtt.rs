//! An MQTT client that publishes one message after the other.

use std::net::SocketAddr;
use std::time::Duration;

use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, QoS};

use crate::process::PATIENCE;

/// A client, and the connection that it keeps.
pub struct Publisher {
    client: AsyncClient,
    events: EventLoop,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}

impl Publisher {
    /// A client of this name; it connects with the first message.
    #[must_use]
    pub fn new(address: SocketAddr, name: &str) -> Self {
        let mut options = MqttOptions::new(name, address.ip().to_string(), address.port());
        options.set_keep_alive(Duration::from_secs(30));
        let (client, events) = AsyncClient::new(options, 16);
        Self { client, events }
    }

    /// Publishes with quality of service 1, and waits for the acknowledgement.
    ///
    /// # Errors
    ///
    /// If the connection breaks.
    ///
    /// # Panics
    ///
    /// If the message is never acknowledged.
    pub async fn try_publish(
        &mut self,
        topic: &str,
        payload: impl Into<Vec<u8>>,
    ) -> Result<(), ConnectionError> {
        let sent = self.client.publish(topic, QoS::AtLeastOnce, false, payload).await;
        sent.expect("the client's own queue is open");
        let acknowledged = async {
            loop {
                if let Event::Incoming(Packet::PubAck(_)) = self.events.poll().await? {
                    return Ok(());
                }
            }
        };
        let Ok(result) = tokio::time::timeout(PATIENCE, acknowledged).await else {
            panic!("a message to {topic} was not acknowledged");
        };
        result
    }

    /// Publishes with quality of service 1, and waits for the acknowledgement.
    ///
    /// # Panics
    ///
    /// If it does not come.
    pub async fn publish(&mut self, topic: &str, payload: impl Into<Vec<u8>>) {
        if let Err(error) = self.try_publish(topic, payload).await {
            panic!("a message to {topic} was not acknowledged: {error}");
        }
    }
}
