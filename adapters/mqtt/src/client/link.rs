//! One connection to a broker, whichever version of the protocol it speaks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::v5 as packets_v5;
use rumqttc::{TlsConfiguration, Transport, v5};

use super::{BrokerAddress, ClientOptions};

/// Requests that may wait to be sent. Acknowledgements beyond that are tried again.
const REQUESTS: usize = 1024;

/// The most bytes of a message.
const MAX_PACKET: u32 = 1024 * 1024;

/// The most messages that a broker of MQTT 5 may send without an acknowledgement.
const RECEIVE_MAXIMUM: u16 = 256;

/// How long a broker of MQTT 5 is asked to keep messages for a client that is away, in seconds:
/// a week. Of the older version a broker decides that itself.
const SESSION_EXPIRY: u32 = 7 * 24 * 3600;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V5,
}

/// What a connection has to say.
#[derive(Debug)]
pub(crate) enum Signal {
    /// It is there; the broker knows the subscriptions of before, or not.
    Connected { session: bool },
    /// A message; it wants an acknowledgement if it has a packet identifier.
    Message { topic: Arc<str>, payload: Bytes, retained: bool, packet_id: Option<u16> },
    /// The broker has answered a subscription; so many filters were refused.
    Subscribed { refused: usize },
    /// An acknowledgement has left, so there is room for another.
    Acknowledged,
    /// Our DISCONNECT has left.
    Disconnected,
    /// What is of no concern here.
    Other,
}

/// Why a connection ended or did not come about.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What happened, in a sentence.
    pub(crate) reason: String,
    /// Whether the broker may just not speak this version of the protocol.
    pub(crate) maybe_version: bool,
}

/// The side that receives. Nothing but [`poll`](Self::poll) drives the connection.
pub(crate) enum Link {
    V4(Box<rumqttc::EventLoop>),
    V5(Box<v5::EventLoop>),
}

/// The side that sends.
#[derive(Clone)]
pub(crate) enum Handle {
    V4(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

/// Prepares a connection; the first poll opens it.
pub(crate) fn open(options: &ClientOptions, version: Version) -> (Handle, Link) {
    let BrokerAddress { host, port, tls } = &options.broker;
    let transport = if *tls { Transport::tls_with_config(trust()) } else { Transport::tcp() };
    let keep_alive = Duration::from_secs(30);
    match version {
        Version::V4 => {
            let mut settings = rumqttc::MqttOptions::new(&options.client_id, host, *port);
            let largest = usize::try_from(MAX_PACKET).unwrap_or(usize::MAX);
            settings
                .set_transport(transport)
                .set_keep_alive(keep_alive)
                .set_clean_session(!options.keep_session)
                .set_manual_acks(true)
                .set_max_packet_size(largest, largest);
            if let Some((name, password)) = &options.login {
                settings.set_credentials(name, password);
            }
            let (client, events) = rumqttc::AsyncClient::new(settings, REQUESTS);
            (Handle::V4(client), Link::V4(Box::new(events)))
        }
        Version::V5 => {
            let mut settings = v5::MqttOptions::new(&options.client_id, host, *port);
            settings
                .set_transport(transport)
                .set_keep_alive(keep_alive)
                .set_clean_start(!options.keep_session)
                .set_session_expiry_interval(options.keep_session.then_some(SESSION_EXPIRY))
                .set_receive_maximum(Some(RECEIVE_MAXIMUM))
                .set_max_packet_size(Some(MAX_PACKET))
                // Nothing is published here, and room is reserved for all that could be.
                .set_outgoing_inflight_upper_limit(16)
                .set_manual_acks(true);
            if let Some((name, password)) = &options.login {
                settings.set_credentials(name, password);
            }
            let (client, events) = v5::AsyncClient::new(settings, REQUESTS);
            (Handle::V5(client), Link::V5(Box::new(events)))
        }
    }
}

/// Trust in the authorities that browsers trust.
fn trust() -> TlsConfiguration {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth());
    match config {
        Ok(config) => TlsConfiguration::Rustls(Arc::new(config)),
        // The provider has every version that is asked for; if it had not, connecting would say so.
        Err(_) => TlsConfiguration::Simple { ca: Vec::new(), alpn: None, client_auth: None },
    }
}

impl Link {
    /// What happens next. Opens the connection if there is none.
    pub(crate) async fn poll(&mut self) -> Result<Signal, Failure> {
        match self {
            Self::V4(events) => {
                events.poll().await.map(signal_v4).map_err(|error| failure_v4(&error))
            }
            Self::V5(events) => {
                events.poll().await.map(signal_v5).map_err(|error| failure_v5(&error))
            }
        }
    }

    /// Drops the connection and the acknowledgements that have not left.
    pub(crate) fn forget(&mut self) {
        match self {
            Self::V4(events) => events.clean(),
            Self::V5(events) => events.clean(),
        }
    }
}

impl Handle {
    /// Whether the acknowledgement could be put on its way.
    pub(crate) fn try_acknowledge(&self, packet_id: u16) -> bool {
        match self {
            Self::V4(client) => {
                let mut publish = rumqttc::Publish::new("", rumqttc::QoS::AtLeastOnce, Vec::new());
                publish.pkid = packet_id;
                client.try_ack(&publish).is_ok()
            }
            Self::V5(client) => {
                let qos = v5::mqttbytes::QoS::AtLeastOnce;
                let mut publish = packets_v5::Publish::new("", qos, Bytes::new(), None);
                publish.pkid = packet_id;
                client.try_ack(&publish).is_ok()
            }
        }
    }

