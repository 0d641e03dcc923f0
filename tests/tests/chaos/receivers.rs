//! Receivers that fail at random: they answer errors, hang, or close the connection before or
//! after they have taken what was sent.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use musubi_tests::PATIENCE;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A notification that a receiver has taken.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) id: String,
    /// Of which entities, and with which number.
    pub(crate) states: Vec<(String, u64)>,
}

/// What was taken, by the name of the subscription, in the order of arrival.
pub(crate) type Told = BTreeMap<String, Vec<Arrival>>;

/// What a receiver does for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Fine,
    /// Answers 500.
    Broken,
    /// Answers 503 and wants to be asked again at once.
    Busy,
    /// Closes the connection without having taken anything.
    Deaf,
    /// Takes it, and closes the connection without an answer.
    Forgetful,
    /// Takes it, and never answers.
    Silent,
}

#[derive(Debug)]
struct Receiver {
    random: StdRng,
    mood: Mood,
    /// For so many requests.
    left: u32,
}

/// All receivers: a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Receivers {
    addresses: Arc<Vec<SocketAddr>>,
    told: Arc<Mutex<Told>>,
    taken: watch::Sender<u64>,
    calm: Arc<AtomicBool>,
    shutdown: CancellationToken,
}

impl Receivers {
    /// How many fail at random.
    pub(crate) const COUNT: usize = 10;
    /// The one after them, which is away until all are calm.
    pub(crate) const AWAY: usize = Self::COUNT;

    pub(crate) async fn start(random: &mut StdRng, work: &mut JoinSet<()>) -> Self {
        let mut listeners = Vec::new();
        for _ in 0..=Self::AWAY {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.expect("a port"));
        }
        let address = |it: &TcpListener| it.local_addr().expect("an address");
        let receivers = Self {
            addresses: Arc::new(listeners.iter().map(address).collect()),
            told: Arc::default(),
            taken: watch::Sender::new(0),
            calm: Arc::default(),
            shutdown: CancellationToken::new(),
        };
        for (number, listener) in listeners.into_iter().enumerate() {
            let random = StdRng::seed_from_u64(random.random());
            let (mood, left) =
                if number == Self::AWAY { (Mood::Deaf, u32::MAX) } else { (Mood::Fine, 50) };
            let receiver = Receiver { random, mood, left };
            let serving = receivers.clone().serve(listener, Arc::new(Mutex::new(receiver)));
            work.spawn(serving);
        }
        receivers
    }

    /// Where a subscription of this name is told.
    pub(crate) fn url(&self, receiver: usize, name: &str) -> String {
        format!("http://{}/{name}", self.addresses[receiver])
    }

    /// From now on they all accept everything.
    pub(crate) fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stop(&self) {
        self.shutdown.cancel();
    }

    pub(crate) fn told(&self) -> Told {
        self.told.lock().clone()
    }

    pub(crate) async fn until(&self, what: &str, satisfied: impl Fn(&Told) -> bool) {
        let mut taken = self.taken.subscribe();
        loop {
            taken.mark_unchanged();
            if satisfied(&self.told.lock()) {
                return;
            }
            let come = tokio::time::timeout(PATIENCE, taken.changed()).await;
            assert!(come.is_ok(), "{what}: nothing has come for long");
        }
    }

    async fn serve(self, listener: TcpListener, receiver: Arc<Mutex<Receiver>>) {
        let shutdown = self.shutdown.clone();
        let accepting = async {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                connections.spawn(self.clone().connection(stream, Arc::clone(&receiver)));
                // Those that have ended; one that broke is part of the game.
                while connections.try_join_next().is_some() {}
            }
        };
        shutdown.run_until_cancelled(accepting).await;
    }

    async fn connection(self, stream: TcpStream, receiver: Arc<Mutex<Receiver>>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        while let Some((name, body)) = request(&mut stream).await? {
            let mood = receiver.lock().mood(self.calm.load(Ordering::Relaxed));
            if matches!(mood, Mood::Fine | Mood::Forgetful | Mood::Silent) {
                self.take(name, &body);
            }
            let answer: &[u8] = match mood {
                Mood::Fine => b"HTTP/1.1 204 No Content\r\n\r\n",
                Mood::Broken => b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
                Mood::Busy => {
                    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
                }
                Mood::Deaf | Mood::Forgetful => return Ok(()),
                Mood::Silent => {
                    // Until the other side gives up.
                    stream.read_u8().await?;
                    return Ok(());
                }
            };
            stream.get_mut().write_all(answer).await?;
        }
        Ok(())
    }

    fn take(&self, name: String, body: &[u8]) {
        let notification: Value = serde_json::from_slice(body).expect("a notification is JSON");
        let state = |entity: &Value| {
            let id = entity["id"].as_str().expect("an id").to_owned();
            (id, entity["count"].as_u64().expect("a number"))
        };
        let data = notification["data"].as_array().expect("data");
        let arrival = Arrival {
            id: notification["id"].as_str().expect("an id").to_owned(),
            states: data.iter().map(state).collect(),
        };
        self.told.lock().entry(name).or_default().push(arrival);
        self.taken.send_modify(|count| *count += 1);
    }
}

impl Receiver {
    fn mood(&mut self, calm: bool) -> Mood {
        if calm {
            return Mood::Fine;
        }
        if self.left == 0 {
            self.mood = match self.random.random_range(0..10) {
                0 => Mood::Broken,
                1 => Mood::Busy,
                2 => Mood::Deaf,
                3 => Mood::Forgetful,
                4 => Mood::Silent,
                _ => Mood::Fine,
            };
            self.left = match self.mood {
                Mood::Fine => self.random.random_range(20..400),
                Mood::Silent => self.random.random_range(1..4),
                Mood::Broken | Mood::Busy | Mood::Deaf | Mood::Forgetful => {
                    self.random.random_range(1..20)
                }
            };
        }
        self.left -= 1;
        self.mood
    }
}

/// The path of a request without its slash, and the body; none when the connection is closed.
async fn request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<(String, Vec<u8>)>> {
    let (mut name, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if let Some(first) = line.strip_prefix("POST /") {
            name = first.split(' ').next().map(str::to_owned);
        } else if let Some((_, value)) =
            line.split_once(':').filter(|(header, _)| header.eq_ignore_ascii_case("content-length"))
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some((name.ok_or_else(|| io::Error::other("not a POST"))?, body)))
}
