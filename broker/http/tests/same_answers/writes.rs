//! Requests that change something.

use http::Method;
use serde_json::{Value, json};

use crate::pair::Request;
use crate::reads;
use crate::values::{ATTRIBUTES, DATASETS, Values};

/// The parameters of each operation, in groups.
pub(crate) const PARAMETERS: &[(&str, &[&[&str]])] = &[
    ("create", &[&["local"]]),
    (
        "purge",
        &[reads::CRITERIA, &["attrs", "keep", "drop", "local", "datasetId", "geometryProperty"]],
    ),
    ("merge", &[&["type", "options", "format", "observedAt", "lang", "local"]]),
    ("replace", &[&["type", "local"]]),
    ("delete", &[&["type", "local"]]),
    ("append", &[&["type", "options", "local"]]),
    ("update", &[&["type", "options", "local"]]),
    ("update attribute", &[&["type", "local"]]),
    ("replace attribute", &[&["type", "local"]]),
    ("delete attribute", &[&["type", "datasetId", "deleteAll", "local"]]),
    ("batch create", &[&["local"]]),
    ("batch upsert", &[&["options", "local"]]),
    ("batch update", &[&["options", "local"]]),
    ("batch merge", &[&["options", "observedAt", "local"]]),
    ("batch delete", &[&["local"]]),
];

/// Any of them.
pub(crate) fn any(values: &mut Values) -> Request {
    match values.random.below(22) {
        0..=4 => {
            let entity = values.entity();
            body(values, "create", Method::POST, "/ngsi-ld/v1/entities", entity)
        }
        5 => purge(values),
        6 | 7 => {
            let path = entity_path(values);
            let fragment = fragment(values);
            body(values, "merge", Method::PATCH, &path, fragment)
        }
        8 => {
            let mut entity = values.entity();
            let path = format!("/ngsi-ld/v1/entities/{}", entity["id"].as_str().expect("an id"));
            if values.random.chance(10) {
                entity["id"] = json!(values.id());
            }
            body(values, "replace", Method::PUT, &path, entity)
        }
        9 => {
            let path = entity_path(values);
            request(values, "delete", Method::DELETE, &path)
        }
        10 | 11 => {
            let path = format!("{}/attrs", entity_path(values));
            let fragment = fragment(values);
            body(values, "append", Method::POST, &path, fragment)
        }
        12 => {
            let path = format!("{}/attrs", entity_path(values));
            let fragment = fragment(values);
            body(values, "update", Method::PATCH, &path, fragment)
        }
        13..=15 => attribute(values),
        _ => batch(values),
    }
}

fn entity_path(values: &mut Values) -> String {
    format!("/ngsi-ld/v1/entities/{}", values.id())
}

/// Attributes, and now and then something that takes one away.
fn fragment(values: &mut Values) -> Value {
    let mut fragment = values.attributes();
    if values.random.chance(15) {
        let name = values.pick(&ATTRIBUTES);
        fragment.insert(name.to_owned(), json!("urn:ngsi-ld:null"));
    }
    if values.random.chance(10) {
        fragment.insert("scope".into(), json!(["/town/north"]));
    }
    if values.random.chance(5) {
        fragment.insert("expiresAt".into(), json!(values.moment()));
    }
    Value::Object(fragment)
}

fn attribute(values: &mut Values) -> Request {
    let name = values.pick(&ATTRIBUTES);
    let path = format!("{}/attrs/{name}", entity_path(values));
    match values.random.below(3) {
        0 => {
            let instance = values.instance(name);
            body(values, "update attribute", Method::PATCH, &path, instance)
        }
        1 => {
            let instance = values.instance(name);
            body(values, "replace attribute", Method::PUT, &path, instance)
        }
        _ => request(values, "delete attribute", Method::DELETE, &path),
    }
}

fn batch(values: &mut Values) -> Request {
    let path = |what: &str| format!("/ngsi-ld/v1/entityOperations/{what}");
    let length = 1 + values.random.below(4);
    let entities: Value = (0..length).map(|_| values.entity()).collect();
    match values.random.below(5) {
        0 => body(values, "batch create", Method::POST, &path("create"), entities),
        1 => body(values, "batch upsert", Method::POST, &path("upsert"), entities),
        2 => body(values, "batch update", Method::POST, &path("update"), entities),
        3 => body(values, "batch merge", Method::POST, &path("merge"), entities),
        _ => {
            let ids: Value = (0..length.min(2)).map(|_| json!(values.id())).collect();
            body(values, "batch delete", Method::POST, &path("delete"), ids)
        }
    }
}

fn purge(values: &mut Values) -> Request {
    let mut query = vec![("type", values.pick(&["Dog", "Lamp", "Dog,Lamp"]).to_owned())];
    query.extend(reads::filters(values, 20));
    match values.random.below(3) {
        0 => query.push(("keep", values.joined(&ATTRIBUTES, ","))),
        1 => query.push(("drop", values.joined(&ATTRIBUTES, ","))),
        _ => {}
    }
    if values.random.chance(20) {
        query.push(("local", "true".to_owned()));
    }
    if values.random.chance(20) {
        query.push(("attrs", values.joined(&ATTRIBUTES, ",")));
    }
    if values.random.chance(10) {
        query.push(("geometryProperty", "location".to_owned()));
    }
    if values.random.chance(10) {
        query.push(("datasetId", DATASETS[0].to_owned()));
    }
    reads::request("purge", Method::DELETE, "/ngsi-ld/v1/entities", query, Vec::new())
}

/// A request without a body, with some of the operation's parameters.
fn request(values: &mut Values, operation: &'static str, method: Method, path: &str) -> Request {
    let mut query = Vec::new();
    for name in reads::names(PARAMETERS, operation) {
        if values.random.chance(15) {
            query.push((name, parameter(values, operation, name)));
        }
    }
    reads::request(operation, method, path, query, Vec::new())
}

fn parameter(values: &mut Values, operation: &str, name: &str) -> String {
    match (operation, name) {
        (_, "type") => values.pick(&["Shelter", "Dog,Lamp", "(Shelter;Bench)", "Cat"]).to_owned(),
        ("merge" | "batch merge", "options") => values.pick(&["keyValues", "concise"]).to_owned(),
        ("batch upsert", "options") => values.pick(&["replace", "update"]).to_owned(),
        (_, "options") => "noOverwrite".to_owned(),
        (_, "format") => values.pick(&["simplified", "concise", "normalized"]).to_owned(),
        (_, "observedAt") => values.moment(),
        (_, "lang") => values.pick(&["ja", "en"]).to_owned(),
        (_, "datasetId") => values.pick(&DATASETS).to_owned(),
        _ => values.pick(&["true", "false"]).to_owned(),
    }
}

fn body(
    values: &mut Values,
    operation: &'static str,
    method: Method,
    path: &str,
    body: Value,
) -> Request {
    let headers = vec![("content-type", "application/json".to_owned())];
    Request { headers, body: Some(body), ..request(values, operation, method, path) }
}
