//! A generator of HTTP requests that costs little: prepared bytes out, the head and the length of
//! the answer in, all connections on the thread that calls it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Failure;
use crate::sample::rate;

/// Stands in the text of a [`Template`] where the number goes.
pub(crate) const NUMBER: &str = "##########";
/// Stands where it says how many requests there were before, so that no two are alike.
pub(crate) const TURN: &str = "@@@@@@@@@@";
/// How many digits both have.
const DIGITS: usize = NUMBER.len();

/// Requests that differ in numbers only. These have ten digits, so all are of one length.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Where a number goes, and what is added to the request's for it.
    numbers: Vec<(usize, u32)>,
    turns: Vec<usize>,
    /// How many numbers one request takes.
    step: u32,
}

impl Template {
    /// A template from the text of a request, with [`NUMBER`] where the number goes, and [`TURN`]
    /// where it says how many there were before.
    pub(crate) fn new(text: String) -> Self {
        let places = |mark| text.match_indices(mark).map(|(place, _)| place).collect::<Vec<_>>();
        let numbers = places(NUMBER).into_iter().map(|place| (place, 0)).collect();
        Self { turns: places(TURN), numbers, bytes: text.into_bytes(), step: 1 }
    }

    /// A template of requests that take so many numbers each: the head goes before the items, whose
    /// text is `item`, each with the next number.
    pub(crate) fn many(head: &str, item: &str, count: u32) -> Self {
        let length = item.len() * usize::try_from(count).unwrap_or_default();
        let commas = usize::try_from(count.saturating_sub(1)).unwrap_or_default();
        let mut text = format!("{head}Content-Length: {}\r\n\r\n[", length + commas + 2);
        let mut numbers = Vec::new();
        for offset in 0..count {
            if offset > 0 {
                text.push(',');
            }
            let start = text.len();
            text.push_str(item);
            numbers.extend(item.match_indices(NUMBER).map(|(place, _)| (start + place, offset)));
        }
        text.push(']');
        Self { numbers, step: count, ..Self::new(text) }
    }

    /// The request with this number, after so many others.
    pub(crate) fn with(&mut self, number: u32, turn: u32) -> &[u8] {
        let first = number.saturating_mul(self.step);
        for (place, offset) in &self.numbers {
            write_at(&mut self.bytes, *place, first.saturating_add(*offset));
        }
        for place in &self.turns {
            write_at(&mut self.bytes, *place, turn);
        }
        &self.bytes
    }
}

