use serde_json::json;

use super::*;
use crate::testing::{applied, change, time};

fn written(
    members: &serde_json::Value,
    before: Option<&serde_json::Value>,
    after: Option<&serde_json::Value>,
) -> serde_json::Value {
    let change = change(before, after);
    let bytes = body(&applied("", members), &change, "urn:n:1", time(3), time(4));
    serde_json::from_slice(&bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)))
}

fn members(notification: serde_json::Value) -> serde_json::Value {
    let mut notification = notification;
    if notification.get("endpoint").is_none() {
        notification["endpoint"] = json!({"uri": "http://127.0.0.1:9/"});
    }
    json!({
        "entities": [{"type": "Shelter"}],
        "notificationTrigger": ["attributeUpdated", "attributeDeleted"],
        "notification": notification,
    })
}

fn shelter() -> serde_json::Value {
    json!({
        "id": "urn:ngsi-ld:Shelter:1",
        "type": "Shelter",
        "scope": "/Nanao",
        "name": {"type": "Property", "value": "school"},
        "label": {"type": "LanguageProperty", "languageMap": {"ja": "学校"}},
        "partOf": {"type": "Relationship", "object": "urn:ngsi-ld:District:1"},
    })
}

fn without(names: &[&str]) -> serde_json::Value {
    let mut json = shelter();
    for name in names {
        json.as_object_mut().unwrap().remove(*name);
    }
    json
}

#[test]
fn a_notification_has_its_five_members_and_the_entity() {
    let mut after = shelter();
    after["name"]["value"] = json!("hall");
    let found = written(&members(json!({})), Some(&shelter()), Some(&after));
    let expected = json!({
        "id": "urn:n:1",
        "type": "Notification",
        "subscriptionId": "urn:ngsi-ld:Subscription:1",
        "notifiedAt": time(4).to_string(),
        "data": [after],
    });
    assert_eq!(found, expected);
}

#[test]
fn the_form_and_the_attributes_are_those_that_were_asked_for() {
    let data =
        |notification| written(&members(notification), None, Some(&shelter()))["data"][0].clone();
    let simplified = json!({
        "id": "urn:ngsi-ld:Shelter:1", "type": "Shelter", "name": "school",
    });
    let mut found = data(json!({"format": "keyValues", "attributes": ["name"]}));
    found.as_object_mut().unwrap().remove("scope");
    assert_eq!(found, simplified);
    assert_eq!(data(json!({"format": "concise"}))["name"], "school");
    let found = data(json!({"sysAttrs": true}));
    assert_eq!(found["createdAt"], time(2).to_string());
    assert_eq!(found["name"]["modifiedAt"], time(2).to_string());
}

#[test]
fn a_json_ld_notification_carries_its_context() {
    let endpoint = json!({"uri": "http://127.0.0.1:9/", "accept": "application/ld+json"});
    let found = written(&members(json!({"endpoint": endpoint})), None, Some(&shelter()));
    assert_eq!(found["@context"], CORE_CONTEXT_URL);
    assert_eq!(found["data"][0]["@context"], CORE_CONTEXT_URL);
}

#[test]
fn a_deleted_attribute_is_shown_as_null() {
    let after = without(&["name", "label", "partOf"]);
    let data = |notification| {
        written(&members(notification), Some(&shelter()), Some(&after))["data"][0].clone()
    };
    let found = data(json!({}));
    assert_eq!(found["name"], json!({"type": "Property", "value": NULL}));
    let map = json!({"type": "LanguageProperty", "languageMap": {"@none": NULL}});
    assert_eq!(found["label"], map);
    assert_eq!(found["partOf"], json!({"type": "Relationship", "object": NULL}));
    for format in ["keyValues", "simplified", "concise"] {
        let found = data(json!({"format": format}));
        assert_eq!(found["name"], NULL);
        assert_eq!(found["label"], NULL);
    }
    let found = data(json!({"sysAttrs": true}));
    let expected = json!({
        "type": "Property",
        "value": NULL,
        "createdAt": time(1).to_string(),
        "modifiedAt": time(1).to_string(),
        "deletedAt": time(3).to_string(),
    });
    assert_eq!(found["name"], expected);
    let found = data(json!({"attributes": ["label"]}));
    assert_eq!(found["label"], map);
    assert!(found.get("name").is_none());
}

