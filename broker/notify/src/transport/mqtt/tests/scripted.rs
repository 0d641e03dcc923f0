//! Brokers that do as a test says, and mostly what they should not.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{of, send, to, trusting};
use crate::transport::mqtt::links::{MAX_LINKS, MAX_OF_A_TENANT};

/// CONNACK of version 5, with success and nothing more.
const WELCOME: &[u8] = &[0x20, 3, 0, 0, 0];
/// The same with a Receive Maximum of 1.
const WELCOME_ONE: &[u8] = &[0x20, 6, 0, 0, 3, 0x21, 0, 1];
/// The same with a Maximum `QoS` of 1.
const WELCOME_QOS_1: &[u8] = &[0x20, 5, 0, 0, 2, 0x24, 1];
/// The same with a Maximum Packet Size of 100.
const WELCOME_SMALL: &[u8] = &[0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 100];

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const PUBREL: u8 = 6;
const PING: u8 = 12;
const GOODBYE: u8 = 14;

/// What to answer to a packet of this kind with this id; `None` hangs up.
type Script = dyn Fn(u8, [u8; 2]) -> Option<Vec<u8>> + Send + Sync;

/// A broker that follows a script.
pub(super) struct Scripted {
    pub(super) port: u16,
    reached: Arc<AtomicUsize>,
    /// How many packets of each kind came.
    came: Arc<Mutex<HashMap<u8, usize>>>,
    count: Arc<watch::Sender<usize>>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    /// One that says nothing.
    pub(super) async fn start() -> Self {
        Self::with(|_, _| Some(Vec::new())).await
    }

    async fn with(script: impl Fn(u8, [u8; 2]) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (reached, came) = (Arc::<AtomicUsize>::default(), Arc::default());
        let count = Arc::new(watch::Sender::new(0));
        let script: Arc<Script> = Arc::new(script);
        let mut tasks = JoinSet::new();
        let (told, noted, counted) = (Arc::clone(&reached), Arc::clone(&came), Arc::clone(&count));
        tasks.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                told.fetch_add(1, Ordering::Relaxed);
                let (script, noted) = (Arc::clone(&script), Arc::clone(&noted));
                clients.spawn(follow(stream, script, noted, Arc::clone(&counted)));
            }
        });
        Self { port, reached, came, count, _tasks: tasks }
    }

    pub(super) fn was_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed) > 0
    }

    fn came(&self, kind: u8) -> usize {
        self.came.lock().get(&kind).copied().unwrap_or_default()
    }

    async fn until(&self, kind: u8, number: usize) {
        let mut count = self.count.subscribe();
        count.wait_for(|_| self.came(kind) >= number).await.unwrap();
    }

    fn uri(&self) -> String {
        format!("mqtt://127.0.0.1:{}/a", self.port)
    }
}

