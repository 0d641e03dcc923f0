//! What a mapping file may say, and where an error is.

use std::path::Path;
use std::time::Duration;

use super::*;

const NOISE: &str = r#"
schema = "musubi.mapping/1"
name   = "noise"
tenant = "city-a"
[source]
kind = "mqtt"
connection = "lora"
topics = ["application/+/device/+/event/up"]
topic_vars = "application/{app}/device/{dev_eui}/event/{event}"
shared_group = "musubi"
password = "env:LORA_PASSWORD"
[decode]
format = "json"
[[filter]]
when = "has(m.object) && m.fPort == 2"
[[entity]]
type = "NoiseLevelObserved"
id   = "urn:ngsi-ld:NoiseLevelObserved:${topic.dev_eui}"
context = "musubi"
observed_at = "m.time"
timezone = "Asia/Tokyo"
fallback = "reject"
on_missing = "null"
dedup = "m.deduplicationId"
[entity.attr]
plain       = "m.object.plain"
LAeq        = { expr = "m.object.laeq", unit = "2N1", range = [0, 140] }
refDevice   = { rel  = "urn:ngsi-ld:Device:${topic.dev_eui}" }
location    = { geo_point = ["device.lon", "device.lat"] }
name        = { lang = { ja = "device.name_ja" } }
[change]
ignore = ["rssi"]
heartbeat = "15m"
[model_check]
schema = "NoiseLevelObserved"
mode = "enforce"
[groups.key1]
type = "Device"
tenant = "city-b"
known = { a = { lon = 139.5 }, b = {} }
[groups.key2]
type = "Device"
devices = "any"
[[test]]
name = "normal uplink"
topic = "application/1/device/0101/event/up"
input_file = "tests/up1.json"
expect_file = "tests/up1.ngsild.json"
"#;

#[test]
fn every_key_of_a_mapping_file_is_read() {
    let file = MappingFile::parse(NOISE, "town/noise.toml").unwrap();
    assert_eq!(file.name, "noise");
    assert_eq!(file.tenant.as_str(), "city-a");
    assert_eq!(file.resolve("tests/up1.json"), Path::new("town/tests/up1.json"));
    let Source::Mqtt(mqtt) = &file.source else { panic!("{:?}", file.source) };
    assert_eq!((mqtt.qos, mqtt.shared_group.as_str()), (1, "musubi"));
    assert_eq!(mqtt.password, Some(Secret::Environment("LORA_PASSWORD".to_owned())));
    assert_eq!(file.filters.len(), 1);
    assert_eq!(file.filters[0].line, 15);
    let entity = &file.entities[0];
    assert_eq!((entity.fallback, entity.on_missing), (Fallback::Reject, OnMissing::Null));
    assert_eq!(entity.attributes.len(), 5);
    assert_eq!(entity.attributes["LAeq"].range, Some((0.0, 140.0)));
    assert_eq!(file.change.heartbeat, Some(Duration::from_mins(15)));
    assert_eq!(file.model_check.unwrap().mode, ModelCheckMode::Enforce);
    assert_eq!(file.groups["key1"].known["a"]["lon"], 139.5);
    assert_eq!(file.groups["key1"].devices, Devices::Known);
    assert_eq!(file.groups["key2"].devices, Devices::Any);
    assert_eq!(file.tests.len(), 1);
}

#[test]
fn a_gbfs_file_is_short_and_named_by_its_stem() {
    let text = r#"
[source]
kind = "gbfs"
url  = "https://example.org/gbfs.json"
min_interval = "90s"
[map]
preset = "gbfs-stations"
vehicles = false
attribution = "公共交通オープンデータセンター / ODPT, CC BY 4.0"
"#;
    let file = MappingFile::parse(text, "feeds/tokyo.toml").unwrap();
    assert_eq!(file.name, "tokyo");
    assert!(file.tenant.is_default());
    let Source::Gbfs(gbfs) = &file.source else { panic!("{:?}", file.source) };
    assert_eq!(gbfs.min_interval, Duration::from_secs(90));
    assert_eq!(file.map.unwrap().preset, Preset::GbfsStations);
}

