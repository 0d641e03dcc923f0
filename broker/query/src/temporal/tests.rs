//! What each part of a temporal query means, by examples, and what values come to, against formulas.

mod aggregates;
mod cuts;
mod formulas;
mod pages;
mod scopes;

use musubi_model::{
    AttrName, AttributeEvolution, AttributeType, Evolution, Instance, InstanceNumber, Json, NULL,
    Qualifiers, Recorded, SCOPE, Sequence, Timestamp, Value,
};

use crate::TemporalQuery;
use crate::test_terms::ExampleTerms;

/// A minute of the first day of March 2026, from noon on.
fn minute(minutes: i64) -> Timestamp {
    "2026-03-01T12:00:00Z".parse::<Timestamp>().unwrap().plus_micros(minutes * 60_000_000)
}

fn name(term: &str) -> AttrName {
    if term == "scope" {
        return SCOPE.parse().unwrap();
    }
    format!("https://example.org/{term}").parse().unwrap()
}

/// An evolution that is built instance by instance.
struct Builder(Evolution);

impl Builder {
    fn new(short: &str) -> Self {
        Self(Evolution {
            id: format!("urn:ngsi-ld:Vehicle:{short}").parse().unwrap(),
            types: vec!["https://example.org/Vehicle".parse().unwrap()],
            created_at: minute(-60),
            modified_at: minute(600),
            deleted_at: None,
            scopes: Vec::new(),
            attributes: Vec::new(),
        })
    }

    fn with(mut self, term: &str, recorded: Recorded) -> Self {
        let evolution = &mut self.0;
        if term == "scope" {
            evolution.scopes.push(recorded);
            return self;
        }
        let name = name(term);
        let mut there = evolution.attributes.iter_mut();
        if let Some(attribute) = there.find(|attribute| attribute.name == name) {
            attribute.instances.push(recorded);
        } else {
            let instances = vec![recorded];
            evolution.attributes.push(AttributeEvolution { name, instances });
            evolution.attributes.sort_by(|one, other| one.name.cmp(&other.name));
        }
        self
    }

    /// A property, observed at a minute, modified some hours later.
    fn property(self, term: &str, json: &str, minutes: i64) -> Self {
        self.with(term, recorded(AttributeType::Property, json, Some(minutes)))
    }

    fn dataset(self, term: &str, json: &str, minutes: i64, dataset: &str) -> Self {
        let mut recorded = recorded(AttributeType::Property, json, Some(minutes));
        let dataset_id = Some(dataset.parse().unwrap());
        recorded.instance.qualifiers =
            Some(Box::new(Qualifiers { dataset_id, ..Qualifiers::default() }));
        self.with(term, recorded)
    }

    fn deletion(self, term: &str, minutes: i64) -> Self {
        let mut recorded = recorded(AttributeType::Property, &format!("\"{NULL}\""), None);
        recorded.deleted_at = Some(minute(minutes));
        recorded.instance.modified_at = minute(minutes);
        self.with(term, recorded)
    }
}

fn recorded(kind: AttributeType, json: &str, minutes: Option<i64>) -> Recorded {
    let json = Json::parse(json).unwrap();
    let ordinal = u32::try_from(minutes.unwrap_or(0) + 10_000).unwrap();
    Recorded {
        number: InstanceNumber { sequence: Sequence(1), ordinal },
        instance: Instance {
            value: Value { kind, json },
            observed_at: minutes.map(minute),
            created_at: minute(-60),
            modified_at: minute(minutes.unwrap_or(0) + 300),
            qualifiers: None,
        },
        deleted_at: None,
    }
}

/// What an evolution has, shortly: `attribute: value value; …`, the scopes last.
fn shown(evolution: &Evolution) -> String {
    let list = |name: &str, instances: &[Recorded]| {
        let values = instances.iter().map(|it| it.instance.value.json.as_str().replace('"', ""));
        format!("{name}: {}", values.collect::<Vec<_>>().join(" "))
    };
    let attributes = evolution.attributes.iter().map(|attribute| {
        list(
            attribute.name.as_str().trim_start_matches("https://example.org/"),
            &attribute.instances,
        )
    });
    let scopes = (!evolution.scopes.is_empty()).then(|| list("scope", &evolution.scopes));
    attributes.chain(scopes).collect::<Vec<_>>().join("; ")
}

/// What a query wants of an evolution.
fn wanted(evolution: &Evolution, query: &TemporalQuery) -> Option<String> {
    crate::admits(evolution, query).map(|evolution| shown(&evolution))
}

fn values(text: &str) -> crate::Query {
    crate::Query::parse(text, &ExampleTerms).unwrap()
}
