//! What an expanded JSON-LD document says, as far as a fragment says the same.

use serde_json::{Map, Value, json};

const NGSI_LD: &str = "https://uri.etsi.org/ngsi-ld/";
const GEOJSON: &str = "https://purl.org/geojson/vocab#";

/// Names, types, times, targets and plain values of a node that is an entity.
pub(crate) fn view(node: &Value) -> Value {
    json!({
        "id": node["@id"],
        "types": unique(strings(&node["@type"])),
        "scopes": scalars(&node[ngsi("scope")]),
        "attributes": attributes(node),
    })
}

fn ngsi(name: &str) -> String {
    format!("{NGSI_LD}{name}")
}

fn attributes(node: &Value) -> Map<String, Value> {
    const MEMBERS: [&str; 14] = [
        "scope",
        "hasValue",
        "hasObject",
        "hasLanguageMap",
        "hasVocab",
        "hasJSON",
        "hasValueList",
        "hasObjectList",
        "observedAt",
        "unitCode",
        "datasetId",
        "hasValueType",
        "hasObjectType",
        "expiresAt",
    ];
    let is_attribute = |name: &str| {
        let local = name.strip_prefix(NGSI_LD);
        !name.starts_with('@') && !local.is_some_and(|local| MEMBERS.contains(&local))
    };
    node.as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| is_attribute(name))
        .map(|(name, values)| {
            let instances: Vec<Value> = list_or_set(values).iter().map(instance).collect();
            (name.clone(), Value::Array(instances))
        })
        .collect()
}

/// The values of a property; a list has one more pair of brackets.
fn list_or_set(values: &Value) -> Vec<Value> {
    let values = values.as_array().cloned().unwrap_or_default();
    match values.as_slice() {
        [single] if single.get("@list").is_some() => single["@list"].as_array().unwrap().clone(),
        _ => values,
    }
}

fn instance(node: &Value) -> Value {
    let kind = strings(&node["@type"]).pop().unwrap_or_default();
    let first = |name: &str| scalars(&node[ngsi(name)]).into_iter().next();
    json!({
        "value": value(kind.strip_prefix(NGSI_LD).unwrap_or_default(), node),
        "kind": kind,
        "observedAt": first("observedAt"),
        "unitCode": first("unitCode"),
        "valueType": first("hasValueType"),
        "objectType": unique(strings(&Value::Array(scalars(&node[ngsi("hasObjectType")])))),
        "datasetId": first("datasetId"),
        "attributes": attributes(node),
    })
}

fn value(kind: &str, node: &Value) -> Value {
    match kind {
        "Property" => {
            let values = &node[ngsi("hasValue")];
            let is_node = values[0].as_object().is_some_and(|it| !it.contains_key("@value"));
            if is_node { json!(["an object"]) } else { Value::Array(scalars(values)) }
        }
        "GeoProperty" => {
            let geometry = &node[ngsi("hasValue")][0];
            let coordinates = &geometry[format!("{GEOJSON}coordinates")];
            json!({"type": geometry["@type"][0], "coordinates": scalars(coordinates)})
        }
        "Relationship" => Value::Array(scalars(&node[ngsi("hasObject")])),
        "VocabProperty" => Value::Array(scalars(&node[ngsi("hasVocab")])),
        "JsonProperty" => node[ngsi("hasJSON")][0]["@value"].clone(),
        "ListProperty" => Value::Array(scalars(&node[ngsi("hasValueList")])),
        "ListRelationship" => list_or_set(&node[ngsi("hasObjectList")])
            .iter()
            .flat_map(|target| scalars(&target[ngsi("hasObject")]))
            .collect(),
        "LanguageProperty" => {
            let mut map: Map<String, Value> = Map::new();
            for text in list_or_set(&node[ngsi("hasLanguageMap")]) {
                let language = text["@language"].as_str().unwrap_or("@none").to_lowercase();
                let texts = map.entry(language).or_insert_with(|| json!([]));
                texts.as_array_mut().unwrap().push(text["@value"].clone());
            }
            Value::Object(map)
        }
        other => panic!("{other} is no kind: {node}"),
    }
}

/// Each value by itself: a literal without its language and data type, an IRI as its text.
fn scalars(values: &Value) -> Vec<Value> {
    let scalar = |value: &Value| match (value.get("@value"), value.get("@id")) {
        (Some(literal), _) => literal.clone(),
        (None, Some(id)) => id.clone(),
        (None, None) => value.clone(),
    };
    list_or_set(values).iter().map(scalar).collect()
}

fn strings(values: &Value) -> Vec<String> {
    let values = values.as_array().cloned().unwrap_or_default();
    values.iter().filter_map(|value| Some(value.as_str()?.to_owned())).collect()
}

fn unique(mut names: Vec<String>) -> Vec<String> {
    let all = names.clone();
    let mut index = 0;
    names.retain(|name| {
        index += 1;
        !all[..index - 1].contains(name)
    });
    names
}
