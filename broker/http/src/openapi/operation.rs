//! What one method of a path does.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::document::{example_of, parameter_key};

const JSON: &str = "application/json";
const LD_JSON: &str = "application/ld+json";
const GEO_JSON: &str = "application/geo+json";

/// The parameters of an operation that has nothing to be told.
pub(super) const LOCAL: &[&str] = &["local"];
/// The words by which `options` says how entities are to look.
pub(super) const SHOWN: &[&str] =
    &["normalized", "concise", "keyValues", "simplified", "sysAttrs", "count"];

/// What one method of a path does. Made by [`get`], [`post`] and their like, and completed by the
/// methods.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    description: String,
    query: Vec<&'static str>,
    options: &'static [&'static str],
    tries: &'static [(&'static str, &'static str)],
    headers: Vec<&'static str>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
}

/// An operation that reads.
pub(super) fn get(id: &'static str, summary: &'static str) -> Operation {
    Operation::new("get", id, summary)
}

/// An operation that creates, or does something.
pub(super) fn post(id: &'static str, summary: &'static str) -> Operation {
    Operation::new("post", id, summary)
}

/// An operation that replaces.
pub(super) fn put(id: &'static str, summary: &'static str) -> Operation {
    Operation::new("put", id, summary)
}

/// An operation that changes in part.
pub(super) fn patch(id: &'static str, summary: &'static str) -> Operation {
    Operation::new("patch", id, summary)
}

/// An operation that deletes.
pub(super) fn delete(id: &'static str, summary: &'static str) -> Operation {
    Operation::new("delete", id, summary)
}

