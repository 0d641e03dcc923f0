//! Streams over a WebSocket (RFC 6455): the events as JSON in text messages.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::stream::iter;
use futures_util::{FutureExt, SinkExt, StreamExt};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use musubi_broker::{Stream, StreamEvent};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::error::Error;
use crate::server::stay::Stay;
use crate::streams::{end, gap};

/// The longest message that a client may send. It has nothing to say.
const MAX_MESSAGE: usize = 4096;

/// A notification of more bytes goes in frames of so many. What is on its way to a client is a
/// copy, and there may be thousands of clients that do not read.
const FRAME: usize = 16 * 1024;

/// The request to make a WebSocket of the connection.
#[derive(Debug)]
pub(super) struct Upgrade {
    accept: HeaderValue,
    connection: OnUpgrade,
}

impl Upgrade {
    /// What a request asks for; none if it asks for no WebSocket.
    pub(super) fn of(parts: &mut Parts) -> Result<Option<Self>, Error> {
        let headers = &parts.headers;
        if !has_word(headers, header::UPGRADE, "websocket") {
            return Ok(None);
        }
        let invalid = |reason: &str| Error::InvalidRequest(reason.to_owned());
        if !has_word(headers, header::CONNECTION, "upgrade") {
            return Err(invalid("a WebSocket needs the header Connection: Upgrade"));
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(invalid("a WebSocket needs the header Sec-WebSocket-Version: 13"));
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
        let key = key.ok_or_else(|| invalid("a WebSocket needs the header Sec-WebSocket-Key"))?;
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
            .map_err(|_| invalid("the header Sec-WebSocket-Key is not Base64"))?;
        let connection = parts.extensions.remove::<OnUpgrade>();
        let connection = connection.ok_or_else(|| invalid("this connection cannot be upgraded"))?;
        Ok(Some(Self { accept, connection }))
    }

    /// The answer after which the connection is a WebSocket.
    pub(super) fn answer(self, stream: Stream, stay: &Stay, heartbeat: Duration) -> Response {
        let Self { accept, connection } = self;
        let ending = stay.clone();
        stay.afterwards(
            async move {
                match connection.await {
                    Ok(connection) => {
                        let config = WebSocketConfig::default()
                            .read_buffer_size(1024)
                            .write_buffer_size(0)
                            .max_message_size(Some(MAX_MESSAGE))
                            .max_frame_size(Some(MAX_MESSAGE));
                        let connection = TokioIo::new(connection);
                        let role = Role::Server;
                        let socket =
                            WebSocketStream::from_raw_socket(connection, role, Some(config)).await;
                        talk(socket, stream, ending, heartbeat).await;
                    }
                    Err(error) => tracing::debug!("a WebSocket did not come to be: {error}"),
                }
            }
            .boxed(),
        );
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        response
    }
}

/// Whether a header that is a list has this word in it.
fn has_word(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|text| text.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
}

/// Sends what is due until one of both sides, or the server, has had enough.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocketStream<S>,
    mut stream: Stream,
    mut stay: Stay,
    heartbeat: Duration,
) {
    let mut is_answered = true;
    let mut messages = vec![place(&stream.cursor())];
    loop {
        for message in messages.drain(..) {
            if let Err(error) = socket.send(message).await {
                tracing::debug!("a WebSocket ended: {error}");
                return;
            }
        }
        tokio::select! {
            biased;
            () = stay.stopped() => {
                return close(&mut socket, CloseCode::Restart, "the server stops").await;
            }
            event = stream.next() => {
                messages = written(&event);
                if let StreamEvent::End(reason) = event {
                    // Whether it arrives or not, this is the end.
                    let _ = socket.send_all(&mut iter(messages.drain(..).map(Ok))).await;
                    return close(&mut socket, CloseCode::Normal, reason.as_str()).await;
                }
            }
            received = socket.next() => match received {
                None | Some(Err(_)) => return,
                Some(Ok(Message::Close(_))) => {
                    // The answer to it is written but not sent. An end is what comes of that.
                    let _ = socket.flush().await;
                    return;
                }
                // Whatever it says, it is there.
                Some(Ok(_)) => is_answered = true,
            },
            () = tokio::time::sleep(heartbeat) => {
                if !is_answered {
                    return close(&mut socket, CloseCode::Away, "a ping was not answered").await;
                }
                is_answered = false;
                messages.push(place(&stream.cursor()));
                messages.push(Message::Ping(Bytes::new()));
            }
        }
    }
}

async fn close<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    code: CloseCode,
    reason: &'static str,
) {
    // A client that is gone needs no goodbye.
    let _ = socket.close(Some(CloseFrame { code, reason: reason.into() })).await;
}

/// Where the client goes on if it comes back now.
fn place(cursor: &str) -> Message {
    message("cursor", Some(cursor), "null")
}

/// An event as a message, or as the frames of one.
fn written(event: &StreamEvent) -> Vec<Message> {
    match event {
        StreamEvent::Notification { cursor, body } if body.len() > FRAME => in_frames(cursor, body),
        StreamEvent::Notification { cursor, body } => {
            vec![message("notification", Some(cursor), str::from_utf8(body).unwrap_or("null"))]
        }
        StreamEvent::Gap { from, to } => vec![message("gap", Some(to), &gap(from, to).to_string())],
        StreamEvent::End(reason) => vec![message("end", None, &end(*reason).to_string())],
    }
}

/// The frames of a large notification, which hold parts of the one body that all clients share.
fn in_frames(cursor: &str, body: &Bytes) -> Vec<Message> {
    let frame = |data: Bytes, kind: Data, is_final: bool| {
        Message::Frame(Frame::message(data, OpCode::Data(kind), is_final))
    };
    let mut frames = Vec::with_capacity(body.len() / FRAME + 3);
    frames.push(frame(head("notification", Some(cursor)).into(), Data::Text, false));
    let mut rest = body.clone();
    while !rest.is_empty() {
        let part = rest.split_to(rest.len().min(FRAME));
        frames.push(frame(part, Data::Continue, false));
    }
    frames.push(frame(Bytes::from_static(TAIL.as_bytes()), Data::Continue, true));
    frames
}

/// A message: what happened, where that leaves the client, and more about it, as JSON.
fn message(event: &str, cursor: Option<&str>, data: &str) -> Message {
    Message::text(head(event, cursor) + data + TAIL)
}

/// What comes before the data in a message.
fn head(event: &str, cursor: Option<&str>) -> String {
    let id = cursor.map_or("null".to_owned(), |cursor| format!("\"{cursor}\""));
    format!("{{\"event\":\"{event}\",\"id\":{id},\"data\":")
}

/// What comes after the data in a message.
const TAIL: &str = "}";
