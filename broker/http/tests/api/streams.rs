//! Streams, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use musubi_broker::StreamOptions;
use musubi_http::{HttpOptions, Limits, ServeOptions, router, serve};
use musubi_model::Sequence;
use musubi_store::{ReferenceStore, Store};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::{Api, broker_streaming};

const SUBSCRIPTION: &str = "urn:ngsi-ld:Subscription:1";
const PATH: &str = "/musubi/v1/streams/urn:ngsi-ld:Subscription:1";

/// A server with its notifier, and a subscription to things.
struct Town {
    api: Api,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinSet<std::io::Result<()>>,
    _notifier: JoinSet<()>,
}

impl Town {
    async fn new() -> Self {
        Self::with(StreamOptions::default(), HttpOptions::default()).await
    }

    async fn with(streams: StreamOptions, options: HttpOptions) -> Self {
        let serving = ServeOptions {
            drain: Duration::from_mins(10),
            write_time: Duration::from_millis(200),
            ..ServeOptions::default()
        };
        let store: Arc<dyn Store> = Arc::new(ReferenceStore::new());
        let (broker, notifier) = broker_streaming(store.clone(), streams);
        let mut notifiers = JoinSet::new();
        notifiers.spawn(async move { notifier.run(std::future::pending()).await.unwrap() });
        let api = Api { router: router(broker, options), store };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut server = JoinSet::new();
        let router = api.router.clone();
        server.spawn(async move {
            serve(listener, router, serving, async { drop(stopped.await) }).await
        });
        let town = Self { api, address, stop, server, _notifier: notifiers };
        town.subscribe().await;
        town
    }

    async fn subscribe(&self) {
        let body = json!({
            "id": SUBSCRIPTION,
            "type": "Subscription",
            "entities": [{"type": "Thing"}],
            "notification": {"format": "keyValues", "endpoint": {"uri": "http://127.0.0.1:9/x"}},
        });
        assert_eq!(self.api.post("/ngsi-ld/v1/subscriptions", &body).await.status, 201);
    }

    /// Creates the thing of this number.
    async fn write(&self, number: u64) {
        let thing = json!({"id": format!("urn:a:{number}"), "type": "Thing", "n": number});
        self.api.create(&thing).await;
    }

    async fn listen(&self, query: &str, headers: &str) -> Events {
        let events = Events::ask(self.address, &format!("{PATH}{query}"), headers).await;
        assert!(events.head.starts_with("HTTP/1.1 200"), "{}", events.head);
        events
    }

    /// The answer to a request that is refused.
    async fn refused(&self, query: &str, headers: &str) -> (String, Value) {
        let mut events = Events::ask(self.address, &format!("{PATH}{query}"), headers).await;
        let length = events.head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        events.stream.read_exact(&mut body).await.unwrap();
        (events.head, serde_json::from_slice(&body).unwrap())
    }

    async fn socket(&self, query: &str) -> WebSocketStream<TcpStream> {
        self.try_socket(query, None).await.unwrap()
    }

    async fn try_socket(
        &self,
        query: &str,
        origin: Option<&'static str>,
    ) -> Result<WebSocketStream<TcpStream>, Error> {
        let url = format!("ws://{}{PATH}{query}", self.address);
        let mut request = url.into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        Ok(patiently(client_async(request, stream)).await?.0)
    }

    async fn stop(mut self) {
        self.stop.send(()).unwrap();
        patiently(self.server.join_next()).await.unwrap().unwrap().unwrap();
    }
}

/// Waits, but not for ever: a test that would hang fails.
async fn patiently<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_mins(1), future).await.expect("it happens")
}

/// A client of Server-Sent Events.
struct Events {
    stream: TcpStream,
    head: String,
    /// What has come and is not read.
    text: String,
    /// The last id.
    id: String,
}

