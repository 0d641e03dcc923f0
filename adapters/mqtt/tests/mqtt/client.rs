//! The client, with a real Mosquitto in between.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use musubi_adapter_mqtt::{BrokerAddress, Client, ClientOptions, Protocol, Verdict};
use musubi_model::SystemClock;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, run};

/// A broker of its own for one test; it ends with it.
pub(crate) struct Mosquitto {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut candidates = folders.map(|folder| folder.join("mosquitto"));
    candidates
        .find(|candidate| candidate.is_file())
        .expect("this test needs Mosquitto: install the package mosquitto")
}

impl Mosquitto {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Another process may take the port before Mosquitto does; then another one is tried.
        for _ in 0..20 {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = socket.local_addr().unwrap().port();
            drop(socket);
            if let Some(process) = launch(folder.path(), port).await {
                return Self { process, port, folder };
            }
        }
        panic!("Mosquitto could not be started");
    }

    /// Kills the broker and starts it again on its port, with what it kept.
    async fn restart(&mut self) {
        let id = self.process.id().unwrap().to_string();
        // By a signal that lets it save its sessions.
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        self.process.wait().await.unwrap();
        self.process = launch(self.folder.path(), self.port).await.unwrap();
    }

    pub(crate) fn address(&self) -> BrokerAddress {
        format!("mqtt://127.0.0.1:{}", self.port).parse().unwrap()
    }
}

async fn launch(folder: &Path, port: u16) -> Option<Child> {
    let file = folder.join("mosquitto.conf");
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\n\
         persistence_location {}/\nmax_inflight_messages 100\nmax_queued_messages 100000\n\
         user root\nlog_dest stderr\n",
        folder.display()
    );
    std::fs::write(&file, text).unwrap();
    let mut process = Command::new(program())
        .arg("-c")
        .arg(&file)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("running") {
            return Some(process);
        }
    }
    None
}

fn options(broker: BrokerAddress, protocol: Protocol) -> ClientOptions {
    ClientOptions {
        broker,
        protocol,
        client_id: "musubi-test".to_owned(),
        login: None,
        filters: vec!["/json/k/+/attrs".to_owned(), "json/k/+/attrs".to_owned()],
        at_least_once: true,
        shared_group: None,
        keep_session: true,
    }
}

/// A client that runs until it is stopped, or killed by dropping it.
struct Subscriber {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    client: Client,
}

fn subscribe(options: ClientOptions, gate: &Arc<Gate>) -> Subscriber {
    let client = Client::new(options, gate.clone(), Arc::new(SystemClock));
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(client.clone().run(stop.clone()));
    Subscriber { stop, tasks, client }
}

impl Subscriber {
    async fn subscribed(&mut self) {
        self.client.watch().wait_for(|status| status.subscribed).await.unwrap();
    }

    async fn stop(mut self) {
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap();
    }
}

/// Publishes numbers with quality of service 1; returns once the broker has acknowledged all.
async fn publish(broker: &BrokerAddress, numbers: std::ops::Range<u32>) {
    let mut settings = rumqttc::MqttOptions::new("publisher", &broker.host, broker.port);
    settings.set_keep_alive(Duration::from_secs(30));
    let (client, mut events) = rumqttc::AsyncClient::new(settings, 64);
    let count = numbers.len();
    let send = async {
        for number in numbers {
            let topic = if number % 2 == 0 { "/json/k/d/attrs" } else { "json/k/d/attrs" };
            let qos = rumqttc::QoS::AtLeastOnce;
            client.publish(topic, qos, false, number.to_string()).await.unwrap();
        }
    };
    let acknowledged = async {
        let mut seen = 0;
        while seen < count {
            if let rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_)) =
                events.poll().await.unwrap()
            {
                seen += 1;
            }
        }
    };
    tokio::join!(send, acknowledged);
}

/// Publishes one message with quality of service 1; returns once the broker has acknowledged it.
pub(crate) async fn publish_to(broker: &BrokerAddress, topic: &str, payload: &str) {
    let status = Command::new("mosquitto_pub")
        .args(["-q", "1", "-h", &broker.host, "-p", &broker.port.to_string()])
        .args(["-t", topic, "-m", payload])
        .status()
        .await
        .expect("this test needs mosquitto_pub: install the package mosquitto-clients");
    assert!(status.success());
}

fn numbers(range: std::ops::Range<u32>) -> BTreeSet<String> {
    range.map(|number| number.to_string()).collect()
}

async fn all_arrive_in_order(protocol: Protocol) {
    let broker = Mosquitto::start().await;
    let gate = Gate::open();
    let mut subscriber = subscribe(options(broker.address(), protocol), &gate);
    subscriber.subscribed().await;
    publish(&broker.address(), 0..1000).await;
    let expected: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    assert_eq!(gate.taken(1000).await, expected);
    subscriber.stop().await;
}

#[tokio::test]
async fn messages_arrive_through_mosquitto_by_mqtt_5() {
    all_arrive_in_order(Protocol::Newest).await;
}

#[tokio::test]
async fn messages_arrive_through_mosquitto_by_mqtt_3_1_1() {
    all_arrive_in_order(Protocol::V4).await;
}

