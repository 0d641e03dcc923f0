//! What feeds of every version say, and what they get wrong. All data here is synthetic.

use serde_json::json;

use super::*;

fn read<T>(read: fn(&[u8]) -> Result<Document<T>, Unreadable>, file: &Value) -> Document<T> {
    read(file.to_string().as_bytes()).unwrap()
}

fn stations_of(items: &Value) -> Document<Vec<Station>> {
    read(
        stations,
        &json!({ "last_updated": 1_700_000_000, "ttl": 60, "data": { "stations": items } }),
    )
}

fn statuses_of(items: &Value) -> Document<Vec<Status>> {
    read(
        statuses,
        &json!({ "last_updated": 1_700_000_000, "ttl": 60, "data": { "stations": items } }),
    )
}

#[test]
fn discovery_reads_every_version_and_chooses_a_language() {
    let feeds =
        |base: &str| json!({ "feeds": [{ "name": "station_status", "url": format!("{base}/s") }] });
    let version_2 = json!({ "version": "2.3", "data": { "ja": feeds("ja"), "en": feeds("en") } });
    let version_3 = json!({ "version": "3.0", "data": feeds("all") });
    let check = |file: &Value, language: Option<&str>, expected: &str| {
        let found = discovery(file.to_string().as_bytes(), language).unwrap();
        assert_eq!(found.data["station_status"], expected);
    };
    check(&version_2, None, "ja/s");
    check(&version_2, Some("en"), "en/s");
    check(&version_2, Some("fr"), "ja/s");
    check(&version_3, Some("en"), "all/s");
    assert_eq!(
        discovery(json!({ "data": {} }).to_string().as_bytes(), None),
        Err(Unreadable::NoData("list of feeds"))
    );
}

#[test]
fn a_file_that_is_no_feed_is_refused_as_a_whole() {
    let html = b"<!DOCTYPE html><html><body>Service unavailable</body></html>";
    let error = statuses(html).unwrap_err();
    assert!(error.to_string().contains("<!DOCTYPE html>"), "{error}");
    assert!(matches!(statuses(b""), Err(Unreadable::NotJson { .. })));
    assert!(matches!(statuses(b"{\"data\":{\"stations\":[{\"a"), Err(Unreadable::NotJson { .. })));
    assert!(matches!(statuses("[".repeat(100_000).as_bytes()), Err(Unreadable::NotJson { .. })));
    for (text, missing) in [
        ("{}", "data"),
        ("[]", "data"),
        ("{\"data\":[]}", "data"),
        ("{\"data\":{}}", "list of stations"),
        ("{\"data\":{\"stations\":{}}}", "list of stations"),
    ] {
        assert_eq!(statuses(text.as_bytes()), Err(Unreadable::NoData(missing)), "{text}");
    }
    assert_eq!(statuses("\u{feff}{\"data\":{\"stations\":[]}}".as_bytes()).unwrap().data, []);
}

#[test]
fn numbers_booleans_and_names_of_every_version_are_read() {
    let version_1 = json!([{
        "station_id": 7, "num_bikes_available": 2, "num_bikes_disabled": 1,
        "num_docks_available": 3, "is_installed": 1, "is_renting": 1, "is_returning": 0,
        "last_reported": 1_700_000_000
    }]);
    let version_3 = json!([{
        "station_id": "7", "num_vehicles_available": 2, "num_vehicles_disabled": 1,
        "num_docks_available": 3, "is_installed": true, "is_renting": true,
        "is_returning": false, "last_reported": "2023-11-14T22:13:20Z"
    }]);
    let texts = json!([{
        "station_id": "7", "num_bikes_available": "2", "num_bikes_disabled": 1.0,
        "num_docks_available": "3", "is_installed": "true", "is_renting": "1",
        "is_returning": "false", "last_reported": 1_700_000_000_000_i64
    }]);
    for items in [version_1, version_3, texts] {
        let read = statuses_of(&items);
        assert_eq!(read.problems, []);
        let expected = Status {
            id: "7".to_owned(),
            available: Some(2),
            disabled: Some(1),
            docks_available: Some(3),
            is_installed: Some(true),
            is_renting: Some(true),
            is_returning: Some(false),
            last_reported: Some("2023-11-14T22:13:20Z".parse().unwrap()),
            ..Status::default()
        };
        assert_eq!(read.data, [expected]);
    }
}

