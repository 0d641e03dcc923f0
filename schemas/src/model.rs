//! The data models, and what is wrong with an entity that should follow one.

use std::collections::{BTreeMap, HashMap};

use jsonschema::Validator;
use musubi_model::EntityFragment;
use serde_json::Value;

use crate::simplify::simplified;

const BUILT_IN: [(&str, &str); 3] = [
    ("BikeHireDockingStation", include_str!("../models/BikeHireDockingStation.json")),
    ("EvacuationShelter", include_str!("../models/EvacuationShelter.json")),
    ("WeatherObserved", include_str!("../models/WeatherObserved.json")),
];

/// Terms of the models that the core context defines. Nothing can define them anew, so our own
/// context leaves them out.
const CORE: [&str; 2] = ["location", "status"];

/// A set of data models, compiled.
#[derive(Debug)]
pub struct Schemas {
    terms: HashMap<String, String>,
    models: BTreeMap<String, Validator>,
}

/// What is wrong with one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaProblem {
    /// The attribute's short name; `/` if the problem is the entity's as a whole.
    pub attribute: String,
    /// What is wrong, in a sentence.
    pub reason: String,
}

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema {name} cannot be used: {reason}")]
pub struct InvalidSchema {
    /// The model's name.
    pub name: String,
    /// What is wrong.
    pub reason: String,
}

impl Schemas {
    /// The models that come with Musubi, under the names of their entity types.
    ///
    /// # Errors
    ///
    /// [`InvalidSchema`] if a file of the program itself is broken, which a test rules out.
    pub fn built_in() -> Result<Self, InvalidSchema> {
        let refuse = |name: &str, reason: String| InvalidSchema { name: name.to_owned(), reason };
        let context: Value = serde_json::from_str(crate::CONTEXT)
            .map_err(|error| refuse("context.jsonld", error.to_string()))?;
        let terms = context
            .get("@context")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(term, iri)| Some((iri.as_str()?.to_owned(), term.clone())))
            .chain(
                CORE.map(|term| (format!("https://uri.etsi.org/ngsi-ld/{term}"), term.to_owned())),
            )
            .collect();
        let mut models = BTreeMap::new();
        for (name, text) in BUILT_IN {
            let mut schema: Value =
                serde_json::from_str(text).map_err(|error| refuse(name, error.to_string()))?;
            // Fragments are checked, not whole entities, so nothing is required.
            if let Some(members) = schema.as_object_mut() {
                members.remove("required");
            }
            let validator = jsonschema::validator_for(&schema)
                .map_err(|error| refuse(name, error.to_string()))?;
            models.insert(name.to_owned(), validator);
        }
        Ok(Self { terms, models })
    }

    /// The names of the models, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }

    /// The short name of a type or attribute in the project's context; the name itself if it has
    /// none there.
    pub fn term<'a>(&'a self, iri: &'a str) -> &'a str {
        self.terms.get(iri).map_or(iri, String::as_str)
    }

    /// What is wrong with what `fragment` says, measured by the model of that name. Empty if
    /// nothing is, or if there is no such model.
    pub fn check(&self, model: &str, fragment: &EntityFragment) -> Vec<SchemaProblem> {
        let Some(validator) = self.models.get(model) else { return Vec::new() };
        let document = simplified(fragment, &|iri| self.term(iri).to_owned());
        validator
            .iter_errors(&document)
            .map(|error| {
                let path = error.instance_path().to_string();
                let attribute = path.split('/').nth(1).filter(|name| !name.is_empty());
                SchemaProblem {
                    attribute: attribute.unwrap_or("/").to_owned(),
                    reason: error.to_string(),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use musubi_model::{
        AttributeFragment, AttributeType, FragmentValue, InstanceFragment, Json,
        Value as ModelValue,
    };

    use super::*;

    fn fragment(kind: &str, attributes: &[(&str, Json)]) -> EntityFragment {
        let instance = |json: &Json| InstanceFragment {
            value: Some(FragmentValue::Typed(ModelValue {
                kind: AttributeType::Property,
                json: json.clone(),
            })),
            ..InstanceFragment::default()
        };
        EntityFragment {
            id: Some("urn:ngsi-ld:Thing:1".parse().unwrap()),
            types: vec![kind.parse().unwrap()],
            attributes: attributes
                .iter()
                .map(|(name, json)| AttributeFragment {
                    name: name.parse().unwrap(),
                    instances: std::iter::once(instance(json)).collect(),
                })
                .collect(),
            ..EntityFragment::default()
        }
    }

    const BIKES: &str = "https://smartdatamodels.org/dataModel.Transportation/availableBikeNumber";
    const STATION: &str =
        "https://smartdatamodels.org/dataModel.Transportation/BikeHireDockingStation";

    #[test]
    fn a_part_of_an_entity_is_checked_by_what_it_says() {
        let schemas = Schemas::built_in().unwrap();
        let good = fragment(STATION, &[(BIKES, Json::from(&serde_json::json!(3)))]);
        assert_eq!(schemas.check("BikeHireDockingStation", &good), []);
        let bad = fragment(STATION, &[(BIKES, Json::from(&serde_json::json!(-1)))]);
        let problems = schemas.check("BikeHireDockingStation", &bad);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].attribute, "availableBikeNumber");
    }

    #[test]
    fn the_type_itself_is_checked() {
        let schemas = Schemas::built_in().unwrap();
        let other = fragment("urn:musubi:ns:EvacuationShelter", &[]);
        assert_eq!(schemas.check("BikeHireDockingStation", &other)[0].attribute, "type");
        assert_eq!(schemas.check("EvacuationShelter", &other), []);
    }

    #[test]
    fn every_property_of_a_model_has_a_term() {
        let schemas = Schemas::built_in().unwrap();
        let terms: Vec<&str> = schemas.terms.values().map(String::as_str).collect();
        for (name, text) in BUILT_IN {
            assert!(terms.contains(&name), "{name} has no term");
            let schema: Value = serde_json::from_str(text).unwrap();
            for property in schema["properties"].as_object().unwrap().keys() {
                let known = ["id", "type"].contains(&property.as_str())
                    || terms.contains(&property.as_str());
                assert!(known, "{property} of {name} has no term");
            }
        }
    }
}
