//! What messages become.

use bytes::Bytes;
use musubi_model::FragmentValue;
use proptest::prelude::*;

use super::*;

const GROUPS: &str = r#"
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
known = ["n1", "n2"]
"#;

const GENERIC: &str = r#"
name = "lora"
[source]
kind = "mqtt"
topic_vars = "application/{app}/device/{device}/event/up"
[groups.any]
type = "Unused"
[groups.any.known.d1]
lon = 139.5
lat = 35.5
[[filter]]
when = "m.port == 2"
[[entity]]
type = "Noise"
id = "urn:ngsi-ld:Noise:${topic.device}"
observed_at = "m.time"
dedup = "m.seq"
[entity.attr]
laeq = { expr = "m.laeq", range = [0, 140] }
location = { geo_point = ["device.lon", "device.lat"] }
"#;

fn mapping(text: &str) -> Mapping {
    let file = MappingFile::parse(text, "t.toml").unwrap();
    Mapping::new(&file, &Context::core()).unwrap()
}

fn message(topic: &str, payload: impl Into<Bytes>) -> Message {
    Message {
        topic: topic.into(),
        payload: payload.into(),
        at: Timestamp::from_seconds(1_700_000_000),
        retained: false,
    }
}

fn ids(mapped: &Mapped) -> Vec<String> {
    let entities = mapped.items.iter().flat_map(|item| &item.entities);
    entities.map(|entity| entity.id.as_ref().unwrap().to_string()).collect()
}

fn dead(mapped: &Mapped) -> Vec<&str> {
    let letters = mapped.items.iter().flat_map(|item| &item.dead_letters);
    letters.map(|letter| letter.reason.as_str()).collect()
}