impl Events {
    async fn ask(address: SocketAddr, target: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(patiently(stream.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        Self { stream, head, text: String::new(), id: String::new() }
    }

    /// The next piece of the body; none at its end.
    async fn piece(&mut self) -> Option<String> {
        let mut size = String::new();
        while !size.ends_with("\r\n") {
            size.push(char::from(patiently(self.stream.read_u8()).await.ok()?));
        }
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut piece = vec![0; size + 2];
        patiently(self.stream.read_exact(&mut piece)).await.unwrap();
        piece.truncate(size);
        (size > 0).then(|| String::from_utf8(piece).unwrap())
    }

    /// The next event, as a browser reads it; none at the end of the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let (mut event, mut data) = (String::new(), None);
                for line in block.lines() {
                    match line.split_once(": ").unwrap_or((line, "")) {
                        ("id", id) => id.clone_into(&mut self.id),
                        ("event", name) => name.clone_into(&mut event),
                        ("data", text) => data = Some(serde_json::from_str(text).unwrap()),
                        ("" | "retry", _) => {}
                        other => panic!("{other:?}"),
                    }
                }
                if let Some(data) = data {
                    return Some((event, data));
                }
            }
            let piece = self.piece().await?;
            self.text.push_str(&piece);
        }
    }

    /// The number of the thing in the next event.
    async fn thing(&mut self) -> u64 {
        let (event, data) = self.next().await.unwrap();
        assert_eq!((event.as_str(), &data["type"]), ("notification", &json!("Notification")));
        data["data"][0]["n"].as_u64().unwrap()
    }
}

/// The next text message.
async fn message(socket: &mut WebSocketStream<TcpStream>) -> Value {
    loop {
        let received = patiently(socket.next()).await.unwrap().unwrap();
        if let Message::Text(text) = &received {
            return serde_json::from_str(text).unwrap();
        }
        assert!(matches!(received, Message::Ping(_)), "{received:?}");
    }
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_where_it_was() {
    let town = Town::new().await;
    let mut events = town.listen("?token=secret", "").await;
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("transfer-encoding", "chunked"),
    ] {
        assert!(events.head.contains(&format!("{name}: {value}\r\n")), "{}", events.head);
    }
    town.write(1).await;
    assert_eq!(events.thing().await, 1);
    let first = events.id.clone();
    town.write(2).await;
    assert_eq!(events.thing().await, 2);
    drop(events);
    town.write(3).await;
    let mut events = town.listen(&format!("?after={first}"), "").await;
    assert_eq!([events.thing().await, events.thing().await], [2, 3]);
    // What a browser says when it comes back counts for more than what stands in the URL.
    let header = format!("last-event-id: {}\r\n", events.id);
    let mut again = town.listen(&format!("?after={first}"), &header).await;
    town.write(4).await;
    assert_eq!([events.thing().await, again.thing().await], [4, 4]);
    // The same place, and nobody sees that it is.
    assert_ne!(events.id, again.id);
}

#[tokio::test]
async fn a_web_socket_tells_the_same() {
    let town = Town::new().await;
    let mut socket = town.socket("").await;
    let begin = message(&mut socket).await;
    assert_eq!((&begin["event"], &begin["data"]), (&json!("cursor"), &Value::Null));
    town.write(1).await;
    town.write(2).await;
    for number in [1, 2] {
        let told = message(&mut socket).await;
        assert_eq!(
            (&told["event"], &told["data"]["data"][0]["n"]),
            (&json!("notification"), &json!(number))
        );
    }
    let after = begin["id"].as_str().unwrap();
    let mut events = town.listen(&format!("?after={after}"), "").await;
    let mut socket = town.socket(&format!("?after={after}")).await;
    assert_eq!(message(&mut socket).await["event"], "cursor");
    for _ in 0..2 {
        let (event, data) = events.next().await.unwrap();
        let told = message(&mut socket).await;
        assert_eq!((&told["event"], &told["data"]["id"]), (&json!(event), &data["id"]));
        // The place is the same, and is not shown twice in the same way.
        assert_ne!(told["id"], json!(events.id));
    }
    // What a client says is heard, and answered if it is a ping.
    socket.send(Message::Ping(b"x".to_vec().into())).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert!(matches!(patiently(socket.next()).await, Some(Ok(Message::Pong(_)))));
}

#[tokio::test]
async fn a_large_notification_arrives_whole() {
    let town = Town::new().await;
    let (mut socket, mut events) = (town.socket("").await, town.listen("", "").await);
    message(&mut socket).await;
    for length in [900, 1100, 16_000, 17_000, 500_000] {
        let text = "結".repeat(length / 3);
        let thing = json!({"id": format!("urn:a:{length}"), "type": "Thing", "t": text});
        town.api.create(&thing).await;
        let (_, event) = events.next().await.unwrap();
        let told = message(&mut socket).await;
        assert_eq!(told["data"], event);
        assert_eq!(event["data"][0]["t"], json!(text));
    }
}