impl Operation {
    fn new(method: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            id,
            summary,
            description: String::new(),
            query: Vec::new(),
            options: &[],
            tries: &[],
            headers: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
        }
    }

    pub(super) fn is_read(&self) -> bool {
        self.method == "get"
    }

    /// What there is to say, beyond the summary.
    pub(super) fn about(mut self, text: &str) -> Self {
        if !self.description.is_empty() {
            self.description.push(' ');
        }
        self.description.push_str(text);
        self
    }

    /// The clause that rules.
    pub(super) fn clause(self, number: &str) -> Self {
        self.about(&format!("CIM 009, clause {number}."))
    }

    /// The query parameters, by the list that the operation reads them by.
    pub(super) fn query(mut self, names: &[&'static str]) -> Self {
        self.query.extend(names);
        self
    }

    /// The words that `options` may hold.
    pub(super) fn options(mut self, words: &'static [&'static str]) -> Self {
        self.options = words;
        self
    }

    /// Query parameters with which it is worth trying, because without any it says little.
    pub(super) fn tries(mut self, values: &'static [(&'static str, &'static str)]) -> Self {
        self.tries = values;
        self
    }

    /// A header that the operation reads: an entry of `parameters.json` after `header:`.
    pub(super) fn header(mut self, name: &'static str) -> Self {
        self.headers.push(name);
        self
    }

    /// A read that can be of an entity map.
    pub(super) fn of_map(self) -> Self {
        let operation = self.header("NGSILD-EntityMap").may_fail(&[507]);
        [200, 203, 206].into_iter().fold(operation, |operation, status| {
            operation.answer_header(status, "NGSILD-EntityMap")
        })
    }

    /// A query that can be of an entity map, and says by its status that one was made for it.
    pub(super) fn makes_map(self) -> Self {
        let mut operation = self.of_map();
        if let Some(Value::Object(mut made)) = operation.answers.get(&200).cloned() {
            let description = "What was asked for, and an entity map was made of it.";
            made.insert("description".to_owned(), description.into());
            operation.answers.insert(201, Value::Object(made));
        }
        operation
    }

    /// A change of one entity, on condition of its version.
    pub(super) fn conditional(self) -> Self {
        self.header("If-Match").header("If-None-Match").may_fail(&[412])
    }

    /// A change that can be told to leave alone what is newer already.
    pub(super) fn may_arrive_late(self) -> Self {
        self.header("Musubi-If-Newer")
    }

    /// It changes attributes of an entity, under conditions, perhaps some of them only.
    pub(super) fn changes_attributes(self) -> Self {
        self.conditional()
            .may_arrive_late()
            .does()
            .does_in_part("UpdateResult", "PartlyUpdated")
            .warns()
            .may_fail(&[404, 507])
    }

    /// A read that can be told what the reader has already.
    pub(super) fn tagged(self) -> Self {
        let unchanged = "The reader has it already.";
        self.header("If-None-Match").answer_header(200, "ETag").answers_with(
            304,
            unchanged,
            None,
            &["ETag"],
        )
    }

    /// A JSON body.
    pub(super) fn takes(mut self, schema: &str, examples: &[&str]) -> Self {
        let plain = media(schema, examples);
        let mut content = Map::new();
        content.insert(JSON.to_owned(), plain.clone());
        if self.method == "patch" {
            content.insert("application/merge-patch+json".to_owned(), plain);
        }
        content.insert(LD_JSON.to_owned(), media(schema, &[]));
        self.body = Some(json!({ "required": true, "content": content }));
        self.may_fail(&[408, 411, 413, 415])
    }

    /// A body of any media type.
    pub(super) fn takes_anything(mut self, examples: &[&str]) -> Self {
        let content = json!({ JSON: media("Anything", examples), "*/*": media("Anything", &[]) });
        self.body = Some(json!({ "required": true, "content": content }));
        self.may_fail(&[408, 411, 413, 415])
    }

    /// An answer with a body in JSON or JSON-LD, as the reader likes.
    pub(super) fn shows(self, schema: &str, examples: &[&str]) -> Self {
        let content = json!({ JSON: media(schema, examples), LD_JSON: media(schema, &[]) });
        self.answers_with(200, "What was asked for.", Some(content), &["Link"]).may_fail(&[406])
    }

    /// An answer with a body in JSON.
    pub(super) fn shows_json(self, schema: &str, examples: &[&str]) -> Self {
        let content = json!({ JSON: media(schema, examples) });
        self.answers_with(200, "What was asked for.", Some(content), &[])
    }

    /// An answer with a body of this media type.
    pub(super) fn shows_as(self, media_type: &str, schema: &str, examples: &[&str]) -> Self {
        let content = json!({ media_type: media(schema, examples) });
        self.answers_with(200, "What was asked for.", Some(content), &[])
    }

    /// The same answer as GeoJSON, and all of it as an earlier version of the specification has
    /// it, if `Prefer` asks for that.
    pub(super) fn or_otherwise(self, schema: &str, example: &str) -> Self {
        let shown = self.answers.get(&200).and_then(|answer| answer.get("content")).cloned();
        let Some(Value::Object(mut content)) = shown else { return self };
        content.insert(GEO_JSON.to_owned(), media(schema, &[example]));
        let content = Value::Object(content);
        let altered = "What was asked for, as the version that Prefer names has it.";
        self.answers_with(200, "What was asked for.", Some(content.clone()), &["Link"])
            .answers_with(203, altered, Some(content), &["Link"])
            .answer_header(200, "Preference-Applied")
            .answer_header(203, "Preference-Applied")
    }

    /// The answer that tells where something is now.
    pub(super) fn creates(self) -> Self {
        self.answers_with(201, "It was created.", None, &["Location"])
    }

    /// The answer that has nothing to tell.
    pub(super) fn does(self) -> Self {
        self.answers_with(204, "It was done.", None, &[])
    }

    /// The answer that tells what was done and what was not.
    pub(super) fn does_in_part(self, schema: &str, example: &str) -> Self {
        let content = json!({ JSON: media(schema, &[example]) });
        self.answers_with(207, "Some of it was done and some was not.", Some(content), &[])
    }

    /// Another answer: its description, its content, and headers of `answers.json`.
    pub(super) fn answers_with(
        mut self,
        status: u16,
        description: &str,
        content: Option<Value>,
        headers: &[&str],
    ) -> Self {
        let mut answer = Map::new();
        answer.insert("description".to_owned(), description.into());
        let reference = |name: &&str| {
            ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
        };
        let headers: Map<String, Value> = headers.iter().map(reference).collect();
        if !headers.is_empty() {
            answer.insert("headers".to_owned(), Value::Object(headers));
        }
        if let Some(content) = content {
            answer.insert("content".to_owned(), content);
        }
        self.answers.insert(status, Value::Object(answer));
        self
    }

    /// A header of `answers.json` that an answer may have.
    pub(super) fn answer_header(mut self, status: u16, name: &str) -> Self {
        if let Some(Value::Object(answer)) = self.answers.get_mut(&status) {
            let headers = answer.entry("headers").or_insert_with(|| json!({}));
            if let Value::Object(headers) = headers {
                let reference = format!("#/components/headers/{name}");
                headers.insert(name.to_owned(), json!({ "$ref": reference }));
            }
        }
        self
    }

    /// A write of entities, whose answer says what does not follow a schema in the mode `warn`.
    pub(super) fn warns(self) -> Self {
        let name = "Musubi-Schema-Warning";
        [201, 204, 207]
            .into_iter()
            .fold(self, |operation, status| operation.answer_header(status, name))
    }

    /// What may go wrong: entries of `answers.json`.
    pub(super) fn may_fail(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            let reference = format!("#/components/responses/Problem{status}");
            self.answers.entry(*status).or_insert_with(|| json!({ "$ref": reference }));
        }
        self
    }

    /// The operation of a path with these names in its braces, and its method.
    pub(super) fn written(&self, tag: &str, names: &[&str]) -> (&'static str, Value) {
        let mut operation = Map::new();
        operation.insert("operationId".to_owned(), self.id.into());
        operation.insert("tags".to_owned(), json!([tag]));
        operation.insert("summary".to_owned(), self.summary.into());
        if !self.description.is_empty() {
            operation.insert("description".to_owned(), self.description.clone().into());
        }
        let parameters = self.parameters(names);
        if !parameters.is_empty() {
            operation.insert("parameters".to_owned(), parameters.into());
        }
        if !self.tries.is_empty() {
            let tries: Map<String, Value> = self
                .tries
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).into()))
                .collect();
            operation.insert("x-try".to_owned(), Value::Object(tries));
        }
        if let Some(body) = &self.body {
            operation.insert("requestBody".to_owned(), body.clone());
        }
        let answers: Map<String, Value> =
            self.answers.iter().map(|(status, one)| (status.to_string(), one.clone())).collect();
        operation.insert("responses".to_owned(), Value::Object(answers));
        (self.method, Value::Object(operation))
    }

    /// The same as a HEAD: no answer has a body.
    pub(super) fn head(&self, tag: &str, names: &[&str]) -> Value {
        let bare = |status: &u16, answer: &Value| {
            let mut answer = answer.clone();
            if let Value::Object(members) = &mut answer {
                members.remove("content");
                if members.contains_key("$ref") {
                    let reference = format!("#/components/responses/Bare{status}");
                    members.insert("$ref".to_owned(), reference.into());
                }
            }
            (*status, answer)
        };
        let answers = self.answers.iter().map(|(status, answer)| bare(status, answer)).collect();
        let head = Self { answers, ..self.clone() };
        let (_, mut written) = head.written(tag, names);
        if let Value::Object(members) = &mut written {
            members.insert("operationId".to_owned(), format!("{}Head", self.id).into());
            members
                .insert("summary".to_owned(), format!("{}, without the body", self.summary).into());
        }
        written
    }

    fn parameters(&self, names: &[&str]) -> Vec<Value> {
        let reference =
            |key: &str| json!({ "$ref": format!("#/components/parameters/{}", component(key)) });
        let path = names.iter().map(|name| reference(&format!("path:{name}")));
        let query = self.query.iter().map(|name| match *name {
            "options" => self.options_parameter(),
            name => reference(&parameter_key(self.id, name)),
        });
        let headers = self.headers.iter().map(|name| reference(&format!("header:{name}")));
        path.chain(query).chain(headers).collect()
    }

    fn options_parameter(&self) -> Value {
        json!({
            "name": "options",
            "in": "query",
            "description": "Words that say how it is to be done or shown, separated by commas.",
            "schema": { "type": "array", "items": { "enum": self.options }, "minItems": 1 },
            "style": "form",
            "explode": false,
        })
    }
}

/// The name under which an entry of a catalogue is a component.
pub(super) fn component(key: &str) -> String {
    key.replace(':', ".")
}

fn media(schema: &str, examples: &[&str]) -> Value {
    let mut media = Map::new();
    media.insert("schema".to_owned(), json!({ "$ref": format!("#/components/schemas/{schema}") }));
    if !examples.is_empty() {
        let shown: Map<String, Value> =
            examples.iter().map(|name| ((*name).to_owned(), example_of(name))).collect();
        media.insert("examples".to_owned(), Value::Object(shown));
    }
    Value::Object(media)
}
