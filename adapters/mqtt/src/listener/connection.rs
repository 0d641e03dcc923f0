//! One connection, from its CONNECT to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use musubi_model::Clock;
use rumqttc::v5::mqttbytes::v5::{DisconnectReasonCode, PubAckReason};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::answer::{Terms, Welcome, Writer};
use super::queue::{Entry, Queue, Reply};
use super::registry::{Client, Clients, Seat};
use super::stream::Wire;
use super::traffic::Traffic;
use super::window::Window;
use super::wire::{self, Connect, Incoming, Publish, Quality, Violation};
use crate::{Account, Message, Users, Verdict};

/// How long a password may take to be checked.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);

/// What all connections of a listener share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) users: Users,
    pub(crate) queue: Queue,
    pub(crate) clients: Arc<Clients>,
    pub(crate) traffic: Traffic,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Why a connection is over.
#[derive(Debug)]
enum End {
    /// The client has said so, or has gone.
    Left,
    /// The other side does not answer; nothing can be told to it.
    Lost,
    /// The client is told why.
    Told(Violation),
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        Self::Told(violation)
    }
}

/// Serves one client until one side ends it, or `shutdown` comes: then what was received is
/// still acknowledged.
pub(crate) async fn serve<S>(stream: S, shared: Arc<Shared>, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut wire = Wire::new(stream);
    let wait = shared.limits.connect_timeout;
    let connect = match timeout(wait, wire.connect(shared.limits.max_packet)).await {
        Ok(Ok(connect)) => connect,
        Ok(Err(violation)) => {
            if let Some(violation) = violation {
                shared.traffic.violations.inc();
                tracing::debug!("a connection that is no MQTT was closed: {}", violation.reason);
                wire.farewell().await;
            }
            return;
        }
        Err(_) => {
            shared.traffic.silent.inc();
            return;
        }
    };
    let writer = Writer { version: connect.version, takes_reasons: connect.takes_reasons };
    // Passwords are checked one after the other, so a flood of wrong ones makes the others wait.
    let admitted = timeout(LOGIN_TIMEOUT, admit(&connect, writer, &shared, &mut wire)).await;
    let Some(session) = admitted.ok().flatten() else {
        wire.farewell().await;
        return;
    };
    shared.traffic.accepted.inc();
    shared.traffic.connections.inc();
    let (verdicts_in, verdicts) = mpsc::channel(usize::from(shared.limits.window));
    let mut connection = Connection {
        wire,
        writer,
        window: Window::new(usize::from(shared.limits.window)),
        shared,
        session,
        verdicts_in,
        verdicts,
        heard: Instant::now(),
        told: Told::default(),
    };
    let end = connection.run(&shutdown).await;
    connection.shared.traffic.connections.dec();
    connection.close(end).await;
}

/// Who a connection is, once it is accepted.
#[derive(Debug)]
struct Session {
    client_id: Box<str>,
    account: Option<Account>,
    seat: Seat,
    /// How long the client may be silent.
    patience: Duration,
}

/// Answers the CONNECT; none if it was refused.
async fn admit<S: AsyncRead + AsyncWrite + Unpin>(
    connect: &Connect,
    writer: Writer,
    shared: &Shared,
    wire: &mut Wire<S>,
) -> Option<Session> {
    let refuse = |welcome: Welcome, output: &mut BytesMut| {
        writer.connection_acknowledged(welcome, output);
        None
    };
    if connect.extended_authentication {
        return refuse(Welcome::BadAuthenticationMethod, &mut wire.output);
    }
    let version_4 = connect.version == wire::Version::V4;
    if version_4 && connect.client_id.is_empty() && !connect.clean {
        return refuse(Welcome::NoClientId, &mut wire.output);
    }
    let account = match &connect.login {
        Some((name, password)) => shared.users.authenticate(name, password).await,
        None => None,
    };
    if account.is_none() && !shared.users.is_empty() {
        shared.traffic.unauthenticated.inc();
        tracing::warn!(client.id = connect.client_id, "an MQTT client has no or a wrong password");
        return refuse(Welcome::BadLogin, &mut wire.output);
    }
    let assigned =
        connect.client_id.is_empty().then(|| format!("musubi-{:016x}", rand::random::<u64>()));
    let client_id = assigned.as_deref().unwrap_or(&connect.client_id).into();
    let limits = &shared.limits;
    let asked = Duration::from_secs(u64::from(connect.keep_alive));
    let promised = if asked.is_zero() { limits.idle } else { asked.min(limits.idle) };
    let terms = Terms {
        window: limits.window,
        max_packet: u32::try_from(limits.max_packet).unwrap_or(u32::MAX),
        keep_alive: (promised != asked)
            .then(|| u16::try_from(promised.as_secs()).unwrap_or(u16::MAX)),
        assigned_client_id: assigned.clone(),
    };
    writer.connection_acknowledged(Welcome::Accepted(terms), &mut wire.output);
    let user = account.as_ref().map(|account| account.name().into());
    let seat = shared.clients.take(Client { user, id: Box::clone(&client_id) });
    Some(Session { client_id, account, seat, patience: promised.mul_f64(1.5) })
}