#[tokio::test]
async fn a_client_that_closes_its_web_socket_is_told_goodbye() {
    let town = Town::new().await;
    let mut socket = town.socket("").await;
    message(&mut socket).await;
    socket.send(Message::Close(None)).await.unwrap();
    let answer = patiently(socket.next()).await;
    assert!(matches!(answer, Some(Ok(Message::Close(_)))), "{answer:?}");
    assert!(patiently(socket.next()).await.is_none());
}

#[tokio::test]
async fn what_cannot_be_streamed_is_refused() {
    let town = Town::new().await;
    let mut events = town.listen("", "").await;
    town.write(1).await;
    events.thing().await;
    let cursor = events.id.clone();
    let websocket = "upgrade: websocket\r\nconnection: upgrade\r\n";
    let garbage = "0123456789abcdef01234567";
    for (query, headers, status, text) in [
        ("?after=5", String::new(), 400, "cursor"),
        (&format!("?after={garbage}"), String::new(), 400, "cursor"),
        ("", format!("last-event-id: {garbage}\r\n"), 400, "cursor"),
        ("?tenant=a&after=5", "ngsild-tenant: b\r\n".to_owned(), 400, "two tenants"),
        ("?tenant=a%20b", String::new(), 400, "tenant"),
        ("?tenant=nobody", String::new(), 404, "nobody"),
        ("", "accept: application/json\r\n".to_owned(), 406, "text/event-stream"),
        ("", websocket.to_owned(), 400, "Sec-WebSocket-Version"),
        ("", format!("{websocket}sec-websocket-version: 13\r\n"), 400, "Sec-WebSocket-Key"),
        ("x", String::new(), 404, "1x"),
    ] {
        let (head, problem) = town.refused(query, &headers).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{query} {headers}: {head}");
        assert!(problem["detail"].as_str().unwrap().contains(text), "{query} {headers}: {problem}");
    }
    // Another tenant's subscription of the same id, and the cursor of this one.
    let headers = [("ngsild-tenant", "other"), ("content-type", "application/json")];
    let body = json!({"id": SUBSCRIPTION, "type": "Subscription", "entities": [{"type": "Thing"}],
        "notification": {"endpoint": {"uri": "http://127.0.0.1:9/x"}}});
    let request = crate::support::request(
        http::Method::POST,
        "/ngsi-ld/v1/subscriptions",
        &headers,
        body.to_string(),
    );
    assert_eq!(town.api.send(request).await.status, 201);
    let (head, _) = town.refused(&format!("?tenant=other&after={cursor}"), "").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    town.listen("?tenant=other", "").await;
}

#[tokio::test]
async fn a_page_of_another_origin_gets_no_web_socket() {
    let hosts = musubi_http::Hosts::LoopbackAnd(Vec::new());
    let origins = vec!["https://map.example.jp".to_owned()];
    let options = HttpOptions { hosts, origins, ..HttpOptions::default() };
    let town = Town::with(StreamOptions::default(), options).await;
    assert!(town.try_socket("", None).await.is_ok());
    assert!(town.try_socket("", Some("https://map.example.jp")).await.is_ok());
    match town.try_socket("", Some("https://evil.example")).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 403),
        other => panic!("{other:?}"),
    }
    // Of events the browser lets it see nothing.
    let events = town.listen("", "origin: https://evil.example\r\n").await;
    assert!(!events.head.contains("access-control-allow-origin: https://evil"), "{}", events.head);
    let events = town.listen("", "origin: https://map.example.jp\r\n").await;
    assert!(events.head.contains("access-control-allow-origin: https://map"), "{}", events.head);
}

