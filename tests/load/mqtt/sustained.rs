//! How many messages the broker takes in a CPU second when as many come as it takes, how many it
//! sustains, and how long they take at half of that.

use std::time::Duration;

use musubi_tests::Musubi;

use crate::mqtt::fleet::{Fleet, Pace};
use crate::mqtt::{Outcome, behind, publish, start};
use crate::report::{Line, Mark, say};
use crate::sample::{Sample, number};
use crate::usage::idle;
use crate::{Failure, Plan};

const CONNECTIONS: u32 = 10;
/// Devices behind one connection.
const DEVICES: u32 = 1000;
/// Messages per CPU second of the broker.
const REACH: f64 = 40_000.0;
/// The 99th percentile that is to be reached at half of what is sustained, in milliseconds.
const TAIL: f64 = 20.0;
/// The rates that are tried, in tenths of what comes when only the connections' windows hold the
/// messages back.
const TENTHS: std::ops::RangeInclusive<u32> = 4..=10;
/// How long the devices publish before anything is counted: long enough for each to have done so.
const WARM_UP: Duration = Duration::from_secs(3);

/// Several runs at one rate.
#[derive(Debug, Default)]
struct Runs {
    per_second: Sample,
    median: Sample,
    tail: Sample,
    rate: Sample,
    lost: u32,
}

impl Runs {
    fn add(&mut self, what: &str, outcome: &Outcome) {
        let [median, tail] = [500, 990].map(|share| outcome.latency.of_thousand(share));
        let lost = outcome.sum(Fleet::sent) - outcome.sum(Fleet::acknowledged);
        say(&format!(
            "{what}: {}/s, {} messages per CPU second of the broker, {} of the generator; p50 {} ms, \
             p99 {} ms",
            number(outcome.rate()),
            number(outcome.per_second()),
            number(outcome.per_generator_second()),
            number(median),
            number(tail),
        ));
        self.per_second.add(outcome.per_second());
        self.rate.add(outcome.rate());
        self.median.add(median);
        self.tail.add(tail);
        self.lost += lost;
    }
}

/// Lets devices publish as fast as the windows of their connections allow, for so long.
///
/// # Errors
///
/// If a connection breaks.
pub(crate) async fn flood(
    musubi: &Musubi,
    fleets: Vec<Fleet>,
    time: Duration,
) -> Result<Outcome, Failure> {
    idle(musubi.id()).await?;
    publish(musubi, fleets, Pace::Flood, time).await
}

/// Devices that have published already.
///
/// # Errors
///
/// If a connection breaks.
pub(crate) async fn devices(musubi: &Musubi) -> Result<Vec<Fleet>, Failure> {
    let fleets = Fleet::several(CONNECTIONS, DEVICES);
    Ok(flood(musubi, fleets, WARM_UP).await?.fleets)
}

/// Measures both lines.
///
/// # Errors
///
/// If the broker does not start, or a connection breaks.
pub(super) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let folder = plan.empty_folder()?;
    let musubi = start(folder.path())?;
    let mut fleets = devices(&musubi).await?;
    let flooded = flood(&musubi, fleets, plan.round).await?;
    let most = flooded.rate();
    Runs::default().add("as fast as the windows allow", &flooded);
    fleets = flooded.fleets;
    let mut sustained = 0.0;
    for tenths in TENTHS {
        let tried = most * f64::from(tenths) / 10.0;
        idle(musubi.id()).await?;
        let outcome = publish(&musubi, fleets, Pace::Even(tried), plan.round).await?;
        let is_kept = outcome.is_kept();
        let verdict = if is_kept { "kept" } else { "not kept" };
        Runs::default().add(&format!("{}/s tried, {verdict}", number(tried)), &outcome);
        fleets = outcome.fleets;
        if !is_kept {
            break;
        }
        sustained = tried;
    }
    if sustained == 0.0 {
        return Err(format!("not even four tenths of {}/s are sustained", number(most)).into());
    }
    let [mut full, mut whole, mut half] = [Runs::default(), Runs::default(), Runs::default()];
    for _ in 0..plan.rounds {
        for (runs, pace, what) in [
            (&mut full, Pace::Flood, "as fast as the windows allow"),
            (&mut whole, Pace::Even(sustained), "sustained"),
            (&mut half, Pace::Even(sustained / 2.0), "half of it"),
        ] {
            idle(musubi.id()).await?;
            let outcome = publish(&musubi, fleets, pace, plan.round).await?;
            runs.add(what, &outcome);
            fleets = outcome.fleets;
        }
    }
    let behind = behind(&musubi, &fleets).await?;
    Ok(lines([&full, &whole, &half], behind))
}

fn lines([full, whole, half]: [&Runs; 3], behind: usize) -> Vec<Line> {
    let lost = full.lost + whole.lost + half.lost;
    let devices = format!("{CONNECTIONS} connections of {} devices", number(DEVICES.into()));
    vec![
        Line::new(
            format!("MQTT, {devices}, as fast as they are answered, `interval`"),
            format!("≥ {} messages per CPU second of the broker", number(REACH)),
            format!(
                "{} at {}/s; {} at {}/s, evenly spread; {} at half of that; {lost} lost, {behind} \
                 devices behind",
                full.per_second, full.rate, whole.per_second, whole.rate, half.per_second
            ),
            Mark::of(full.per_second.median() >= REACH && lost == 0 && behind == 0),
        ),
        Line::new(
            "MQTT, the same, evenly spread, at half of what is sustained",
            format!("p99 ≤ {TAIL} ms"),
            format!("p50 {} ms, p99 {} ms at {}/s", half.median, half.tail, half.rate),
            Mark::of(half.tail.median() <= TAIL),
        ),
    ]
}
