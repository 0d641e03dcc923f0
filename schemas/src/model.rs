//! The project's own data models, and what is wrong with an entity that should follow one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock};

use jsonschema::{Draft, Registry};
use musubi_model::EntityFragment;
use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::members::Members;
use crate::simplify::{ShortNames, simplified};
use crate::{InvalidSchema, Schema};

/// A data model as it stands in the files: its name, its schema, and an entity that follows it.
struct Model {
    name: &'static str,
    schema: &'static str,
    example: &'static str,
}

macro_rules! models {
    ($($name:literal),* $(,)?) => {
        [$(Model {
            name: $name,
            schema: include_str!(concat!("../models/", $name, ".json")),
            example: include_str!(concat!("../examples/", $name, ".json")),
        }),*]
    };
}

static BUILT_IN: [Model; 13] = models![
    "AirQualityObserved",
    "Alert",
    "BikeHireDockingStation",
    "CrowdFlowObserved",
    "Device",
    "EvacuationShelter",
    "Event",
    "FloodMonitoring",
    "OffStreetParking",
    "PointOfInterest",
    "PublicTransportStop",
    "Vehicle",
    "WeatherObserved",
];

/// Terms of the models that the core context defines, and their names. Nothing can define them
/// anew, so our own context leaves them out.
const CORE: [(&str, &str); 3] = [
    ("location", "https://uri.etsi.org/ngsi-ld/location"),
    ("status", "https://uri.etsi.org/ngsi-ld/status"),
    ("description", "http://purl.org/dc/terms/description"),
];

static MODELS: LazyLock<Result<Arc<Inner>, InvalidSchema>> = LazyLock::new(Inner::load);
static DOCUMENTS: LazyLock<Result<Vec<(String, Value)>, InvalidSchema>> = LazyLock::new(documents);
static LIBRARY: LazyLock<Result<Registry<'static>, InvalidSchema>> = LazyLock::new(make_library);

/// The data models that come with Musubi, compiled. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Schemas(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// From expanded names to terms.
    terms: FxHashMap<String, String>,
    models: BTreeMap<&'static str, Compiled>,
}

#[derive(Debug)]
struct Compiled {
    schema: Schema,
    example: &'static str,
    /// Made when something is first held against the schema; none if it cannot be seen so.
    members: OnceLock<Option<Members>>,
}

/// What is wrong with one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaProblem {
    /// The attribute's short name; `/` if the problem is the entity's as a whole.
    pub attribute: String,
    /// What is wrong, in a sentence.
    pub reason: String,
}

impl Schemas {
    /// The models that come with Musubi, under the names of their entity types.
    ///
    /// # Errors
    ///
    /// [`InvalidSchema`] if a file of the program itself is broken, which a test rules out.
    pub fn built_in() -> Result<Self, InvalidSchema> {
        MODELS.clone().map(Self)
    }

    /// The names of the models, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.models.keys().copied()
    }

    /// The schema of the model of this name.
    pub fn schema(&self, model: &str) -> Option<&Schema> {
        self.0.models.get(model).map(|compiled| &compiled.schema)
    }

    /// An invented entity that follows the model of this name: normalized NGSI-LD, as JSON text,
    /// to be read in [`CONTEXT`](crate::CONTEXT).
    pub fn example(&self, model: &str) -> Option<&'static str> {
        self.0.models.get(model).map(|compiled| compiled.example)
    }

    /// The short name of a type or attribute in the project's context; the name itself if it has
    /// none there.
    pub fn term<'a>(&'a self, iri: &'a str) -> &'a str {
        self.0.terms.get(iri).map_or(iri, String::as_str)
    }

    /// What is wrong with what `fragment` says, measured by the model of that name. Empty if
    /// nothing is, or if there is no such model. What the fragment leaves out is not missed: an
    /// update need not carry everything.
    pub fn check(&self, model: &str, fragment: &EntityFragment) -> Vec<SchemaProblem> {
        let Some(Compiled { schema, members, .. }) = self.0.models.get(model) else {
            return Vec::new();
        };
        let members = members.get_or_init(|| Members::of(schema));
        if members.as_ref().is_some_and(|members| members.accept(fragment, self)) {
            return Vec::new();
        }
        self.check_whole(schema, fragment)
    }

    /// What is wrong with what `fragment` says, if anything is.
    fn check_whole(&self, schema: &Schema, fragment: &EntityFragment) -> Vec<SchemaProblem> {
        let document = simplified(fragment, self);
        if schema.accepts(&document) {
            return Vec::new();
        }
        schema
            .violations(&document)
            .filter(|violation| !violation.is_missing)
            .map(|violation| SchemaProblem {
                attribute: violation.attribute.unwrap_or_else(|| "/".to_owned()),
                reason: violation.reason,
            })
            .collect()
    }
}

impl ShortNames for Schemas {
    fn short<'n>(&'n self, name: &'n str) -> Cow<'n, str> {
        Cow::Borrowed(self.term(name))
    }
}