#[tokio::test]
async fn streams_end_at_once_when_the_server_stops() {
    let town = Town::new().await;
    let mut events = town.listen("", "").await;
    let mut socket = town.socket("").await;
    message(&mut socket).await;
    town.write(1).await;
    events.thing().await;
    message(&mut socket).await;
    // The server waits ten minutes for what it is answering; these it does not wait for.
    town.stop().await;
    assert_eq!(events.next().await, None);
    match patiently(socket.next()).await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(frame.code, CloseCode::Restart),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_subscription() {
    let town = Town::new().await;
    let mut events = town.listen("", "").await;
    let mut socket = town.socket("").await;
    message(&mut socket).await;
    let path = format!("/ngsi-ld/v1/subscriptions/{SUBSCRIPTION}");
    assert_eq!(town.api.delete(&path).await.status, 204);
    let reason = json!({"reason": "deleted"});
    assert_eq!(events.next().await, Some(("end".to_owned(), reason.clone())));
    assert_eq!(events.next().await, None);
    let end = json!({"event": "end", "id": null, "data": reason});
    assert_eq!(message(&mut socket).await, end);
    assert!(matches!(patiently(socket.next()).await, Some(Ok(Message::Close(Some(_))))));
}

#[tokio::test]
async fn a_client_behind_the_log_is_told_so() {
    let town = Town::new().await;
    let mut events = town.listen("", "").await;
    town.write(1).await;
    events.thing().await;
    let first = events.id.clone();
    town.write(2).await;
    town.write(3).await;
    events.thing().await;
    let newest = *town.api.store.newest().borrow();
    town.api.store.truncate(Sequence(newest.0 - 1)).await.unwrap();
    let mut events = town.listen(&format!("?after={first}"), "").await;
    let (event, data) = events.next().await.unwrap();
    assert_eq!(event, "gap");
    assert_eq!(data["to"], json!(events.id), "{data}");
    assert!(data["detail"].is_string());
    for place in ["from", "to"] {
        let after = data[place].as_str().unwrap();
        let mut again = town.listen(&format!("?after={after}"), "").await;
        assert_eq!(again.next().await.unwrap().0 == "gap", place == "from");
    }
    assert_eq!(events.thing().await, 3);
}

#[tokio::test]
async fn who_has_nothing_to_tell_says_that_it_is_there() {
    let limits = Limits { heartbeat: Duration::from_millis(5), ..Limits::default() };
    let options = HttpOptions { limits, ..HttpOptions::default() };
    let town = Town::with(StreamOptions::default(), options).await;
    let mut events = town.listen("", "").await;
    assert!(events.piece().await.unwrap().starts_with("retry: "));
    let beat = events.piece().await.unwrap();
    assert!(beat.starts_with(": \nid: ") && beat.ends_with("\n\n"), "{beat}");
    // What is no concern of this subscription moves its cursor.
    let mut other = beat.clone();
    for number in 0_u64.. {
        let thing = json!({"id": format!("urn:b:{number}"), "type": "Other"});
        town.api.create(&thing).await;
        other = events.piece().await.unwrap();
        if other != beat {
            break;
        }
    }
    assert_ne!(other, beat);
    let mut socket = town.socket("").await;
    loop {
        let received = patiently(socket.next()).await.unwrap().unwrap();
        if matches!(received, Message::Ping(_)) {
            break;
        }
        assert!(received.to_text().unwrap().contains("\"cursor\""), "{received:?}");
    }
}

#[tokio::test]
async fn there_is_room_for_so_many_streams() {
    let streams = StreamOptions { of_a_tenant: 1, ..StreamOptions::default() };
    let town = Town::with(streams, HttpOptions::default()).await;
    let events = town.listen("", "").await;
    let (head, problem) = town.refused("", "").await;
    assert!(head.starts_with("HTTP/1.1 503") && head.contains("retry-after: "), "{head}");
    assert!(problem["detail"].as_str().unwrap().contains("tenant"), "{problem}");
    assert!(town.api.get("/metrics").await.body.contains("\nstreams 1\n"));
    drop(events);
    // The room is there again once the server has noticed.
    patiently(async {
        loop {
            let events = Events::ask(town.address, PATH, "").await;
            if events.head.starts_with("HTTP/1.1 200") {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_connection_and_nothing_else() {
    let town = Town::new().await;
    let mut lazy = town.listen("", "").await;
    let opening = lazy.piece().await.unwrap();
    let after = opening.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let mut busy = town.listen("", "").await;
    let text = "x".repeat(500_000);
    let count = 40;
    for number in 0..count {
        let thing =
            json!({"id": format!("urn:a:{number}"), "type": "Thing", "n": number, "t": text});
        town.api.create(&thing).await;
        assert_eq!(busy.thing().await, number);
    }
    // It is cut off in the middle of something.
    let mut rest = Vec::new();
    let _ = patiently(lazy.stream.read_to_end(&mut rest)).await;
    assert!(rest.len() < 30 * text.len(), "{}", rest.len());
    let mut again = town.listen(&format!("?after={after}"), "").await;
    for number in 0..count {
        assert_eq!(again.thing().await, number);
    }
}
