//! The packets of both versions of the protocol, as far as a client needs them that only
//! publishes.

use bytes::BytesMut;
use rumqttc::mqttbytes::{self, v4};
use rumqttc::v5::mqttbytes as mqttbytes5;
use rumqttc::v5::mqttbytes::v5;

use crate::subscription::notifier_info::{MqttQos, MqttVersion};
use crate::transport::failure::Failure;
use crate::transport::mqtt::links::Message;

/// The largest packet that a broker may send, in bytes. It has nothing to say but acknowledgements.
const MAX_INCOMING: u32 = 64 * 1024;

/// What a broker says.
#[derive(Debug)]
pub(super) enum Heard {
    /// The answer to CONNECT.
    Connected(Result<Limits, Failure>),
    /// PUBACK.
    Acknowledged(u16, Result<(), Failure>),
    /// PUBREC.
    Received(u16, Result<(), Failure>),
    /// PUBCOMP.
    Completed(u16, Result<(), Failure>),
    /// DISCONNECT.
    Goodbye(String),
    /// What is of no concern here.
    Other,
}

/// What a broker takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Messages without an acknowledgement.
    pub(super) unacknowledged: u16,
    /// Bytes of a packet; none if it does not say.
    pub(super) packet: Option<u32>,
    pub(super) qos: MqttQos,
    /// Seconds after which it expects to have heard something.
    pub(super) keep_alive: u16,
}

/// As whom a connection is opened.
#[derive(Debug)]
pub(super) struct Hello<'a> {
    pub(super) client_id: String,
    pub(super) login: Option<(&'a str, &'a str)>,
    /// Seconds.
    pub(super) keep_alive: u16,
}

/// Packets that carry nothing but their kind and a number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Short {
    /// PUBREL.
    Release(u16),
    /// PINGREQ.
    Ping,
    /// DISCONNECT.
    Goodbye,
}

/// Writes CONNECT.
pub(super) fn connect(version: MqttVersion, hello: Hello<'_>, out: &mut BytesMut) -> Option<()> {
    let Hello { client_id, login, keep_alive } = hello;
    match version {
        MqttVersion::V3 => {
            let login = login.map(|(user, password)| v4::Login::new(user, password));
            let base = v4::Connect::new(client_id);
            let packet = v4::Connect { keep_alive, login, ..base };
            v4::Packet::Connect(packet).write(out, usize::MAX).ok()?;
        }
        MqttVersion::V5 => {
            let login = login.map(|(user, password)| v5::Login::new(user, password));
            let packet = v5::Connect { keep_alive, client_id, clean_start: true, properties: None };
            v5::Packet::Connect(packet, None, login).write(out, None).ok()?;
        }
    }
    Some(())
}

/// Writes PUBLISH. `id` is 0 for quality of service 0, and for no other.
pub(super) fn publish(
    version: MqttVersion,
    message: &Message,
    id: u16,
    limit: Option<u32>,
    out: &mut BytesMut,
) -> Result<(), Failure> {
    let before = out.len();
    let written = match version {
        MqttVersion::V3 => {
            let qos = match message.qos {
                MqttQos::AtMostOnce => mqttbytes::QoS::AtMostOnce,
                MqttQos::AtLeastOnce => mqttbytes::QoS::AtLeastOnce,
                MqttQos::ExactlyOnce => mqttbytes::QoS::ExactlyOnce,
            };
            let base = v4::Publish::from_bytes(&*message.topic, qos, message.payload.clone());
            let packet = v4::Packet::Publish(v4::Publish { pkid: id, ..base });
            packet.write(out, usize::MAX).map_err(|error| error.to_string())
        }
        MqttVersion::V5 => {
            let qos = match message.qos {
                MqttQos::AtMostOnce => mqttbytes5::QoS::AtMostOnce,
                MqttQos::AtLeastOnce => mqttbytes5::QoS::AtLeastOnce,
                MqttQos::ExactlyOnce => mqttbytes5::QoS::ExactlyOnce,
            };
            let base = v5::Publish::new(&*message.topic, qos, message.payload.clone(), None);
            let packet = v5::Packet::Publish(v5::Publish { pkid: id, ..base });
            packet.write(out, limit).map_err(|error| error.to_string())
        }
    };
    match written {
        Ok(_) => Ok(()),
        Err(error) => {
            out.truncate(before);
            Err(Failure::refused(format!("the message cannot be sent: {error}")))
        }
    }
}

