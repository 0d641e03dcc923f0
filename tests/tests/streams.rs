//! Who follows a stream misses nothing and is told nothing twice when the broker is killed, at
//! whatever moment: by Server-Sent Events and over a WebSocket.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use musubi_tests::{Http, Musubi, binary, until};
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

const ROUNDS: u64 = 5;
/// The writers, each with an entity of its own, and how much each writes before a kill.
const WRITERS: usize = 4;
const WRITES: u64 = 100;
const STREAM: &str = "/musubi/v1/streams/urn:ngsi-ld:Subscription:sensors";

/// What a client was told, in order: the id of the notification, the entity, its number.
type Told = Arc<Mutex<Vec<(String, String, u64)>>>;

fn note(told: &Told, notification: &Value) {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let entity = &notification["data"][0];
    let count = entity["count"].as_u64().expect("a number");
    told.lock().push((text(&notification["id"]), text(&entity["id"]), count));
}

/// Follows by Server-Sent Events, and comes back with the id of the last event.
async fn follow_events(address: SocketAddr, told: Told) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client =
        reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
    let mut last = String::new();
    loop {
        let request =
            client.get(format!("http://{address}{STREAM}")).header("Last-Event-ID", &last);
        let Ok(mut answer) = request.send().await else {
            tokio::task::yield_now().await;
            continue;
        };
        assert_eq!(answer.status(), 200);
        let mut text = Vec::new();
        while let Ok(Some(piece)) = answer.chunk().await {
            text.extend_from_slice(&piece);
            while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                let block = String::from_utf8(text.drain(..end + 2).collect()).expect("UTF-8");
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
                if let Some(id) = field("id: ") {
                    id.clone_into(&mut last);
                }
                match field("event: ") {
                    None => {}
                    Some("notification") => {
                        let data = field("data: ").expect("data");
                        note(&told, &serde_json::from_str(data).expect("JSON"));
                    }
                    Some(other) => panic!("{other}: {block}"),
                }
            }
        }
    }
}

/// Follows over a WebSocket, and comes back with the last cursor.
async fn follow_socket(address: SocketAddr, told: Told) {
    let mut last = String::new();
    loop {
        let url = format!("ws://{address}{STREAM}?after={last}");
        let Ok(stream) = TcpStream::connect(address).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let Ok((mut socket, _)) = client_async(url, stream).await else { continue };
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            match message["event"].as_str() {
                Some("cursor") => {}
                Some("notification") => note(&told, &message["data"]),
                other => panic!("{other:?}: {message}"),
            }
            message["id"].as_str().expect("a cursor").clone_into(&mut last);
        }
    }
}

/// Writes numbers that grow until the broker does not answer; gives what was acknowledged.
async fn write(http: Http, writer: usize, first: u64, enough: u64) -> Vec<(String, u64)> {
    let id = format!("urn:ngsi-ld:Sensor:{writer}");
    let mut acknowledged = Vec::new();
    for count in first..first + enough {
        let body = json!([{"id": id, "type": "Sensor", "count": count}]);
        let path = "/ngsi-ld/v1/entityOperations/upsert";
        match http.try_send(Method::POST, path, Some(&body)).await {
            Ok(answer) if matches!(answer.status, 201 | 204) => {
                acknowledged.push((id.clone(), count));
            }
            Ok(answer) => panic!("{} {}", answer.status, answer.text),
            Err(_) => break,
        }
    }
    acknowledged
}

fn check(told: &[(String, String, u64)], acknowledged: &BTreeSet<(String, u64)>) {
    let mut ids = BTreeSet::new();
    let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
    for (id, entity, count) in told {
        assert!(ids.insert(id), "{id} was told twice");
        let before = newest.insert(entity, *count);
        assert!(before < Some(*count), "{entity}: {count} after {before:?}");
    }
    let found: BTreeSet<_> =
        told.iter().map(|(_, entity, count)| (entity.clone(), *count)).collect();
    let missed: Vec<_> = acknowledged.difference(&found).collect();
    assert!(missed.is_empty(), "missed {missed:?}");
}

#[tokio::test]
async fn who_follows_a_stream_misses_nothing_when_the_broker_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Musubi::serve(folder.path(), &[]);
    let address = server.http;
    let http = Http::new(server.url());
    let mut running = Some(server);
    let subscription = json!({
        "id": "urn:ngsi-ld:Subscription:sensors", "type": "Subscription",
        "entities": [{"type": "Sensor"}],
        "notification": {"format": "keyValues", "endpoint": {"uri": "musubi:stream"}},
    });
    assert_eq!(http.post("/ngsi-ld/v1/subscriptions", &subscription).await.status, 201);

    let mut followers = JoinSet::new();
    let clients: Vec<Told> = (0..6).map(|_| Told::default()).collect();
    for (number, told) in clients.iter().enumerate() {
        if number % 2 == 0 {
            followers.spawn(follow_events(address, Arc::clone(told)));
        } else {
            followers.spawn(follow_socket(address, Arc::clone(told)));
        }
    }
    // Once a client has been told of one, it has a place to come back to.
    let count = AtomicU64::new(1);
    until("every client's beginning", || async {
        let count = count.fetch_add(1, Ordering::Relaxed);
        assert_eq!(write(http.clone(), WRITERS, count, 1).await.len(), 1);
        clients.iter().all(|told| !told.lock().is_empty()).then_some(())
    })
    .await;

    let mut acknowledged = BTreeSet::new();
    for round in 0..=ROUNDS {
        let http = Http::new(format!("http://{address}"));
        let mut writers = JoinSet::new();
        // More than is written before the kill, but for the last round.
        let enough = if round < ROUNDS { 100 * WRITES } else { WRITES };
        for writer in 0..WRITERS {
            writers.spawn(write(http.clone(), writer, 1 + round * 100 * WRITES, enough));
        }
        if round < ROUNDS {
            let first = clients[0].lock().len();
            let told = usize::try_from(WRITES).expect("a size") * WRITERS;
            until("what is written", || async {
                (clients[0].lock().len() > first + told).then_some(())
            })
            .await;
            running.take().expect("it runs").kill();
        }
        while let Some(ended) = writers.join_next().await {
            acknowledged.extend(ended.expect("a writer ends"));
        }
        if round < ROUNDS {
            let mut command = Command::new(binary());
            command.args(["serve", "--listen", &address.to_string(), "--data-dir"]);
            running = Some(Musubi::start(command.arg(folder.path())));
        }
    }
    for told in &clients {
        until("the end of what is told", || async {
            let told: BTreeSet<_> =
                told.lock().iter().map(|(_, entity, count)| (entity.clone(), *count)).collect();
            acknowledged.is_subset(&told).then_some(())
        })
        .await;
        check(&told.lock(), &acknowledged);
    }
    // All were told the same, in the order of the log, from where each began.
    let told: Vec<_> = clients.iter().map(|told| told.lock().clone()).collect();
    let shortest = told.iter().map(Vec::len).min().unwrap_or_default();
    for one in &told {
        assert_eq!(one[one.len() - shortest..], told[0][told[0].len() - shortest..]);
    }
    assert!(shortest > 1000, "{shortest}");
    assert!(followers.try_join_next().is_none(), "a client gave up");
}