async fn follow(
    mut stream: TcpStream,
    script: Arc<Script>,
    came: Arc<Mutex<HashMap<u8, usize>>>,
    count: Arc<watch::Sender<usize>>,
) {
    while let Ok(first) = stream.read_u8().await {
        let (mut length, mut shift) = (0_usize, 0);
        while let Ok(byte) = stream.read_u8().await {
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        let mut rest = vec![0; length];
        if stream.read_exact(&mut rest).await.is_err() {
            return;
        }
        let kind = first >> 4;
        let id = match kind {
            // Behind the topic, which is one byte long.
            PUBLISH => rest.get(3..5),
            _ => rest.get(..2),
        };
        let answer = script(kind, id.map_or([0, 0], |id| [id[0], id[1]]));
        *came.lock().entry(kind).or_default() += 1;
        count.send_modify(|count| *count += 1);
        let Some(answer) = answer else { return };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn answers(kind: u8, [high, low]: [u8; 2]) -> Option<Vec<u8>> {
    Some(match kind {
        CONNECT => WELCOME.to_vec(),
        PUBLISH => vec![0x40, 2, high, low],
        PING => vec![0xd0, 0],
        GOODBYE => return None,
        _ => Vec::new(),
    })
}

#[tokio::test]
async fn reasons_of_version_5_are_refusals_and_a_full_quota_passes() {
    for (reason, is_refusal) in [(0x87, true), (0x90, true), (0x80, true), (0x97, false)] {
        for (qos, answer) in [("1", 0x40), ("2", 0x50)] {
            let broker = Scripted::with(move |kind, id| match kind {
                PUBLISH => Some(vec![answer, 3, id[0], id[1], reason]),
                _ => answers(kind, id),
            })
            .await;
            let subscription = to(&broker.uri(), "mqtt5.0", qos);
            let failure = send(&trusting(None), &subscription, &json!(1)).await.unwrap_err();
            assert_eq!(failure.is_refusal, is_refusal, "{failure:?}");
            assert!(failure.reason.contains("refused the message"), "{failure:?}");
            assert_eq!(broker.came(PUBREL), 0);
        }
    }
}

#[tokio::test]
async fn no_subscriber_at_the_broker_is_no_failure() {
    let broker = Scripted::with(|kind, id| match kind {
        PUBLISH => Some(vec![0x40, 3, id[0], id[1], 0x10]),
        _ => answers(kind, id),
    })
    .await;
    send(&trusting(None), &to(&broker.uri(), "mqtt5.0", "1"), &json!(1)).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_fails_all_that_wait_on_it() {
    // Quality 2 is broken off between the receipt and the completion.
    for (qos, last, number) in [("1", PUBLISH, 3), ("2", PUBREL, 3)] {
        let seen = AtomicUsize::new(0);
        let broker = Scripted::with(move |kind, id| {
            if kind == last {
                let seen = seen.fetch_add(1, Ordering::Relaxed) + 1;
                return (seen < number).then(Vec::new);
            }
            match kind {
                PUBLISH => Some(vec![0x50, 2, id[0], id[1]]),
                _ => answers(kind, id),
            }
        })
        .await;
        let transports = trusting(None);
        let subscription = to(&broker.uri(), "mqtt5.0", qos);
        let body = json!(1);
        let sends = (0..number).map(|_| send(&transports, &subscription, &body));
        for failure in futures_util::future::join_all(sends).await {
            let failure = failure.unwrap_err();
            assert!(failure.reason.contains("broke"), "{failure:?}");
            assert!(!failure.is_refusal);
        }
        assert_eq!(transports.links.count(), 0);
    }
}

#[tokio::test]
async fn a_broker_that_never_answers_is_given_up_at_the_timeout() {
    let silent = Scripted::start().await;
    let forgetful = Scripted::with(|kind, id| match kind {
        PUBLISH => Some(Vec::new()),
        _ => answers(kind, id),
    })
    .await;
    let transports = trusting(None);
    for broker in [&silent, &forgetful] {
        let subscription = to(&broker.uri(), "mqtt5.0", "1");
        let (id, body) = ("urn:ngsi-ld:Notification:1", Bytes::from_static(b"1"));
        let patience = Duration::from_millis(50);
        let failure = transports.send(&subscription, id, body, patience).await.unwrap_err();
        assert!(failure.reason.contains("within 50 ms"), "{failure:?}");
        assert!(!failure.is_refusal);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_messages_are_never_acknowledged_is_opened_anew() {
    let is_well = Arc::new(AtomicUsize::new(0));
    let heals = Arc::clone(&is_well);
    let broker = Scripted::with(move |kind, id| match kind {
        PUBLISH if heals.load(Ordering::Relaxed) == 0 => Some(Vec::new()),
        _ => answers(kind, id),
    })
    .await;
    let transports = trusting(None);
    let subscription = to(&broker.uri(), "mqtt5.0", "1");
    let failure = send(&transports, &subscription, &json!(1)).await.unwrap_err();
    assert!(failure.reason.contains("does not acknowledge"), "{failure:?}");
    is_well.store(1, Ordering::Relaxed);
    send(&transports, &subscription, &json!(1)).await.unwrap();
    assert_eq!(broker.came(CONNECT), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_broker_is_no_success() {
    for nonsense in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x20\xff\xff\xff\xff", b"\x40\x02\0\x01", b""]
    {
        let broker = Scripted::with(move |_, _| (!nonsense.is_empty()).then(|| nonsense.to_vec()));
        let broker = broker.await;
        for version in ["mqtt3.1.1", "mqtt5.0"] {
            let subscription = to(&broker.uri(), version, "0");
            let failure = send(&trusting(None), &subscription, &json!(1)).await.unwrap_err();
            assert!(!failure.is_refusal, "{failure:?}");
        }
    }
}

#[tokio::test]
async fn a_broker_takes_no_more_unacknowledged_messages_than_it_wants() {
    let under_way = Arc::new(Mutex::new((0, 0)));
    let watched = Arc::clone(&under_way);
    let broker = Scripted::with(move |kind, id| {
        let mut counts = watched.lock();
        match kind {
            CONNECT => return Some(WELCOME_ONE.to_vec()),
            PUBLISH => {
                counts.0 += 1;
                counts.1 = counts.0.max(counts.1);
                return Some(vec![0x50, 2, id[0], id[1]]);
            }
            PUBREL => {
                counts.0 -= 1;
                return Some(vec![0x70, 2, id[0], id[1]]);
            }
            _ => {}
        }
        answers(kind, id)
    })
    .await;
    let transports = trusting(None);
    let subscription = to(&broker.uri(), "mqtt5.0", "2");
    let body = json!(1);
    let sends = (0..100).map(|_| send(&transports, &subscription, &body));
    for sent in futures_util::future::join_all(sends).await {
        sent.unwrap();
    }
    assert_eq!(*under_way.lock(), (0, 1));
    assert_eq!((broker.came(CONNECT), broker.came(PUBLISH)), (1, 100));
}

#[tokio::test]
async fn what_a_broker_does_not_take_is_refused_without_asking_it() {
    for (welcome, part) in [(WELCOME_QOS_1, "quality of service"), (WELCOME_SMALL, "100")] {
        let broker = Scripted::with(move |kind, id| match kind {
            CONNECT => Some(welcome.to_vec()),
            _ => answers(kind, id),
        })
        .await;
        let subscription = to(&broker.uri(), "mqtt5.0", "2");
        let failure = send(&trusting(None), &subscription, &json!(1)).await.unwrap_err();
        assert!(failure.is_refusal && failure.reason.contains(part), "{failure:?}");
        assert_eq!(broker.came(PUBLISH), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_alive_for_a_while_and_then_closed() {
    let broker = Scripted::with(answers).await;
    let transports = trusting(None);
    let subscription = to(&broker.uri(), "mqtt5.0", "1");
    send(&transports, &subscription, &json!(1)).await.unwrap();
    broker.until(GOODBYE, 1).await;
    assert!(broker.came(PING) > 0);
    send(&transports, &subscription, &json!(1)).await.unwrap();
    assert_eq!(broker.came(CONNECT), 2);
}

#[tokio::test]
async fn connections_are_bounded_and_idle_ones_make_room() {
    let broker = Scripted::with(answers).await;
    let transports = trusting(None);
    for (tenant, most) in [("town", MAX_OF_A_TENANT), ("other", MAX_LINKS), ("third", MAX_LINKS)] {
        for n in 0..MAX_OF_A_TENANT + 10 {
            let uri = format!("mqtt://user{n}@127.0.0.1:{}/a", broker.port);
            send(&transports, &of(tenant, &uri, "mqtt5.0", "1"), &json!(1)).await.unwrap();
            assert!(transports.links.count() <= most);
        }
    }
    broker.until(GOODBYE, 30 + MAX_OF_A_TENANT).await;
}

#[tokio::test]
async fn a_tenant_with_many_connections_leaves_room_for_others() {
    let silent = Scripted::with(|kind, id| match kind {
        PUBLISH => Some(Vec::new()),
        _ => answers(kind, id),
    })
    .await;
    let (broker, transports, body) = (Scripted::with(answers).await, trusting(None), json!(1));
    let subscriptions: Vec<_> = (0..MAX_OF_A_TENANT)
        .map(|n| to(&format!("mqtt://user{n}@127.0.0.1:{}/a", silent.port), "mqtt5.0", "1"))
        .collect();
    let busy = subscriptions.iter().map(|it| send(&transports, it, &body));
    let others = async {
        silent.until(PUBLISH, MAX_OF_A_TENANT).await;
        let more = to(&broker.uri(), "mqtt5.0", "1");
        let failure = send(&transports, &more, &body).await.unwrap_err();
        assert!(failure.is_local && !failure.is_refusal, "{failure:?}");
        assert_eq!(broker.came(CONNECT), 0);
        send(&transports, &of("other", &broker.uri(), "mqtt5.0", "1"), &body).await.unwrap();
    };
    tokio::select! {
        _ = futures_util::future::join_all(busy) => panic!("they wait"),
        () = others => {}
    }
}
