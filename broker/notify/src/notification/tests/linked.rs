//! Linked entities in notifications (CIM 009, clause 4.5.23).

use super::*;

fn district(number: u32, next: Option<u32>) -> Value {
    let mut district = json!({
        "id": format!("urn:ngsi-ld:District:{number}"),
        "type": "District",
        "name": {"type": "Property", "value": "Wakura"},
    });
    if let Some(next) = next {
        let object = format!("urn:ngsi-ld:District:{next}");
        district["partOf"] = json!({"type": "Relationship", "object": object});
    }
    district
}

async fn joined(notification: Value, stored: &[Value]) -> Value {
    let change = logged(change(None, Some(&shelter())));
    composed(&members(notification), Content::Changes(&[change]), stored).await["data"].clone()
}

#[tokio::test]
async fn linked_entities_stand_inside_the_relationship_that_points_at_them() {
    let stored = [district(1, Some(2)), district(2, None)];
    let found = joined(json!({"join": "inline"}), &stored).await;
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["partOf"]["entity"], stored[0]);
    let found = joined(json!({"join": "inline", "joinLevel": 2}), &stored).await;
    assert_eq!(found[0]["partOf"]["entity"]["partOf"]["entity"], stored[1]);
    let found = joined(json!({"join": "inline", "format": "simplified"}), &stored).await;
    assert_eq!(found[0]["partOf"]["name"], "Wakura");
    let found = joined(json!({"join": "@none"}), &stored).await;
    assert_eq!(found, json!([shelter()]));
}

#[tokio::test]
async fn linked_entities_stand_beside_those_that_point_at_them() {
    let stored = [district(1, Some(2)), district(2, None)];
    let found = joined(json!({"join": "flat"}), &stored).await;
    assert_eq!(found, json!([shelter(), stored[0]]));
    let found = joined(json!({"join": "flat", "joinLevel": 3}), &stored).await;
    assert_eq!(found, json!([shelter(), stored[0], stored[1]]));
    let found = joined(json!({"join": "flat", "pick": ["id", "partOf{name}"]}), &stored).await;
    let shown = json!({"id": "urn:ngsi-ld:Shelter:1", "partOf": shelter()["partOf"]});
    assert_eq!(found, json!([shown, {"name": stored[0]["name"]}]));
}

#[tokio::test]
async fn a_link_to_what_is_not_there_stays_a_link() {
    let found = joined(json!({"join": "inline"}), &[]).await;
    assert_eq!(found, json!([shelter()]));
}

#[tokio::test]
async fn a_deleted_link_is_told_with_what_it_was() {
    let notification = json!({"join": "inline", "showChanges": true});
    let (before, after) = (shelter(), without(&["partOf"]));
    let change = logged(change(Some(&before), Some(&after)));
    let stored = [district(1, None)];
    let found = composed(&members(notification), Content::Changes(&[change]), &stored).await;
    let expected = json!({
        "type": "Relationship", "object": NULL, "previousObject": "urn:ngsi-ld:District:1",
    });
    assert_eq!(found["data"][0]["partOf"], expected);
}

#[tokio::test]
async fn too_many_linked_entities_are_refused_and_not_left_out() {
    let links: Vec<_> = (0..=MAX_LINKED).map(|n| format!("urn:ngsi-ld:District:{n}")).collect();
    let mut many = without(&["partOf"]);
    many["partOf"] = json!({"type": "Relationship", "object": links});
    let change = logged(change(None, Some(&many)));
    let store: Arc<dyn Store> = Arc::new(ReferenceStore::new());
    let tenant = Tenant::default();
    let surroundings = Surroundings { store: &store, tenant: &tenant };
    let envelope = Envelope { id: "urn:n:1", notified_at: time(4) };
    let applied = applied("", &members(json!({"join": "flat"})));
    let changes = [change];
    let content = Content::Changes(&changes);
    let refused = compose(&applied, &envelope, content, &surroundings).await.unwrap_err();
    assert!(matches!(&refused, ComposeError::View(ViewError::TooComplex(_))), "{refused}");
}
