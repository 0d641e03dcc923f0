use super::*;
use crate::{Attribute, AttributeType, Entity};
use crate::{Position, Qualifiers, Revision};
use std::sync::Arc;

fn instance(value: &str, modified: i64, dataset: Option<&str>) -> Instance {
    let qualifiers = dataset.map(|dataset| {
        Box::new(Qualifiers { dataset_id: Some(dataset.parse().unwrap()), ..Qualifiers::default() })
    });
    Instance {
        value: Value { kind: AttributeType::Property, json: Json::parse(value).unwrap() },
        observed_at: None,
        created_at: Timestamp::EPOCH,
        modified_at: Timestamp::from_seconds(modified),
        qualifiers,
    }
}

fn name(text: &str) -> AttrName {
    text.parse().unwrap()
}

fn entity(scopes: &[&str], attributes: Vec<(&str, Vec<Instance>)>) -> Entity {
    let attributes = attributes.into_iter().map(|(name, instances)| Attribute {
        name: name.parse().unwrap(),
        instances: instances.into(),
    });
    Entity {
        id: "urn:a:b".parse().unwrap(),
        types: vec!["urn:t".parse().unwrap()],
        scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        created_at: Timestamp::from_seconds(1),
        modified_at: Timestamp::from_seconds(1),
        expires_at: None,
        attributes: attributes.collect(),
    }
}

/// The step of a write at second 9 that is the seventh change of the log.
fn step(old: Option<&Entity>, new: Option<Entity>) -> EvolutionStep {
    let id = "urn:a:b".parse().unwrap();
    let numbers = (Revision(2), Position(1));
    let change = EntityChange::between(id, numbers, old, new.map(Arc::new));
    EvolutionStep::of_entity(Sequence(7), Timestamp::from_seconds(9), &change)
}

/// Name, ordinal, value, data set and deletion.
type Told<'a> = (&'a str, u32, &'a str, Option<&'a str>, Option<i64>);

/// What is told by each record.
fn records(step: &EvolutionStep) -> Vec<Told<'_>> {
    step.effects
        .iter()
        .map(|effect| match effect {
            Effect::Record(name, Recorded { number, instance, deleted_at }) => {
                assert_eq!(number.sequence, Sequence(7));
                let dataset = instance.dataset_id().map(DatasetId::as_str);
                let deleted = deleted_at.map(|time| time.as_micros() / 1_000_000);
                let value = instance.value.json.as_str();
                (name.as_str(), number.ordinal, value, dataset, deleted)
            }
            other @ (Effect::Correct(..)
            | Effect::RemoveInstance(..)
            | Effect::RemoveAttribute(..)
            | Effect::RemoveAll) => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_creation_records_every_instance_and_the_scopes() {
    let instances = vec![instance("1", 1, None), instance("2", 1, Some("urn:d:1"))];
    let step = step(None, Some(entity(&["/a", "/b"], vec![("urn:x", instances)])));
    assert_eq!(step.existence, Existence::Created(Timestamp::from_seconds(1)));
    assert_eq!(
        records(&step),
        [
            (SCOPE, 0, "[\"/a\",\"/b\"]", None, None),
            ("urn:x", 1, "1", None, None),
            ("urn:x", 2, "2", Some("urn:d:1"), None),
        ]
    );
}

#[test]
fn an_update_records_what_it_touched_and_nothing_else() {
    let same = instance("0", 1, None);
    let old = entity(
        &["/a"],
        vec![
            ("urn:same", vec![same.clone()]),
            ("urn:x", vec![instance("1", 1, None), instance("2", 1, Some("urn:d:1"))]),
        ],
    );
    let new = entity(
        &["/a"],
        vec![
            ("urn:same", vec![same]),
            // The same value, written again; the other data set is left alone.
            ("urn:x", vec![instance("1", 9, None), instance("2", 1, Some("urn:d:1"))]),
        ],
    );
    let step = step(Some(&old), Some(new));
    assert_eq!(step.existence, Existence::Unchanged);
    assert_eq!(records(&step), [("urn:x", 0, "1", None, None)]);
}

#[test]
fn what_is_deleted_is_recorded_as_null_with_its_data_set_and_time() {
    let null = "\"urn:ngsi-ld:null\"";
    let old = entity(
        &["/a"],
        vec![
            ("urn:x", vec![instance("1", 1, None), instance("2", 1, Some("urn:d:1"))]),
            ("urn:y", vec![instance("3", 1, None)]),
        ],
    );
    let new = entity(&["/b"], vec![("urn:x", vec![instance("1", 1, None)])]);
    let update = step(Some(&old), Some(new));
    assert_eq!(
        records(&update),
        [
            (SCOPE, 0, "\"/b\"", None, None),
            ("urn:x", 1, null, Some("urn:d:1"), Some(9)),
            ("urn:y", 2, null, None, Some(9)),
        ]
    );
    let deletion = step(Some(&old), None);
    assert_eq!(deletion.existence, Existence::Deleted(Timestamp::from_seconds(9)));
    assert_eq!(
        records(&deletion),
        [
            (SCOPE, 0, null, None, Some(9)),
            ("urn:x", 1, null, None, Some(9)),
            ("urn:x", 2, null, Some("urn:d:1"), Some(9)),
            ("urn:y", 3, null, None, Some(9)),
        ]
    );
}

#[test]
fn instances_that_a_request_adds_are_numbered_in_their_order() {
    let new = |value| NewInstance { instance: instance(value, 5, None), deleted_at: None };
    let change = EvolutionChange {
        id: "urn:a:b".parse().unwrap(),
        action: EvolutionAction::Add {
            types: vec!["urn:u".parse().unwrap()],
            instances: vec![(name("urn:x"), new("1")), (name("urn:x"), new("2"))],
        },
    };
    let step = EvolutionStep::of_evolution(Sequence(7), Timestamp::from_seconds(9), &change);
    assert_eq!(step.types, ["urn:u".parse().unwrap()]);
    assert_eq!(step.existence, Existence::Unchanged);
    assert_eq!(records(&step), [("urn:x", 0, "1", None, None), ("urn:x", 1, "2", None, None)]);
}

#[test]
fn a_change_of_an_evolution_survives_its_binary_form() {
    let recorded = Recorded {
        number: InstanceNumber { sequence: Sequence(3), ordinal: 1 },
        instance: instance("2.50", 5, Some("urn:d:1")),
        deleted_at: None,
    };
    for action in [
        EvolutionAction::Correct { attribute: name("urn:x"), recorded: Box::new(recorded) },
        EvolutionAction::RemoveAttribute { attribute: name("urn:x"), datasets: Datasets::All },
        EvolutionAction::Remove,
    ] {
        let change = EvolutionChange { id: "urn:a:b".parse().unwrap(), action };
        let bytes = postcard::to_stdvec(&change).unwrap();
        assert_eq!(postcard::from_bytes::<EvolutionChange>(&bytes).unwrap(), change);
    }
}
