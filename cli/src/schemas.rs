//! `musubi schemas`: the data models that come with the program, and whether entities in files
//! follow them. Needs no broker.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::path::Path;

use musubi_context::{Context, expand_entity};
use musubi_model::{Entity, Limits, Node, Timestamp};
use musubi_schemas::{Documents, Schema, Schemas, ShortNames};
use serde_json::Value;

use crate::args::SchemasCommand;
use crate::services::own_context;

/// The deepest nesting of an entity.
const DEPTH: usize = 64;
/// The most violations of one entity that are shown.
const MAX_SHOWN: usize = 20;

/// Carries the command out, and writes what it has to say to `out`.
///
/// # Errors
///
/// A sentence for the operator; also if an entity does not follow its model.
pub(crate) fn run(command: &SchemasCommand, out: &mut dyn Write) -> Result<(), String> {
    let models = Schemas::built_in().map_err(|error| error.to_string())?;
    match command {
        SchemasCommand::List => list(&models, out),
        SchemasCommand::Show { name, example } => show(&models, name, *example, out),
        SchemasCommand::Check { files, model } => {
            let mut checker = Checker::new(models, model.clone())?;
            for file in files {
                checker.file(file, out)?;
            }
            checker.verdict(out)
        }
    }
}

fn list(models: &Schemas, out: &mut dyn Write) -> Result<(), String> {
    for name in models.names() {
        let document = models.schema(name).map(Schema::document);
        let about = document.and_then(|document| document.get("description"));
        write(out, &format!("{name:<24} {}", about.and_then(Value::as_str).unwrap_or_default()))?;
    }
    Ok(())
}

fn show(models: &Schemas, name: &str, example: bool, out: &mut dyn Write) -> Result<(), String> {
    let schema = models.schema(name).ok_or_else(|| unknown(models, name))?;
    if example {
        return write(out, models.example(name).unwrap_or_default().trim_end());
    }
    write(out, &serde_json::to_string_pretty(schema.document()).unwrap_or_default())
}

fn unknown(models: &Schemas, name: &str) -> String {
    let known: Vec<&str> = models.names().collect();
    format!("there is no model {name:?}; there are {}", known.join(", "))
}

/// Holds entities against their models.
struct Checker {
    models: Schemas,
    names: Names,
    /// The model of every entity; none if each has that of its type.
    model: Option<String>,
    entities: usize,
    wrong: usize,
}

/// Short names, as the project's context gives them.
#[derive(Debug)]
struct Names(Context);

impl ShortNames for Names {
    fn short<'n>(&'n self, name: &'n str) -> Cow<'n, str> {
        self.0.compact(name)
    }
}

impl Checker {
    fn new(models: Schemas, model: Option<String>) -> Result<Self, String> {
        if let Some(name) = model.as_deref().filter(|name| models.schema(name).is_none()) {
            return Err(unknown(&models, name));
        }
        Ok(Self { models, names: Names(own_context()?), model, entities: 0, wrong: 0 })
    }

    /// Checks the entity, or the array of entities, in a file; `-` is standard input.
    fn file(&mut self, file: &Path, out: &mut dyn Write) -> Result<(), String> {
        let shown = file.display();
        let text = read(file).map_err(|error| format!("{shown}: {error}"))?;
        let node = Node::parse(&text, Limits { depth: DEPTH })
            .map_err(|error| format!("{shown}: it is not acceptable JSON: {error}"))?;
        let one = std::slice::from_ref(&node);
        for (index, body) in node.as_array().unwrap_or(one).iter().enumerate() {
            self.entities += 1;
            let problems = self.problems(body);
            if !problems.is_empty() {
                self.wrong += 1;
            }
            let id = body.member("id").and_then(Node::as_str).unwrap_or_default();
            for problem in problems {
                write(out, &format!("{shown}[{index}] {id} {problem}"))?;
            }
        }
        Ok(())
    }

