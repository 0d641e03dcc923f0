//! Laws of the operations, on generated entities.

use proptest::prelude::*;

use super::*;
use crate::{EntityChange, Position, Revision};

/// Everything but the times that a write sets.
fn timeless(entity: &Entity) -> Entity {
    fn still(attributes: &mut [crate::Attribute]) {
        for instance in attributes.iter_mut().flat_map(|attribute| &mut attribute.instances) {
            (instance.created_at, instance.modified_at) = (THEN, THEN);
            if let Some(qualifiers) = &mut instance.qualifiers {
                still(&mut qualifiers.attributes);
            }
        }
    }
    let mut entity = Entity { created_at: THEN, modified_at: THEN, ..entity.clone() };
    still(&mut entity.attributes);
    entity
}

fn any_instance(subs: bool) -> BoxedStrategy<InstanceFragment> {
    let value = prop::sample::select(vec![
        (AttributeType::Property, "1"),
        (AttributeType::Property, r#"{"a":{"b":1},"c":[2]}"#),
        (AttributeType::Relationship, "\"urn:a:b\""),
        (AttributeType::LanguageProperty, r#"{"en":"x","ja":"y"}"#),
        (AttributeType::JsonProperty, r#"{"type":null}"#),
        (AttributeType::ListProperty, "[1,[2]]"),
    ]);
    let nested = if subs { any_attributes(false, 0..3).boxed() } else { Just(Vec::new()).boxed() };
    (value, prop::option::of(0_i64..3), prop::option::of("[A-Z]{3}"), nested)
        .prop_map(|((kind, text), observed, unit, attributes)| InstanceFragment {
            observed_at: observed.map_or(Patch::Keep, |n| Patch::Set(THEN.plus_micros(n))),
            unit_code: unit.map_or(Patch::Keep, |unit| Patch::Set(unit.as_str().into())),
            attributes,
            ..typed(kind, text)
        })
        .boxed()
}

fn any_attributes(
    subs: bool,
    count: std::ops::Range<usize>,
) -> BoxedStrategy<Vec<AttributeFragment>> {
    let instances = prop::collection::btree_map(prop::option::of("[xy]"), any_instance(subs), 1..3);
    prop::collection::btree_map("[a-e]", instances, count)
        .prop_map(|attributes| {
            let of_dataset = |(dataset, instance): (Option<String>, InstanceFragment)| match dataset
            {
                Some(dataset) => of(&format!("d:{dataset}"), instance),
                None => instance,
            };
            attributes
                .into_iter()
                .map(|(attr, instances)| AttributeFragment {
                    name: name(&attr),
                    instances: instances.into_iter().map(of_dataset).collect(),
                })
                .collect()
        })
        .boxed()
}

fn any_fragment() -> impl Strategy<Value = EntityFragment> {
    (any_attributes(true, 0..5), prop::collection::vec("[A-C]", 1..3)).prop_map(
        |(attributes, types)| EntityFragment {
            id: Some("urn:ngsi-ld:Thing:1".parse().unwrap()),
            types: types
                .iter()
                .map(|text| format!("https://example.org/{text}").parse().unwrap())
                .collect(),
            attributes,
            ..EntityFragment::default()
        },
    )
}

proptest! {
    #[test]
    fn replacing_by_the_same_changes_only_times(request in any_fragment()) {
        let created = Entity::create(request.clone(), THEN).unwrap();
        let replaced = created.replace(request, now()).unwrap();
        prop_assert_eq!(timeless(&replaced), timeless(&created));
        prop_assert_eq!((replaced.created_at, replaced.modified_at), (THEN, now()));
    }

    #[test]
    fn appending_without_overwriting_changes_no_instance(first in any_fragment(), second in any_fragment()) {
        let created = Entity::create(first, THEN).unwrap();
        let (after, _) = created.append(second, Overwrite::No, now()).unwrap();
        for attribute in &created.attributes {
            let now_there = after.attribute(&attribute.name).unwrap();
            for instance in &attribute.instances {
                prop_assert_eq!(now_there.instance(instance.dataset_id()), Some(instance));
            }
        }
    }

    #[test]
    fn an_entity_survives_its_binary_form(request in any_fragment()) {
        let created = Entity::create(request, THEN).unwrap();
        let bytes = postcard::to_stdvec(&created).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Entity>(&bytes).unwrap(), created);
    }

    #[test]
    fn merging_nothing_changes_the_time_alone(request in any_fragment()) {
        let created = Entity::create(request, THEN).unwrap();
        let merged = created.merge(EntityFragment::default(), now()).unwrap();
        prop_assert_eq!(merged, Entity { modified_at: now(), ..created });
    }

    #[test]
    fn merging_an_entity_into_itself_changes_only_times(request in any_fragment()) {
        let created = Entity::create(request.clone(), THEN).unwrap();
        let merged = created.merge(request, now()).unwrap();
        prop_assert_eq!(timeless(&merged), timeless(&created));
    }

    #[test]
    fn deleting_what_was_appended_restores_the_entity(request in any_fragment(), added in any_instance(true)) {
        let created = Entity::create(request, THEN).unwrap();
        let (appended, _) = created.append(fragment([attribute("new", [added])]), Overwrite::Yes, now()).unwrap();
        let deleted = appended.delete_attribute(&name("new"), &Instances::Default, now()).unwrap();
        prop_assert_eq!(deleted.delete_attribute(&name("new"), &Instances::All, now()), None);
        prop_assert_eq!(deleted, Entity { modified_at: now(), ..created });
    }

    #[test]
    fn a_write_changes_the_attributes_that_it_names_and_no_others(
        first in any_fragment(), second in any_fragment(), which in 0..3
    ) {
        let created = Entity::create(first, THEN).unwrap();
        let mut named: Vec<AttrName> = second.attributes.iter().map(|attribute| attribute.name.clone()).collect();
        let after = match which {
            0 => created.append(second, Overwrite::Yes, now()).map(|(after, _)| after),
            1 => created.update(second, now()).map(|(after, _)| after),
            _ => created.merge(second, now()),
        };
        // A merge may be refused, when kinds differ.
        let Ok(after) = after else { return Ok(()) };
        let place = (Revision(2), Position(1));
        let change = EntityChange::between(created.id.clone(), place, Some(&created), Some(after.into()));
        let mut changed = change.changed;
        changed.sort();
        named.sort();
        prop_assert_eq!(changed, named);
    }
}
