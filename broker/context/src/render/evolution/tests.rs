use musubi_model::{
    AttrName, AttributeEvolution, AttributeType, Evolution, Instance, InstanceNumber, Qualifiers,
    Recorded, Sequence, Timestamp, Value,
};
use serde_json::{Value as Tree, json};

use super::*;

const AT: i64 = 1_577_836_800;

/// Shows everything, or what is named.
#[derive(Debug, Default)]
struct Reader {
    members: Option<&'static [&'static str]>,
    /// Whether language maps are shown as one text.
    one_language: bool,
}

impl EvolutionReader for Reader {
    fn shows(&self, member: &str) -> bool {
        self.members.is_none_or(|members| members.contains(&member))
    }

    fn instance_id(&self, number: InstanceNumber) -> String {
        format!("urn:i:{}", number.sequence.0)
    }

    fn time(&self, recorded: &Recorded) -> Timestamp {
        recorded.instance.observed_at.unwrap_or(recorded.instance.modified_at)
    }

    fn text(&self, map: &Json) -> Option<LanguageText> {
        let text = map.to_value().get("en").map(Json::from);
        let tag = text.is_some().then(|| "en".to_owned());
        let text = text.unwrap_or_else(|| Json::parse("null").unwrap());
        self.one_language.then_some(LanguageText { tag, text })
    }
}

fn name(term: &str) -> AttrName {
    Context::core().attribute(term).unwrap()
}

/// The n-th record: of that kind and JSON text, observed n seconds later than the first.
fn record(n: i64, kind: AttributeType, json: &Tree) -> Recorded {
    let time = Timestamp::from_seconds(AT + n);
    let number = InstanceNumber { sequence: Sequence(u64::try_from(n).unwrap()), ordinal: 0 };
    let instance = Instance {
        value: Value { kind, json: Json::from(json) },
        observed_at: Some(time),
        created_at: Timestamp::from_seconds(AT),
        modified_at: time,
        qualifiers: None,
    };
    Recorded { number, instance, deleted_at: None }
}

fn in_dataset(mut recorded: Recorded, dataset: &str) -> Recorded {
    let dataset_id = Some(dataset.parse().unwrap());
    recorded.instance.qualifiers =
        Some(Box::new(Qualifiers { dataset_id, ..Qualifiers::default() }));
    recorded
}

/// The record of a deletion.
fn deleted(n: i64, kind: AttributeType) -> Recorded {
    let mut recorded = record(n, kind, &json!(NULL));
    recorded.deleted_at = Some(recorded.instance.modified_at);
    recorded.instance.observed_at = None;
    recorded
}

fn evolution(attributes: Vec<(&str, Vec<Recorded>)>) -> Evolution {
    let attributes = attributes
        .into_iter()
        .map(|(term, instances)| AttributeEvolution { name: name(term), instances });
    Evolution {
        id: "urn:a:1".parse().unwrap(),
        types: vec![Context::core().entity_type("T").unwrap()],
        created_at: Timestamp::from_seconds(AT),
        modified_at: Timestamp::from_seconds(AT + 9),
        deleted_at: None,
        scopes: Vec::new(),
        attributes: attributes.collect(),
    }
}

type Write = for<'r> fn(&mut EvolutionRenderer<'_, 'r>, &'r Evolution);

const INSTANCES: Write = |renderer, evolution| renderer.instances(evolution);
const VALUES: Write = |renderer, evolution| renderer.values(evolution);

/// The evolutions as one array.
fn rendered(reader: &Reader, system: bool, evolutions: &[Evolution], write: Write) -> Tree {
    let (mut out, context) = (b"[".to_vec(), Context::core());
    let mut renderer = EvolutionRenderer::new(&mut out, &context, reader, system, false);
    for evolution in evolutions {
        write(&mut renderer, evolution);
    }
    out.push(b']');
    serde_json::from_slice(&out)
        .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&out)))
}

/// The values of the one attribute of an evolution.
fn values(reader: &Reader, instances: Vec<Recorded>) -> Tree {
    let evolution = evolution(vec![("a", instances)]);
    rendered(reader, false, &[evolution], VALUES)[0]["a"].clone()
}

fn time(n: i64) -> String {
    Timestamp::from_seconds(AT + n).to_string()
}

