//! The bytes of a connection.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::answer::Writer;
use super::wire::{self, Connect, Incoming, Violation};

/// How much is read at once, in bytes.
const CHUNK: usize = 8 * 1024;

/// How much of what a client still says is listened to after the last word to it.
const AFTERWARDS: usize = 64 * 1024;

/// The bytes of a connection.
pub(crate) struct Wire<S> {
    stream: S,
    input: BytesMut,
    /// What is to be sent with the next [`flush`](Self::flush).
    pub(crate) output: BytesMut,
}

/// How long a client may take to read an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, input: BytesMut::new(), output: BytesMut::new() }
    }

    /// The first packet. No violation means that the client went away before.
    pub(crate) async fn connect(&mut self, max: usize) -> Result<Connect, Option<Violation>> {
        loop {
            if let Some(frame) = self.frame(max).map_err(Some)? {
                let version = wire::version(&frame).map_err(|violation| {
                    if violation.code == DisconnectReasonCode::ImplementationSpecificError {
                        Writer::version_refused(&mut self.output);
                    }
                    Some(violation)
                })?;
                return match wire::read(frame, version).map_err(Some)? {
                    Incoming::Connect(connect) => Ok(*connect),
                    Incoming::Publish(_)
                    | Incoming::Subscribe { .. }
                    | Incoming::Unsubscribe { .. }
                    | Incoming::PingRequest
                    | Incoming::Disconnect => Err(None),
                };
            }
            // What does not begin like a CONNECT need not be waited for.
            if self.input.first().is_some_and(|&first| first != 0x10) {
                return Err(wire::version(&self.input).err());
            }
            if self.read().await.unwrap_or(0) == 0 {
                return Err(None);
            }
        }
    }

    /// The first frame of what was read, once all of it is there.
    pub(crate) fn frame(&mut self, max: usize) -> Result<Option<BytesMut>, Violation> {
        let length = wire::frame_length(&self.input, max)?;
        Ok(length.map(|length| self.input.split_to(length)))
    }

    /// Waits for more bytes; none means that the client has gone.
    pub(crate) async fn read(&mut self) -> io::Result<usize> {
        self.input.reserve(CHUNK);
        self.stream.read_buf(&mut self.input).await
    }

    /// Sends what is to be sent.
    ///
    /// # Errors
    ///
    /// When the client takes nothing any more.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = timeout(WRITE_TIMEOUT, self.stream.write_all(&self.output)).await;
        self.output.clear();
        written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Sends the last words, and listens on for a moment: closing with something unread would
    /// take them away again.
    pub(crate) async fn farewell(&mut self) {
        let last = async {
            if self.flush().await.is_err() || self.stream.shutdown().await.is_err() {
                return;
            }
            let mut left = AFTERWARDS;
            self.input.clear();
            while left > 0 {
                match self.read().await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => left = left.saturating_sub(count),
                }
                self.input.clear();
            }
        };
        let _late = timeout(Duration::from_secs(1), last).await;
    }
}
