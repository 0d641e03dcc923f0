//! How many messages a second the listener takes with quality of service 1, generator included.
//!
//!     cargo run --release -p musubi-adapter-mqtt --example publish_speed -- [connections] [window] [messages]
//!
//! Each connection publishes with so many messages unacknowledged at once. The first run hands
//! the messages to a place that commits at once; the second maps them to entities in memory.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_adapter_kit::testing::MemorySink;
use musubi_adapter_kit::{AdapterMetrics, MappingFile, Services};
use musubi_adapter_mqtt::{
    Exchange, Ingest, Listener, ListenerOptions, Message, Verdict, from_mapping,
};
use musubi_context::Context;
use musubi_model::SystemClock;
use musubi_outbound::Client;
use rumqttc::mqttbytes::v4;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn Error + Send + Sync>;

const SENSORS: &str = r#"
[source]
kind = "mqtt"
[groups.key]
type = "AirQualityObserved"
devices = "any"
"#;

/// Commits at once.
#[derive(Debug)]
struct Anything;

impl Ingest for Anything {
    fn ingest<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Verdict>> {
        std::future::ready(vec![Verdict::Committed; messages.len()]).boxed()
    }
}

#[derive(Clone, Copy)]
struct Load {
    connections: usize,
    window: usize,
    messages: usize,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| match arguments.next() {
        Some(text) => text.parse(),
        None => Ok(default),
    };
    let load =
        Load { connections: number(50)?, window: number(100)?, messages: number(1_000_000)? };
    measure("committed at once", load, Arc::new(Anything)).await?;

    let services = Services {
        sink: Arc::new(MemorySink::new(Arc::new(SystemClock))),
        clock: Arc::new(SystemClock),
        client: Client::unguarded(),
        context: Context::core(),
        models: None,
        metrics: AdapterMetrics::default(),
    };
    let exchange = Exchange::default();
    exchange.attach(from_mapping(&MappingFile::parse(SENSORS, "sensors.toml")?, services)?);
    measure("mapped to entities in memory", load, Arc::new(exchange)).await
}

#[expect(clippy::print_stdout, reason = "it prints what it has measured")]
async fn measure(what: &str, load: Load, ingest: Arc<dyn Ingest>) -> Result<(), Failure> {
    let listener = Listener::bind(ListenerOptions::open("127.0.0.1:0".parse()?), ingest).await?;
    let address = listener.local_addr()?;
    let shutdown = CancellationToken::new();
    let mut serving = JoinSet::new();
    serving.spawn(listener.run(shutdown.clone()));
    let (start, used) = (Instant::now(), processor_time());
    let mut clients = JoinSet::new();
    for number in 0..load.connections {
        clients.spawn(async move {
            let stream = TcpStream::connect(address).await?;
            publish(stream, number, load).await
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    let took = start.elapsed();
    let used = processor_time().saturating_sub(used);
    shutdown.cancel();
    while serving.join_next().await.is_some() {}
    let messages = load.messages / load.connections * load.connections;
    let rate = u128::try_from(messages)? * 1_000_000 / took.as_micros().max(1);
    println!(
        "{what}: {messages} messages over {} connections with {} unacknowledged at once: \
         {rate} messages/s, {:.2} s, {:.2} processors, {:.1} µs of processor time per message",
        load.connections,
        load.window,
        took.as_secs_f64(),
        used.as_secs_f64() / took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / f64::from(u32::try_from(messages)?),
    );
    Ok(())
}

/// Publishes this connection's share and returns once all of it is acknowledged.
async fn publish(mut stream: TcpStream, number: usize, load: Load) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let (mut output, mut input) = (BytesMut::new(), BytesMut::new());
    let wrong = |error: rumqttc::mqttbytes::Error| format!("{error:?}");
    v4::Connect::new(format!("c{number}")).write(&mut output).map_err(wrong)?;
    stream.write_all(&output).await?;
    let topic = format!("/json/key/d{number}/attrs");
    let share = load.messages / load.connections;
    let (mut sent, mut acknowledged) = (0, 0);
    while acknowledged < share {
        output.clear();
        while sent < share && sent - acknowledged < load.window {
            let payload = format!(r#"{{"pm25":{},"temperature":21.5}}"#, sent % 500);
            let mut publish = v4::Publish::new(&topic, rumqttc::QoS::AtLeastOnce, payload);
            publish.pkid = u16::try_from(sent % 60_000)? + 1;
            publish.write(&mut output).map_err(wrong)?;
            sent += 1;
        }
        stream.write_all(&output).await?;
        if stream.read_buf(&mut input).await? == 0 {
            return Err("the listener has closed the connection".into());
        }
        loop {
            match v4::Packet::read(&mut input, 1024) {
                Ok(v4::Packet::PubAck(_)) => acknowledged += 1,
                Ok(_) => {}
                Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => break,
                Err(error) => return Err(wrong(error).into()),
            }
        }
    }
    Ok(())
}

/// The processor time of this process, user and system, where the kernel tells it.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15, in hundredths of a second; the name in field 2 may hold spaces.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
