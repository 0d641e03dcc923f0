//! Delivering changes: 5,000 of them in a second, each to one of 10,000 subscriptions, at 100
//! endpoints; and what a dead and a slow endpoint among those do to the others.

mod sensors;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use musubi_tests::Musubi;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

pub(crate) use crate::delivery::sensors::{endpoint, entity_id, fill, request, subscription_id};
use crate::generator::Connection;
use crate::receivers::{Receivers, now};
use crate::report::{Line, Mark, say};
use crate::sample::{Sample, number};
use crate::usage::{Processor, idle, megabytes, memory};
use crate::{Failure, Plan};

const SUBSCRIPTIONS: u64 = 10_000;
pub(crate) const ENDPOINTS: usize = 100;
/// Changes in a second, each a request of its own.
const RATE: u64 = 5000;
/// Connections of the generator.
const CONNECTIONS: u64 = 64;
/// What is sent before anything is counted.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long the last ones may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How late a request may leave and still be timed from when it left.
const PUNCTUAL: u64 = 2000;
/// The 99th percentile that is to be reached, in milliseconds.
const REACH: f64 = 20.0;
/// The median that is to be reached after the sync, in milliseconds.
const MEDIAN: f64 = 2.0;
/// And the 99th percentile.
const TAIL: f64 = 10.0;
/// How much higher it may be with bad endpoints among the others: what two runs of the same kind
/// differ by.
const NO_EFFECT: f64 = 1.25;

/// Which endpoints are bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// None.
    None,
    /// Nobody listens at the first, and the second takes 30 s to answer.
    DeadAndSlow,
}

impl Trouble {
    fn bad(self) -> usize {
        match self {
            Self::None => 0,
            Self::DeadAndSlow => 2,
        }
    }
}

/// What was measured.
#[derive(Debug)]
struct Measured {
    sent: usize,
    received: usize,
    repeated: usize,
    /// Microseconds from sending a change to the receiver, sorted.
    latencies: Vec<u32>,
    /// And from its answer, which follows the commit.
    from_answer: Vec<u32>,
    /// The 99th percentile of each second, in milliseconds.
    seconds: Sample,
    late: u64,
    processor: Duration,
    memory: u64,
    time: f64,
}

/// What so many of a thousand do not exceed, in milliseconds.
fn percentile(sorted: &[u32], of_thousand: usize) -> f64 {
    let place = sorted.len() * of_thousand / 1000;
    let last = sorted.len().saturating_sub(1);
    f64::from(sorted.get(place.min(last)).copied().unwrap_or(0)) / 1000.0
}

impl Measured {
    fn latency(&self, of_thousand: usize) -> f64 {
        percentile(&self.latencies, of_thousand)
    }

    fn share(&self) -> f64 {
        let [received, sent] = [self.received, self.sent]
            .map(|number| f64::from(u32::try_from(number).unwrap_or(u32::MAX)));
        100.0 * received / sent.max(1.0)
    }

    fn say(&self, what: &str) {
        say(&format!(
            "{what}: {} of {} changes ({:.3} %), {} twice; p50 {} ms, p99 {} ms, p99.9 {} ms, most \
             {} ms from sending, p99 {} ms from the answer; p99 of single seconds {} ms; {} requests \
             left late; broker {} s of CPU in {} s, {} MB",
            self.received,
            self.sent,
            self.share(),
            self.repeated,
            number(self.latency(500)),
            number(self.latency(990)),
            number(self.latency(999)),
            number(self.latency(1000)),
            number(percentile(&self.from_answer, 990)),
            self.seconds,
            self.late,
            number(self.processor.as_secs_f64()),
            number(self.time),
            number(megabytes(self.memory)),
        ));
    }
}

/// Several runs of one kind.
#[derive(Debug, Default)]
struct Runs(Vec<Measured>);

impl Runs {
    fn add(&mut self, what: &str, run: Measured) {
        run.say(what);
        self.0.push(run);
    }

    fn of(&self, what: impl Fn(&Measured) -> f64) -> Sample {
        self.0.iter().map(what).collect()
    }

    fn p99(&self) -> Sample {
        self.of(|run| run.latency(990))
    }

    fn sent(&self) -> usize {
        self.0.iter().map(|run| run.sent).sum()
    }

    fn is_complete(&self) -> bool {
        self.0.iter().all(|run| run.received == run.sent)
    }

    /// The share of what was sent that came, in the worst of the runs.
    fn share(&self) -> f64 {
        self.0.iter().map(Measured::share).fold(100.0, f64::min)
    }
}

