//! Subscriptions of several shapes, and changes of which each concerns the same number of them.

use std::sync::Arc;

use musubi_context::{Context, expand_entity};
use musubi_model::{Entity, EntityChange, Limits, Node, Position, Revision, Timestamp};
use musubi_notify::Subscription;
use serde_json::{Value, json};

use crate::Failure;

/// By what a subscription is about an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The id.
    Id,
    /// The type, and a watched attribute.
    Attribute,
    /// The target of a relationship in `q`.
    Equality,
    /// A value that must be above a limit in `q`.
    Threshold,
    /// A value between two limits in `q`.
    Range,
    /// A circle on the map.
    Fence,
    /// A scope, and what is below it.
    Scope,
}

/// Shapes, and how many subscriptions of each a change concerns.
pub(crate) type Blend = &'static [(Shape, usize)];

/// What is measured, by name.
pub(crate) const BLENDS: [(&str, Blend); 8] = [
    (
        "mix",
        &[
            (Shape::Id, 2),
            (Shape::Attribute, 2),
            (Shape::Equality, 2),
            (Shape::Threshold, 1),
            (Shape::Range, 1),
            (Shape::Fence, 1),
            (Shape::Scope, 1),
        ],
    ),
    ("id", &[(Shape::Id, 10)]),
    ("type and watched attribute", &[(Shape::Attribute, 10)]),
    ("relationship in q", &[(Shape::Equality, 10)]),
    ("threshold in q", &[(Shape::Threshold, 10)]),
    ("range in q", &[(Shape::Range, 10)]),
    ("circle on the map", &[(Shape::Fence, 10)]),
    ("scope", &[(Shape::Scope, 10)]),
];

/// The fences stand in rows of so many.
const ROW: usize = 320;

/// The subscription of this number, of a shape of which a change concerns `matches`.
///
/// # Errors
///
/// If the broker would refuse it.
pub(crate) fn subscription(
    shape: Shape,
    (number, matches): (usize, usize),
    serial: usize,
) -> Result<Arc<Subscription>, Failure> {
    let group = number / matches;
    let mut body = json!({
        "id": format!("urn:ngsi-ld:Subscription:{serial:07}"),
        "type": "Subscription",
        "entities": [{"type": "Sensor"}],
        "notification": {"endpoint": {"uri": "http://127.0.0.1:9/notify"}},
    });
    match shape {
        Shape::Id => body["entities"] = json!([{"type": "Sensor", "id": sensor(group)}]),
        Shape::Attribute => {
            body["entities"] = json!([{"type": kind(group)}]);
            body["watchedAttributes"] = json!([attribute(group)]);
        }
        Shape::Equality => body["q"] = json!(format!("isIn=={}", room(group))),
        // All of the changes are below the limits of all but the first few.
        Shape::Threshold => body["q"] = json!(format!("level>{number}")),
        Shape::Range => body["q"] = json!(format!("reading=={}..{}", group * 10, group * 10 + 9)),
        Shape::Fence => {
            body["geoQ"] = json!({
                "georel": format!("near;maxDistance=={}", 100 + number % matches),
                "geometry": "Point",
                "coordinates": place(group),
            });
        }
        Shape::Scope => body["scopeQ"] = json!(format!("{}/#", scope(group))),
    }
    let text = body.to_string();
    let node = Node::parse(&text, Limits::default())?;
    let fresh = "urn:ngsi-ld:Subscription:fresh".parse()?;
    Ok(Arc::new(Subscription::parse(&node, &Context::core(), fresh, Timestamp::EPOCH)?))
}

/// A change of a sensor with twelve attributes, of which one changes, that concerns the group of
/// this number among so many subscriptions.
///
/// # Errors
///
/// If the entity is none.
pub(crate) fn change(blend: Blend, count: usize, random: usize) -> Result<EntityChange, Failure> {
    let group = |shape: Shape| {
        let matches = blend.iter().find(|(other, _)| *other == shape).map(|(_, matches)| *matches);
        let groups = matches.map_or(1, |matches| count / blend.len() / matches);
        random % groups.max(1)
    };
    let matches = blend.iter().find(|(shape, _)| *shape == Shape::Threshold).map_or(0, |it| it.1);
    let touched = attribute(group(Shape::Attribute));
    let property = |value: Value| json!({"type": "Property", "value": value});
    let state = |value: usize| {
        let mut state = json!({
            "id": sensor(group(Shape::Id)),
            "type": ["Sensor", kind(group(Shape::Attribute))],
            "scope": [format!("{}/Floor{}", scope(group(Shape::Scope)), random % 5)],
            "isIn": {"type": "Relationship", "object": room(group(Shape::Equality))},
            "level": property(json!(f64::from(u32::try_from(matches).unwrap_or(0)) - 0.5)),
            "reading": property(json!(group(Shape::Range) * 10 + 4)),
            "location": {
                "type": "GeoProperty",
                "value": {"type": "Point", "coordinates": place(group(Shape::Fence))},
            },
            "name": property(json!("a sensor on the wall")),
            "status": property(json!("working")),
            "battery": property(json!(0.7)),
        });
        for number in 0..5 {
            state[attribute(number)] = property(json!(number));
        }
        state[&touched] = property(json!(value));
        state
    };
    let before = entity(&state(1), 1)?;
    let mut after = entity(&state(2), 2)?;
    for attribute in &mut after.attributes {
        // Only the one that was touched differs.
        if attribute.name.as_str().ends_with(&format!("/{touched}")) {
            continue;
        }
        if let Some(same) = before.attribute(&attribute.name) {
            *attribute = same.clone();
        }
    }
    let at = (Revision(2), Position(1));
    Ok(EntityChange::between(after.id.clone(), at, Some(&before), Some(Arc::new(after))))
}

fn entity(state: &Value, seconds: i64) -> Result<Entity, Failure> {
    let text = state.to_string();
    let node = Node::parse(&text, Limits::default())?;
    let fragment = expand_entity(&node, &Context::core())?;
    Ok(Entity::create(fragment, Timestamp::from_seconds(seconds))?)
}

fn sensor(group: usize) -> String {
    format!("urn:ngsi-ld:Sensor:{group}")
}

fn kind(group: usize) -> String {
    format!("Kind{}", group / 5)
}

fn attribute(group: usize) -> String {
    format!("attribute{}", group % 5)
}

fn room(group: usize) -> String {
    format!("urn:ngsi-ld:Room:{group}")
}

fn scope(group: usize) -> String {
    format!("/Town/District{}/Block{}", group / 100, group % 100)
}

/// Places about a kilometer apart.
fn place(group: usize) -> Value {
    let degrees = |steps: usize| f64::from(u32::try_from(steps).unwrap_or(0)) * 0.01;
    json!([135.0 + degrees(group % ROW), 34.0 + degrees(group / ROW)])
}
