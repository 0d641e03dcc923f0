//! What stations become. All data here is synthetic.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

fn station() -> Station {
    Station {
        id: "00010001".to_owned(),
        name: Some(Text::Plain("駅前".to_owned())),
        position: (139.7, 35.6),
        address: Some("本町1-1".to_owned()),
        post_code: Some("100-0001".to_owned()),
        capacity: Some(20),
        ..Station::default()
    }
}

fn status(bikes: Option<u64>, docks: Option<u64>) -> Status {
    Status {
        id: "00010001".to_owned(),
        available: bikes,
        docks_available: docks,
        is_installed: Some(true),
        last_reported: Some(Timestamp::from_seconds(1_700_000_000)),
        ..Status::default()
    }
}

fn origin() -> Origin {
    Origin {
        system: System {
            id: "town".to_owned(),
            language: Some("ja".to_owned()),
            name: Some(Text::Plain("まちの自転車".to_owned())),
            operator: Some(Text::Plain("Town".to_owned())),
            license: Some("CC-BY-4.0".to_owned()),
            attribution: Some("Town".to_owned()),
            ..System::default()
        },
        attribution: Some("Town, CC BY 4.0".to_owned()),
        source: Some("https://example.org/gbfs.json".to_owned()),
    }
}

fn mapped(station: &Station, status: &Status) -> BTreeMap<String, (AttributeType, Value, bool)> {
    let mapper = StationMapper::new().unwrap();
    let (stations, statuses) = ([station.clone()], [status.clone()]);
    let result = mapper.map(&origin(), &stations, &statuses);
    assert_eq!(result.problems, []);
    let entity = &result.stations[0].entity;
    let attributes = entity.attributes.iter().map(|attribute| {
        let instance = &attribute.instances[0];
        let Some(FragmentValue::Typed(value)) = &instance.value else { panic!("{attribute:?}") };
        let observed = matches!(instance.observed_at, Patch::Set(_));
        (attribute.name.to_string(), (value.kind, value.json.to_value(), observed))
    });
    attributes.collect()
}

const OWN: &str = "urn:musubi:ns:";
const SDM: &str = "https://smartdatamodels.org/dataModel.Transportation/";

#[test]
fn a_station_becomes_an_entity_field_by_field() {
    let numbers = Status {
        docks_disabled: Some(1),
        disabled: Some(2),
        is_renting: Some(true),
        is_returning: Some(true),
        by_type: Some(json!([{ "vehicle_type_id": "a", "count": 5 }])),
        ..status(Some(5), Some(12))
    };
    let found = mapped(&station(), &numbers);
    let check = |name: &str, kind: AttributeType, value: Value, observed: bool| {
        assert_eq!(found.get(name), Some(&(kind, value, observed)), "{name}");
    };
    let property = AttributeType::Property;
    let point = json!({ "type": "Point", "coordinates": [139.7, 35.6] });
    check("https://uri.etsi.org/ngsi-ld/location", AttributeType::GeoProperty, point, false);
    check("https://smartdatamodels.org/name", property, json!("駅前"), false);
    let address = json!({ "streetAddress": "本町1-1", "postalCode": "100-0001" });
    check("https://smartdatamodels.org/address", property, address, false);
    check("https://smartdatamodels.org/dataProvider", property, json!("Town"), false);
    check(&format!("{OWN}agencyName"), property, json!("まちの自転車"), false);
    check(&format!("{OWN}license"), property, json!("CC-BY-4.0"), false);
    check(&format!("{OWN}attribution"), property, json!("Town, CC BY 4.0"), false);
    check(&format!("{OWN}stationCode"), property, json!("00010001"), false);
    check(&format!("{SDM}totalSlotNumber"), property, json!(20), false);
    check(&format!("{SDM}availableBikeNumber"), property, json!(5), true);
    check(&format!("{SDM}freeSlotNumber"), property, json!(12), true);
    check(&format!("{SDM}outOfServiceSlotNumber"), property, json!(1), true);
    check(&format!("{OWN}disabledBikeNumber"), property, json!(2), true);
    check(&format!("{OWN}isRenting"), property, json!(true), true);
    check("https://uri.etsi.org/ngsi-ld/status", property, json!("working"), true);
    let types = json!([{ "vehicle_type_id": "a", "count": 5 }]);
    check(&format!("{OWN}vehicleTypesAvailable"), AttributeType::JsonProperty, types, true);
}

