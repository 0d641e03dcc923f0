//! Clients that others wrote, against the listener.

use std::time::Duration;

use rumqttc::v5;
use tokio::process::Command;

use crate::gate::{Gate, run};

#[tokio::test]
async fn rumqttc_v4_publishes_and_everything_arrives_in_order() {
    let gate = Gate::open();
    let running = run(&gate).await;
    let mut options = rumqttc::MqttOptions::new(
        "device",
        running.address.ip().to_string(),
        running.address.port(),
    );
    options.set_keep_alive(Duration::from_secs(30)).set_clean_session(false);
    let (client, mut events) = rumqttc::AsyncClient::new(options, 64);
    let send = async {
        for number in 0..500 {
            let qos = rumqttc::QoS::AtLeastOnce;
            client.publish("/json/k/d/attrs", qos, false, number.to_string()).await.unwrap();
        }
    };
    let acknowledged = async {
        let mut count = 0;
        while count < 500 {
            let event = events.poll().await.unwrap();
            if let rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_)) = event {
                count += 1;
            }
        }
    };
    tokio::join!(send, acknowledged);
    let expected: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    assert_eq!(gate.taken(500).await, expected);
}

#[tokio::test]
async fn rumqttc_v5_publishes_with_both_qualities_and_everything_arrives() {
    let gate = Gate::open();
    let running = run(&gate).await;
    let mut options =
        v5::MqttOptions::new("device", running.address.ip().to_string(), running.address.port());
    options.set_keep_alive(Duration::from_secs(30));
    let (client, mut events) = v5::AsyncClient::new(options, 64);
    let send = async {
        use v5::mqttbytes::QoS;
        for number in 0..500 {
            let qos = if number % 2 == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
            client.publish("/json/k/d/attrs", qos, false, number.to_string()).await.unwrap();
        }
    };
    let acknowledged = async {
        let mut count = 0;
        while count < 250 {
            if let v5::Event::Incoming(v5::Incoming::PubAck(_)) = events.poll().await.unwrap() {
                count += 1;
            }
        }
    };
    tokio::join!(send, acknowledged);
    assert_eq!(gate.taken(500).await.len(), 500);
    assert_eq!(running.traffic.dropped.get(), 0);
}

#[tokio::test]
async fn mosquitto_pub_publishes_with_either_version() {
    for version in ["311", "5"] {
        let gate = Gate::open();
        let running = run(&gate).await;
        for number in 0..3 {
            let status = Command::new("mosquitto_pub")
                .args(["-V", version, "-q", "1", "-h", "127.0.0.1"])
                .args(["-p", &running.address.port().to_string()])
                .args(["-t", "/json/k/d/attrs", "-m", &format!("{version}-{number}")])
                .status()
                .await
                .expect("this test needs mosquitto_pub: install the package mosquitto-clients");
            assert!(status.success());
            // It has gone only after the acknowledgement.
            assert_eq!(running.traffic.acknowledged.get(), number + 1);
        }
        let expected: Vec<String> = (0..3).map(|number| format!("{version}-{number}")).collect();
        assert_eq!(gate.taken(3).await, expected);
    }
}
