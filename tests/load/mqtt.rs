//! MQTT messages that become durable entities: as many as promised, for as long as promised, and
//! none lost.

mod fleet;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use musubi_tests::{Http, Musubi};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::mqtt::fleet::{Fleet, Latency, Tally};
use crate::report::{Line, Mark, say};
use crate::sample::{Sample, number, rate};
use crate::usage::{Processor, megabytes, memory};
use crate::{Failure, Plan};

const CONNECTIONS: u32 = 10;
/// Devices behind one connection.
const DEVICES: u32 = 100;
/// Messages per second of all devices together.
const RATE: u32 = 10_000;
/// By how much the last acknowledgement may come after the end of the run, for the rate to have
/// been kept: the messages of the last moment have to be on their way for a while.
const LATE: Duration = Duration::from_millis(500);
/// How much the memory may grow after two fifths of the run.
const GROWTH: f64 = 1.1;
const TYPE: &str = "WeatherObserved";

/// What was seen once a second.
#[derive(Debug, Default)]
struct Seconds {
    rates: Sample,
    memory: Vec<u64>,
}

impl Seconds {
    /// What was held when so many fifths of the run were over.
    fn memory_after(&self, fifths: usize) -> f64 {
        let place = (self.memory.len() * fifths / 5).saturating_sub(1);
        megabytes(self.memory.get(place).copied().unwrap_or(0))
    }
}

/// What came of the run.
#[derive(Debug)]
struct Outcome {
    /// How long the run was to be.
    time: Duration,
    /// From the first message to the last acknowledgement.
    took: Duration,
    seconds: Seconds,
    fleets: Vec<Fleet>,
    latency: Latency,
    /// CPU time of the broker.
    broker: Duration,
    /// CPU time of this program.
    generator: Duration,
    /// How many devices' last messages are not in the broker.
    behind: usize,
}

/// Measures the row.
///
/// # Errors
///
/// If the broker does not start, or a connection breaks.
pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let folder = plan.empty_folder()?;
    let musubi = start(folder.path())?;
    let broker = Processor::now(musubi.id())?;
    let generator = Processor::now(std::process::id())?;
    let begun = Instant::now();
    let (fleets, seconds) = publish(&musubi, plan.mqtt).await?;
    let outcome = Outcome {
        time: plan.mqtt,
        took: begun.elapsed(),
        seconds,
        latency: fleet::latency(&fleets),
        broker: broker.since()?,
        generator: generator.since()?,
        behind: behind(&musubi, &fleets).await?,
        fleets,
    };
    Ok(outcome.lines())
}

fn start(folder: &Path) -> Result<Musubi, Failure> {
    let mapping = folder.join("sensors.toml");
    let group = fleet::API_KEY;
    std::fs::write(
        &mapping,
        format!(
            "name = \"sensors\"\n[source]\nkind = \"mqtt\"\n\
             [groups.{group}]\ntype = \"{TYPE}\"\ndevices = \"any\"\n"
        ),
    )?;
    let mapping = mapping.to_string_lossy();
    let arguments = ["--durability", "interval", "--mqtt", "127.0.0.1:0", "--log-level", "warn"];
    Ok(Musubi::serve(&folder.join("data"), &[&arguments[..], &["--adapter", &mapping]].concat()))
}

impl Outcome {
    fn sum(&self, of: fn(&Fleet) -> u32) -> u32 {
        self.fleets.iter().map(of).sum()
    }

    fn lines(&self) -> Vec<Line> {
        let Self { took, seconds, latency, broker, generator, behind, .. } = self;
        let (sent, acknowledged) = (self.sum(Fleet::sent), self.sum(Fleet::acknowledged));
        let reached = rate(acknowledged, *took);
        let [median, tail, most] = [500, 990, 1000].map(|share| number(latency.of_thousand(share)));
        say(&format!(
            "acknowledged after p50 {median} ms, p99 {tail} ms, at most {most} ms; the last one \
             {} ms after the end",
            took.saturating_sub(self.time).as_millis()
        ));
        let [cpu, own] = [broker, generator].map(|used| number(used.as_secs_f64()));
        let per_second = number(rate(acknowledged, *broker));
        say(&format!("{per_second} messages per CPU second of the broker"));
        let (early, late) = (seconds.memory_after(2), seconds.memory_after(5));
        let length = self.time.as_secs();
        let devices = CONNECTIONS * DEVICES;
        let grown = number(late / early.max(0.1));
        vec![
            Line::new(
                format!("MQTT to durable entity, `interval`, {length} s"),
                format!("{}/s", number(f64::from(RATE))),
                format!(
                    "{}/s, single seconds {}; p50 {median} ms, p99 {tail} ms; CPU: broker {cpu} s, \
                     generator {own} s",
                    number(reached),
                    seconds.rates
                ),
                Mark::of(*took <= self.time + LATE),
            ),
            Line::new(
                "MQTT, messages lost",
                "none",
                format!(
                    "{sent} sent, {acknowledged} acknowledged; {behind} of {devices} devices are \
                     behind"
                ),
                Mark::of(sent == acknowledged && *behind == 0),
            ),
            Line::new(
                format!("MQTT, memory at {length} s"),
                format!("≤ {GROWTH} × that at {} s", length * 2 / 5),
                format!("{} MB; {} MB ({grown} ×)", number(late), number(early)),
                Mark::of(late <= GROWTH * early),
            ),
        ]
    }
}

/// Publishes from all connections for so long, and waits for what is on its way.
async fn publish(musubi: &Musubi, time: Duration) -> Result<(Vec<Fleet>, Seconds), Failure> {
    let tally = Arc::new(Tally::default());
    let mut connections = JoinSet::new();
    for number in 0..CONNECTIONS {
        let fleet = Fleet::new(number, DEVICES, tally.clone());
        let address: SocketAddr = musubi.mqtt();
        connections.spawn(fleet.publish(address, RATE / CONNECTIONS, time));
    }
    let mut fleets = Vec::new();
    let mut seconds = Seconds::default();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = (Instant::now(), 0);
    let begun = before.0;
    loop {
        tokio::select! {
            ended = connections.join_next() => match ended {
                Some(ended) => fleets.push(ended??),
                None => return Ok((fleets, seconds)),
            },
            _ = ticks.tick() => {
                let now = (Instant::now(), tally.acknowledged());
                // What is still on its way at the end is no measure of a second.
                if begun.elapsed() <= time + Duration::from_millis(500) {
                    seconds.rates.add(rate(now.1 - before.1, now.0 - before.0));
                    seconds.memory.push(memory(musubi.id())?);
                }
                before = now;
            }
        }
    }
}

/// How many devices' last messages are not in the broker.
async fn behind(musubi: &Musubi, fleets: &[Fleet]) -> Result<usize, Failure> {
    let client = Http::new(musubi.url()).own_context();
    let mut behind = 0;
    for (device, last) in fleets.iter().flat_map(Fleet::devices) {
        let path = format!("/ngsi-ld/v1/entities/urn:ngsi-ld:{TYPE}:{device}?options=keyValues");
        let answer = client.get(&path).await;
        if answer.json().get(fleet::COUNTER).and_then(serde_json::Value::as_u64)
            != Some(last.into())
        {
            if behind == 0 {
                say(&format!("{device} is not at {last}: {} {}", answer.status, answer.text));
            }
            behind += 1;
        }
    }
    Ok(behind)
}
