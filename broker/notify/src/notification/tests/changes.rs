//! What a notification says of what a change took away, and of what was there before.

use super::*;

/// One attribute of each kind.
fn kinds() -> Value {
    json!({
        "id": "urn:ngsi-ld:Shelter:1",
        "type": "Shelter",
        "property": {"type": "Property", "value": 1, "unitCode": "CEL"},
        "geo": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}},
        "relationship": {"type": "Relationship", "object": "urn:a:1"},
        "language": {"type": "LanguageProperty", "languageMap": {"ja": "学校", "en": "school"}},
        "vocab": {"type": "VocabProperty", "vocab": "open"},
        "free": {"type": "JsonProperty", "json": {"id": 5, "none": null}},
        "list": {"type": "ListProperty", "valueList": [1, [2]]},
        "links": {
            "type": "ListRelationship",
            "objectList": [{"object": "urn:a:1"}, {"object": "urn:a:2"}],
        },
    })
}

fn others() -> Value {
    json!({
        "id": "urn:ngsi-ld:Shelter:1",
        "type": "Shelter",
        "property": {"type": "Property", "value": 2, "unitCode": "CEL"},
        "geo": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [3, 4]}},
        "relationship": {"type": "Relationship", "object": "urn:a:3"},
        "language": {"type": "LanguageProperty", "languageMap": {"ja": "体育館"}},
        "vocab": {"type": "VocabProperty", "vocab": "closed"},
        "free": {"type": "JsonProperty", "json": []},
        "list": {"type": "ListProperty", "valueList": []},
        "links": {"type": "ListRelationship", "objectList": [{"object": "urn:a:3"}]},
    })
}

/// The member with the value before, and that value, of each of [`kinds`].
fn previous() -> [(&'static str, &'static str, Value); 8] {
    let before = kinds();
    let value = |name: &str, member: &str| before[name][member].clone();
    [
        ("property", "previousValue", value("property", "value")),
        ("geo", "previousValue", value("geo", "value")),
        ("relationship", "previousObject", value("relationship", "object")),
        ("language", "previousLanguageMap", value("language", "languageMap")),
        ("vocab", "previousVocab", value("vocab", "vocab")),
        ("free", "previousJson", value("free", "json")),
        ("list", "previousValueList", value("list", "valueList")),
        ("links", "previousObjectList", value("links", "objectList")),
    ]
}

#[tokio::test]
async fn a_deleted_attribute_is_shown_as_null() {
    let after = without(&["name", "label", "partOf"]);
    let data =
        async |notification| told(&members(notification), Some(&shelter()), Some(&after)).await;
    let found = data(json!({})).await;
    assert_eq!(found["name"], json!({"type": "Property", "value": NULL}));
    let map = json!({"type": "LanguageProperty", "languageMap": {"@none": NULL}});
    assert_eq!(found["label"], map);
    assert_eq!(found["partOf"], json!({"type": "Relationship", "object": NULL}));
    for format in ["keyValues", "simplified", "concise"] {
        let found = data(json!({"format": format})).await;
        for name in ["name", "label", "partOf"] {
            assert_eq!(found[name], NULL, "{format} {name}");
        }
    }
    let found = data(json!({"sysAttrs": true})).await;
    let mut expected = json!({
        "type": "Property",
        "value": NULL,
        "createdAt": time(1).to_string(),
        "modifiedAt": time(1).to_string(),
        "deletedAt": time(3).to_string(),
    });
    assert_eq!(found["name"], expected);
    assert!(found.get("deletedAt").is_none());
    let found = data(json!({"sysAttrs": true, "format": "concise"})).await;
    expected.as_object_mut().unwrap().remove("type");
    assert_eq!(found["name"], expected);
    let found = data(json!({"attributes": ["label"]})).await;
    assert_eq!(found["label"], map);
    assert!(found.get("name").is_none());
    let found = data(json!({"pick": ["id", "label"]})).await;
    assert_eq!(found, json!({"id": "urn:ngsi-ld:Shelter:1", "label": map}));
}

#[tokio::test]
async fn every_kind_of_attribute_has_its_null() {
    let after = json!({"id": "urn:ngsi-ld:Shelter:1", "type": "Shelter"});
    let found = told(&members(json!({})), Some(&kinds()), Some(&after)).await;
    let before = kinds();
    for (name, member, null) in [
        ("property", "value", json!(NULL)),
        ("geo", "value", json!(NULL)),
        ("relationship", "object", json!(NULL)),
        ("language", "languageMap", json!({"@none": NULL})),
        ("vocab", "vocab", json!(NULL)),
        ("free", "json", json!(NULL)),
        ("list", "valueList", json!(NULL)),
        ("links", "objectList", json!(NULL)),
    ] {
        let mut expected = json!({"type": before[name]["type"]});
        expected[member] = null;
        assert_eq!(found[name], expected);
    }
}

