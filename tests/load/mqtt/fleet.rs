//! Devices behind one MQTT connection.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet, Publish};
use rumqttc::mqttbytes::{Error as Codec, QoS};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, timeout};

use crate::Failure;

/// The key under which the devices publish.
pub(crate) const API_KEY: &str = "load";
/// The attribute that says how many messages a device has sent.
pub(crate) const COUNTER: &str = "counter";
/// How many messages of a connection are on their way at most.
const WINDOW: usize = 100;
/// How often the connection looks at what is due.
const PERIOD: Duration = Duration::from_millis(2);
const MAX_PACKET: usize = 4096;
/// How long the last acknowledgements may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What all connections count together.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU32);

impl Tally {
    /// Messages acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How fast a fleet publishes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many messages per second, evenly spread. Behind schedule as fast as the window lets it, and
    /// what is still due when the time is over is sent then.
    Even(f64),
    /// As fast as the window lets it, until the time is over.
    Flood,
}

impl Pace {
    /// How many messages are due after so long, of which so many were sent.
    fn due(self, elapsed: Duration, time: Duration, sent: u32) -> f64 {
        match self {
            Self::Even(rate) => elapsed.min(time).as_secs_f64() * rate,
            Self::Flood if elapsed < time => f64::INFINITY,
            Self::Flood => f64::from(sent),
        }
    }

    /// How long after the start this message is due.
    fn time_of(self, message: u32, elapsed: Duration) -> Duration {
        match self {
            Self::Even(rate) => Duration::from_secs_f64(f64::from(message) / rate.max(1.0)),
            Self::Flood => elapsed,
        }
    }
}

/// A device and how many messages it has sent.
#[derive(Debug)]
struct Device {
    name: String,
    topic: String,
    counter: u32,
}

/// The devices behind one connection, and what became of their messages.
#[derive(Debug)]
pub(crate) struct Fleet {
    client: String,
    devices: Vec<Device>,
    tally: Arc<Tally>,
    sent: u32,
    acknowledged: u32,
    /// Identifier of the messages on their way and when each was due, in their order.
    open: VecDeque<(u16, Instant)>,
    /// In microseconds.
    latencies: Vec<u32>,
}

/// How long acknowledgements took, from when the message was due.
#[derive(Debug)]
pub(crate) struct Latency(Vec<u32>);

impl Latency {
    /// Of these, in microseconds.
    pub(crate) fn new(mut micros: Vec<u32>) -> Self {
        micros.sort_unstable();
        Self(micros)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that so many of a thousand took at most, in milliseconds.
    pub(crate) fn of_thousand(&self, share: usize) -> f64 {
        let place = (self.0.len() * share / 1000).min(self.0.len().saturating_sub(1));
        f64::from(self.0.get(place).copied().unwrap_or(0)) / 1000.0
    }
}

/// How long the acknowledgements of all fleets took.
pub(crate) fn latency(fleets: &[Fleet]) -> Latency {
    Latency::new(fleets.iter().flat_map(|fleet| fleet.latencies.iter().copied()).collect())
}

impl Fleet {
    /// So many fleets with so many devices each.
    pub(crate) fn several(count: u32, devices: u32) -> Vec<Self> {
        let tally = Arc::new(Tally::default());
        (0..count).map(|number| Self::new(number, devices, Arc::clone(&tally))).collect()
    }

    fn new(number: u32, devices: u32, tally: Arc<Tally>) -> Self {
        let devices = (0..devices).map(|device| {
            let name = format!("d{number:02}{device:03}");
            let topic = format!("/json/{API_KEY}/{name}/attrs");
            Device { name, topic, counter: 0 }
        });
        Self {
            client: format!("load-{number}"),
            devices: devices.collect(),
            tally,
            sent: 0,
            acknowledged: 0,
            open: VecDeque::with_capacity(WINDOW),
            latencies: Vec::new(),
        }
    }

    /// What it counts together with the others.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Messages sent.
    pub(crate) fn sent(&self) -> u32 {
        self.sent
    }

    /// Messages acknowledged.
    pub(crate) fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// The devices and the last counter of each.
    pub(crate) fn devices(&self) -> impl Iterator<Item = (&str, u32)> {
        self.devices.iter().map(|device| (device.name.as_str(), device.counter))
    }

