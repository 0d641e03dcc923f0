use musubi_model::{
    AttributeFragment, AttributeType as Kind, EntityFragment, FragmentValue, InstanceFragment,
    Json, Patch, Value,
};
use proptest::prelude::*;

use super::*;
use crate::test_terms::ExampleTerms;

mod collation;

fn instance(kind: Kind, text: &str) -> InstanceFragment {
    let value = Value { kind, json: Json::parse(text).unwrap() };
    InstanceFragment { value: Some(FragmentValue::Typed(value)), ..InstanceFragment::default() }
}

fn attribute(term: &str, instances: Vec<InstanceFragment>) -> AttributeFragment {
    AttributeFragment {
        name: ExampleTerms.attribute(term).unwrap(),
        instances: instances.into_iter().collect(),
    }
}

fn entity(id: &str, attributes: Vec<AttributeFragment>) -> Entity {
    let fragment = EntityFragment {
        id: Some(format!("urn:{id}").parse().unwrap()),
        types: vec!["urn:t".parse().unwrap()],
        attributes,
        ..EntityFragment::default()
    };
    Entity::create(fragment, "2020-01-01T00:00:00Z".parse().unwrap()).unwrap()
}

/// An entity whose attribute `a` has these values, each of another data set.
fn with_values(id: &str, kind: Kind, values: &[&str]) -> Entity {
    let of_data_set = |(number, text): (usize, &&str)| InstanceFragment {
        dataset_id: (number > 0).then(|| format!("urn:d:{number}").parse().unwrap()),
        ..instance(kind, text)
    };
    let instances: Vec<_> = values.iter().enumerate().map(of_data_set).collect();
    let attributes = if instances.is_empty() { vec![] } else { vec![attribute("a", instances)] };
    entity(id, attributes)
}

fn sorted(order: &Order, mut entities: Vec<Entity>) -> Vec<String> {
    entities.sort_by(|one, other| order.compare(&order.key(one), &order.key(other)));
    entities.iter().map(|entity| entity.id.as_str()[4..].to_owned()).collect()
}

fn parse(order_by: &str) -> Order {
    Order::parse(order_by, None, &ExampleTerms).unwrap()
}

