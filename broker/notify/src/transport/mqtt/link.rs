//! One connection to one broker.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use musubi_outbound::{Client, Security, Stream};
use rustc_hash::FxHashMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use crate::subscription::notifier_info::{MqttQos, MqttVersion};
use crate::transport::failure::Failure;
use crate::transport::mqtt::links::{Ended, LinkKey, MAX_UNDER_WAY, Order};
use crate::transport::mqtt::packets::{self, Heard, Hello, Limits, Short};
use crate::transport::transports::failure_of;

/// How long a broker may take to answer CONNECT, to acknowledge a message, or to take any byte.
const PATIENCE: Duration = Duration::from_secs(20);
/// After so long without a message the connection is closed.
const IDLE: Duration = Duration::from_mins(1);
/// What a broker is promised to hear from us, in seconds.
const KEEP_ALIVE: u16 = 30;
/// How often the connection is looked after.
const LOOK: Duration = Duration::from_secs(5);
/// While so many bytes wait to be written, no further message is taken.
const MAX_UNWRITTEN: usize = 256 * 1024;

type Done = oneshot::Sender<Result<(), Ended>>;

/// Connects, publishes what comes, and ends when the connection does or nobody needs it. Whoever
/// waits then hears why.
pub(super) async fn run(client: Client, key: LinkKey, mut orders: mpsc::Receiver<Order>) {
    let ended = match Session::open(&client, &key).await {
        Ok(mut session) => {
            let ended = session.work(&mut orders).await;
            session.fail(&ended);
            ended
        }
        Err(failure) => Ended::Failed(failure),
    };
    orders.close();
    while let Some(order) = orders.recv().await {
        tell(order.done, Err(ended.clone()));
    }
}

/// Who no longer waits does not need to know.
fn tell(done: Done, result: Result<(), Ended>) {
    let _ = done.send(result);
}

/// A message that has not been acknowledged.
#[derive(Debug)]
struct Waiting {
    done: Done,
    since: Instant,
    /// Whether the broker has it and is to release it.
    is_released: bool,
}

/// A connection that the broker has accepted.
#[derive(Debug)]
struct Session {
    version: MqttVersion,
    limits: Limits,
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    incoming: BytesMut,
    out: BytesMut,
    /// Whether something has been written that may still wait inside the connection.
    is_unflushed: bool,
    /// Bytes that have ever been put into `out`.
    put: u64,
    /// Messages that are done once so many bytes have been written.
    unwritten: VecDeque<(u64, Done)>,
    waiting: FxHashMap<u16, Waiting>,
    last_id: u16,
    last_order: Instant,
    last_heard: Instant,
    last_written: Instant,
}

/// What happens next.
enum Event {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Flushed(io::Result<()>),
    Order(Option<Order>),
    Look,
}

impl Session {
    async fn open(client: &Client, key: &LinkKey) -> Result<Self, Failure> {
        let security = if key.is_secure { Security::Tls } else { Security::Plain };
        let stream = client.connect(&key.host, key.port, security).await;
        let (reader, writer) = tokio::io::split(stream.map_err(|error| failure_of(&error))?);
        let now = Instant::now();
        let mut session = Self {
            version: key.version,
            limits: Limits {
                unacknowledged: 1,
                packet: None,
                qos: MqttQos::ExactlyOnce,
                keep_alive: KEEP_ALIVE,
            },
            reader,
            writer,
            incoming: BytesMut::new(),
            out: BytesMut::new(),
            is_unflushed: false,
            put: 0,
            unwritten: VecDeque::new(),
            waiting: FxHashMap::default(),
            last_id: 0,
            last_order: now,
            last_heard: now,
            last_written: now,
        };
        match timeout(PATIENCE, session.greet(key)).await {
            Ok(greeted) => greeted.map(|()| session),
            Err(_) => Err(Failure::passing(format!("{key:?} did not answer as an MQTT broker"))),
        }
    }