async fn nothing_is_lost_when_killed(protocol: Protocol) {
    let broker = Mosquitto::start().await;
    // Takes the first thirty, and holds the others.
    let gate = Gate::closed();
    let mut first = subscribe(options(broker.address(), protocol), &gate);
    first.subscribed().await;
    publish(&broker.address(), 0..200).await;
    gate.seen(1).await;
    // Killed: dropped as it stands, with everything unacknowledged.
    drop(first);
    publish(&broker.address(), 200..400).await;
    let gate = Gate::open();
    let second = subscribe(options(broker.address(), protocol), &gate);
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut count = 0;
    while taken.len() < 400 {
        count += 1;
        taken.extend(gate.taken(count).await);
    }
    assert_eq!(taken, numbers(0..400));
    second.stop().await;
}

#[tokio::test]
async fn a_killed_client_gets_again_what_it_has_not_acknowledged_by_mqtt_5() {
    nothing_is_lost_when_killed(Protocol::V5).await;
}

#[tokio::test]
async fn a_killed_client_gets_again_what_it_has_not_acknowledged_by_mqtt_3_1_1() {
    nothing_is_lost_when_killed(Protocol::V4).await;
}

#[tokio::test]
async fn a_stopped_client_has_acknowledged_what_it_took_and_gets_only_the_rest() {
    let broker = Mosquitto::start().await;
    let gate = Gate::open();
    let mut first = subscribe(options(broker.address(), Protocol::V5), &gate);
    first.subscribed().await;
    publish(&broker.address(), 0..100).await;
    gate.taken(100).await;
    first.stop().await;
    publish(&broker.address(), 100..200).await;
    let gate = Gate::open();
    let second = subscribe(options(broker.address(), Protocol::V5), &gate);
    let expected: Vec<String> = (100..200).map(|number| number.to_string()).collect();
    assert_eq!(gate.taken(100).await, expected);
    second.stop().await;
}

#[tokio::test]
async fn a_restarted_broker_is_found_again_and_nothing_is_lost() {
    let mut broker = Mosquitto::start().await;
    let gate = Gate::closed();
    let mut subscriber = subscribe(options(broker.address(), Protocol::Newest), &gate);
    subscriber.subscribed().await;
    publish(&broker.address(), 0..150).await;
    gate.seen(1).await;
    broker.restart().await;
    gate.let_through(1_000_000);
    publish(&broker.address(), 150..300).await;
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut count = 0;
    while taken.len() < 300 {
        count += 1;
        taken.extend(gate.taken(count).await);
    }
    assert_eq!(taken, numbers(0..300));
    assert!(subscriber.client.status().connections >= 2);
    subscriber.stop().await;
}

#[tokio::test]
async fn what_cannot_be_stored_now_is_not_acknowledged_and_not_lost() {
    let broker = Mosquitto::start().await;
    let gate = Gate::open();
    for _ in 0..2 {
        gate.answer("5", Verdict::Later("the store is away".to_owned()));
    }
    gate.answer("7", Verdict::Refused("unknown device".to_owned()));
    let mut subscriber = subscribe(options(broker.address(), Protocol::V5), &gate);
    subscriber.subscribed().await;
    publish(&broker.address(), 0..20).await;
    let taken: BTreeSet<String> = gate.taken(19).await.into_iter().collect();
    let mut expected = numbers(0..20);
    expected.remove("7");
    assert_eq!(taken, expected);
    subscriber.stop().await;
}

#[tokio::test]
async fn two_members_of_a_group_share_the_messages() {
    let broker = Mosquitto::start().await;
    let (one, other) = (Gate::open(), Gate::open());
    let member = |id: &str, gate: &Arc<Gate>| {
        let mut options = options(broker.address(), Protocol::V5);
        options.client_id = id.to_owned();
        options.shared_group = Some("musubi".to_owned());
        subscribe(options, gate)
    };
    let (mut first, mut second) = (member("one", &one), member("other", &other));
    first.subscribed().await;
    second.subscribed().await;
    publish(&broker.address(), 0..100).await;
    let (first_part, second_part) = tokio::join!(one.taken(1), other.taken(1));
    assert!(!first_part.is_empty() && !second_part.is_empty());
    first.stop().await;
    second.stop().await;
    let mut all = one.taken(0).await;
    all.extend(other.taken(0).await);
    assert!(all.len() <= 100, "a message came to both");
}

#[tokio::test]
async fn a_broker_that_knows_only_3_1_1_is_spoken_to_in_it() {
    // Refuses the level 5 with the answer of 3.1.1, as old brokers do, then accepts level 4.
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let gate = Gate::open();
    let address: BrokerAddress = format!("mqtt://127.0.0.1:{port}").parse().unwrap();
    let subscriber = subscribe(options(address, Protocol::Newest), &gate);
    let mut levels = Vec::new();
    while levels.last() != Some(&4) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = socket.accept().await.unwrap();
        let mut head = [0_u8; 9];
        stream.read_exact(&mut head).await.unwrap();
        levels.push(head[8]);
        let code = u8::from(head[8] != 4);
        stream.write_all(&[0x20, 2, 0, code]).await.unwrap();
    }
    assert_eq!(levels.first(), Some(&5));
    drop(subscriber);
}

#[tokio::test]
async fn a_subscription_that_is_refused_is_told() {
    // Our own listener refuses every subscription.
    let listener = run(&Gate::open()).await;
    let address = format!("mqtt://{}", listener.address).parse().unwrap();
    let gate = Gate::open();
    let subscriber = subscribe(options(address, Protocol::V5), &gate);
    let mut status = subscriber.client.watch();
    let status = status.wait_for(|status| status.last_error.is_some()).await.unwrap().clone();
    assert!(status.connected && !status.subscribed);
    let error = status.last_error.unwrap();
    assert!(error.contains("refuses the subscription"), "{error}");
    subscriber.stop().await;
}
