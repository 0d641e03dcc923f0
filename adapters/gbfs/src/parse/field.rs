//! The members of one item, read as leniently as can be, with a list of what was wrong.

use musubi_adapter_kit::Skip;
use musubi_model::Timestamp;
use serde_json::Value;

use crate::model::Problem;

/// The longest identifier, in bytes: it becomes part of an entity's.
const MAX_ID: usize = 256;
/// The longest sample of an item, in characters.
const MAX_SAMPLE: usize = 300;

pub(super) struct Fields<'a> {
    place: usize,
    item: &'a Value,
    id: Option<String>,
    problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(place: usize, item: &'a Value) -> Self {
        // Some publishers wrap each item once more.
        let item = match item.get("station") {
            Some(inner) if inner.is_object() && item.get("station_id").is_none() => inner,
            Some(_) | None => item,
        };
        Self { place, item, id: None, problems: Vec::new() }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The whole item is lost.
    pub(super) fn lose(&mut self, skip: Skip, reason: &str) {
        self.problem(skip, reason.to_owned(), true);
    }

    /// A part of the item is lost.
    pub(super) fn note(&mut self, skip: Skip, reason: &str) {
        self.problem(skip, reason.to_owned(), false);
    }

    fn problem(&mut self, skip: Skip, reason: String, fatal: bool) {
        let item = self.id.clone().unwrap_or_else(|| format!("item {}", self.place));
        let sample = self.item.to_string().chars().take(MAX_SAMPLE).collect();
        self.problems.push(Problem { item, skip, reason, fatal, sample });
    }

    /// The first of these members that is there and not null.
    pub(super) fn get(&self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| self.item.get(name)).filter(|value| !value.is_null())
    }

    /// The identifier; without it the item is lost.
    pub(super) fn id(&mut self, name: &str) -> Option<String> {
        let id = self.get(&[name]).and_then(text);
        match id {
            Some(id) if id.len() <= MAX_ID => {
                self.id = Some(id.clone());
                Some(id)
            }
            Some(_) => {
                self.lose(Skip::BAD_ID, "the id is too long");
                None
            }
            None => {
                self.problem(Skip::BAD_ID, format!("there is no usable {name}"), true);
                None
            }
        }
    }

    /// A finite number, also as a text.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        number(self.get(&[name])?)
    }

    /// A count; what is there and none is noted.
    pub(super) fn count(&mut self, names: &[&str]) -> Option<u64> {
        let value = self.get(names)?;
        let found = count(value);
        if found.is_none() {
            let name = names.first().copied().unwrap_or_default();
            let reason = format!("{name} is no count");
            self.problem(Skip::BAD_VALUE, reason, false);
        }
        found
    }

    /// True or false, also as 1 or 0; what is there and neither is noted.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.get(&[name])?;
        let found = match value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => match number.as_f64() {
                Some(0.0) => Some(false),
                Some(1.0) => Some(true),
                Some(_) | None => None,
            },
            Value::String(text) => match text.as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        if found.is_none() {
            self.problem(Skip::BAD_VALUE, format!("{name} is neither true nor false"), false);
        }
        found
    }
}

/// A text that is not empty; a number is one, too.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number| number.is_finite())
}

/// A whole number that is not negative, also as `3.0` or a text.
pub(super) fn count(value: &Value) -> Option<u64> {
    if let Some(count) = value.as_u64() {
        return Some(count);
    }
    let number = number(value)?;
    if number < 0.0 || number.fract() != 0.0 || number > 1e15 {
        return None;
    }
    format!("{number:.0}").parse().ok()
}

/// POSIX seconds (or milliseconds), or RFC 3339.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    if let Value::String(text) = value
        && let Ok(time) = text.trim().parse()
    {
        return Some(time);
    }
    let number = number(value).filter(|number| (0.0..1e14).contains(number))?;
    let seconds = if number >= 1e11 { number / 1000.0 } else { number };
    format!("{:.0}", seconds * 1e6).parse().ok().map(Timestamp::from_micros)
}
