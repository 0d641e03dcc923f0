//! The vendor: two subscriptions, made through the real API.

use http::Method;
use serde_json::{Value, json};

use crate::api::Api;

const PATH: &str = "/ngsi-ld/v1/subscriptions";
const DOCKS: &str = "urn:ngsi-ld:Subscription:demo-docks";
const SHELTERS: &str = "urn:ngsi-ld:Subscription:demo-shelters";

/// Makes the two subscriptions, or, if they are there from an earlier start, points them at the
/// present receiver.
///
/// # Errors
///
/// A sentence, if the broker refuses.
pub(super) async fn subscribe(base: &str, receiver: &str) -> Result<(), String> {
    let api = Api::new(base, None)?;
    let context = format!("{base}{}", musubi_schemas::CONTEXT_PATH);
    for subscription in [docks(receiver), shelters(receiver)] {
        let id = subscription.get("id").and_then(Value::as_str).unwrap_or_default();
        let path = format!("{PATH}/{id}");
        if api.call(Method::GET, &path, None).await.is_ok() {
            let moved = json!({ "notification": subscription.get("notification") });
            api.call_in(Method::PATCH, &path, Some(&moved), &context).await?;
        } else {
            api.call_in(Method::POST, PATH, Some(&subscription), &context).await?;
        }
    }
    Ok(())
}

fn docks(receiver: &str) -> Value {
    json!({
        "id": DOCKS,
        "type": "Subscription",
        "description": "bikes at the docks",
        "entities": [{ "type": "BikeHireDockingStation" }],
        "watchedAttributes": ["availableBikeNumber"],
        "notification": {
            "attributes": ["availableBikeNumber", "freeSlotNumber", "status"],
            "format": "simplified",
            "endpoint": { "uri": receiver, "accept": "application/json" },
        },
    })
}

fn shelters(receiver: &str) -> Value {
    json!({
        "id": SHELTERS,
        "type": "Subscription",
        "description": "people in the shelters",
        "entities": [{ "type": "EvacuationShelter" }],
        "watchedAttributes": ["occupancy"],
        "notification": {
            "attributes": ["occupancy", "status"],
            "format": "simplified",
            "endpoint": { "uri": receiver, "accept": "application/json" },
        },
    })
}
