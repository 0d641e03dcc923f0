use serde_json::{Value, json};

use super::*;
use crate::testing::{change, subscription, time};

fn shelter(members: &Value) -> Value {
    let mut json = json!({"id": "urn:ngsi-ld:Shelter:1", "type": "Shelter"});
    for (name, value) in members.as_object().unwrap() {
        json[name] = json!({"type": "Property", "value": value});
    }
    json
}

fn is_due(members: &Value, before: Option<&Value>, after: Option<&Value>) -> bool {
    let change = change(before, after);
    match_subscription(&subscription(members), &change, time(10))
}

#[test]
fn triggers_fire_on_what_they_name() {
    let without = || Some(shelter(&json!({"name": "school"})));
    let one = || Some(shelter(&json!({"name": "school", "count": 1})));
    let two = || Some(shelter(&json!({"name": "school", "count": 2})));
    let happenings = [
        ("created", None, one()),
        ("appended", without(), one()),
        ("updated", one(), two()),
        ("taken away", one(), without()),
        ("deleted", one(), None),
    ];
    let check = |triggers: Value, expected: [&str; 2], rest: &[&str]| {
        let expected = [&expected[..], rest].concat();
        for watched in [Value::Null, json!(["count"])] {
            let mut members = json!({"entities": [{"type": "Shelter"}]});
            if !triggers.is_null() {
                members["notificationTrigger"] = triggers.clone();
            }
            if !watched.is_null() {
                members["watchedAttributes"] = watched;
            }
            for (name, before, after) in &happenings {
                let due = is_due(&members, before.as_ref(), after.as_ref());
                assert_eq!(due, expected.contains(name), "{members} {name}");
            }
        }
    };
    check(Value::Null, ["created", "appended"], &["updated"]);
    check(json!(["entityCreated"]), ["created", ""], &[]);
    check(json!(["entityDeleted"]), ["deleted", ""], &[]);
    check(json!(["attributeCreated"]), ["created", "appended"], &[]);
    check(json!(["attributeUpdated"]), ["updated", ""], &[]);
    check(json!(["attributeDeleted"]), ["taken away", "deleted"], &[]);
    check(json!(["entityUpdated"]), ["created", "appended"], &["updated", "taken away", "deleted"]);
}

#[test]
fn an_instance_that_comes_or_goes_fires_as_its_attribute_does() {
    let instance = |dataset: &str| json!({"type": "Property", "value": 1, "datasetId": dataset});
    let with = |datasets: &[&str]| {
        let mut json = shelter(&json!({}));
        json["count"] = datasets.iter().map(|dataset| instance(dataset)).collect();
        json
    };
    let fires = |trigger: &str, before: &[&str], after: &[&str]| {
        let members = json!({"entities": [{"type": "Shelter"}], "notificationTrigger": [trigger]});
        is_due(&members, Some(&with(before)), Some(&with(after)))
    };
    let (one, both) = (&["urn:d:1"][..], &["urn:d:1", "urn:d:2"][..]);
    assert!(fires("attributeDeleted", both, one));
    assert!(!fires("attributeDeleted", one, both));
    assert!(fires("attributeCreated", one, both));
    assert!(!fires("attributeCreated", both, one));
    assert!(fires("attributeUpdated", both, one));
}

#[test]
fn an_attribute_that_is_not_watched_does_not_fire() {
    let members = json!({"entities": [{"type": "Shelter"}], "watchedAttributes": ["count"]});
    let one = shelter(&json!({"count": 1, "name": "a"}));
    let two = shelter(&json!({"count": 1, "name": "b"}));
    assert!(!is_due(&members, Some(&one), Some(&two)));
    let members = json!({
        "watchedAttributes": ["other"],
        "notificationTrigger": ["entityCreated", "entityDeleted"],
    });
    assert!(!is_due(&members, None, Some(&one)));
    assert!(!is_due(&members, Some(&one), None));
}

#[test]
fn selectors_choose_by_type_and_id() {
    let new = shelter(&json!({"count": 1}));
    let check = |selector: Value, expected: bool| {
        assert_eq!(
            is_due(&json!({"entities": [selector]}), None, Some(&new)),
            expected,
            "{selector}"
        );
    };
    check(json!({"type": "Shelter"}), true);
    check(json!({"type": "Park"}), false);
    check(json!({"type": "Park,Shelter"}), true);
    check(json!({"type": "(Park;Shelter)"}), false);
    check(json!({"type": "*"}), true);
    check(json!({"type": "*", "idPattern": "Shelter:[0-9]$"}), true);
    check(json!({"type": "*", "idPattern": "^Shelter"}), false);
    check(json!({"type": "*", "id": "urn:ngsi-ld:Shelter:1"}), true);
    check(json!({"type": "*", "id": ["urn:a:1", "urn:ngsi-ld:Shelter:1"]}), true);
    check(json!({"type": "Park", "id": "urn:ngsi-ld:Shelter:1"}), false);
    check(json!({"type": "*", "id": "urn:a:1", "idPattern": "Shelter"}), false);
}

#[test]
fn queries_look_at_the_entity_after_the_change_or_before_its_end() {
    let low = || shelter(&json!({"count": 1}));
    let high = || shelter(&json!({"count": 100}));
    let members = json!({
        "entities": [{"type": "Shelter"}],
        "q": "count>50",
        "notificationTrigger": ["attributeUpdated", "entityDeleted"],
    });
    assert!(is_due(&members, Some(&low()), Some(&high())));
    assert!(!is_due(&members, Some(&high()), Some(&low())));
    assert!(is_due(&members, Some(&high()), None));
    assert!(!is_due(&members, Some(&low()), None));
    let mut scoped = high();
    scoped["scope"] = json!("/Nanao/North");
    let mut members = json!({"entities": [{"type": "Shelter"}], "scopeQ": "/Nanao/#"});
    assert!(is_due(&members, None, Some(&scoped)));
    members["scopeQ"] = json!("/Wajima/#");
    assert!(!is_due(&members, None, Some(&scoped)));
}

#[test]
fn a_geo_query_looks_at_the_location() {
    let mut here = shelter(&json!({"count": 1}));
    here["location"] = json!({
        "type": "GeoProperty",
        "value": {"type": "Point", "coordinates": [136.97, 37.04]},
    });
    let due = |distance: u32| {
        let geo_query = json!({
            "georel": format!("near;maxDistance=={distance}"),
            "geometry": "Point",
            "coordinates": "[136.98,37.04]",
        });
        let members = json!({"entities": [{"type": "Shelter"}], "geoQ": geo_query});
        is_due(&members, None, Some(&here))
    };
    assert!(due(2000));
    assert!(!due(500));
}

#[test]
fn nothing_is_due_to_a_subscription_that_is_not_active() {
    let new = shelter(&json!({"count": 1}));
    let members = json!({"entities": [{"type": "Shelter"}], "isActive": false});
    assert!(!is_due(&members, None, Some(&new)));
    let members = json!({"entities": [{"type": "Shelter"}], "expiresAt": time(10).to_string()});
    assert!(!is_due(&members, None, Some(&new)));
    let members = json!({"entities": [{"type": "Shelter"}], "expiresAt": time(11).to_string()});
    assert!(is_due(&members, None, Some(&new)));
}