    /// Says CONNECT and waits for the answer.
    async fn greet(&mut self, key: &LinkKey) -> Result<(), Failure> {
        // At most 23 characters, which every broker accepts; never the same one twice.
        let client_id: String =
            "musubi-".chars().chain(Uuid::new_v4().simple().to_string().chars().take(16)).collect();
        let (user, password) = (key.user.as_deref(), key.password.as_deref());
        let login = (user.is_some() || password.is_some())
            .then(|| (user.unwrap_or_default(), password.unwrap_or_default()));
        let hello = Hello { client_id, login, keep_alive: KEEP_ALIVE };
        packets::connect(self.version, hello, &mut self.out)
            .ok_or_else(|| Failure::refused("user or password are too long for MQTT"))?;
        let broken = |error: io::Error| Failure::passing(format!("{key:?} hung up: {error}"));
        self.writer.write_all_buf(&mut self.out).await.map_err(broken)?;
        self.writer.flush().await.map_err(broken)?;
        loop {
            match packets::read(self.version, &mut self.incoming).map_err(Failure::passing)? {
                Some(Heard::Connected(Ok(limits))) => {
                    // 0 is none for the broker, but a dead connection is found by it.
                    let keep_alive = match limits.keep_alive {
                        0 => KEEP_ALIVE,
                        seconds => seconds.min(KEEP_ALIVE),
                    };
                    self.limits = Limits { keep_alive, ..limits };
                    return Ok(());
                }
                Some(Heard::Connected(Err(failure))) => return Err(failure),
                Some(
                    Heard::Acknowledged(..)
                    | Heard::Received(..)
                    | Heard::Completed(..)
                    | Heard::Goodbye(_)
                    | Heard::Other,
                ) => {
                    return Err(Failure::passing(format!("{key:?} is no MQTT broker")));
                }
                None => {
                    if self.reader.read_buf(&mut self.incoming).await.map_err(broken)? == 0 {
                        return Err(Failure::passing(format!("{key:?} hung up")));
                    }
                }
            }
        }
    }

    /// Publishes what comes until there is a reason to end.
    async fn work(&mut self, orders: &mut mpsc::Receiver<Order>) -> Ended {
        let mut look_at = Instant::now() + LOOK;
        loop {
            let has_room = self.out.len() < MAX_UNWRITTEN
                && self.waiting.len() < MAX_UNDER_WAY.min(self.limits.unacknowledged.into());
            let Self { reader, writer, incoming, out, .. } = self;
            let has_output = !out.is_empty();
            let is_behind = has_output || self.is_unflushed;
            let event = tokio::select! {
                read = reader.read_buf(incoming) => Event::Read(read),
                event = write(writer, out), if is_behind => event,
                order = orders.recv(), if has_room => Event::Order(order),
                () = sleep_until(look_at) => Event::Look,
            };
            let step = match event {
                Event::Read(read) => self.hear(read),
                Event::Wrote(wrote) => self.wrote(wrote),
                Event::Flushed(flushed) => {
                    self.is_unflushed = false;
                    flushed.map_err(broken)
                }
                Event::Order(Some(order)) => {
                    self.publish(order);
                    Ok(())
                }
                // Others took its place: nobody has this one any more.
                Event::Order(None) => Err(Ended::Unsent),
                Event::Look => {
                    look_at = Instant::now() + self.pause();
                    self.look()
                }
            };
            if let Err(ended) = step {
                if matches!(ended, Ended::Unsent) {
                    self.say_goodbye().await;
                }
                return ended;
            }
        }
    }

    /// Time until the connection is looked after again: often enough for the broker's patience.
    fn pause(&self) -> Duration {
        LOOK.min(Duration::from_secs(self.limits.keep_alive.into()) / 3)
            .max(Duration::from_millis(100))
    }

    fn publish(&mut self, order: Order) {
        let Order { message, done } = order;
        let now = Instant::now();
        self.last_order = now;
        if done.is_closed() {
            // Its time is over.
            return;
        }
        if rank(message.qos) > rank(self.limits.qos) {
            let reason = "the broker does not offer this quality of service";
            return tell(done, Err(Ended::Failed(Failure::refused(reason))));
        }
        let id = if message.qos == MqttQos::AtMostOnce { 0 } else { self.next_id() };
        let before = self.out.len();
        let limit = self.limits.packet;
        if let Err(failure) = packets::publish(self.version, &message, id, limit, &mut self.out) {
            return tell(done, Err(Ended::Failed(failure)));
        }
        self.count(before);
        if id == 0 {
            self.unwritten.push_back((self.put, done));
        } else {
            self.waiting.insert(id, Waiting { done, since: now, is_released: false });
        }
    }

    /// An id that no message under way has. There are always some: see `MAX_UNDER_WAY`.
    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.waiting.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    fn put(&mut self, packet: Short) {
        let before = self.out.len();
        packets::short(self.version, packet, &mut self.out);
        self.count(before);
    }

    /// Counts what has been put into `out`.
    fn count(&mut self, before: usize) {
        if before == 0 {
            // From here on the broker has to take bytes.
            self.last_written = Instant::now();
        }
        let added = self.out.len().saturating_sub(before);
        self.put = self.put.saturating_add(u64::try_from(added).unwrap_or(u64::MAX));
    }

