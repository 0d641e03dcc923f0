//! Half an hour of everything together at half of what the broker does at most: creating, changing
//! and deleting entities, reading them, telling receivers and a stream of changes, and MQTT.
//!
//! What it does at most is measured first, for half a minute, on a broker of its own: all kinds
//! together, each as fast as its connections get answers. Of changes with subscriptions that is what
//! receivers get in that time. The soak has half of each.

mod kind;
mod ledger;
mod phase;
mod stream;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use musubi_tests::Musubi;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::generator::Connection;
use crate::mqtt::fleet::Latency;
use crate::receivers::Receivers;
use crate::report::{Line, Mark, say};
use crate::sample::{Sample, number};
use crate::soak::kind::Kind;
use crate::soak::ledger::{Findings, Told};
use crate::soak::phase::{Crowd, Phase, Rates};
use crate::soak::stream::Follower;
use crate::usage::{Processor, megabytes, memory};
use crate::{Failure, Plan, delivery, entities, mqtt};

/// How much the memory may grow.
const GROWTH: f64 = 1.1;
/// How much the 99th percentile may grow.
const TAIL: f64 = 1.2;
/// The subscription that the stream follows.
const STREAM: &str = "urn:ngsi-ld:Subscription:stream";
/// How long the broker is measured before the soak, at most, and how much of the soak that is at most.
const CALIBRATION: Duration = Duration::from_secs(30);
const SHARE: u32 = 6;

/// A broker with everything there that is written, read and told.
#[derive(Debug)]
struct Town {
    server: Musubi,
    receivers: Musubi,
    follower: Follower,
    crowd: Crowd,
}

impl Town {
    async fn start(folder: &Path) -> Result<Self, Failure> {
        let receivers = delivery::start_good_receivers()?;
        let ports = Receivers { desk: receivers.http }.ports().await?;
        let server = mqtt::start(folder)?;
        entities::fill(server.http, worker::ENTITIES).await?;
        delivery::fill(server.http, &ports).await?;
        let subscription = format!(
            "{{\"id\":\"{STREAM}\",\"type\":\"Subscription\",\"entities\":[{{\"type\":\"Sensor\"}}],\
             \"notification\":{{\"endpoint\":{{\"uri\":\"musubi:stream\"}}}}}}"
        );
        let request = delivery::request(server.http, ("POST", "subscriptions"), &subscription);
        let status = Connection::open(server.http).await?.ask(request.as_bytes()).await?.status;
        if status != 201 {
            return Err(format!("the stream's subscription is answered {status}").into());
        }
        let follower = Follower::start(server.http, STREAM).await?;
        let crowd = Crowd::new(&server);
        Ok(Self { server, receivers, follower, crowd })
    }

    fn desk(&self) -> Receivers {
        Receivers { desk: self.receivers.http }
    }

    /// How many changes were acknowledged that a receiver and the stream are to be told of.
    fn due(&self) -> u64 {
        let changing = self.crowd.workers.iter().filter(|worker| worker.kind == Kind::Change);
        changing.flat_map(worker::Worker::written).map(|(_, written)| written.count).sum()
    }

    async fn load(&mut self, rates: Option<&Rates>, time: Duration) -> Result<Phase, Failure> {
        self.crowd.load(&self.server, rates, time).await
    }
}

/// Measures the soak.
///
/// # Errors
///
/// If a process does not start, or does not answer as it should.
pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let rates = calibrate(plan).await?;
    let folder = plan.empty_folder()?;
    let mut town = Town::start(folder.path()).await?;
    let (memory, sampler) = sample_memory(town.server.id());
    let before = Processor::now(town.server.id())?;
    let (warm_up, five) = (plan.soak / 15, plan.soak / 6);
    let rest = plan.soak.saturating_sub(warm_up + 2 * five);
    town.load(Some(&rates), warm_up).await?;
    let mut first = town.load(Some(&rates), five).await?;
    let middle = town.load(Some(&rates), rest).await?;
    let mut last = town.load(Some(&rates), five).await?;
    drop(sampler);
    let used = before.since()?.as_secs_f64();
    let due = town.due();
    ledger::settle(&town.server.url(), &town.follower, usize::try_from(due)?).await?;
    let changes = town.desk().changes().await?;
    first.add_changes(&changes);
    last.add_changes(&changes);
    drop(changes);
    let done = Kind::ALL.map(|kind| format!("{} {}", kind.what(), number(middle.rate(kind))));
    say(&format!(
        "per second: {}; broker {} s of CPU in {} s",
        done.join(", "),
        number(used),
        number(plan.soak.as_secs_f64())
    ));
    let mut lines = vec![memory_line(plan, &memory.lock())];
    lines.extend(first.latencies.iter().zip(&last.latencies).map(tail_line));
    lines.extend(ledger_lines(&town, due).await?);
    Ok(lines)
}

