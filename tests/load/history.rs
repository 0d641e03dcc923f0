//! What entities were: ten million instances of a thousand sensors, written as sensors write, and
//! asked for; writing with history beside writing without; a backup while others write.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use musubi_tests::{Musubi, binary};
use tokio::time::Instant;

use crate::generator::{Connection, Load, NUMBER, Numbers, Run, TURN, Template};
use crate::report::{Line, Mark, say};
use crate::sample::{Sample, number};
use crate::usage::{Processor, idle, megabytes, memory};
use crate::{Failure, Plan};

const SENSORS: u32 = 1000;
/// The sensors of which there is a whole month, a value for each minute.
const STATIONS: u32 = 100;
const MINUTES: u32 = 30 * 24 * 60;
/// How many instances there are when the run is not shortened.
const INSTANCES: u32 = 10_000_000;
/// The first minute, in microseconds since 1970: 2026-03-01T00:00:00Z.
const START: i64 = 1_772_323_200_000_000;
const MINUTE: i64 = 60_000_000;
const CONNECTIONS: u32 = 50;

/// Measures history.
///
/// # Errors
///
/// If a server does not start or answer.
pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let mut lines = vec![beside(plan).await?];
    let folder = plan.empty_folder()?;
    let data = folder.path().join("data");
    let arguments = ["--durability", "interval", "--log-level", "warn"];
    let server = Musubi::serve(&data, &arguments);
    let written = fill(&server, plan).await?;
    idle(server.id()).await?;
    lines.push(disk(&data.join("history"), written)?);
    say(&format!("{} MB of memory", number(megabytes(memory(server.id())?))));
    lines.extend(questions(&server).await?);
    lines.push(backup(plan, &server, folder.path()).await?);
    Ok(lines)
}

/// A time, as the API has it.
fn time(minute: u32) -> String {
    musubi_model::Timestamp::from_micros(START + i64::from(minute) * MINUTE).to_string()
}

/// The sensors' values walk at random, the same way each time.
struct Walk {
    values: Vec<i32>,
    state: u64,
}

impl Walk {
    fn new() -> Self {
        Self { values: vec![213; SENSORS as usize], state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// The next value of a sensor, in tenths.
    fn next(&mut self, sensor: u32) -> i32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let step = i32::try_from(self.state % 7).unwrap_or_default() - 3;
        let Some(value) = self.values.get_mut(sensor as usize) else { return 0 };
        *value = (*value + step).clamp(-200, 450);
        *value
    }
}

fn kind(sensor: u32) -> &'static str {
    if sensor < STATIONS { "Station" } else { "Sensor" }
}

/// One minute of so many sensors, as a batch.
fn batch(server: SocketAddr, minute: u32, sensors: u32, walk: &mut Walk) -> Vec<u8> {
    let mut body = String::from("[");
    let at = time(minute);
    for sensor in 0..sensors {
        let tenths = walk.next(sensor);
        let sign = if tenths < 0 { "-" } else { "" };
        let (whole, tenth) = (tenths.abs() / 10, tenths.abs() % 10);
        let comma = if sensor == 0 { "" } else { "," };
        let _ = write!(
            body,
            "{comma}{{\"id\":\"urn:ngsi-ld:{kind}:{sensor:010}\",\"type\":\"{kind}\",\"temperature\":\
             {{\"type\":\"Property\",\"value\":{sign}{whole}.{tenth},\"observedAt\":\"{at}\",\
             \"unitCode\":\"CEL\"}}}}",
            kind = kind(sensor),
        );
    }
    body.push(']');
    let head = format!(
        "POST /ngsi-ld/v1/entityOperations/upsert HTTP/1.1\r\nHost: {server}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut request = head.into_bytes();
    request.extend(body.into_bytes());
    request
}

/// Writes the state of the sensors, minute after minute: the stations' for a month, the others' for
/// as long as there are instances left. Gives how many instances that made.
async fn fill(server: &Musubi, plan: &Plan) -> Result<u32, Failure> {
    let shortened = plan.mqtt.as_secs().min(300);
    let wanted = u32::try_from(u64::from(INSTANCES) * shortened / 300)?;
    let minutes = MINUTES.min(wanted / STATIONS).max(1);
    let others = wanted.saturating_sub(minutes * STATIONS) / (SENSORS - STATIONS);
    let mut walk = Walk::new();
    let mut connection = Connection::open(server.http).await?;
    let mut written = 0;
    let start = Instant::now();
    let before = Processor::now(server.id())?;
    for minute in 0..minutes {
        let sensors = if minute < others { SENSORS } else { STATIONS };
        let request = batch(server.http, minute, sensors, &mut walk);
        let status = connection.ask(&request).await?.status;
        if !matches!(status, 201 | 204) {
            return Err(format!("a batch was answered {status}").into());
        }
        written += sensors;
        if minute % 5000 == 4999 {
            say(&format!("{} instances written", number(written.into())));
        }
    }
    let (time, used) = (start.elapsed(), before.since()?);
    say(&format!(
        "{} instances of {SENSORS} sensors, written as their state, {STATIONS} to {SENSORS} at a time: \
         {}/s, {} µs of CPU each",
        number(written.into()),
        number(f64::from(written) / time.as_secs_f64()),
        number(used.as_secs_f64() * 1e6 / f64::from(written.max(1))),
    ));
    Ok(written)
}

/// What the files of the history take.
fn disk(folder: &Path, written: u32) -> Result<Line, Failure> {
    let (mut bytes, mut files) = (0, 0_u32);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += entry.metadata()?.len();
        files += 1;
    }
    let each = megabytes(bytes) * 1e6 / f64::from(written.max(1));
    Ok(Line::new(
        "disk of the history, log apart",
        "≤ 16 bytes per numeric instance",
        format!("{} ({} MB in {files} files)", number(each), number(megabytes(bytes))),
        Mark::of(each <= 16.0),
    ))
}