#[tokio::test]
async fn a_lost_instance_is_shown_as_null_beside_those_that_stay() {
    let instance = |dataset: &str, value: &str| json!({"type": "Property", "value": value, "datasetId": dataset});
    let mut lost = instance("urn:d:ja", "学校");
    lost["unitCode"] = json!("CEL");
    let mut before = without(&["label", "partOf"]);
    before["name"] = json!([{"type": "Property", "value": "school"}, lost]);
    let mut after = before.clone();
    after["name"] = json!({"type": "Property", "value": "School"});
    let data = async |notification| {
        told(&members(notification), Some(&before), Some(&after)).await["name"].clone()
    };
    let expected = json!([{"type": "Property", "value": "School"}, instance("urn:d:ja", NULL)]);
    assert_eq!(data(json!({})).await, expected);
    let expected = json!({"dataset": {"@none": "School", "urn:d:ja": NULL}});
    assert_eq!(data(json!({"format": "keyValues"})).await, expected);
    let expected = json!([
        {"value": "School", "previousValue": "school"},
        {"value": NULL, "previousValue": "学校", "datasetId": "urn:d:ja"},
    ]);
    assert_eq!(data(json!({"format": "concise", "showChanges": true})).await, expected);
    let found = data(json!({"sysAttrs": true})).await;
    assert_eq!(found[1]["deletedAt"], time(3).to_string());
    assert!(found[0].get("deletedAt").is_none());
}

#[tokio::test]
async fn of_an_attribute_without_a_default_instance_each_data_set_is_named() {
    let mut before = without(&["label", "partOf"]);
    before["name"] = json!([
        {"type": "Property", "value": "a", "datasetId": "urn:d:a"},
        {"type": "Property", "value": "b", "datasetId": "urn:d:b"},
    ]);
    let after = without(&["label", "partOf", "name"]);
    let found = told(&members(json!({})), Some(&before), Some(&after)).await;
    let expected = json!([
        {"type": "Property", "value": NULL, "datasetId": "urn:d:a"},
        {"type": "Property", "value": NULL, "datasetId": "urn:d:b"},
    ]);
    assert_eq!(found["name"], expected);
    let told_simply = members(json!({"format": "simplified"}));
    let found = told(&told_simply, Some(&before), Some(&after)).await;
    assert_eq!(found["name"], json!({"dataset": {"urn:d:a": NULL, "urn:d:b": NULL}}));
    before["name"] = json!({"type": "Property", "value": "a", "datasetId": "urn:d:a"});
    let found = told(&told_simply, Some(&before), Some(&after)).await;
    assert_eq!(found["name"], json!({"dataset": {"urn:d:a": NULL}}));
}

#[tokio::test]
async fn of_a_deleted_entity_only_its_end_is_told() {
    let mut deleted = members(json!({}));
    deleted["notificationTrigger"] = json!(["entityDeleted"]);
    let found = written(&deleted, Some(&shelter()), None).await;
    let expected = json!({
        "id": "urn:ngsi-ld:Shelter:1",
        "type": "Shelter",
        "deletedAt": time(3).to_string(),
    });
    assert_eq!(found["data"], json!([expected]));
    deleted["notification"]["sysAttrs"] = json!(true);
    let found = told(&deleted, Some(&shelter()), None).await;
    assert_eq!(found.as_object().unwrap().len(), 5);
    assert_eq!(found["createdAt"], time(1).to_string());
    assert_eq!(found["modifiedAt"], time(1).to_string());
}

#[tokio::test]
async fn a_deletion_is_told_as_one_whatever_is_picked_unless_that_is_omitted() {
    let mut deleted = members(json!({"pick": ["id", "name"]}));
    deleted["notificationTrigger"] = json!(["entityDeleted"]);
    let at = time(3).to_string();
    let found = told(&deleted, Some(&shelter()), None).await;
    assert_eq!(found, json!({"id": "urn:ngsi-ld:Shelter:1", "deletedAt": at}));
    deleted["notification"] =
        json!({"omit": ["id", "deletedAt"], "endpoint": deleted["notification"]["endpoint"]});
    assert_eq!(told(&deleted, Some(&shelter()), None).await, json!({"type": "Shelter"}));
}

