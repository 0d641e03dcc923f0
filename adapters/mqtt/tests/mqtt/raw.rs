//! A client that writes and reads single packets.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    input: BytesMut,
}

impl Raw {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), input: BytesMut::new() }
    }

    /// Connects by MQTT 3.1.1, and has been accepted.
    pub(crate) async fn connected_v4(address: SocketAddr, client_id: &str) -> Self {
        let mut raw = Self::open(address).await;
        raw.send_v4(&v4::Packet::Connect(v4::Connect::new(client_id))).await;
        let accepted = v4::ConnAck::new(v4::ConnectReturnCode::Success, false);
        assert_eq!(raw.packet_v4().await, Some(v4::Packet::ConnAck(accepted)));
        raw
    }

    /// Connects by MQTT 5, and has been accepted.
    pub(crate) async fn connected_v5(address: SocketAddr, client_id: &str) -> (Self, v5::ConnAck) {
        let mut raw = Self::open(address).await;
        raw.send_v5(&v5::Packet::Connect(connect_v5(client_id), None, None)).await;
        match raw.packet_v5().await {
            Some(v5::Packet::ConnAck(answer)) => {
                assert_eq!(answer.code, v5::ConnectReturnCode::Success);
                (raw, answer)
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn send_v4(&mut self, packet: &v4::Packet) {
        let mut out = BytesMut::new();
        packet.write(&mut out, usize::MAX).unwrap();
        self.send(&out).await;
    }

    pub(crate) async fn send_v5(&mut self, packet: &v5::Packet) {
        let mut out = BytesMut::new();
        packet.write(&mut out, None).unwrap();
        self.send(&out).await;
    }

    /// The next packet; none once the other side has closed.
    pub(crate) async fn packet_v4(&mut self) -> Option<v4::Packet> {
        loop {
            match v4::Packet::read(&mut self.input, usize::MAX) {
                Ok(packet) => return Some(packet),
                Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The next packet; none once the other side has closed.
    pub(crate) async fn packet_v5(&mut self) -> Option<v5::Packet> {
        loop {
            match v5::Packet::read(&mut self.input, None) {
                Ok(packet) => return Some(packet),
                Err(rumqttc::v5::mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Reads until the other side closes.
    pub(crate) async fn closed(&mut self) {
        while self.stream.read_buf(&mut self.input).await.unwrap_or(0) > 0 {}
    }

    /// Whether the other side closes before it says anything more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.input.is_empty() && self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0
    }
}

pub(crate) fn connect_v5(client_id: &str) -> v5::Connect {
    v5::Connect {
        keep_alive: 10,
        client_id: client_id.to_owned(),
        clean_start: true,
        properties: None,
    }
}

/// A message with quality of service 1, or 0 if the identifier is 0.
pub(crate) fn publish_v4(topic: &str, packet_id: u16, payload: &str) -> v4::Packet {
    let qos = if packet_id == 0 { rumqttc::QoS::AtMostOnce } else { rumqttc::QoS::AtLeastOnce };
    let mut publish = v4::Publish::new(topic, qos, payload);
    publish.pkid = packet_id;
    v4::Packet::Publish(publish)
}

/// A message with quality of service 1, or 0 if the identifier is 0.
pub(crate) fn publish_v5(topic: &str, packet_id: u16, payload: &str) -> v5::Packet {
    use rumqttc::v5::mqttbytes::QoS;
    let qos = if packet_id == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    let mut publish = v5::Publish::new(topic, qos, payload, None);
    publish.pkid = packet_id;
    v5::Packet::Publish(publish)
}

pub(crate) fn acknowledged_v4(packet_id: u16) -> v4::Packet {
    v4::Packet::PubAck(v4::PubAck::new(packet_id))
}

pub(crate) fn acknowledged_v5(packet_id: u16) -> v5::Packet {
    v5::Packet::PubAck(v5::PubAck::new(packet_id, None))
}
