//! Receivers of notifications that cost little: many ports on one thread, an answer without a
//! body, and the time that each change took to get here.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::Failure;

/// What stands before the time in the entity of a notification.
const BEFORE: &[u8] = b"\"sent\":{\"type\":\"Property\",\"value\":";
/// What a receiver answers.
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
/// How long the slow one takes to answer.
const SLOW: Duration = Duration::from_secs(30);

/// Microseconds on the clock that all processes of the machine share.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000 + u64::try_from(time.tv_nsec / 1000).unwrap_or_default()
}

/// What one port has received.
#[derive(Debug, Default)]
struct Book {
    /// When each change was sent, and how long it took, in microseconds.
    changes: Vec<(u64, u32)>,
    notifications: u32,
}

type Books = Arc<Mutex<Vec<Book>>>;

/// Receives on so many free ports until the process is ended. Says first where it tells what has
/// come; there `/ports` gives the ports, one in a line, and `/changes` what has come, three
/// numbers in a line: the receiver's, when the change was sent, and how long it took. The
/// receivers that are `slow` answer after 30 s.
///
/// # Errors
///
/// If there are not so many ports.
pub(crate) fn run(count: usize, slow: usize) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let books: Books = Arc::default();
        let mut ports = String::new();
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            writeln!(ports, "{}", listener.local_addr()?.port())?;
            books.lock().unwrap_or_else(PoisonError::into_inner).push(Book::default());
            let pause = (number < slow).then_some(SLOW);
            tasks.spawn(listen(listener, Arc::clone(&books), number, pause));
        }
        let desk = TcpListener::bind("127.0.0.1:0").await?;
        let mut out = std::io::stdout();
        writeln!(out, "listening http://{}", desk.local_addr()?)?;
        out.flush()?;
        loop {
            let (stream, _) = desk.accept().await?;
            // Whoever asks and goes away misses the answer.
            let _ = tell(stream, &ports, &books).await;
        }
    })
}

async fn tell(mut stream: TcpStream, ports: &str, books: &Books) -> Result<(), Failure> {
    let mut request = BytesMut::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let body = if request.starts_with(b"GET /ports ") {
        ports.to_owned()
    } else {
        let books = books.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = String::new();
        for (number, book) in books.iter().enumerate() {
            for (sent, took) in &book.changes {
                writeln!(lines, "{number} {sent} {took}")?;
            }
        }
        lines
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    Ok(())
}

async fn listen(listener: TcpListener, books: Books, number: usize, pause: Option<Duration>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let books = Arc::clone(&books);
                connections.spawn(async move {
                    // The broker may close a connection whenever it wants.
                    let _ = receive(stream, &books, number, pause).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn receive(
    mut stream: TcpStream,
    books: &Books,
    number: usize,
    pause: Option<Duration>,
) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let mut bytes = BytesMut::with_capacity(16 * 1024);
    loop {
        let Some(length) = request_length(&bytes)?.filter(|length| bytes.len() >= *length) else {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let arrived = now();
        {
            let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
            let book = books.get_mut(number).ok_or("a receiver without a book")?;
            book.notifications += 1;
            for sent in times(bytes.get(..length).unwrap_or_default()) {
                let took = u32::try_from(arrived.saturating_sub(sent)).unwrap_or(u32::MAX);
                book.changes.push((sent, took));
            }
        }
        bytes.advance(length);
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        stream.write_all(ANSWER).await?;
    }
}

/// How many bytes the first request has, head and body, if its head is there.
fn request_length(bytes: &[u8]) -> Result<Option<usize>, Failure> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = str::from_utf8(bytes.get(..end).unwrap_or_default())?;
    let length = head
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .ok_or("a request without content-length")?;
    Ok(Some(end + 4 + length.1.trim().parse::<usize>()?))
}

/// The times that the changes in a notification were sent at.
pub(crate) fn times(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let at = rest.windows(BEFORE.len()).position(|window| window == BEFORE)?;
        rest = rest.get(at + BEFORE.len()..)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        Some(digits.fold(0_u64, |number, byte| {
            number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'))
        }))
    })
}

/// The receivers as another process sees them.
#[derive(Debug)]
pub(crate) struct Receivers {
    pub(crate) desk: SocketAddr,
}

impl Receivers {
    /// The ports, in the order of the receivers' numbers.
    ///
    /// # Errors
    ///
    /// If the process has ended.
    pub(crate) async fn ports(&self) -> Result<Vec<u16>, Failure> {
        let text = self.ask("/ports").await?;
        text.lines().map(|line| Ok(line.parse()?)).collect()
    }

    /// All changes that have come: the receiver's number, when each was sent, and how many
    /// microseconds it took.
    ///
    /// # Errors
    ///
    /// If the process has ended.
    pub(crate) async fn changes(&self) -> Result<Vec<(usize, u64, u32)>, Failure> {
        let text = self.ask("/changes").await?;
        let read = |line: &str| -> Result<_, Failure> {
            let mut numbers = line.split(' ');
            let mut next = || numbers.next().ok_or("a short line");
            Ok((next()?.parse()?, next()?.parse()?, next()?.parse()?))
        };
        text.lines().map(read).collect()
    }

    async fn ask(&self, path: &str) -> Result<String, Failure> {
        let mut stream = TcpStream::connect(self.desk).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no head")?;
        Ok(String::from_utf8(answer.split_off(end + 4))?)
    }
}
