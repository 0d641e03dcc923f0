//! The server itself, over a real socket.

use std::time::Duration;

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
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let shutdown = async {
            let _ = stopped.await;
        };
        serve(listener, Api::new().router, options, shutdown).await
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
