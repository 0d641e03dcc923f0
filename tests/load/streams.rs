//! Streams: how much memory a client takes that follows a subscription of its own by Server-Sent
//! Events, with one change per second, and whether each is told everything.
//!
//! The clients are plain sockets in this process. Times are from the request that wrote the change
//! to the event, so the commit is a part of them; the broker runs with `durability = "interval"`.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use musubi_tests::Musubi;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep, sleep_until};

use crate::generator::Connection;
use crate::report::{Line, Mark, say};
use crate::sample::number;
use crate::usage::{Processor, idle, megabytes, memory};
use crate::{Failure, Plan};

/// The clients, each with a subscription and an entity of its own.
const CLIENTS: u32 = 5000;
/// How many of the entities one request writes.
const BATCH: u32 = 250;
/// How many subscriptions are created at the same time.
const CREATORS: u32 = 16;
/// The bytes that a client may take.
const REACH: f64 = 20.0 * 1024.0;

/// Measures streams.
///
/// # Errors
///
/// If the broker does not start or answer as it should.
pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let folder = plan.empty_folder()?;
    let arguments = ["--durability", "interval", "--log-level", "warn"];
    let server = Musubi::serve(folder.path(), &arguments);
    subscribe(server.http).await?;
    // What the store keeps of so many writes is not the clients', so it is there before them.
    let (start, seconds) = (Instant::now(), plan.round.as_secs() * u64::from(plan.rounds));
    let mut writer = Connection::open(server.http).await?;
    // Neither are the rows that wait for the tables while there is writing.
    let mut writing = 0;
    for _ in 0..=seconds {
        write_all(&mut writer, start).await?;
        writing = writing.max(memory(server.id())?);
    }
    drop(writer);
    idle(server.id()).await?;
    let before = Before { resting: memory(server.id())?, writing };

    let seen = Rc::new(Seen { start, latencies: Mutex::default() });
    let local = LocalSet::new();
    local.run_until(follow_and_write(plan, &server, before, &seen)).await
}

/// The broker's memory before there were clients, in bytes.
#[derive(Clone, Copy, Debug)]
struct Before {
    /// When nothing was written.
    resting: u64,
    /// The most while as much was written as later with clients.
    writing: u64,
}

/// What has come.
#[derive(Debug)]
struct Seen {
    start: Instant,
    /// Microseconds, one for each event.
    latencies: Mutex<Vec<u32>>,
}