#[test]
fn an_attribute_is_an_array_of_its_instances_however_few_they_are() {
    let one = record(1, AttributeType::Property, &json!("a \"b\""));
    let evolution = evolution(vec![("a", vec![one]), ("b", Vec::new())]);
    let expected = json!([{
        "id": "urn:a:1",
        "type": "T",
        "a": [{
            "type": "Property", "value": "a \"b\"", "instanceId": "urn:i:1", "observedAt": time(1)
        }],
        "b": [],
    }]);
    assert_eq!(rendered(&Reader::default(), false, &[evolution], INSTANCES), expected);
}

#[test]
fn the_values_of_every_kind_stand_under_the_member_of_that_kind() {
    let check = |kind: AttributeType, value: Tree, member: &str, shown: Tree| {
        let found =
            values(&Reader::default(), vec![record(1, kind, &value), record(2, kind, &value)]);
        let expected =
            json!({ "type": kind.as_str(), member: [[shown, time(1)], [shown, time(2)]] });
        assert_eq!(found, expected);
    };
    let point = json!({ "type": "Point", "coordinates": [1, 2] });
    check(AttributeType::Property, json!([1, { "a": 2 }]), "values", json!([1, { "a": 2 }]));
    check(AttributeType::GeoProperty, point.clone(), "values", point);
    check(AttributeType::Relationship, json!("urn:b"), "objects", json!("urn:b"));
    let map = json!({ "en": "x" });
    let shown = json!({ "languageMap": map });
    check(AttributeType::LanguageProperty, map, "languageMaps", shown);
    let shown = json!({ "vocab": "T" });
    let iri = Context::core().expand("T").into_owned();
    check(AttributeType::VocabProperty, json!(iri), "vocabs", shown);
    let shown = json!({ "json": { "id": null } });
    check(AttributeType::JsonProperty, json!({ "id": null }), "jsons", shown);
    check(AttributeType::ListProperty, json!(["a", 1]), "valueLists", json!(["a", 1]));
    check(AttributeType::ListRelationship, json!(["urn:b"]), "objectLists", json!(["urn:b"]));
}

#[test]
fn values_stand_apart_by_data_set_and_kind() {
    let found = values(
        &Reader::default(),
        vec![
            in_dataset(record(1, AttributeType::Property, &json!(1)), "urn:d:2"),
            record(2, AttributeType::Relationship, &json!("urn:b")),
            in_dataset(record(3, AttributeType::Property, &json!(3)), "urn:d:1"),
            record(4, AttributeType::Property, &json!(4)),
        ],
    );
    let expected = json!([
        { "type": "Property", "values": [[4, time(4)]] },
        { "type": "Relationship", "objects": [["urn:b", time(2)]] },
        { "type": "Property", "datasetId": "urn:d:1", "values": [[3, time(3)]] },
        { "type": "Property", "datasetId": "urn:d:2", "values": [[1, time(1)]] },
    ]);
    assert_eq!(found, expected);
    let nothing = json!({ "type": "Property", "values": [] });
    assert_eq!(values(&Reader::default(), Vec::new()), nothing);
}

#[test]
fn the_record_of_a_deletion_is_the_null_of_its_kind() {
    for (kind, expected) in [
        (AttributeType::Property, json!(NULL)),
        (AttributeType::Relationship, json!(NULL)),
        (AttributeType::LanguageProperty, json!({ "@none": NULL })),
        (AttributeType::VocabProperty, json!(NULL)),
        (AttributeType::JsonProperty, json!(NULL)),
        (AttributeType::ListProperty, json!(NULL)),
        (AttributeType::ListRelationship, json!(NULL)),
    ] {
        let evolution = evolution(vec![("a", vec![deleted(3, kind)])]);
        let shown = rendered(&Reader::default(), false, &[evolution], INSTANCES);
        let expected = json!([{
            "type": kind.as_str(), kind.member(): expected, "instanceId": "urn:i:3",
            "deletedAt": time(3)
        }]);
        assert_eq!(shown[0]["a"], expected);
    }
    let one_language = Reader { one_language: true, ..Reader::default() };
    let gone = values(&one_language, vec![deleted(3, AttributeType::LanguageProperty)]);
    assert_eq!(gone, json!({ "type": "Property", "values": [[NULL, time(3)]] }));
}

