//! What a fragment says, as far as JSON-LD says the same.

use musubi_model::{
    AttributeFragment, AttributeType, DatasetId, EntityFragment, EntityId, FragmentValue,
    InstanceFragment, Patch, Scope, TypeName,
};
use serde_json::{Map, Value, json};

const NGSI_LD: &str = "https://uri.etsi.org/ngsi-ld/";

/// Names, types, times, targets and plain values of a fragment.
pub(crate) fn view(fragment: &EntityFragment) -> Value {
    let scopes: Vec<&str> = match &fragment.scopes {
        Patch::Set(scopes) => scopes.iter().map(Scope::as_str).collect(),
        Patch::Keep | Patch::Remove => Vec::new(),
    };
    json!({
        "id": fragment.id.as_ref().map(EntityId::as_str),
        "types": fragment.types.iter().map(TypeName::as_str).collect::<Vec<_>>(),
        "scopes": scopes,
        "attributes": attributes(&fragment.attributes),
    })
}

fn attributes(attributes: &[AttributeFragment]) -> Map<String, Value> {
    attributes
        .iter()
        .map(|attribute| {
            let instances: Vec<Value> = attribute.instances.iter().map(instance).collect();
            (attribute.name.as_str().to_owned(), Value::Array(instances))
        })
        .collect()
}

fn instance(instance: &InstanceFragment) -> Value {
    let Some(FragmentValue::Typed(value)) = &instance.value else { panic!("{instance:?}") };
    let text = |patch: &Patch<_>| match patch {
        Patch::Set(text) => json!(text),
        Patch::Keep | Patch::Remove => Value::Null,
    };
    let object_type = match &instance.object_type {
        Patch::Set(names) => names.iter().map(TypeName::as_str).collect(),
        Patch::Keep | Patch::Remove => Vec::new(),
    };
    let observed_at = match &instance.observed_at {
        Patch::Set(time) => json!(time.to_string()),
        Patch::Keep | Patch::Remove => Value::Null,
    };
    json!({
        "kind": format!("{NGSI_LD}{}", value.kind.as_str()),
        "value": plain(value.kind, value.json.to_value()),
        "observedAt": observed_at,
        "unitCode": text(&instance.unit_code),
        "valueType": text(&instance.value_type),
        "objectType": object_type,
        "datasetId": instance.dataset_id.as_ref().map(DatasetId::as_str),
        "attributes": attributes(&instance.attributes),
    })
}

/// A value in the form in which both can be compared.
fn plain(kind: AttributeType, value: Value) -> Value {
    match (kind, value) {
        (AttributeType::GeoProperty, value) => {
            let name = value["type"].as_str().unwrap();
            json!({
                "type": format!("https://purl.org/geojson/vocab#{name}"),
                "coordinates": value["coordinates"],
            })
        }
        // What is inside an object is data to us and more names to JSON-LD; see `deviations`.
        (AttributeType::Property, Value::Object(_)) => json!(["an object"]),
        (AttributeType::JsonProperty, value) => value,
        (AttributeType::LanguageProperty, Value::Object(map)) => {
            let texts = |texts: Value| texts.as_array().cloned().unwrap_or_else(|| vec![texts]);
            map.into_iter()
                .map(|(language, value)| (language.to_lowercase(), texts(value).into()))
                .collect::<Map<_, _>>()
                .into()
        }
        (_, Value::Array(values)) => Value::Array(values),
        (_, value) => json!([value]),
    }
}