    /// What is wrong with an entity, in sentences.
    fn problems(&self, body: &Node<'_>) -> Vec<String> {
        let fragment = match expand_entity(body, &self.names.0) {
            Ok(fragment) => fragment,
            Err(error) => return vec![error.to_string()],
        };
        let entity = match Entity::create(fragment, Timestamp::from_seconds(0)) {
            Ok(entity) => entity,
            Err(error) => return vec![error.to_string()],
        };
        let Some(entity_type) = entity.types.first() else { return Vec::new() };
        let of_type = self.names.0.compact(entity_type.as_str());
        let model = self.model.as_deref().unwrap_or(&of_type);
        let Some(schema) = self.models.schema(model) else {
            return vec![format!("type: {}", unknown(&self.models, model))];
        };
        let mut problems: Vec<String> = Vec::new();
        let mut documents = Documents::of(&entity, entity_type, &self.names);
        while let Some(document) = documents.next_document() {
            for violation in schema.violations(document) {
                let attribute = violation.attribute.as_deref().unwrap_or("the entity");
                let problem =
                    format!("{attribute}{}: {}", violation.inside(), violation.explained());
                if !problems.contains(&problem) && problems.len() < MAX_SHOWN {
                    problems.push(problem);
                }
            }
        }
        problems
    }

    fn verdict(&self, out: &mut dyn Write) -> Result<(), String> {
        match (self.wrong, self.entities) {
            (_, 0) => Err("there are no entities".to_owned()),
            (0, 1) => write(out, "the entity follows its model"),
            (0, all) => write(out, &format!("all {all} entities follow their models")),
            (wrong, all) => Err(format!("{wrong} of {all} entities do not follow their models")),
        }
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file)
}

fn write(out: &mut dyn Write, line: &str) -> Result<(), String> {
    writeln!(out, "{line}").map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(command: &SchemasCommand) -> (Result<(), String>, String) {
        let mut out = Vec::new();
        let result = run(command, &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    fn check(text: &str, model: Option<&str>) -> (Result<(), String>, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("entities.json");
        std::fs::write(&file, text).unwrap();
        said(&SchemasCommand::Check { files: vec![file], model: model.map(str::to_owned) })
    }

    #[test]
    fn every_model_is_listed_and_shown() {
        let (_, list) = said(&SchemasCommand::List);
        assert!(list.lines().count() >= 12, "{list}");
        let name = "EvacuationShelter".to_owned();
        let (_, shown) = said(&SchemasCommand::Show { name: name.clone(), example: false });
        assert!(shown.contains("\"occupancy\""), "{shown}");
        let (_, shown) = said(&SchemasCommand::Show { name, example: true });
        assert!(shown.contains("synthetic"), "{shown}");
        let castle = SchemasCommand::Show { name: "Castle".to_owned(), example: false };
        assert!(said(&castle).0.unwrap_err().contains("WeatherObserved"));
    }

    #[test]
    fn every_example_passes_its_own_check() {
        let models = Schemas::built_in().unwrap();
        let examples: Vec<&str> = models.names().filter_map(|name| models.example(name)).collect();
        let (result, said) = check(&format!("[{}]", examples.join(",")), None);
        assert_eq!((result, said.as_str()), (Ok(()), "all 13 entities follow their models\n"));
    }

    #[test]
    fn what_is_wrong_is_said_with_entity_and_attribute() {
        let text = r#"[{
            "id": "urn:a:1", "type": "EvacuationShelter", "occupancy": {"type": "Property", "value": -3}
        }, {"id": "urn:a:2", "type": "Castle"}, {"id": "urn:a:3", "type": "EvacuationShelter"}]"#;
        let (result, said) = check(text, None);
        assert_eq!(result, Err("2 of 3 entities do not follow their models".to_owned()));
        assert!(
            said.contains(
                "urn:a:1 occupancy: -3 is less than the minimum of 0 (People who are there)"
            ),
            "{said}"
        );
        assert!(said.contains("urn:a:2 type: there is no model \"Castle\""), "{said}");
        assert!(!said.contains("urn:a:3"), "{said}");
    }

    #[test]
    fn an_entity_may_be_held_against_a_model_that_is_named() {
        let text = r#"{"id": "urn:a:2", "type": "Shelter", "capacity": 1.5}"#;
        let (result, said) = check(text, Some("EvacuationShelter"));
        assert!(result.is_err());
        assert!(said.contains("capacity") && said.contains("type:"), "{said}");
        assert!(check(text, Some("Castle")).0.unwrap_err().contains("no model"));
    }
}
