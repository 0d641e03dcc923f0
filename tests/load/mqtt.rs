//! MQTT messages that become durable entities: as many as promised, for as long as promised, and
//! none lost.

pub(crate) mod fleet;
mod sustained;

use std::path::Path;
use std::time::Duration;

use musubi_tests::{Http, Musubi};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::measured::Measured;
use crate::mqtt::fleet::{Fleet, Latency, Pace};
pub(crate) use crate::mqtt::sustained::{devices, flood};
use crate::report::{Line, Mark, say};
use crate::sample::{Sample, number, rate};
use crate::usage::{Processor, megabytes, memory};
use crate::{Failure, Plan};

const CONNECTIONS: u32 = 10;
/// Devices behind one connection.
const DEVICES: u32 = 100;
/// Messages per second of all devices together.
const RATE: f64 = 10_000.0;
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

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
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
}

/// Measures the row.
///
/// # Errors
///
/// If the broker does not start, or a connection breaks.
pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let folder = plan.empty_folder()?;
    let musubi = start(folder.path())?;
    let fleets = Fleet::several(CONNECTIONS, DEVICES);
    let outcome = publish(&musubi, fleets, Pace::Even(RATE), plan.mqtt).await?;
    let mut lines = outcome.lines(behind(&musubi, &outcome.fleets).await?);
    drop(musubi);
    lines.extend(sustained::measure(plan).await?);
    Ok(lines)
}

/// Starts a broker that takes what devices publish.
///
/// # Errors
///
/// If its configuration cannot be written.
pub(crate) fn start(folder: &Path) -> Result<Musubi, Failure> {
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
    /// Adds the run to what was measured of a broker.
    pub(crate) fn note(&self, measured: &mut Measured) {
        let messages = f64::from(self.sum(Fleet::acknowledged).max(1));
        measured.rate.add(self.rate());
        measured.processor.add(self.broker.as_secs_f64() * 1e6 / messages);
        measured.generator.add(self.generator.as_secs_f64() * 1e6 / messages);
        measured.median.add(self.latency.of_thousand(500));
        measured.tail.add(self.latency.of_thousand(990));
    }

    /// The devices, which can go on, and how long their messages took.
    pub(crate) fn into_fleets(self) -> (Vec<Fleet>, Latency) {
        (self.fleets, self.latency)
    }

    /// Whether what was due was acknowledged in time.
    fn is_kept(&self) -> bool {
        self.took <= self.time + LATE && self.sum(Fleet::sent) == self.sum(Fleet::acknowledged)
    }

    fn rate(&self) -> f64 {
        rate(self.sum(Fleet::acknowledged), self.took)
    }

    /// Messages per CPU second of the broker.
    fn per_second(&self) -> f64 {
        rate(self.sum(Fleet::acknowledged), self.broker)
    }

    /// Messages per CPU second of this program.
    fn per_generator_second(&self) -> f64 {
        rate(self.sum(Fleet::acknowledged), self.generator)
    }

    fn sum(&self, of: fn(&Fleet) -> u32) -> u32 {
        self.fleets.iter().map(of).sum()
    }

    /// The table's lines, when so many devices' last messages are not in the broker.
    fn lines(&self, behind: usize) -> Vec<Line> {
        let Self { took, seconds, latency, broker, generator, .. } = self;
        let (sent, acknowledged) = (self.sum(Fleet::sent), self.sum(Fleet::acknowledged));
        let reached = self.rate();
        let [median, tail, most] = [500, 990, 1000].map(|share| number(latency.of_thousand(share)));
        say(&format!(
            "acknowledged after p50 {median} ms, p99 {tail} ms, at most {most} ms; the last one \
             {} ms after the end",
            took.saturating_sub(self.time).as_millis()
        ));
        let [cpu, own] = [broker, generator].map(|used| number(used.as_secs_f64()));
        let per_second = number(self.per_second());
        say(&format!("{per_second} messages per CPU second of the broker"));
        let (early, late) = (seconds.memory_after(2), seconds.memory_after(5));
        let length = self.time.as_secs();
        let devices = CONNECTIONS * DEVICES;
        let grown = number(late / early.max(0.1));
        vec![
            Line::new(
                format!("MQTT to durable entity, `interval`, {length} s"),
                format!("{}/s", number(RATE)),
                format!(
                    "{}/s, single seconds {}; p50 {median} ms, p99 {tail} ms; CPU: broker {cpu} s, \
                     generator {own} s",
                    number(reached),
                    seconds.rates
                ),
                Mark::of(self.is_kept()),
            ),
            Line::new(
                "MQTT, messages lost",
                "none",
                format!(
                    "{sent} sent, {acknowledged} acknowledged; {behind} of {devices} devices are \
                     behind"
                ),
                Mark::of(sent == acknowledged && behind == 0),
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

/// Publishes from all fleets, each its share, for so long, and waits for what is on its way.
///
/// # Errors
///
/// If a connection breaks.
pub(crate) async fn publish(
    musubi: &Musubi,
    fleets: Vec<Fleet>,
    pace: Pace,
    time: Duration,
) -> Result<Outcome, Failure> {
    let broker = Processor::now(musubi.id())?;
    let generator = Processor::now(std::process::id())?;
    let begun = Instant::now();
    let (fleets, seconds) = publish_all(musubi, fleets, pace, time).await?;
    Ok(Outcome {
        time,
        took: begun.elapsed(),
        seconds,
        latency: fleet::latency(&fleets),
        broker: broker.since()?,
        generator: generator.since()?,
        fleets,
    })
}

async fn publish_all(
    musubi: &Musubi,
    fleets: Vec<Fleet>,
    pace: Pace,
    time: Duration,
) -> Result<(Vec<Fleet>, Seconds), Failure> {
    let tally = fleets.first().ok_or("no fleets")?.tally();
    let pace = match pace {
        Pace::Even(rate) => Pace::Even(rate / f64::from(u32::try_from(fleets.len())?)),
        Pace::Flood => Pace::Flood,
    };
    let mut connections = JoinSet::new();
    for fleet in fleets {
        connections.spawn(fleet.publish(musubi.mqtt(), pace, time));
    }
    let mut fleets = Vec::new();
    let mut seconds = Seconds::default();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = (Instant::now(), tally.acknowledged());
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
pub(crate) async fn behind(musubi: &Musubi, fleets: &[Fleet]) -> Result<usize, Failure> {
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
