//! How long a connection is waited for.
//!
//! A client that asks for large answers and never reads them would hold their bytes for as long as
//! it likes, and one that sends no request, or half of one, would hold its connection. Both are
//! found out by one timer per connection, so that a request costs none.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::server::request_line::RequestLine;

/// What a connection is doing.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Instant,
    /// Whether a request has arrived of which no answer was written yet.
    answering: AtomicBool,
    /// Whether the head of its answer is there.
    answered: AtomicBool,
    /// When it last was answered or written to, in milliseconds after it was opened.
    last: AtomicU64,
}

impl Activity {
    /// A connection that was opened just now.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            answering: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            last: AtomicU64::new(0),
        })
    }

    /// The head of a request is there.
    pub(crate) fn asked(&self) {
        self.answered.store(false, Ordering::Relaxed);
        self.answering.store(true, Ordering::Relaxed);
    }

    /// The head of the answer is there.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    fn wrote(&self) {
        self.last.store(self.age(), Ordering::Relaxed);
        // What is written before the answer, such as that a body may come, is none.
        if self.answered.load(Ordering::Relaxed) {
            self.answering.store(false, Ordering::Relaxed);
        }
    }

    fn age(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until the client has let that much time pass without a whole head of a request.
    pub(crate) async fn exhausted(&self, time: Duration) {
        loop {
            let quiet = if self.answering.load(Ordering::Relaxed) {
                Duration::ZERO
            } else {
                let last = self.last.load(Ordering::Relaxed);
                Duration::from_millis(self.age().saturating_sub(last))
            };
            let Some(left) = time.checked_sub(quiet).filter(|left| !left.is_zero()) else { return };
            sleep(left).await;
        }
    }
}

/// A stream of which writing fails once nothing could be written for some time.
#[derive(Debug)]
pub(crate) struct Patience<S> {
    stream: S,
    time: Duration,
    activity: Arc<Activity>,
    line: RequestLine,
    /// Runs while a write waits for the reader.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Patience<S> {
    /// `time` is how long a write may wait for the reader.
    pub(crate) fn new(stream: S, time: Duration, activity: Arc<Activity>) -> Self {
        Self { stream, time, activity, line: RequestLine::default(), waiting: None }
    }

    /// Passes on what became of a write, and fails it if it has waited for too long.
    fn limit<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let time = self.time;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.line.poll_read(Pin::new(&mut this.stream), context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_ready() {
            self.activity.wrote();
        }
        self.limit(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        if written.is_ready() {
            self.activity.wrote();
        }
        self.limit(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.limit(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.limit(context, shut)
    }
}