#[test]
fn a_lost_instance_is_shown_as_null_beside_those_that_stay() {
    let instance = |dataset: &str, value: &str| json!({"type": "Property", "value": value, "datasetId": dataset});
    let mut before = without(&["label", "partOf"]);
    before["name"] = json!([{"type": "Property", "value": "school"}, instance("urn:d:ja", "学校")]);
    let mut after = before.clone();
    after["name"] = json!({"type": "Property", "value": "School"});
    let found = written(&members(json!({})), Some(&before), Some(&after));
    let expected = json!([{"type": "Property", "value": "School"}, instance("urn:d:ja", NULL)]);
    assert_eq!(found["data"][0]["name"], expected);
}

#[test]
fn of_a_deleted_entity_only_its_end_is_told() {
    let mut told = members(json!({}));
    told["notificationTrigger"] = json!(["entityDeleted"]);
    let found = written(&told, Some(&shelter()), None);
    let expected = json!({
        "id": "urn:ngsi-ld:Shelter:1",
        "type": "Shelter",
        "deletedAt": time(3).to_string(),
    });
    assert_eq!(found["data"], json!([expected]));
    told["notification"]["sysAttrs"] = json!(true);
    let found = written(&told, Some(&shelter()), None);
    assert_eq!(found["data"][0].as_object().unwrap().len(), 5);
    assert_eq!(found["data"][0]["createdAt"], time(1).to_string());
}

#[test]
fn who_watches_for_deleted_attributes_is_told_which_went_with_the_entity() {
    let mut told = members(json!({}));
    told["watchedAttributes"] = json!(["name"]);
    let found = written(&told, Some(&shelter()), None);
    let expected = json!({
        "id": "urn:ngsi-ld:Shelter:1",
        "type": "Shelter",
        "name": {"type": "Property", "value": NULL},
        "deletedAt": time(3).to_string(),
    });
    assert_eq!(found["data"], json!([expected]));
}

#[test]
fn the_headers_name_media_type_context_tenant_and_what_the_receiver_wants() {
    let info = json!([{"key": "Authorization", "value": "Bearer abc"}]);
    let endpoint = json!({"uri": "http://127.0.0.1:9/", "receiverInfo": info});
    let found = headers(&applied("kyoto", &members(json!({"endpoint": endpoint}))));
    assert_eq!(found[header::CONTENT_TYPE], "application/json");
    let link = format!(
        "<{CORE_CONTEXT_URL}>; rel=\"http://www.w3.org/ns/json-ld#context\"; \
         type=\"application/ld+json\""
    );
    assert_eq!(found[header::LINK], link);
    assert_eq!(found["ngsild-tenant"], "kyoto");
    assert_eq!(found[header::AUTHORIZATION], "Bearer abc");
    let endpoint = json!({"uri": "http://127.0.0.1:9/", "accept": "application/ld+json"});
    let found = headers(&applied("", &members(json!({"endpoint": endpoint}))));
    assert_eq!(found[header::CONTENT_TYPE], "application/ld+json");
    assert!(found.get(header::LINK).is_none());
    assert!(found.get("ngsild-tenant").is_none());
}

#[test]
fn an_id_is_that_of_tenant_subscription_and_change() {
    let subscription: SubscriptionId = "urn:ngsi-ld:Subscription:1".parse().unwrap();
    let other: SubscriptionId = "urn:ngsi-ld:Subscription:2".parse().unwrap();
    let (here, there): (Tenant, Tenant) = (Tenant::default(), "kyoto".parse().unwrap());
    let id = notification_id(&here, &subscription, (Sequence(7), time(0)));
    assert_eq!(id, notification_id(&here, &subscription, (Sequence(7), time(0))));
    assert!(id.starts_with("urn:ngsi-ld:Notification:"));
    for another in [
        notification_id(&there, &subscription, (Sequence(7), time(0))),
        notification_id(&here, &other, (Sequence(7), time(0))),
        notification_id(&here, &subscription, (Sequence(8), time(0))),
        notification_id(&here, &subscription, (Sequence(7), time(1))),
    ] {
        assert_ne!(id, another);
    }
}