#[test]
fn an_error_names_the_file_the_place_and_what_is_possible() {
    let check = |text: &str, place: Option<(usize, usize)>, words: &str| {
        let error = MappingFile::parse(text, "a.toml").unwrap_err();
        assert_eq!(error.place, place, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().starts_with("a.toml:"), "{error}");
    };
    let gbfs = "[source]\nkind = \"gbfs\"\nurl = \"x\"\n";
    check("[source]\nkind = 'http_poll'\n", Some((2, 8)), "\"http_push\"");
    check("name = 'a'\n", None, "[source]");
    check("[source\n", Some((1, 8)), "");
    check("[source]\nkind = \"gbfs\"\nurl = \"x\"\nulr = 1\n", Some((4, 1)), "ulr");
    check(&format!("{gbfs}min_interval = '1 minute'\n"), Some((4, 16)), "duration");
    check(&format!("schema = 'musubi.mapping/2'\n{gbfs}"), Some((1, 10)), "musubi.mapping/1");
    check(&format!("name = 'a/b'\n{gbfs}"), Some((1, 8)), "named by");
    check(&format!("tenant = 'a b'\n{gbfs}"), Some((1, 10)), "tenant");
    check(&format!("{gbfs}[decode]\nformat = 'ul20'\n"), Some((5, 10)), "`csv`");
    check(&format!("{gbfs}[decode]\npreset = 'chirpstack-v4'\n"), Some((5, 10)), "chirpstack-v4");
    check(&format!("{gbfs}[map]\npreset = 'gtfs'\n"), Some((5, 10)), "gbfs-stations");
    check("[source]\nkind = 'mqtt'\npassword = 'secret'\n", Some((3, 12)), "env:NAME");
    check("[source]\nkind = 'mqtt'\nqos = 2\n", Some((3, 7)), "qos");
    check("[source]\nkind = 'file'\n", None, "path or url");
    check("[source]\nkind = 'mqtt'\nurl = 'a'\nconnection = 'b'\n", None, "not both");
    let entity = format!("{gbfs}[[entity]]\ntype = 'T'\nid = 'urn:a:b'\n[entity.attr]\n");
    check(&format!("{entity}a = {{ unit = 'x' }}\n"), Some((8, 5)), "exactly one");
    check(&format!("{entity}a = {{ rel = 'u', unit = 'x' }}\n"), Some((8, 5)), "expr only");
    check(&format!("{entity}a = {{ expr = 'm.a', range = [2, 1] }}\n"), Some((8, 5)), "range");
    check(&format!("{entity}a = {{ exp = 'm.a' }}\n"), Some((8, 7)), "exp");
}

#[test]
fn the_column_counts_characters() {
    let error = MappingFile::parse("name = \"東京\"  x\n[source]\nkind='gbfs'\n", "a.toml");
    assert_eq!(error.unwrap_err().place, Some((1, 14)));
}

#[test]
fn a_secret_is_read_from_where_it_is_kept_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), "  hush\n").unwrap();
    assert_eq!(Secret::from("file:password").read(folder.path()).unwrap(), "hush");
    assert_eq!(Secret::from("plain").read(folder.path()).unwrap(), "plain");
    assert!(Secret::from("file:nothing").read(folder.path()).is_err());
    assert!(Secret::from("env:MUSUBI_SURELY_NOT_SET").read(folder.path()).is_err());
    assert!(!format!("{:?}", Secret::from("plain")).contains("plain"));
}

#[test]
fn a_file_that_is_not_there_is_an_error_with_its_name() {
    let error = MappingFile::load(Path::new("nowhere/at-all.toml")).unwrap_err();
    assert!(error.to_string().starts_with("nowhere/at-all.toml: "), "{error}");
}
