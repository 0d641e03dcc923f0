use musubi_model::{
    AttributeFragment, EntityFragment, FragmentValue, InstanceFragment, Limits, Node, Patch,
    Timestamp,
};
use proptest::prelude::*;
use serde_json::{Value as Tree, json};

use super::*;
use crate::{ContextSource, expand_entity, generated};

fn context(document: &Tree) -> Context {
    let document = document.to_string();
    Context::from_source(&ContextSource { url: None, member: document.clone(), document }).unwrap()
}

/// The entity in a body, as if it had been stored at second 1,577,836,800.
fn entity(body: &Tree, context: &Context) -> Entity {
    let text = body.to_string();
    let node = Node::parse(&text, Limits::default()).unwrap();
    let fragment = expand_entity(&node, context).unwrap();
    Entity::create(fragment, Timestamp::from_seconds(1_577_836_800)).unwrap()
}

fn rendered(entity: &Entity, context: &Context, representation: &Representation) -> Tree {
    let mut out = Vec::new();
    render_entity(&mut out, entity, context, representation);
    serde_json::from_slice(&out)
        .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&out)))
}

fn form(form: Form) -> Representation {
    Representation { form, ..Representation::default() }
}

fn vehicle() -> (Entity, Context) {
    let context = context(&json!({
        "Vehicle": "https://e.example/Vehicle", "speed": "https://e.example/speed",
        "monument": "https://e.example/monument"
    }));
    let body = json!({
        "id": "urn:ngsi-ld:Vehicle:1",
        "type": "Vehicle",
        "scope": "/a",
        "expiresAt": "2100-01-01T00:00:00Z",
        "speed": [
            {"type": "Property", "value": 55, "unitCode": "KMH", "observedAt": "2020-01-01T00:00:00.500Z",
             "accuracy": {"type": "Property", "value": 0.5}},
            {"type": "Property", "value": 11.0, "datasetId": "urn:gps"}
        ],
        "name": {"type": "Property", "value": "a \"quoted\" <name>"},
        "address": {"type": "Property", "value": {"city": "Nagoya", "type": "home"}},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [136.9, 35.1]}},
        "says": {"type": "LanguageProperty", "languageMap": {"en": "yes", "ja": "はい"}},
        "style": {"type": "VocabProperty", "vocab": ["monument", "other"]},
        "ticket": {"type": "JsonProperty", "json": {"id": "x", "none": null}},
        "route": {"type": "ListRelationship", "objectList": ["urn:a\u{ed}", {"object": "urn:b"}]},
        "periods": {"type": "ListProperty", "valueList": ["one", 2]},
        "isAt": {"type": "Relationship", "object": "urn:place:1", "objectType": "Vehicle"}
    });
    (entity(&body, &context), context)
}

#[test]
fn the_normalized_form_has_everything() {
    let (entity, context) = vehicle();
    assert_eq!(
        rendered(&entity, &context, &form(Form::Normalized)),
        json!({
            "id": "urn:ngsi-ld:Vehicle:1",
            "type": "Vehicle",
            "scope": "/a",
            "speed": [
                {"type": "Property", "value": 55, "unitCode": "KMH", "observedAt": "2020-01-01T00:00:00.500Z",
                 "accuracy": {"type": "Property", "value": 0.5}},
                {"type": "Property", "value": 11.0, "datasetId": "urn:gps"}
            ],
            "name": {"type": "Property", "value": "a \"quoted\" <name>"},
            "address": {"type": "Property", "value": {"city": "Nagoya", "type": "home"}},
            "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [136.9, 35.1]}},
            "says": {"type": "LanguageProperty", "languageMap": {"en": "yes", "ja": "はい"}},
            "style": {"type": "VocabProperty", "vocab": ["monument", "other"]},
            "ticket": {"type": "JsonProperty", "json": {"id": "x", "none": null}},
            "route": {"type": "ListRelationship", "objectList": [{"object": "urn:a\u{ed}"}, {"object": "urn:b"}]},
            "periods": {"type": "ListProperty", "valueList": ["one", 2]},
            "isAt": {"type": "Relationship", "object": "urn:place:1", "objectType": "Vehicle"}
        })
    );
}

