//! Values: what a fragment's value is, and how it changes the value that is there.

use std::collections::{HashMap, HashSet};

use crate::{
    AttrName, AttributeType, FragmentValue, InvalidFragment, Json, JsonKind, Limits, NULL, Node,
    Uri, Value, parse_geometry,
};

/// Whether the value is the NGSI-LD Null of its kind (CIM 009, clause 4.5.0).
pub(super) fn is_null(value: &Value) -> bool {
    match value.kind {
        AttributeType::Property
        | AttributeType::GeoProperty
        | AttributeType::Relationship
        | AttributeType::VocabProperty
        | AttributeType::JsonProperty => is_null_text(&value.json),
        AttributeType::LanguageProperty => {
            is_null_text(&value.json) || value.json.as_str() == r#"{"@none":"urn:ngsi-ld:null"}"#
        }
        AttributeType::ListProperty | AttributeType::ListRelationship => {
            is_null_text(&value.json) || value.json.as_str() == r#"["urn:ngsi-ld:null"]"#
        }
    }
}

/// Whether the JSON is the string `urn:ngsi-ld:null`.
pub(super) fn is_null_text(json: &Json) -> bool {
    json.as_text().is_some_and(|text| text == NULL)
}

/// The value that takes the place of `current`, whose kind it must have. With none there, any
/// kind will do.
pub(super) fn replaced(
    name: &AttrName,
    current: Option<&Value>,
    given: &FragmentValue,
) -> Result<Value, InvalidFragment> {
    let value = typed(name, current, given)?;
    if value.kind != AttributeType::JsonProperty && has_null(&value.json) {
        return Err(InvalidFragment(format!(
            "the value of {name} has urn:ngsi-ld:null inside, which only merge accepts"
        )));
    }
    Ok(value)
}

/// `current` with the given value merged into it (CIM 009, clause 5.5.12).
pub(super) fn merged(
    name: &AttrName,
    current: Option<&Value>,
    given: &FragmentValue,
) -> Result<Value, InvalidFragment> {
    let value = typed(name, current, given)?;
    let goes_inside = match value.kind {
        AttributeType::Property | AttributeType::JsonProperty | AttributeType::LanguageProperty => {
            value.json.kind() == JsonKind::Object
        }
        AttributeType::GeoProperty
        | AttributeType::Relationship
        | AttributeType::VocabProperty
        | AttributeType::ListProperty
        | AttributeType::ListRelationship => false,
    };
    if !goes_inside {
        return Ok(value);
    }
    let json = merge_json(current.map(|current| &current.json), &value.json)
        .ok_or_else(|| InvalidFragment(format!("the value of {name} is nested too deep")))?;
    if value.kind == AttributeType::LanguageProperty && json.as_str() == "{}" {
        return Err(InvalidFragment(format!("{name} would be left without any language")));
    }
    Ok(Value { kind: value.kind, json })
}

/// The given value with its kind, which must be that of `current`.
fn typed(
    name: &AttrName,
    current: Option<&Value>,
    given: &FragmentValue,
) -> Result<Value, InvalidFragment> {
    match (given, current) {
        (FragmentValue::Null, _) => Err(InvalidFragment(format!("{name} has no value"))),
        (FragmentValue::Typed(value), Some(current)) if value.kind != current.kind => {
            Err(InvalidFragment(format!(
                "{name} is a {} and cannot become a {}",
                current.kind.as_str(),
                value.kind.as_str()
            )))
        }
        (FragmentValue::Typed(value), _) => Ok(value.clone()),
        (FragmentValue::Simplified(json), Some(current)) => {
            simplified(name, current.kind, json.clone())
        }
        (FragmentValue::Simplified(json), None) => {
            if looks_like_geometry(json) {
                simplified(name, AttributeType::GeoProperty, json.clone())
            } else {
                Ok(Value { kind: AttributeType::Property, json: json.clone() })
            }
        }
    }
}

/// A value in the simplified representation, for an attribute of this kind (CIM 009, clause
/// 4.5.4).
fn simplified(name: &AttrName, kind: AttributeType, json: Json) -> Result<Value, InvalidFragment> {
    let refuse = |needed: &str| {
        Err(InvalidFragment(format!("{name} is a {}, whose value is {needed}", kind.as_str())))
    };
    let json = match kind {
        AttributeType::LanguageProperty
        | AttributeType::VocabProperty
        | AttributeType::JsonProperty => unwrapped(kind.member(), json),
        AttributeType::Property
        | AttributeType::GeoProperty
        | AttributeType::Relationship
        | AttributeType::ListProperty
        | AttributeType::ListRelationship => json,
    };
    match kind {
        AttributeType::Property | AttributeType::JsonProperty => {}
        AttributeType::GeoProperty => {
            if let Err(error) = parse_geometry(&json) {
                return Err(InvalidFragment(format!("{name}: {error}")));
            }
        }
        AttributeType::LanguageProperty if json.kind() == JsonKind::String => {
            let none = format!("{{\"@none\":{}}}", json.as_str());
            return Ok(Value { kind, json: Json::from_compact(none) });
        }
        AttributeType::LanguageProperty => {
            if json.kind() != JsonKind::Object {
                return refuse("an object of texts by language");
            }
        }
        AttributeType::Relationship | AttributeType::VocabProperty => {
            if !is_uris(&json) {
                return refuse("an absolute URI or an array of them");
            }
        }
        AttributeType::ListRelationship => {
            if json.kind() != JsonKind::Array || !is_uris(&json) {
                return refuse("an array of absolute URIs");
            }
        }
        AttributeType::ListProperty => {
            if json.kind() != JsonKind::Array {
                return refuse("an array");
            }
        }
    }
    Ok(Value { kind, json })
}

