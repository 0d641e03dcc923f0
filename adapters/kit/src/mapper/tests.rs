//! What items become.

use serde_json::json;

use super::*;
use musubi_model::{AttributeType, FragmentValue, Patch};

fn mapper(entity: &str) -> Mapper {
    let text = format!("[source]\nkind = 'mqtt'\n[[filter]]\nwhen = 'm.port == 2'\n{entity}");
    let file = MappingFile::parse(&text, "t.toml").unwrap();
    Mapper::new(&file, &Context::core()).unwrap()
}

fn input(message: Value) -> Input {
    Input {
        topic: BTreeMap::from([("device".to_owned(), "d1".to_owned())]),
        message,
        device: json!({ "lon": 139.5, "lat": 35.5, "name": "駅前" }),
        arrival: Timestamp::from_seconds(1_700_000_000),
        origin: "t".to_owned(),
        payload: Bytes::new(),
    }
}

const NOISE: &str = r#"
[[entity]]
type = "Noise"
id = "urn:ngsi-ld:Noise:${topic.device}"
observed_at = "m.time"
timezone = "Asia/Tokyo"
dedup = "m.seq"
[entity.attr]
laeq = { expr = "m.laeq", unit = "2N1", range = [0, 140] }
refDevice = { rel = "urn:ngsi-ld:Device:${topic.device}" }
location = { geo_point = ["device.lon", "device.lat"] }
name = { lang = { ja = "device.name", en = "device.name_en" } }
battery = "m.battery"
"#;

fn attribute<'a>(entity: &'a EntityFragment, term: &str) -> Option<&'a FragmentValue> {
    let name = Context::core().attribute(term).unwrap();
    let found = entity.attributes.iter().find(|attribute| attribute.name == name)?;
    found.instances[0].value.as_ref()
}

fn typed(entity: &EntityFragment, term: &str) -> (AttributeType, Value) {
    match attribute(entity, term) {
        Some(FragmentValue::Typed(value)) => (value.kind, value.json.to_value()),
        other => panic!("{term}: {other:?}"),
    }
}

#[test]
fn an_item_becomes_an_entity_with_every_kind_of_attribute() {
    let item =
        input(json!({ "port": 2, "laeq": 63, "time": "2024-05-01T12:00:00", "battery": 3.5 }));
    let entities = mapper(NOISE).map(&item).unwrap();
    let entity = &entities[0];
    assert_eq!(entity.id.as_ref().unwrap().as_str(), "urn:ngsi-ld:Noise:d1");
    assert_eq!(typed(entity, "laeq"), (AttributeType::Property, json!(63)));
    assert_eq!(
        typed(entity, "refDevice"),
        (AttributeType::Relationship, json!("urn:ngsi-ld:Device:d1"))
    );
    let point = json!({ "type": "Point", "coordinates": [139.5, 35.5] });
    assert_eq!(typed(entity, "location"), (AttributeType::GeoProperty, point));
    assert_eq!(typed(entity, "name"), (AttributeType::LanguageProperty, json!({ "ja": "駅前" })));
    let laeq = Context::core().attribute("laeq").unwrap();
    let found = entity.attributes.iter().find(|attribute| attribute.name == laeq).unwrap();
    let instance = &found.instances[0];
    assert_eq!(instance.unit_code, Patch::Set("2N1".into()));
    assert_eq!(instance.observed_at, Patch::Set("2024-05-01T03:00:00Z".parse().unwrap()));
}

#[test]
fn a_missing_value_is_left_out_deleted_or_refuses_the_item() {
    let item = input(json!({ "port": 2, "laeq": 63 }));
    let skip = mapper(NOISE).map(&item).unwrap();
    assert_eq!(attribute(&skip[0], "battery"), None);
    let null = mapper(&NOISE.replace("dedup", "on_missing = 'null'\ndedup")).map(&item).unwrap();
    assert_eq!(attribute(&null[0], "battery"), Some(&FragmentValue::Null));
    let error = mapper(&NOISE.replace("dedup", "on_missing = 'error'\ndedup")).map(&item);
    assert!(
        matches!(&error, Err(Unmapped::Unusable { skip: Skip::MISSING, reason }) if reason.contains("battery")),
        "{error:?}"
    );
}