#[test]
fn the_id_holds_system_and_station_and_is_always_one() {
    let mapper = StationMapper::new().unwrap();
    let check = |id: &str, expected: &str| {
        let stations = [Station { id: id.to_owned(), ..station() }];
        let result = mapper.map(&origin(), &stations, &[]);
        let id = result.stations[0].entity.id.as_ref().unwrap().to_string();
        assert_eq!(id, format!("urn:ngsi-ld:BikeHireDockingStation:town:{expected}"));
    };
    check("00010001", "00010001");
    check("a b/c", "a%20b%2Fc");
    check("駅", "駅");
    check("a%20", "a%2520");
    check("<\"\u{7f}>", "%3C%22%7F%3E");
}

#[test]
fn the_status_follows_the_rule() {
    let check = |bikes: Option<u64>, docks: Option<u64>, expected: Option<&str>| {
        assert_eq!(
            station_status(&status(bikes, docks), Some(20)),
            expected,
            "{bikes:?} {docks:?}"
        );
    };
    check(Some(0), Some(20), Some("empty"));
    check(Some(20), Some(0), Some("full"));
    check(Some(0), Some(0), Some("empty"));
    check(Some(2), Some(18), Some("almostEmpty"));
    check(Some(3), Some(17), Some("working"));
    check(Some(18), Some(2), Some("almostFull"));
    check(Some(31), Some(0), Some("full"));
    check(Some(9), None, Some("working"));
    check(None, Some(2), Some("almostFull"));
    check(None, None, None);
    // Without a capacity, vehicles and places together are it.
    assert_eq!(station_status(&status(Some(1), Some(9)), None), Some("almostEmpty"));
    assert_eq!(station_status(&status(Some(2), Some(8)), None), Some("working"));
    assert_eq!(station_status(&status(Some(1), None), None), Some("working"));
}

#[test]
fn only_a_station_that_is_gone_or_closed_is_out_of_service() {
    let check = |installed: bool, renting: bool, returning: bool, expected: &str| {
        let status = Status {
            is_installed: Some(installed),
            is_renting: Some(renting),
            is_returning: Some(returning),
            ..status(Some(0), Some(20))
        };
        assert_eq!(station_status(&status, Some(20)), Some(expected));
    };
    // An empty station of a feed that says "not renting" for "nothing there".
    check(true, false, true, "empty");
    check(true, true, false, "empty");
    check(true, false, false, "outOfService");
    check(false, true, true, "outOfService");
}

#[test]
fn a_name_in_several_languages_is_a_language_property() {
    let texts = BTreeMap::from([
        ("ja".to_owned(), "駅前".to_owned()),
        ("en".to_owned(), "Station".to_owned()),
    ]);
    let station = Station { name: Some(Text::Localized(texts)), ..station() };
    let found = mapped(&station, &status(Some(5), Some(5)));
    let (kind, value, _) = &found["https://smartdatamodels.org/name"];
    assert_eq!(
        (*kind, value),
        (AttributeType::LanguageProperty, &json!({ "ja": "駅前", "en": "Station" }))
    );
    assert_eq!(found[&format!("{SDM}stationName")].1, json!("駅前"));
}

#[test]
fn what_does_not_fit_together_is_a_problem() {
    let mapper = StationMapper::new().unwrap();
    let stations = [station()];
    let statuses = [Status { id: "unknown".to_owned(), ..Status::default() }];
    let result = mapper.map(&origin(), &stations, &statuses);
    assert_eq!(result.stations.len(), 1);
    let problems: Vec<(&str, bool)> =
        result.problems.iter().map(|problem| (problem.item.as_str(), problem.fatal)).collect();
    assert_eq!(problems, [("00010001", false), ("unknown", true)]);
}

#[test]
fn an_outline_that_is_no_geometry_is_left_out() {
    let with = |area: Value| {
        let station = Station { area: Some(area), ..station() };
        mapped(&station, &status(Some(5), Some(5))).contains_key(&format!("{OWN}stationArea"))
    };
    assert!(with(json!({ "type": "MultiPolygon", "coordinates":
        [[[[139.0, 35.0], [139.1, 35.0], [139.1, 35.1], [139.0, 35.0]]]] })));
    assert!(!with(json!({ "type": "MultiPolygon", "coordinates": "here" })));
}
