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
    let events = Events { stream, stay, heartbeat, turn: Turn::Begin };
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
}

/// Whose turn it is.
enum Turn {
    Begin,
    GoOn,
    Over,
}

impl Events {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
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
        let Self { stream, stay, heartbeat, .. } = self;
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
                Some(written(&event))
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

fn written(event: &StreamEvent) -> Bytes {
    match event {
        StreamEvent::Notification { cursor, body } => {
            let mut out = Vec::with_capacity(body.len() + 64);
            out.extend_from_slice(b"id: ");
            out.extend_from_slice(cursor.as_bytes());
            out.extend_from_slice(b"\nevent: notification\ndata: ");
            let start = out.len();
            out.extend_from_slice(body);
            // Values stand in a notification as they were sent, line breaks and all. Those are
            // between the tokens of the JSON, where a space means the same.
            for byte in out.iter_mut().skip(start).filter(|byte| matches!(byte, b'\n' | b'\r')) {
                *byte = b' ';
            }
            out.extend_from_slice(b"\n\n");
            out.into()
        }
        StreamEvent::Gap { from, to } => {
            format!("id: {to}\nevent: gap\ndata: {}\n\n", gap(from, to)).into()
        }
        StreamEvent::End(reason) => format!("event: end\ndata: {}\n\n", end(*reason)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_one_line_whatever_its_values_are_written_like() {
        let body = Bytes::from_static(b"{\"a\":{\r\n \"value\": [1,\n2],\n\"t\":\"x\\ny\"}}");
        let event = StreamEvent::Notification { cursor: "c".to_owned(), body };
        let written = written(&event);
        let text = str::from_utf8(&written).unwrap();
        let lines: Vec<&str> = text.split('\n').collect();
        let ["id: c", "event: notification", data, "", ""] = lines[..] else { panic!("{text}") };
        assert!(!data.contains('\r'));
        let data: serde_json::Value = serde_json::from_str(&data[6..]).unwrap();
        assert_eq!(data, serde_json::json!({"a": {"value": [1, 2], "t": "x\ny"}}));
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
