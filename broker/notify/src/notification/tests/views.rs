//! The entities as the subscriber wants to see them.

use super::*;

#[tokio::test]
async fn the_form_and_the_attributes_are_those_that_were_asked_for() {
    let data = async |notification| told(&members(notification), None, Some(&shelter())).await;
    let expected = json!({
        "id": "urn:ngsi-ld:Shelter:1", "type": "Shelter", "scope": "/Nanao", "name": "school",
    });
    for format in ["keyValues", "simplified"] {
        assert_eq!(data(json!({"format": format, "attributes": ["name"]})).await, expected);
    }
    assert_eq!(data(json!({"format": "concise"})).await["name"], "school");
    assert_eq!(data(json!({"format": "normalized"})).await, shelter());
    let found = data(json!({"sysAttrs": true})).await;
    assert_eq!(found["createdAt"], time(2).to_string());
    assert_eq!(found["modifiedAt"], time(2).to_string());
    assert_eq!(found["name"]["modifiedAt"], time(2).to_string());
}

#[tokio::test]
async fn the_end_of_what_expires_is_a_system_attribute() {
    let mut expiring = shelter();
    let end = "2030-01-01T00:00:00Z";
    expiring["expiresAt"] = json!(end);
    let found = told(&members(json!({})), None, Some(&expiring)).await;
    assert!(found.get("expiresAt").is_none());
    let found = told(&members(json!({"sysAttrs": true})), None, Some(&expiring)).await;
    assert!(found["expiresAt"].as_str().unwrap().starts_with("2030-01-01T00:00:00"));
}

#[tokio::test]
async fn what_is_picked_is_shown_and_what_is_omitted_is_not() {
    let data = async |notification| written(&members(notification), None, Some(&shelter())).await;
    let found = data(json!({"pick": ["id", "name"]})).await;
    let expected = json!({"id": "urn:ngsi-ld:Shelter:1", "name": shelter()["name"]});
    assert_eq!(found["data"], json!([expected]));
    let found = data(json!({"omit": ["id", "scope", "label", "partOf"]})).await;
    let expected = json!({"type": "Shelter", "name": shelter()["name"]});
    assert_eq!(found["data"], json!([expected]));
    let found = data(json!({"pick": ["elsewhere"]})).await;
    assert_eq!(found["data"], json!([]), "an entity without anything to show is left out");
}

#[tokio::test]
async fn only_the_instances_of_the_data_sets_are_shown() {
    let instance = |dataset: &str, value: &str| json!({"type": "Property", "value": value, "datasetId": dataset});
    let mut before = without(&["label", "partOf"]);
    before["name"] = json!([
        {"type": "Property", "value": "school"},
        instance("urn:d:ja", "学校"),
        instance("urn:d:fr", "école"),
    ]);
    let mut choosing = members(json!({}));
    choosing["datasetId"] = json!(["urn:d:ja"]);
    let found = told(&choosing, None, Some(&before)).await;
    assert_eq!(found["name"], instance("urn:d:ja", "学校"));
    choosing["datasetId"] = json!(["urn:d:ja", "@none"]);
    let found = told(&choosing, None, Some(&before)).await;
    assert_eq!(found["name"].as_array().unwrap().len(), 2);
    let mut after = before.clone();
    after["name"] = json!({"type": "Property", "value": "School"});
    let found = told(&choosing, Some(&before), Some(&after)).await;
    let expected = json!([{"type": "Property", "value": "School"}, instance("urn:d:ja", NULL)]);
    assert_eq!(found["name"], expected, "what is lost of another data set is not told");
}

#[tokio::test]
async fn texts_are_in_the_language_that_was_asked_for() {
    let mut reading = members(json!({}));
    reading["lang"] = json!("ja");
    let found = told(&reading, None, Some(&shelter())).await;
    assert_eq!(found["label"], json!({"type": "Property", "value": "学校", "lang": "ja"}));
    reading["notification"]["format"] = json!("simplified");
    let found = told(&reading, None, Some(&shelter())).await;
    assert_eq!(found["label"], "学校");
}

