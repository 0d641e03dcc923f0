//! What a client says, in either version of the protocol, as far as this endpoint listens to it.
//!
//! Frames are cut here and handed to the codec whole: what the codec then misses in a frame is a
//! mistake of the sender, never a reason to wait for more.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// MQTT 3.1.1, whose protocol level is 4.
    V4,
    /// MQTT 5.
    V5,
}

/// A packet of a client.
#[derive(Debug)]
pub(crate) enum Incoming {
    Connect(Box<Connect>),
    Publish(Publish),
    Subscribe { packet_id: u16, filters: usize },
    Unsubscribe { packet_id: u16, filters: usize },
    PingRequest,
    Disconnect,
}

/// What a client says of itself.
#[derive(Debug)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) client_id: String,
    /// Whether the client wants nothing kept from before.
    pub(crate) clean: bool,
    /// Seconds; 0 means that the client promises nothing.
    pub(crate) keep_alive: u16,
    pub(crate) login: Option<(String, String)>,
    /// Whether the client asks for another way of authentication than a password.
    pub(crate) extended_authentication: bool,
    /// Whether the client takes reasons as text beside the codes.
    pub(crate) takes_reasons: bool,
}

/// A message of a client.
#[derive(Debug)]
pub(crate) struct Publish {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) quality: Quality,
}

/// The quality of service that a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    /// 0: no acknowledgement.
    Zero,
    /// 1: an acknowledgement with the packet's identifier.
    One(u16),
    /// 2: which this endpoint does not have.
    Two,
}

/// Why a connection cannot go on, with the reason code of MQTT 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) code: v5::DisconnectReasonCode,
    pub(crate) reason: String,
}

impl Violation {
    pub(crate) fn new(code: v5::DisconnectReasonCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    fn malformed(reason: impl Into<String>) -> Self {
        Self::new(v5::DisconnectReasonCode::MalformedPacket, reason)
    }
}

/// The length of the first frame in `bytes`, once all of it is there.
pub(crate) fn frame_length(bytes: &[u8], max: usize) -> Result<Option<usize>, Violation> {
    let mut remaining = 0_usize;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        remaining |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let length = 2 + index + remaining;
            if length > max {
                return Err(Violation::new(
                    v5::DisconnectReasonCode::PacketTooLarge,
                    format!("a packet has at most {max} bytes, and this one has {length}"),
                ));
            }
            return Ok((bytes.len() >= length).then_some(length));
        }
    }
    if bytes.len() >= 5 {
        return Err(Violation::malformed("the length of a packet has at most four bytes"));
    }
    Ok(None)
}

/// The version that a CONNECT packet names, whatever else is in it.
pub(crate) fn version(frame: &[u8]) -> Result<Version, Violation> {
    let header = frame.iter().skip(1).position(|byte| byte & 0x80 == 0).map_or(0, |at| at + 2);
    let body = frame.get(header..).unwrap_or_default();
    if frame.first() != Some(&0x10) || !body.starts_with(b"\x00\x04MQTT") {
        return Err(Violation::new(
            v5::DisconnectReasonCode::ProtocolError,
            "the first packet is a CONNECT of MQTT 3.1.1 or 5",
        ));
    }
    match body.get(6) {
        Some(4) => Ok(Version::V4),
        Some(5) => Ok(Version::V5),
        _ => Err(Violation::new(
            v5::DisconnectReasonCode::ImplementationSpecificError,
            "this endpoint speaks MQTT 3.1.1 and 5",
        )),
    }
}

/// The packet in a whole frame.
pub(crate) fn read(frame: BytesMut, version: Version) -> Result<Incoming, Violation> {
    match frame.first().map(|byte| byte >> 4) {
        // The codec knows DISCONNECT only in some of its lengths; nothing in it is needed.
        Some(14) => Ok(Incoming::Disconnect),
        Some(12) => Ok(Incoming::PingRequest),
        Some(1 | 3 | 8 | 10) => match version {
            Version::V4 => read_v4(frame),
            Version::V5 => read_v5(frame),
        },
        _ => Err(Violation::new(
            v5::DisconnectReasonCode::ProtocolError,
            "this packet is not for this endpoint",
        )),
    }
}