/// Writes ten digits.
fn write_at(bytes: &mut [u8], place: usize, mut number: u32) {
    let hole = bytes.get_mut(place..place.saturating_add(DIGITS)).unwrap_or_default();
    for byte in hole.iter_mut().rev() {
        *byte = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

/// What to ask for, and how.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// The server.
    pub(crate) server: SocketAddr,
    /// The requests.
    pub(crate) template: Template,
    /// How many connections ask, each for one thing at a time.
    pub(crate) connections: u32,
    /// The status of a good answer.
    pub(crate) expected: u16,
    /// The numbers of the requests.
    pub(crate) numbers: Numbers,
    /// How long to go on, at most.
    pub(crate) time: Duration,
}

/// Which numbers the requests get.
#[derive(Clone, Debug)]
pub(crate) enum Numbers {
    /// From here on, each one once, over several runs, and none from the end on.
    Once(Arc<AtomicU32>, u32),
    /// From 0 to before the end, over and over.
    Around(Arc<AtomicU32>, u32),
}

impl Numbers {
    /// Each number before `end` once, and then no more.
    pub(crate) fn once(end: u32) -> Self {
        Self::Once(Arc::default(), end)
    }

    /// The numbers before `end`, over and over.
    pub(crate) fn around(end: u32) -> Self {
        Self::Around(Arc::default(), end.max(1))
    }

    /// How many were given out, each once.
    pub(crate) fn given(&self) -> u32 {
        let (Self::Once(next, end) | Self::Around(next, end)) = self;
        next.load(Ordering::Relaxed).min(*end)
    }

    /// The next number, and how many were given out before it.
    fn next(&self) -> Option<(u32, u32)> {
        let (Self::Once(next, end) | Self::Around(next, end)) = self;
        let turn = next.fetch_add(1, Ordering::Relaxed);
        match self {
            Self::Once(..) => Some((turn, turn)).filter(|_| turn < *end),
            Self::Around(..) => Some((turn % end, turn)),
        }
    }
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    /// Answers of the expected status.
    pub(crate) good: u32,
    /// Answers of another status.
    pub(crate) other: u32,
    /// From the first request to the last answer.
    pub(crate) time: Duration,
    latencies: Vec<u32>,
}

impl Run {
    /// Good answers per second.
    pub(crate) fn rate(&self) -> f64 {
        rate(self.good, self.time)
    }

    /// The time that so many of a thousand answers took at most, in milliseconds.
    pub(crate) fn latency(&self, of_thousand: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let place = self.latencies.len() * of_thousand / 1000;
        f64::from(self.latencies.get(place.min(last)).copied().unwrap_or(0)) / 1000.0
    }
}

impl Load {
    /// Asks until the time is over or the numbers have run out.
    ///
    /// # Errors
    ///
    /// If a connection breaks, or an answer is not one that this generator reads.
    pub(crate) async fn run(&self) -> Result<Run, Failure> {
        let mut connections = JoinSet::new();
        let mut open = Vec::new();
        for _ in 0..self.connections {
            open.push(Connection::open(self.server).await?);
        }
        let start = Instant::now();
        for connection in open {
            let load = self.clone();
            connections.spawn(async move { load.ask(connection, start).await });
        }
        let mut run = Run::default();
        while let Some(ended) = connections.join_next().await {
            let part = ended??;
            run.good += part.good;
            run.other += part.other;
            run.latencies.extend(part.latencies);
        }
        run.time = start.elapsed();
        run.latencies.sort_unstable();
        Ok(run)
    }

    async fn ask(mut self, mut connection: Connection, start: Instant) -> Result<Run, Failure> {
        let mut run = Run::default();
        let mut sent = Instant::now();
        while sent.duration_since(start) < self.time
            && let Some((number, turn)) = self.numbers.next()
        {
            let status = connection.ask(self.template.with(number, turn)).await?.status;
            if status == self.expected {
                run.good += 1;
            } else {
                run.other += 1;
            }
            let answered = Instant::now();
            let micros = answered.duration_since(sent).as_micros();
            run.latencies.push(u32::try_from(micros).unwrap_or(u32::MAX));
            sent = answered;
        }
        Ok(run)
    }
}

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    answer: BytesMut,
}

/// The head of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// The status.
    pub(crate) status: u16,
    /// How many bytes head and body have together.
    length: usize,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If nobody listens.
    pub(crate) async fn open(server: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: BytesMut::with_capacity(64 * 1024) })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    ///
    /// If the connection breaks, or the answer has no length.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Head, Failure> {
        self.answer.clear();
        self.stream.write_all(request).await?;
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if let Some(head) = Head::of(&self.answer)?
                && self.answer.len() >= head.length
            {
                return Ok(head);
            }
        }
    }

    /// The answer to the last request, head and body.
    pub(crate) fn answer(&self) -> &[u8] {
        &self.answer
    }
}

impl Head {
    /// The head at the start of these bytes, if it is there already.
    fn of(bytes: &[u8]) -> Result<Option<Self>, Failure> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = str::from_utf8(bytes.get(..end).unwrap_or_default())?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.ok_or("an answer without a status")?.parse()?;
        let length = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map(|(_, value)| value.trim().parse::<usize>())
            .transpose()?;
        let length = match (length, status) {
            (Some(length), _) => length,
            (None, 204) => 0,
            (None, _) => return Err("an answer without content-length".into()),
        };
        Ok(Some(Self { status, length: end + 4 + length }))
    }
}