    fn wrote(&mut self, wrote: io::Result<usize>) -> Result<(), Ended> {
        match wrote {
            Ok(0) => return Err(broken("the connection takes nothing more")),
            Ok(_) => self.last_written = Instant::now(),
            Err(error) => return Err(broken(error)),
        }
        self.is_unflushed = true;
        let left = u64::try_from(self.out.len()).unwrap_or(u64::MAX);
        let written = self.put.saturating_sub(left);
        while let Some((_, done)) = self.unwritten.pop_front_if(|(end, _)| *end <= written) {
            tell(done, Ok(()));
        }
        Ok(())
    }

    fn hear(&mut self, read: io::Result<usize>) -> Result<(), Ended> {
        match read {
            Ok(0) => return Err(broken("the broker closed it")),
            Ok(_) => self.last_heard = Instant::now(),
            Err(error) => return Err(broken(error)),
        }
        while let Some(heard) = packets::read(self.version, &mut self.incoming).map_err(broken)? {
            match heard {
                Heard::Acknowledged(id, result) | Heard::Completed(id, result) => {
                    self.settle(id, result);
                }
                Heard::Received(id, Err(failure)) => self.settle(id, Err(failure)),
                Heard::Received(id, Ok(())) => {
                    if let Some(waiting) = self.waiting.get_mut(&id) {
                        // Answered once: a broker that repeats itself cannot make us write.
                        if !std::mem::replace(&mut waiting.is_released, true) {
                            self.put(Short::Release(id));
                        }
                    }
                }
                Heard::Goodbye(reason) => {
                    return Err(broken(format_args!("the broker ended it: {reason}")));
                }
                Heard::Connected(_) | Heard::Other => {}
            }
        }
        Ok(())
    }

    fn settle(&mut self, id: u16, result: Result<(), Failure>) {
        if let Some(waiting) = self.waiting.remove(&id) {
            tell(waiting.done, result.map_err(Ended::Failed));
        }
    }

    /// Looks for silence: the broker's, and our own.
    fn look(&mut self) -> Result<(), Ended> {
        let oldest = self.waiting.values().map(|waiting| waiting.since).min();
        if oldest.is_some_and(|since| since.elapsed() > PATIENCE) {
            return Err(broken("the broker does not acknowledge"));
        }
        if !self.out.is_empty() && self.last_written.elapsed() > PATIENCE {
            return Err(broken("the broker takes nothing more"));
        }
        let keep_alive = Duration::from_secs(self.limits.keep_alive.into());
        if self.last_heard.elapsed() > PATIENCE.max(keep_alive * 2) {
            return Err(broken("the broker is silent"));
        }
        let is_idle = self.out.is_empty() && self.waiting.is_empty();
        if is_idle && self.last_order.elapsed() > IDLE {
            return Err(Ended::Unsent);
        }
        let is_quiet = self.last_heard.min(self.last_written).elapsed() > keep_alive / 3;
        if self.out.is_empty() && is_quiet {
            self.put(Short::Ping);
        }
        Ok(())
    }

    async fn say_goodbye(&mut self) {
        self.put(Short::Goodbye);
        let goodbye = async {
            self.writer.write_all_buf(&mut self.out).await?;
            self.writer.shutdown().await
        };
        // Whether it arrives makes no difference.
        let _ = timeout(Duration::from_secs(1), goodbye).await;
    }

    /// Tells all that wait why they wait in vain.
    fn fail(&mut self, ended: &Ended) {
        let unwritten = self.unwritten.drain(..).map(|(_, done)| done);
        for done in unwritten.chain(self.waiting.drain().map(|(_, waiting)| waiting.done)) {
            tell(done, Err(ended.clone()));
        }
    }
}

/// Writes a part of `out` and takes it out, or sends on its way what was written. Nothing is lost
/// if it is not waited for.
async fn write(writer: &mut WriteHalf<Stream>, out: &mut BytesMut) -> Event {
    if out.is_empty() {
        Event::Flushed(writer.flush().await)
    } else {
        Event::Wrote(writer.write_buf(out).await)
    }
}

fn broken(reason: impl std::fmt::Display) -> Ended {
    Ended::Failed(Failure::passing(format!("the connection to the broker broke: {reason}")))
}

fn rank(qos: MqttQos) -> u8 {
    match qos {
        MqttQos::AtMostOnce => 0,
        MqttQos::AtLeastOnce => 1,
        MqttQos::ExactlyOnce => 2,
    }
}
