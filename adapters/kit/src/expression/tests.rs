//! Paths, CEL, numbers and templates.

use serde_json::json;

use super::*;

fn topic() -> BTreeMap<String, String> {
    BTreeMap::from([("device".to_owned(), "0101".to_owned())])
}

fn message() -> Value {
    json!({
        "t": 215, "f": 21.5, "half": 0.5, "name": "A-1", "on": true, "none": null,
        "object": { "laeq": 63, "list": [1, 2, 3] }, "fPort": 2, "big": 18_446_744_073_709_551_615_u64
    })
}

fn evaluate(text: &str) -> Result<Value, Failure> {
    let (topic, message) = (topic(), message());
    let device = json!({ "lon": 139.5 });
    let scope = Scope::new(&topic, &message, &device, Timestamp::from_seconds(0));
    Expression::compile(text).unwrap().evaluate(&scope)
}

fn check(text: &str, expected: Value) {
    assert_eq!(evaluate(text), Ok(expected), "{text}");
}

#[test]
fn a_path_reaches_a_member_without_cel() {
    assert!(matches!(Expression::compile("m.object.laeq"), Ok(Expression::Path(_))));
    assert!(matches!(Expression::compile("/object/laeq"), Ok(Expression::Pointer(_))));
    assert!(matches!(Expression::compile("m.object.laeq + 1"), Ok(Expression::Cel(_))));
    check("m.object.laeq", json!(63));
    check("/object/list/1", json!(2));
    check("topic.device", json!("0101"));
    check("device.lon", json!(139.5));
    check("arrival", json!("1970-01-01T00:00:00Z"));
}

#[test]
fn integers_of_json_work_in_a_float_expression() {
    check("m.t * 0.1 + 1", json!(22.5));
    check("m.t / 10", json!(21.5));
    check("m.f + 1", json!(22.5));
    check("1 + m.f", json!(22.5));
    check("m.f * m.t", json!(4622.5));
    check("-m.f - 1", json!(-22.5));
    check("double(m.t) * 1.8 + 32.0", json!(419));
    check("int(m.t / 10)", json!(21));
    check("m.half > 0 ? m.t * 1.5 : 0", json!(322.5));
}

#[test]
fn integers_stay_integers_elsewhere() {
    check("m.t + 1", json!(216));
    check("m.t % 10", json!(5));
    check("m.object.list[1]", json!(2));
    check("m.object.list.map(x, x * 2)", json!([2, 4, 6]));
    check("size(m.object.list)", json!(3));
    check("m.fPort == 2 && has(m.object)", json!(true));
    check("m.big", json!(18_446_744_073_709_551_615_u64));
    check("m.f > 20", json!(true));
    check("m.f == 21.5 && m.t > 100", json!(true));
}

#[test]
fn the_functions_do_what_they_say() {
    check("round(m.f * 1.234, 1)", json!(26.5));
    check("round(2.5)", json!(3));
    check("clamp(m.t, 0, 100)", json!(100));
    check(
        "parse_time('2024/05/01 12:00', '%Y/%m/%d %H:%M', 'Asia/Tokyo')",
        json!("2024-05-01T03:00:00Z"),
    );
    assert!(matches!(evaluate("parse_time('x', '%Y', 'Asia/Tokyo')"), Err(Failure::Failed(_))));
    assert!(matches!(evaluate("round(m.name)"), Err(Failure::Failed(_))));
    check("m.name.startsWith('A')", json!(true));
    check("m.name.matches('^[A-Z]-[0-9]$')", json!(true));
}

#[test]
fn what_is_not_there_is_missing_and_not_an_error() {
    for text in
        ["m.nothing", "m.none", "m.object.laeq.deeper", "/nothing", "topic.app", "m.none ? 1 : 2"]
    {
        let missing = evaluate(text);
        let is_condition = text.contains('?');
        assert!(matches!(missing, Err(Failure::Missing(_))) != is_condition, "{text}: {missing:?}");
    }
    assert!(matches!(evaluate("m.nothing + 1"), Err(Failure::Missing(_))));
}

#[test]
fn what_cannot_be_computed_fails_with_a_sentence() {
    for text in ["m.t / 0", "m.name * 2", "m.t % 0", "0.0 / 0.0", "bytes(m.name)"] {
        assert!(matches!(evaluate(text), Err(Failure::Failed(_))), "{text}: {:?}", evaluate(text));
    }
}

#[test]
fn what_is_no_expression_is_refused_when_the_file_is_read() {
    for text in ["m.", "m.a +", "x.y", "launch(m)", "", "1 +* 2"] {
        assert!(Expression::compile(text).is_err(), "{text}");
    }
    let unknown = Expression::compile("message.t + 1").unwrap_err();
    assert!(unknown.contains("message"), "{unknown}");
    assert!(Expression::compile(&"m.t+".repeat(5000)).is_err());
    assert!(Expression::compile(&"(".repeat(2000)).is_err());
}

#[test]
fn an_expression_at_its_limits_does_not_exhaust_the_stack() {
    let sum = vec!["1"; 33].join("+");
    check(&sum, json!(33));
    let not = format!("{}m.on", "!".repeat(31));
    check(&not, json!(false));
    let deep = format!("{}m.t{}", "round(".repeat(8), ")".repeat(8));
    check(&deep, json!(215));
    let lists = format!("{}1{}", "[".repeat(8), "]".repeat(8));
    assert!(evaluate(&lists).is_ok());
    let maps = format!("{}x{}", "[1].map(x, ".repeat(7), ")".repeat(7));
    assert!(evaluate(&maps).is_ok(), "{:?}", evaluate(&maps));
    let choice = format!("{}3", "m.half > 1 ? 1 : ".repeat(10));
    check(&choice, json!(3));
    let members = format!("m{}", ".a".repeat(500));
    assert!(matches!(evaluate(&members), Err(Failure::Missing(_))));
    let indexed = |count: usize| Expression::compile(&format!("m{}", "['a']".repeat(count)));
    assert!(indexed(32).is_ok());
    assert!(indexed(33).is_err());
}

#[test]
fn the_same_map_is_always_the_same_text() {
    let first = evaluate("{'b': 1, 'a': 2, 'c': 3}").unwrap().to_string();
    assert_eq!(first, r#"{"a":2,"b":1,"c":3}"#);
}

#[test]
fn templates_hold_texts_numbers_and_braces() {
    let (topic, message) = (topic(), message());
    let scope = Scope::new(&topic, &message, &Value::Null, Timestamp::from_seconds(0));
    let check = |text: &str, expected: &str| {
        let template = Template::compile(text).unwrap();
        assert_eq!(template.render(&scope).as_deref(), Ok(expected), "{text}");
    };
    check("urn:x:${topic.device}:${m.fPort}", "urn:x:0101:2");
    check("${{'a}': 'v'}['a}']}-", "v-");
    check("plain", "plain");
    assert!(Template::compile("urn:${m.t").is_err());
    for text in ["${m.nothing}", "${m.object}", "${''}"] {
        assert!(Template::compile(text).unwrap().render(&scope).is_err(), "{text}");
    }
}
