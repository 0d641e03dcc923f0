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

/// Requests that differ in a number only. It has ten digits, so all are of one length.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Template {
    /// A template from the text of a request, with [`NUMBER`] where the number goes.
    pub(crate) fn new(text: String) -> Self {
        let places = text.match_indices(NUMBER).map(|(place, _)| place).collect();
        Self { bytes: text.into_bytes(), places }
    }

    /// The request with this number.
    pub(crate) fn with(&mut self, number: u32) -> &[u8] {
        let digits = format!("{number:010}");
        for place in &self.places {
            let end = place.saturating_add(NUMBER.len());
            if let Some(hole) = self.bytes.get_mut(*place..end) {
                hole.copy_from_slice(digits.as_bytes());
            }
        }
        &self.bytes
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

    fn next(&self) -> Option<u32> {
        match self {
            Self::Once(next, end) => {
                Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| number < end)
            }
            Self::Around(next, end) => Some(next.fetch_add(1, Ordering::Relaxed) % end),
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
            && let Some(number) = self.numbers.next()
        {
            let status = connection.ask(self.template.with(number)).await?.status;
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
