//! What the listener puts up with.

use std::time::Duration;

use musubi_adapter_mqtt::{Limits, Listener, ListenerOptions, Users};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;
use tokio::time::Instant;

use crate::gate::{Gate, run, run_with};
use crate::raw::{Raw, acknowledged_v4, connect_v5, publish_v4, publish_v5};

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_closed_after_one_and_a_half_times_its_keep_alive() {
    let gate = Gate::open();
    let running = run(&gate).await;
    let (mut client, _) = Raw::connected_v5(running.address, "a").await;
    let start = Instant::now();
    let Some(v5::Packet::Disconnect(goodbye)) = client.packet_v5().await else { panic!() };
    assert_eq!(goodbye.reason_code, v5::DisconnectReasonCode::KeepAliveTimeout);
    let silent = start.elapsed();
    assert!(silent >= Duration::from_secs(15) && silent < Duration::from_secs(17), "{silent:?}");
    assert_eq!(running.traffic.silent.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_connects_is_closed() {
    let gate = Gate::open();
    let running = run(&gate).await;
    let mut silent = Raw::open(running.address).await;
    assert!(silent.is_closed().await);
    let mut half = Raw::open(running.address).await;
    half.send(&[0x10, 40, 0, 4, b'M']).await;
    assert!(half.is_closed().await);
    assert_eq!(running.traffic.silent.get(), 2);
}

#[tokio::test]
async fn a_client_that_promises_no_keep_alive_is_told_one() {
    let gate = Gate::open();
    let limits = Limits { idle: Duration::from_mins(10), ..Limits::default() };
    let running = run_with(&gate, Users::default(), limits).await;
    let mut client = Raw::open(running.address).await;
    let connect = v5::Connect { keep_alive: 0, ..connect_v5("a") };
    client.send_v5(&v5::Packet::Connect(connect, None, None)).await;
    let Some(v5::Packet::ConnAck(answer)) = client.packet_v5().await else { panic!() };
    assert_eq!(answer.properties.and_then(|told| told.server_keep_alive), Some(600));
}

#[tokio::test]
async fn a_packet_that_is_too_large_ends_the_connection_before_it_is_read() {
    let gate = Gate::open();
    let limits = Limits { max_packet: 1024, ..Limits::default() };
    let running = run_with(&gate, Users::default(), limits).await;
    let (mut client, answer) = Raw::connected_v5(running.address, "a").await;
    assert_eq!(answer.properties.and_then(|told| told.max_packet_size), Some(1024));
    client.send_v5(&publish_v5("t", 1, &"x".repeat(900))).await;
    assert!(matches!(client.packet_v5().await, Some(v5::Packet::PubAck(_))));
    // The beginning of a packet of 268,435,455 bytes.
    client.send(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]).await;
    let Some(v5::Packet::Disconnect(goodbye)) = client.packet_v5().await else { panic!() };
    assert_eq!(goodbye.reason_code, v5::DisconnectReasonCode::PacketTooLarge);
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_the_next_one_after_a_leave_is_served() {
    let gate = Gate::open();
    let limits = Limits { max_connections: 1, ..Limits::default() };
    let running = run_with(&gate, Users::default(), limits).await;
    let mut first = Raw::connected_v4(running.address, "a").await;
    assert!(Raw::open(running.address).await.is_closed().await);
    assert_eq!(running.traffic.over_capacity.get(), 1);
    first.send_v4(&v4::Packet::Disconnect).await;
    assert!(first.is_closed().await);
    let mut second = loop {
        let mut raw = Raw::open(running.address).await;
        raw.send_v4(&v4::Packet::Connect(v4::Connect::new("b"))).await;
        // The place is free a moment after the socket is closed.
        if raw.packet_v4().await.is_some() {
            break raw;
        }
    };
    second.send_v4(&publish_v4("t", 1, "x")).await;
    assert_eq!(second.packet_v4().await, Some(acknowledged_v4(1)));
}

#[tokio::test]
async fn a_topic_alias_is_refused_as_announced() {
    let gate = Gate::open();
    let running = run(&gate).await;
    let (mut client, answer) = Raw::connected_v5(running.address, "a").await;
    assert_eq!(answer.properties.and_then(|told| told.topic_alias_max), None);
    let properties =
        v5::PublishProperties { topic_alias: Some(1), ..v5::PublishProperties::default() };
    let qos = rumqttc::v5::mqttbytes::QoS::AtMostOnce;
    let publish = v5::Publish::new("t", qos, "x", Some(properties));
    client.send_v5(&v5::Packet::Publish(publish)).await;
    let Some(v5::Packet::Disconnect(goodbye)) = client.packet_v5().await else { panic!() };
    assert_eq!(goodbye.reason_code, v5::DisconnectReasonCode::TopicAliasInvalid);
}

#[tokio::test]
async fn two_hundred_clients_that_send_at_once_are_all_acknowledged() {
    let gate = Gate::open();
    // Room for a few messages only, so that connections have to wait for each other.
    let limits = Limits { queue: 0, max_packet: 1024, ..Limits::default() };
    let running = run_with(&gate, Users::default(), limits).await;
    let mut clients = Vec::new();
    for number in 0..200 {
        let mut client = Raw::connected_v4(running.address, &format!("c{number}")).await;
        for id in 1..=5 {
            client.send_v4(&publish_v4("t", id, "x")).await;
        }
        clients.push(client);
    }
    for client in &mut clients {
        for id in 1..=5 {
            assert_eq!(client.packet_v4().await, Some(acknowledged_v4(id)));
        }
    }
    assert_eq!(gate.taken(1000).await.len(), 1000);
}

#[tokio::test]
async fn without_users_only_a_loopback_address_is_listened_on() {
    let options = ListenerOptions::open("0.0.0.0:0".parse().unwrap());
    let error = Listener::bind(options, Gate::open()).await.unwrap_err();
    assert!(error.to_string().contains("[mqtt.users]"), "{error}");
}
