//! The temporal API.

mod corrections;
mod deletions;
mod import;
mod provision;
mod query;
mod retrieve;
mod wrong_parameters;

use serde_json::{Value, json};

use crate::support::Api;

pub(crate) const EVOLUTIONS: &str = "/ngsi-ld/v1/temporal/entities";
pub(crate) const QUERY: &str = "/ngsi-ld/v1/temporal/entityOperations/query";

/// Creates an evolution, which has to succeed.
pub(crate) async fn record(api: &Api, evolution: &Value) {
    let answer = api.post(EVOLUTIONS, evolution).await;
    assert!(answer.status == 201 || answer.status == 204, "{}", answer.body);
}

/// A property of that value, observed at that time of 1 August 2020.
pub(crate) fn at(time: &str, value: impl Into<Value>) -> Value {
    let value = value.into();
    json!({ "type": "Property", "value": value, "observedAt": format!("2020-08-01T{time}Z") })
}

/// A vehicle whose speed and level of fuel were observed three times.
pub(crate) fn vehicle(id: &str) -> Value {
    json!({
        "id": id,
        "type": "Vehicle",
        "speed": [at("12:03:00", json!(120)), at("12:05:00", json!(80)), at("12:07:00", json!(100))],
        "fuelLevel": [at("12:03:00", json!(67)), at("13:05:00", json!(53)), at("14:07:00", json!(40))],
    })
}

/// Without the ids of instances, of which each has to have one and no two the same.
pub(crate) fn without_instance_ids(value: &Value) -> Value {
    let mut seen = std::collections::HashSet::new();
    let mut value = value.clone();
    let entities = if value.is_array() {
        value.as_array_mut().unwrap().iter_mut().collect()
    } else {
        vec![&mut value]
    };
    for entity in entities {
        for (name, attribute) in entity.as_object_mut().unwrap() {
            if name == "@context" {
                continue;
            }
            for instance in attribute.as_array_mut().into_iter().flatten() {
                let Some(instance) = instance.as_object_mut() else { continue };
                let id = instance.remove("instanceId").unwrap_or_else(|| panic!("{instance:?}"));
                let id = id.as_str().unwrap().to_owned();
                assert!(id.starts_with("urn:ngsi-ld:Instance:"), "{id}");
                assert!(seen.insert(id), "twice");
            }
        }
    }
    value
}
