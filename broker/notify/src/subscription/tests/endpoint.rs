//! Endpoints: addresses, what the receiver is told, how this side talks to it.

use super::*;
use crate::subscription::notifier_info::{MqttOptions, MqttQos, MqttVersion};

const ENDPOINT: &str = "/notification/endpoint";

fn to(endpoint: &Value) -> Result<Subscription, InvalidSubscription> {
    read(&json!({
        "type": "Subscription",
        "entities": [{"type": "Shelter"}],
        "notification": {"endpoint": endpoint},
    }))
}

fn refused(endpoint: &Value, at: &str) {
    let error = to(endpoint).map(|_| ()).unwrap_err();
    let found = (error.at(), error.problem());
    assert_eq!(found, (&*format!("{ENDPOINT}/{at}"), Problem::Forbidden), "{endpoint}: {error}");
}

fn pair(key: &str, value: &str) -> Value {
    json!({"key": key, "value": value})
}

fn notified(uri: &str, pairs: &[Value]) -> Value {
    json!({"uri": uri, "notifierInfo": pairs})
}

#[test]
fn an_mqtt_address_names_broker_user_and_topic() {
    let uri = "mqtt://anna:s%40cret@broker.example:1884/nanao/shelters/%E4%B8%83%E5%B0%BE";
    let subscription = to(&json!({"uri": uri})).unwrap();
    let (address, options) = subscription.notification.endpoint.mqtt().unwrap();
    assert_eq!((&*address.host, address.port, address.secure), ("broker.example", 1884, false));
    assert_eq!(address.user.as_deref(), Some("anna"));
    assert_eq!(address.password.as_deref(), Some("s@cret"));
    assert_eq!(address.topic, "nanao/shelters/七尾");
    assert_eq!(options, MqttOptions { version: MqttVersion::V5, qos: MqttQos::AtMostOnce });
    let shown = shown(&subscription, &DeliveryStatus::default(), SubscriptionView::default());
    assert_eq!(shown["notification"]["endpoint"]["uri"], uri);
    let text = format!("{subscription:?} {address:?}");
    assert!(!text.contains("cret") && !text.contains("shelters/"), "{text}");
}

#[test]
fn an_mqtt_address_has_the_port_of_its_scheme() {
    let port = |uri: &str| {
        let (address, _) = to(&json!({"uri": uri})).unwrap().notification.endpoint.mqtt().unwrap();
        (address.host, address.port, address.secure, address.topic)
    };
    assert_eq!(port("mqtt://h/t"), ("h".to_owned(), 1883, false, "t".to_owned()));
    assert_eq!(port("mqtts://[::1]/t/"), ("::1".to_owned(), 8883, true, "t/".to_owned()));
    assert!(to(&json!({"uri": "http://h/t"})).unwrap().notification.endpoint.mqtt().is_none());
}

#[test]
fn an_address_that_nothing_can_be_published_to_is_refused() {
    for uri in [
        "mqtt://h",
        "mqtt://h/",
        "mqtt:///t",
        "mqtt:t",
        "mqtt://h/a/+/b",
        "mqtt://h/a/%23",
        "mqtt://h/a#",
        "mqtt://h/a?b",
        "mqtt://h/a%00b",
        "mqtt://h/%ff",
        "mqtt://h:0/t",
        "mqtt://h:65536/t",
        "mqtt://u:%ff@h/t",
    ] {
        refused(&json!({"uri": uri}), "uri");
    }
    refused(&json!({"uri": format!("mqtt://h/{}", "t".repeat(2048))}), "uri");
}

#[test]
fn mqtt_is_spoken_as_the_notifier_info_says() {
    let options = |pairs: &[Value]| {
        let read = to(&notified("mqtt://h/t", pairs)).unwrap();
        read.notification.endpoint.mqtt().unwrap().1
    };
    let said = options(&[pair("MQTT-Version", "mqtt3.1.1"), pair("MQTT-QoS", "2")]);
    assert_eq!(said, MqttOptions { version: MqttVersion::V3, qos: MqttQos::ExactlyOnce });
    let said = options(&[pair("MQTT-Version", "mqtt5.0"), pair("mqtt-qos", "1"), pair("X", "y")]);
    assert_eq!(said, MqttOptions { version: MqttVersion::V5, qos: MqttQos::AtLeastOnce });
    let wrong = |key: &str, value: &str| {
        refused(&notified("mqtt://h/t", &[pair(key, value)]), "notifierInfo/0/value");
    };
    wrong("MQTT-Version", "mqtt3.1");
    wrong("MQTT-Version", "5");
    wrong("MQTT-QoS", "3");
    wrong("MQTT-QoS", "");
    let twice = [pair("MQTT-QoS", "1"), pair("MQTT-QoS", "2")];
    refused(&notified("mqtt://h/t", &twice), "notifierInfo");
}

