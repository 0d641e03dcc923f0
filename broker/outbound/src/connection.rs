//! One connection that speaks HTTP/1.1.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use crate::Stream;

/// A request as it goes over the wire.
pub(crate) type Message = http::Request<Full<Bytes>>;

/// A connection. Nobody drives it but the request that uses it, so an exchange takes no other
/// task, and nothing happens on it while it is idle.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
}

#[derive(Debug)]
struct Driver {
    inner: http1::Connection<TokioIo<Stream>, Full<Bytes>>,
    is_over: bool,
}

impl Connection {
    pub(crate) async fn over(stream: Stream) -> Result<Self, hyper::Error> {
        // Some receivers look for `Link` and do not find `link`.
        let mut builder = http1::Builder::new();
        let handshake = builder.title_case_headers(true).handshake(TokioIo::new(stream));
        let (sender, inner) = handshake.await?;
        Ok(Self { sender, driver: Driver { inner, is_over: false } })
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(
        &mut self,
        message: Message,
    ) -> Result<http::Response<Incoming>, TrySendError<Message>> {
        self.driver.drive(self.sender.try_send_request(message)).await
    }

    /// The next part of an answer's body; none at its end.
    pub(crate) async fn part(
        &mut self,
        body: &mut Incoming,
    ) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            match self.driver.drive(body.frame()).await? {
                Err(error) => return Some(Err(error)),
                Ok(frame) => {
                    // Trailers are of no interest.
                    if let Ok(part) = frame.into_data() {
                        return Some(Ok(part));
                    }
                }
            }
        }
    }

    /// Whether another request may be sent over it, as far as that can be known without waiting.
    pub(crate) fn is_usable(&mut self) -> bool {
        matches!(self.driver.drive(self.sender.ready()).now_or_never(), Some(Ok(())))
    }
}

impl Driver {
    /// Lets the connection work for as long as `exchange` takes.
    async fn drive<T>(&mut self, exchange: impl Future<Output = T>) -> T {
        let mut exchange = pin!(exchange);
        poll_fn(|cx| {
            // First, so that what it wants to send is there when the connection looks for it.
            if let Poll::Ready(result) = exchange.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            if !self.is_over && Pin::new(&mut self.inner).poll(cx).is_ready() {
                // Whatever ended it, the exchange hears of it.
                self.is_over = true;
            }
            exchange.as_mut().poll(cx)
        })
        .await
    }
}
