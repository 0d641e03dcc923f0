//! Messages to real brokers, and to those that misbehave.

mod mosquitto;
mod scripted;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use musubi_model::SystemClock;
use musubi_outbound::{Authorities, Client, ClientOptions, Guard, Private};
use rumqttc::QoS;
use serde_json::{Value, json};

use crate::engine::applied::Applied;
use crate::testing::applied;
use crate::transport::failure::Failure;
use crate::transport::transports::Transports;

use mosquitto::{Anonymous, Mosquitto, USER};

const PATIENCE: Duration = Duration::from_secs(30);

fn transports(client: Client) -> Transports {
    Transports::new(client, Arc::new(SystemClock))
}

/// Transports that may reach this machine, and trust this certificate.
fn trusting(certificate: Option<&str>) -> Transports {
    let authorities = certificate.map(|pem| Authorities::from_pem(pem.as_bytes()).unwrap());
    transports(Client::new(ClientOptions {
        guard: Some(Guard::default()),
        authorities: authorities.unwrap_or_default(),
        ..ClientOptions::default()
    }))
}

/// A subscription to this topic, with this version and quality of service.
fn to(uri: &str, version: &str, qos: &str) -> Applied {
    of("town", uri, version, qos)
}

/// As [`to`], of this tenant.
fn of(tenant: &str, uri: &str, version: &str, qos: &str) -> Applied {
    applied(
        tenant,
        &json!({
            "entities": [{"type": "Sensor"}],
            "notification": {"endpoint": {
                "uri": uri,
                "receiverInfo": [{"key": "X-Für", "value": "a\r\nb: \"c\""}],
                "notifierInfo": [
                    {"key": "MQTT-Version", "value": version},
                    {"key": "MQTT-QoS", "value": qos},
                ],
            }},
        }),
    )
}

async fn send(transports: &Transports, applied: &Applied, body: &Value) -> Result<(), Failure> {
    let id = "urn:ngsi-ld:Notification:1";
    transports.send(applied, id, Bytes::from(body.to_string()), PATIENCE).await
}

#[tokio::test]
async fn every_quality_arrives_with_both_versions_and_what_a_request_has_in_its_head() {
    let broker = Mosquitto::start(Anonymous::Allowed).await;
    let mut listener = broker.listen(QoS::ExactlyOnce).await;
    let transports = trusting(None);
    let qualities = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
    for version in ["mqtt3.1.1", "mqtt5.0"] {
        for (qos, written) in qualities.into_iter().zip(["0", "1", "2"]) {
            let uri = format!("mqtt://127.0.0.1:{}/a/b%20c", broker.port);
            let body = json!({"id": "n", "version": version, "qos": written});
            send(&transports, &to(&uri, version, written), &body).await.unwrap();
            let heard = listener.next().await;
            assert_eq!((heard.topic.as_str(), heard.qos), ("a/b c", qos));
            assert_eq!(heard.message["body"], body);
            let metadata = &heard.message["metadata"];
            assert_eq!(metadata["Content-Type"], "application/json");
            assert!(metadata["Link"].as_str().unwrap().contains("; rel="), "{metadata}");
            assert_eq!(metadata["NGSILD-Tenant"], "town");
            assert_eq!(metadata["X-Für"], "a\r\nb: \"c\"");
            assert_eq!(metadata.as_object().unwrap().len(), 4);
        }
    }
    assert_eq!(transports.links.count(), 2, "one for each version");
}

#[tokio::test]
async fn what_does_not_fit_at_once_arrives_whole() {
    let broker = Mosquitto::start(Anonymous::Allowed).await;
    let mut listener = broker.listen(QoS::ExactlyOnce).await;
    let transports = trusting(None);
    let subscription = to(&format!("mqtt://127.0.0.1:{}/a", broker.port), "mqtt5.0", "0");
    let body = json!({"text": "x".repeat(3_000_000)});
    let sends = (0..3).map(|_| send(&transports, &subscription, &body));
    for sent in futures_util::future::join_all(sends).await {
        sent.unwrap();
    }
    for _ in 0..3 {
        assert_eq!(listener.next().await.message["body"], body);
    }
}

#[tokio::test]
async fn many_at_a_time_share_one_connection() {
    let broker = Mosquitto::start(Anonymous::Allowed).await;
    let mut listener = broker.listen(QoS::ExactlyOnce).await;
    let transports = trusting(None);
    for qos in ["1", "2"] {
        let subscription = to(&format!("mqtt://127.0.0.1:{}/a", broker.port), "mqtt5.0", qos);
        let bodies: Vec<_> = (0..500).map(|n| json!(n)).collect();
        let sends = bodies.iter().map(|body| send(&transports, &subscription, body));
        for sent in futures_util::future::join_all(sends).await {
            sent.unwrap();
        }
        let mut heard = Vec::new();
        for _ in 0..500 {
            heard.push(listener.next().await.message["body"].as_u64().unwrap());
        }
        heard.sort_unstable();
        assert_eq!(heard, (0..500).collect::<Vec<_>>());
        assert_eq!(transports.links.count(), 1);
    }
}

