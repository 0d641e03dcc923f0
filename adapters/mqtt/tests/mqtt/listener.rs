//! When and in which order the listener acknowledges.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_adapter_mqtt::{Ingest, Limits, Listener, ListenerOptions, Message, Users, Verdict};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, run, run_with};
use crate::raw::{Raw, acknowledged_v4, acknowledged_v5, publish_v4, publish_v5};

#[tokio::test]
async fn no_acknowledgement_leaves_before_the_verdict_v4() {
    let gate = Gate::closed();
    let running = run(&gate).await;
    let mut client = Raw::connected_v4(running.address, "a").await;
    for id in 1..=3 {
        client.send_v4(&publish_v4("/json/k/d/attrs", id, &id.to_string())).await;
    }
    gate.seen(1).await;
    // Packets are answered in order, so an early PUBACK would come before this.
    client.send_v4(&v4::Packet::PingReq).await;
    assert_eq!(client.packet_v4().await, Some(v4::Packet::PingResp));
    assert_eq!(running.traffic.acknowledged.get(), 0);
    gate.let_through(3);
    for id in 1..=3 {
        assert_eq!(client.packet_v4().await, Some(acknowledged_v4(id)));
    }
    assert_eq!(gate.taken(3).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn no_acknowledgement_leaves_before_the_verdict_v5() {
    let gate = Gate::closed();
    let running = run(&gate).await;
    let (mut client, answer) = Raw::connected_v5(running.address, "a").await;
    let properties = answer.properties.unwrap();
    assert_eq!(properties.receive_max, Some(256));
    assert_eq!(properties.max_qos, Some(1));
    for id in [7, 3, 9] {
        client.send_v5(&publish_v5("/json/k/d/attrs", id, &id.to_string())).await;
    }
    gate.seen(1).await;
    client.send_v5(&v5::Packet::PingReq(v5::PingReq)).await;
    assert_eq!(client.packet_v5().await, Some(v5::Packet::PingResp(v5::PingResp)));
    gate.let_through(3);
    for id in [7, 3, 9] {
        assert_eq!(client.packet_v5().await, Some(acknowledged_v5(id)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_now_is_offered_again_and_acknowledged_in_order() {
    let gate = Gate::open();
    for _ in 0..3 {
        gate.answer("1", Verdict::Later("the store is away".to_owned()));
    }
    let running = run(&gate).await;
    let mut client = Raw::connected_v4(running.address, "a").await;
    for id in 1..=3 {
        client.send_v4(&publish_v4("t", id, &id.to_string())).await;
    }
    for id in 1..=3 {
        assert_eq!(client.packet_v4().await, Some(acknowledged_v4(id)));
    }
    let mut taken = gate.taken(3).await;
    taken.sort();
    assert_eq!(taken, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_refused_message_is_acknowledged_and_mqtt_5_says_why() {
    let gate = Gate::open();
    gate.answer("bad", Verdict::Refused("no device of this name".to_owned()));
    gate.answer("bad", Verdict::Refused("no device of this name".to_owned()));
    let running = run(&gate).await;
    let mut old = Raw::connected_v4(running.address, "old").await;
    old.send_v4(&publish_v4("t", 1, "bad")).await;
    assert_eq!(old.packet_v4().await, Some(acknowledged_v4(1)));
    let (mut new, _) = Raw::connected_v5(running.address, "new").await;
    new.send_v5(&publish_v5("t", 1, "bad")).await;
    let Some(v5::Packet::PubAck(answer)) = new.packet_v5().await else { panic!() };
    assert_eq!(answer.reason, v5::PubAckReason::ImplementationSpecificError);
    let reason = answer.properties.and_then(|properties| properties.reason_string);
    assert_eq!(reason.as_deref(), Some("no device of this name"));
    assert_eq!(running.traffic.refused.get(), 2);
}

#[tokio::test]
async fn a_full_window_is_not_read_from_until_there_is_room() {
    let gate = Gate::closed();
    let limits = Limits { window: 4, ..Limits::default() };
    let running = run_with(&gate, Users::default(), limits).await;
    let mut client = Raw::connected_v4(running.address, "a").await;
    let mut all = bytes::BytesMut::new();
    for id in 1..=10 {
        publish_v4("t", id, &id.to_string()).write(&mut all, usize::MAX).unwrap();
    }
    client.send(&all).await;
    gate.seen(4).await;
    assert_eq!(running.traffic.at_least_once.get(), 4);
    gate.let_through(4);
    for id in 1..=4 {
        assert_eq!(client.packet_v4().await, Some(acknowledged_v4(id)));
    }
    gate.seen(8).await;
    assert!(running.traffic.at_least_once.get() <= 8);
    gate.let_through(6);
    for id in 5..=10 {
        assert_eq!(client.packet_v4().await, Some(acknowledged_v4(id)));
    }
}

#[tokio::test]
async fn messages_that_nobody_wants_acknowledged_arrive_in_order_too() {
    let gate = Gate::open();
    let running = run(&gate).await;
    let mut client = Raw::connected_v4(running.address, "a").await;
    for number in 0..100 {
        let id = if number % 3 == 0 { 0 } else { number };
        client.send_v4(&publish_v4("t", id, &number.to_string())).await;
    }
    client.send_v4(&v4::Packet::Disconnect).await;
    let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(gate.taken(100).await, expected);
}

#[tokio::test]
async fn a_subscription_is_answered_with_a_failure_and_the_client_stays() {
    let gate = Gate::open();
    let running = run(&gate).await;
    let mut old = Raw::connected_v4(running.address, "old").await;
    let filter = |path: &str| v4::SubscribeFilter::new(path.to_owned(), rumqttc::QoS::AtLeastOnce);
    let mut subscribe = v4::Subscribe::new_many([filter("#"), filter("a/+")]);
    subscribe.pkid = 5;
    old.send_v4(&v4::Packet::Subscribe(subscribe)).await;
    let failures = vec![v4::SubscribeReasonCode::Failure; 2];
    let answer = v4::Packet::SubAck(v4::SubAck::new(5, failures));
    assert_eq!(old.packet_v4().await, Some(answer));
    let mut unsubscribe = v4::Unsubscribe::new("#");
    unsubscribe.pkid = 6;
    old.send_v4(&v4::Packet::Unsubscribe(unsubscribe)).await;
    assert_eq!(old.packet_v4().await, Some(v4::Packet::UnsubAck(v4::UnsubAck::new(6))));
    old.send_v4(&publish_v4("t", 1, "x")).await;
    assert_eq!(old.packet_v4().await, Some(acknowledged_v4(1)));

    let (mut new, _) = Raw::connected_v5(running.address, "new").await;
    let filter = v5::Filter::new("#", rumqttc::v5::mqttbytes::QoS::AtLeastOnce);
    let mut subscribe = v5::Subscribe::new(filter, None);
    subscribe.pkid = 5;
    new.send_v5(&v5::Packet::Subscribe(subscribe)).await;
    let Some(v5::Packet::SubAck(answer)) = new.packet_v5().await else { panic!() };
    assert_eq!(answer.return_codes, [v5::SubscribeReasonCode::ImplementationSpecific]);
    new.send_v5(&publish_v5("t", 1, "x")).await;
    assert_eq!(new.packet_v5().await, Some(acknowledged_v5(1)));
}

#[tokio::test]
async fn a_message_with_quality_2_ends_the_connection_and_mqtt_5_says_why() {
    let gate = Gate::open();
    let running = run(&gate).await;
    let (mut new, _) = Raw::connected_v5(running.address, "new").await;
    let mut publish = v5::Publish::new("t", rumqttc::v5::mqttbytes::QoS::ExactlyOnce, "x", None);
    publish.pkid = 1;
    new.send_v5(&v5::Packet::Publish(publish)).await;
    let Some(v5::Packet::Disconnect(goodbye)) = new.packet_v5().await else { panic!() };
    assert_eq!(goodbye.reason_code, v5::DisconnectReasonCode::QoSNotSupported);
    let mut old = Raw::connected_v4(running.address, "old").await;
    let mut publish = v4::Publish::new("t", rumqttc::QoS::ExactlyOnce, "x");
    publish.pkid = 1;
    old.send_v4(&v4::Packet::Publish(publish)).await;
    assert_eq!(old.packet_v4().await, None);
}

#[tokio::test]
async fn a_will_is_accepted_and_ignored_and_a_retained_message_is_a_message() {
    let gate = Gate::open();
    let running = run(&gate).await;
    let mut client = Raw::open(running.address).await;
    let mut connect = v4::Connect::new("a");
    connect.last_will = Some(v4::LastWill::new("will", "gone", rumqttc::QoS::AtLeastOnce, true));
    client.send_v4(&v4::Packet::Connect(connect)).await;
    assert!(matches!(client.packet_v4().await, Some(v4::Packet::ConnAck(_))));
    let mut publish = v4::Publish::new("t", rumqttc::QoS::AtLeastOnce, "kept");
    publish.pkid = 1;
    publish.retain = true;
    client.send_v4(&v4::Packet::Publish(publish)).await;
    assert_eq!(client.packet_v4().await, Some(acknowledged_v4(1)));
    drop(client);
    let mut next = Raw::connected_v4(running.address, "b").await;
    next.send_v4(&publish_v4("t", 1, "next")).await;
    assert_eq!(next.packet_v4().await, Some(acknowledged_v4(1)));
    let seen = gate.seen(2).await;
    assert!(seen.iter().all(|message| &*message.topic == "t" && !message.retained));
}

#[tokio::test]
async fn a_second_connection_with_the_same_client_identifier_ends_the_first() {
    let gate = Gate::open();
    let running = run(&gate).await;
    let (mut first, _) = Raw::connected_v5(running.address, "a").await;
    let (mut second, _) = Raw::connected_v5(running.address, "a").await;
    let Some(v5::Packet::Disconnect(goodbye)) = first.packet_v5().await else { panic!() };
    assert_eq!(goodbye.reason_code, v5::DisconnectReasonCode::SessionTakenOver);
    let mut third = Raw::connected_v4(running.address, "a").await;
    assert!(matches!(second.packet_v5().await, Some(v5::Packet::Disconnect(_))));
    third.send_v4(&publish_v4("t", 1, "x")).await;
    assert_eq!(third.packet_v4().await, Some(acknowledged_v4(1)));
    assert_eq!(running.traffic.taken_over.get(), 2);
}

#[tokio::test]
async fn a_client_without_an_identifier_gets_one() {
    let gate = Gate::open();
    let running = run(&gate).await;
    let (_one, answer) = Raw::connected_v5(running.address, "").await;
    let one = answer.properties.and_then(|properties| properties.assigned_client_identifier);
    let (_other, answer) = Raw::connected_v5(running.address, "").await;
    let other = answer.properties.and_then(|properties| properties.assigned_client_identifier);
    assert!(one.is_some() && other.is_some() && one != other);
    let mut old = Raw::open(running.address).await;
    let mut connect = v4::Connect::new("");
    connect.clean_session = false;
    old.send_v4(&v4::Packet::Connect(connect)).await;
    let refused = v4::ConnAck::new(v4::ConnectReturnCode::BadClientId, false);
    assert_eq!(old.packet_v4().await, Some(v4::Packet::ConnAck(refused)));
}

/// A place with a bug.
#[derive(Debug)]
struct Panics;

impl Ingest for Panics {
    fn ingest<'a>(&'a self, _messages: &'a [Message]) -> BoxFuture<'a, Vec<Verdict>> {
        async { panic!("this panic is part of the test") }.boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_whose_messages_nobody_takes_any_more_ends_without_an_acknowledgement() {
    let options = ListenerOptions::open("127.0.0.1:0".parse().unwrap());
    let listener = Listener::bind(options, Arc::new(Panics)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(listener.run(CancellationToken::new()));
    let mut client = Raw::connected_v4(address, "a").await;
    client.send_v4(&publish_v4("t", 1, "x")).await;
    assert_eq!(client.packet_v4().await, None);
    tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shutdown_acknowledges_what_was_received_and_says_goodbye() {
    let gate = Gate::closed();
    let mut running = run(&gate).await;
    let (mut client, _) = Raw::connected_v5(running.address, "a").await;
    client.send_v5(&publish_v5("t", 1, "x")).await;
    client.send_v5(&publish_v5("t", 0, "y")).await;
    gate.seen(1).await;
    client.send_v5(&v5::Packet::PingReq(v5::PingReq)).await;
    assert!(matches!(client.packet_v5().await, Some(v5::Packet::PingResp(_))));
    running.shutdown.cancel();
    gate.let_through(2);
    assert_eq!(client.packet_v5().await, Some(acknowledged_v5(1)));
    let Some(v5::Packet::Disconnect(goodbye)) = client.packet_v5().await else { panic!() };
    assert_eq!(goodbye.reason_code, v5::DisconnectReasonCode::ServerShuttingDown);
    drop(client);
    running.tasks.join_next().await.unwrap().unwrap();
    assert_eq!(gate.taken(2).await, ["x", "y"]);
    assert_eq!(running.traffic.connections.get(), 0);
    assert_eq!(running.traffic.waiting.get(), 0);
}
