//! What offices and doors send over HTTP.

use musubi_model::{Document, EntityId, Limits, Node, Timestamp};

use crate::era::parse_moment;
use crate::map::shelter_id;
use crate::{MAX_PEOPLE, Status};

/// An absolute count: so many people at that time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// The shelter.
    pub(crate) shelter: EntityId,
    /// When it was counted.
    pub(crate) at: Timestamp,
    /// People.
    pub(crate) people: u64,
    /// Households.
    pub(crate) households: Option<u64>,
    /// The state, if it was said.
    pub(crate) status: Option<Status>,
}

/// A coming or going.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckIn {
    /// Unique for each event; the same event may be sent again.
    pub(crate) event: String,
    /// The shelter.
    pub(crate) shelter: EntityId,
    /// When it happened.
    pub(crate) at: Timestamp,
    /// How many came, or, negative, went.
    pub(crate) delta: i64,
}

/// Why a body, or an item of it, was not taken, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidReport(pub(crate) String);

/// The most items in one body.
const MAX_ITEMS: usize = 10_000;
/// The longest id of a shelter or an event, in bytes.
const MAX_ID: usize = 256;
/// The longest id of an entity that is made of a shelter's, in bytes: what is remembered of it
/// has a key with both ids in it.
const MAX_ENTITY_ID: usize = 1000;

/// What was read of the items of a body, each by itself.
pub(crate) type Items<T> = Vec<Result<T, InvalidReport>>;

/// The reports in a body: one object or an array of them, each read by itself.
///
/// # Errors
///
/// [`InvalidReport`] if the body as a whole cannot be read.
pub(crate) fn parse_reports(body: &[u8]) -> Result<Items<Report>, InvalidReport> {
    items(body, |item| {
        item.refuse_others(&["shelter", "at", "people", "households", "status"])?;
        Ok(Report {
            shelter: item.shelter()?,
            at: item.at()?,
            people: item.count("people")?.ok_or_else(|| missing("people"))?,
            households: item.count("households")?,
            status: item.status()?,
        })
    })
}

/// The check-ins in a body: one object or an array of them, each read by itself.
///
/// # Errors
///
/// [`InvalidReport`] if the body as a whole cannot be read.
pub(crate) fn parse_check_ins(body: &[u8]) -> Result<Items<CheckIn>, InvalidReport> {
    items(body, |item| {
        item.refuse_others(&["eventId", "shelter", "at", "delta"])?;
        Ok(CheckIn {
            event: item.id("eventId")?.to_owned(),
            shelter: item.shelter()?,
            at: item.at()?,
            delta: item.delta()?,
        })
    })
}

fn items<T>(
    body: &[u8],
    read: impl Fn(&Item<'_>) -> Result<T, InvalidReport>,
) -> Result<Items<T>, InvalidReport> {
    let no_json = |reason: String| InvalidReport(format!("the body is not JSON: {reason}"));
    let text = std::str::from_utf8(body)
        .map_err(|error| no_json(format!("byte {} is not UTF-8", error.valid_up_to() + 1)))?;
    let node = Node::parse(text, Limits::default()).map_err(|error| no_json(error.to_string()))?;
    let nodes = node.as_array().unwrap_or(std::slice::from_ref(&node));
    if nodes.is_empty() || nodes.len() > MAX_ITEMS {
        let found = nodes.len();
        return Err(InvalidReport(format!("a body holds 1 to {MAX_ITEMS} items, not {found}")));
    }
    Ok(nodes.iter().map(|node| read(&Item(node))).collect())
}

/// One item of a body.
struct Item<'a>(&'a Node<'a>);

impl Item<'_> {
    fn refuse_others(&self, known: &[&str]) -> Result<(), InvalidReport> {
        let members = self.0.as_object().ok_or_else(|| {
            InvalidReport(format!("an item is an object with {}", known.join(", ")))
        })?;
        match members.iter().find(|(name, _)| !known.contains(&&**name)) {
            None => Ok(()),
            Some((name, _)) => Err(InvalidReport(format!(
                "{:?} is none of the members {}",
                name.chars().take(40).collect::<String>(),
                known.join(", ")
            ))),
        }
    }

    fn text(&self, name: &str) -> Result<Option<&str>, InvalidReport> {
        match self.0.member(name) {
            None => Ok(None),
            Some(node) => match node.as_str() {
                Some(text) => Ok(Some(text)),
                None => Err(InvalidReport(format!("{name} is a string"))),
            },
        }
    }

    /// A member that is a whole number in this range.
    fn number(&self, name: &str, from: i64, to: i64) -> Result<Option<i64>, InvalidReport> {
        let Some(node) = self.0.member(name) else { return Ok(None) };
        let number = match node.document {
            Document::Number(_) => node.raw.trim().parse().ok(),
            Document::Null
            | Document::Boolean(_)
            | Document::String(_)
            | Document::Array(_)
            | Document::Object(_) => None,
        };
        match number.filter(|number| (from..=to).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(InvalidReport(format!("{name} is a whole number from {from} to {to}"))),
        }
    }

    fn id(&self, name: &str) -> Result<&str, InvalidReport> {
        let text = self.text(name)?.ok_or_else(|| missing(name))?;
        if text.is_empty() || text.len() > MAX_ID || text.chars().any(char::is_control) {
            return Err(InvalidReport(format!(
                "{name} has 1 to {MAX_ID} bytes and no control characters"
            )));
        }
        Ok(text)
    }

    fn shelter(&self) -> Result<EntityId, InvalidReport> {
        let id = shelter_id(self.id("shelter")?)
            .map_err(|error| InvalidReport(format!("shelter: {error}")))?;
        if id.as_str().len() > MAX_ENTITY_ID {
            return Err(InvalidReport("shelter: the id is too long".to_owned()));
        }
        Ok(id)
    }

    fn at(&self) -> Result<Timestamp, InvalidReport> {
        let text = self.text("at")?.ok_or_else(|| missing("at"))?;
        parse_moment(text).map_err(|error| InvalidReport(format!("at: {error}")))
    }

    fn count(&self, name: &str) -> Result<Option<u64>, InvalidReport> {
        let most = i64::try_from(MAX_PEOPLE).unwrap_or(i64::MAX);
        Ok(self.number(name, 0, most)?.and_then(|number| u64::try_from(number).ok()))
    }

    fn delta(&self) -> Result<i64, InvalidReport> {
        let most = i64::try_from(MAX_PEOPLE).unwrap_or(i64::MAX);
        self.number("delta", -most, most)?.ok_or_else(|| missing("delta"))
    }

    fn status(&self) -> Result<Option<Status>, InvalidReport> {
        let Some(name) = self.text("status")? else { return Ok(None) };
        let refuse = || {
            let names = Status::NAMES.map(|(_, name)| name).join(", ");
            let name: String = name.chars().take(40).collect();
            InvalidReport(format!("status: {name:?} is none of {names}"))
        };
        Status::from_name(name).ok_or_else(refuse).map(Some)
    }
}

