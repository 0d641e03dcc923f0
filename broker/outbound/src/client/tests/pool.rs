//! Connections that are used again, and those that cannot be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::delivery::{heard, serve};
use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn one_connection_serves_one_request_after_the_other() {
    let server = serve(|mut stream| async move {
        while heard(&mut stream).await {
            stream.write_all(OK).await.unwrap();
        }
    })
    .await;
    let (client, url) = (guarded(Private::Loopback), format!("http://127.0.0.1:{}/", server.port));
    for _ in 0..10 {
        assert_eq!(&*get(&client, &url).await.unwrap().body, b"ok");
        assert_eq!(client.deliver(request(&url)).await.unwrap().status, 200);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    for announced in [true, false] {
        let server = serve(move |mut stream| async move {
            heard(&mut stream).await;
            let close: &[u8] =
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            stream.write_all(if announced { close } else { OK }).await.unwrap();
        })
        .await;
        let (client, url) =
            (guarded(Private::Loopback), format!("http://127.0.0.1:{}/", server.port));
        for _ in 0..10 {
            assert_eq!(client.deliver(request(&url)).await.unwrap().status, 200);
        }
        assert_eq!(server.connections(), 10);
    }
}

#[tokio::test]
async fn a_delivery_is_repeated_when_an_idle_connection_breaks_under_it_and_other_requests_are_not()
{
    let hangs_up_on_the_second = || {
        serve(|mut stream| async move {
            heard(&mut stream).await;
            stream.write_all(OK).await.unwrap();
            heard(&mut stream).await;
        })
    };
    let client = guarded(Private::Loopback);
    let server = hangs_up_on_the_second().await;
    let url = format!("http://127.0.0.1:{}/", server.port);
    for _ in 0..5 {
        assert_eq!(client.deliver(request(&url)).await.unwrap().status, 200);
    }
    assert_eq!(server.connections(), 5);
    let server = hangs_up_on_the_second().await;
    let url = format!("http://127.0.0.1:{}/", server.port);
    get(&client, &url).await.unwrap();
    let failed = get(&client, &url).await;
    assert!(matches!(failed, Err(Error::Unreachable { .. })), "{failed:?}");
}

#[tokio::test]
async fn what_follows_an_answer_unasked_spoils_the_connection_and_no_other_answer() {
    let server = serve(|mut stream| async move {
        while heard(&mut stream).await {
            let two = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n";
            if stream.write_all(two).await.is_err() {
                return;
            }
        }
    })
    .await;
    let (client, url) = (guarded(Private::Loopback), format!("http://127.0.0.1:{}/", server.port));
    for _ in 0..5 {
        assert_eq!(client.deliver(request(&url)).await.unwrap().status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_in_time() {
    static OPEN: AtomicUsize = AtomicUsize::new(0);
    let closed = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&closed);
    let server = serve(move |mut stream| {
        let told = Arc::clone(&told);
        async move {
            OPEN.fetch_add(1, Ordering::Relaxed);
            while heard(&mut stream).await {
                stream.write_all(OK).await.unwrap();
            }
            OPEN.fetch_sub(1, Ordering::Relaxed);
            told.notify_one();
        }
    })
    .await;
    let (client, url) = (guarded(Private::Loopback), format!("http://127.0.0.1:{}/", server.port));
    client.deliver(request(&url)).await.unwrap();
    assert_eq!(OPEN.load(Ordering::Relaxed), 1);
    tokio::time::timeout(Duration::from_mins(2), closed.notified()).await.unwrap();
    assert_eq!(OPEN.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn user_and_password_of_the_url_are_sent_unless_there_is_a_header() {
    let mut server = server(Some(HELLO)).await;
    let client = guarded(Private::Loopback);
    let url = format!("http://klara:a%3Ab%40@127.0.0.1:{}/", server.port);
    get(&client, &url).await.unwrap();
    let seen = server.requests.recv().await.unwrap();
    assert!(seen.contains("authorization: Basic a2xhcmE6YTpiQA==\r\n"), "{seen}");
    assert!(seen.contains(&format!("host: 127.0.0.1:{}\r\n", server.port)), "{seen}");
    let mut request = request(&url);
    request.headers.insert("authorization", "Bearer x".parse().unwrap());
    client.send(request).await.unwrap();
    let seen = server.requests.recv().await.unwrap();
    assert!(seen.contains("authorization: Bearer x\r\n") && !seen.contains("Basic"), "{seen}");
}

#[tokio::test]
async fn gzip_is_asked_for_and_unpacked_and_not_for_deliveries() {
    // "hello" by gzip -n
    const PACKED: &[u8] = &[
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10,
        0x36, 5, 0, 0, 0,
    ];
    let answer = |body: &[u8]| {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        Vec::leak([head.as_bytes(), body].concat())
    };
    let client = guarded(Private::Loopback);
    let mut whole = server(Some(answer(PACKED))).await;
    let url = format!("http://127.0.0.1:{}/", whole.port);
    let unpacked = get(&client, &url).await.unwrap();
    assert_eq!(&*unpacked.body, b"hello");
    assert!(!unpacked.headers.contains_key("content-encoding"));
    assert!(whole.requests.recv().await.unwrap().contains("accept-encoding: gzip\r\n"));
    client.deliver(request(&url)).await.unwrap();
    assert!(!whole.requests.recv().await.unwrap().contains("gzip"));
    let cut = server(Some(answer(&PACKED[..15]))).await;
    let failed = get(&client, &format!("http://127.0.0.1:{}/", cut.port)).await;
    assert!(matches!(failed, Err(Error::Unreachable { .. })), "{failed:?}");
}