struct Connection<S> {
    wire: Wire<S>,
    writer: Writer,
    window: Window,
    shared: Arc<Shared>,
    session: Session,
    verdicts_in: mpsc::Sender<(u64, Verdict)>,
    verdicts: mpsc::Receiver<(u64, Verdict)>,
    heard: Instant,
    /// What the log was told of this client, each once.
    told: Told,
}

#[derive(Default)]
struct Told {
    subscription: bool,
    forbidden: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self, shutdown: &CancellationToken) -> End {
        let shared = self.shared.clone();
        let mut silence = Box::pin(tokio::time::sleep(self.session.patience));
        let mut settled = Vec::new();
        loop {
            let mut entries = Vec::new();
            let progress = self.decode(&mut entries);
            shared.queue.put(entries).await;
            let flushed = self.wire.flush().await;
            if let Err(end) = progress.and(flushed.map_err(|_| End::Lost)) {
                return end;
            }
            let listening = !self.window.is_full();
            tokio::select! {
                biased;
                () = self.session.seat.taken_over() => {
                    shared.traffic.taken_over.inc();
                    return End::Told(Violation::new(
                        DisconnectReasonCode::SessionTakenOver,
                        "another connection has the same client identifier",
                    ));
                }
                () = shutdown.cancelled() => return self.drain().await,
                count = self.verdicts.recv_many(&mut settled, 256) => {
                    if count > 0 {
                        self.acknowledge(&mut settled);
                    }
                }
                read = self.wire.read(), if listening => match read {
                    Ok(0) | Err(_) => return End::Left,
                    Ok(_) => self.heard = Instant::now(),
                },
                () = &mut silence => {
                    if !listening {
                        // It is we who do not listen, so its silence says nothing.
                        self.heard = Instant::now();
                    }
                    let until = self.heard + self.session.patience;
                    if until <= Instant::now() {
                        shared.traffic.silent.inc();
                        return End::Told(Violation::new(
                            DisconnectReasonCode::KeepAliveTimeout,
                            "nothing came for one and a half times the keep-alive",
                        ));
                    }
                    silence.as_mut().reset(until);
                }
            }
        }
    }

    /// Reads what is there, as far as the window has room.
    fn decode(&mut self, entries: &mut Vec<Entry>) -> Result<(), End> {
        while !self.window.is_full() {
            let Some(frame) = self.wire.frame(self.shared.limits.max_packet)? else {
                return Ok(());
            };
            match wire::read(frame, self.writer.version)? {
                Incoming::Publish(publish) => self.published(publish, entries)?,
                Incoming::Subscribe { packet_id, filters } => {
                    if !std::mem::replace(&mut self.told.subscription, true) {
                        tracing::info!(
                            client.id = &*self.session.client_id,
                            "a subscription was refused: this endpoint sends no messages"
                        );
                    }
                    self.writer.subscribed(packet_id, filters, &mut self.wire.output);
                }
                Incoming::Unsubscribe { packet_id, filters } => {
                    self.writer.unsubscribed(packet_id, filters, &mut self.wire.output);
                }
                Incoming::PingRequest => Writer::ping_response(&mut self.wire.output),
                Incoming::Disconnect => return Err(End::Left),
                Incoming::Connect(_) => {
                    return Err(End::Told(Violation::new(
                        DisconnectReasonCode::ProtocolError,
                        "a connection has one CONNECT",
                    )));
                }
            }
        }
        Ok(())
    }

    fn published(&mut self, publish: Publish, entries: &mut Vec<Entry>) -> Result<(), End> {
        let traffic = &self.shared.traffic;
        let packet_id = match publish.quality {
            Quality::Zero => {
                traffic.at_most_once.inc();
                None
            }
            Quality::One(packet_id) => {
                traffic.at_least_once.inc();
                Some(packet_id)
            }
            Quality::Two => {
                return Err(End::Told(Violation::new(
                    DisconnectReasonCode::QoSNotSupported,
                    "this endpoint takes messages with quality of service 0 and 1",
                )));
            }
        };
        let account = self.session.account.as_ref();
        let forbidden = account.is_some_and(|account| !account.may_publish(&publish.topic));
        let place = packet_id.map(|packet_id| self.window.open(packet_id));
        if forbidden {
            traffic.unauthorized.inc();
            if !std::mem::replace(&mut self.told.forbidden, true) {
                tracing::warn!(
                    client.id = &*self.session.client_id,
                    user = account.map(Account::name),
                    "a message was refused: its topic is not one of the user's"
                );
            }
            if let Some(place) = place {
                self.window.settle(place, Verdict::Refused(NOT_YOURS.to_owned()));
                self.write_acknowledgements();
            }
            return Ok(());
        }
        let message = Message {
            topic: publish.topic.into(),
            payload: publish.payload,
            at: self.shared.clock.now(),
            // A client that asks for a message to be kept says it for the first time here.
            retained: false,
        };
        let reply = place.map(|place| Reply { place, to: self.verdicts_in.clone() });
        entries.push(Entry { message, reply });
        Ok(())
    }

    fn acknowledge(&mut self, settled: &mut Vec<(u64, Verdict)>) {
        for (place, verdict) in settled.drain(..) {
            self.window.settle(place, verdict);
        }
        self.write_acknowledgements();
    }

    fn write_acknowledgements(&mut self) {
        while let Some((packet_id, verdict)) = self.window.next_settled() {
            let refusal = match &verdict {
                Verdict::Refused(sentence) if sentence == NOT_YOURS => {
                    Some((PubAckReason::NotAuthorized, sentence.as_str()))
                }
                Verdict::Refused(sentence) | Verdict::Later(sentence) => {
                    Some((PubAckReason::ImplementationSpecificError, sentence.as_str()))
                }
                Verdict::Committed => None,
            };
            self.writer.published(packet_id, refusal, &mut self.wire.output);
            self.shared.traffic.acknowledged.inc();
        }
    }

    /// Listens no more, and acknowledges what was received.
    async fn drain(&mut self) -> End {
        let mut settled = Vec::new();
        while !self.window.is_empty() {
            if self.verdicts.recv_many(&mut settled, 256).await == 0 {
                break;
            }
            self.acknowledge(&mut settled);
            if self.wire.flush().await.is_err() {
                return End::Lost;
            }
        }
        End::Told(Violation::new(
            DisconnectReasonCode::ServerShuttingDown,
            "this endpoint is being shut down",
        ))
    }

    async fn close(mut self, end: End) {
        match end {
            End::Left | End::Lost => {}
            End::Told(violation) => {
                let expected = matches!(
                    violation.code,
                    DisconnectReasonCode::SessionTakenOver
                        | DisconnectReasonCode::ServerShuttingDown
                        | DisconnectReasonCode::KeepAliveTimeout
                );
                if !expected {
                    self.shared.traffic.violations.inc();
                }
                tracing::info!(
                    client.id = &*self.session.client_id,
                    "an MQTT connection was closed: {}",
                    violation.reason
                );
                self.writer.disconnect(&violation, &mut self.wire.output);
                self.wire.farewell().await;
            }
        }
    }
}

/// The reason that becomes the code of its own.
const NOT_YOURS: &str = "the topic is not one that this user may publish to";