fn get(server: SocketAddr, path: &str) -> Template {
    Template::new(format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nAccept: application/json\r\n\r\n"
    ))
}

async fn ask(
    server: &Musubi,
    template: Template,
    numbers: Numbers,
    time: Duration,
) -> Result<Run, Failure> {
    idle(server.id()).await?;
    let load = Load { server: server.http, template, connections: 1, expected: 200, numbers, time };
    let run = load.run().await?;
    if run.other > 0 || run.good == 0 {
        return Err(format!("{} answers were not 200", run.other).into());
    }
    Ok(run)
}

async fn questions(server: &Musubi) -> Result<Vec<Line>, Failure> {
    let limit = Duration::from_mins(2);
    let path =
        format!("/ngsi-ld/v1/temporal/entities/urn:ngsi-ld:Station:{NUMBER}?attrs=temperature");
    let range = format!("timerel=between&timeAt={}&endTimeAt={}", time(0), time(MINUTES));
    let mut lines = Vec::new();
    for format in ["temporalValues", "normalized"] {
        let template = get(server.http, &format!("{path}&lastN=1000&format={format}"));
        let run = ask(server, template, Numbers::around(STATIONS), Duration::from_secs(10)).await?;
        lines.push(Line::new(
            format!("`lastN=1000` of one attribute, {format}"),
            "p99 ≤ 5 ms",
            format!(
                "p50 {} ms, p99 {} ms ({} questions, one after the other)",
                number(run.latency(500)),
                number(run.latency(990)),
                run.good
            ),
            Mark::of(run.latency(990) <= 5.0),
        ));
    }
    let hourly = "format=aggregatedValues&aggrMethods=avg&aggrPeriodDuration=PT1H";
    let one = get(server.http, &format!("{path}&{range}&{hourly}"));
    let all = "/ngsi-ld/v1/temporal/entities?type=Station&attrs=temperature&limit=100";
    let all = get(server.http, &format!("{all}&{range}&{hourly}"));
    for (what, template, numbers, reach) in [
        ("one sensor", one, Numbers::once(STATIONS), 10.0),
        ("100 sensors", all, Numbers::once(20), 300.0),
    ] {
        let run = ask(server, template, numbers, limit).await?;
        lines.push(Line::new(
            format!("hourly average over 30 days of one-minute data, {what}"),
            format!("≤ {reach} ms"),
            format!(
                "p50 {} ms, p99 {} ms ({} questions)",
                number(run.latency(500)),
                number(run.latency(990)),
                run.good
            ),
            Mark::of(run.latency(500) <= reach),
        ));
    }
    Ok(lines)
}

