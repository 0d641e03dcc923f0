//! From a fragment to the simplified JSON that schemas describe.

use musubi_model::{
    AttributeFragment, AttributeType, EntityFragment, FragmentValue, InstanceFragment,
};
use serde_json::{Map, Value};

/// The fragment as keys and values, with every name given by `term`. Of an attribute with
/// several instances the first is taken; Nulls and instances without a value are left out.
pub(crate) fn simplified(fragment: &EntityFragment, term: &dyn Fn(&str) -> String) -> Value {
    let mut members = Map::new();
    if let Some(id) = &fragment.id {
        members.insert("id".to_owned(), id.as_str().into());
    }
    let mut types = fragment.types.iter().map(|name| Value::from(term(name.as_str())));
    match (types.next(), types.len()) {
        (None, _) => {}
        (Some(only), 0) => {
            members.insert("type".to_owned(), only);
        }
        (Some(first), _) => {
            members.insert("type".to_owned(), std::iter::once(first).chain(types).collect());
        }
    }
    for AttributeFragment { name, instances } in &fragment.attributes {
        if let Some(value) = instances.iter().find_map(|instance| value(instance, term)) {
            members.insert(term(name.as_str()), value);
        }
    }
    Value::Object(members)
}

fn value(instance: &InstanceFragment, term: &dyn Fn(&str) -> String) -> Option<Value> {
    match instance.value.as_ref()? {
        FragmentValue::Simplified(json) => Some(json.to_value()),
        FragmentValue::Null => None,
        FragmentValue::Typed(value) => Some(match (value.kind, value.json.to_value()) {
            (AttributeType::VocabProperty, Value::String(iri)) => term(&iri).into(),
            (_, json) => json,
        }),
    }
}