/// Writes one of the short packets.
pub(super) fn short(version: MqttVersion, packet: Short, out: &mut BytesMut) {
    // None of them can be too large for anything.
    match version {
        MqttVersion::V3 => {
            let packet = match packet {
                Short::Release(id) => v4::Packet::PubRel(v4::PubRel::new(id)),
                Short::Ping => v4::Packet::PingReq,
                Short::Goodbye => v4::Packet::Disconnect,
            };
            drop(packet.write(out, usize::MAX));
        }
        MqttVersion::V5 => {
            let packet = match packet {
                Short::Release(id) => v5::Packet::PubRel(v5::PubRel::new(id, None)),
                Short::Ping => v5::Packet::PingReq(v5::PingReq),
                Short::Goodbye => v5::Packet::Disconnect(v5::Disconnect::new(
                    v5::DisconnectReasonCode::NormalDisconnection,
                )),
            };
            drop(packet.write(out, None));
        }
    }
}

/// Takes the first packet out of what has come in; none if it is not complete yet.
pub(super) fn read(version: MqttVersion, incoming: &mut BytesMut) -> Result<Option<Heard>, String> {
    let before = incoming.len();
    let (heard, missing) = match version {
        MqttVersion::V3 => {
            let largest = usize::try_from(MAX_INCOMING).unwrap_or(usize::MAX);
            let read = v4::Packet::read(incoming, largest);
            let missing = matches!(read, Err(mqttbytes::Error::InsufficientBytes(_)));
            (read.map(heard_v4).map_err(|error| error.to_string()), missing)
        }
        MqttVersion::V5 => {
            let read = v5::Packet::read(incoming, Some(MAX_INCOMING));
            let missing = matches!(read, Err(mqttbytes5::Error::InsufficientBytes(_)));
            (read.map(heard_v5).map_err(|error| error.to_string()), missing)
        }
    };
    // A packet that was taken out and found too short for itself will not become longer.
    if missing && incoming.len() == before {
        return Ok(None);
    }
    heard.map(Some).map_err(|error| format!("the broker sent what is no packet: {error}"))
}

fn heard_v4(packet: v4::Packet) -> Heard {
    use v4::{ConnectReturnCode as Code, Packet};
    match packet {
        Packet::ConnAck(answer) => Heard::Connected(match answer.code {
            Code::Success => Ok(Limits {
                unacknowledged: u16::MAX,
                packet: None,
                qos: MqttQos::ExactlyOnce,
                keep_alive: u16::MAX,
            }),
            Code::ServiceUnavailable => Err(unwelcome(answer.code, Failure::passing)),
            Code::RefusedProtocolVersion
            | Code::BadClientId
            | Code::BadUserNamePassword
            | Code::NotAuthorized => Err(unwelcome(answer.code, Failure::refused)),
        }),
        Packet::PubAck(answer) => Heard::Acknowledged(answer.pkid, Ok(())),
        Packet::PubRec(answer) => Heard::Received(answer.pkid, Ok(())),
        Packet::PubComp(answer) => Heard::Completed(answer.pkid, Ok(())),
        Packet::Connect(_)
        | Packet::Publish(_)
        | Packet::PubRel(_)
        | Packet::Subscribe(_)
        | Packet::SubAck(_)
        | Packet::Unsubscribe(_)
        | Packet::UnsubAck(_)
        | Packet::PingReq
        | Packet::PingResp
        | Packet::Disconnect => Heard::Other,
    }
}