/// What stands under `member`, if the JSON is an object with that member alone; else the JSON.
fn unwrapped(member: &str, json: Json) -> Json {
    let inner = match deep(&json) {
        Some(node) => match node.as_object() {
            Some([(key, inner)]) if key == member => Some(inner.to_json()),
            _ => None,
        },
        None => None,
    };
    inner.unwrap_or(json)
}

fn is_uris(json: &Json) -> bool {
    let is_uri = |node: &Node<'_>| node.as_str().is_some_and(|text| text.parse::<Uri>().is_ok());
    deep(json).is_some_and(|node| match node.as_array() {
        Some(elements) => !elements.is_empty() && elements.iter().all(is_uri),
        None => is_uri(&node),
    })
}

/// Whether the JSON is an object whose members are those of a GeoJSON geometry.
fn looks_like_geometry(json: &Json) -> bool {
    json.kind() == JsonKind::Object
        && deep(json).is_some_and(|node| {
            let kind = node.member("type").and_then(Node::as_str);
            let known = matches!(
                kind,
                Some(
                    "Point"
                        | "MultiPoint"
                        | "LineString"
                        | "MultiLineString"
                        | "Polygon"
                        | "MultiPolygon"
                )
            );
            known && node.member("coordinates").is_some_and(|node| node.as_array().is_some())
        })
}

/// Whether the NGSI-LD Null stands anywhere inside.
fn has_null(json: &Json) -> bool {
    let text = json.as_str();
    // An escape may hide it, so a text with escapes is looked at in any case.
    let may_have = text.contains(NULL) || text.contains("\\u");
    may_have && deep(json).is_some_and(|node| node_has_null(&node))
}

fn node_has_null(node: &Node<'_>) -> bool {
    node.as_str().is_some_and(|text| text == NULL)
        || node.as_array().is_some_and(|elements| elements.iter().any(node_has_null))
        || node
            .as_object()
            .is_some_and(|members| members.iter().any(|(_, member)| node_has_null(member)))
}

fn deep(json: &Json) -> Option<Node<'_>> {
    Node::parse(json.as_str(), Limits { depth: Limits::MAX_DEPTH }).ok()
}

/// The JSON merge patch (RFC 7396) with the NGSI-LD Null in the place of `null`.
fn merge_json(target: Option<&Json>, patch: &Json) -> Option<Json> {
    let target = match target {
        Some(target) => Some(deep(target)?),
        None => None,
    };
    let mut merged = String::new();
    write_merged(&mut merged, target.as_ref(), &deep(patch)?);
    Some(Json::from_compact(merged))
}

fn write_merged(out: &mut String, target: Option<&Node<'_>>, patch: &Node<'_>) {
    let Some(patch_members) = patch.as_object() else {
        out.push_str(patch.raw);
        return;
    };
    let target_members = target.and_then(Node::as_object).unwrap_or_default();
    let by_key: HashMap<&str, &Node<'_>> =
        patch_members.iter().map(|(key, node)| (key.as_ref(), node)).collect();
    let mut there = HashSet::with_capacity(target_members.len());
    out.push('{');
    let mut separator = "";
    let mut write = |key: &str, target: Option<&Node<'_>>, patch: Option<&&Node<'_>>| {
        if patch.is_some_and(|patch| patch.as_str() == Some(NULL)) {
            return;
        }
        out.push_str(separator);
        separator = ",";
        out.push_str(Json::from(key).as_str());
        out.push(':');
        match (target, patch) {
            (target, Some(patch)) => write_merged(out, target, patch),
            (Some(target), None) => out.push_str(target.raw),
            (None, None) => out.push_str("null"),
        }
    };
    for (key, node) in target_members {
        there.insert(key.as_ref());
        write(key, Some(node), by_key.get(key.as_ref()));
    }
    for (key, node) in patch_members {
        if !there.contains(key.as_ref()) {
            write(key, None, Some(&node));
        }
    }
    out.push('}');
}
