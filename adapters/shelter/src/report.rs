//! What offices and doors send over HTTP.

use musubi_model::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Status, parse_moment};

/// An absolute count: so many people at that time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The shelter's id.
    pub shelter: String,
    /// When it was counted.
    pub at: Timestamp,
    /// People.
    pub people: u64,
    /// Households.
    pub households: Option<u64>,
    /// The state, if it was said.
    pub status: Option<Status>,
}

/// A coming or going.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckIn {
    /// Unique for each event; the same event may be sent again.
    pub event: String,
    /// The shelter's id.
    pub shelter: String,
    /// When it happened.
    pub at: Timestamp,
    /// How many came, or, negative, went.
    pub delta: i64,
}

/// Why an item of a body was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidReport(pub String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportBody {
    shelter: String,
    at: String,
    people: u64,
    households: Option<u64>,
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CheckInBody {
    event_id: String,
    shelter: String,
    at: String,
    delta: i64,
}

/// The most items in one body.
pub(crate) const MAX_ITEMS: usize = 10_000;
/// The longest id of a shelter or an event, in bytes.
const MAX_ID: usize = 256;
/// Nobody counts more people in one place.
const MAX_PEOPLE: u64 = 1_000_000;

/// The reports in a body: one object or an array of them, each read by itself.
pub(crate) fn parse_reports(body: &[u8]) -> Result<Vec<Result<Report, InvalidReport>>, InvalidReport> {
    items(body, |item: ReportBody| {
        if item.people > MAX_PEOPLE || item.households.is_some_and(|count| count > MAX_PEOPLE) {
            return Err(InvalidReport(format!("people and households are at most {MAX_PEOPLE}")));
        }
        let status = match item.status {
            None => None,
            Some(name) => Some(Status::from_name(&name).ok_or_else(|| {
                InvalidReport(format!("status {name:?} is not one of planned, opening, open, full, closing, closed, permanent, unknown, suspended"))
            })?),
        };
        Ok(Report {
            shelter: id("shelter", item.shelter)?,
            at: moment(&item.at)?,
            people: item.people,
            households: item.households,
            status,
        })
    })
}

/// The check-ins in a body: one object or an array of them, each read by itself.
pub(crate) fn parse_check_ins(
    body: &[u8],
) -> Result<Vec<Result<CheckIn, InvalidReport>>, InvalidReport> {
    items(body, |item: CheckInBody| {
        if item.delta.unsigned_abs() > MAX_PEOPLE {
            return Err(InvalidReport(format!("delta is between -{MAX_PEOPLE} and {MAX_PEOPLE}")));
        }
        Ok(CheckIn {
            event: id("eventId", item.event_id)?,
            shelter: id("shelter", item.shelter)?,
            at: moment(&item.at)?,
            delta: item.delta,
        })
    })
}

fn items<B: DeserializeOwned, T>(
    body: &[u8],
    convert: impl Fn(B) -> Result<T, InvalidReport>,
) -> Result<Vec<Result<T, InvalidReport>>, InvalidReport> {
    let value: serde_json::Value = serde_json::from_slice(body)
        .map_err(|error| InvalidReport(format!("the body is not JSON: {error}")))?;
    let values = match value {
        serde_json::Value::Array(values) => values,
        one => vec![one],
    };
    if values.is_empty() || values.len() > MAX_ITEMS {
        return Err(InvalidReport(format!("a body holds 1 to {MAX_ITEMS} items")));
    }
    Ok(values
        .into_iter()
        .map(|value| {
            serde_json::from_value(value)
                .map_err(|error| InvalidReport(error.to_string()))
                .and_then(&convert)
        })
        .collect())
}

fn id(member: &str, text: String) -> Result<String, InvalidReport> {
    if text.is_empty() || text.len() > MAX_ID || text.chars().any(char::is_control) {
        return Err(InvalidReport(format!("{member} has 1 to {MAX_ID} bytes and no control characters")));
    }
    Ok(text)
}

fn moment(text: &str) -> Result<Timestamp, InvalidReport> {
    parse_moment(text).map_err(|error| InvalidReport(format!("at: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_stands_for_itself() {
        let body = br#"[{"shelter":"001","at":"2024-01-11T09:00:00Z","people":12},
            {"shelter":"002","at":"yesterday","people":1},
            {"shelter":"003","at":"2024-01-11T09:00:00Z","people":-1},
            {"shelter":"","at":"2024-01-11T09:00:00Z","people":1},
            {"shelter":"004","at":"2024-01-11T09:00:00Z","people":1,"name":"x"},
            {"shelter":"005","at":"2024-01-11T09:00:00Z","people":1,"status":"shut"}]"#;
        let read = parse_reports(body).unwrap();
        assert_eq!(read[0].as_ref().unwrap().people, 12);
        let reasons: Vec<String> =
            read[1..].iter().map(|item| item.as_ref().unwrap_err().to_string()).collect();
        for (reason, expected) in reasons.iter().zip(["at:", "people", "shelter", "name", "status"]) {
            assert!(
                reason.contains(expected) || reason.contains("invalid value"),
                "{reason} should speak of {expected}"
            );
        }
    }

    #[test]
    fn a_body_that_is_no_json_is_refused_as_a_whole() {
        assert!(parse_reports(b"<html>").is_err());
        assert!(parse_check_ins(b"[]").is_err());
    }
}
