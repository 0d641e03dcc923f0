//! The town's sensors: MQTT clients that publish to the real listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::town::{SENSORS, Town, sensor_name};

/// The key under which the sensors publish.
pub(super) const API_KEY: &str = "demo";

/// How often a sensor says something.
const PERIOD: Duration = Duration::from_secs(4);

/// How many messages the listener has acknowledged.
#[derive(Clone, Debug, Default)]
pub(super) struct Acknowledged(Arc<AtomicU64>);

impl Acknowledged {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Starts every sensor, evenly spread over a period.
pub(super) fn start(
    tasks: &mut JoinSet<()>,
    town: &Arc<Mutex<Town>>,
    address: SocketAddr,
    acknowledged: &Acknowledged,
    shutdown: &CancellationToken,
) {
    for sensor in 0..SENSORS {
        let sensor = Sensor {
            number: sensor,
            town: town.clone(),
            address,
            acknowledged: acknowledged.clone(),
        };
        let shutdown = shutdown.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = sensor.run() => {}
                () = shutdown.cancelled() => {}
            }
        });
    }
}

struct Sensor {
    number: usize,
    town: Arc<Mutex<Town>>,
    address: SocketAddr,
    acknowledged: Acknowledged,
}

impl Sensor {
    async fn run(self) {
        let name = sensor_name(self.number);
        let mut options =
            MqttOptions::new(&name, self.address.ip().to_string(), self.address.port());
        options.set_keep_alive(Duration::from_secs(30)).set_clean_session(false);
        let (client, mut connection) = AsyncClient::new(options, 4);
        let share = u32::try_from(self.number).unwrap_or_default();
        let first = PERIOD * share / u32::try_from(SENSORS).unwrap_or(1);
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + first, PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut step = 0;
        loop {
            tokio::select! {
                event = connection.poll() => match event {
                    Ok(Event::Incoming(Packet::PubAck(_))) => {
                        self.acknowledged.0.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(_) => {}
                    // The client connects again at the next poll.
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                },
                _ = ticks.tick() => {
                    let reading = self.town.lock().reading(self.number, step);
                    let payload = json!({
                        "temperature": reading.temperature,
                        "relativeHumidity": reading.humidity,
                    });
                    let topic = format!("/json/{API_KEY}/{name}/attrs");
                    // A full queue means that the listener is away: the next reading will do.
                    let _ = client.try_publish(topic, QoS::AtLeastOnce, false, payload.to_string());
                    step += 1;
                }
            }
        }
    }
}
