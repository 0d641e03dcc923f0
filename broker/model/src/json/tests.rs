use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Node<'_>, JsonError> {
    Node::parse(text, Limits::default())
}

#[test]
fn what_is_wrong_is_said_with_line_and_column() {
    let check = |text: &str, expected: &str| {
        assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
    };
    check("", "a value was expected and the text ends at line 1, column 1");
    check("  \n nul", "a value was expected at line 2, column 2");
    check(
        "{\"a\":1,\n\"a\":2}",
        "the key \"a\" stands twice in the same object at line 2, column 1",
    );
    check(
        r#"{"a":1,"\u0061":2}"#,
        "the key \"a\" stands twice in the same object at line 1, column 8",
    );
    check("[1,]", "a value was expected at line 1, column 4");
    check("[1 2]", "',' or ']' was expected at line 1, column 4");
    check("{\"a\" 1}", "':' was expected at line 1, column 6");
    check("{a:1}", "a key in quotes was expected at line 1, column 2");
    check("{\"a\":1,}", "a key in quotes was expected at line 1, column 8");
    check("{\"a\":1", "',' or '}' was expected at line 1, column 7");
    check("1 2", "the end of the text was expected at line 1, column 3");
    check("\"日本\" x", "the end of the text was expected at line 1, column 6");
    check("01", "a number has no leading zeros at line 1, column 1");
    check("-", "a digit was expected at line 1, column 2");
    check("1.", "a digit was expected at line 1, column 3");
    check("1e+", "a digit was expected at line 1, column 4");
    check("[1e999]", "the number is too large at line 1, column 2");
    check("NaN", "a value was expected at line 1, column 1");
    check("Infinity", "a value was expected at line 1, column 1");
    check("\"a", "the text ends inside a string at line 1, column 3");
    check("\"a\nb\"", "a control character in a string has to be escaped at line 1, column 3");
    check(r#""\x""#, "unknown escape at line 1, column 2");
    check(r#""\u12g4""#, "four hexadecimal digits were expected at line 1, column 6");
    check(r#""\ud800""#, "half of a surrogate pair is not a character at line 1, column 2");
    check(r#""\ud800\u0041""#, "half of a surrogate pair is not a character at line 1, column 2");
    check(r#""\udc00""#, "half of a surrogate pair is not a character at line 1, column 2");
}

#[test]
fn nesting_is_limited_however_deep_the_text() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(parse(&nested(64)).is_ok());
    let refusal = parse(&nested(65)).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "arrays and objects nest deeper than 64 levels at line 1, column 65"
    );
    assert!(parse(&nested(1_000)).is_err());
    let boundless = Limits { depth: usize::MAX };
    assert!(Node::parse(&nested(Limits::MAX_DEPTH), boundless).is_ok());
    assert!(Node::parse(&"[".repeat(1_000_000), boundless).is_err());
    assert!(Node::parse(&"{\"a\":".repeat(1_000_000), boundless).is_err());
    assert!(Node::parse("[]", Limits { depth: 0 }).is_err());
    assert!(Node::parse("1", Limits { depth: 0 }).is_ok());
}

#[test]
fn many_keys_are_compared_in_reasonable_time_and_a_late_repetition_is_found() {
    let members: Vec<String> = (0..50_000).map(|index| format!("\"k{index}\":0")).collect();
    let text = format!("{{{}}}", members.join(","));
    assert_eq!(parse(&text).unwrap().as_object().unwrap().len(), 50_000);
    let text = format!("{{{},\"k40000\":1}}", members.join(","));
    assert!(parse(&text).unwrap_err().reason.contains("\"k40000\""));
}

#[test]
fn a_value_knows_its_own_text() {
    let text = " { \"a\" : [ 1 , \"x y\" ] , \"b\":\t1.50 } ";
    let node = parse(text).unwrap();
    assert_eq!(node.raw, text.trim());
    assert_eq!(node.member("a").unwrap().raw, "[ 1 , \"x y\" ]");
    assert_eq!(node.member("b").unwrap().raw, "1.50");
    assert_eq!(node.to_json().as_str(), r#"{"a":[1,"x y"],"b":1.50}"#);
    assert_eq!(node.member("c"), None);
    assert_eq!(node.member("a").unwrap().as_array().unwrap()[1].as_str(), Some("x y"));
}

#[test]
fn a_string_without_escapes_is_borrowed() {
    let node = parse(r#"["plain ü", "tab\t\ud83d\ude00\/"]"#).unwrap();
    let strings = node.as_array().unwrap();
    assert!(matches!(&strings[0].document, Document::String(Cow::Borrowed("plain ü"))));
    assert_eq!(strings[1].as_str(), Some("tab\t😀/"));
}

#[test]
fn the_kinds_of_a_json_text_are_told_apart() {
    let check = |text: &str, kind: JsonKind| assert_eq!(Json::parse(text).unwrap().kind(), kind);
    check("null", JsonKind::Null);
    check(" true", JsonKind::Boolean);
    check("-1", JsonKind::Number);
    check("\"\"", JsonKind::String);
    check("[ ]", JsonKind::Array);
    check("{ }", JsonKind::Object);
    assert_eq!(Json::parse(r#""a\"b""#).unwrap().as_text().unwrap(), "a\"b");
    assert_eq!(Json::parse("1e2").unwrap().as_f64(), Some(100.0));
    assert_eq!(Json::parse("true").unwrap().as_bool(), Some(true));
}

/// What a JSON text means, as `serde_json` sees it.
fn meaning(node: &Node<'_>) -> serde_json::Value {
    match &node.document {
        Document::Null => serde_json::Value::Null,
        Document::Boolean(boolean) => (*boolean).into(),
        Document::Number(number) => (*number).into(),
        Document::String(text) => text.as_ref().into(),
        Document::Array(elements) => elements.iter().map(meaning).collect(),
        Document::Object(members) => {
            members.iter().map(|(key, node)| (key.to_string(), meaning(node))).collect()
        }
    }
}

/// The same value with every number as a float, since `Document` does not tell them apart.
fn with_floats(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Number(number) => number.as_f64().unwrap().into(),
        serde_json::Value::Array(elements) => elements.into_iter().map(with_floats).collect(),
        serde_json::Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, with_floats(value))).collect()
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::String(_) => {
            value
        }
    }
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Texts that are nearly JSON: pieces of it in any order.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\n\"",
        "\"\n\"",
        "1",
        "-0",
        "01",
        "1.5e3",
        "1.",
        "1e999",
        "-",
        "+1",
        "true",
        "fals",
        "null",
        " ",
        "\n",
        "\u{feff}",
        "é",
        "\\",
        "\"",
        "123456789012345678901234567890",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn each_of_many_keys_may_stand_once_in_each_object() {
    for (many, twice) in [(3, 0), (16, 0), (16, 15), (17, 16), (40, 3), (40, 39)] {
        // Inner objects with the same keys come in between.
        let member = |key: usize| format!("\"k{key}\":{{\"k0\":[{key}],\"k{key}x\":{key}}}");
        let mut members: Vec<String> = (0..many).map(member).collect();
        let text = format!("{{{}}}", members.join(","));
        let node = parse(&text).unwrap();
        let read = node.as_object().unwrap();
        let keys: Vec<String> = read.iter().map(|(key, _)| key.to_string()).collect();
        assert_eq!(keys, (0..many).map(|key| format!("k{key}")).collect::<Vec<_>>());
        let inner: Vec<&str> = read.iter().map(|(_, member)| member.raw).collect();
        assert_eq!(inner[many - 1], format!("{{\"k0\":[{0}],\"k{0}x\":{0}}}", many - 1));
        members.push(member(twice));
        let refused = parse(&format!("{{{}}}", members.join(","))).unwrap_err();
        assert_eq!(refused.reason, format!("the key \"k{twice}\" stands twice in the same object"));
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_with_the_same_meaning(value in any_value(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.unwrap();
        let node = parse(&text).unwrap();
        prop_assert_eq!(meaning(&node), with_floats(value.clone()));
        let compact = node.to_json();
        prop_assert_eq!(with_floats(compact.to_value()), with_floats(value));
        let again = Json::parse(compact.as_str()).unwrap();
        prop_assert_eq!(&again, &compact);
        if !pretty {
            prop_assert_eq!(compact.as_str(), text.as_str());
        }
    }

    #[test]
    fn it_accepts_what_serde_json_accepts_but_for_repeated_keys(text in nearly_json()) {
        let ours = parse(&text);
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match (ours, theirs) {
            (Ok(node), Ok(value)) => prop_assert_eq!(meaning(&node), with_floats(value)),
            (Err(_), Err(_)) => {}
            (Err(error), Ok(_)) => prop_assert!(error.reason.contains("stands twice"), "{}", error),
            (Ok(_), Err(error)) => prop_assert!(false, "accepted {text:?}: {error}"),
        }
    }

    #[test]
    fn any_text_at_all_is_read_or_refused(text in ".{0,80}") {
        let _ = parse(&text);
    }
}
