//! What is no MQTT ends its connection, and nothing else.

use proptest::prelude::*;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;
use tokio::io::AsyncWriteExt;

use crate::gate::{Gate, run};
use crate::raw::{Raw, acknowledged_v4, publish_v4};

#[tokio::test]
async fn what_is_no_connect_is_closed() {
    let gate = Gate::open();
    let running = run(&gate).await;
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01],
        &[0xC0, 0x00],
        &[0x30, 3, 0, 1, b't'],
        &[0x10, 0xFF, 0xFF, 0xFF, 0xFF],
        &[0x10, 0x00],
        &[0x10, 2, 0, 4],
    ] {
        let mut client = Raw::open(running.address).await;
        client.send(bytes).await;
        assert!(client.is_closed().await, "{bytes:?}");
    }
}

#[tokio::test]
async fn another_version_of_the_protocol_is_told_so() {
    let gate = Gate::open();
    let running = run(&gate).await;
    let mut client = Raw::open(running.address).await;
    client.send(&[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 3, 2, 0, 60, 0, 1, b'a']).await;
    let refused = v4::ConnAck::new(v4::ConnectReturnCode::RefusedProtocolVersion, false);
    assert_eq!(client.packet_v4().await, Some(v4::Packet::ConnAck(refused)));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_malformed_packet_ends_the_connection_and_mqtt_5_says_why() {
    let gate = Gate::open();
    let running = run(&gate).await;
    for (bytes, code) in [
        (&[0x30, 3, 0, 9, b't'][..], v5::DisconnectReasonCode::MalformedPacket),
        (&[0x30, 3, 0, 1, b't'], v5::DisconnectReasonCode::MalformedPacket),
        (&[0x30, 4, 0, 1, 0xFF, 0], v5::DisconnectReasonCode::MalformedPacket),
        (&[0x36, 6, 0, 1, b't', 0, 1, 0], v5::DisconnectReasonCode::MalformedPacket),
        (&[0x32, 6, 0, 1, b't', 0, 0, 0], v5::DisconnectReasonCode::MalformedPacket),
        (&[0x30, 4, 0, 1, b'+', 0], v5::DisconnectReasonCode::TopicNameInvalid),
        (&[0x40, 2, 0, 1], v5::DisconnectReasonCode::ProtocolError),
        (&[0xF0, 2, 0, 0], v5::DisconnectReasonCode::ProtocolError),
        (
            &[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0, 0, 0],
            v5::DisconnectReasonCode::ProtocolError,
        ),
    ] {
        let (mut client, _) = Raw::connected_v5(running.address, "a").await;
        client.send(bytes).await;
        let Some(v5::Packet::Disconnect(goodbye)) = client.packet_v5().await else {
            panic!("{bytes:?}")
        };
        assert_eq!(goodbye.reason_code, code, "{bytes:?}");
        assert_eq!(client.packet_v5().await, None);
    }
    assert!(running.traffic.violations.get() >= 9);
}

#[test]
fn random_bytes_end_a_connection_at_most_and_the_next_client_is_served() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let gate = Gate::open();
    let mut running = runtime.block_on(run(&gate));
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    let kinds = proptest::sample::select(vec![0x10_u8, 0x30, 0x32, 0x34, 0x82, 0xA2, 0xE0]);
    let packets = proptest::collection::vec((kinds, bytes), 1..4);
    proptest!(ProptestConfig::with_cases(96), |(packets in packets, connect in any::<bool>())| {
        runtime.block_on(async {
            let mut client = if connect {
                Raw::connected_v5(running.address, "random").await.0
            } else {
                Raw::open(running.address).await
            };
            let mut all = Vec::new();
            for (kind, body) in packets {
                all.push(kind);
                all.push(u8::try_from(body.len() & 0x7F).unwrap());
                all.extend(body);
            }
            // The other side may close while we write.
            let _ = client.stream.write_all(&all).await;
            let _ = client.stream.shutdown().await;
            client.closed().await;
            let mut next = Raw::connected_v4(running.address, "next").await;
            next.send_v4(&publish_v4("t", 1, "x")).await;
            prop_assert_eq!(next.packet_v4().await, Some(acknowledged_v4(1)));
            Ok(())
        })?;
    });
    runtime.block_on(async {
        running.shutdown.cancel();
        running.tasks.join_next().await.unwrap().unwrap();
    });
}
