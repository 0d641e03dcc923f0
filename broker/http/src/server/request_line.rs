//! The first line that comes in over a connection.
//!
//! What people type behind `curl`, and what scripts made of it, has `<`, `>` and `"` in a query as
//! they are: `q=speed>50`. A URI has them percent-encoded (RFC 3986, section 2), and other brokers
//! do not mind; what parses requests here would refuse them before anybody could say why. So they
//! are encoded on their way in. That is done for the first request of a connection, which is the
//! only one of such clients: where a later one begins, the parser alone knows.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// What is known of the first line of a connection.
#[derive(Debug, Default)]
pub(crate) struct RequestLine {
    has_ended: bool,
}

impl RequestLine {
    /// Reads from `stream`, in the first line with every character encoded that has to be.
    pub(crate) fn poll_read(
        &mut self,
        stream: Pin<&mut impl AsyncRead>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // One byte may become three.
        let room = buffer.remaining() / 3;
        if self.has_ended || room == 0 {
            return stream.poll_read(context, buffer);
        }
        let mut bytes = [0; 2048];
        let room = room.min(bytes.len());
        let mut part = ReadBuf::new(bytes.get_mut(..room).unwrap_or_default());
        ready!(stream.poll_read(context, &mut part))?;
        for byte in part.filled() {
            self.has_ended |= *byte == b'\n';
            match byte {
                b'"' if !self.has_ended => buffer.put_slice(b"%22"),
                b'<' if !self.has_ended => buffer.put_slice(b"%3C"),
                b'>' if !self.has_ended => buffer.put_slice(b"%3E"),
                other => buffer.put_slice(&[*other]),
            }
        }
        Poll::Ready(Ok(()))
    }
}