#[tokio::test]
async fn a_notification_conforms_to_the_version_that_was_asked_for() {
    let mut earlier = members(json!({"showChanges": true}));
    earlier["ngsildConformance"] = json!("1.3");
    let mut after = shelter();
    after["label"]["languageMap"] = json!({"ja": "体育館"});
    after["since"] = json!({"type": "JsonProperty", "json": {"a": 1}});
    let found = told(&earlier, Some(&shelter()), Some(&after)).await;
    assert!(found.get("scope").is_none());
    let expected =
        json!({"type": "Property", "value": {"ja": "体育館"}, "previousValue": {"ja": "学校"}});
    assert_eq!(found["label"], expected);
    assert_eq!(found["since"], json!({"type": "Property", "value": {"a": 1}}));
    let found = told(&earlier, Some(&shelter()), Some(&without(&["label"]))).await;
    let expected = json!({"type": "Property", "value": NULL, "previousValue": {"ja": "学校"}});
    assert_eq!(found["label"], expected);
    earlier["ngsildConformance"] = json!("1.9");
    let found = told(&earlier, None, Some(&shelter())).await;
    assert_eq!(found, shelter());
}

/// A subscription that wants GeoJSON.
fn mapping(info: &Value) -> Value {
    members(json!({"endpoint": {
        "uri": "http://127.0.0.1:9/",
        "accept": "application/geo+json",
        "receiverInfo": info,
    }}))
}

#[tokio::test]
async fn geojson_is_a_collection_of_features() {
    let mut placed = without(&["scope", "label", "partOf"]);
    let point = json!({"type": "Point", "coordinates": [136.97, 37.04]});
    placed["location"] = json!({"type": "GeoProperty", "value": point});
    let found = written(&mapping(&json!([])), None, Some(&placed)).await;
    let expected = json!({
        "type": "FeatureCollection",
        "features": [{
            "id": "urn:ngsi-ld:Shelter:1",
            "type": "Feature",
            "geometry": point,
            "properties": {
                "type": "Shelter", "name": placed["name"], "location": placed["location"],
            },
        }],
        "@context": CORE_CONTEXT_URL,
    });
    assert_eq!(found["data"], expected);
    assert!(found.get("@context").is_none());
    let wish = json!([{"key": "Prefer", "value": "body=json"}]);
    let found = written(&mapping(&wish), None, Some(&placed)).await;
    assert!(found["data"].get("@context").is_none());
}

#[tokio::test]
async fn what_lost_its_place_is_a_feature_without_geometry() {
    let mut placed = without(&["scope", "label", "partOf"]);
    let point = json!({"type": "Point", "coordinates": [136.97, 37.04]});
    placed["location"] = json!({"type": "GeoProperty", "value": point});
    let after = without(&["scope", "label", "partOf", "location"]);
    let found = written(&mapping(&json!([])), Some(&placed), Some(&after)).await;
    let feature = &found["data"]["features"][0];
    assert_eq!(feature["geometry"], Value::Null);
    assert_eq!(feature["properties"]["location"]["value"], NULL);
    let found = written(&mapping(&json!([])), Some(&placed), None).await;
    let feature = &found["data"]["features"][0];
    assert_eq!(feature["geometry"], Value::Null);
    assert_eq!(feature["properties"]["deletedAt"], time(3).to_string());
}

#[tokio::test]
async fn a_state_is_the_entities_as_they_are() {
    let mut other = shelter();
    other["id"] = json!("urn:ngsi-ld:Shelter:2");
    let entities = [shelter(), other].map(|json| Arc::new(entity(&json, time(1))));
    let choosing = members(json!({"format": "keyValues", "pick": ["id", "name"]}));
    let found = composed(&choosing, Content::State(&entities), &[]).await;
    let expected = json!([
        {"id": "urn:ngsi-ld:Shelter:1", "name": "school"},
        {"id": "urn:ngsi-ld:Shelter:2", "name": "school"},
    ]);
    assert_eq!(found["data"], expected);
    let mut choosing = members(json!({}));
    choosing["datasetId"] = json!(["urn:d:none"]);
    let found = composed(&choosing, Content::State(&entities[..1]), &[]).await;
    assert!(found["data"][0].get("name").is_none());
}

#[tokio::test]
async fn an_alert_says_what_it_is_and_shows_the_entity() {
    let id = "urn:ngsi-ld:Shelter:1".parse().unwrap();
    for (returned, status) in [(false, "silent"), (true, "returned")] {
        let content = Content::Alert { entity: &id, since: time(2), returned };
        let found = composed(&members(json!({})), content, &[shelter()]).await;
        let expected = json!({
            "entity": "urn:ngsi-ld:Shelter:1", "status": status, "since": time(2).to_string(),
        });
        assert_eq!(found["silence"], expected);
        assert_eq!(found["data"], json!([shelter()]));
    }
    let content = Content::Alert { entity: &id, since: time(2), returned: false };
    let found = composed(&members(json!({})), content, &[]).await;
    assert_eq!(found["data"], json!([]), "it is gone by now");
}
