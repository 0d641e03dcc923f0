//! Text with expressions in it: identifiers, above all.

use serde_json::Value;

use super::{Expression, Failure, Scope};

/// Text with expressions in `${…}`.
#[derive(Debug)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    Value(Expression),
}

impl Template {
    /// Compiles a template.
    ///
    /// The error is a sentence.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let end = closing_brace(after)
                .ok_or_else(|| format!("a \"${{\" is not closed in {text:?}"))?;
            let (inner, tail) = after.split_at(end);
            parts.push(Part::Value(Expression::compile(inner)?));
            rest = tail.strip_prefix('}').unwrap_or(tail);
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The text with values in it. An empty value counts as missing: an identifier without its
    /// distinguishing part would be that of every other item, too.
    pub(crate) fn render(&self, scope: &Scope<'_>) -> Result<String, Failure> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Value(expression) => match expression.evaluate(scope)? {
                    Value::String(value) if value.is_empty() => {
                        return Err(Failure::Missing("a part of the template".to_owned()));
                    }
                    Value::String(value) => text.push_str(&value),
                    value @ (Value::Number(_) | Value::Bool(_)) => {
                        text.push_str(&value.to_string());
                    }
                    Value::Null | Value::Array(_) | Value::Object(_) => {
                        return Err(Failure::Failed(
                            "a template holds texts, numbers and booleans only".to_owned(),
                        ));
                    }
                },
            }
        }
        Ok(text)
    }
}

/// Where the brace that ends an expression stands; braces in it and quotes are skipped.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(index),
            (None, '}') => depth -= 1,
            (Some(_) | None, _) => {}
        }
    }
    None
}