fn read_v4(mut frame: BytesMut) -> Result<Incoming, Violation> {
    let packet = v4::Packet::read(&mut frame, usize::MAX)
        .map_err(|error| Violation::malformed(format!("{error:?}")))?;
    match packet {
        v4::Packet::Connect(connect) => Ok(Incoming::Connect(Box::new(Connect {
            version: Version::V4,
            client_id: connect.client_id,
            clean: connect.clean_session,
            keep_alive: connect.keep_alive,
            login: connect.login.map(|login| (login.username, login.password)),
            extended_authentication: false,
            takes_reasons: false,
        }))),
        v4::Packet::Publish(publish) => {
            let quality = match publish.qos {
                rumqttc::QoS::AtMostOnce => Quality::Zero,
                rumqttc::QoS::AtLeastOnce => Quality::One(publish.pkid),
                rumqttc::QoS::ExactlyOnce => Quality::Two,
            };
            published(publish.topic, &publish.payload, quality)
        }
        v4::Packet::Subscribe(subscribe) => {
            Ok(Incoming::Subscribe { packet_id: subscribe.pkid, filters: subscribe.filters.len() })
        }
        v4::Packet::Unsubscribe(unsubscribe) => Ok(Incoming::Unsubscribe {
            packet_id: unsubscribe.pkid,
            filters: unsubscribe.topics.len(),
        }),
        v4::Packet::ConnAck(_)
        | v4::Packet::PubAck(_)
        | v4::Packet::PubRec(_)
        | v4::Packet::PubRel(_)
        | v4::Packet::PubComp(_)
        | v4::Packet::SubAck(_)
        | v4::Packet::UnsubAck(_)
        | v4::Packet::PingReq
        | v4::Packet::PingResp
        | v4::Packet::Disconnect => Err(Violation::malformed("the packet is of another kind")),
    }
}

fn read_v5(mut frame: BytesMut) -> Result<Incoming, Violation> {
    let packet = v5::Packet::read(&mut frame, None)
        .map_err(|error| Violation::malformed(format!("{error:?}")))?;
    match packet {
        v5::Packet::Connect(connect, _, login) => {
            let properties = connect.properties.unwrap_or_default();
            Ok(Incoming::Connect(Box::new(Connect {
                version: Version::V5,
                client_id: connect.client_id,
                clean: connect.clean_start,
                keep_alive: connect.keep_alive,
                login: login.map(|login| (login.username, login.password)),
                extended_authentication: properties.authentication_method.is_some(),
                takes_reasons: properties.request_problem_info != Some(0),
            })))
        }
        v5::Packet::Publish(publish) => {
            if publish.properties.is_some_and(|properties| properties.topic_alias.is_some()) {
                return Err(Violation::new(
                    v5::DisconnectReasonCode::TopicAliasInvalid,
                    "this endpoint takes no topic aliases, as its CONNACK says",
                ));
            }
            let topic = String::from_utf8(publish.topic.to_vec())
                .map_err(|_| Violation::malformed("a topic is UTF-8 text"))?;
            let quality = match publish.qos {
                rumqttc::v5::mqttbytes::QoS::AtMostOnce => Quality::Zero,
                rumqttc::v5::mqttbytes::QoS::AtLeastOnce => Quality::One(publish.pkid),
                rumqttc::v5::mqttbytes::QoS::ExactlyOnce => Quality::Two,
            };
            published(topic, &publish.payload, quality)
        }
        v5::Packet::Subscribe(subscribe) => {
            Ok(Incoming::Subscribe { packet_id: subscribe.pkid, filters: subscribe.filters.len() })
        }
        v5::Packet::Unsubscribe(unsubscribe) => Ok(Incoming::Unsubscribe {
            packet_id: unsubscribe.pkid,
            filters: unsubscribe.filters.len(),
        }),
        v5::Packet::Auth(_)
        | v5::Packet::ConnAck(_)
        | v5::Packet::PubAck(_)
        | v5::Packet::PingReq(_)
        | v5::Packet::PingResp(_)
        | v5::Packet::SubAck(_)
        | v5::Packet::PubRec(_)
        | v5::Packet::PubRel(_)
        | v5::Packet::PubComp(_)
        | v5::Packet::UnsubAck(_)
        | v5::Packet::Disconnect(_) => Err(Violation::malformed("the packet is of another kind")),
    }
}

