use http::header;
use musubi_context::CORE_CONTEXT_URL;
use musubi_model::{EntityChange, NULL, Sequence};
use musubi_store::{Expect, Group, ReferenceStore, Write};
use serde_json::{Value, json};

use super::*;
use crate::SubscriptionId;
use crate::testing::{applied, change, entity, time};

mod changes;
mod linked;
mod views;

/// The notification of this subscription, with these entities in the store.
async fn composed(members: &Value, content: Content<'_>, stored: &[Value]) -> Value {
    let store: Arc<dyn Store> = Arc::new(ReferenceStore::new());
    for json in stored {
        let state = Arc::new(entity(json, time(2)));
        let (tenant, id) = (Tenant::default(), state.id.clone());
        let writes = vec![Write { tenant, id, expect: Expect::Any, state: Some(state) }];
        store.commit(vec![Group { writes, ..Group::default() }]).await.unwrap();
    }
    let envelope = Envelope { id: "urn:n:1", notified_at: time(4) };
    let tenant = Tenant::default();
    let surroundings = Surroundings { store: &store, tenant: &tenant };
    let composed = compose(&applied("", members), &envelope, content, &surroundings).await;
    let bytes = composed.unwrap();
    serde_json::from_slice(&bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)))
}

/// A change in the log, which happened at `time(3)`.
fn logged(subject: EntityChange) -> Arc<Change> {
    Arc::new(Change {
        sequence: Sequence(1),
        tenant: Tenant::default(),
        time: time(3),
        cause: musubi_model::Cause::default(),
        subject: Subject::Entity(subject),
    })
}

async fn written(members: &Value, before: Option<&Value>, after: Option<&Value>) -> Value {
    composed(members, Content::Changes(&[logged(change(before, after))]), &[]).await
}

/// The first entity in the notification.
async fn told(members: &Value, before: Option<&Value>, after: Option<&Value>) -> Value {
    written(members, before, after).await["data"][0].clone()
}

fn members(notification: Value) -> Value {
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

fn shelter() -> Value {
    json!({
        "id": "urn:ngsi-ld:Shelter:1",
        "type": "Shelter",
        "scope": "/Nanao",
        "name": {"type": "Property", "value": "school"},
        "label": {"type": "LanguageProperty", "languageMap": {"ja": "学校"}},
        "partOf": {"type": "Relationship", "object": "urn:ngsi-ld:District:1"},
    })
}

fn without(names: &[&str]) -> Value {
    let mut json = shelter();
    for name in names {
        json.as_object_mut().unwrap().remove(*name);
    }
    json
}

#[tokio::test]
async fn a_notification_has_its_five_members_and_the_entity() {
    let mut after = shelter();
    after["name"]["value"] = json!("hall");
    let found = written(&members(json!({})), Some(&shelter()), Some(&after)).await;
    let expected = json!({
        "id": "urn:n:1",
        "type": "Notification",
        "subscriptionId": "urn:ngsi-ld:Subscription:1",
        "notifiedAt": time(4).to_string(),
        "data": [after],
    });
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_json_ld_notification_carries_its_context() {
    let endpoint = json!({"uri": "http://127.0.0.1:9/", "accept": "application/ld+json"});
    let found = written(&members(json!({"endpoint": endpoint})), None, Some(&shelter())).await;
    assert_eq!(found["@context"], CORE_CONTEXT_URL);
    assert_eq!(found["data"][0]["@context"], CORE_CONTEXT_URL);
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
fn geojson_has_its_context_in_the_body_unless_the_receiver_prefers_a_header() {
    let headers_with = |info: Value| {
        let endpoint = json!({
            "uri": "http://127.0.0.1:9/", "accept": "application/geo+json", "receiverInfo": info,
        });
        headers(&applied("", &members(json!({"endpoint": endpoint}))))
    };
    let found = headers_with(json!([]));
    assert_eq!(found[header::CONTENT_TYPE], "application/geo+json");
    assert!(found.get(header::LINK).is_none());
    let found = headers_with(json!([{"key": "Prefer", "value": "body=ld+json"}]));
    assert!(found.get(header::LINK).is_none());
    let found = headers_with(json!([{"key": "prefer", "value": "body=json"}]));
    assert!(found[header::LINK].to_str().unwrap().contains(CORE_CONTEXT_URL));
    assert_eq!(found["prefer"], "body=json");
}

#[tokio::test]
async fn several_changes_stand_in_one_notification_in_their_order() {
    let with_name = |name: &str| {
        let mut json = shelter();
        json["name"]["value"] = json!(name);
        json
    };
    let mut other = shelter();
    other["id"] = json!("urn:ngsi-ld:Shelter:2");
    let changes = [
        logged(change(None, Some(&with_name("a")))),
        logged(change(None, Some(&other))),
        logged(change(Some(&with_name("a")), Some(&with_name("b")))),
        logged(change(Some(&with_name("b")), None)),
    ];
    let found = composed(&members(json!({})), Content::Changes(&changes), &[]).await;
    let data = found["data"].as_array().unwrap();
    let seen: Vec<_> = data.iter().map(|it| (&it["id"], &it["name"]["value"])).collect();
    let (one, two) = (json!("urn:ngsi-ld:Shelter:1"), json!("urn:ngsi-ld:Shelter:2"));
    let (a, b, school, null) = (json!("a"), json!("b"), json!("school"), json!(NULL));
    assert_eq!(seen, [(&one, &a), (&two, &school), (&one, &b), (&one, &null)]);
    assert!(data[3].get("deletedAt").is_some() && data[2].get("deletedAt").is_none());
}

#[test]
fn the_weight_of_an_entity_is_about_its_length() {
    let mut large = shelter();
    large["name"]["value"] = json!("x".repeat(10_000));
    for json in [shelter(), large] {
        let (length, weight) = (json.to_string().len(), weight(&entity(&json, time(1))));
        assert!(weight > length / 2 && weight < length * 2, "{weight} for {length}");
    }
}

#[test]
fn an_id_is_that_of_tenant_subscription_and_change() {
    let subscription: SubscriptionId = "urn:ngsi-ld:Subscription:1".parse().unwrap();
    let other: SubscriptionId = "urn:ngsi-ld:Subscription:2".parse().unwrap();
    let (here, there): (Tenant, Tenant) = (Tenant::default(), "kyoto".parse().unwrap());
    let ids = NotificationKey::of_secret(&uuid::Uuid::from_u128(7));
    let id = ids.of_change(&here, &subscription, (Sequence(7), time(0)));
    assert_eq!(id, ids.of_change(&here, &subscription, (Sequence(7), time(0))));
    assert!(id.starts_with("urn:ngsi-ld:Notification:"));
    for another in [
        ids.of_change(&there, &subscription, (Sequence(7), time(0))),
        ids.of_change(&here, &other, (Sequence(7), time(0))),
        ids.of_change(&here, &subscription, (Sequence(8), time(0))),
        ids.of_change(&here, &subscription, (Sequence(7), time(1))),
        NotificationKey::of_secret(&uuid::Uuid::from_u128(8)).of_change(
            &here,
            &subscription,
            (Sequence(7), time(0)),
        ),
    ] {
        assert_ne!(id, another);
    }
    assert_eq!(format!("{ids:?}"), "NotificationKey { .. }");
}