/// Measures delivery where nothing is wrong.
///
/// # Errors
///
/// If a process does not start or answer.
pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let mut runs = Runs::default();
    for _ in 0..plan.rounds {
        runs.add("delivery", deliver(plan, Trouble::None).await?);
    }
    let is_reached = runs.is_complete() && runs.p99().median() <= REACH;
    let [after, latest] =
        [500, 990].map(|share| runs.of(|run| percentile(&run.from_answer, share)));
    let is_prompt = after.median() <= MEDIAN && latest.median() <= TAIL;
    let prompt = Line::new(
        "the same, after the sync: from the answer, which follows it, to the receiver",
        format!("100 % delivered, p50 ≤ {MEDIAN} ms, p99 ≤ {TAIL} ms"),
        format!("{} %; p50 {after} ms, p99 {latest} ms", number(runs.share())),
        Mark::of(is_prompt && runs.is_complete()),
    );
    let whole = Line::new(
        format!(
            "delivery, {RATE} changes/s to {SUBSCRIPTIONS} subscriptions at {ENDPOINTS} endpoints, \
             `sync`"
        ),
        format!("100 % delivered, p99 ≤ {REACH} ms"),
        format!(
            "{} % of {}; p50 {} ms, p99 {} ms from the request to the receiver, {} ms from its \
             answer; broker {} s of CPU in {} s",
            number(runs.share()),
            runs.sent(),
            runs.of(|run| run.latency(500)),
            runs.p99(),
            runs.of(|run| percentile(&run.from_answer, 990)),
            runs.of(|run| run.processor.as_secs_f64()),
            number(plan.delivery.as_secs_f64()),
        ),
        Mark::of(is_reached),
    );
    Ok(vec![whole, prompt])
}

/// Measures delivery with bad endpoints among the others, in turn with delivery without.
///
/// # Errors
///
/// If a process does not start or answer.
pub(crate) async fn measure_trouble(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let [mut without, mut with] = [Runs::default(), Runs::default()];
    for _ in 0..plan.rounds {
        without.add("without", deliver(plan, Trouble::None).await?);
        with.add("with a dead and a slow endpoint", deliver(plan, Trouble::DeadAndSlow).await?);
    }
    let [before, after] = [&without, &with].map(|runs| runs.p99().median());
    let is_reached = with.is_complete() && after <= (before * NO_EFFECT).max(before + 1.0);
    Ok(vec![Line::new(
        "a dead and a slow endpoint among them, p99 of the others",
        format!("no effect beyond {} % or 1 ms", number((NO_EFFECT - 1.0) * 100.0)),
        format!(
            "{} ms, {} ms without; {} % delivered to the others",
            with.p99(),
            without.p99(),
            number(with.share())
        ),
        Mark::of(is_reached),
    )])
}

async fn deliver(plan: &Plan, trouble: Trouble) -> Result<Measured, Failure> {
    let folder = plan.empty_folder()?;
    let receivers = start_receivers(trouble)?;
    let desk = Receivers { desk: receivers.http };
    let mut ports = desk.ports().await?;
    if trouble == Trouble::DeadAndSlow {
        // Nobody listens there: the one who did has gone.
        let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        ports.insert(0, nobody);
    }
    let musubi = start_broker(folder.path());
    fill(musubi.http, &ports).await?;
    idle(musubi.id()).await?;
    generate(musubi.http, WARM_UP).await?;
    // A time may be made a little earlier, so that each is there once.
    let begin = now() - CONNECTIONS;
    let before = Processor::now(musubi.id())?;
    let (sent, late) = generate(musubi.http, plan.delivery).await?;
    // When each was answered, after it was sent.
    let answered: HashMap<u64, u32> = sent
        .into_iter()
        .filter(|sent| endpoint(sent.subscription) >= trouble.bad())
        .map(|sent| (sent.at, sent.answered))
        .collect();
    let processor = before.since()?;
    let changes = wait_for(&desk, begin, answered.len(), trouble).await?;
    let mut latencies: Vec<_> = changes.iter().map(|(_, took)| *took).collect();
    latencies.sort_unstable();
    let since = |(sent, took): &(u64, u32)| Some(took.saturating_sub(*answered.get(sent)?));
    let mut from_answer: Vec<_> = changes.iter().filter_map(since).collect();
    from_answer.sort_unstable();
    let distinct: HashSet<_> = changes.iter().map(|(sent, _)| *sent).collect();
    Ok(Measured {
        sent: answered.len(),
        received: distinct.iter().filter(|sent| answered.contains_key(*sent)).count(),
        repeated: changes.len() - distinct.len(),
        latencies,
        from_answer,
        late,
        processor,
        memory: memory(musubi.id())?,
        time: plan.delivery.as_secs_f64(),
        seconds: by_second(&changes, begin),
    })
}

