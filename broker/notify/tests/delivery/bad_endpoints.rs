//! Endpoints that misbehave, and what becomes of the notifications: the rows of the table in
//! docs/subscriptions.md.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use musubi_context::Context;
use musubi_model::{Limits, Node};
use musubi_notify::{NotifierOptions, Subscription, SubscriptionId};
use musubi_outbound::{Client, ClientOptions, Guard, Names, Private};
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::receiver::Receiver;
use crate::town::{Town, ledger, quick, to};

/// A server of one behaviour.
struct Endpoint {
    port: u16,
    /// How many requests came.
    requests: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Endpoint {
    /// Reads the head of a request and does this.
    async fn start<F, S>(behaviour: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        Self::after(b"\r\n\r\n", behaviour).await
    }

    /// Reads up to this and does that.
    async fn after<F, S>(end: &'static [u8], behaviour: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&requests);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut seen = Vec::new();
                while !seen.ends_with(end) {
                    let Ok(byte) = stream.read_u8().await else { break };
                    seen.push(byte);
                }
                counted.fetch_add(1, Ordering::Relaxed);
                clients.spawn(behaviour(stream));
            }
        });
        Self { port, requests, _tasks: tasks }
    }

    /// Answers this and then nothing more.
    async fn saying(answer: &'static str) -> Self {
        Self::start(move |mut stream| async move {
            drop(stream.write_all(answer.as_bytes()).await);
            pending::<()>().await;
        })
        .await
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// An endpoint has a fifth of a second.
const HASTY: Duration = Duration::from_millis(200);
/// An endpoint has more time than it needs.
const PATIENT: Duration = Duration::from_mins(1);

/// What is said when that is over.
const LATE: &str = "did not answer within 200 ms";

/// Two attempts, and so much time for each.
fn twice(timeout: Duration) -> NotifierOptions {
    NotifierOptions { timeout, attempts: 2, refusals: 1, ..quick() }
}

/// Delivers one change to this endpoint; why it is dead in the end, if it is.
async fn fate(url: &str, timeout: Duration) -> Option<String> {
    let town = Town::new();
    town.subscribe(&to("1", url)).await;
    let running = town.run(twice(timeout));
    town.write(1).await;
    running.settled().await;
    let dead = town.dead_letters().await.into_iter().next();
    let counted = running.notifications.totals();
    assert_eq!(counted, ledger([u64::from(dead.is_none()), 0, u64::from(dead.is_some()), 0]));
    dead.map(|letter| letter.reason)
}

/// It is asked so often, and then the notification is dead for that reason.
async fn dead(endpoint: &Endpoint, requests: usize, reason: &str) {
    let timeout = if reason == LATE { HASTY } else { PATIENT };
    let found = fate(&endpoint.url(), timeout).await.expect("it does not count as delivered");
    assert!(found.contains(reason), "{found}");
    assert_eq!(endpoint.requests(), requests);
}

async fn delivered(endpoint: &Endpoint) {
    assert_eq!(fate(&endpoint.url(), PATIENT).await, None);
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn no_answer_is_a_failure_at_the_timeout() {
    dead(&Endpoint::saying("").await, 2, LATE).await;
}

#[tokio::test]
async fn half_a_head_is_a_failure_at_the_timeout() {
    let endpoint = Endpoint::saying("HTTP/1.1 200 OK\r\ncontent-le").await;
    dead(&endpoint, 2, LATE).await;
}

#[tokio::test]
async fn a_head_byte_by_byte_is_a_failure_at_the_timeout() {
    let endpoint = Endpoint::start(|mut stream| async move {
        let mut drops = tokio::time::interval(Duration::from_millis(5));
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.unwrap();
        while stream.write_all(b"y").await.is_ok() {
            drops.tick().await;
        }
    })
    .await;
    dead(&endpoint, 2, LATE).await;
}

#[tokio::test]
async fn an_answer_that_stops_in_its_body_counts_by_its_status() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc";
    delivered(&Endpoint::saying(head).await).await;
    let head = "HTTP/1.1 404 Not Found\r\ncontent-length: 100\r\n\r\nabc";
    dead(&Endpoint::saying(head).await, 1, "404").await;
}

#[tokio::test]
async fn of_a_gigabyte_the_status_counts_and_the_connection_is_closed() {
    let ended = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&ended);
    let endpoint = Endpoint::start(move |mut stream| {
        let told = Arc::clone(&told);
        async move {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n";
            stream.write_all(head).await.unwrap();
            let part = vec![b'x'; 65_536];
            let mut written = 0_u32;
            while stream.write_all(&part).await.is_ok() {
                written += 65_536;
            }
            assert!(written < 1 << 26, "{written}");
            told.notify_one();
        }
    })
    .await;
    delivered(&endpoint).await;
    tokio::time::timeout(Duration::from_mins(1), ended.notified()).await.unwrap();
}

