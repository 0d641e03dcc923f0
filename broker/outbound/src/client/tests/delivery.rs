//! Requests whose answer is its status, and answers that come as they should not.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::*;
use crate::Receipt;

/// A server on a port of its own.
pub(super) struct Serving {
    pub(super) port: u16,
    /// How many connections were opened.
    pub(super) connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Serving {
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// A server that does this with every connection.
pub(super) async fn serve<F, S>(behaviour: F) -> Serving
where
    F: Fn(tokio::net::TcpStream) -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&connections);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            clients.spawn(behaviour(stream));
        }
    });
    Serving { port, connections, _tasks: tasks }
}

/// Reads the head of a request; whether there was one.
pub(super) async fn heard(stream: &mut (impl AsyncReadExt + Unpin)) -> bool {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return false };
        seen.push(byte);
    }
    true
}

async fn deliver(port: u16, timeout: Duration) -> Result<Receipt, Error> {
    let mut request = request(&format!("http://127.0.0.1:{port}/"));
    request.timeout = timeout;
    guarded(Private::Loopback).deliver(request).await
}

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn an_answer_that_never_ends_counts_by_its_status() {
    let server = serve(|mut stream| async move {
        heard(&mut stream).await;
        stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
        pending::<()>().await;
    })
    .await;
    assert_eq!(deliver(server.port, LONG).await.unwrap().status, 202);
}

#[tokio::test]
async fn of_a_gigabyte_no_more_is_read_than_the_sockets_hold() {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    static ENDED: tokio::sync::Notify = tokio::sync::Notify::const_new();
    let server = serve(|mut stream| async move {
        heard(&mut stream).await;
        let head = b"HTTP/1.1 500 Oh\r\nretry-after: 7\r\ncontent-length: 1073741824\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let part = vec![b'x'; 65_536];
        // It ends because the other side has hung up.
        while stream.write_all(&part).await.is_ok() {
            WRITTEN.fetch_add(65_536, Ordering::Relaxed);
        }
        ENDED.notify_one();
    })
    .await;
    let answer = deliver(server.port, LONG).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["retry-after"]),
        (500, &"7".parse().unwrap())
    );
    tokio::time::timeout(LONG, ENDED.notified()).await.unwrap();
    assert!(WRITTEN.load(Ordering::Relaxed) < 1 << 26);
}

#[tokio::test]
async fn an_answer_whose_body_breaks_off_counts_by_its_status() {
    let server = serve(|mut stream| async move {
        heard(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
    })
    .await;
    assert_eq!(deliver(server.port, LONG).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_head_that_never_ends_is_no_answer() {
    let hanging = serve(|mut stream| async move {
        heard(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: y").await.unwrap();
        pending::<()>().await;
    })
    .await;
    let failed = deliver(hanging.port, SHORT).await;
    assert!(matches!(failed, Err(Error::TimedOut { ms: 50, .. })), "{failed:?}");
    let dripping = serve(|mut stream| async move {
        heard(&mut stream).await;
        let mut drops = tokio::time::interval(Duration::from_millis(5));
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.unwrap();
        while stream.write_all(b"y").await.is_ok() {
            drops.tick().await;
        }
    })
    .await;
    let failed = deliver(dripping.port, SHORT).await;
    assert!(matches!(failed, Err(Error::TimedOut { ms: 50, .. })), "{failed:?}");
    let endless = serve(|mut stream| async move {
        heard(&mut stream).await;
        let lines = b"x: 0123456789012345678901234567890123456789\r\n".repeat(1000);
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        while stream.write_all(&lines).await.is_ok() {}
    })
    .await;
    let failed = deliver(endless.port, LONG).await;
    assert!(matches!(failed, Err(Error::Unreachable { .. })), "{failed:?}");
}

#[tokio::test]
async fn a_reset_is_a_failure_that_says_so() {
    let server = serve(|mut stream| async move {
        heard(&mut stream).await;
        // What stays unread makes the system answer with a reset.
        drop(stream.read_u8().await);
    })
    .await;
    let mut request = request(&format!("http://127.0.0.1:{}/", server.port));
    request.body = Bytes::from_static(&[b'x'; 10_000]);
    let failed = guarded(Private::Loopback).deliver(request).await;
    assert!(matches!(failed, Err(Error::Unreachable { .. })), "{failed:?}");
}

#[tokio::test]
async fn a_receiver_that_never_reads_is_given_up_at_the_timeout() {
    let server = serve(|stream| async move {
        pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut request = request(&format!("http://127.0.0.1:{}/", server.port));
    request.body = Bytes::from(vec![b'x'; 64 << 20]);
    request.timeout = Duration::from_millis(300);
    let failed = guarded(Private::Loopback).deliver(request).await;
    assert!(matches!(failed, Err(Error::TimedOut { .. })), "{failed:?}");
}

#[tokio::test]
async fn an_answer_before_the_request_is_read_is_an_answer() {
    let server = serve(|mut stream| async move {
        let head = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        heard(&mut stream).await;
        stream.write_all(head).await.unwrap();
        pending::<()>().await;
    })
    .await;
    let mut request = request(&format!("http://127.0.0.1:{}/", server.port));
    request.body = Bytes::from(vec![b'x'; 64 << 20]);
    assert_eq!(guarded(Private::Loopback).deliver(request).await.unwrap().status, 413);
}