/// The 99th percentile of what was sent in each second, in milliseconds.
fn by_second(changes: &[(u64, u32)], begin: u64) -> Sample {
    let mut seconds: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for (sent, took) in changes {
        seconds.entry(sent.saturating_sub(begin) / 1_000_000).or_default().push(*took);
    }
    let percentile = |mut took: Vec<u32>| {
        took.sort_unstable();
        let place = took.len() * 99 / 100;
        f64::from(took.get(place).or(took.last()).copied().unwrap_or(0)) / 1000.0
    };
    seconds.into_values().map(percentile).collect()
}

/// Starts the receivers of those whose endpoints are good.
///
/// # Errors
///
/// If this program cannot be found.
pub(crate) fn start_good_receivers() -> Result<Musubi, Failure> {
    start_receivers(Trouble::None)
}

fn start_receivers(trouble: Trouble) -> Result<Musubi, Failure> {
    // The dead one is not among them.
    let (count, slow) = match trouble {
        Trouble::None => (ENDPOINTS, 0),
        Trouble::DeadAndSlow => (ENDPOINTS - 1, 1),
    };
    let arguments = ["receivers".to_owned(), count.to_string(), slow.to_string()];
    Ok(Musubi::start(Command::new(std::env::current_exe()?).args(arguments)))
}

fn start_broker(folder: &Path) -> Musubi {
    Musubi::serve(&folder.join("data"), &["--log-level", "error"])
}

/// Waits until so many changes have come from those that were sent since `begin`, at good
/// endpoints: when each was sent, and how long it took.
async fn wait_for(
    desk: &Receivers,
    begin: u64,
    number: usize,
    trouble: Trouble,
) -> Result<Vec<(u64, u32)>, Failure> {
    // The slow receiver is the first one of those that listen.
    let first = trouble.bad().saturating_sub(1);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let changes = desk.changes().await?.into_iter();
        let good = changes.filter(|(receiver, sent, _)| *receiver >= first && *sent >= begin);
        let good: Vec<_> = good.map(|(_, sent, took)| (sent, took)).collect();
        if good.len() >= number || Instant::now() > deadline {
            return Ok(good);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// A change that was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    subscription: u64,
    /// When, in microseconds. No other has the same.
    at: u64,
    /// How many microseconds later it was answered.
    answered: u32,
}

/// Changes entity after entity, at an even pace. Says what was sent, and how much of it late.
async fn generate(server: SocketAddr, time: Duration) -> Result<(Vec<Sent>, u64), Failure> {
    let next = Arc::new(AtomicU64::new(0));
    let number = RATE * time.as_secs();
    let mut workers = JoinSet::new();
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        open.push(Connection::open(server).await?);
    }
    let (start, start_micros) = (Instant::now(), now());
    for connection in open {
        let next = Arc::clone(&next);
        workers.spawn(work(connection, server, next, (number, start, start_micros)));
    }
    let (mut all, mut late) = (Vec::new(), 0);
    while let Some(ended) = workers.join_next().await {
        let (sent, of_them_late) = ended??;
        all.extend(sent);
        late += of_them_late;
    }
    Ok((all, late))
}

async fn work(
    mut connection: Connection,
    server: SocketAddr,
    next: Arc<AtomicU64>,
    (number, start, start_micros): (u64, Instant, u64),
) -> Result<(Vec<Sent>, u64), Failure> {
    let (mut sent, mut late) = (Vec::new(), 0);
    loop {
        let turn = next.fetch_add(1, Ordering::Relaxed);
        if turn >= number {
            return Ok((sent, late));
        }
        let planned = turn * 1_000_000 / RATE;
        sleep_until(start + Duration::from_micros(planned)).await;
        let planned = start_micros + planned;
        // Each time once, so that it names the change.
        let mut time = now();
        if time > planned + PUNCTUAL {
            late += 1;
            time = planned;
        }
        let time = time / CONNECTIONS * CONNECTIONS + turn % CONNECTIONS;
        let subscription = turn % SUBSCRIPTIONS;
        let body = format!("{{\"sent\":{{\"type\":\"Property\",\"value\":{time}}}}}");
        let path = format!("entities/{}/attrs", entity_id(subscription));
        let status =
            connection.ask(request(server, ("PATCH", &path), &body).as_bytes()).await?.status;
        if status != 204 {
            return Err(format!("PATCH was answered {status}").into());
        }
        let answered = u32::try_from(now().saturating_sub(time)).unwrap_or(u32::MAX);
        sent.push(Sent { subscription, at: time, answered });
    }
}
