//! Laws of the language, on generated queries.

use musubi_model::Timestamp;
use proptest::prelude::*;

use super::*;

/// The meaning of `text`, a query of single letters, by cutting it apart: letters of `there` exist.
fn naive(text: &str, there: &str) -> bool {
    fn parts(text: &str, separator: char) -> Vec<&str> {
        let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
        for (at, character) in text.char_indices() {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                other if other == separator && depth == 0 => {
                    parts.push(&text[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        parts.push(&text[start..]);
        parts
    }
    parts(text, '|').into_iter().any(|alternative| {
        parts(alternative, ';').into_iter().all(|atom| {
            if let Some(inner) = atom.strip_prefix('(') {
                naive(&inner[..inner.len() - 1], there)
            } else if let Some(absent) = atom.strip_prefix('!') {
                !there.contains(absent)
            } else {
                there.contains(atom)
            }
        })
    })
}

fn any_logic() -> impl Strategy<Value = String> {
    let atom = "!?[a-f]";
    atom.prop_recursive(4, 30, 4, |inner| {
        (prop::collection::vec((inner, any::<bool>()), 1..4), any::<bool>()).prop_map(
            |(operands, parentheses)| {
                let mut text = String::new();
                for (operand, or) in &operands {
                    if !text.is_empty() {
                        text.push(if *or { '|' } else { ';' });
                    }
                    text.push_str(operand);
                }
                if parentheses { format!("({text})") } else { text }
            },
        )
    })
}

/// Texts that are nearly queries.
fn nearly_a_query() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b.c",
        "createdAt",
        "[x]",
        "[*]",
        "==",
        "!=",
        ">",
        "<=",
        "~=",
        "!~=",
        "!",
        ";",
        "|",
        "(",
        ")",
        ",",
        "..",
        "5",
        "-1e3",
        "\"x\"",
        "\"",
        "\\",
        "true",
        "2020-01-01",
        "2020-01-01T00:00:00Z",
        "urn:a:b",
        "{",
        "}",
        " ",
        "é",
        ".*",
        "[",
        "日本",
    ]);
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_precedence_is_that_of_a_naive_reading(text in any_logic(), there in "[a-f]{0,6}") {
        let attributes = there.chars().map(String::from).collect::<std::collections::BTreeSet<_>>();
        let entity = Entity::create(
            EntityFragment {
                id: Some("urn:a:b".parse().unwrap()),
                types: vec!["urn:t".parse().unwrap()],
                attributes: attributes.iter().map(|term| one(term, instance(Kind::Property, "1"))).collect(),
                ..EntityFragment::default()
            },
            Timestamp::EPOCH,
        ).unwrap();
        let query = Query::parse(&text, &ExampleTerms).unwrap();
        prop_assert_eq!(query.matches(&entity), naive(&text, &there), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,60}") {
        let _ = Query::parse(&text, &ExampleTerms);
    }

    #[test]
    fn a_query_survives_its_binary_form_and_evaluates_without_a_panic(text in nearly_a_query()) {
        if let Ok(query) = Query::parse(&text, &ExampleTerms) {
            let bytes = postcard::to_stdvec(&query).unwrap();
            prop_assert_eq!(&postcard::from_bytes::<Query>(&bytes).unwrap(), &query);
            let _ = query.matches(&car());
        }
    }

    #[test]
    fn equal_and_unequal_are_opposites_where_there_is_one_value(
        path in prop::sample::select(vec!["brand", "temperature", "parked", "colors", "address", "day", "owners", "name", "empty"]),
        literal in prop::sample::select(vec!["5", "\"red\"", "true", "2020-01-02", "urn:p:1", "-30..0", "\"a\",\"blue\""]),
    ) {
        let holds = |operator: &str| {
            Query::parse(&format!("{path}{operator}{literal}"), &ExampleTerms).unwrap().matches(&car())
        };
        prop_assert_ne!(holds("=="), holds("!="));
    }
}
