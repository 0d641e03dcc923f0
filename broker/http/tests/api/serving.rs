//! The server itself, over a real socket.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use musubi_http::{ServeOptions, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::support::Api;

struct Server {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    tasks: JoinSet<std::io::Result<()>>,
}

async fn start(options: ServeOptions) -> Server {
    start_router(Api::new().router, options).await
}

async fn start_router(router: Router, options: ServeOptions) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let shutdown = async {
            let _ = stopped.await;
        };
        serve(listener, router, options, shutdown).await
    });
    Server { address, stop, tasks }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let byte = stream.read_u8().await.unwrap();
        answer.push(byte);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn requests_are_served_until_the_shutdown_and_it_ends() {
    let mut server = start(ServeOptions::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"HEAD /health/live HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    server.stop.send(()).unwrap();
    server.tasks.join_next().await.unwrap().unwrap().unwrap();
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.unwrap(), 0, "an idle connection is closed");
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_the_shutdown_up() {
    let drain = Duration::from_millis(50);
    let mut server = start(ServeOptions { drain, ..ServeOptions::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head =
        b"POST /ngsi-ld/v1/entities HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                 content-length: 10\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head).await.unwrap();
    // The server asks for the body, so it is in the middle of the request.
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 100"));
    server.stop.send(()).unwrap();
    server.tasks.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = start(ServeOptions::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(100_000));
    // The server may close before it has read everything.
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 200"));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"HEAD /health/live HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_sends_no_whole_head_in_time_is_cut_off() {
    let header_time = Duration::from_millis(50);
    let server = start(ServeOptions { header_time, ..ServeOptions::default() }).await;
    for head in ["", "GET /health/live HTT", "HEAD /health/live HTTP/1.1\r\nhost: a\r\n\r\nGET /"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer.is_empty(), !head.starts_with("HEAD"), "{head}");
    }
}

#[tokio::test]
async fn a_request_that_takes_longer_than_a_head_may_is_answered() {
    let header_time = Duration::from_millis(20);
    let slow = get(|| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        "done"
    });
    let router = Router::new().route("/", slow);
    let server =
        start_router(router, ServeOptions { header_time, ..ServeOptions::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let router = Router::new()
        .route("/large", get(|| async { vec![b'a'; 64 * 1024 * 1024] }))
        .route("/small", get(|| async { "small" }));
    let options = ServeOptions {
        write_time: Duration::from_millis(50),
        // The next connection is served only once this one has ended.
        connections: 1,
        ..ServeOptions::default()
    };
    let server = start_router(router, options).await;
    let mut lazy = TcpStream::connect(server.address).await.unwrap();
    lazy.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(read_head(&mut lazy).await.starts_with("HTTP/1.1 200"));
    let mut next = TcpStream::connect(server.address).await.unwrap();
    next.write_all(b"GET /small HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(read_head(&mut next).await.starts_with("HTTP/1.1 200"));
    let mut rest = Vec::new();
    // It may end in an error or early, but not with everything.
    let _ = lazy.read_to_end(&mut rest).await;
    assert!(rest.len() < 64 * 1024 * 1024);
}

#[tokio::test]
async fn a_query_may_hold_what_people_type_as_it_is() {
    let api = Api::new();
    for (number, text) in [(1, "<a>"), (2, "b")] {
        let id = format!("urn:a:{number}");
        api.create(&serde_json::json!({ "id": id, "type": "T", "n": number, "s": text })).await;
    }
    let server = start_router(api.router.clone(), ServeOptions::default()).await;
    for (query, found) in [("n>1", 2), ("n<2", 1), ("s==\"b\"", 2), ("s==%22%3Ca%3E%22", 1)] {
        let line = format!("GET /ngsi-ld/v1/entities?type=T&q={query} HTTP/1.1\r\n");
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (first, rest) = line.split_at(line.len() - 12);
        stream.write_all(first.as_bytes()).await.unwrap();
        let rest = format!("{rest}host: a\r\nconnection: close\r\n\r\n");
        stream.write_all(rest.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{query}: {answer}");
        assert!(answer.contains(&format!("[{{\"id\":\"urn:a:{found}\"")), "{query}: {answer}");
        assert_eq!(answer.matches("urn:a:").count(), 1, "{query}: {answer}");
    }
    // What comes after the line stays as it is, if it comes with it or not.
    let body = r#"{"id":"urn:a:3","type":"T","s":"<\">"}"#;
    let head = format!(
        "POST /ngsi-ld/v1/entities HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 201"));
    assert_eq!(api.entity("urn:a:3").await["s"]["value"], "<\">");
}
