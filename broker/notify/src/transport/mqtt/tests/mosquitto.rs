//! A real Mosquitto, and a listener to all that it is told.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The user that every Mosquitto of these tests knows, and its password.
pub(crate) const USER: [&str; 2] = ["klara", "s3cret/with:signs"];

/// Whether a login is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anonymous {
    Allowed,
    Refused,
}

/// A broker of its own for one test; it ends with it.
pub(crate) struct Mosquitto {
    process: Child,
    pub(crate) port: u16,
    pub(crate) tls_port: u16,
    /// The certificate that it shows, in PEM; it signed it itself.
    pub(crate) certificate: String,
    folder: tempfile::TempDir,
}

fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut candidates = folders.map(|folder| folder.join(name));
    candidates
        .find(|candidate| candidate.is_file())
        .expect("this test needs Mosquitto: install the package mosquitto")
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Mosquitto {
    pub(crate) async fn start(anonymous: Anonymous) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names = ["localhost".to_owned()];
        let signed = rcgen::generate_simple_self_signed(names).unwrap();
        let certificate = signed.cert.pem();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("certificate.pem"), &certificate).unwrap();
        std::fs::write(at("key.pem"), signed.signing_key.serialize_pem()).unwrap();
        let made = Command::new(program("mosquitto_passwd"))
            .args(["-b", "-c"])
            .arg(at("users"))
            .args(USER)
            .status()
            .await;
        assert!(made.unwrap().success());
        // Another process may take a port before Mosquitto does; then others are tried.
        for _ in 0..20 {
            let (port, tls_port) = (free_port(), free_port());
            configure(folder.path(), [port, tls_port], anonymous);
            if let Some(process) = launch(folder.path()).await {
                return Self { process, port, tls_port, certificate, folder };
            }
        }
        panic!("Mosquitto could not be started");
    }

    /// Ends the broker, by a signal that lets it save what it owes its clients.
    pub(crate) async fn stop(&mut self) {
        let id = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        self.process.wait().await.unwrap();
    }

    /// Starts it again, on its ports.
    pub(crate) async fn start_again(&mut self) {
        self.process = launch(self.folder.path()).await.expect("its ports are free");
    }

    /// Listens to all topics, restarts of the broker included, with at most this quality of
    /// service; returns once the broker has agreed. The client forgets halves of quality 2 with
    /// every connection, so with that quality a restart is its end.
    pub(crate) async fn listen(&self, qos: QoS) -> Listener {
        let mut options = MqttOptions::new("listener", "127.0.0.1", self.port);
        options.set_keep_alive(Duration::from_secs(30)).set_credentials(USER[0], USER[1]);
        options.set_max_packet_size(1 << 24, 1 << 24).set_clean_session(false);
        let (client, mut events) = AsyncClient::new(options, 16);
        client.subscribe("#", qos).await.unwrap();
        while !matches!(events.poll().await.unwrap(), Event::Incoming(Packet::SubAck(_))) {}
        let (sender, heard) = mpsc::channel(10_000);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _client = client;
            let mut pause = tokio::time::interval(Duration::from_millis(20));
            loop {
                let Ok(event) = events.poll().await else {
                    pause.tick().await;
                    continue;
                };
                let Event::Incoming(Packet::Publish(it)) = event else { continue };
                let message = serde_json::from_slice(&it.payload).unwrap();
                let heard = Heard { topic: it.topic, qos: it.qos, message };
                if sender.send(heard).await.is_err() {
                    return;
                }
            }
        });
        Listener { heard, _task: task }
    }
}

fn configure(folder: &Path, [port, tls_port]: [u16; 2], anonymous: Anonymous) {
    let shown = folder.display();
    let allowed = anonymous == Anonymous::Allowed;
    let text = format!(
        "allow_anonymous {allowed}\npassword_file {shown}/users\nuser root\nlog_dest stderr\n\
         persistence true\npersistence_location {shown}/\n\
         max_inflight_messages 1000\nmax_queued_messages 100000\n\
         listener {port} 127.0.0.1\n\
         listener {tls_port} 127.0.0.1\ncertfile {shown}/certificate.pem\nkeyfile {shown}/key.pem\n"
    );
    std::fs::write(folder.join("mosquitto.conf"), text).unwrap();
}

async fn launch(folder: &Path) -> Option<Child> {
    let mut process = Command::new(program("mosquitto"))
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("running") {
            // It goes on logging, and would wait for ever if nobody took it.
            let mut rest = JoinSet::new();
            rest.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            rest.detach_all();
            return Some(process);
        }
    }
    None
}

/// A message as the broker passed it on.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) topic: String,
    pub(crate) qos: QoS,
    pub(crate) message: Value,
}

/// A client that listens to everything.
pub(crate) struct Listener {
    heard: mpsc::Receiver<Heard>,
    _task: JoinSet<()>,
}

impl Listener {
    pub(crate) async fn next(&mut self) -> Heard {
        let limit = Duration::from_mins(1);
        tokio::time::timeout(limit, self.heard.recv()).await.expect("a message").unwrap()
    }
}
