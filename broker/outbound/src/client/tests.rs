//! The client against real sockets.

mod delivery;
mod names;
mod pool;
mod tls;

use std::time::Duration;

use crate::{Client, Error, Guard, Private, Request, Response};
use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A server that answers every request with the same bytes and passes on what it read. `None`
/// accepts and says nothing.
struct Server {
    port: u16,
    requests: mpsc::Receiver<String>,
    _tasks: JoinSet<()>,
}

async fn server(answer: Option<&'static [u8]>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = mpsc::channel(16);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 65_536];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            sender.send(readable(&buffer[..read])).await.unwrap();
            if let Some(answer) = answer {
                // A client that has heard enough may have hung up.
                drop(stream.write_all(answer).await);
            }
            if answer.is_none() {
                open.push(stream);
            }
        }
    });
    Server { port, requests, _tasks: tasks }
}

/// What came, with the names of headers in small letters.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split_inclusive("\r\n").map(|line| match line.split_once(": ") {
        Some((name, value)) => format!("{}: {value}", name.to_ascii_lowercase()),
        None => line.to_owned(),
    });
    lines.collect()
}

fn guarded(private: Private) -> Client {
    Client::guarded(Guard { private, allow: Vec::new() })
}

fn request(url: &str) -> Request {
    Request {
        method: Method::GET,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(20),
        max_body: 1000,
    }
}

async fn get(client: &Client, url: &str) -> Result<Response, Error> {
    client.send(request(url)).await
}

const HELLO: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: \"1\"\r\nconnection: close\r\n\r\nhello";

#[tokio::test]
async fn loopback_is_refused_under_deny_and_no_byte_is_sent() {
    let mut server = server(Some(HELLO)).await;
    let client = guarded(Private::Deny);
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "localhost"] {
        let refused = get(&client, &format!("http://{host}:{}/", server.port)).await;
        assert!(matches!(refused, Err(Error::Forbidden(_))), "{host}: {refused:?}");
    }
    assert!(server.requests.try_recv().is_err());
}

#[tokio::test]
async fn loopback_is_reached_under_loopback_and_by_an_unguarded_client() {
    let mut server = server(Some(HELLO)).await;
    for client in [guarded(Private::Loopback), Client::unguarded()] {
        for host in ["127.0.0.1", "localhost"] {
            let answer =
                get(&client, &format!("http://{host}:{}/a?b=c", server.port)).await.unwrap();
            assert_eq!(answer.status, 200);
            assert_eq!(&*answer.body, b"hello");
            assert_eq!(answer.headers["etag"], "\"1\"");
            let seen = server.requests.recv().await.unwrap();
            assert!(seen.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{seen}");
            assert!(seen.contains(concat!("user-agent: musubi/", env!("CARGO_PKG_VERSION"))));
        }
    }
}

#[tokio::test]
async fn a_body_and_headers_are_sent_as_given() {
    let mut server = server(Some(HELLO)).await;
    let mut request = request(&format!("http://127.0.0.1:{}/notify", server.port));
    request.method = Method::POST;
    request.headers.insert("content-type", "application/json".parse().unwrap());
    request.body = Bytes::from_static(b"{}");
    guarded(Private::Loopback).send(request).await.unwrap();
    let seen = server.requests.recv().await.unwrap();
    assert!(seen.starts_with("POST /notify HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("content-type: application/json\r\n"), "{seen}");
    assert!(seen.contains("content-length: 2\r\n") && seen.ends_with("{}"), "{seen}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let target = server(Some(HELLO)).await;
    let text = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        target.port
    );
    let mut target = target;
    let redirecting = server(Some(Box::leak(text.into_boxed_str()).as_bytes())).await;
    let url = format!("http://127.0.0.1:{}/", redirecting.port);
    let answer = get(&guarded(Private::Loopback), &url).await.unwrap();
    assert_eq!(answer.status, 302);
    assert!(answer.headers.contains_key("location"));
    assert!(target.requests.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused_whether_announced_or_not() {
    let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\nconnection: close\r\n\r\n";
    let mut unannounced = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    unannounced.resize(unannounced.len() + 1001, b'x');
    for answer in [announced.as_slice(), Vec::leak(unannounced)] {
        let server = server(Some(answer)).await;
        let url = format!("http://127.0.0.1:{}/", server.port);
        let refused = get(&guarded(Private::Loopback), &url).await;
        assert!(matches!(refused, Err(Error::TooLarge { limit: 1000, .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn silence_ends_at_the_timeout() {
    let server = server(None).await;
    let mut request = request(&format!("http://127.0.0.1:{}/", server.port));
    request.timeout = Duration::from_millis(50);
    let refused = guarded(Private::Loopback).send(request).await;
    assert!(matches!(refused, Err(Error::TimedOut { ms: 50, .. })), "{refused:?}");
}

#[tokio::test]
async fn an_error_names_host_and_port_and_no_secret() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("http://user:password@127.0.0.1:{port}/path?token=hidden");
    for client in [guarded(Private::Loopback), guarded(Private::Deny)] {
        let text = get(&client, &url).await.unwrap_err().to_string();
        assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
        for secret in ["user", "password", "path", "token", "hidden"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn a_broken_answer_is_unreachable() {
    let server = server(Some(b"this is not HTTP\r\n\r\n")).await;
    let url = format!("http://127.0.0.1:{}/", server.port);
    let broken = get(&guarded(Private::Loopback), &url).await;
    assert!(matches!(broken, Err(Error::Unreachable { .. })), "{broken:?}");
}

#[tokio::test]
async fn other_schemes_are_not_spoken() {
    for url in ["ftp://127.0.0.1/", "file:///etc/passwd", "mqtt://127.0.0.1/topic"] {
        let refused = get(&Client::unguarded(), url).await;
        assert!(matches!(refused, Err(Error::Unreachable { .. })), "{url}: {refused:?}");
    }
}

#[tokio::test]
async fn https_starts_without_certificates_or_a_process_wide_provider() {
    let mut server = server(Some(b"not a TLS record either")).await;
    let url = format!("https://localhost:{}/", server.port);
    let refused = get(&guarded(Private::Loopback), &url).await;
    assert!(matches!(refused, Err(Error::Unreachable { .. })), "{refused:?}");
    // The client's hello was sent before the answer spoiled it.
    assert!(!server.requests.recv().await.unwrap().is_empty());
}