#[test]
fn the_concise_form_leaves_out_what_can_be_inferred() {
    let (entity, context) = vehicle();
    assert_eq!(
        rendered(&entity, &context, &form(Form::Concise)),
        json!({
            "id": "urn:ngsi-ld:Vehicle:1",
            "type": "Vehicle",
            "scope": "/a",
            "speed": [
                {"value": 55, "unitCode": "KMH", "observedAt": "2020-01-01T00:00:00.500Z", "accuracy": 0.5},
                {"value": 11.0, "datasetId": "urn:gps"}
            ],
            "name": "a \"quoted\" <name>",
            // Bare, it would be read as an attribute instance of type "home".
            "address": {"value": {"city": "Nagoya", "type": "home"}},
            "location": {"type": "Point", "coordinates": [136.9, 35.1]},
            "says": {"languageMap": {"en": "yes", "ja": "はい"}},
            "style": {"vocab": ["monument", "other"]},
            "ticket": {"json": {"id": "x", "none": null}},
            "route": {"objectList": [{"object": "urn:a\u{ed}"}, {"object": "urn:b"}]},
            "periods": {"valueList": ["one", 2]},
            "isAt": {"object": "urn:place:1", "objectType": "Vehicle"}
        })
    );
}

#[test]
fn the_simplified_form_has_keys_and_values() {
    let (entity, context) = vehicle();
    assert_eq!(
        rendered(&entity, &context, &form(Form::Simplified)),
        json!({
            "id": "urn:ngsi-ld:Vehicle:1",
            "type": "Vehicle",
            "scope": "/a",
            "speed": {"dataset": {"@none": 55, "urn:gps": 11.0}},
            "name": "a \"quoted\" <name>",
            "address": {"city": "Nagoya", "type": "home"},
            "location": {"type": "Point", "coordinates": [136.9, 35.1]},
            "says": {"languageMap": {"en": "yes", "ja": "はい"}},
            "style": {"vocab": ["monument", "other"]},
            "ticket": {"json": {"id": "x", "none": null}},
            "route": ["urn:a\u{ed}", "urn:b"],
            "periods": ["one", 2],
            "isAt": "urn:place:1"
        })
    );
}

#[test]
fn a_reader_without_the_context_sees_whole_names() {
    let (entity, _) = vehicle();
    let seen = rendered(&entity, &Context::core(), &form(Form::Simplified));
    assert_eq!(seen["type"], "https://e.example/Vehicle");
    assert!(seen.get("https://e.example/speed").is_some() && seen.get("name").is_some());
    assert_eq!(seen["style"], json!({"vocab": ["https://e.example/monument", "other"]}));
}

