//! From a published message to an entity.

use std::sync::Arc;

use bytes::Bytes;
use musubi_adapter_kit::testing::MemorySink;
use musubi_adapter_kit::{
    Adapter, AdapterMetrics, DeadLetter, MappingFile, ReceiveError, Services, Sink,
};
use musubi_adapter_mqtt::{
    Exchange, Ingest, Listener, ListenerOptions, Message, MqttAdapter, Verdict, from_mapping,
};
use musubi_context::Context;
use musubi_model::{Clock, EntityId, SystemClock, Tenant, Timestamp};
use musubi_outbound::Client;
use proptest::prelude::*;
use rumqttc::v5::mqttbytes::v5;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::client::{Mosquitto, publish_to};
use crate::raw::{Raw, acknowledged_v5, publish_v5};

const SENSORS: &str = r#"
name = "sensors"
tenant = "city"
[source]
kind = "mqtt"
[groups.air]
type = "AirQualityObserved"
devices = "any"
[groups.noise]
type = "NoiseLevelObserved"
tenant = "ward"
known = ["n1"]
"#;

const LORA: &str = r#"
name = "lora"
[source]
kind = "mqtt"
topic_vars = "lora/{device}/up"
[[entity]]
type = "WaterObserved"
id = "urn:ngsi-ld:WaterObserved:${topic.device}"
dedup = "m.seq"
[entity.attr]
currentLevel = "m.level"
"#;

fn services(sink: &Arc<MemorySink>) -> Services {
    Services {
        sink: sink.clone(),
        clock: Arc::new(SystemClock),
        client: Client::unguarded(),
        context: Context::core(),
        models: None,
        metrics: AdapterMetrics::default(),
    }
}

fn sink() -> Arc<MemorySink> {
    Arc::new(MemorySink::new(Arc::new(SystemClock)))
}

fn adapter(text: &str, sink: &Arc<MemorySink>) -> Arc<MqttAdapter> {
    from_mapping(&MappingFile::parse(text, "t.toml").unwrap(), services(sink)).unwrap()
}

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

fn message(topic: &str, payload: &str) -> Message {
    Message {
        topic: topic.into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        at: SystemClock.now(),
        retained: false,
    }
}

fn value(sink: &MemorySink, owner: &str, id: &str, term: &str) -> Option<String> {
    let entity = sink.entity(&tenant(owner), &id.parse::<EntityId>().unwrap())?;
    let attribute = entity.attribute(&Context::core().attribute(term).unwrap())?;
    Some(attribute.instances[0].value.json.as_str().to_owned())
}

