//! What adapters bring meets the same door.

use musubi_broker::{Error, Ingest, SchemaMode, SchemaWarnings};
use musubi_model::Cause;
use serde_json::{Value, json};

use crate::support::{entity, fragment, register, session};

fn item(id: &str, value: &Value) -> Ingest {
    let body = json!({ "id": id, "type": "Thing", "a": { "type": "Property", "value": value } });
    Ingest {
        entities: vec![fragment(&body)],
        records: Vec::new(),
        cause: Cause::Adapter("test".into()),
    }
}

fn schema() -> Value {
    json!({ "properties": { "a": { "type": "integer" } }, "required": ["a"] })
}

#[tokio::test]
async fn what_an_adapter_brings_is_refused_item_by_item() {
    let session = session();
    register(&session, SchemaMode::Enforce, &schema()).await;
    let items = vec![item("urn:a:1", &json!(1)), item("urn:a:2", &json!("x"))];
    let results = session.ingest(items).await.unwrap();
    assert!(results[0].is_ok());
    assert!(matches!(&results[1], Err(Error::BadRequestData(reason)) if reason.contains("a (")));
    assert!(entity(&session, "urn:a:2").await.is_none());
    let again = session.ingest(vec![item("urn:a:1", &json!(1.5))]).await.unwrap();
    assert!(matches!(again[0], Err(Error::BadRequestData(_))));
}

#[tokio::test]
async fn warnings_are_collected_once_for_each_write_that_was_carried_out() {
    let warnings = SchemaWarnings::default();
    let session = session().warning(warnings.clone());
    register(&session, SchemaMode::Warn, &schema()).await;
    let items = vec![
        item("urn:a:1", &json!("x")),
        item("urn:a:1", &json!("y")),
        item("urn:a:2", &json!(2)),
    ];
    for result in session.ingest(items).await.unwrap() {
        result.unwrap();
    }
    let (found, more) = warnings.take();
    let entities: Vec<&str> = found.iter().map(|warning| warning.entity.as_str()).collect();
    assert_eq!((entities, more), (vec!["urn:a:1", "urn:a:1"], 0));
    assert_eq!(found[0].attribute.as_deref(), Some("a"));
    assert_eq!(found[0].reason, "the value is not of type \"integer\"");
    assert_eq!(warnings.take().0.len(), 0, "they are taken once");
}
