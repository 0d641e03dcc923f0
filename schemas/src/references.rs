//! What a schema refers to: nothing outside, never back to itself, and not too much.
//!
//! A schema that leads back to itself may take a time that is exponential in the depth of a
//! value, or never end; one whose definitions double from each to the next takes exponential
//! time as well. What is weighed here is what a check would walk through.

use jsonschema::{Draft, Registry};
use referencing::Resolver;
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value};

use crate::schema::{InvalidSchema, Schema};
use crate::violation::shortened;

/// The deepest nesting of schemas, references followed.
const MAX_DEPTH: usize = 200;
/// Where a schema stands that has no `$id`.
const BASE: &str = "json-schema:///";

/// Keywords whose value is a schema.
const ONE: [&str; 11] = [
    "not",
    "if",
    "then",
    "else",
    "items",
    "contains",
    "additionalProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
/// Keywords whose value is an array of schemas.
const SEVERAL: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value is an object of schemas.
const NAMED: [&str; 3] = ["properties", "patternProperties", "dependentSchemas"];

/// A walk through all that a check may look at.
pub(crate) struct References {
    /// The schemas that we are in, by their place in memory.
    open: FxHashSet<usize>,
    /// How many places there are in those that we have left.
    known: FxHashMap<usize, u64>,
    patterns: usize,
}

impl References {
    /// Passes if a check of this document is bounded and needs nothing but the library.
    pub(crate) fn check(document: &Value, library: &Registry<'_>) -> Result<(), InvalidSchema> {
        let refuse = |error: &dyn std::fmt::Display| {
            InvalidSchema::new("", shortened(&error.to_string(), 300))
        };
        let base = document.get("$id").and_then(Value::as_str).unwrap_or(BASE);
        let base = if base.contains(':') { base } else { BASE };
        let registry = library
            .add(base, Draft::Draft202012.create_resource_ref(document))
            .and_then(referencing::RegistryBuilder::prepare)
            .map_err(|error| {
                if let referencing::Error::Unretrievable { uri, .. } = &error {
                    not_here(document, uri)
                } else {
                    refuse(&error)
                }
            })?;
        let uri = referencing::uri::from_str(base).map_err(|error| refuse(&error))?;
        let mut walk =
            Self { open: FxHashSet::default(), known: FxHashMap::default(), patterns: 0 };
        walk.weigh(document, &registry.resolver(uri), "").map(drop)
    }

    /// How many places a check of this schema may look at.
    fn weigh<'r>(
        &mut self,
        schema: &'r Value,
        resolver: &Resolver<'r>,
        at: &str,
    ) -> Result<u64, InvalidSchema> {
        let Some(members) = schema.as_object() else { return Ok(1) };
        let place = std::ptr::from_ref(schema).addr();
        if let Some(weight) = self.known.get(&place) {
            return Ok(*weight);
        }
        if self.open.len() >= MAX_DEPTH {
            let reason = format!("schemas are nested deeper than {MAX_DEPTH}, references followed");
            return Err(InvalidSchema::new(at, reason));
        }
        if !self.open.insert(place) {
            let reason = "the schema leads back to itself, which could take without end";
            return Err(InvalidSchema::new(at, reason));
        }
        let resolver = resolver
            .in_subresource(Draft::Draft202012.create_resource_ref(schema))
            .map_err(|error| InvalidSchema::new(at, error.to_string()))?;
        let mut weight = 1_u64;
        for (keyword, value) in members {
            let more = self.keyword(keyword, value, &resolver, &format!("{at}/{keyword}"))?;
            weight = weight.saturating_add(more);
            if weight > Schema::MAX_PLACES {
                let reason = format!(
                    "with its references followed, the schema has more than {} places",
                    Schema::MAX_PLACES
                );
                return Err(InvalidSchema::new(at, reason));
            }
        }
        self.open.remove(&place);
        self.known.insert(place, weight);
        Ok(weight)
    }

    fn keyword<'r>(
        &mut self,
        keyword: &str,
        value: &'r Value,
        resolver: &Resolver<'r>,
        at: &str,
    ) -> Result<u64, InvalidSchema> {
        match keyword {
            "$dynamicRef" => Err(InvalidSchema::new(at, "$dynamicRef is not supported here")),
            "$ref" => {
                let reference = value.as_str().unwrap_or_default();
                let target = resolver.lookup(reference).map_err(|_| missing(at, reference))?;
                self.weigh(target.contents(), target.resolver(), at)
            }
            "pattern" => self.pattern(1, at),
            _ if ONE.contains(&keyword) => self.weigh(value, resolver, at),
            _ if SEVERAL.contains(&keyword) => {
                let mut weight = 0_u64;
                for (index, schema) in value.as_array().into_iter().flatten().enumerate() {
                    let more = self.weigh(schema, resolver, &format!("{at}/{index}"))?;
                    weight = weight.saturating_add(more);
                }
                Ok(weight)
            }
            _ if NAMED.contains(&keyword) => {
                let schemas = value.as_object();
                if keyword == "patternProperties" {
                    self.pattern(schemas.map_or(0, Map::len), at)?;
                }
                let mut weight = 0_u64;
                for (name, schema) in schemas.into_iter().flatten() {
                    let more = self.weigh(schema, resolver, &format!("{at}/{}", escaped(name)))?;
                    weight = weight.saturating_add(more);
                }
                Ok(weight)
            }
            _ => Ok(0),
        }
    }

    fn pattern(&mut self, more: usize, at: &str) -> Result<u64, InvalidSchema> {
        self.patterns = self.patterns.saturating_add(more);
        if self.patterns > Schema::MAX_PATTERNS {
            let reason = format!("a schema has at most {} patterns", Schema::MAX_PATTERNS);
            return Err(InvalidSchema::new(at, reason));
        }
        Ok(0)
    }
}

fn missing(at: impl Into<String>, reference: &str) -> InvalidSchema {
    let shown = shortened(reference, 120);
    let reason =
        format!("{shown:?} is not in this document, and nothing is fetched; put it under $defs");
    InvalidSchema::new(at, reason)
}

/// Where a document refers to a resource that is not here.
fn not_here(document: &Value, uri: &str) -> InvalidSchema {
    let mut left = vec![(String::new(), document)];
    while let Some((at, value)) = left.pop() {
        let members = value.as_object().into_iter().flatten();
        for (name, value) in members {
            let at = format!("{at}/{}", escaped(name));
            let reference = value.as_str().filter(|_| name == "$ref");
            if let Some(reference) = reference {
                let resource = reference.split('#').next().unwrap_or_default();
                if !resource.is_empty() && uri.ends_with(resource.trim_start_matches("./")) {
                    return missing(at, reference);
                }
            }
            left.push((at, value));
        }
        let elements = value.as_array().into_iter().flatten().enumerate();
        left.extend(elements.map(|(index, value)| (format!("{at}/{index}"), value)));
    }
    missing("", uri)
}

/// A segment of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
