//! The values at a path as people read them.

use std::fmt::{self, Display};

use musubi_model::{Entity, Json};

use super::{AttributePath, Found};
use crate::LinkedEntities;

impl AttributePath {
    /// The values at the path, in any instance of any entity that it leads to, much as JSON; at
    /// most `limit` of them.
    pub fn texts(&self, entity: &Entity, linked: &dyn LinkedEntities, limit: usize) -> Vec<String> {
        let mut texts = Vec::new();
        self.any_value(entity, linked, &mut |found| {
            if texts.len() < limit {
                texts.push(found.to_string());
            }
            texts.len() >= limit
        });
        texts
    }
}

impl Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(Json::from(&**text).as_str()),
            Self::Target(uri) | Self::Term(uri) => f.write_str(uri),
            Self::Boolean(boolean) => boolean.fmt(f),
            Self::Time(time) => time.fmt(f),
            Self::Json(text) => f.write_str(text),
            Self::Null => f.write_str("null"),
            Self::Elements(elements) => list(f, ["[", "]"], elements),
            Self::Languages(texts) => list(f, ["", ""], texts),
        }
    }
}

fn list(
    f: &mut fmt::Formatter<'_>,
    [open, close]: [&str; 2],
    elements: &[Found<'_>],
) -> fmt::Result {
    f.write_str(open)?;
    for (number, element) in elements.iter().enumerate() {
        let separator = if number > 0 { ", " } else { "" };
        write!(f, "{separator}{element}")?;
    }
    f.write_str(close)
}

#[cfg(test)]
mod tests {
    use musubi_model::{Attribute, AttributeType, Instance, Timestamp, Value};

    use super::*;
    use crate::test_terms::ExampleTerms;
    use crate::{NoLinkedEntities, Query};

    #[test]
    fn values_are_shown_as_people_read_them() {
        let check = |path: &str, expected: &[&str]| {
            let Query::Exists { path, .. } = Query::parse(path, &ExampleTerms).unwrap() else {
                panic!("{path}")
            };
            assert_eq!(path.texts(&shown(), &NoLinkedEntities, 2), expected, "{path:?}");
        };
        check("number", &["21.5"]);
        check("list", &["[1, \"a\\\"b\", {\"c\":1}]"]);
        check("several", &["1", "2"]);
        check("rel", &["urn:a:1"]);
        check("texts", &["\"one\", \"ichi\""]);
        check("createdAt", &["1970-01-01T00:00:00Z"]);
        check("missing", &[]);
    }

    fn shown() -> Entity {
        let attribute = |name: &str, kind: AttributeType, values: &[&str]| Attribute {
            name: crate::Terms::attribute(&ExampleTerms, name).unwrap(),
            instances: values
                .iter()
                .map(|text| Instance {
                    value: Value { kind, json: Json::parse(text).unwrap() },
                    observed_at: None,
                    created_at: Timestamp::EPOCH,
                    modified_at: Timestamp::EPOCH,
                    qualifiers: None,
                })
                .collect(),
        };
        Entity {
            id: "urn:a:b".parse().unwrap(),
            types: vec!["urn:t".parse().unwrap()],
            scopes: Vec::new(),
            created_at: Timestamp::EPOCH,
            modified_at: Timestamp::EPOCH,
            expires_at: None,
            attributes: vec![
                attribute("number", AttributeType::Property, &["21.5"]),
                attribute("list", AttributeType::Property, &["[1,\"a\\\"b\",{\"c\":1}]"]),
                attribute("several", AttributeType::Property, &["1", "2", "3"]),
                attribute("rel", AttributeType::Relationship, &["\"urn:a:1\""]),
                attribute(
                    "texts",
                    AttributeType::LanguageProperty,
                    &["{\"en\":\"one\",\"ja\":\"ichi\"}"],
                ),
            ],
        }
    }
}
