//! From entities and fragments to the simplified JSON that schemas describe.

use std::borrow::Cow;

use musubi_model::{
    Attribute, AttributeFragment, AttributeType, Entity, EntityFragment, FragmentValue, Instance,
    InstanceFragment, Json, TypeName,
};
use serde_json::{Map, Value};

/// An entity as a schema sees it: keys and values under short names, without what the system adds
/// and without attributes of attributes.
///
/// An attribute with several instances has one value per document: the first document has the
/// instance without a data set, or the first one, and the n-th document the n-th instance, or
/// that of the first document where there are fewer. So every instance is in one of them.
#[derive(Debug)]
pub struct Documents<'a> {
    /// Short name and instances, that of the first document first.
    several: Vec<(String, Vec<&'a Instance>)>,
    document: Value,
    next: usize,
    count: usize,
    names: &'a dyn ShortNames,
}

/// Gives expanded names their short form.
pub trait ShortNames: std::fmt::Debug {
    /// The short name; the name itself if it has none.
    fn short<'n>(&'n self, name: &'n str) -> Cow<'n, str>;
}

impl<'a> Documents<'a> {
    /// The documents of an entity that is looked at as one of `entity_type`; at least one.
    pub fn of(entity: &'a Entity, entity_type: &TypeName, names: &'a dyn ShortNames) -> Self {
        let mut members = Map::new();
        members.insert("id".to_owned(), entity.id.as_str().into());
        members.insert("type".to_owned(), names.short(entity_type.as_str()).into());
        let mut several = Vec::new();
        for attribute in &entity.attributes {
            let instances = in_order(attribute);
            let Some(first) = instances.first() else { continue };
            let name = names.short(attribute.name.as_str()).into_owned();
            members.insert(name.clone(), instance_value(first, names));
            if instances.len() > 1 {
                several.push((name, instances));
            }
        }
        let most = several.iter().map(|(_, instances)| instances.len()).max();
        let count = most.unwrap_or(1);
        Self { several, document: Value::Object(members), next: 0, count, names }
    }

    /// The next document. Not an iterator, because each is made out of the one before.
    pub fn next_document(&mut self) -> Option<&Value> {
        if self.next >= self.count {
            return None;
        }
        let at = self.next;
        self.next += 1;
        if at > 0
            && let Some(members) = self.document.as_object_mut()
        {
            for (name, instances) in &self.several {
                // What has run out goes back to its first instance, once.
                let instance = match instances.get(at) {
                    Some(instance) => Some(instance),
                    None if instances.len() == at => instances.first(),
                    None => None,
                };
                if let Some(instance) = instance {
                    members.insert(name.clone(), instance_value(instance, self.names));
                }
            }
        }
        Some(&self.document)
    }
}

/// The instance without a data set first, the others in their order.
fn in_order(attribute: &Attribute) -> Vec<&Instance> {
    let mut instances: Vec<&Instance> = attribute.instances.iter().collect();
    instances.sort_by_key(|instance| instance.dataset_id().is_some());
    instances
}

fn instance_value(instance: &Instance, names: &dyn ShortNames) -> Value {
    simplified_value(instance.value.kind, &instance.value.json, names)
}

fn simplified_value(kind: AttributeType, json: &Json, names: &dyn ShortNames) -> Value {
    let value = json.to_value();
    if kind != AttributeType::VocabProperty {
        return value;
    }
    let short = |value: Value| match value {
        Value::String(iri) => Value::from(names.short(&iri)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value
        }
    };
    if let Value::Array(items) = value {
        items.into_iter().map(short).collect()
    } else {
        short(value)
    }
}

/// The fragment as keys and values. Of an attribute with several instances the first is taken;
/// Nulls and instances without a value are left out.
pub(crate) fn simplified(fragment: &EntityFragment, names: &dyn ShortNames) -> Value {
    let mut members = Map::new();
    if let Some(id) = &fragment.id {
        members.insert("id".to_owned(), id.as_str().into());
    }
    let mut types = fragment.types.iter().map(|name| Value::from(names.short(name.as_str())));
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
        if let Some(value) = instances.iter().find_map(|instance| value(instance, names)) {
            members.insert(names.short(name.as_str()).into_owned(), value);
        }
    }
    Value::Object(members)
}

/// What an instance says; none if it says nothing of its value.
pub(crate) fn value(instance: &InstanceFragment, names: &dyn ShortNames) -> Option<Value> {
    match instance.value.as_ref()? {
        FragmentValue::Simplified(json) => Some(json.to_value()),
        FragmentValue::Null => None,
        FragmentValue::Typed(value) => Some(simplified_value(value.kind, &value.json, names)),
    }
}