#[test]
fn a_value_out_of_range_is_never_written() {
    let item = input(json!({ "port": 2, "laeq": 500 }));
    let mut notes = Vec::new();
    let entities = mapper(NOISE).map_noting(&item, &mut notes).unwrap();
    assert_eq!(attribute(&entities[0], "laeq"), None);
    assert!(notes.iter().any(|note| note.skip == Skip::OUT_OF_RANGE && note.attribute == "laeq"));
    let text = mapper(NOISE).map_noting(&input(json!({ "port": 2, "laeq": "loud" })), &mut notes);
    assert_eq!(attribute(&text.unwrap()[0], "laeq"), None);
}

#[test]
fn an_item_without_a_usable_time_falls_back_or_is_refused() {
    let item = input(json!({ "port": 2, "laeq": 63, "time": "soon" }));
    let arrival = mapper(NOISE).map(&item).unwrap();
    let instance = &arrival[0].attributes[0].instances[0];
    assert_eq!(instance.observed_at, Patch::Set(item.arrival));
    let reject = mapper(&NOISE.replace("dedup", "fallback = 'reject'\ndedup")).map(&item);
    assert!(matches!(reject, Err(Unmapped::Unusable { skip: Skip::BAD_TIME, .. })), "{reject:?}");
}

#[test]
fn a_filter_lets_pass_what_it_is_true_for() {
    let mapper = mapper(NOISE);
    assert_eq!(mapper.map(&input(json!({ "port": 3 }))), Err(Unmapped::Filtered { line: 4 }));
    assert_eq!(mapper.map(&input(json!({}))), Err(Unmapped::Filtered { line: 4 }));
    let list = mapper.map(&input(json!([1])));
    assert!(matches!(list, Err(Unmapped::Unusable { skip: Skip::BAD_VALUE, .. })), "{list:?}");
}

#[test]
fn an_id_that_is_none_refuses_the_item() {
    let mapper = mapper(&NOISE.replace("${topic.device}\"\nobserved", "${m.id}\"\nobserved"));
    for id in [json!(""), json!(null), json!("a b"), json!({})] {
        let result = mapper.map(&input(json!({ "port": 2, "laeq": 1, "id": id })));
        assert!(matches!(result, Err(Unmapped::Unusable { skip: Skip::BAD_ID, .. })), "{result:?}");
    }
}

#[test]
fn an_item_without_any_value_becomes_nothing() {
    let bare = "[[entity]]\ntype = 'T'\nid = 'urn:a:b'\n[entity.attr]\na = 'm.a'\n";
    let mapped = mapper(bare).map(&input(json!({ "port": 2 })));
    assert!(matches!(mapped, Err(Unmapped::Unusable { skip: Skip::MISSING, .. })), "{mapped:?}");
}

#[test]
fn the_same_item_has_the_same_dedup_key() {
    let mapper = mapper(NOISE);
    let key = |seq: i64| mapper.dedup_key(&input(json!({ "port": 2, "seq": seq })));
    assert_eq!(key(1), key(1));
    assert_ne!(key(1), key(2));
    assert_eq!(mapper.dedup_key(&input(json!({ "port": 2 }))), None);
}

#[test]
fn an_error_in_an_expression_is_shown_at_its_place() {
    let check = |from: &str, to: &str, line: usize| {
        let text = format!("[source]\nkind = 'mqtt'\n{}", NOISE.replace(from, to));
        let file = MappingFile::parse(&text, "t.toml").unwrap();
        let error = Mapper::new(&file, &Context::core()).unwrap_err();
        assert_eq!(error.place.map(|(line, _)| line), Some(line), "{error}");
    };
    check("m.laeq", "m.laeq +", 11);
    check("Asia/Tokyo", "Asia/Nowhere", 8);
    check("${topic.device}\"\nobserved", "${topic.device\"\nobserved", 6);
    check("device.lat", "device.lat)", 13);
}