fn published(topic: String, payload: &[u8], quality: Quality) -> Result<Incoming, Violation> {
    if topic.is_empty() || topic.contains(['+', '#', '\0']) {
        return Err(Violation::new(
            v5::DisconnectReasonCode::TopicNameInvalid,
            "the topic of a message is not empty and holds no +, # or U+0000",
        ));
    }
    // A copy, because a slice would keep the whole read buffer alive as long as the message waits.
    let payload = Bytes::copy_from_slice(payload);
    Ok(Incoming::Publish(Publish { topic, payload, quality }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1024;

    #[test]
    fn a_frame_is_cut_only_when_all_of_it_is_there() {
        assert_eq!(frame_length(&[], MAX), Ok(None));
        assert_eq!(frame_length(&[0xC0], MAX), Ok(None));
        assert_eq!(frame_length(&[0xC0, 0], MAX), Ok(Some(2)));
        assert_eq!(frame_length(&[0x30, 3, 0, 1], MAX), Ok(None));
        assert_eq!(frame_length(&[0x30, 3, 0, 1, b'a', 0xC0], MAX), Ok(Some(5)));
        assert_eq!(frame_length(&[0x30, 0x80, 0x80], MAX), Ok(None));
    }

    #[test]
    fn a_frame_that_is_too_large_is_refused_before_it_is_there() {
        let violation = frame_length(&[0x30, 0xFF, 0x7F], MAX).unwrap_err();
        assert_eq!(violation.code, v5::DisconnectReasonCode::PacketTooLarge);
        let violation = frame_length(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], MAX).unwrap_err();
        assert_eq!(violation.code, v5::DisconnectReasonCode::MalformedPacket);
    }

    #[test]
    fn the_version_is_read_from_the_first_packet() {
        let connect =
            |level: u8| [&[0x10, 12, 0, 4][..], b"MQTT", &[level, 2, 0, 60, 0, 0]].concat();
        assert_eq!(version(&connect(4)), Ok(Version::V4));
        assert_eq!(version(&connect(5)), Ok(Version::V5));
        assert!(version(&connect(3)).is_err());
        assert!(version(b"GET / HTTP/1.1\r\n").is_err());
        assert!(version(&[]).is_err());
    }

    #[test]
    fn a_property_length_that_is_missing_is_a_mistake_and_no_reason_to_wait() {
        // PUBLISH of MQTT 5, topic "a", nothing behind it.
        let frame = BytesMut::from(&[0x30, 3, 0, 1, b'a'][..]);
        let violation = read(frame, Version::V5).unwrap_err();
        assert_eq!(violation.code, v5::DisconnectReasonCode::MalformedPacket);
    }

    #[test]
    fn a_disconnect_is_understood_in_each_of_its_lengths() {
        for bytes in [&[0xE0, 0][..], &[0xE0, 1, 0], &[0xE0, 2, 0, 0]] {
            for version in [Version::V4, Version::V5] {
                let packet = read(BytesMut::from(bytes), version).unwrap();
                assert!(matches!(packet, Incoming::Disconnect));
            }
        }
    }

    #[test]
    fn what_only_a_server_sends_is_refused() {
        for first in [0x20, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xD0, 0xF0, 0x00] {
            assert!(read(BytesMut::from(&[first, 2, 0, 1][..]), Version::V5).is_err());
        }
    }

    proptest! {
        #[test]
        fn random_frames_never_panic(
            first in any::<u8>(),
            body in proptest::collection::vec(any::<u8>(), 0..100),
            v5 in any::<bool>(),
        ) {
            let length = u8::try_from(body.len()).unwrap();
            let frame = BytesMut::from(&[&[first, length][..], &body].concat()[..]);
            let _ = frame_length(&frame, MAX);
            let _ = version(&frame);
            let _ = read(frame, if v5 { Version::V5 } else { Version::V4 });
        }

        #[test]
        fn damaged_packets_never_panic(at in 0_usize..60, byte in any::<u8>(), cut in 0_usize..60) {
            let mut out = BytesMut::new();
            let mut publish = v5::Publish::new(
                "/json/k/d/attrs",
                rumqttc::v5::mqttbytes::QoS::AtLeastOnce,
                "{\"t\":1}",
                Some(v5::PublishProperties {
                    user_properties: vec![("a".to_owned(), "b".to_owned())],
                    ..v5::PublishProperties::default()
                }),
            );
            publish.pkid = 7;
            publish.write(&mut out).unwrap();
            if let Some(place) = out.get_mut(at) {
                *place = byte;
            }
            out.truncate(out.len().saturating_sub(cut));
            if let Ok(Some(length)) = frame_length(&out, MAX) {
                let frame = out.split_to(length);
                let _ = read(frame.clone(), Version::V5);
                let _ = read(frame, Version::V4);
            }
        }
    }
}
