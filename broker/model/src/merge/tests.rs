use super::*;
use crate::AttributeType as Kind;
use crate::{AttributeType, FragmentValue, Instance, Json, Value};

mod laws;

const THEN: Timestamp = Timestamp::EPOCH;

fn now() -> Timestamp {
    THEN.plus_micros(5_000_000)
}

fn name(text: &str) -> AttrName {
    format!("https://example.org/{text}").parse().unwrap()
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn typed(kind: AttributeType, text: &str) -> InstanceFragment {
    let value = FragmentValue::Typed(Value { kind, json: json(text) });
    InstanceFragment { value: Some(value), ..InstanceFragment::default() }
}

fn property(text: &str) -> InstanceFragment {
    typed(AttributeType::Property, text)
}

fn simplified(text: &str) -> InstanceFragment {
    let value = FragmentValue::Simplified(json(text));
    InstanceFragment { value: Some(value), ..InstanceFragment::default() }
}

fn null() -> InstanceFragment {
    InstanceFragment { value: Some(FragmentValue::Null), ..InstanceFragment::default() }
}

fn of(dataset: &str, instance: InstanceFragment) -> InstanceFragment {
    InstanceFragment { dataset_id: Some(format!("urn:{dataset}").parse().unwrap()), ..instance }
}

fn attribute<const N: usize>(attr: &str, instances: [InstanceFragment; N]) -> AttributeFragment {
    AttributeFragment { name: name(attr), instances: instances.into_iter().collect() }
}

fn fragment<const N: usize>(attributes: [AttributeFragment; N]) -> EntityFragment {
    EntityFragment { attributes: attributes.into(), ..EntityFragment::default() }
}

fn entity<const N: usize>(attributes: [AttributeFragment; N]) -> Entity {
    let fragment = EntityFragment {
        id: Some("urn:ngsi-ld:Thing:1".parse().unwrap()),
        types: vec!["https://example.org/Thing".parse().unwrap()],
        ..fragment(attributes)
    };
    Entity::create(fragment, THEN).unwrap()
}

fn instance<'a>(entity: &'a Entity, attr: &str) -> &'a Instance {
    entity.attribute(&name(attr)).unwrap().default_instance().unwrap()
}

fn value<'a>(entity: &'a Entity, attr: &str) -> &'a str {
    instance(entity, attr).value.json.as_str()
}