    /// Publishes for so long, one device after the other; then waits for what is on its way. What was
    /// counted before is forgotten; the devices go on from where they were.
    pub(crate) async fn publish(
        mut self,
        broker: SocketAddr,
        pace: Pace,
        time: Duration,
    ) -> Result<Self, Failure> {
        (self.sent, self.acknowledged) = (0, 0);
        self.open.clear();
        self.latencies.clear();
        let mut stream = self.connect(broker).await?;
        let (mut input, mut output) =
            (BytesMut::with_capacity(MAX_PACKET), BytesMut::with_capacity(64 * 1024));
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let start = Instant::now();
        loop {
            let elapsed = start.elapsed();
            let due = pace.due(elapsed, time, self.sent);
            while f64::from(self.sent) < due && self.open.len() < WINDOW {
                let planned = start + pace.time_of(self.sent, elapsed);
                self.write_next(&mut output, planned)?;
            }
            if !output.is_empty() {
                stream.write_all_buf(&mut output).await?;
            }
            let late = start.elapsed().saturating_sub(time);
            if !late.is_zero() && (f64::from(self.sent) >= due || late > PATIENCE) {
                break;
            }
            tokio::select! {
                _ = ticks.tick() => {}
                read = stream.read_buf(&mut input) => {
                    if read? == 0 {
                        return Err("the broker closed an MQTT connection".into());
                    }
                    self.settle(&mut input)?;
                }
            }
        }
        let rest = async {
            while !self.open.is_empty() && stream.read_buf(&mut input).await? > 0 {
                self.settle(&mut input)?;
            }
            Ok::<(), Failure>(())
        };
        // What has not come by now is missing from the count, and that says it.
        let _ = timeout(PATIENCE, rest).await;
        Ok(self)
    }

    async fn connect(&self, broker: SocketAddr) -> Result<TcpStream, Failure> {
        let mut stream = TcpStream::connect(broker).await?;
        stream.set_nodelay(true)?;
        let mut bytes = BytesMut::new();
        let mut connect = Connect::new(self.client.as_str());
        connect.keep_alive = 60;
        connect.write(&mut bytes)?;
        stream.write_all_buf(&mut bytes).await?;
        loop {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err("the broker closed an MQTT connection at once".into());
            }
            match Packet::read(&mut bytes, MAX_PACKET) {
                Ok(Packet::ConnAck(answer)) if answer.code == ConnectReturnCode::Success => {
                    return Ok(stream);
                }
                Err(Codec::InsufficientBytes(_)) => {}
                other => return Err(format!("CONNECT was answered {other:?}").into()),
            }
        }
    }

    fn write_next(&mut self, output: &mut BytesMut, due: Instant) -> Result<(), Failure> {
        // One round of all devices after the other, so all counters grow alike.
        let place = usize::try_from(self.sent)? % self.devices.len().max(1);
        let device = self.devices.get_mut(place).ok_or("a fleet without devices")?;
        device.counter += 1;
        let mut payload = String::with_capacity(96);
        let tenths = device.counter % 400;
        write!(
            payload,
            "{{\"temperature\":{}.{},\"relativeHumidity\":0.61,\"{COUNTER}\":{}}}",
            tenths / 10,
            tenths % 10,
            device.counter
        )?;
        let topic = device.topic.as_str();
        let mut publish = Publish::from_bytes(topic, QoS::AtLeastOnce, Bytes::from(payload));
        publish.pkid = u16::try_from(self.sent % 60_000)? + 1;
        publish.write(output)?;
        self.open.push_back((publish.pkid, due));
        self.sent += 1;
        Ok(())
    }

    /// Reads the acknowledgements that have come.
    fn settle(&mut self, input: &mut BytesMut) -> Result<(), Failure> {
        loop {
            match Packet::read(input, MAX_PACKET) {
                Ok(Packet::PubAck(acknowledgement)) => {
                    let (expected, due) =
                        self.open.pop_front().ok_or("an acknowledgement of nothing")?;
                    if acknowledgement.pkid != expected {
                        return Err("acknowledgements are out of order".into());
                    }
                    self.acknowledged += 1;
                    self.tally.0.fetch_add(1, Ordering::Relaxed);
                    let micros = due.elapsed().as_micros();
                    self.latencies.push(u32::try_from(micros).unwrap_or(u32::MAX));
                }
                Ok(other) => return Err(format!("the broker sent {other:?}").into()),
                Err(Codec::InsufficientBytes(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
