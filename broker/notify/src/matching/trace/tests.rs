use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::match_subscription;
use crate::matching::index::tests::generated::{a_change, a_subscription};
use crate::matching::matcher::match_among;
use crate::testing::{change, subscription, time};

fn shelter(members: &Value) -> Value {
    let mut json = json!({"id": "urn:ngsi-ld:Shelter:1", "type": "Shelter"});
    for (name, value) in members.as_object().unwrap() {
        let is_attribute = name != "scope" && value.get("type").is_none();
        json[name] =
            if is_attribute { json!({"type": "Property", "value": value}) } else { value.clone() };
    }
    json
}

/// What is in the way of the change from `before` to `after`.
fn hindered(members: &Value, before: Option<&Value>, after: Option<&Value>) -> (String, String) {
    let mut all = json!({"entities": [{"type": "Shelter"}]});
    for (name, value) in members.as_object().unwrap() {
        all[name] = value.clone();
    }
    let (subscription, change) = (subscription(&all), change(before, after));
    let found = hindrance_among(&subscription, &change, time(10), &musubi_query::NoLinkedEntities);
    let found = found.unwrap_or_else(|| panic!("{members} is due"));
    (found.member.to_owned(), found.reason)
}

/// A change of one attribute and the coming of another.
fn check(members: &Value, member: &str, reason: &str) {
    let before = shelter(&json!({"count": 5, "name": "school"}));
    let after = shelter(&json!({
        "count": 12,
        "name": "school",
        "scope": "/Nanao/North",
        "location": {
            "type": "GeoProperty",
            "value": {"type": "Point", "coordinates": [136.97, 37.04]},
        },
    }));
    let found = hindered(members, Some(&before), Some(&after));
    assert_eq!(found, (member.to_owned(), reason.to_owned()), "{members}");
}

#[test]
fn what_a_subscription_waits_for_is_named() {
    check(
        &json!({"isActive": false}),
        "status",
        "the subscription is paused: its isActive is false",
    );
    check(
        &json!({"expiresAt": time(9).to_string()}),
        "status",
        &format!(
            "the subscription expired at {}, and the change happened at {}",
            time(9),
            time(10)
        ),
    );
    check(
        &json!({"timeInterval": 60}),
        "timeInterval",
        "it fires every 60 s, and does not fire on changes",
    );
    check(
        &json!({"silentFor": "PT15M"}),
        "silentFor",
        "it fires when an entity has not changed for 900 s and when it returns, and does not fire \
         on changes",
    );
    check(
        &json!({"watchedAttributes": ["status", "name"]}),
        "watchedAttributes",
        "what changed is count, location, and what is watched is status, name",
    );
    check(
        &json!({"notificationTrigger": ["attributeDeleted", "entityCreated"]}),
        "notificationTrigger",
        "what happened is entityUpdated, attributeUpdated of count, attributeCreated of location, \
         and it fires on attributeDeleted, entityCreated",
    );
}

#[test]
fn what_an_entity_has_to_be_is_named_with_what_it_is() {
    check(
        &json!({"entities": [
            {"type": "Park,(Dock;Shelter)"},
            {"type": "Shelter", "id": "urn:ngsi-ld:Shelter:2"},
            {"type": "*", "idPattern": "^urn:x"},
        ]}),
        "entities",
        "the entity is urn:ngsi-ld:Shelter:1 of type Shelter, and what is subscribed to is any \
         entity of type Park or Dock and Shelter or urn:ngsi-ld:Shelter:2 of type Shelter or an id \
         like ^urn:x",
    );
    check(
        &json!({"geoQ": {
            "georel": "near;maxDistance==500",
            "geometry": "Point",
            "coordinates": "[136.98,37.04]",
        }}),
        "geoQ",
        "near;maxDistance==500 of Point \"[136.98,37.04]\" does not hold: location is \
         {\"type\":\"Point\",\"coordinates\":[136.97,37.04]}",
    );
    check(
        &json!({"geoQ": {
            "georel": "within",
            "geometry": "Point",
            "coordinates": "[1,2]",
            "geoproperty": "place",
        }}),
        "geoQ",
        "within of Point \"[1,2]\" does not hold: the entity has no place",
    );
    check(
        &json!({"scopeQ": "/Wajima/#"}),
        "scopeQ",
        "/Wajima/# does not hold: the scope is /Nanao/North",
    );
}

#[test]
fn of_a_query_the_first_part_that_does_not_hold_is_named() {
    let after = shelter(&json!({
        "count": 12,
        "name": ["school", "gym"],
        "inside": {"type": "Relationship", "object": "urn:ngsi-ld:Building:1"},
    }));
    let check = |query: &str, reason: &str| {
        let found = hindered(&json!({"q": query}), None, Some(&after));
        assert_eq!(found, ("q".to_owned(), reason.to_owned()), "{query}");
    };
    check("count>5;count<10;name==\"x\"", "count<10 does not hold: count is 12");
    check("count>5;name==\"x\"", "name==\"x\" does not hold: name is [\"school\", \"gym\"]");
    check(
        "count==1|(name==\"x\";count>5)",
        "count==1|(name==\"x\";count>5) does not hold: count is 12, name is [\"school\", \"gym\"]",
    );
    check("status", "status does not hold: there is no status");
    check("!count", "!count does not hold: count is 12");
    check("count==1..5,20", "count==1..5,20 does not hold: count is 12");
    check(
        "inside==urn:ngsi-ld:Building:2",
        "inside==\"urn:ngsi-ld:Building:2\" does not hold: inside is urn:ngsi-ld:Building:1",
    );
    check(
        "inside{Building:name.other[x.y]}!=true",
        "inside{Building:name.other[x.y]}!=true does not hold: there is no \
         inside{Building:name.other[x.y]}",
    );
    check(
        "modifiedAt<2020-01-01T00:00:00Z",
        &format!("modifiedAt<2020-01-01T00:00:00Z does not hold: modifiedAt is {}", time(2)),
    );
    check("name~=\"^x\";count", "name~=^x does not hold: name is [\"school\", \"gym\"]");
}

#[test]
fn a_sentence_is_bounded() {
    let state = shelter(&json!({"name": "x".repeat(10_000)}));
    let query = format!("name==\"{}\"", "y".repeat(10_000));
    let (_, reason) = hindered(&json!({"q": query}), None, Some(&state));
    assert!(reason.chars().count() < 500, "{reason}");
}

proptest! {
    #[test]
    fn what_is_traced_is_what_matches(members in a_subscription(), states in a_change()) {
        let subscription = subscription(&members);
        let change = change(states.0.as_ref(), states.1.as_ref());
        let linked = &musubi_query::NoLinkedEntities;
        let found = hindrance_among(&subscription, &change, time(10), linked);
        let is_due = match_subscription(&subscription, &change, time(10));
        prop_assert_eq!(found.is_none(), is_due);
        prop_assert_eq!(match_among(&subscription, &change, time(10), linked), is_due);
        prop_assert!(found.is_none_or(|found| !found.reason.is_empty()));
    }
}