/// Brings the values of `a` into order and says which came where; the first value is number 0.
fn order_of(order_by: &str, kind: Kind, values: &[&str]) -> Vec<usize> {
    let numbered = values.iter().enumerate();
    let entities = numbered.map(|(number, text)| with_values(&number.to_string(), kind, &[text]));
    let ids = sorted(&parse(order_by), entities.collect());
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

/// One value of each type, in the order of clause 4.23.2.
const TYPES: [&str; 9] = [
    "5",
    "\"text\"",
    r#"{"b":1}"#,
    "[1]",
    "false",
    "\"09:30:00Z\"",
    "\"2020-01-02\"",
    "\"2019-01-02T00:00:00Z\"",
    "null",
];

#[test]
fn types_come_in_the_order_of_the_specification() {
    assert_eq!(order_of("a", Kind::Property, &TYPES), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(order_of("a;asc", Kind::Property, &TYPES), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    // Null stays behind.
    assert_eq!(order_of("a;desc", Kind::Property, &TYPES), [7, 6, 5, 4, 3, 2, 1, 0, 8]);
}

#[test]
fn what_is_missing_comes_last_in_both_directions() {
    let entities = || {
        vec![
            with_values("missing", Kind::Property, &[]),
            with_values("null", Kind::Property, &["null"]),
            with_values("two", Kind::Property, &["2"]),
            with_values("one", Kind::Property, &["1"]),
        ]
    };
    assert_eq!(sorted(&parse("a"), entities()), ["one", "two", "null", "missing"]);
    assert_eq!(sorted(&parse("a;desc"), entities()), ["two", "one", "null", "missing"]);
}

#[test]
fn values_of_one_type_have_their_natural_order() {
    let check = |values: &[&str]| {
        let expected: Vec<usize> = (0..values.len()).collect();
        assert_eq!(order_of("a", Kind::Property, values), expected, "{values:?}");
        let backwards: Vec<usize> = (0..values.len()).rev().collect();
        assert_eq!(order_of("a;desc", Kind::Property, values), backwards, "{values:?}");
    };
    check(&["-1e3", "-1", "0", "0.5", "10", "1e2"]);
    check(&["\"a\"", "\"A\"", "\"á\"", "\"b\""]);
    check(&["false", "true"]);
    check(&["\"08:00:00Z\"", "\"08:00:00.5Z\"", "\"10:00:00Z\""]);
    check(&["\"2019-12-31\"", "\"2020-01-01\""]);
    check(&[
        "\"2020-01-01T00:00:00+09:00\"",
        "\"2020-01-01T00:00:00Z\"",
        r#"{"@type":"DateTime","@value":"2020-01-01T00:00:01Z"}"#,
    ]);
    check(&["[]", "[1]", "[1,2]", "[2]", "[\"a\"]", "[null]"]);
    check(&[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"b":1}"#]);
}

#[test]
fn of_several_values_that_one_counts_which_comes_first() {
    let entities = || {
        vec![
            with_values("wide", Kind::Property, &["1", "9"]),
            with_values("narrow", Kind::Property, &["5", "6"]),
            with_values("half", Kind::Property, &["null", "7"]),
        ]
    };
    assert_eq!(sorted(&parse("a"), entities()), ["wide", "narrow", "half"]);
    assert_eq!(sorted(&parse("a;desc"), entities()), ["wide", "half", "narrow"]);
}

#[test]
fn every_kind_of_attribute_has_an_order() {
    let check = |order_by: &str, kind, values: &[&str], expected: &[usize]| {
        assert_eq!(order_of(order_by, kind, values), expected, "{order_by} {values:?}");
    };
    check(
        "a",
        Kind::Relationship,
        &["\"urn:b\"", "[\"urn:a\",\"urn:c\"]", "\"urn:a\""],
        &[2, 0, 1],
    );
    check("a", Kind::ListRelationship, &["[\"urn:b\"]", "[\"urn:a\",\"urn:c\"]"], &[1, 0]);
    check("a", Kind::VocabProperty, &["\"urn:b\"", "\"urn:a\""], &[1, 0]);
    check("a", Kind::ListProperty, &["[2]", "[1,5]"], &[1, 0]);
    check("a", Kind::JsonProperty, &["{\"@value\":1}", "7"], &[1, 0]);
    let languages = [r#"{"ja":"い","en":"a"}"#, r#"{"ja":"あ","en":"b"}"#, r#"{"fr":"c"}"#];
    check("a[ja]", Kind::LanguageProperty, &languages, &[1, 0, 2]);
    check("a[en]", Kind::LanguageProperty, &languages, &[0, 1, 2]);
    check("a[en];desc", Kind::LanguageProperty, &languages, &[1, 0, 2]);
    check("a", Kind::LanguageProperty, &languages, &[0, 1, 2]);
    check("a[*];desc", Kind::LanguageProperty, &languages, &[0, 1, 2]);
    let addresses = [r#"{"city":"Kanazawa"}"#, r#"{"city":"Hakui"}"#, "{}"];
    check("a[city]", Kind::Property, &addresses, &[1, 0, 2]);
}

#[test]
fn members_of_the_entity_have_an_order() {
    let entities = || {
        ["b", "c", "a"].map(|id| {
            let mut entity = with_values(id, Kind::Property, &["1"]);
            entity.types = vec![format!("urn:t:{id}").parse().unwrap()];
            if id != "b" {
                entity.scopes = vec![format!("/{id}").parse().unwrap()];
            }
            entity
        })
    };
    let check = |order_by: &str, expected: [&str; 3]| {
        assert_eq!(sorted(&parse(order_by), entities().to_vec()), expected, "{order_by}");
    };
    check("id", ["a", "b", "c"]);
    check("id;desc", ["c", "b", "a"]);
    check("type", ["a", "b", "c"]);
    check("scope", ["a", "c", "b"]);
    check("scope;desc", ["c", "a", "b"]);
    check("createdAt", ["b", "c", "a"]);
    check("a.createdAt,a,id", ["a", "b", "c"]);
    check(" a ; desc , id ; asc ", ["a", "b", "c"]);
    check("idle", ["b", "c", "a"]);
}

#[test]
fn sub_attributes_and_times_have_an_order() {
    let with = |id: &str, accuracy: &str, observed: &str| {
        let fragment = InstanceFragment {
            observed_at: Patch::Set(observed.parse().unwrap()),
            attributes: vec![attribute("accuracy", vec![instance(Kind::Property, accuracy)])],
            ..instance(Kind::Property, "1")
        };
        entity(id, vec![attribute("a", vec![fragment])])
    };
    let entities =
        || vec![with("x", "2", "2020-01-01T00:00:00Z"), with("y", "1", "2021-01-01T00:00:00Z")];
    assert_eq!(sorted(&parse("a.accuracy"), entities()), ["y", "x"]);
    assert_eq!(sorted(&parse("a.observedAt"), entities()), ["x", "y"]);
    assert_eq!(sorted(&parse("a,a.observedAt;desc"), entities()), ["y", "x"]);
}

#[test]
fn a_distance_orders_geometries_and_then_what_is_none() {
    let options = |from| OrderOptions { from: Some(from), ..OrderOptions::default() };
    let order = |text: &str| Order::parse_with(text, &options("[8,40]"), &ExampleTerms).unwrap();
    let geo = |id: &str, text: &str| with_values(id, Kind::GeoProperty, &[text]);
    let entities = || {
        vec![
            with_values("none", Kind::Property, &[]),
            with_values("text", Kind::Property, &["\"x\""]),
            with_values("number", Kind::Property, &["5"]),
            geo("far", r#"{"type":"Point","coordinates":[9,41]}"#),
            geo("line", r#"{"type":"LineString","coordinates":[[8.1,30],[8.1,50]]}"#),
            geo("near", r#"{"type":"Point","coordinates":[8.01,40.01]}"#),
        ]
    };
    let nearest = ["near", "line", "far", "number", "text", "none"];
    assert_eq!(sorted(&order("a;dist-asc"), entities()), nearest);
    let farthest = ["far", "line", "near", "text", "number", "none"];
    assert_eq!(sorted(&order("a;dist-desc"), entities()), farthest);
    let options = OrderOptions {
        from: Some("[[9,41],[9,42]]"),
        geometry: Some("LineString"),
        ..OrderOptions::default()
    };
    let order = Order::parse_with("a;dist-asc", &options, &ExampleTerms).unwrap();
    assert_eq!(sorted(&order, entities())[0], "far");
}

#[test]
fn what_is_no_order_is_refused_with_the_place() {
    let check = |order_by: &str, options: &OrderOptions<'_>, expected: &str| {
        let refusal = Order::parse_with(order_by, options, &ExampleTerms).unwrap_err();
        let shown = format!("{} {} {}", refusal.parameter, refusal.at, refusal.reason);
        assert_eq!(shown, expected, "{order_by} {options:?}");
    };
    let none = OrderOptions::default();
    check("", &none, "orderBy 1 the name of an attribute was expected");
    check("a,", &none, "orderBy 3 the name of an attribute was expected");
    check("5", &none, "orderBy 1 the name of an attribute was expected");
    check("a;up", &none, "orderBy 3 asc, desc, dist-asc or dist-desc was expected");
    check("a;", &none, "orderBy 3 asc, desc, dist-asc or dist-desc was expected");
    check("a desc", &none, "orderBy 3 ';', ',' or the end was expected");
    check("a{b}", &none, "orderBy 2 an order does not look into linked entities");
    check("a[b", &none, "orderBy 4 '.' or ']' was expected");
    check("a:b:c d", &none, "orderBy 7 ';', ',' or the end was expected");
    let many = vec!["a"; 17].join(",");
    check(&many, &none, "orderBy 33 there are more than 16 terms");
    check(
        "a;dist-asc",
        &none,
        "orderFrom 1 an order by distance needs the coordinates that it is measured from",
    );
    let at = |from| OrderOptions { from: Some(from), ..OrderOptions::default() };
    check("id;dist-asc", &at("[1,2]"), "orderBy 1 only a GeoProperty as a whole has a distance");
    check("a[b];dist-asc", &at("[1,2]"), "orderBy 1 only a GeoProperty as a whole has a distance");
    check(
        "a",
        &at("[1,95]"),
        "orderFrom 1 not a GeoJSON geometry: the latitude 95 is not between -90 and 90",
    );
    let circle = OrderOptions { geometry: Some("Circle"), ..at("[1,2]") };
    assert_eq!(
        Order::parse_with("a", &circle, &ExampleTerms).unwrap_err().parameter,
        "orderGeometry"
    );
    let alone = OrderOptions { geometry: Some("Point"), ..none };
    check("a", &alone, "orderFrom 1 orderGeometry needs the coordinates of the geometry");
}

#[test]
fn the_default_is_the_order_of_creation() {
    assert!(Order::default().is_creation());
    assert!(!parse("id").is_creation());
    assert_eq!(
        sorted(&Order::default(), vec![entity("b", vec![]), entity("a", vec![])]),
        ["b", "a"]
    );
}

#[test]
fn a_long_text_counts_by_its_beginning() {
    let text = |end: &str| format!("\"{}{end}\"", "あ".repeat(Order::MAX_CHARACTERS));
    assert_eq!(order_of("a", Kind::Property, &[&text("b"), &text("a")]), [0, 1]);
    let text = |end: &str| format!("\"{}{end}\"", "あ".repeat(Order::MAX_CHARACTERS - 1));
    assert_eq!(order_of("a", Kind::Property, &[&text("b"), &text("a")]), [1, 0]);
}

fn any_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (-3..3_i32).prop_map(|number| number.to_string()),
        "[a-cあ-うア-ウ]{0,3}".prop_map(|text| format!("\"{text}\"")),
        prop::sample::select(TYPES.to_vec()).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop::collection::vec(inner, 0..3).prop_map(|elements| format!("[{}]", elements.join(",")))
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-c.;,\\[\\]{} :é-]{0,30}|.{0,30}", collation in ".{0,20}") {
        let _ = Order::parse(&text, Some(&collation), &ExampleTerms);
        let options = OrderOptions { from: Some(&collation), ..OrderOptions::default() };
        let _ = Order::parse_with(&text, &options, &ExampleTerms);
    }

    #[test]
    fn the_order_is_total(
        values in prop::collection::vec(prop::collection::vec(any_value(), 0..3), 3),
        order_by in prop::sample::select(vec!["a", "a;desc", "a[b],a;desc", "id"]),
    ) {
        let order = parse(order_by);
        let keys: Vec<OrderKey> = values.iter().map(|values| {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            order.key(&with_values("x", Kind::Property, &values))
        }).collect();
        for one in &keys {
            prop_assert_eq!(order.compare(one, one), Ordering::Equal);
            for other in &keys {
                prop_assert_eq!(order.compare(one, other), order.compare(other, one).reverse());
                for third in &keys {
                    if order.compare(one, other).is_le() && order.compare(other, third).is_le() {
                        prop_assert!(order.compare(one, third).is_le());
                    }
                }
            }
        }
    }
}
