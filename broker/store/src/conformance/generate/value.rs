//! Values of attributes, of records, and of comparisons.

use std::sync::Arc;

use musubi_model::{AttributeType, Json, Value};
use musubi_query::Literal;
use serde_json::{Value as Tree, json};

use super::Generator;

const NUMBERS: [f64; 11] =
    [0.0, -0.0, 1.0, 2.0, -1.0, 21.5, 0.1, 0.300_000_000_000_000_04, 100.0, 1e21, -1e-7];

const TEXTS: [&str; 11] = [
    "",
    "open",
    "Open",
    "closed",
    "七尾市",
    "a \"quoted\\ text\"",
    "two\nlines\t\u{1}",
    "1",
    "true",
    "😀",
    "urn:ngsi-ld:Dock:001",
];

const TIMES: [&str; 7] = [
    "2024-01-01T00:00:00Z",
    "2024-01-11T09:00:00Z",
    "2024-01-11T18:00:00+09:00",
    "2024-01-11T09:00:00.500Z",
    "2024-01-11",
    "2024-02-29",
    "09:00:00",
];

const TARGETS: [&str; 4] = [
    "urn:ngsi-ld:Dock:001",
    "urn:ngsi-ld:Dock:002",
    "urn:ngsi-ld:Dock:1",
    "https://example.org/entities?kind=shelter&n=5#top",
];

const TERMS: [&str; 3] = [
    "https://uri.etsi.org/ngsi-ld/default-context/indoor",
    "https://uri.etsi.org/ngsi-ld/default-context/outdoor",
    "https://example.org/roof",
];

/// The members that objects have, and that paths name.
pub(super) const MEMBERS: [&str; 4] = ["street", "floor", "ja", "en"];

impl Generator {
    /// A value of this kind.
    pub fn value(&mut self, kind: AttributeType) -> Value {
        let json = match kind {
            AttributeType::Property => self.property(),
            AttributeType::GeoProperty => self.geometry(),
            AttributeType::Relationship => self.one_or_several(&TARGETS),
            AttributeType::LanguageProperty => self.language_map(),
            AttributeType::VocabProperty => self.one_or_several(&TERMS),
            AttributeType::JsonProperty => self.json(),
            AttributeType::ListProperty => {
                let length = self.random.below(4);
                Tree::Array((0..length).map(|_| self.property()).collect())
            }
            AttributeType::ListRelationship => json!(self.random.at_least_one(&TARGETS, 3)),
        };
        Value { kind, json: Json::from(&json) }
    }

    /// A record's value: any bytes, none among them.
    pub fn record_value(&mut self) -> Arc<[u8]> {
        let length = if self.random.chance(5) { 5000 } else { self.random.below(20) };
        (0..length).map(|_| u8::try_from(self.random.below(256)).unwrap_or(0)).collect()
    }

    /// A value to compare with, of the kinds that values have.
    pub(super) fn literal(&mut self) -> Literal {
        match self.random.below(10) {
            0..=3 => Literal::Number(*self.random.pick(&NUMBERS)),
            4..=5 => Literal::Text((*self.random.pick(&TEXTS)).to_owned()),
            6 => Literal::Text((*self.random.pick(&TARGETS)).to_owned()),
            7 => Literal::Text((*self.random.pick(&TERMS)).to_owned()),
            8 => Literal::Boolean(self.random.chance(50)),
            _ => Literal::Time((*self.random.pick(&TIMES)).to_owned()),
        }
    }

    /// A range, at times one that ends before it begins.
    pub(super) fn range(&mut self) -> Literal {
        let (from, to) = if self.random.chance(70) {
            let mut ends = [*self.random.pick(&NUMBERS), *self.random.pick(&NUMBERS)];
            if self.random.chance(90) {
                ends.sort_by(f64::total_cmp);
            }
            let [from, to] = ends.map(Literal::Number);
            (from, to)
        } else if self.random.chance(50) {
            let [from, to] =
                [(); 2].map(|()| Literal::Time((*self.random.pick(&TIMES)).to_owned()));
            (from, to)
        } else {
            let [from, to] =
                [(); 2].map(|()| Literal::Text((*self.random.pick(&TEXTS)).to_owned()));
            (from, to)
        };
        Literal::Range(Box::new(from), Box::new(to))
    }

    fn scalar(&mut self) -> Tree {
        match self.random.below(10) {
            0..=3 => json!(self.random.pick(&NUMBERS)),
            4 => json!(self.random.below(5)),
            5..=7 => json!(self.random.pick(&TEXTS)),
            8 => json!(self.random.chance(50)),
            _ => json!(self.random.pick(&TIMES)),
        }
    }

    fn property(&mut self) -> Tree {
        match self.random.below(10) {
            0 => Tree::Array((0..self.random.below(4)).map(|_| self.scalar()).collect()),
            1 | 2 => {
                let names = self.random.several(&MEMBERS, 3);
                names.into_iter().map(|name| (name.to_owned(), self.scalar())).collect()
            }
            3 => json!({ "street": { "floor": self.scalar() }, "en": [self.scalar()] }),
            4 => json!({ "@type": "DateTime", "@value": self.random.pick(&TIMES) }),
            _ => self.scalar(),
        }
    }

    fn json(&mut self) -> Tree {
        match self.random.below(6) {
            0 => Tree::Null,
            1 => json!([]),
            2 => json!({}),
            3 => json!({ "id": "not an id", "@context": null, "street": [[self.scalar()]] }),
            _ => self.property(),
        }
    }

    fn language_map(&mut self) -> Tree {
        let tags = self.random.at_least_one(&["ja", "en", "@none"], 3);
        let mut map = serde_json::Map::new();
        for tag in tags {
            let text = if self.random.chance(10) {
                json!([self.random.pick(&TEXTS), self.random.pick(&TEXTS)])
            } else {
                json!(self.random.pick(&TEXTS))
            };
            map.insert(tag.to_owned(), text);
        }
        Tree::Object(map)
    }

    fn one_or_several(&mut self, names: &[&str]) -> Tree {
        if self.random.chance(70) {
            json!(self.random.pick(names))
        } else {
            json!(self.random.at_least_one(names, 3))
        }
    }
}