/// `PATCH` of one attribute of sensor after sensor of a type.
fn patch(server: SocketAddr, kind: &str) -> Template {
    // A number may not begin with zeros.
    let body = format!(
        "{{\"type\":\"Property\",\"value\":1{TURN}e-3,\"observedAt\":\"2026-04-01T18:30:00Z\"}}"
    );
    let id = format!("urn:ngsi-ld:{kind}:{NUMBER}");
    Template::new(format!(
        "PATCH /ngsi-ld/v1/entities/{id}/attrs/temperature HTTP/1.1\r\nHost: {server}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn create(server: SocketAddr) -> Template {
    let body = format!(
        "{{\"id\":\"urn:ngsi-ld:Sensor:{NUMBER}\",\"type\":\"Sensor\",\
         \"temperature\":{{\"type\":\"Property\",\"value\":1}}}}"
    );
    Template::new(format!(
        "POST /ngsi-ld/v1/entities HTTP/1.1\r\nHost: {server}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// Writes to the first sensors of a type, each as often as the others.
async fn write(
    server: &Musubi,
    (kind, sensors): (&str, u32),
    time: Duration,
) -> Result<Run, Failure> {
    let load = Load {
        server: server.http,
        template: patch(server.http, kind),
        connections: CONNECTIONS,
        expected: 204,
        numbers: Numbers::around(sensors),
        time,
    };
    let run = load.run().await?;
    if run.other > 0 {
        return Err(format!("{} writes were not answered 204", run.other).into());
    }
    Ok(run)
}

/// Writing with history on beside writing with history off.
async fn beside(plan: &Plan) -> Result<Line, Failure> {
    let folder = plan.empty_folder()?;
    let mut sides = Vec::new();
    for enabled in ["true", "false"] {
        let data = folder.path().join(enabled);
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--durability", "interval"]);
        command.args(["--log-level", "warn", "--data-dir"]).arg(&data);
        let server = Musubi::start(command.env("MUSUBI_HISTORY_ENABLED", enabled));
        let load = Load {
            server: server.http,
            template: create(server.http),
            connections: 1,
            expected: 201,
            numbers: Numbers::once(SENSORS),
            time: Duration::from_mins(1),
        };
        if load.run().await?.good != SENSORS {
            return Err("the sensors could not be created".into());
        }
        sides.push((server, Sample::default(), Sample::default()));
    }
    for round in 0..=plan.rounds {
        for (server, rate, processor) in &mut sides {
            idle(server.id()).await?;
            let before = Processor::now(server.id())?;
            let run = write(server, ("Sensor", SENSORS), plan.round).await?;
            // What is recorded behind the writes costs as well.
            idle(server.id()).await?;
            let used = before.since()?;
            if round > 0 {
                rate.add(run.rate());
                processor.add(used.as_secs_f64() * 1e6 / f64::from(run.good.max(1)));
            }
        }
    }
    let [(_, on, on_cpu), (_, off, off_cpu)] = &sides[..] else { return Err("two sides".into()) };
    let ratio = on.median() / off.median().max(1.0);
    Ok(Line::new(
        format!("writing with history on (`PATCH`, {CONNECTIONS} connections, `interval`)"),
        "≥ 0.9 of history off",
        format!(
            "{}: {on}/s of {off}/s; {} and {} µs of CPU each",
            number(ratio),
            number(on_cpu.median()),
            number(off_cpu.median())
        ),
        Mark::of(ratio >= 0.9),
    ))
}

/// A backup while others write: how much slower they are, and whether the copy is whole.
async fn backup(plan: &Plan, server: &Musubi, folder: &Path) -> Result<Line, Failure> {
    const STATION: (&str, u32) = ("Station", STATIONS);
    let copies = folder.join("backups");
    let (mut without, mut with, mut seconds) =
        (Sample::default(), Sample::default(), Sample::default());
    let mut size = 0;
    for _ in 0..plan.rounds.min(3) {
        idle(server.id()).await?;
        without.add(write(server, STATION, Duration::from_secs(5)).await?.rate());
        idle(server.id()).await?;
        std::fs::create_dir_all(&copies)?;
        let start = Instant::now();
        let mut running = Command::new(binary())
            .args(["backup", "--broker", &server.url()])
            .arg(&copies)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut rates = Sample::default();
        let ended = loop {
            rates.add(write(server, STATION, Duration::from_secs(1)).await?.rate());
            if let Some(status) = running.try_wait()? {
                break status;
            }
        };
        if !ended.success() {
            return Err("the backup failed".into());
        }
        seconds.add(start.elapsed().as_secs_f64());
        with.add(rates.median());
        for entry in std::fs::read_dir(&copies)? {
            let path = entry?.path();
            size = path.metadata()?.len();
            let verified = Command::new(binary()).arg("verify").arg(&path).output()?;
            if !verified.status.success() {
                return Err("the copy does not verify".into());
            }
        }
        std::fs::remove_dir_all(&copies)?;
    }
    let slower = 1.0 - with.median() / without.median().max(1.0);
    Ok(Line::new(
        format!("backup of that store ({} MB) under write load", number(megabytes(size))),
        "writes slow by ≤ 20 %",
        format!(
            "{} %: {with}/s of {without}/s; {seconds} s; verified",
            number((slower * 100.0).max(0.0))
        ),
        Mark::of(slower <= 0.2),
    ))
}
