//! Server-Sent Events, as a browser's `EventSource` reads them (WHATWG HTML, section 9.2).

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderValue, header};
use musubi_broker::{Stream, StreamEvent};
use uuid::Uuid;

use crate::error::Error;
use crate::server::stay::Stay;
use crate::streams::{end, gap};

const MEDIA: &str = "text/event-stream";

/// A client waits for at least so many milliseconds before it comes back, and for up to so many
/// more: after a restart not all are to come at once.
const RETRY: u64 = 1000;
const RETRY_SPREAD: u64 = 2000;

/// A notification of up to so many bytes is sent as one piece with what surrounds it.
const MOST_COPIED: usize = 1024;
/// What ends an event.
const END: &[u8] = b"\n\n";

/// Passes if the client takes events.
pub(super) fn check_accept(headers: &HeaderMap) -> Result<(), Error> {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
        .peekable();
    let takes = |range: String| ["*/*", "text/*", MEDIA].contains(&range.as_str());
    if ranges.peek().is_none() || ranges.any(takes) {
        Ok(())
    } else {
        Err(Error::NotAcceptable(MEDIA.to_owned()))
    }
}

/// The answer whose body goes on.
pub(super) fn answer(stream: Stream, stay: Option<Stay>, heartbeat: Duration) -> Response {
    let events = Events { stream, stay, heartbeat, turn: Turn::Begin, rest: Vec::new() };
    let body = Body::from_stream(unfold(events, Events::next));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Asks a proxy not to hold back what is little.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// What is sent.
struct Events {
    stream: Stream,
    stay: Option<Stay>,
    heartbeat: Duration,
    turn: Turn,
    /// The pieces of an event that are still to be sent, the last one first.
    rest: Vec<Bytes>,
}

/// Whose turn it is.
enum Turn {
    Begin,
    GoOn,
    Over,
}

impl Events {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if let Some(piece) = self.rest.pop() {
            return Some((Ok(piece), self));
        }
        let piece = match self.turn {
            Turn::Over => return None,
            Turn::Begin => {
                self.turn = Turn::GoOn;
                opening(&self.stream.cursor())
            }
            Turn::GoOn => self.wait().await?,
        };
        Some((Ok(piece), self))
    }

    /// What comes next; none if the server stops.
    async fn wait(&mut self) -> Option<Bytes> {
        let Self { stream, stay, heartbeat, rest, .. } = self;
        let stopped = async {
            match stay {
                Some(stay) => stay.stopped().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stopped => None,
            event = stream.next() => {
                if matches!(event, StreamEvent::End(_)) {
                    self.turn = Turn::Over;
                }
                let [first, shared, last] = written(&event);
                *rest = [last, shared].into_iter().filter(|piece| !piece.is_empty()).collect();
                Some(first)
            }
            () = tokio::time::sleep(*heartbeat) => Some(beat(&stream.cursor())),
        }
    }
}

/// How long to wait before coming back, and from where on if nothing happens before.
fn opening(cursor: &str) -> Bytes {
    let [_, random] = Uuid::new_v4().as_u64_pair().into();
    let retry = RETRY + random % RETRY_SPREAD;
    format!("retry: {retry}\nid: {cursor}\n\n").into()
}

/// Keeps the connection open, and moves the client's cursor; its page learns of neither.
fn beat(cursor: &str) -> Bytes {
    format!(": \nid: {cursor}\n\n").into()
}

/// The pieces of an event. A large notification is one of them as it is, because all clients share
/// it, and those that do not read hold what they are sent.
fn written(event: &StreamEvent) -> [Bytes; 3] {
    let whole = |text: String| [text.into(), Bytes::new(), Bytes::new()];
    match event {
        StreamEvent::Notification { cursor, body } => {
            let mut head = Vec::with_capacity(128);
            head.extend_from_slice(b"id: ");
            head.extend_from_slice(cursor.as_bytes());
            head.extend_from_slice(b"\nevent: notification\ndata: ");
            if body.len() > MOST_COPIED {
                return [head.into(), body.clone(), Bytes::from_static(END)];
            }
            head.extend_from_slice(body);
            head.extend_from_slice(END);
            [head.into(), Bytes::new(), Bytes::new()]
        }
        StreamEvent::Gap { from, to } => {
            whole(format!("id: {to}\nevent: gap\ndata: {}\n\n", gap(from, to)))
        }
        StreamEvent::End(reason) => whole(format!("event: end\ndata: {}\n\n", end(*reason))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_notification_is_not_copied_for_a_client() {
        let event = |body: &Bytes| {
            written(&StreamEvent::Notification { cursor: "c".to_owned(), body: body.clone() })
        };
        let small = event(&Bytes::from_static(b"{}"));
        assert_eq!(small.concat(), b"id: c\nevent: notification\ndata: {}\n\n");
        assert!(small[1..].iter().all(Bytes::is_empty), "one piece");
        let body = Bytes::from(vec![b'1'; MOST_COPIED + 1]);
        let [head, shared, end] = event(&body);
        assert_eq!(head, "id: c\nevent: notification\ndata: ");
        assert_eq!((shared.as_ptr(), shared.len()), (body.as_ptr(), body.len()));
        assert_eq!(end, "\n\n");
    }

    #[test]
    fn events_are_for_those_who_take_them() {
        for (accept, takes) in [
            (None, true),
            (Some("*/*"), true),
            (Some("text/event-stream"), true),
            (Some("application/json;q=0.5, Text/Event-Stream; q=1"), true),
            (Some("text/*"), true),
            (Some("application/json"), false),
            (Some("text/html"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(check_accept(&headers).is_ok(), takes, "{accept:?}");
        }
    }
}