fn values(mapped: &Mapped) -> Vec<(String, Option<Timestamp>)> {
    let entities = mapped.items.iter().flat_map(|item| &item.entities);
    let attributes = entities.flat_map(|entity| &entity.attributes);
    attributes
        .flat_map(|attribute| &attribute.instances)
        .map(|instance| match (&instance.value, &instance.observed_at) {
            (Some(FragmentValue::Typed(value)), Patch::Set(at)) => {
                (value.json.as_str().to_owned(), Some(*at))
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_measure_becomes_an_entity_of_its_group() {
    let mapping = mapping(GROUPS);
    for topic in ["/json/air/s1/attrs", "json/air/s1/attrs", "/air/s1/attrs"] {
        let mapped = mapping.map(&message(topic, r#"{"pm25": 12.5}"#));
        assert_eq!(ids(&mapped), ["urn:ngsi-ld:AirQualityObserved:s1"]);
        assert_eq!(mapped.tenant.as_str(), "city");
        let at = Timestamp::from_seconds(1_700_000_000);
        assert_eq!(values(&mapped), [("12.5".to_owned(), Some(at))]);
        let entity = &mapped.items[0].entities[0];
        let expected = Context::core().entity_type("AirQualityObserved").unwrap();
        assert_eq!(entity.types, [expected]);
        assert_eq!(entity.attributes[0].name, Context::core().attribute("pm25").unwrap());
    }
    let mapped = mapping.map(&message("/json/air/s1/attrs/pm25", "12.5"));
    assert_eq!(ids(&mapped), ["urn:ngsi-ld:AirQualityObserved:s1"]);
}

#[test]
fn several_readings_are_written_in_the_order_of_their_times() {
    let payload = r#"[{"t":3,"TimeInstant":"2024-01-01T03:00:00Z"},
        {"t":1,"TimeInstant":"2024-01-01T01:00:00Z"},
        "x",
        {"t":2,"TimeInstant":"2024-01-01T02:00:00Z"}]"#;
    let mapped = mapping(GROUPS).map(&message("/json/air/s1/attrs", payload));
    let written: Vec<String> = values(&mapped).into_iter().map(|(json, _)| json).collect();
    assert_eq!(written, ["1", "2", "3"]);
    assert_eq!(dead(&mapped), ["a reading is a JSON object"]);
}

#[test]
fn an_unknown_device_is_a_dead_letter_of_its_group_s_tenant_and_is_named() {
    let mapping = mapping(GROUPS);
    let mapped = mapping.map(&message("/json/noise/n9/attrs", r#"{"l":1}"#));
    assert_eq!(mapped.unknown, Some(("noise".to_owned(), "n9".to_owned())));
    assert_eq!(mapped.tenant.as_str(), "ward");
    assert_eq!(mapped.skipped[0].0, Skip::UNKNOWN_DEVICE);
    assert_eq!(dead(&mapped).len(), 1);
    let mapped = mapping.map(&message("/json/noise/n1/attrs", r#"{"l":1}"#));
    assert_eq!(ids(&mapped), ["urn:ngsi-ld:NoiseLevelObserved:n1"]);
}

#[test]
fn what_cannot_be_used_is_a_dead_letter_with_a_reason() {
    let mapping = mapping(GROUPS);
    let check = |topic: &str, payload: &[u8], skip: Skip, part: &str| {
        let mapped = mapping.map(&message(topic, payload.to_vec()));
        assert!(ids(&mapped).is_empty(), "{topic}");
        assert_eq!(mapped.skipped[0].0, skip, "{topic}");
        assert!(dead(&mapped)[0].contains(part), "{:?}", dead(&mapped));
    };
    check("/json/other/d/attrs", b"{}", UNKNOWN_TOPIC, "\"other\"");
    check("some/topic", b"{}", UNKNOWN_TOPIC, "no mapping");
    check("/json/air/s1/attrs", b"\xFF\x00\x12", Skip::UNREADABLE, "UTF-8");
    check("/json/air/s1/attrs", b"{\"a\":", Skip::UNREADABLE, "no JSON");
    check("/json/air/s1/attrs", b"5", Skip::BAD_VALUE, "object");
    check("/json/air/s 1/attrs", b"{\"a\":1}", Skip::BAD_ID, "absolute URI");
}

#[test]
fn a_measure_without_values_writes_nothing_and_is_no_fault() {
    let mapped = mapping(GROUPS).map(&message("/json/air/s1/attrs", r#"{"a":null}"#));
    assert!(mapped.items.is_empty());
    assert_eq!(mapped.skipped[0].0, Skip::MISSING);
}

#[test]
fn a_retained_message_without_a_time_is_left_out() {
    let mapping = mapping(GROUPS);
    let mut kept = message("/json/air/s1/attrs", r#"{"a":1}"#);
    kept.retained = true;
    let mapped = mapping.map(&kept);
    assert!(mapped.items.is_empty());
    assert_eq!(mapped.skipped[0].0, RETAINED);
    kept.payload = r#"{"a":1,"TimeInstant":"2024-01-01T00:00:00Z"}"#.into();
    assert_eq!(ids(&mapping.map(&kept)).len(), 1);
}

#[test]
fn a_generic_message_maps_by_the_file_with_variables_and_device() {
    let mapping = mapping(GENERIC);
    let topic = "application/7/device/d1/event/up";
    let payload = r#"{"port":2,"laeq":63,"time":"2024-05-01T00:00:00Z","seq":9}"#;
    let mapped = mapping.map(&message(topic, payload));
    assert_eq!(ids(&mapped), ["urn:ngsi-ld:Noise:d1"]);
    assert!(mapped.dedup.is_some());
    assert_eq!(mapped.items[0].entities[0].attributes.len(), 2);
    let mapped = mapping.map(&message(topic, r#"{"port":1}"#));
    assert!(mapped.items.is_empty());
    assert_eq!(mapped.skipped[0].0, Skip::FILTERED);
    let mapped = mapping.map(&message("application/7/device/d2/event/up", payload));
    assert_eq!(mapped.skipped[0].0, Skip::UNKNOWN_DEVICE);
    let mapped = mapping.map(&message(topic, vec![0_u8, 159, 146, 150]));
    assert_eq!(mapped.skipped[0].0, Skip::UNREADABLE);
    let mut kept = message(topic, payload);
    kept.retained = true;
    assert_eq!(ids(&mapping.map(&kept)).len(), 1);
    kept.payload = r#"{"port":2,"laeq":63}"#.into();
    assert!(mapping.map(&kept).items.is_empty());
}

#[test]
fn the_topics_of_a_mapping_are_those_that_it_subscribes_to() {
    for text in [GROUPS, GENERIC] {
        let mapping = mapping(text);
        let filters: Vec<TopicFilter> =
            mapping.subscriptions().iter().map(|filter| filter.parse().unwrap()).collect();
        for topic in [
            "/json/air/d/attrs",
            "json/noise/d/attrs/x",
            "/air/d/attrs",
            "application/1/device/d1/event/up",
            "application/1/device/d1/event/join",
            "/json/other/d/attrs",
            "x",
        ] {
            let subscribed = filters.iter().any(|filter| filter.matches(topic));
            assert_eq!(mapping.wants(topic), subscribed, "{topic}");
        }
    }
}

#[test]
fn a_message_over_which_the_mapping_panics_is_a_dead_letter_and_not_the_end() {
    let mapping = mapping(GROUPS);
    let message = message("/json/air/d/attrs", r#"{"a":1}"#);
    let mapped = mapping.unless_it_panics(&message, || panic!("as the test wants it"));
    assert_eq!(dead(&mapped), ["the mapping has a bug that this message shows"]);
    assert_eq!(mapped.items[0].dead_letters[0].payload, message.payload);
}

#[test]
fn a_file_that_says_nothing_usable_is_refused() {
    let refuse = |text: &str, part: &str| {
        let file = MappingFile::parse(text, "t.toml").unwrap();
        let error = Mapping::new(&file, &Context::core()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    refuse("[source]\nkind='mqtt'", "[groups.KEY]");
    refuse(
        "[source]\nkind='mqtt'\n[[entity]]\ntype='A'\nid='urn:a:b'\n[entity.attr]\na='m.a'",
        "topics",
    );
    refuse(
        "[source]\nkind='mqtt'\ntopics=['a/#/b']\n[[entity]]\ntype='A'\nid='urn:a:b'\n[entity.attr]\na='m.a'",
        "a/#/b",
    );
    refuse("[source]\nkind='mqtt'\n[groups.'a/b']\ntype='A'", "a/b");
    refuse("[source]\nkind='mqtt'\ntopic_vars='{a'\n[groups.a]\ntype='A'", "{a");
    refuse("[source]\nkind='gbfs'\nurl='http://a'\n[map]\npreset='gbfs-stations'", "MQTT");
}

proptest! {
    #[test]
    fn any_message_becomes_something_and_nothing_panics(
        topic in "[/a-z0-9]{0,30}|/json/(air|noise|x)/[a-z0-9 ]{0,3}/attrs",
        payload in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let mapped = mapping(GROUPS).map_by_route(&message(&topic, payload));
        prop_assert!(!mapped.items.is_empty() || !mapped.skipped.is_empty());
    }
}