#[tokio::test]
async fn user_and_password_open_the_door_and_a_wrong_password_is_a_refusal() {
    let broker = Mosquitto::start(Anonymous::Refused).await;
    let mut listener = broker.listen(QoS::ExactlyOnce).await;
    let transports = trusting(None);
    let port = broker.port;
    for version in ["mqtt3.1.1", "mqtt5.0"] {
        let right = format!("mqtt://{}:s3cret%2Fwith%3Asigns@127.0.0.1:{port}/a", USER[0]);
        send(&transports, &to(&right, version, "1"), &json!(1)).await.unwrap();
        assert_eq!(listener.next().await.message["body"], 1);
        for wrong in ["klara:wrong@", "klara@", ""] {
            let uri = format!("mqtt://{wrong}127.0.0.1:{port}/a");
            let failure = send(&transports, &to(&uri, version, "1"), &json!(1)).await.unwrap_err();
            assert!(failure.is_refusal, "{failure:?}");
            assert!(failure.reason.contains("refused the connection"), "{failure:?}");
            assert!(!failure.reason.contains("wrong"), "{failure:?}");
        }
    }
}

#[tokio::test]
async fn mqtts_arrives_if_the_certificate_is_trusted_and_fits_the_name() {
    let broker = Mosquitto::start(Anonymous::Allowed).await;
    let mut listener = broker.listen(QoS::ExactlyOnce).await;
    let trusted = trusting(Some(&broker.certificate));
    for version in ["mqtt3.1.1", "mqtt5.0"] {
        for qos in ["0", "1", "2"] {
            let uri = format!("mqtts://localhost:{}/a", broker.tls_port);
            let body = json!({"qos": qos, "text": "x".repeat(200_000)});
            send(&trusted, &to(&uri, version, qos), &body).await.unwrap();
            assert_eq!(listener.next().await.message["body"], body);
        }
    }
    for (transports, host) in [(trusting(None), "localhost"), (trusted, "127.0.0.1")] {
        let uri = format!("mqtts://{host}:{}/a", broker.tls_port);
        let failure = send(&transports, &to(&uri, "mqtt5.0", "1"), &json!(1)).await.unwrap_err();
        assert!(failure.reason.contains("certificate"), "{failure:?}");
        assert!(!failure.is_refusal);
    }
}

#[tokio::test]
async fn after_a_restart_of_the_broker_the_next_attempt_arrives() {
    let mut broker = Mosquitto::start(Anonymous::Allowed).await;
    let transports = trusting(None);
    let subscription = to(&format!("mqtt://127.0.0.1:{}/a", broker.port), "mqtt5.0", "1");
    send(&transports, &subscription, &json!(1)).await.unwrap();
    broker.stop().await;
    let failure = send(&transports, &subscription, &json!(2)).await.unwrap_err();
    assert!(!failure.is_refusal, "{failure:?}");
    broker.start_again().await;
    let mut listener = broker.listen(QoS::ExactlyOnce).await;
    send(&transports, &subscription, &json!(3)).await.unwrap();
    assert_eq!(listener.next().await.message["body"], 3);
    assert_eq!(transports.links.count(), 1);
}

#[tokio::test]
async fn the_guard_is_asked_before_anything_is_opened() {
    let broker = scripted::Scripted::start().await;
    let deny = Guard { private: Private::Deny, allow: Vec::new() };
    let transports = transports(Client::guarded(deny));
    for host in ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433"] {
        let uri = format!("mqtt://{host}:{}/a", broker.port);
        let failure = send(&transports, &to(&uri, "mqtt5.0", "0"), &json!(1)).await.unwrap_err();
        assert!(failure.is_refusal, "{host}: {failure:?}");
        assert!(failure.reason.contains("may not reach"), "{host}: {failure:?}");
    }
    assert!(!broker.was_reached());
}

#[tokio::test]
async fn nobody_there_is_a_failure_that_may_pass() {
    // Nobody listens there.
    let failure =
        send(&trusting(None), &to("mqtt://127.0.0.1:9/a", "mqtt5.0", "0"), &json!(1)).await;
    let failure = failure.unwrap_err();
    assert!(!failure.is_refusal, "{failure:?}");
    assert!(failure.reason.starts_with("127.0.0.1:9 could not be reached"), "{failure:?}");
}
