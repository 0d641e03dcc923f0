//! Attributes as keys and values (CIM 009, clause 4.5.4).

use musubi_model::{
    AttrName, AttributeFragment, AttributeType, Document, FragmentValue, InstanceFragment, NULL,
    Node,
};
use smallvec::{SmallVec, smallvec};

use super::{Walk, Walked, member};
use crate::InvalidBody;

impl Walk<'_> {
    pub(super) fn simplified_attribute(
        &self,
        name: AttrName,
        node: &Node<'_>,
    ) -> Walked<AttributeFragment> {
        let instances = match node.as_object() {
            Some([(key, datasets)]) if key == "dataset" => {
                self.datasets(datasets).map_err(|error| error.within("dataset"))?
            }
            _ => smallvec![self.simplified_instance(node)?],
        };
        Ok(AttributeFragment { name, instances })
    }

    /// The instances of several data sets: `{"@none": …, "urn:…": …}`.
    fn datasets(&self, node: &Node<'_>) -> Walked<SmallVec<[InstanceFragment; 1]>> {
        let members = match node.as_object() {
            Some(members) if !members.is_empty() => members,
            _ => return Err(InvalidBody::here("it is an object of values by data set")),
        };
        let instance = |key: &str, node: &Node<'_>| -> Walked<InstanceFragment> {
            let dataset_id = match key {
                "@none" => None,
                other => Some(member::dataset(other)?),
            };
            Ok(InstanceFragment { dataset_id, ..self.simplified_instance(node)? })
        };
        members
            .iter()
            .map(|(key, node)| instance(key, node).map_err(|error| error.within(key)))
            .collect()
    }

    fn simplified_instance(&self, node: &Node<'_>) -> Walked<InstanceFragment> {
        let value = match &node.document {
            Document::String(text) if text == NULL => FragmentValue::Null,
            Document::Object(members) => match members.as_slice() {
                [(key, inner)] => match marked(key) {
                    Some(kind) => self.value(kind, inner).map_err(|error| error.within(key))?,
                    None => FragmentValue::Simplified(node.to_json()),
                },
                _ => FragmentValue::Simplified(node.to_json()),
            },
            // Refuses null, with the reason.
            Document::Null => self.value(AttributeType::Property, node)?,
            Document::Boolean(_)
            | Document::Number(_)
            | Document::String(_)
            | Document::Array(_) => FragmentValue::Simplified(node.to_json()),
        };
        Ok(InstanceFragment { value: Some(value), ..InstanceFragment::default() })
    }
}

/// The kind of those values that say it, by the one member that they are wrapped in.
fn marked(key: &str) -> Option<AttributeType> {
    [AttributeType::LanguageProperty, AttributeType::VocabProperty, AttributeType::JsonProperty]
        .into_iter()
        .find(|kind| kind.member() == key)
}