#[tokio::test]
async fn a_reset_is_a_failure() {
    // What stays unread, the body, makes the system answer with a reset.
    let endpoint = Endpoint::start(|stream| async move { drop(stream) }).await;
    dead(&endpoint, 2, "could not be reached").await;
}

#[tokio::test]
async fn what_is_not_http_is_a_failure() {
    let endpoint = Endpoint::saying("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    dead(&endpoint, 2, "could not be reached").await;
    let endpoint = Endpoint::saying("\u{0}\u{1}\u{16}\u{3}\r\n\r\n").await;
    dead(&endpoint, 2, "could not be reached").await;
}

#[tokio::test]
async fn tls_towards_what_speaks_none_is_a_failure() {
    let endpoint = Endpoint::saying("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let found = fate(&format!("https://localhost:{}/", endpoint.port), HASTY).await.unwrap();
    assert!(found.contains("could not be reached") || found.contains("did not answer"), "{found}");
}

#[tokio::test]
async fn an_error_of_the_server_is_a_failure_and_one_of_ours_a_refusal() {
    for (answer, requests, reason) in [
        ("HTTP/1.1 500 Oh\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", 2, "500"),
        ("HTTP/1.1 429 Slow\r\nretry-after: 99999999999999999999\r\n\r\n", 2, "429"),
        ("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", 1, "404"),
        ("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", 1, "410"),
        ("HTTP/1.1 304 Same\r\n\r\n", 1, "304"),
    ] {
        dead(&Endpoint::saying(answer).await, requests, reason).await;
    }
}

#[tokio::test]
async fn a_redirect_is_a_refusal_and_nobody_goes_there() {
    let target = Receiver::start().await;
    let location = target.url("/a");
    let endpoint = Endpoint::start(move |mut stream| {
        let location = location.clone();
        async move {
            let answer =
                format!("HTTP/1.1 307 There\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
            drop(stream.write_all(answer.as_bytes()).await);
            pending::<()>().await;
        }
    })
    .await;
    dead(&endpoint, 1, "307").await;
    assert!(target.arrivals("/a").is_empty());
}

/// Gives these addresses, one answer after the other.
#[derive(Debug)]
struct Script(Mutex<VecDeque<IpAddr>>);

impl Names for Script {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let next = self.0.lock().pop_front();
        std::future::ready(Ok(next.into_iter().collect())).boxed()
    }
}

/// Two attempts reach this endpoint under a name, which then turns to a private address.
async fn turns_private(endpoint: &Endpoint, url: &str) {
    let addresses = ["127.0.0.1", "127.0.0.1", "10.0.0.1"];
    let names = addresses.map(|text| text.parse().unwrap()).into();
    let client = Client::new(ClientOptions {
        guard: Some(Guard { private: Private::Deny, allow: vec!["127.0.0.1/32".parse().unwrap()] }),
        names: Arc::new(Script(Mutex::new(names))),
        ..ClientOptions::default()
    });
    let town = Town::new();
    town.subscribe(&to("1", url)).await;
    let running = town.run_with(client, NotifierOptions { refusals: 1, ..quick() });
    town.write(1).await;
    running.settled().await;
    let letters = town.dead_letters().await;
    assert!(letters[0].reason.contains("may not reach"), "{}", letters[0].reason);
    assert_eq!(endpoint.requests(), 2);
}

#[tokio::test]
async fn a_name_that_turns_to_a_private_address_is_refused_at_that_attempt() {
    let endpoint = Endpoint::start(|mut stream| async move {
        let answer = b"HTTP/1.1 503 Later\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        drop(stream.write_all(answer).await);
    })
    .await;
    let url = format!("http://receiver.example.org:{}/", endpoint.port);
    turns_private(&endpoint, &url).await;
}

#[tokio::test]
async fn the_name_of_an_mqtt_broker_that_turns_to_a_private_address_is_refused_at_that_attempt() {
    // A broker that accepts no client at the moment.
    let endpoint = Endpoint::after(b"", |mut stream| async move {
        drop(stream.write_all(b"\x20\x02\x00\x03").await);
        // Until the other side goes: a reset could overtake the answer.
        drop(stream.read_to_end(&mut Vec::new()).await);
    })
    .await;
    let url = format!("mqtt://broker.example.org:{}/a", endpoint.port);
    turns_private(&endpoint, &url).await;
}

#[tokio::test]
async fn an_address_that_may_not_be_reached_is_a_refusal() {
    let endpoint = Endpoint::saying("HTTP/1.1 200 OK\r\n\r\n").await;
    let guard = Guard { private: Private::Deny, allow: Vec::new() };
    let town = Town::new();
    town.subscribe(&to("1", &endpoint.url())).await;
    let running = town.run_with(Client::guarded(guard), twice(PATIENT));
    town.write(1).await;
    running.settled().await;
    assert!(town.dead_letters().await[0].reason.contains("may not reach"));
    assert_eq!(endpoint.requests(), 0);
}

#[tokio::test]
async fn a_receiver_that_never_reads_is_a_failure_at_the_timeout() {
    let endpoint = Endpoint::start(|stream| async move {
        pending::<()>().await;
        drop(stream);
    })
    .await;
    let town = Town::new();
    town.subscribe(&to("1", &endpoint.url())).await;
    let running = town.run(twice(HASTY));
    // More than the sockets of both sides hold.
    let text = "x".repeat(16 << 20);
    let entity = json!({
        "id": "urn:ngsi-ld:Sensor:1",
        "type": "Sensor",
        "text": {"type": "Property", "value": text},
    });
    town.write_entity(&entity).await;
    running.settled().await;
    let letters = town.dead_letters().await;
    assert!(letters[0].reason.contains(LATE), "{}", letters[0].reason);
}

/// Whether a subscription with this pair for its receiver can be created.
fn is_accepted(uri: &str, key: &str, value: &str) -> bool {
    let mut body = to("1", uri);
    body["notification"]["endpoint"]["receiverInfo"] = json!([{"key": key, "value": value}]);
    let text = body.to_string();
    let node = Node::parse(&text, Limits::default()).unwrap();
    let now = "2024-01-01T00:00:00Z".parse().unwrap();
    Subscription::parse(&node, &Context::core(), SubscriptionId::generate(), now).is_ok()
}

#[test]
fn a_header_cannot_be_injected() {
    let http = "http://example.org/";
    assert!(is_accepted(http, "x-key", "value"));
    for (key, value) in [
        ("x-key", "value\r\nx-other: 1"),
        ("x-key", "value\nx-other: 1"),
        ("x-key", "value\r"),
        ("x-key", "val\0ue"),
        ("x-key\r\nx-other: 1\r\nx", "value"),
        ("x-key: 1\r\nx", "value"),
        ("x key", "value"),
        ("", "value"),
        ("host", "elsewhere"),
        ("content-length", "0"),
        ("transfer-encoding", "chunked"),
        ("ngsild-tenant", "other"),
    ] {
        assert!(!is_accepted(http, key, value), "{key:?}: {value:?}");
    }
    // In the metadata of a message they are strings and nothing else.
    assert!(is_accepted("mqtt://example.org/a", "x-key\r\nx", "value\r\nx-other: 1"));
}