#[cfg(test)]
mod tests {
    use musubi_model::{Qualifiers, Timestamp, Value as ModelValue};
    use serde_json::json;

    use super::*;

    #[derive(Debug)]
    struct LastSegment;

    impl ShortNames for LastSegment {
        fn short<'n>(&'n self, name: &'n str) -> Cow<'n, str> {
            Cow::Borrowed(name.rsplit(':').next().unwrap())
        }
    }

    fn instance(kind: AttributeType, json: &Value, dataset: Option<&str>) -> Instance {
        let qualifiers = dataset.map(|dataset| {
            Box::new(Qualifiers {
                dataset_id: Some(dataset.parse().unwrap()),
                ..Qualifiers::default()
            })
        });
        Instance {
            value: ModelValue { kind, json: Json::from(json) },
            observed_at: Some(Timestamp::from_seconds(1)),
            created_at: Timestamp::from_seconds(1),
            modified_at: Timestamp::from_seconds(1),
            qualifiers,
        }
    }

    fn entity(attributes: Vec<(&str, Vec<Instance>)>) -> Entity {
        Entity {
            id: "urn:a:1".parse().unwrap(),
            types: vec!["urn:T".parse().unwrap(), "urn:U".parse().unwrap()],
            scopes: vec!["/town".parse().unwrap()],
            created_at: Timestamp::from_seconds(0),
            modified_at: Timestamp::from_seconds(0),
            expires_at: None,
            attributes: attributes
                .into_iter()
                .map(|(name, instances)| Attribute {
                    name: name.parse().unwrap(),
                    instances: instances.into_iter().collect(),
                })
                .collect(),
        }
    }

    fn documents(entity: &Entity) -> Vec<Value> {
        let entity_type = "urn:U".parse().unwrap();
        let mut documents = Documents::of(entity, &entity_type, &LastSegment);
        let mut all = Vec::new();
        while let Some(document) = documents.next_document() {
            all.push(document.clone());
        }
        all
    }

    #[test]
    fn every_kind_of_attribute_becomes_its_plain_value() {
        let one = |kind, value: Value| vec![instance(kind, &value, None)];
        let entity = entity(vec![
            ("urn:p", one(AttributeType::Property, json!(20.0))),
            (
                "urn:g",
                one(AttributeType::GeoProperty, json!({"type": "Point", "coordinates": [1, 2]})),
            ),
            ("urn:r", one(AttributeType::Relationship, json!(["urn:a:1", "urn:a:2"]))),
            ("urn:l", one(AttributeType::LanguageProperty, json!({"ja": "町", "en": "town"}))),
            ("urn:v", one(AttributeType::VocabProperty, json!("urn:words:open"))),
            ("urn:w", one(AttributeType::VocabProperty, json!(["urn:words:a", "urn:words:b"]))),
            ("urn:j", one(AttributeType::JsonProperty, json!({"@id": "urn:x:y"}))),
            ("urn:o", one(AttributeType::ListProperty, json!([1, [2]]))),
            ("urn:q", one(AttributeType::ListRelationship, json!(["urn:a:3"]))),
        ]);
        let expected = json!({
            "id": "urn:a:1", "type": "U",
            "p": 20.0, "g": {"type": "Point", "coordinates": [1, 2]},
            "r": ["urn:a:1", "urn:a:2"], "l": {"ja": "町", "en": "town"},
            "v": "open", "w": ["a", "b"], "j": {"@id": "urn:x:y"}, "o": [1, [2]], "q": ["urn:a:3"]
        });
        assert_eq!(documents(&entity), [expected]);
    }

    #[test]
    fn every_instance_is_in_one_of_the_documents() {
        let of = |values: &[(i64, Option<&str>)]| -> Vec<Instance> {
            values
                .iter()
                .map(|(value, dataset)| instance(AttributeType::Property, &json!(value), *dataset))
                .collect()
        };
        let entity = entity(vec![
            ("urn:a", of(&[(2, Some("urn:d:1")), (1, None), (3, Some("urn:d:2"))])),
            ("urn:b", of(&[(4, None)])),
            ("urn:c", of(&[(5, Some("urn:d:1")), (6, Some("urn:d:2"))])),
        ]);
        let values: Vec<[Value; 3]> = documents(&entity)
            .into_iter()
            .map(|document| ["a", "b", "c"].map(|name| document[name].clone()))
            .collect();
        let expected = [[1, 4, 5], [2, 4, 6], [3, 4, 5]].map(|row| row.map(Value::from));
        assert_eq!(values, expected);
    }

    #[test]
    fn an_entity_without_attributes_is_one_document() {
        assert_eq!(documents(&entity(Vec::new())), [json!({"id": "urn:a:1", "type": "U"})]);
    }
}