#[tokio::test]
async fn a_published_message_is_an_entity_before_it_is_acknowledged() {
    let sink = sink();
    let exchange = Arc::new(Exchange::default());
    exchange.attach(adapter(SENSORS, &sink));
    exchange.attach(adapter(LORA, &sink));
    let options = ListenerOptions::open("127.0.0.1:0".parse().unwrap());
    let listener = Listener::bind(options, exchange).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(listener.run(CancellationToken::new()));

    let (mut client, _) = Raw::connected_v5(address, "a").await;
    client.send_v5(&publish_v5("/json/air/s1/attrs", 1, r#"{"pm25":12.5}"#)).await;
    assert_eq!(client.packet_v5().await, Some(acknowledged_v5(1)));
    let id = "urn:ngsi-ld:AirQualityObserved:s1";
    assert_eq!(value(&sink, "city", id, "pm25").as_deref(), Some("12.5"));

    client.send_v5(&publish_v5("lora/w1/up", 2, r#"{"level":3,"seq":1}"#)).await;
    assert_eq!(client.packet_v5().await, Some(acknowledged_v5(2)));
    let id = "urn:ngsi-ld:WaterObserved:w1";
    assert_eq!(value(&sink, "", id, "currentLevel").as_deref(), Some("3"));

    for (topic, payload, part) in [
        ("/json/noise/n9/attrs", r#"{"l":1}"#, "known device"),
        ("/json/other/d/attrs", "{}", "key"),
        ("/json/air/s1/attrs", "\u{1}\u{2}", "JSON"),
        ("nowhere", "{}", "no mapping"),
    ] {
        client.send_v5(&publish_v5(topic, 3, payload)).await;
        let Some(v5::Packet::PubAck(answer)) = client.packet_v5().await else { panic!() };
        assert_eq!(answer.reason, v5::PubAckReason::ImplementationSpecificError, "{topic}");
        let reason = answer.properties.and_then(|told| told.reason_string).unwrap();
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(sink.dead_letters(&tenant("city")).len(), 3);
    assert_eq!(sink.dead_letters(&tenant("ward")).len(), 1);
}

#[tokio::test]
async fn several_readings_leave_the_newest_in_the_entity() {
    let sink = sink();
    let adapter = adapter(SENSORS, &sink);
    let payload = r#"[{"t":3,"TimeInstant":"2024-01-01T03:00:00Z"},
        {"t":1,"TimeInstant":"2024-01-01T01:00:00Z"},
        {"t":2,"TimeInstant":"2024-01-01T02:00:00Z"}]"#;
    let verdicts = adapter.ingest(&[message("/json/air/s1/attrs", payload)]).await;
    assert_eq!(verdicts, [Verdict::Committed]);
    let id = "urn:ngsi-ld:AirQualityObserved:s1";
    assert_eq!(value(&sink, "city", id, "t").as_deref(), Some("3"));
    assert_eq!(sink.written_entities(), 3);
    assert_eq!((sink.read_calls(), sink.write_calls()), (1, 1));
}

#[tokio::test]
async fn an_unchanged_value_is_not_written_again() {
    let sink = sink();
    let adapter = adapter(SENSORS, &sink);
    for _ in 0..3 {
        let verdicts = adapter.ingest(&[message("/json/air/s1/attrs", r#"{"t":1}"#)]).await;
        assert_eq!(verdicts, [Verdict::Committed]);
    }
    assert_eq!(sink.written_entities(), 1);
    assert_eq!(adapter.status()["received"], 3);
    assert_eq!(adapter.status()["unchanged"], 2);
}

#[tokio::test]
async fn while_the_broker_is_away_every_message_is_to_come_again_later() {
    let sink = sink();
    let adapter = adapter(SENSORS, &sink);
    sink.fail_next(2);
    let messages = [
        message("/json/air/s1/attrs", r#"{"t":1}"#),
        message("/json/noise/n9/attrs", r#"{"t":1}"#),
        message("/json/air/s1/attrs", r#"{"t":null}"#),
    ];
    let verdicts = adapter.ingest(&messages).await;
    assert!(matches!(verdicts[0], Verdict::Later(_)), "{verdicts:?}");
    assert!(matches!(verdicts[1], Verdict::Later(_)), "{verdicts:?}");
    assert_eq!(verdicts[2], Verdict::Committed);
    assert_eq!(adapter.status()["received"], 1);
    let verdicts = adapter.ingest(&messages[..2]).await;
    assert_eq!(verdicts[0], Verdict::Committed);
    assert!(matches!(verdicts[1], Verdict::Refused(_)));
    assert_eq!(adapter.status()["received"], 3);
    assert_eq!(adapter.status()["dead"], 1);
    // The device is remembered although the first write failed.
    let state = sink.state(&tenant("ward"), "sensors", "unknown/").await.unwrap();
    assert_eq!(state.len(), 1);
}

#[tokio::test]
async fn what_the_broker_refuses_is_a_dead_letter_and_the_rest_is_written() {
    let sink = sink();
    let adapter = adapter(SENSORS, &sink);
    sink.refuse(&"urn:ngsi-ld:AirQualityObserved:s1".parse().unwrap());
    let verdicts = adapter
        .ingest(&[
            message("/json/air/s1/attrs", r#"{"t":1}"#),
            message("/json/air/s2/attrs", r#"{"t":1}"#),
        ])
        .await;
    assert!(matches!(verdicts[0], Verdict::Refused(_)));
    assert_eq!(verdicts[1], Verdict::Committed);
    assert_eq!(sink.dead_letters(&tenant("city")).len(), 1);
}

#[tokio::test]
async fn the_same_message_again_is_known_by_its_dedup_key() {
    let sink = sink();
    let adapter = adapter(LORA, &sink);
    for level in [3, 4] {
        let payload = format!(r#"{{"level":{level},"seq":7}}"#);
        adapter.ingest(&[message("lora/w1/up", &payload)]).await;
    }
    let id = "urn:ngsi-ld:WaterObserved:w1";
    assert_eq!(value(&sink, "", id, "currentLevel").as_deref(), Some("3"));
    assert_eq!(adapter.status()["skipped"]["duplicate"], 1);
}

#[tokio::test]
async fn a_replayed_message_is_written_although_its_dedup_key_is_known() {
    let sink = sink();
    let adapter = adapter(LORA, &sink);
    let payload = r#"{"level":3,"seq":1}"#;
    let id = "urn:ngsi-ld:WaterObserved:w1";
    // What was refused is known by the key `1`, and the other message has the same one.
    sink.refuse(&"urn:ngsi-ld:WaterObserved:w2".parse().unwrap());
    let messages = [message("lora/w2/up", payload)];
    assert!(matches!(adapter.ingest(&messages).await[..], [Verdict::Refused(_)]));
    let replay = async |topic: &str, payload: &'static str| {
        adapter.replay(&Tenant::default(), &letter(topic, payload)).await
    };
    replay("lora/w1/up", payload).await.unwrap();
    assert_eq!(value(&sink, "", id, "currentLevel").as_deref(), Some("3"));
    replay("lora/w2/up", payload).await.unwrap_err();
    assert_eq!(value(&sink, "", "urn:ngsi-ld:WaterObserved:w2", "currentLevel"), None);
}

#[tokio::test]
async fn a_replay_that_is_refused_again_leaves_no_further_dead_letter() {
    let sink = sink();
    let adapter = adapter(SENSORS, &sink);
    let topic = "/json/air/s1/attrs";
    let verdicts = adapter.ingest(&[message(topic, "{")]).await;
    assert!(matches!(verdicts[..], [Verdict::Refused(_)]));
    let replayed = adapter.replay(&tenant("city"), &letter(topic, "{")).await;
    assert!(replayed.unwrap_err().contains("JSON"));
    assert_eq!(sink.dead_letters(&tenant("city")).len(), 1);
}

#[tokio::test]
async fn unknown_devices_are_listed_and_remembered_over_a_restart() {
    let sink = sink();
    let first = adapter(SENSORS, &sink);
    first.ingest(&[message("/json/noise/n9/attrs", r#"{"l":1}"#)]).await;
    assert_eq!(first.status()["unknownDevices"][0]["device"], "n9");
    let second = adapter(SENSORS, &sink);
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    second.clone().run(shutdown).await.unwrap();
    let status = second.status();
    assert_eq!(status["unknownDevices"][0]["device"], "n9");
    assert_eq!(status["unknownDevices"][0]["group"], "noise");
    assert_eq!(status["name"], "sensors");
    assert_eq!(status["kind"], "mqtt");
    assert_eq!(status["tenant"], "city");
}

#[tokio::test]
async fn the_adapter_of_a_listener_cannot_be_read_once_nor_posted_to() {
    let sink = sink();
    let adapter = adapter(SENSORS, &sink);
    assert!(adapter.listens());
    assert!(adapter.clone().run_once().await.is_err());
    let answer = adapter.receive("reports", &tenant("city"), b"{}").await;
    assert_eq!(answer, Err(ReceiveError::NotSupported("reports".to_owned())));
    let preview = adapter.preview(5).await.unwrap();
    assert!(preview.render().contains("listener"));
}

#[tokio::test]
async fn a_wrong_mapping_file_is_refused() {
    let refuse = |source: &str, part: &str| {
        let text = format!("[source]\nkind='mqtt'\n{source}\n[groups.a]\ntype='A'");
        let error = match MappingFile::parse(&text, "t.toml") {
            Ok(file) => from_mapping(&file, services(&sink())).unwrap_err(),
            Err(error) => error,
        };
        assert!(error.to_string().contains(part), "{error}");
    };
    refuse("connection='lora'", "lora");
    refuse("url='http://a'", "mqtt://");
    refuse("url='mqtt://user:hunter2@a'", "keys of their own");
}

#[tokio::test]
async fn messages_come_through_mosquitto_into_entities_and_a_preview_takes_nothing_away() {
    let broker = Mosquitto::start().await;
    let sink = sink();
    let text = SENSORS.replace(
        "kind = \"mqtt\"",
        &format!("kind = \"mqtt\"\naddress = \"{}\"", broker.address()),
    );
    let adapter = adapter(&text, &sink);
    assert!(!adapter.listens());
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(adapter.clone().run(shutdown.clone()));
    while adapter.status()["connection"]["subscribed"] != true {
        tokio::task::yield_now().await;
    }
    let (preview, ()) = tokio::join!(adapter.preview(1), async {
        // The visitor is subscribed some time after its start; each message is another one.
        for number in 0..50 {
            let payload = format!(r#"{{"n":{number}}}"#);
            publish_to(&broker.address(), "/json/air/s1/attrs", &payload).await;
        }
    });
    assert!(preview.unwrap().render().contains("AirQualityObserved:s1"));
    let id = "urn:ngsi-ld:AirQualityObserved:s1";
    while value(&sink, "city", id, "n").as_deref() != Some("49") {
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(adapter.status()["connection"]["connected"], false);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn messages_of_two_tenants_never_mix(
        order in proptest::collection::vec((any::<bool>(), 0_u8..4, any::<bool>()), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let text = r#"
            [source]
            kind = "mqtt"
            [groups.k1]
            type = "Sensor"
            tenant = "kamakura"
            devices = "any"
            [groups.k2]
            type = "Sensor"
            tenant = "kyoto"
            devices = "any"
        "#;
        let sink = sink();
        let adapter = adapter(text, &sink);
        let messages: Vec<Message> = order
            .iter()
            .map(|(kyoto, device, good)| {
                let (key, owner) = if *kyoto { ("k2", "kyoto") } else { ("k1", "kamakura") };
                let payload = if *good {
                    format!(r#"{{"owner":"{owner}","TimeInstant":"2024-01-01T00:00:00Z"}}"#)
                } else {
                    format!("not json, of {owner}")
                };
                Message {
                    at: Timestamp::from_seconds(1_700_000_000),
                    ..message(&format!("/json/{key}/d{device}/attrs"), &payload)
                }
            })
            .collect();
        runtime.block_on(async {
            for batch in messages.chunks(7) {
                adapter.ingest(batch).await;
            }
        });
        for owner in ["kamakura", "kyoto"] {
            let entities = sink.entities(&tenant(owner));
            for entity in &entities {
                let json = entity.attributes[0].instances[0].value.json.as_str();
                prop_assert_eq!(json, &format!("\"{owner}\""));
            }
            let mut expected: Vec<u8> = order
                .iter()
                .filter(|(kyoto, _, good)| *good && *kyoto == (owner == "kyoto"))
                .map(|(_, device, _)| *device)
                .collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(entities.len(), expected.len());
            for letter in sink.dead_letters(&tenant(owner)) {
                prop_assert!(String::from_utf8_lossy(&letter.payload).ends_with(owner));
            }
        }
        prop_assert!(sink.entities(&tenant("")).is_empty());
        prop_assert!(sink.dead_letters(&tenant("")).is_empty());
    }
}

/// The letter of a message that came later than all others of these tests.
fn letter(topic: &str, payload: &str) -> DeadLetter {
    DeadLetter::new("test", topic, "", payload.as_bytes(), Timestamp::from_seconds(4_000_000_000))
}
