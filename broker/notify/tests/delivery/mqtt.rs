//! Notifications to an MQTT broker, which is not always there.

use musubi_notify::NotifierOptions;
use rumqttc::QoS;
use serde_json::json;

use crate::mosquitto::{Anonymous, Listener, Mosquitto, USER};
use crate::town::{Town, ledger, quick, to};

/// Hears until the change with this count came; all counts, without repetitions of what stood in
/// the same notification.
async fn counts_until(listener: &mut Listener, last: u64) -> Vec<u64> {
    let (mut counts, mut ids) = (Vec::new(), Vec::new());
    while counts.last() != Some(&last) {
        let body = &listener.next().await.message["body"];
        if ids.contains(&body["id"]) {
            continue;
        }
        ids.push(body["id"].clone());
        let data = body["data"].as_array().unwrap();
        counts.extend(data.iter().map(|entity| entity["count"]["value"].as_u64().unwrap()));
    }
    counts
}

#[tokio::test]
async fn through_a_restart_of_the_broker_everything_arrives_in_order() {
    for (version, qos) in [("mqtt3.1.1", "1"), ("mqtt5.0", "1"), ("mqtt5.0", "2")] {
        let mut broker = Mosquitto::start(Anonymous::Refused).await;
        let mut listener = broker.listen(QoS::AtLeastOnce).await;
        let town = Town::new();
        let uri = format!("mqtt://{}:s3cret%2Fwith%3Asigns@127.0.0.1:{}/a/b", USER[0], broker.port);
        let mut subscription = to("1", &uri);
        subscription["notification"]["endpoint"]["notifierInfo"] = json!([
            {"key": "MQTT-Version", "value": version},
            {"key": "MQTT-QoS", "value": qos},
        ]);
        let id = town.subscribe(&subscription).await;
        let running = town.run(NotifierOptions { attempts: u32::MAX, ..quick() });
        for count in 0..10 {
            town.write(count).await;
        }
        running.settled().await;
        broker.stop().await;
        for count in 10..20 {
            town.write(count).await;
        }
        running.caught_up().await;
        assert_eq!(running.ledger(&id), ledger([10, 10, 0, 0]));
        broker.start_again().await;
        running.settled().await;
        assert_eq!(running.ledger(&id), ledger([20, 0, 0, 0]));
        assert_eq!(counts_until(&mut listener, 19).await, (0..20).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_the_broker_refuses_is_among_the_dead_letters() {
    let broker = Mosquitto::start(Anonymous::Refused).await;
    let town = Town::new();
    town.subscribe(&to("1", &format!("mqtt://127.0.0.1:{}/a", broker.port))).await;
    let running = town.run(NotifierOptions { refusals: 2, ..quick() });
    town.write(1).await;
    running.settled().await;
    assert_eq!(running.notifications.totals(), ledger([0, 0, 1, 0]));
    let letters = town.dead_letters().await;
    assert!(letters[0].reason.contains("refused the connection"), "{}", letters[0].reason);
}