#[test]
fn a_broken_item_costs_itself_and_no_other() {
    let read = stations_of(&json!([
        { "station_id": "00010001", "name": "駅前", "lat": 35.6, "lon": 139.7 },
        { "name": "no id", "lat": 35.6, "lon": 139.7 },
        { "station_id": "", "lat": 35.6, "lon": 139.7 },
        { "station_id": { "a": 1 }, "lat": 35.6, "lon": 139.7 },
        { "station_id": "x".repeat(300), "lat": 35.6, "lon": 139.7 },
        { "station_id": "zero", "lat": 0, "lon": 0.0 },
        { "station_id": "north", "lat": 95.0, "lon": 139.7 },
        { "station_id": "swapped", "lat": 139.7, "lon": 35.6 },
        { "station_id": "nowhere" },
        { "station_id": "null", "lat": null, "lon": null },
        "a text", null, 7, [],
        { "station_id": "00010001", "name": "twice", "lat": 1, "lon": 1 },
        { "station": { "station_id": "wrapped", "lat": "35.6", "lon": "139.7" } },
        { "station_id": "equator", "lat": 0, "lon": 100 }
    ]));
    let ids: Vec<&str> = read.data.iter().map(|station| station.id.as_str()).collect();
    assert_eq!(ids, ["00010001", "wrapped", "equator"]);
    assert_eq!(read.data[0].name, Some(Text::Plain("駅前".to_owned())));
    let count = |skip: Skip| read.problems.iter().filter(|problem| problem.skip == skip).count();
    assert_eq!(count(Skip::BAD_ID), 8);
    assert_eq!(count(Skip::BAD_POSITION), 5);
    assert_eq!(count(Skip::DUPLICATE), 1);
    assert!(read.problems.iter().all(|problem| problem.fatal));
    let zero = read.problems.iter().find(|problem| problem.item == "zero").unwrap();
    assert!(zero.sample.contains("\"zero\""), "{zero:?}");
}

#[test]
fn a_bad_member_costs_itself_and_not_the_station() {
    let read = statuses_of(&json!([{
        "station_id": "1", "num_bikes_available": -1, "num_docks_available": 999_999,
        "is_installed": 2, "is_renting": "perhaps", "last_reported": 86_400
    }]));
    assert_eq!(read.data, [Status { id: "1".to_owned(), ..Status::default() }]);
    let reasons: Vec<&str> = read.problems.iter().map(|problem| problem.reason.as_str()).collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(read.problems.iter().all(|problem| !problem.fatal));
}

#[test]
fn capacity_has_many_forms() {
    let check = |members: Value, expected: Option<u64>| {
        let mut item = json!({ "station_id": "1", "lat": 35.6, "lon": 139.7 });
        item.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        assert_eq!(stations_of(&json!([item])).data[0].capacity, expected, "{members}");
    };
    check(json!({ "capacity": 17 }), Some(17));
    check(json!({ "capacity": 17, "vehicle_capacity": 3 }), Some(17));
    check(json!({ "vehicle_capacity": 12 }), Some(12));
    check(json!({ "vehicle_capacity": { "a": 1, "b": 2 } }), Some(3));
    check(json!({ "vehicle_type_capacity": { "a": 4 } }), Some(4));
    check(
        json!({ "vehicle_type_capacity": {
            "num_bikes_now": 5, "num_bikes_limit": 10, "num_bikes_parkable": 5,
            "num_bikes_rentalable": 5
        } }),
        Some(10),
    );
    check(
        json!({ "vehicle_docks_capacity": [
            { "vehicle_type_ids": ["a"], "count": 5 }, { "vehicle_type_ids": ["b"], "count": 6 }
        ] }),
        Some(11),
    );
    check(json!({ "vehicle_type_capacity": {} }), None);
    check(json!({ "vehicle_type_capacity": { "a": "many" } }), None);
    check(json!({ "capacity": null }), None);
    check(json!({}), None);
}

#[test]
fn texts_come_in_one_language_or_several() {
    let read = stations_of(&json!([{
        "station_id": "1", "lat": 35.6, "lon": 139.7,
        "name": [{ "text": "駅前", "language": "ja" }, { "text": "Station", "language": "en" }],
        "rental_uris": { "ios": "https://i.example", "web": "https://w.example" },
        "post_code": 1_000_001
    }]));
    let station = &read.data[0];
    let name = station.name.as_ref().unwrap();
    assert_eq!((name.any(Some("ja")), name.any(Some("fr"))), ("駅前", "Station"));
    assert_eq!(station.rental_uri.as_deref(), Some("https://w.example"));
    assert_eq!(station.post_code.as_deref(), Some("1000001"));
}

#[test]
fn the_system_is_named_and_its_licence_kept() {
    let file = json!({ "data": {
        "system_id": "town", "languages": ["ja", "en"],
        "name": [{ "text": "まちの自転車", "language": "ja" }],
        "operator": "Town", "license_id": "CC-BY-4.0",
        "attribution_organization_name": [{ "text": "Town", "language": "en" }]
    } });
    let read = read(system, &file);
    assert_eq!(read.data.id, "town");
    assert_eq!(read.data.language.as_deref(), Some("ja"));
    assert_eq!(read.data.license.as_deref(), Some("CC-BY-4.0"));
    assert_eq!(read.data.attribution.as_deref(), Some("Town"));
    assert_eq!(system(b"{\"data\":{}}"), Err(Unreadable::NoData("system_id")));
}

#[test]
fn the_header_says_when_and_how_long() {
    let read = statuses_of(&json!([]));
    assert_eq!(read.last_updated, Some("2023-11-14T22:13:20Z".parse().unwrap()));
    assert_eq!(read.ttl, 60);
    let odd = json!({ "last_updated": "soon", "ttl": -1, "data": { "stations": [] } });
    let odd = statuses(odd.to_string().as_bytes()).unwrap();
    assert_eq!((odd.last_updated, odd.ttl), (None, 0));
}
