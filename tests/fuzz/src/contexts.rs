//! Context documents.

use musubi_context::{Context, ContextError, ContextSource};
use serde_json::Value;

/// Compiles the value of an `@context` member that refers to nothing.
pub(crate) fn compiled(document: &str) -> Result<Context, ContextError> {
    let document = document.to_owned();
    Context::from_source(&ContextSource { url: None, member: document.clone(), document })
}

/// Compiles the input, and expands and compacts every text in it.
///
/// # Panics
///
/// If what an IRI is written as is read as another one.
pub fn context(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(context) = compiled(text) else { return };
    let Ok(document) = serde_json::from_str::<Value>(text) else { return };
    let mut texts = vec![String::from("speed"), String::from("https://example.org/a")];
    collect(&document, &mut texts);
    for text in texts.iter().take(200) {
        comes_back(&context, text);
        for other in texts.iter().take(20) {
            comes_back(&context, &format!("{text}:{other}"));
            comes_back(&context, &format!("{text}{other}"));
        }
        let _ = (context.attribute(text), context.entity_type(text), context.coercion(text));
    }
}

fn comes_back(context: &Context, text: &str) {
    let iri = context.expand(text).into_owned();
    let short = context.compact(&iri);
    // Nothing else can be written for an IRI whose scheme is a prefix here.
    if short != iri {
        assert_eq!(context.expand(&short), iri, "by way of {short}");
    }
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, texts)),
        Value::Object(members) => {
            for (key, value) in members {
                texts.push(key.clone());
                collect(value, texts);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
