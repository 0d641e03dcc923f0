//! The `@container` of a term.

use serde_json::Value;

const KINDS: [&str; 7] = ["@graph", "@id", "@index", "@language", "@list", "@set", "@type"];

/// The kinds of container that a definition names, sorted, each once; none if they are not what
/// JSON-LD 1.1 allows: one of them; `@set` and another one; or `@graph` with one of `@id` and
/// `@index`, and perhaps `@set`. A list is alone.
pub(super) fn kinds(value: &Value) -> Option<Vec<&'static str>> {
    let kind = |value: &Value| KINDS.into_iter().find(|kind| value.as_str() == Some(kind));
    let mut kinds = match value {
        Value::Null => return Some(Vec::new()),
        Value::Array(elements) => elements.iter().map(kind).collect::<Option<Vec<_>>>()?,
        Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            vec![kind(value)?]
        }
    };
    kinds.sort_unstable();
    kinds.dedup();
    let others: Vec<&str> = kinds.iter().copied().filter(|kind| *kind != "@set").collect();
    let fits = match others.as_slice() {
        [] => !kinds.is_empty(),
        ["@list"] => kinds.len() == 1,
        [_] | ["@graph", "@id" | "@index"] => true,
        _ => false,
    };
    fits.then_some(kinds)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn containers_go_together_as_json_ld_says() {
        for (given, read) in [
            (json!(null), Some(vec![])),
            (json!("@list"), Some(vec!["@list"])),
            (json!(["@type"]), Some(vec!["@type"])),
            (json!(["@set", "@index"]), Some(vec!["@index", "@set"])),
            (json!(["@set", "@id", "@graph"]), Some(vec!["@graph", "@id", "@set"])),
            (json!(["@graph", "@set"]), Some(vec!["@graph", "@set"])),
            (json!(["@set", "@set"]), Some(vec!["@set"])),
            (json!([]), None),
            (json!("@bag"), None),
            (json!(5), None),
            (json!(["@list", "@set"]), None),
            (json!(["@index", "@language"]), None),
            (json!(["@graph", "@id", "@index"]), None),
            (json!(["@graph", "@type"]), None),
        ] {
            assert_eq!(kinds(&given), read, "{given}");
        }
    }
}
