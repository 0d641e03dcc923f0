//! The document as a whole.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::operation::component;
use super::paths;
use crate::options::Limits;

type Catalogue = LazyLock<Map<String, Value>>;

static PARAMETERS: Catalogue = LazyLock::new(|| read(include_str!("parameters.json")));
static SCHEMAS: Catalogue = LazyLock::new(|| read(include_str!("schemas.json")));
static EXAMPLES: Catalogue = LazyLock::new(|| read(include_str!("examples.json")));
static ANSWERS: Catalogue = LazyLock::new(|| read(include_str!("answers.json")));

/// A catalogue of this folder; the tests see that each can be read.
fn read(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

/// What the groups of operations are about.
const TAGS: &[(&str, &str)] = &[
    ("Entities", "Things of the town, one by one and by query."),
    ("Batches", "Many entities with one request."),
    ("History", "What entities were, at every moment."),
    ("Entity maps", "What queries found, for pages that are all cut from the same."),
    ("Discovery", "Which types and attributes there are, and who answers."),
    ("Subscriptions", "Who is told about which changes."),
    ("Contexts", "JSON-LD contexts: what the short names mean."),
    ("Schemas", "What entities of a type have to look like."),
    ("Adapters", "What feeds the broker, and what could not be used or delivered."),
    ("Operation", "What a supervisor asks, and this documentation."),
];

const ABOUT: &str = "NGSI-LD (ETSI GS CIM 009 V1.9.1) below /ngsi-ld/v1, and what is Musubi's own \
    below /musubi/v1. A parameter that an operation does not know, or that is given twice, is \
    refused. Every path of /ngsi-ld/v1 may be written with a slash at its end. Problems are sent \
    as application/json, or as application/problem+json if Accept names that.";

/// The document of a server with these limits.
pub(super) fn document(limits: &Limits) -> Value {
    let items: Map<String, Value> =
        paths().iter().map(|path| (path.template.to_owned(), path.written())).collect();
    let used: Vec<&str> = paths().iter().map(|path| path.tag).collect();
    let tags: Vec<Value> = TAGS
        .iter()
        .filter(|(name, _)| used.contains(name))
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Musubi",
            "summary": "A city's data-linkage platform",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": items,
        "webhooks": { "notification": notification() },
        "components": {
            "schemas": *SCHEMAS,
            "parameters": parameters(limits),
            "headers": ANSWERS.get("headers"),
            "responses": responses(),
            "examples": examples(),
        },
    })
}

/// The key in `parameters.json` of a query parameter: what is said of this operation alone, if
/// there is such an entry.
pub(super) fn parameter_key(operation: &str, name: &str) -> String {
    let own = format!("{operation}.{name}");
    if PARAMETERS.contains_key(&own) { own } else { name.to_owned() }
}

/// A reference to an example.
pub(super) fn example_of(name: &str) -> Value {
    json!({ "$ref": format!("#/components/examples/{name}") })
}

fn parameters(limits: &Limits) -> Map<String, Value> {
    PARAMETERS.iter().map(|(key, entry)| (component(key), parameter(key, entry, limits))).collect()
}

fn parameter(key: &str, entry: &Value, limits: &Limits) -> Value {
    let (place, name) = match key.split_once(':') {
        Some((place, name)) => (place, name),
        None => ("query", key.rsplit_once('.').map_or(key, |(_, name)| name)),
    };
    let mut members = Map::new();
    members.insert("name".to_owned(), name.into());
    members.insert("in".to_owned(), place.into());
    if place == "path" {
        members.insert("required".to_owned(), true.into());
    }
    if let Value::Object(entry) = entry {
        members.extend(entry.clone());
    }
    if let ("limit", Some(Value::Object(schema))) = (name, members.get_mut("schema")) {
        schema.insert("maximum".to_owned(), limits.page_max.into());
        schema.insert("default".to_owned(), limits.page_default.into());
    }
    Value::Object(members)
}

/// Every problem, with its body and, for HEAD, without.
fn responses() -> Map<String, Value> {
    let mut responses = Map::new();
    let Some(Value::Object(problems)) = ANSWERS.get("problems") else { return responses };
    for (status, problem) in problems {
        let description = problem.get("title").cloned().unwrap_or_default();
        let mut bare = json!({ "description": description });
        let header = problem.get("header").and_then(Value::as_str);
        if let (Value::Object(bare), Some(header)) = (&mut bare, header) {
            let reference = json!({ "$ref": format!("#/components/headers/{header}") });
            bare.insert("headers".to_owned(), json!({ header: reference }));
        }
        let mut full = bare.clone();
        if let (Value::Object(full), Some(content)) = (&mut full, content(status, problem)) {
            full.insert("content".to_owned(), content);
        }
        responses.insert(format!("Problem{status}"), full);
        responses.insert(format!("Bare{status}"), bare);
    }
    responses
}

/// The body of a problem; none if it comes without.
fn content(status: &str, problem: &Value) -> Option<Value> {
    let detail = problem.get("detail")?;
    let name = problem.get("type").and_then(Value::as_str).unwrap_or_default();
    let media = json!({
        "schema": { "$ref": "#/components/schemas/ProblemDetails" },
        "example": {
            "type": format!("https://uri.etsi.org/ngsi-ld/errors/{name}"),
            "title": problem.get("title"),
            "status": status.parse::<u16>().ok(),
            "detail": detail,
        },
    });
    Some(json!({ "application/json": media, "application/problem+json": media }))
}

/// The examples, without the names of their schemas, which are for the tests.
fn examples() -> Map<String, Value> {
    let shown = |(name, entry): (&String, &Value)| {
        let mut entry = entry.clone();
        if let Value::Object(members) = &mut entry {
            members.remove("schema");
        }
        (name.clone(), entry)
    };
    EXAMPLES.iter().map(shown).collect()
}

/// What a receiver is sent.
fn notification() -> Value {
    json!({
        "post": {
            "operationId": "notify",
            "tags": ["Subscriptions"],
            "summary": "Take a notification",
            "description": "What the broker sends to the endpoint of a subscription. An answer \
                            other than 2xx is tried again, and ends in the dead letters.",
            "requestBody": {
                "required": true,
                "content": {
                    "application/json": {
                        "schema": { "$ref": "#/components/schemas/Notification" },
                        "examples": { "ShelterNotification": example_of("ShelterNotification") },
                    },
                },
            },
            "responses": { "200": { "description": "It was taken." } },
        },
    })
}