fn heard_v5(packet: v5::Packet) -> Heard {
    use v5::{Packet, PubAckReason, PubCompReason, PubRecReason};
    match packet {
        Packet::ConnAck(answer) => Heard::Connected(welcome_v5(&answer)),
        Packet::PubAck(answer) => {
            let result = match answer.reason {
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
                PubAckReason::QuotaExceeded | PubAckReason::PacketIdentifierInUse => {
                    Err(unwanted(answer.reason, Failure::passing))
                }
                PubAckReason::UnspecifiedError
                | PubAckReason::ImplementationSpecificError
                | PubAckReason::NotAuthorized
                | PubAckReason::TopicNameInvalid
                | PubAckReason::PayloadFormatInvalid => {
                    Err(unwanted(answer.reason, Failure::refused))
                }
            };
            Heard::Acknowledged(answer.pkid, result)
        }
        Packet::PubRec(answer) => {
            let result = match answer.reason {
                PubRecReason::Success | PubRecReason::NoMatchingSubscribers => Ok(()),
                PubRecReason::QuotaExceeded | PubRecReason::PacketIdentifierInUse => {
                    Err(unwanted(answer.reason, Failure::passing))
                }
                PubRecReason::UnspecifiedError
                | PubRecReason::ImplementationSpecificError
                | PubRecReason::NotAuthorized
                | PubRecReason::TopicNameInvalid
                | PubRecReason::PayloadFormatInvalid => {
                    Err(unwanted(answer.reason, Failure::refused))
                }
            };
            Heard::Received(answer.pkid, result)
        }
        Packet::PubComp(answer) => {
            let result = match answer.reason {
                PubCompReason::Success => Ok(()),
                PubCompReason::PacketIdentifierNotFound => {
                    Err(unwanted(answer.reason, Failure::passing))
                }
            };
            Heard::Completed(answer.pkid, result)
        }
        Packet::Disconnect(answer) => Heard::Goodbye(format!("{:?}", answer.reason_code)),
        Packet::Auth(_)
        | Packet::Connect(..)
        | Packet::Publish(_)
        | Packet::PubRel(_)
        | Packet::Subscribe(_)
        | Packet::SubAck(_)
        | Packet::Unsubscribe(_)
        | Packet::UnsubAck(_)
        | Packet::PingReq(_)
        | Packet::PingResp(_) => Heard::Other,
    }
}

fn welcome_v5(answer: &v5::ConnAck) -> Result<Limits, Failure> {
    use v5::ConnectReturnCode as Code;
    match answer.code {
        Code::Success => {
            let said = answer.properties.as_ref();
            Ok(Limits {
                unacknowledged: said.and_then(|it| it.receive_max).unwrap_or(u16::MAX).max(1),
                packet: said.and_then(|it| it.max_packet_size),
                qos: match said.and_then(|it| it.max_qos) {
                    Some(0) => MqttQos::AtMostOnce,
                    Some(1) => MqttQos::AtLeastOnce,
                    Some(_) | None => MqttQos::ExactlyOnce,
                },
                keep_alive: said.and_then(|it| it.server_keep_alive).unwrap_or(u16::MAX),
            })
        }
        Code::ServiceUnavailable
        | Code::UnspecifiedError
        | Code::ServerUnavailable
        | Code::ServerBusy
        | Code::QuotaExceeded
        | Code::UseAnotherServer
        | Code::ConnectionRateExceeded => Err(unwelcome(answer.code, Failure::passing)),
        Code::RefusedProtocolVersion
        | Code::BadClientId
        | Code::MalformedPacket
        | Code::ProtocolError
        | Code::ImplementationSpecificError
        | Code::UnsupportedProtocolVersion
        | Code::ClientIdentifierNotValid
        | Code::BadUserNamePassword
        | Code::NotAuthorized
        | Code::Banned
        | Code::BadAuthenticationMethod
        | Code::TopicNameInvalid
        | Code::PacketTooLarge
        | Code::PayloadFormatInvalid
        | Code::RetainNotSupported
        | Code::QoSNotSupported
        | Code::ServerMoved => Err(unwelcome(answer.code, Failure::refused)),
    }
}

fn unwelcome(code: impl std::fmt::Debug, kind: fn(String) -> Failure) -> Failure {
    kind(format!("the broker refused the connection: {code:?}"))
}

fn unwanted(reason: impl std::fmt::Debug, kind: fn(String) -> Failure) -> Failure {
    kind(format!("the broker refused the message: {reason:?}"))
}