#[test]
fn the_metadata_of_a_message_has_any_keys_once() {
    let told = |pairs: &[Value]| json!({"uri": "mqtt://h/t", "receiverInfo": pairs});
    assert!(to(&told(&[pair("Fiware Service", "七尾"), pair("Host", "x")])).is_ok());
    refused(&told(&[pair("", "a")]), "receiverInfo/0/key");
    refused(&told(&[pair("A", "1"), pair("A", "2")]), "receiverInfo/1/key");
    refused(&told(&[pair(&"k".repeat(257), "a")]), "receiverInfo/0/key");
    refused(&told(&[pair("k", &"v".repeat(8193))]), "receiverInfo/0/value");
    // The address may stand after what depends on it.
    let http = json!({"receiverInfo": [pair("Host", "x")], "uri": "http://h/"});
    refused(&http, "receiverInfo/0/key");
}

#[test]
fn a_notification_holds_as_many_changes_as_the_receiver_takes() {
    let most = |text: &str| to(&notified("http://h/", &[pair("Max-Changes", text)]));
    assert_eq!(most("1").unwrap().max_changes(), 1);
    assert_eq!(most("100").unwrap().max_changes(), 100);
    for text in ["0", "101", "-1", "1.5", "many", ""] {
        let error = most(text).map(|_| ()).unwrap_err();
        assert_eq!(error.at(), "/notification/endpoint/notifierInfo/0/value", "{text}");
    }
}

/// The base64 of 24 bytes, and of 32.
const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[test]
fn secrets_sign_and_are_not_shown_again() {
    let pairs = [pair("Webhook-Secret", NEW), pair("webhook-secret", OLD), pair("Prefer", "x")];
    let subscription = to(&notified("https://h/", &pairs)).unwrap();
    let kept = Subscription::from_bytes(&subscription.to_bytes()).unwrap();
    let secrets = kept.notification.endpoint.webhook_secrets();
    let keys: Vec<_> = secrets.iter().map(|secret| secret.bytes().to_vec()).collect();
    assert_eq!(keys[0].len(), 24);
    assert_eq!(keys[1], (0..32).collect::<Vec<u8>>());
    let view = SubscriptionView { system_attributes: true, context_member: true };
    let shown = shown(&kept, &DeliveryStatus::default(), view);
    let masked =
        [pair("Webhook-Secret", "whsec_…"), pair("webhook-secret", "whsec_…"), pair("Prefer", "x")];
    assert_eq!(shown["notification"]["endpoint"]["notifierInfo"], json!(masked));
    assert!(!format!("{kept:?} {secrets:?}").contains("MfKQ"));
    assert!(
        to(&json!({"uri": "http://h/"}))
            .unwrap()
            .notification
            .endpoint
            .webhook_secrets()
            .is_empty()
    );
}

#[test]
fn what_is_no_secret_is_refused() {
    let wrong = |uri: &str, secret: &str| {
        refused(&notified(uri, &[pair("Webhook-Secret", secret)]), "notifierInfo/0/value");
    };
    wrong("https://h/", "whsec_…");
    wrong("https://h/", "whsec_");
    wrong("https://h/", "whsec_not base64");
    wrong("https://h/", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    wrong("https://h/", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La");
    wrong("https://h/", &format!("whsec_{}", "AAAA".repeat(22)));
    wrong("mqtt://h/t", NEW);
    wrong("musubi:stream", NEW);
    let three = [(); 3].map(|()| pair("Webhook-Secret", NEW));
    refused(&notified("https://h/", &three), "notifierInfo");
    let masked = notified("https://h/", &[pair("Webhook-Secret", "whsec_…")]);
    let sentence = to(&masked).map(|_| ()).unwrap_err().reason().to_owned();
    assert!(sentence.contains("the secret itself"), "{sentence}");
}

#[test]
fn who_signs_sets_the_headers_of_the_signature() {
    let mut endpoint = notified("https://h/", &[pair("Webhook-Secret", NEW)]);
    endpoint["receiverInfo"] = json!([pair("Webhook-Id", "1")]);
    refused(&endpoint, "receiverInfo/0/key");
    endpoint["notifierInfo"] = json!([]);
    assert!(to(&endpoint).is_ok());
}

#[test]
fn a_key_that_is_almost_a_known_one_is_refused() {
    for key in [
        "Webhook-Secrets",
        "webhook_secret",
        "WebhookSecret",
        "Webhok-Secret",
        "MQTT-QS",
        "mqtt version",
        "MaxChanges",
    ] {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        refused(&notified("http://h/", &[pair(key, secret)]), "notifierInfo/0/key");
    }
    for key in ["Prefer", "Secret", "Webhook", "MQTT", "X-Webhook-Secret-Of-Ours"] {
        to(&notified("http://h/", &[pair(key, "x")])).unwrap();
    }
}