fn missing(name: &str) -> InvalidReport {
    InvalidReport(format!("{name} is missing"))
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
            {"shelter":"005","at":"2024-01-11T09:00:00Z","people":1,"status":"shut"},
            {"shelter":"006","at":"2024-01-11T09:00:00Z"},
            {"shelter":"007","people":1},
            {"shelter":8,"at":"2024-01-11T09:00:00Z","people":1},
            {"shelter":"009","at":"2024-01-11T09:00:00Z","people":1000001},
            {"shelter":"010","at":"2024-01-11T09:00:00Z","people":1.5},
            {"shelter":"urn:a b","at":"2024-01-11T09:00:00Z","people":1},
            "011"]"#;
        let read = parse_reports(body).unwrap();
        assert_eq!(read[0].as_ref().unwrap().people, 12);
        let reasons: Vec<String> =
            read[1..].iter().map(|item| item.as_ref().unwrap_err().to_string()).collect();
        let expected = [
            "at: a moment is written as",
            "people is a whole number from 0 to 1000000",
            "shelter has 1 to 256 bytes",
            "\"name\" is none of the members shelter, at,",
            "status: \"shut\" is none of planned, opening,",
            "people is missing",
            "at is missing",
            "shelter is a string",
            "people is a whole number",
            "people is a whole number",
            "shelter: an entity id is an absolute URI",
            "an item is an object with shelter,",
        ];
        assert_eq!(reasons.len(), expected.len());
        for (reason, expected) in reasons.iter().zip(expected) {
            assert!(reason.starts_with(expected), "{reason} should begin with {expected}");
        }
    }

    #[test]
    fn one_object_is_as_good_as_an_array() {
        let body = r#"{"eventId":"e","shelter":"１","at":"令和6年1月11日午後6時","delta":-2}"#;
        let read = parse_check_ins(body.as_bytes()).unwrap().remove(0).unwrap();
        assert_eq!(read.shelter.as_str(), "urn:ngsi-ld:EvacuationShelter:1");
        assert_eq!((read.delta, read.at.to_string().as_str()), (-2, "2024-01-11T09:00:00Z"));
    }

    #[test]
    fn a_body_that_cannot_be_read_is_refused_as_a_whole() {
        let check = |body: &[u8], expected: &str| {
            let error = parse_check_ins(body).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(b"<html>", "not JSON");
        check(b"", "not JSON");
        check(b"\xff\xfe", "not UTF-8");
        check(b"[]", "1 to 10000 items, not 0");
        check(br#"{"delta":1,"delta":2}"#, "line 1");
        check("[".repeat(1000).as_bytes(), "line 1");
        let many = format!("[{}1]", "1,".repeat(MAX_ITEMS));
        check(many.as_bytes(), "1 to 10000 items, not 10001");
    }
}