#[test]
fn system_attributes_are_shown_when_asked_for() {
    let (entity, context) = vehicle();
    let representation = Representation { system_attributes: true, ..Representation::default() };
    let seen = rendered(&entity, &context, &representation);
    assert_eq!(seen["createdAt"], "2020-01-01T00:00:00Z");
    assert_eq!(seen["expiresAt"], "2100-01-01T00:00:00Z");
    assert_eq!(seen["speed"][0]["modifiedAt"], "2020-01-01T00:00:00Z");
    assert_eq!(seen["speed"][0]["accuracy"]["createdAt"], "2020-01-01T00:00:00Z");
    let text = rendered(&entity, &context, &Representation::default()).to_string();
    for hidden in ["createdAt", "modifiedAt", "expiresAt"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
    let concise = Representation { form: Form::Concise, ..representation };
    assert_eq!(
        rendered(&entity, &context, &concise)["name"],
        json!({"value": "a \"quoted\" <name>", "createdAt": "2020-01-01T00:00:00Z", "modifiedAt": "2020-01-01T00:00:00Z"})
    );
}

#[test]
fn attributes_are_picked_and_the_context_is_added() {
    let (entity, context) = vehicle();
    let names = vec![context.attribute("name").unwrap(), context.attribute("absent").unwrap()];
    let representation = Representation {
        form: Form::Simplified,
        attributes: Some(names),
        context_member: true,
        ..Representation::default()
    };
    let member: Tree = serde_json::from_str(context.member()).unwrap();
    assert_eq!(
        rendered(&entity, &context, &representation),
        json!({"id": "urn:ngsi-ld:Vehicle:1", "type": "Vehicle", "scope": "/a",
               "name": "a \"quoted\" <name>", "@context": member})
    );
}

#[test]
fn several_types_and_scopes_are_arrays() {
    let core = Context::core();
    let body = json!({"id": "urn:a", "type": ["A", "B"], "scope": ["/a", "/b"]});
    let entity = entity(&body, &core);
    assert_eq!(rendered(&entity, &core, &Representation::default()), body);
}

#[test]
fn what_a_proof_says_of_its_entity_stays_bare() {
    let context = context(&json!({"Vehicle": "https://e.example/Vehicle"}));
    let body = json!({
        "id": "urn:a",
        "type": "Vehicle",
        "ngsildproof": {
            "type": "Property",
            "entityIdSealed": "urn:a",
            "entityTypeSealed": "Vehicle",
            "value": {"type": "DataIntegrityProof", "proofValue": "zQeV"}
        }
    });
    let entity = entity(&body, &context);
    let representation = Representation::default();
    assert_eq!(rendered(&entity, &context, &representation), body);
    let elsewhere = rendered(&entity, &Context::core(), &representation);
    assert_eq!(elsewhere["ngsildproof"]["entityTypeSealed"], "https://e.example/Vehicle");
}

#[test]
fn a_name_that_a_bare_term_could_not_carry_is_written_whole() {
    let core = Context::core();
    let iri = "https://uri.etsi.org/ngsi-ld/default-context/a-b";
    let entity = entity(&json!({"id": "urn:a", "type": "T", iri: 1}), &core);
    let seen = rendered(&entity, &core, &form(Form::Concise));
    assert_eq!(seen, json!({"id": "urn:a", "type": "T", "ngsi-ld:default-context/a-b": 1}));
}

/// The fragment that an entity is made of.
fn fragment(entity: &Entity, with_system: bool) -> EntityFragment {
    EntityFragment {
        id: Some(entity.id.clone()),
        types: entity.types.clone(),
        scopes: if entity.scopes.is_empty() {
            Patch::Keep
        } else {
            Patch::Set(entity.scopes.clone())
        },
        expires_at: patch(entity.expires_at.filter(|_| with_system)),
        attributes: entity
            .attributes
            .iter()
            .map(|it| attribute_fragment(it, with_system))
            .collect(),
    }
}

fn attribute_fragment(attribute: &Attribute, with_system: bool) -> AttributeFragment {
    let instance = |instance: &Instance| InstanceFragment {
        value: Some(FragmentValue::Typed(instance.value.clone())),
        dataset_id: instance.dataset_id().cloned(),
        observed_at: patch(instance.observed_at),
        unit_code: patch(instance.unit_code().map(Into::into)),
        expires_at: patch(instance.expires_at().filter(|_| with_system)),
        value_type: patch(instance.qualifiers.as_ref().and_then(|it| it.value_type.clone())),
        object_type: patch(
            instance
                .qualifiers
                .as_ref()
                .map(|it| it.object_type.clone())
                .filter(|it| !it.is_empty()),
        ),
        attributes: instance
            .attributes()
            .iter()
            .map(|it| attribute_fragment(it, with_system))
            .collect(),
    };
    AttributeFragment {
        name: attribute.name.clone(),
        instances: attribute.instances.iter().map(instance).collect(),
    }
}

fn patch<T>(value: Option<T>) -> Patch<T> {
    value.map_or(Patch::Keep, Patch::Set)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_rendered_expands_to_the_same(
        entity in generated::entity(),
        context in generated::context(),
        concise in any::<bool>(),
        system_attributes in any::<bool>(),
    ) {
        let form = if concise { Form::Concise } else { Form::Normalized };
        let representation = Representation { form, system_attributes, ..Representation::default() };
        let mut out = Vec::new();
        render_entity(&mut out, &entity, &context, &representation);
        let text = String::from_utf8(out).unwrap();
        let node = Node::parse(&text, Limits { depth: Limits::MAX_DEPTH }).unwrap();
        let expanded = expand_entity(&node, &context);
        prop_assert_eq!(expanded, Ok(fragment(&entity, system_attributes)), "{}", text);
    }

    #[test]
    fn the_simplified_form_is_json(entity in generated::entity(), context in generated::context()) {
        let mut out = Vec::new();
        render_entity(&mut out, &entity, &context, &form(Form::Simplified));
        prop_assert!(serde_json::from_slice::<Tree>(&out).is_ok());
    }
}

#[test]
fn entities_one_after_another_look_as_each_alone() {
    let (vehicle, context) = vehicle();
    let other = entity(
        &json!({
            "id": "urn:ngsi-ld:Vehicle:2",
            "type": ["Vehicle", "Other"],
            "isAt": {"type": "Relationship", "object": "urn:place:2"},
            "speed": {"type": "Property", "value": 5, "observedAt": "2020-01-01T00:00:00.500Z"},
        }),
        &context,
    );
    let many: serde_json::Map<String, Tree> =
        (0..300).map(|n| (format!("a{n}"), n.into())).collect();
    let mut many = Tree::Object(many);
    many["id"] = "urn:ngsi-ld:Vehicle:3".into();
    many["type"] = "Vehicle".into();
    let many = entity(&many, &context);
    let forms = [Form::Normalized, Form::Concise, Form::Simplified];
    for (form, system_attributes) in
        forms.into_iter().flat_map(|form| [(form, true), (form, false)])
    {
        let representation =
            Representation { form, system_attributes, ..Representation::default() };
        let (mut apart, mut together) = (Vec::new(), Vec::new());
        let mut renderer = Renderer::new(&mut together, &context, &representation);
        for entity in [&vehicle, &many, &other, &vehicle, &many, &other] {
            renderer.entity(entity);
            // Without anything that is remembered of others.
            Rendering::new(&mut apart, &context, &representation).entity(entity, &representation);
        }
        assert_eq!(String::from_utf8(together).unwrap(), String::from_utf8(apart).unwrap());
    }
}

#[test]
fn what_stands_behind_a_value_is_that_of_its_own_instance() {
    let context = Context::core();
    let of = |behind: Tree| {
        let mut speed = json!({"type": "Property", "value": 5});
        for (name, value) in behind.as_object().unwrap() {
            speed[name] = value.clone();
        }
        let brand = json!({"type": "Property", "value": "\u{20ac}"});
        json!({"id": "urn:ngsi-ld:Car:1", "type": "Car", "speed": speed, "brand": brand})
    };
    let (early, late) = ("2020-01-01T00:00:00Z", "2021-01-01T00:00:00.500Z");
    let bodies: Vec<Tree> = [
        json!({}),
        json!({}),
        json!({"observedAt": early}),
        json!({"observedAt": early, "unitCode": "KMH"}),
        json!({"observedAt": early, "unitCode": "KMH"}),
        json!({"observedAt": late, "unitCode": "KMH"}),
        json!({"observedAt": late, "unitCode": "KNT"}),
        json!({"unitCode": "KNT"}),
        json!({"unitCode": "KNT", "accuracy": {"type": "Property", "value": 1}}),
        json!({"unitCode": "KNT", "datasetId": "urn:d"}),
        json!({"unitCode": "KNT"}),
        json!({}),
    ]
    .into_iter()
    .map(of)
    .collect();
    let entities: Vec<Entity> = bodies.iter().map(|body| entity(body, &context)).collect();
    let representation = form(Form::Normalized);
    for pairs in [1, 2, 5] {
        let mut out = Vec::new();
        let mut renderer = Renderer::new(&mut out, &context, &representation);
        let order: Vec<usize> = (0..entities.len()).map(|n| n * pairs % entities.len()).collect();
        for (index, which) in order.iter().enumerate() {
            if index > 0 {
                renderer.comma();
            }
            renderer.entity(&entities[*which]);
        }
        let text = format!("[{}]", String::from_utf8(out).unwrap());
        let found: Tree = serde_json::from_str(&text).unwrap();
        for (index, which) in order.iter().enumerate() {
            assert_eq!(found[index], bodies[*which], "{text}");
        }
    }
}

#[test]
fn what_is_remembered_of_entities_is_that_of_their_reader() {
    let named = |short: &str| context(&json!({short: "https://e.example/speed"}));
    let (speed, tempo) = (named("speed"), named("tempo"));
    let of = |number: usize| {
        let name = format!("a{}", number % 30);
        let mut body = json!({"id": format!("urn:ngsi-ld:Car:{number}"), "type": "Car"});
        body["speed"] = json!({"type": "Property", "value": number / 2 % 9 * 7});
        body[&name] =
            json!({"type": "Property", "value": number, "observedAt": "2020-01-01T00:00:00Z"});
        body
    };
    // More shapes than are kept, and those that they share their types with.
    let bodies: Vec<Tree> = (0..400).map(of).collect();
    let mut entities: Vec<Entity> = bodies.iter().map(|body| entity(body, &speed)).collect();
    let (first, others) = entities.split_at_mut(1);
    for other in others.iter_mut().filter(|other| other.id.as_str().ends_with(['0', '5'])) {
        other.types.clone_from(&first[0].types);
        other.attributes[0].name = first[0].attributes[0].name.clone();
        other.attributes[1].name = first[0].attributes[1].name.clone();
    }
    for context in [&speed, &tempo, &speed] {
        for context_member in [false, true] {
            let representation = Representation { context_member, ..Representation::default() };
            for entity in &entities {
                let (mut plain, mut remembered) = (Vec::new(), Vec::new());
                Rendering::new(&mut plain, context, &representation)
                    .entity(entity, &representation);
                render_entity(&mut remembered, entity, context, &representation);
                let text = |bytes| String::from_utf8(bytes).unwrap();
                assert_eq!(text(remembered), text(plain));
            }
        }
    }
}

#[test]
fn equal_times_keep_the_digits_that_each_was_written_with() {
    let context = Context::core();
    let body = json!({
        "id": "urn:ngsi-ld:Clock:1",
        "type": "Clock",
        "short": {"type": "Property", "value": 1, "observedAt": "2020-01-01T00:00:00Z"},
        "long": {"type": "Property", "value": 1, "observedAt": "2020-01-01T00:00:00.000Z"},
        "again": {"type": "Property", "value": 1, "observedAt": "2020-01-01T00:00:00.000Z"}
    });
    let entity = entity(&body, &context);
    let found = rendered(&entity, &context, &form(Form::Normalized));
    for name in ["short", "long", "again"] {
        assert_eq!(found[name]["observedAt"], body[name]["observedAt"], "{name}");
    }
}

#[test]
fn an_attribute_may_be_of_another_kind_in_the_next_entity() {
    let context = Context::core();
    let of = |attribute: Tree| {
        let mut body = json!({"id": "urn:ngsi-ld:Thing:1", "type": "Thing"});
        body["owner"] = attribute;
        entity(&body, &context)
    };
    let bodies = [
        json!({"type": "Property", "value": "a"}),
        json!({"type": "Relationship", "object": "urn:a:1"}),
        json!([{"type": "Property", "value": 1}, {"type": "Property", "value": 2, "datasetId": "urn:d"}]),
        json!({"type": "Property", "value": "b"}),
    ];
    let entities: Vec<Entity> = bodies.iter().cloned().map(of).collect();
    let representation = form(Form::Normalized);
    let mut out = Vec::new();
    let mut renderer = Renderer::new(&mut out, &context, &representation);
    for (index, entity) in entities.iter().enumerate() {
        if index > 0 {
            renderer.comma();
        }
        renderer.entity(entity);
    }
    let text = format!("[{}]", String::from_utf8(out).unwrap());
    let found: Tree = serde_json::from_str(&text).unwrap();
    for (index, body) in bodies.iter().enumerate() {
        assert_eq!(&found[index]["owner"], body, "{text}");
    }
}
