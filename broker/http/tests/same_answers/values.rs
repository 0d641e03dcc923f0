//! What generated requests consist of: few names and ids, so that they meet, and values of every
//! kind.

use musubi_store::conformance::generate::Random;
use serde_json::{Map, Value, json};

use crate::pair::BEGIN;

pub(crate) const TYPES: [&str; 4] = ["Shelter", "Bench", "Lamp", "Dog"];
pub(crate) const ATTRIBUTES: [&str; 9] =
    ["name", "size", "location", "near", "label", "kind", "raw", "list", "links"];
pub(crate) const SUB_ATTRIBUTES: [&str; 3] = ["accuracy", "seenBy", "note"];
pub(crate) const DATASETS: [&str; 2] = ["urn:ngsi-ld:Dataset:a", "urn:ngsi-ld:Dataset:b"];
pub(crate) const SCOPES: [&str; 4] = ["/town/east", "/town/west", "/town", "/sea"];
const TEXTS: [&str; 8] = ["アカギ", "あかぎ", "ｱｶｷﾞ", "east", "East", "42", "", "a b"];

/// A source of pieces.
#[derive(Debug)]
pub(crate) struct Values {
    pub(crate) random: Random,
}

impl Values {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed) }
    }

    pub(crate) fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        self.random.pick::<&str>(items)
    }

    pub(crate) fn id(&mut self) -> String {
        format!("urn:ngsi-ld:Thing:{}", self.random.below(12))
    }

    /// Some of these, with this between them.
    pub(crate) fn joined(&mut self, items: &[&str], separator: &str) -> String {
        self.random.at_least_one(items, 3).join(separator)
    }

    /// A moment around those at which the test runs.
    pub(crate) fn moment(&mut self) -> String {
        let offset = i64::try_from(self.random.below(200)).unwrap_or(0);
        let seconds = BEGIN + offset;
        let (minute, second) = ((seconds - BEGIN) / 60, (seconds - BEGIN) % 60);
        format!("2026-01-01T00:{minute:02}:{second:02}Z")
    }

    pub(crate) fn text(&mut self) -> Value {
        json!(self.pick(&TEXTS))
    }

    fn number(&mut self) -> Value {
        match self.random.below(4) {
            0 => json!(self.random.below(5)),
            1 => json!(-3),
            2 => json!(2.5),
            _ => json!(1e3),
        }
    }

    /// Any JSON, nested at most so deep.
    fn any(&mut self, depth: usize) -> Value {
        match self.random.below(if depth == 0 { 4 } else { 6 }) {
            0 => self.text(),
            1 => self.number(),
            2 => json!(self.random.chance(50)),
            3 => json!(self.moment()),
            4 => (0..self.random.below(3)).map(|_| self.any(depth - 1)).collect(),
            _ => {
                let members: Map<String, Value> = (0..self.random.below(3))
                    .map(|_| (self.pick(&["a", "b", "c"]).to_owned(), self.any(depth - 1)))
                    .collect();
                Value::Object(members)
            }
        }
    }

    fn position(&mut self) -> [f64; 2] {
        let step = |random: &mut Random| f64::from(u8::try_from(random.below(5)).unwrap_or(0));
        [139.0 + step(&mut self.random) * 0.01, 35.0 + step(&mut self.random) * 0.01]
    }

    pub(crate) fn geometry(&mut self) -> Value {
        let [x, y] = self.position();
        match self.random.below(4) {
            0 => json!({"type": "LineString", "coordinates": [[x, y], [x + 0.02, y]]}),
            1 => json!({"type": "Polygon", "coordinates":
                [[[x, y], [x + 0.02, y], [x + 0.02, y + 0.02], [x, y + 0.02], [x, y]]]}),
            2 => json!({"type": "MultiPoint", "coordinates": [[x, y], [x, y + 0.01]]}),
            _ => json!({"type": "Point", "coordinates": [x, y]}),
        }
    }

    /// An instance of the attribute: each name has a kind that it mostly is of.
    pub(crate) fn instance(&mut self, name: &str) -> Value {
        let mut instance = match name {
            "location" => json!({"type": "GeoProperty", "value": self.geometry()}),
            "near" => match self.random.below(3) {
                0 => json!({"type": "Relationship", "object": [self.id(), self.id()]}),
                _ => json!({"type": "Relationship", "object": self.id()}),
            },
            "label" => json!({"type": "LanguageProperty", "languageMap":
                {"ja": self.text(), "en": self.text()}}),
            "kind" => json!({"type": "VocabProperty", "vocab": self.pick(&TYPES)}),
            "raw" => json!({"type": "JsonProperty", "json": {"a": self.any(1)}}),
            "list" => json!({"type": "ListProperty", "valueList": [self.any(0), self.any(0)]}),
            "links" => json!({"type": "ListRelationship", "objectList": [self.id()]}),
            _ => json!({"type": "Property", "value": self.any(2)}),
        };
        let members = instance.as_object_mut().expect("an object");
        if self.random.chance(20) {
            members.insert("observedAt".into(), json!(self.moment()));
        }
        if self.random.chance(10) {
            members.insert("expiresAt".into(), json!(self.moment()));
        }
        if self.random.chance(10) && matches!(name, "name" | "size") {
            members.insert("unitCode".into(), json!("MTR"));
        }
        if self.random.chance(15) && name != "raw" {
            let sub = self.pick(&SUB_ATTRIBUTES);
            let mut value = json!({"type": "Property", "value": self.any(1)});
            if self.random.chance(20) {
                value["expiresAt"] = json!(self.moment());
            }
            members.insert(sub.to_owned(), value);
        }
        instance
    }

    /// One instance, or several of different data sets.
    pub(crate) fn attribute(&mut self, name: &str) -> Value {
        let mut instances = Vec::new();
        for dataset in [None, Some(DATASETS[0]), Some(DATASETS[1])] {
            let wanted = if dataset.is_none() { 90 } else { 15 };
            if self.random.chance(wanted) {
                let mut instance = self.instance(name);
                if let Some(dataset) = dataset {
                    instance["datasetId"] = json!(dataset);
                }
                instances.push(instance);
            }
        }
        match instances.len() {
            0 => self.instance(name),
            1 => instances.remove(0),
            _ => Value::Array(instances),
        }
    }

    /// Some attributes, in an object.
    pub(crate) fn attributes(&mut self) -> Map<String, Value> {
        let names = self.random.at_least_one(&ATTRIBUTES, 5);
        names.into_iter().map(|name| (name.to_owned(), self.attribute(name))).collect()
    }

    pub(crate) fn entity(&mut self) -> Value {
        let mut entity = self.attributes();
        entity.insert("id".into(), json!(self.id()));
        let types = self.random.at_least_one(&TYPES, 2);
        entity.insert("type".into(), json!(types));
        if self.random.chance(40) {
            entity.insert("scope".into(), json!(self.random.at_least_one(&SCOPES, 2)));
        }
        if self.random.chance(8) {
            entity.insert("expiresAt".into(), json!(self.moment()));
        }
        Value::Object(entity)
    }
}