    /// Whether the subscription could be put on its way.
    pub(crate) fn try_subscribe(&self, filters: &[String], at_least_once: bool) -> bool {
        match self {
            Self::V4(client) => {
                let qos = if at_least_once {
                    rumqttc::QoS::AtLeastOnce
                } else {
                    rumqttc::QoS::AtMostOnce
                };
                let wanted =
                    filters.iter().map(|path| rumqttc::SubscribeFilter::new(path.clone(), qos));
                client.try_subscribe_many(wanted).is_ok()
            }
            Self::V5(client) => {
                let qos = if at_least_once {
                    v5::mqttbytes::QoS::AtLeastOnce
                } else {
                    v5::mqttbytes::QoS::AtMostOnce
                };
                let wanted = filters.iter().map(|path| packets_v5::Filter {
                    // What the broker keeps is old news to a subscription that was there.
                    retain_forward_rule: packets_v5::RetainForwardRule::OnNewSubscribe,
                    ..packets_v5::Filter::new(path.clone(), qos)
                });
                client.try_subscribe_many(wanted).is_ok()
            }
        }
    }

    /// Says goodbye, if there is still room for it.
    pub(crate) fn try_disconnect(&self) {
        let _full = match self {
            Self::V4(client) => client.try_disconnect().is_ok(),
            Self::V5(client) => client.try_disconnect().is_ok(),
        };
    }
}

fn signal_v4(event: rumqttc::Event) -> Signal {
    use rumqttc::{Event, Outgoing, Packet, SubscribeReasonCode};
    match event {
        Event::Incoming(Packet::ConnAck(answer)) => {
            Signal::Connected { session: answer.session_present }
        }
        Event::Incoming(Packet::Publish(publish)) => Signal::Message {
            topic: publish.topic.into(),
            payload: publish.payload,
            retained: publish.retain,
            packet_id: (publish.pkid != 0).then_some(publish.pkid),
        },
        Event::Incoming(Packet::SubAck(answer)) => {
            let refused = |code: &&SubscribeReasonCode| **code == SubscribeReasonCode::Failure;
            Signal::Subscribed { refused: answer.return_codes.iter().filter(refused).count() }
        }
        Event::Outgoing(Outgoing::PubAck(_)) => Signal::Acknowledged,
        Event::Outgoing(Outgoing::Disconnect) => Signal::Disconnected,
        Event::Incoming(_) | Event::Outgoing(_) => Signal::Other,
    }
}

fn signal_v5(event: v5::Event) -> Signal {
    use packets_v5::{Packet, SubscribeReasonCode};
    use rumqttc::Outgoing;
    match event {
        v5::Event::Incoming(Packet::ConnAck(answer)) => {
            Signal::Connected { session: answer.session_present }
        }
        v5::Event::Incoming(Packet::Publish(publish)) => Signal::Message {
            // A broker that sends something else than UTF-8 violates the protocol; the mapping
            // will find no device of that name.
            topic: String::from_utf8_lossy(&publish.topic).into(),
            payload: publish.payload,
            retained: publish.retain,
            packet_id: (publish.pkid != 0).then_some(publish.pkid),
        },
        v5::Event::Incoming(Packet::SubAck(answer)) => {
            let refused =
                |code: &&SubscribeReasonCode| !matches!(code, SubscribeReasonCode::Success(_));
            Signal::Subscribed { refused: answer.return_codes.iter().filter(refused).count() }
        }
        v5::Event::Outgoing(Outgoing::PubAck(_)) => Signal::Acknowledged,
        v5::Event::Outgoing(Outgoing::Disconnect) => Signal::Disconnected,
        v5::Event::Incoming(_) | v5::Event::Outgoing(_) => Signal::Other,
    }
}

fn failure_v4(error: &rumqttc::ConnectionError) -> Failure {
    use rumqttc::{ConnectReturnCode, ConnectionError};
    let maybe_version = match error {
        ConnectionError::ConnectionRefused(code) => {
            *code == ConnectReturnCode::RefusedProtocolVersion
        }
        ConnectionError::MqttState(_) | ConnectionError::NotConnAck(_) => true,
        ConnectionError::NetworkTimeout
        | ConnectionError::FlushTimeout
        | ConnectionError::Tls(_)
        | ConnectionError::Io(_)
        | ConnectionError::RequestsDone => false,
    };
    Failure { reason: error.to_string(), maybe_version }
}

fn failure_v5(error: &v5::ConnectionError) -> Failure {
    use packets_v5::ConnectReturnCode;
    use v5::ConnectionError;
    let maybe_version = match error {
        ConnectionError::ConnectionRefused(code) => matches!(
            code,
            ConnectReturnCode::RefusedProtocolVersion
                | ConnectReturnCode::UnsupportedProtocolVersion
        ),
        ConnectionError::MqttState(_) | ConnectionError::NotConnAck(_) => true,
        ConnectionError::Timeout(_)
        | ConnectionError::Tls(_)
        | ConnectionError::Io(_)
        | ConnectionError::RequestsDone => false,
    };
    Failure { reason: error.to_string(), maybe_version }
}
