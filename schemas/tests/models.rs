//! The project's data models: every example follows its model, every attribute has one meaning.

#[cfg(test)]
mod models {
    use std::borrow::Cow;
    use std::collections::{BTreeMap, BTreeSet};

    use musubi_context::{Context, ContextSource, expand_entity};
    use musubi_model::{Entity, Limits, Node, Timestamp, TypeName};
    use musubi_schemas::{CONTEXT, Documents, Schema, Schemas, ShortNames, Violation};
    use serde_json::{Value, json};

    #[derive(Debug)]
    struct Names(Context);

    impl ShortNames for Names {
        fn short<'n>(&'n self, name: &'n str) -> Cow<'n, str> {
            self.0.compact(name)
        }
    }

    fn terms() -> serde_json::Map<String, Value> {
        let document: Value = serde_json::from_str(CONTEXT).unwrap();
        document["@context"].as_object().unwrap().clone()
    }

    fn context() -> Context {
        let document = Value::Object(terms()).to_string();
        let source = ContextSource { url: None, member: document.clone(), document };
        Context::from_source(&source).unwrap()
    }

    fn entity(body: &Value) -> Entity {
        let text = body.to_string();
        let node = Node::parse(&text, Limits { depth: 64 }).unwrap();
        let fragment = expand_entity(&node, &context()).unwrap();
        Entity::create(fragment, Timestamp::from_seconds(0)).unwrap()
    }

    fn violations(schema: &Schema, body: &Value) -> Vec<Violation> {
        let (entity, names) = (entity(body), Names(context()));
        let entity_type: TypeName = entity.types[0].clone();
        let mut documents = Documents::of(&entity, &entity_type, &names);
        let mut found = Vec::new();
        while let Some(document) = documents.next_document() {
            found.extend(schema.violations(document));
        }
        found
    }

    fn examples() -> Vec<(String, Schema, Value)> {
        let schemas = Schemas::built_in().unwrap();
        let of = |name: &str| {
            let example = serde_json::from_str(schemas.example(name).unwrap()).unwrap();
            (name.to_owned(), schemas.schema(name).unwrap().clone(), example)
        };
        schemas.names().map(of).collect()
    }

    #[test]
    fn every_example_follows_its_model_and_says_that_it_is_invented() {
        for (name, schema, example) in examples() {
            assert_eq!(violations(&schema, &example), [], "{name}");
            assert_eq!(example["type"], name);
            let source = example["source"]["value"].as_str().unwrap();
            assert!(source.contains("synthetic"), "{name}");
        }
    }

    #[test]
    fn an_example_with_one_broken_attribute_fails_and_the_attribute_is_named() {
        let broken: BTreeMap<&str, (&str, Value)> = [
            ("AirQualityObserved", ("pm25", json!(-1))),
            ("Alert", ("severity", json!("terrible"))),
            ("BikeHireDockingStation", ("availableBikeNumber", json!(2.5))),
            ("CrowdFlowObserved", ("peopleCount", json!("many"))),
            ("Device", ("batteryLevel", json!(87))),
            ("EvacuationShelter", ("occupancy", json!(-3))),
            ("Event", ("startDate", json!("next Sunday"))),
            ("FloodMonitoring", ("currentLevel", json!("1.42 m"))),
            ("OffStreetParking", ("status", json!(["open", "spacious"]))),
            ("PointOfInterest", ("poiCategory", json!("library"))),
            ("PublicTransportStop", ("transportationType", json!(["bus"]))),
            ("Vehicle", ("battery", json!(72))),
            ("WeatherObserved", ("relativeHumidity", json!(63))),
        ]
        .into_iter()
        .collect();
        for (name, schema, example) in examples() {
            let (attribute, value) = &broken[name.as_str()];
            let mut bad = example.clone();
            bad[*attribute]["value"] = value.clone();
            let found = violations(&schema, &bad);
            assert!(!found.is_empty(), "{name}");
            for violation in found {
                assert_eq!(violation.attribute.as_deref(), Some(*attribute), "{name}");
                assert!(violation.description.is_some(), "{name}");
            }
        }
    }

    #[test]
    fn an_example_without_what_is_required_fails_and_says_what_is_missing() {
        for (name, schema, example) in examples() {
            let required = schema.document()["required"].as_array().unwrap().clone();
            for member in required.iter().map(|member| member.as_str().unwrap()) {
                if ["id", "type"].contains(&member) {
                    continue;
                }
                let mut bad = example.clone();
                bad.as_object_mut().unwrap().remove(member);
                let found = violations(&schema, &bad);
                assert_eq!(found.len(), 1, "{name} without {member}");
                assert_eq!(found[0].attribute.as_deref(), Some(member));
                assert!(found[0].is_missing);
            }
        }
    }

    #[test]
    fn every_attribute_of_a_model_has_a_term_and_a_description() {
        let (context, own) = (context(), terms());
        for (name, schema, example) in examples() {
            assert!(own.contains_key(&name), "{name} has no term");
            assert!(schema.document()["description"].is_string(), "{name}");
            let properties = schema.document()["properties"].as_object().unwrap();
            for (property, described) in properties {
                if property == "type" {
                    continue;
                }
                assert!(described["description"].is_string(), "{name}/{property}");
                let expanded = context.expand(property);
                assert!(
                    property == "id" || !expanded.contains("/default-context/"),
                    "{property} of {name} has no term"
                );
            }
            for attribute in example.as_object().unwrap().keys() {
                let known = properties.contains_key(attribute);
                assert!(known, "{attribute} of the example is not in the model {name}");
            }
        }
    }

    #[test]
    fn every_term_has_one_meaning_and_every_meaning_one_term() {
        let own = terms();
        let text = CONTEXT.matches("\": \"").count();
        assert_eq!(text, own.len(), "a term stands twice in the context");
        let meanings: BTreeSet<&str> = own.values().map(|iri| iri.as_str().unwrap()).collect();
        assert_eq!(meanings.len(), own.len(), "two terms have the same meaning");
        let core = Context::core();
        for (term, iri) in &own {
            let free = core.expand(term).contains("/default-context/");
            assert!(free, "{term} is the core context's");
            let iri = iri.as_str().unwrap();
            assert!(
                iri.starts_with("https://smartdatamodels.org/")
                    || iri.starts_with("urn:musubi:ns:"),
                "{term}"
            );
        }
    }

    #[test]
    fn a_model_is_self_contained_and_has_an_id_of_its_own() {
        for (name, schema, _) in examples() {
            let document = schema.document();
            assert_eq!(document["$id"], format!("urn:musubi:schema:{name}:1"));
            assert_eq!(document["title"], name);
            for reference in document.to_string().split("\"$ref\":\"").skip(1) {
                assert!(reference.starts_with('#'), "{name}: {reference:.40}");
            }
        }
    }
}
