//! The entities that are read and written here: made up, in the shapes that feeds have.

use std::error::Error;

use musubi_context::{Context, ContextSource, expand_entity};
use musubi_model::{Entity, Limits, Node, Timestamp};

/// A sensor with five attributes.
pub(crate) const FIVE: &str = r#"{
    "id": "urn:ngsi-ld:WaterLevelObserved:Kariya:River-0042",
    "type": "WaterLevelObserved",
    "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [136.994021, 35.003187]}},
    "waterLevel": {"type": "Property", "value": 1.37, "unitCode": "MTR", "observedAt": "2025-06-03T04:10:00Z"},
    "alertLevel": {"type": "Property", "value": "normal", "observedAt": "2025-06-03T04:10:00Z"},
    "batteryLevel": {"type": "Property", "value": 0.82, "observedAt": "2025-06-03T04:10:00Z"},
    "refRiver": {"type": "Relationship", "object": "urn:ngsi-ld:River:Kariya:Sakai"}
}"#;

/// A docking station with nine attributes, some of them with members of their own.
pub(crate) const NINE: &str = r#"{
    "id": "urn:ngsi-ld:BikeHireDockingStation:Kariya:station-117",
    "type": "BikeHireDockingStation",
    "name": {"type": "LanguageProperty", "languageMap": {"ja": "刈谷駅北口", "en": "Kariya Station North"}},
    "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [137.009183, 34.991602]}},
    "address": {"type": "Property", "value": {"addressLocality": "刈谷市", "streetAddress": "桜町1-2"}},
    "availableBikeNumber": {
        "type": "Property", "value": 7, "observedAt": "2025-06-03T04:10:00Z",
        "accuracy": {"type": "Property", "value": 0.9}
    },
    "freeSlotNumber": {"type": "Property", "value": 13, "observedAt": "2025-06-03T04:10:00Z"},
    "totalSlotNumber": {"type": "Property", "value": 20},
    "status": {"type": "VocabProperty", "vocab": "working"},
    "operatedBy": {"type": "Relationship", "object": "urn:ngsi-ld:Organization:Kariya:cycle"},
    "temperature": {"type": "Property", "value": 21.5, "unitCode": "CEL", "observedAt": "2025-06-03T04:10:00Z"}
}"#;

/// Both, with how many attributes they have.
pub(crate) const BOTH: [(&str, &str); 2] = [("five", FIVE), ("nine", NINE)];

const DOCUMENT: &str = r#"[{
    "BikeHireDockingStation": "https://example.org/transport/BikeHireDockingStation",
    "availableBikeNumber": "https://example.org/transport/availableBikeNumber",
    "freeSlotNumber": "https://example.org/transport/freeSlotNumber",
    "totalSlotNumber": "https://example.org/transport/totalSlotNumber",
    "WaterLevelObserved": "https://example.org/water/WaterLevelObserved",
    "waterLevel": "https://example.org/water/waterLevel",
    "alertLevel": "https://example.org/water/alertLevel",
    "refRiver": "https://example.org/water/refRiver",
    "batteryLevel": "https://example.org/device/batteryLevel",
    "address": "https://example.org/address"
}]"#;

/// The core context, and one that defines most of the names.
pub(crate) fn contexts() -> Result<[(&'static str, Context); 2], Box<dyn Error>> {
    let own = Context::from_source(&ContextSource {
        url: None,
        member: DOCUMENT.to_owned(),
        document: DOCUMENT.to_owned(),
    })?;
    Ok([("core", Context::core()), ("own", own)])
}

/// Reads and expands a body.
pub(crate) fn entity(body: &str, context: &Context) -> Result<Entity, Box<dyn Error>> {
    let node = Node::parse(body, Limits::default())?;
    Ok(Entity::create(expand_entity(&node, context)?, Timestamp::from_seconds(0))?)
}