/// Half of what the broker does of each kind when all come together.
async fn calibrate(plan: &Plan) -> Result<Rates, Failure> {
    let folder = plan.empty_folder()?;
    let mut town = Town::start(folder.path()).await?;
    let time = CALIBRATION.min(plan.soak / SHARE);
    town.load(None, time / 3).await?;
    let phase = town.load(None, time).await?;
    let received = phase.received(&town.desk()).await?;
    let mut rates = Rates::new();
    for kind in Kind::ALL {
        let most = match kind {
            Kind::Change => phase.rate(kind).min(received),
            Kind::Create | Kind::Patch | Kind::Get | Kind::Page | Kind::Query | Kind::Mqtt => {
                phase.rate(kind)
            }
        };
        say(&format!("at most {}/s of {}, with all others beside it", number(most), kind.what()));
        rates.insert(kind, most / 2.0);
    }
    Ok(rates)
}

/// What a process holds, once a second, while the second value lives.
fn sample_memory(process: u32) -> (Arc<Mutex<Vec<u64>>>, JoinSet<()>) {
    let held = Arc::<Mutex<Vec<u64>>>::default();
    let mut task = JoinSet::new();
    let sampled = Arc::clone(&held);
    task.spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A process that has ended shows elsewhere.
            sampled.lock().extend(memory(process));
        }
    });
    (held, task)
}

fn memory_line(plan: &Plan, held: &[u64]) -> Line {
    // The last half minute of the fifth minute, and of the last one.
    let span = (held.len() / 60).max(1);
    let before = |end: usize| -> Sample {
        let part = held.get(end.saturating_sub(span)..end).unwrap_or_default();
        part.iter().map(|bytes| megabytes(*bytes)).collect()
    };
    let [early, late] = [held.len() / 6, held.len()].map(|end| before(end).median());
    let ratio = late / early.max(0.1);
    let minutes = plan.soak.as_secs_f64() / 60.0;
    Line::new(
        format!("soak, memory after {} minutes", number(minutes)),
        format!("≤ {GROWTH} × that after {}", number(minutes / 6.0)),
        format!("{} ×: {} MB; {} MB", number(ratio), number(late), number(early)),
        Mark::of(ratio <= GROWTH),
    )
}

fn tail_line(((name, first), (_, last)): ((&&str, &Latency), (&&str, &Latency))) -> Line {
    let [before, after] = [first, last].map(|latency| latency.of_thousand(990));
    let ratio = after / before.max(0.001);
    Line::new(
        format!("soak, {name}, p99 in the last sixth"),
        format!("≤ {TAIL} × that in the first after warming up"),
        format!(
            "{} ×: {} ms; {} ms; p50 {} ms, {} ms",
            number(ratio),
            number(after),
            number(before),
            number(last.of_thousand(500)),
            number(first.of_thousand(500)),
        ),
        Mark::of(ratio <= TAIL),
    )
}

async fn ledger_lines(town: &Town, due: u64) -> Result<Vec<Line>, Failure> {
    let workers = &town.crowd.workers;
    let mut store = ledger::compare_store(town.server.http, workers).await?;
    let behind = mqtt::behind(&town.server, &town.crowd.fleets).await?;
    store.note(behind == 0, || format!("{behind} devices are behind"));
    let told = ledger::compare_told(&town.server.url(), workers, &town.desk()).await?;
    let Told { findings, sums, received, repeated } = &told;
    let sums: Vec<_> = sums.iter().map(|(name, sum)| format!("{sum} {name}")).collect();
    let (streamed, distinct, other) = town.follower.look(|told| {
        let mut times = told.times.clone();
        times.sort_unstable();
        times.dedup();
        (told.times.len(), times.len(), told.other + u32::from(told.is_over))
    });
    let is_streamed = [streamed, distinct].iter().all(|it| u64::try_from(*it) == Ok(due));
    Ok(vec![
        Line::new(
            "soak, what was acknowledged is in the store",
            "each entity has its last value, or is gone",
            format!("{} compared, {}", store.compared, wrong(&store)),
            Mark::of(store.wrong == 0),
        ),
        Line::new(
            "soak, ledger of the subscriptions",
            "due = delivered + pending + dead + suppressed, none pending, received as often",
            format!(
                "{due} acknowledged; {}; {received} received, {repeated} of them again; {}",
                sums.join(", "),
                wrong(findings)
            ),
            Mark::of(findings.wrong == 0 && *received == due),
        ),
        Line::new(
            "soak, stream",
            "every change once",
            format!(
                "{streamed} events of {due} changes, {distinct} different; {other} gaps or ends"
            ),
            Mark::of(is_streamed && other == 0),
        ),
    ])
}

fn wrong(findings: &Findings) -> String {
    let first = findings.first.as_ref().map_or(String::new(), |first| format!(", as {first}"));
    format!("{} wrong{first}", findings.wrong)
}