#[test]
fn a_creation_needs_id_type_and_values() {
    let check = |fragment: EntityFragment, reason: &str| {
        assert_eq!(Entity::create(fragment, THEN).unwrap_err().0, reason);
    };
    let id = || Some("urn:ngsi-ld:Thing:1".parse().unwrap());
    let types = || vec!["https://example.org/Thing".parse().unwrap()];
    let whole = |attributes| EntityFragment {
        id: id(),
        types: types(),
        attributes,
        ..EntityFragment::default()
    };
    check(EntityFragment { types: types(), ..EntityFragment::default() }, "an entity needs an id");
    check(
        EntityFragment { id: id(), ..EntityFragment::default() },
        "an entity needs at least one type",
    );
    check(
        whole(vec![attribute("a", [InstanceFragment::default()])]),
        "https://example.org/a has no value",
    );
    check(
        whole(vec![attribute("a", [null()])]),
        "https://example.org/a is urn:ngsi-ld:null, which only update and merge accept",
    );
    check(
        whole(vec![attribute("a", [property(r#"{"b":{"c":"urn:ngsi-ld:null"}}"#)])]),
        "the value of https://example.org/a has urn:ngsi-ld:null inside, which only merge accepts",
    );
    check(
        whole(vec![attribute("a", [property(r#"["urn:ngsi-ld:nul\u006c"]"#)])]),
        "the value of https://example.org/a has urn:ngsi-ld:null inside, which only merge accepts",
    );
    check(
        EntityFragment { scopes: Patch::Remove, ..whole(vec![]) },
        "scope is urn:ngsi-ld:null, which only update and merge accept",
    );
    let without_unit = InstanceFragment { unit_code: Patch::Remove, ..property("1") };
    check(
        whole(vec![attribute("a", [without_unit])]),
        "https://example.org/a: unitCode is urn:ngsi-ld:null, which only update and merge accept",
    );
    let many = (0..=Entity::MAX_ATTRIBUTES).map(|n| attribute(&format!("a{n}"), [property("1")]));
    check(whole(many.collect()), "there are more than 2000 attributes");
    let many = (0..=Entity::MAX_INSTANCES).map(|n| of(&format!("d:{n}"), property("1")));
    let many = AttributeFragment { name: name("a"), instances: many.collect() };
    check(whole(vec![many]), "https://example.org/a has more than 1000 instances");
    let many = (0..=Entity::MAX_TYPES).map(|n| format!("urn:t:{n}").parse().unwrap());
    check(
        EntityFragment { types: many.collect(), ..whole(vec![]) },
        "an entity has at most 200 types",
    );
    let many = (0..=Entity::MAX_SCOPES).map(|n| Scope::parse(&format!("s{n}")).unwrap());
    let many = Patch::Set(many.collect());
    check(EntityFragment { scopes: many, ..whole(vec![]) }, "an entity has at most 1000 scopes");
}

#[test]
fn types_and_scopes_of_a_new_entity_are_there_once() {
    let thing: TypeName = "https://example.org/Thing".parse().unwrap();
    let scope = Scope::parse("Aichi/Nagoya").unwrap();
    let created = Entity::create(
        EntityFragment {
            id: Some("urn:a:b".parse().unwrap()),
            types: vec![thing.clone(), thing.clone()],
            scopes: Patch::Set(vec![scope.clone(), scope.clone()]),
            expires_at: Patch::Set(now()),
            attributes: vec![],
        },
        THEN,
    )
    .unwrap();
    assert_eq!(created.types, [thing]);
    assert_eq!(created.scopes, [scope]);
    assert_eq!(created.expires_at, Some(now()));
    assert_eq!((created.created_at, created.modified_at), (THEN, THEN));
}

#[test]
fn an_append_replaces_instances_of_the_same_data_set_and_adds_others() {
    let before = entity([
        attribute("a", [property("1"), of("x:1", property("2"))]),
        attribute("b", [property("3")]),
    ]);
    let (after, result) = before
        .append(
            fragment([
                attribute("a", [of("x:1", property("20")), of("x:2", property("21"))]),
                attribute("c", [property("4")]),
            ]),
            Overwrite::Yes,
            now(),
        )
        .unwrap();
    assert_eq!(result.updated, [name("a"), name("c")]);
    assert_eq!(result.not_updated, []);
    let values: Vec<&str> = after
        .attribute(&name("a"))
        .unwrap()
        .instances
        .iter()
        .map(|i| i.value.json.as_str())
        .collect();
    assert_eq!(values, ["1", "20", "21"]);
    let times: Vec<_> = after
        .attribute(&name("a"))
        .unwrap()
        .instances
        .iter()
        .map(|i| (i.created_at, i.modified_at))
        .collect();
    assert_eq!(times, [(THEN, THEN), (THEN, now()), (now(), now())]);
    assert_eq!(after.attribute(&name("b")), before.attribute(&name("b")));
    assert_eq!((after.created_at, after.modified_at), (THEN, now()));
}

#[test]
fn an_append_without_overwriting_says_what_it_left_alone() {
    let before = entity([attribute("a", [property("1")])]);
    let request = fragment([
        attribute("a", [property("9"), of("x:1", property("2"))]),
        attribute("b", [property("3")]),
    ]);
    let (after, result) = before.append(request, Overwrite::No, now()).unwrap();
    assert_eq!(value(&after, "a"), "1");
    assert_eq!(value(&after, "b"), "3");
    assert_eq!(result.updated, [name("a"), name("b")]);
    let reason = "the attribute exists and is not to be overwritten".to_owned();
    assert_eq!(result.not_updated, [NotUpdated { name: name("a"), reason }]);
}

#[test]
fn scopes_follow_the_operation() {
    let scopes =
        |texts: &[&str]| texts.iter().map(|text| Scope::parse(text).unwrap()).collect::<Vec<_>>();
    let with = |entity: Entity, texts: &[&str]| Entity { scopes: scopes(texts), ..entity };
    let request = |texts: &[&str]| EntityFragment {
        scopes: Patch::Set(scopes(texts)),
        ..EntityFragment::default()
    };
    let remove = || EntityFragment { scopes: Patch::Remove, ..EntityFragment::default() };
    let plain = entity([]);
    let placed = with(entity([]), &["/a", "/b"]);
    let appended = |entity: &Entity, overwrite| {
        entity.append(request(&["/b", "/c"]), overwrite, now()).unwrap().0.scopes
    };
    assert_eq!(appended(&placed, Overwrite::Yes), scopes(&["/b", "/c"]));
    assert_eq!(appended(&placed, Overwrite::No), scopes(&["/a", "/b", "/c"]));
    let updated = |entity: &Entity, request| entity.update(request, now()).unwrap().0.scopes;
    assert_eq!(updated(&placed, request(&["/c"])), scopes(&["/c"]));
    assert_eq!(updated(&placed, remove()), []);
    assert_eq!(updated(&plain, request(&["/c"])), [], "ignored where there is no scope");
    let merged = |entity: &Entity, request| entity.merge(request, now()).unwrap().scopes;
    assert_eq!(merged(&plain, request(&["/c"])), scopes(&["/c"]));
    assert_eq!(merged(&placed, remove()), []);
    assert_eq!(merged(&placed, EntityFragment::default()), scopes(&["/a", "/b"]));
}

#[test]
fn an_update_replaces_whole_instances_adds_what_is_missing_and_deletes_by_null() {
    let with_unit = InstanceFragment {
        unit_code: Patch::Set("CEL".into()),
        attributes: vec![attribute("sub", [property("1")])],
        ..property("25")
    };
    let before = entity([
        attribute("a", [with_unit]),
        attribute("b", [property("1")]),
        attribute("c", [property("1")]),
    ]);
    let request = EntityFragment {
        types: vec!["https://example.org/Other".parse().unwrap()],
        ..fragment([
            attribute("a", [typed(AttributeType::Relationship, "\"urn:a:b\"")]),
            attribute("b", [null()]),
            attribute("d", [property("4")]),
            attribute("e", [null()]),
        ])
    };
    let (after, result) = before.update(request, now()).unwrap();
    assert_eq!(instance(&after, "a").value.kind, AttributeType::Relationship);
    assert_eq!(instance(&after, "a").qualifiers, None);
    assert_eq!(instance(&after, "a").created_at, THEN);
    assert!(after.attribute(&name("b")).is_none());
    assert_eq!(value(&after, "d"), "4");
    assert_eq!(after.types.len(), 2);
    assert_eq!(result.updated, [name("a"), name("b"), name("d")]);
    let reason = "there is no such attribute to delete".to_owned();
    assert_eq!(result.not_updated, [NotUpdated { name: name("e"), reason }]);
}

#[test]
fn writes_that_write_nothing_leave_the_entity_as_it_was() {
    let before = entity([attribute("a", [property("1")])]);
    let same = fragment([attribute("a", [property("2")])]);
    assert_eq!(before.append(same, Overwrite::No, now()).unwrap().0, before);
    assert_eq!(before.update(EntityFragment::default(), now()).unwrap().0, before);
    assert_eq!(before.append(EntityFragment::default(), Overwrite::Yes, now()).unwrap().0, before);
}

#[test]
fn a_merge_goes_into_attributes_sub_attributes_and_values() {
    let start = InstanceFragment {
        unit_code: Patch::Set("CEL".into()),
        observed_at: Patch::Set(THEN),
        attributes: vec![
            attribute("sub", [property("1")]),
            attribute("kept", [property("1")]),
            attribute("gone", [property("1")]),
        ],
        ..property(r#"{"street":"A","city":"B","country":"C","deep":{"x":1,"y":2}}"#)
    };
    let before = entity([attribute("a", [start])]);
    let change = InstanceFragment {
        observed_at: Patch::Set(now()),
        attributes: vec![
            attribute("sub", [property("2")]),
            attribute("gone", [null()]),
            attribute("new", [property("3")]),
        ],
        ..property(
            r#"{"street":"Z","country":"urn:ngsi-ld:null","deep":{"y":"urn:ngsi-ld:null","z":{"n":"urn:ngsi-ld:null","m":1}},"list":[1]}"#,
        )
    };
    let after = before.merge(fragment([attribute("a", [change])]), now()).unwrap();
    let merged = instance(&after, "a");
    assert_eq!(
        merged.value.json.as_str(),
        r#"{"street":"Z","city":"B","deep":{"x":1,"z":{"m":1}},"list":[1]}"#
    );
    assert_eq!(merged.unit_code(), Some("CEL"));
    assert_eq!(merged.observed_at, Some(now()));
    assert_eq!((merged.created_at, merged.modified_at), (THEN, now()));
    let sub = |attr: &str| merged.attribute(&name(attr)).and_then(|sub| sub.default_instance());
    assert_eq!(
        sub("sub").map(|sub| (sub.value.json.as_str(), sub.created_at, sub.modified_at)),
        Some(("2", THEN, now()))
    );
    assert_eq!(
        sub("kept"),
        instance(&before, "a").attribute(&name("kept")).unwrap().default_instance()
    );
    assert_eq!(sub("gone"), None);
    assert_eq!(sub("new").map(|sub| sub.created_at), Some(now()));
}

#[test]
fn a_merge_without_a_value_keeps_it_and_needs_one_for_a_new_attribute() {
    let before = entity([attribute("a", [property("1")])]);
    let unit =
        || InstanceFragment { unit_code: Patch::Set("C62".into()), ..InstanceFragment::default() };
    let after = before.merge(fragment([attribute("a", [unit()])]), now()).unwrap();
    assert_eq!((value(&after, "a"), instance(&after, "a").unit_code()), ("1", Some("C62")));
    let refusal = before.merge(fragment([attribute("b", [unit()])]), now()).unwrap_err();
    assert_eq!(refusal.0, "https://example.org/b has no value");
    let refusal = before.merge(
        fragment([attribute("a", [typed(AttributeType::Relationship, "\"urn:a:b\"")])]),
        now(),
    );
    assert_eq!(
        refusal.unwrap_err().0,
        "https://example.org/a is a Property and cannot become a Relationship"
    );
}

#[test]
fn a_null_in_a_merge_deletes_the_instance_of_its_data_set_alone() {
    let before = entity([attribute("a", [property("1"), of("x:1", property("2"))])]);
    let after = before.merge(fragment([attribute("a", [of("x:1", null())])]), now()).unwrap();
    assert_eq!(after.attribute(&name("a")).unwrap().instances.len(), 1);
    let after =
        after.merge(fragment([attribute("a", [null()]), attribute("z", [null()])]), now()).unwrap();
    assert_eq!(after.attributes, []);
    let languages = typed(AttributeType::LanguageProperty, r#"{"en":"a","ja":"b"}"#);
    let before = entity([attribute("l", [languages])]);
    let merge = |map: &str| {
        before
            .merge(fragment([attribute("l", [typed(AttributeType::LanguageProperty, map)])]), now())
    };
    assert_eq!(merge(r#"{"@none":"urn:ngsi-ld:null"}"#).unwrap().attributes, []);
    assert_eq!(
        value(&merge(r#"{"en":"urn:ngsi-ld:null","fr":"c"}"#).unwrap(), "l"),
        r#"{"ja":"b","fr":"c"}"#
    );
    assert!(merge(r#"{"en":"urn:ngsi-ld:null","ja":"urn:ngsi-ld:null"}"#).is_err());
}

#[test]
fn a_simplified_value_takes_the_kind_of_what_is_there_or_of_what_it_looks_like() {
    let point = r#"{"type":"Point","coordinates":[1,2]}"#;
    let check = |there: Option<InstanceFragment>,
                 given: &str,
                 expected: Result<(AttributeType, &str), &str>| {
        let before = there.map_or_else(|| entity([]), |there| entity([attribute("a", [there])]));
        let after = before.merge(fragment([attribute("a", [simplified(given)])]), now());
        let outcome =
            after.as_ref().map(|after| (instance(after, "a").value.kind, value(after, "a")));
        let outcome = outcome.map_err(|error| error.0.trim_start_matches("https://example.org/"));
        assert_eq!(outcome, expected, "{given}");
    };
    let of_kind = |kind, text: &str| Some(typed(kind, text));
    check(None, "5", Ok((Kind::Property, "5")));
    check(None, "\"urn:a:b\"", Ok((Kind::Property, "\"urn:a:b\"")));
    check(None, point, Ok((Kind::GeoProperty, point)));
    check(None, r#"{"type":"Point"}"#, Ok((Kind::Property, r#"{"type":"Point"}"#)));
    check(
        None,
        r#"{"type":"Point","coordinates":[1]}"#,
        Err("a: not a GeoJSON geometry: a position is an array of two or three numbers, not [1]"),
    );
    check(
        of_kind(Kind::Relationship, "\"urn:a:a\""),
        "\"urn:a:b\"",
        Ok((Kind::Relationship, "\"urn:a:b\"")),
    );
    check(
        of_kind(Kind::Relationship, "\"urn:a:a\""),
        "5",
        Err("a is a Relationship, whose value is an absolute URI or an array of them"),
    );
    check(
        of_kind(Kind::LanguageProperty, r#"{"en":"x"}"#),
        "\"y\"",
        Ok((Kind::LanguageProperty, r#"{"en":"x","@none":"y"}"#)),
    );
    check(
        of_kind(Kind::LanguageProperty, r#"{"en":"x"}"#),
        r#"{"languageMap":{"ja":"y"}}"#,
        Ok((Kind::LanguageProperty, r#"{"en":"x","ja":"y"}"#)),
    );
    check(
        of_kind(Kind::JsonProperty, r#"{"x":1}"#),
        r#"{"json":{"y":null}}"#,
        Ok((Kind::JsonProperty, r#"{"x":1,"y":null}"#)),
    );
    check(
        of_kind(Kind::VocabProperty, "\"urn:v:a\""),
        r#"{"vocab":"urn:v:b"}"#,
        Ok((Kind::VocabProperty, "\"urn:v:b\"")),
    );
    check(of_kind(Kind::ListProperty, "[1]"), "[2]", Ok((Kind::ListProperty, "[2]")));
    check(
        of_kind(Kind::ListProperty, "[1]"),
        "2",
        Err("a is a ListProperty, whose value is an array"),
    );
    check(
        of_kind(Kind::ListRelationship, "[\"urn:a:a\"]"),
        "[5]",
        Err("a is a ListRelationship, whose value is an array of absolute URIs"),
    );
}

#[test]
fn a_partial_update_replaces_members_and_keeps_the_others() {
    let start = InstanceFragment {
        unit_code: Patch::Set("CEL".into()),
        observed_at: Patch::Set(THEN),
        attributes: vec![attribute(
            "sub",
            [InstanceFragment { unit_code: Patch::Set("C62".into()), ..property("1") }],
        )],
        ..property(r#"{"x":1}"#)
    };
    let before = entity([attribute("a", [start, of("x:1", property("2"))])]);
    let change = InstanceFragment {
        observed_at: Patch::Remove,
        attributes: vec![attribute("sub", [property("2")])],
        ..property(r#"{"y":1}"#)
    };
    let after = before.update_attribute(&name("a"), change, now()).unwrap().unwrap();
    assert_eq!(value(&after, "a"), r#"{"y":1}"#);
    assert_eq!(instance(&after, "a").unit_code(), Some("CEL"));
    assert_eq!(instance(&after, "a").observed_at, None);
    let sub = instance(&after, "a").attribute(&name("sub")).unwrap().default_instance().unwrap();
    assert_eq!((sub.value.json.as_str(), sub.unit_code(), sub.created_at), ("2", None, THEN));
    assert_eq!(after.attributes[0].instances[1], before.attributes[0].instances[1]);
    let partial = |attr: &str, change| before.update_attribute(&name(attr), change, now());
    assert_eq!(partial("b", property("1")), Ok(None));
    assert_eq!(partial("a", of("x:2", property("1"))), Ok(None));
    assert!(partial("a", typed(AttributeType::Relationship, "\"urn:a:b\"")).is_err());
    assert!(partial("a", property(r#"{"x":"urn:ngsi-ld:null"}"#)).is_err());
    let deleted = partial("a", null()).unwrap().unwrap();
    assert_eq!(deleted.attributes[0].instances.len(), 1);
}

#[test]
fn a_replaced_attribute_keeps_its_creation_and_its_other_instances() {
    let before = entity([attribute("a", [property("1"), of("x:1", property("2"))])]);
    let replace = |request| before.replace_attribute(request, now()).unwrap();
    let after =
        replace(attribute("a", [typed(AttributeType::Relationship, "\"urn:a:b\"")])).unwrap();
    assert_eq!(value(&after, "a"), "\"urn:a:b\"");
    assert_eq!(instance(&after, "a").created_at, THEN);
    assert_eq!(after.attributes[0].instances[1], before.attributes[0].instances[1]);
    assert_eq!(replace(attribute("a", [of("x:2", property("3"))])), None);
    assert_eq!(replace(attribute("b", [property("3")])), None);
    assert!(before.replace_attribute(attribute("a", [null()]), now()).is_err());
}

#[test]
fn a_deletion_takes_the_instances_that_are_meant() {
    let before = entity([
        attribute("a", [property("1"), of("x:1", property("2"))]),
        attribute("b", [of("x:1", property("3"))]),
    ]);
    let count = |attr: &str, which: &Instances| {
        let after = before.delete_attribute(&name(attr), which, now())?;
        Some(after.attribute(&name(attr)).map_or(0, |attribute| attribute.instances.len()))
    };
    let dataset = |text: &str| Instances::Dataset(text.parse().unwrap());
    assert_eq!(count("a", &Instances::Default), Some(1));
    assert_eq!(count("a", &dataset("urn:x:1")), Some(1));
    assert_eq!(count("a", &dataset("urn:x:2")), None);
    assert_eq!(count("a", &Instances::All), Some(0));
    assert_eq!(count("b", &Instances::Default), None);
    assert_eq!(count("b", &Instances::All), Some(0));
    assert_eq!(count("c", &Instances::All), None);
}

#[test]
fn an_update_says_that_it_adds_no_scope() {
    let check = |scopes: Patch<Vec<Scope>>, there: &[&str], left: usize| {
        let scopes_there = there.iter().map(|text| text.parse().unwrap()).collect();
        let old = Entity { scopes: scopes_there, ..entity([]) };
        let (new, result) = old.update(EntityFragment { scopes, ..fragment([]) }, now()).unwrap();
        assert_eq!(result.not_updated.len(), left);
        assert_eq!(new == old, left == 1);
        assert!(result.not_updated.iter().all(|left| left.name.as_str().ends_with("/scope")));
    };
    let scope = || Patch::Set(vec!["/a".parse().unwrap()]);
    check(scope(), &[], 1);
    check(Patch::Remove, &[], 1);
    check(scope(), &["/b"], 0);
    check(Patch::Remove, &["/b"], 0);
}
