//! What a JSON value in the place of an attribute is, seen from its members.

use std::borrow::Cow;

use musubi_model::{AttributeType, Document, Node};

/// The members of an object.
type Members<'a> = [(Cow<'a, str>, Node<'a>)];

/// What a JSON value in the place of an attribute is. The same question decides, when a concise
/// representation is written, which values have to be wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looks {
    /// An attribute instance: an object with a member of the data model.
    Instance,
    /// An array of attribute instances.
    Instances,
    /// A GeoJSON geometry.
    Geometry,
    /// A value.
    Value,
}

pub(crate) fn looks(node: &Node<'_>) -> Looks {
    match &node.document {
        Document::Object(members) if is_geometry(members) => Looks::Geometry,
        Document::Object(members) if members.iter().any(|(key, _)| is_member(key)) => {
            Looks::Instance
        }
        Document::Array(elements) if elements.iter().any(is_instance_of_many) => Looks::Instances,
        Document::Null
        | Document::Boolean(_)
        | Document::Number(_)
        | Document::String(_)
        | Document::Array(_)
        | Document::Object(_) => Looks::Value,
    }
}

/// Whether the members are those of a GeoJSON geometry, valid or not.
pub(super) fn is_geometry(members: &Members<'_>) -> bool {
    let mut named = false;
    let mut shaped = false;
    for (key, node) in members {
        match key.as_ref() {
            "type" => {
                named = matches!(
                    node.as_str(),
                    Some(
                        "Point"
                            | "MultiPoint"
                            | "LineString"
                            | "MultiLineString"
                            | "Polygon"
                            | "MultiPolygon"
                            | "GeometryCollection"
                    )
                );
            }
            "coordinates" | "geometries" => shaped = true,
            _ => {}
        }
    }
    named && shaped
}

/// Whether a member makes an object an attribute instance.
fn is_member(key: &str) -> bool {
    is_value_member(key)
        || matches!(
            key,
            "type"
                | "@type"
                | "@context"
                | "observedAt"
                | "unitCode"
                | "datasetId"
                | "expiresAt"
                | "valueType"
                | "objectType"
                | "createdAt"
                | "modifiedAt"
                | "deletedAt"
                | "instanceId"
        )
}

fn is_value_member(key: &str) -> bool {
    matches!(
        key,
        "value" | "object" | "languageMap" | "vocab" | "json" | "valueList" | "objectList"
    )
}

/// Whether an element of an array is an instance among others. An array is as often a value, so
/// more is asked here: a value, a data set, or a type that is one of the eight.
fn is_instance_of_many(node: &Node<'_>) -> bool {
    node.as_object().is_some_and(|members| {
        members.iter().any(|(key, node)| {
            is_value_member(key)
                || key == "datasetId"
                || (key == "type"
                    && node.as_str().is_some_and(|name| AttributeType::from_name(name).is_some()))
        })
    })
}