async fn follow_and_write(
    plan: &Plan,
    server: &Musubi,
    before: Before,
    seen: &Rc<Seen>,
) -> Result<Vec<Line>, Failure> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let stream = follow(server.http, &id("Subscription", client)).await?;
        clients.spawn_local(listen(stream, Rc::clone(seen)));
    }
    idle(server.id()).await?;
    let each = |held: u64, before: u64| {
        let kilobytes = u32::try_from(held.saturating_sub(before) / 1024).unwrap_or(u32::MAX);
        f64::from(kilobytes) * 1024.0 / f64::from(CLIENTS)
    };
    let connected = each(memory(server.id())?, before.resting);

    let seconds = u32::try_from((plan.round * plan.rounds).as_secs())?.max(1);
    let processor = Processor::now(server.id())?;
    let mut writer = Connection::open(server.http).await?;
    let mut most = connected;
    for _ in 0..seconds {
        write_all(&mut writer, seen.start).await?;
        most = most.max(each(memory(server.id())?, before.writing));
    }
    let used = processor.since()?;
    let expected = usize::try_from(CLIENTS * seconds)?;
    for _ in 0..100 {
        if seen.latencies.lock().len() >= expected {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let gone = clients.try_join_next().is_some();
    let mut latencies = std::mem::take(&mut *seen.latencies.lock());
    latencies.sort_unstable();
    let at = |of_thousand: usize| {
        let place = (latencies.len() * of_thousand / 1000).min(latencies.len().saturating_sub(1));
        f64::from(latencies.get(place).copied().unwrap_or_default()) / 1000.0
    };
    say(&format!(
        "{} MB before, at most {} while writing, {} bytes for each client once connected, at most \
         {} under load; {} of {} events, p50 {} ms, p99 {} ms, longest {} ms; {} % of a core",
        number(megabytes(before.resting)),
        number(megabytes(before.writing)),
        number(connected),
        number(most),
        latencies.len(),
        expected,
        number(at(500)),
        number(at(990)),
        number(at(1000)),
        number(used.as_secs_f64() * 100.0 / f64::from(seconds)),
    ));
    let complete = latencies.len() == expected && !gone;
    Ok(vec![Line::new(
        format!(
            "{} SSE clients, a subscription each, 1 change/s each, `interval`",
            number(CLIENTS.into())
        ),
        format!("memory ≤ {} KB per client, every event once", number(REACH / 1024.0)),
        format!(
            "{} KB connected, {} KB under load; {} of {} events, p99 {} ms from the request",
            number(connected / 1024.0),
            number(most / 1024.0),
            number(f64::from(u32::try_from(latencies.len())?)),
            number(f64::from(u32::try_from(expected)?)),
            number(at(990)),
        ),
        Mark::of(most <= REACH && complete),
    )])
}

fn id(kind: &str, number: u32) -> String {
    format!("urn:ngsi-ld:{kind}:{number:04}")
}

/// Creates the subscriptions.
async fn subscribe(server: SocketAddr) -> Result<(), Failure> {
    let mut creators = JoinSet::new();
    for creator in 0..CREATORS {
        creators.spawn(async move {
            let mut connection = Connection::open(server).await?;
            for client in (creator..CLIENTS).step_by(usize::try_from(CREATORS)?) {
                let body = format!(
                    "{{\"id\":\"{}\",\"type\":\"Subscription\",\
                     \"entities\":[{{\"id\":\"{}\",\"type\":\"Station\"}}],\
                     \"notification\":{{\"format\":\"keyValues\",\
                     \"endpoint\":{{\"uri\":\"musubi:stream\"}}}}}}",
                    id("Subscription", client),
                    id("Station", client),
                );
                post(&mut connection, "/ngsi-ld/v1/subscriptions", &body).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(ended) = creators.join_next().await {
        ended??;
    }
    Ok(())
}

/// Writes every entity once, over a second.
async fn write_all(connection: &mut Connection, start: Instant) -> Result<(), Failure> {
    let batches = CLIENTS / BATCH;
    let mut next = Instant::now();
    for batch in 0..batches {
        write(connection, batch * BATCH..(batch + 1) * BATCH, start).await?;
        next += Duration::from_secs(1) / batches;
        sleep_until(next).await;
    }
    Ok(())
}

/// Writes these entities, each with the time of the request in it.
async fn write(
    connection: &mut Connection,
    entities: std::ops::Range<u32>,
    start: Instant,
) -> Result<(), Failure> {
    let at = start.elapsed().as_micros();
    let entity = |number| {
        let id = id("Station", number);
        format!("{{\"id\":\"{id}\",\"type\":\"Station\",\"bikes\":{},\"sent\":{at}}}", number % 20)
    };
    let body = format!("[{}]", entities.map(entity).collect::<Vec<_>>().join(","));
    post(connection, "/ngsi-ld/v1/entityOperations/upsert", &body).await
}

async fn post(connection: &mut Connection, path: &str, body: &str) -> Result<(), Failure> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let status = connection.ask(request.as_bytes()).await?.status;
    if matches!(status, 201 | 204) { Ok(()) } else { Err(format!("{path}: {status}").into()) }
}

/// Follows a subscription, from now on.
///
/// # Errors
///
/// If it is refused.
pub(crate) async fn follow(server: SocketAddr, subscription: &str) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(server).await?;
    let path = format!("/musubi/v1/streams/{subscription}");
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    // The head, and the beginning of the stream.
    let mut begun = Vec::with_capacity(1024);
    while !begun.windows(8).any(|bytes| bytes == b"\nretry: ") || !begun.ends_with(b"\r\n") {
        if stream.read_buf(&mut begun).await? == 0 {
            return Err(String::from_utf8_lossy(&begun).into());
        }
    }
    if begun.starts_with(b"HTTP/1.1 200") {
        Ok(stream)
    } else {
        Err(String::from_utf8_lossy(&begun).into())
    }
}

/// Notes every event until the connection ends.
async fn listen(mut stream: TcpStream, seen: Rc<Seen>) {
    let mut bytes: Vec<u8> = Vec::with_capacity(1024);
    while let Ok(read) = stream.read_buf(&mut bytes).await {
        if read == 0 {
            return;
        }
        let arrived = seen.start.elapsed().as_micros();
        while let Some(end) = bytes.windows(2).position(|two| two == b"\n\n") {
            if let Some(sent) = sent(bytes.get(..end).unwrap_or_default()) {
                let micros = arrived.saturating_sub(sent);
                seen.latencies.lock().push(u32::try_from(micros).unwrap_or(u32::MAX));
            }
            bytes.drain(..end + 2);
        }
    }
}

/// When the change in an event was written, if it is one of a change.
fn sent(event: &[u8]) -> Option<u128> {
    let text = str::from_utf8(event).ok()?;
    let (_, data) = text.split_once("\ndata: ")?;
    let (_, rest) = data.split_once("\"sent\":")?;
    let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}