#[test]
fn scopes_are_a_property_with_nothing_but_times() {
    let mut evolution = evolution(Vec::new());
    let mut gone = deleted(3, AttributeType::Property);
    gone.instance.observed_at = Some(gone.instance.modified_at);
    evolution.scopes = vec![
        record(1, AttributeType::Property, &json!("/a")),
        record(2, AttributeType::Property, &json!(["/a", "/b"])),
        gone,
    ];
    let all = [evolution];
    let shown = rendered(&Reader::default(), false, &all, INSTANCES);
    let scope = |n: i64, value: Tree, member: &str| {
        json!({
            "type": "Property", "value": value, "instanceId": format!("urn:i:{n}"), member: time(n)
        })
    };
    let expected = json!([
        scope(1, json!("/a"), "observedAt"),
        scope(2, json!(["/a", "/b"]), "observedAt"),
        scope(3, json!([]), "deletedAt"),
    ]);
    assert_eq!(shown[0]["scope"], expected);
    let shown = rendered(&Reader::default(), false, &all, VALUES);
    let pairs = json!([["/a", time(1)], [["/a", "/b"], time(2)], [[], time(3)]]);
    assert_eq!(shown[0]["scope"], json!({ "type": "Property", "values": pairs }));
}

#[test]
fn only_what_is_shown_is_written_and_nothing_if_nothing_is() {
    let all = [
        evolution(vec![("a", vec![record(1, AttributeType::Property, &json!(1))])]),
        evolution(Vec::new()),
        evolution(vec![("b", vec![record(2, AttributeType::Property, &json!(2))])]),
    ];
    let none = Reader { members: Some(&[]), ..Reader::default() };
    let shown = rendered(&none, true, &all, VALUES);
    let of = |n: i64| json!({ "type": "Property", "values": [[n, time(n)]] });
    assert_eq!(shown, json!([{ "a": of(1) }, { "b": of(2) }]));
    let times = Reader { members: Some(&["createdAt"]), ..Reader::default() };
    let shown = rendered(&times, true, &all[1..2], INSTANCES);
    assert_eq!(shown, json!([{ "createdAt": time(0) }]));
    assert_eq!(rendered(&times, false, &all[1..2], INSTANCES), json!([]));
}

#[test]
fn system_attributes_stand_in_the_evolution_and_in_its_instances() {
    let mut one = evolution(vec![("a", vec![record(1, AttributeType::Property, &json!(1))])]);
    one.deleted_at = Some(Timestamp::from_seconds(AT + 9));
    let shown = rendered(&Reader::default(), true, &[one], INSTANCES);
    let expected = json!([{
        "id": "urn:a:1", "type": "T",
        "a": [{
            "type": "Property", "value": 1, "instanceId": "urn:i:1", "observedAt": time(1),
            "createdAt": time(0), "modifiedAt": time(1)
        }],
        "createdAt": time(0), "modifiedAt": time(9), "deletedAt": time(9),
    }]);
    assert_eq!(shown, expected);
}

#[test]
fn aggregates_stand_with_their_periods_under_their_methods() {
    let (mut out, context, reader) = (Vec::new(), Context::core(), Reader::default());
    let (evolution, name) = (evolution(Vec::new()), name("a"));
    let value = Json::from(&json!(2.5));
    let (start, end) = (Timestamp::from_seconds(AT), Timestamp::from_seconds(AT + 60));
    let period = |start, end| PeriodValue { value: &value, start, end };
    let attribute = AggregatedAttribute {
        name: &name,
        is_relationship: false,
        methods: vec![("avg", vec![period(start, end), period(end, end)]), ("max", Vec::new())],
    };
    let mut renderer = EvolutionRenderer::new(&mut out, &context, &reader, false, false);
    renderer.aggregates(&evolution, std::iter::once(attribute));
    assert_eq!(renderer.count(), 1);
    let shown: Tree = serde_json::from_slice(&out).unwrap();
    let avg = json!([[2.5, time(0), time(60)], [2.5, time(60), time(60)]]);
    let expected = json!({
        "id": "urn:a:1", "type": "T", "a": { "type": "Property", "avg": avg, "max": [] }
    });
    assert_eq!(shown, expected);
}

#[test]
fn no_list_goes_on_once_the_output_is_longer_than_wanted() {
    let (context, reader) = (Context::core(), Reader::default());
    let many = |write: Write, longest: usize| {
        let instances: Vec<_> =
            (0..1_000).map(|n| record(n, AttributeType::Property, &json!(1))).collect();
        let evolution = evolution(vec![("a", instances.clone()), ("b", instances)]);
        let mut out = Vec::new();
        let mut renderer =
            EvolutionRenderer::new(&mut out, &context, &reader, false, false).up_to(longest);
        write(&mut renderer, &evolution);
        renderer.written()
    };
    for write in [INSTANCES, VALUES] {
        assert!((2_001..3_000).contains(&many(write, 2_000)));
        assert_eq!(many(write, usize::MAX), many(write, 10_000_000));
        assert!(many(write, usize::MAX) > 20_000);
    }
}