#[tokio::test]
async fn who_watches_for_deleted_attributes_is_told_which_went_with_the_entity() {
    let mut watching = members(json!({}));
    watching["watchedAttributes"] = json!(["name"]);
    let found = told(&watching, Some(&shelter()), None).await;
    let expected = json!({
        "id": "urn:ngsi-ld:Shelter:1",
        "type": "Shelter",
        "name": {"type": "Property", "value": NULL},
        "deletedAt": time(3).to_string(),
    });
    assert_eq!(found, expected);
}

#[tokio::test]
async fn show_changes_tells_what_each_kind_of_attribute_was_before() {
    for format in ["normalized", "concise"] {
        let showing = members(json!({"showChanges": true, "format": format}));
        let found = told(&showing, Some(&kinds()), Some(&others())).await;
        for (name, member, value) in previous() {
            assert_eq!(found[name][member], value, "{format} {name}");
            assert_eq!(found[name].get("type").is_some(), format == "normalized", "{found}");
        }
        assert_eq!(found["property"]["value"], 2);
        assert_eq!(found["property"]["unitCode"], "CEL");
        assert_eq!(found["links"]["objectList"], others()["links"]["objectList"]);
    }
    let found = told(&members(json!({})), Some(&kinds()), Some(&others())).await;
    assert!(!found.to_string().contains("previous"), "{found}");
}

#[tokio::test]
async fn show_changes_tells_what_each_kind_of_deleted_attribute_was() {
    let after = json!({"id": "urn:ngsi-ld:Shelter:1", "type": "Shelter"});
    let mut showing = members(json!({"showChanges": true}));
    showing["notificationTrigger"] = json!(["entityDeleted", "attributeUpdated"]);
    for after in [Some(&after), None] {
        let found = told(&showing, Some(&kinds()), after).await;
        for (name, member, value) in previous() {
            assert_eq!(found[name][member], value, "{name}");
        }
        assert_eq!(found["property"]["value"], NULL);
        assert!(found["property"].get("unitCode").is_none());
        assert_eq!(found.get("deletedAt").is_some(), after.is_none());
    }
}

#[tokio::test]
async fn what_did_not_change_or_was_not_there_has_no_previous_value() {
    let showing = members(json!({"showChanges": true}));
    let found = told(&showing, None, Some(&kinds())).await;
    assert!(!found.to_string().contains("previous"), "{found}");
    let mut after = kinds();
    after["property"]["value"] = json!(2);
    after["fresh"] = json!({"type": "Property", "value": 1});
    let found = told(&showing, Some(&kinds()), Some(&after)).await;
    assert_eq!(found["property"]["previousValue"], 1);
    assert_eq!(found.to_string().matches("previous").count(), 1, "{found}");
}

#[tokio::test]
async fn a_value_that_stood_under_another_member_is_not_told() {
    let mut after = kinds();
    after["property"] = json!({"type": "Relationship", "object": "urn:a:9"});
    after["geo"] = json!({"type": "Property", "value": 5});
    let showing = members(json!({"showChanges": true}));
    let found = told(&showing, Some(&kinds()), Some(&after)).await;
    assert_eq!(found["property"], after["property"]);
    assert_eq!(found["geo"]["previousValue"], kinds()["geo"]["value"]);
}

#[tokio::test]
async fn a_concise_value_gets_an_object_around_it_when_there_is_more_to_say() {
    let mut after = kinds();
    after["geo"] = others()["geo"].clone();
    let showing = members(json!({"showChanges": true, "format": "concise"}));
    let found = told(&showing, Some(&kinds()), Some(&after)).await;
    let expected =
        json!({"value": others()["geo"]["value"], "previousValue": kinds()["geo"]["value"]});
    assert_eq!(found["geo"], expected);
}

#[tokio::test]
async fn the_language_filter_chooses_of_what_was_before_too() {
    let mut showing = members(json!({"showChanges": true}));
    showing["lang"] = json!("en");
    let mut after = kinds();
    after["language"] = json!({"type": "LanguageProperty", "languageMap": {"en": "gym"}});
    let found = told(&showing, Some(&kinds()), Some(&after)).await;
    let expected =
        json!({"type": "Property", "value": "gym", "lang": "en", "previousValue": "school"});
    assert_eq!(found["language"], expected);
    after.as_object_mut().unwrap().remove("language");
    let found = told(&showing, Some(&kinds()), Some(&after)).await;
    let expected = json!({"type": "Property", "value": NULL, "previousValue": "school"});
    assert_eq!(found["language"], expected);
}
