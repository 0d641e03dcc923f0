//! What is wrong with an entity, and where.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

/// The longest value that is shown in a reason, in bytes of JSON.
const SHOWN_VALUE: usize = 60;
/// The longest reason, in characters.
const REASON: usize = 300;

/// One thing that a schema finds wrong with a simplified entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The short name of the attribute, missing or there; none if the entity as a whole is meant.
    pub attribute: Option<String>,
    /// Where in the simplified entity, as a JSON pointer; empty for the entity itself.
    pub at: String,
    /// Where in the schema, along the references that were followed, as a JSON pointer.
    pub rule: String,
    /// Whether something is missing in the entity itself, which a part of an entity may leave
    /// out.
    pub is_missing: bool,
    /// What is wrong, in a sentence that shows the value if it is short.
    pub reason: String,
    /// The same without any value of the entity, for logs.
    pub reason_without_value: String,
    /// What the schema says of the attribute, or of the part of it that is wrong.
    pub description: Option<String>,
}

impl Violation {
    pub(crate) fn of(error: &ValidationError<'_>, schema: &Value) -> Self {
        let at = error.instance_path().as_str().to_owned();
        let attribute = attribute(error, &at);
        let is_missing =
            at.is_empty() && matches!(error.kind(), ValidationErrorKind::Required { .. });
        let masked = shortened(&error.masked_with("the value").to_string(), REASON);
        let short = error.instance().to_string().len() <= SHOWN_VALUE;
        let reason = if short && !at.is_empty() {
            shortened(&error.to_string(), REASON)
        } else {
            masked.clone()
        };
        let description =
            description(schema, error.schema_path().as_str(), attribute.as_deref(), &at);
        Self {
            attribute,
            at,
            rule: error.evaluation_path().as_str().to_owned(),
            is_missing,
            reason,
            reason_without_value: masked,
            description,
        }
    }

    /// The reason, and what the schema says of it.
    pub fn explained(&self) -> String {
        match &self.description {
            None => self.reason.clone(),
            Some(text) => format!("{} ({})", self.reason, text.trim_end_matches('.')),
        }
    }

    /// Where in the attribute's value, as a JSON pointer; empty for the value as a whole.
    pub fn inside(&self) -> &str {
        let mut slashes = self.at.match_indices('/').skip(1);
        slashes.next().map_or("", |(at, _)| self.at.get(at..).unwrap_or_default())
    }
}

/// The attribute that an error is about: the one that it stands in, or that is missing or too
/// much.
fn attribute(error: &ValidationError<'_>, at: &str) -> Option<String> {
    if let Some(first) = at.split('/').nth(1) {
        return Some(first.replace("~1", "/").replace("~0", "~"));
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "few of the kinds name an attribute")]
    match error.kind() {
        ValidationErrorKind::Required { property } => property.as_str().map(str::to_owned),
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected.first().cloned(),
        ValidationErrorKind::PropertyNames { error } => {
            error.instance().as_str().map(str::to_owned)
        }
        _ => None,
    }
}

/// The description that stands closest to the rule; never that of the whole schema.
fn description(schema: &Value, rule: &str, attribute: Option<&str>, at: &str) -> Option<String> {
    let mut place = rule;
    if !at.is_empty() {
        while let Some((parent, _)) = place.rsplit_once('/') {
            place = parent;
            if place.is_empty() {
                break;
            }
            if let Some(text) = schema.pointer(place).and_then(described) {
                return Some(text);
            }
        }
    }
    schema.get("properties")?.get(attribute?).and_then(described)
}

fn described(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    Some(shortened(text, REASON))
}

/// The first `most` characters of a text, and an ellipsis if there are more.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}