impl Inner {
    fn load() -> Result<Arc<Self>, InvalidSchema> {
        let context: Value = parse("context.jsonld", crate::CONTEXT)?;
        let terms = context
            .get("@context")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(term, iri)| Some((iri.as_str()?.to_owned(), term.clone())))
            .chain(CORE.map(|(term, iri)| (iri.to_owned(), term.to_owned())))
            .collect();
        let mut models = BTreeMap::new();
        for model in &BUILT_IN {
            let schema = Schema::compile(parse(model.name, model.schema)?)
                .map_err(|error| within(model.name, &error))?;
            let (example, members) = (model.example, OnceLock::new());
            models.insert(model.name, Compiled { schema, example, members });
        }
        Ok(Arc::new(Self { terms, models }))
    }
}

/// What every schema may refer to: the project's models, by their `$id`.
pub(crate) fn library() -> Result<&'static Registry<'static>, InvalidSchema> {
    LIBRARY.as_ref().map_err(Clone::clone)
}

fn make_library() -> Result<Registry<'static>, InvalidSchema> {
    let documents = DOCUMENTS.as_ref().map_err(Clone::clone)?;
    let resources = documents
        .iter()
        .map(|(id, document)| (id.as_str(), Draft::Draft202012.create_resource_ref(document)));
    Registry::new()
        .draft(Draft::Draft202012)
        .extend(resources)
        .and_then(referencing::RegistryBuilder::prepare)
        .map_err(|error| InvalidSchema::new("", error.to_string()))
}

fn documents() -> Result<Vec<(String, Value)>, InvalidSchema> {
    let document = |model: &Model| {
        let document = parse(model.name, model.schema)?;
        let id = document.get("$id").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok((id, document))
    };
    BUILT_IN.iter().map(document).collect()
}

fn parse(name: &str, text: &str) -> Result<Value, InvalidSchema> {
    serde_json::from_str(text).map_err(|error| InvalidSchema::new(name, error.to_string()))
}

fn within(name: &str, error: &InvalidSchema) -> InvalidSchema {
    InvalidSchema::new(format!("{name}{}", error.at), error.reason.clone())
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
    const STOP: &str = "https://smartdatamodels.org/dataModel.UrbanMobility/PublicTransportStop";

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
    fn what_a_part_of_an_entity_leaves_out_is_not_missed() {
        let schemas = Schemas::built_in().unwrap();
        assert_eq!(schemas.check("PublicTransportStop", &fragment(STOP, &[])), []);
    }

    /// Each member of each model, with values of all kinds: what its part of the schema takes, the
    /// schema takes, and the other way round.
    #[test]
    fn each_member_by_itself_is_held_to_what_the_whole_schema_says() {
        let schemas = Schemas::built_in().unwrap();
        let (mut taken, mut refused) = (0, 0);
        for name in schemas.names() {
            let schema = schemas.schema(name).unwrap();
            let members = Members::of(schema).unwrap();
            let iri = |term: &str| {
                let of_term = |(_, known): &(&String, &String)| known.as_str() == term;
                schemas.0.terms.iter().find(of_term).map(|(iri, _)| iri.as_str())
            };
            let example: Value = serde_json::from_str(schemas.example(name).unwrap()).unwrap();
            let some = serde_json::json!([
                0, -1, 0.5, 1e9, "", "open", "2024-05-01T03:00:00Z", "urn:x:1", true, [], ["a"], {},
                {"type": "Point", "coordinates": [139.5, 35.5]}, [{"a": 1}]
            ]);
            let properties = schema.document()["properties"].as_object().unwrap();
            for term in properties.keys().filter(|term| !["id", "type"].contains(&term.as_str())) {
                let own = &example[term];
                let own = ["value", "object", "vocab", "languageMap", "json"].map(|key| &own[key]);
                for value in some.as_array().unwrap().iter().chain(own) {
                    let attribute = [(iri(term).unwrap(), Json::from(value))];
                    let fragment = fragment(iri(name).unwrap(), &attribute);
                    let is_right = schemas.check_whole(schema, &fragment).is_empty();
                    let accepted = members.accept(&fragment, &schemas);
                    assert_eq!(accepted, is_right, "{name}: {term}: {value}");
                    if accepted { taken += 1 } else { refused += 1 }
                }
            }
        }
        assert!(taken > 300 && refused > 300, "{taken} {refused}");
    }

    #[test]
    fn what_looks_at_several_members_is_not_seen_as_members() {
        let members = |document: Value| Members::of(&Schema::compile(document).unwrap());
        let plain = serde_json::json!({"type": "object", "properties": {"a": {"type": "number"}}});
        assert!(members(plain.clone()).is_some());
        for (keyword, value) in [
            ("additionalProperties", serde_json::json!(false)),
            ("dependentRequired", serde_json::json!({"a": ["b"]})),
            ("minProperties", serde_json::json!(3)),
            ("allOf", serde_json::json!([{"required": ["b"]}])),
            ("patternProperties", serde_json::json!({"^b": {"type": "string"}})),
            ("properties", serde_json::json!({"a": false})),
        ] {
            let mut document = plain.clone();
            document[keyword] = value;
            assert!(members(document).is_none(), "{keyword}");
        }
    }

    #[test]
    fn the_type_itself_is_checked() {
        let schemas = Schemas::built_in().unwrap();
        let other = fragment("urn:musubi:ns:EvacuationShelter", &[]);
        assert_eq!(schemas.check("BikeHireDockingStation", &other)[0].attribute, "type");
        assert_eq!(schemas.check("EvacuationShelter", &other), []);
    }
}
