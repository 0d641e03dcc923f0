//! The history of a tenant, asked for over the temporal API (CIM 009, clauses 5.7.4 and 6.18.3.2).

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode, header};
use jiff::fmt::rfc2822;
use musubi_export::{Answer, Ask, Entities, NoAnswer, Selection, Source};
use musubi_model::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use super::earlier;
use crate::api::{Api, Unanswered, said};

const PATH: &str = "/ngsi-ld/v1/temporal/entities";

/// The longest target of a request, in bytes: a broker need not take longer ones.
const LONGEST_TARGET: usize = 6_000;

/// What the broker records, asked for by `modifiedAt`.
#[derive(Debug)]
pub(super) struct Evolutions {
    api: Api,
    types: Vec<String>,
    attributes: Vec<String>,
    /// What the broker said last of values that it does not have any more.
    warning: Mutex<Option<String>>,
}

impl Evolutions {
    pub(super) fn new(api: Api, selection: &Selection) -> Self {
        let (types, attributes) = (selection.types.clone(), selection.attributes.clone());
        Self { api, types, attributes, warning: Mutex::default() }
    }

    /// What the broker says is missing, if it said so.
    pub(super) fn warning(&self) -> Option<String> {
        self.warning.lock().clone()
    }

    /// The time that it is for the broker, and not later than it is here.
    ///
    /// # Errors
    ///
    /// A sentence, if the broker does not answer.
    pub(super) async fn now(&self, here: Timestamp) -> Result<Timestamp, String> {
        match self.api.exchange(Method::GET, "/health/live", Vec::new()).await {
            Ok(response) => Ok(earlier(here, date(&response.headers))),
            Err(Unanswered::TooLong) => Err("what answers there is no broker".to_owned()),
            Err(Unanswered::Because(reason)) => Err(reason),
        }
    }

    /// The target of the request that asks this.
    fn target(&self, ask: &Ask) -> String {
        let mut query = Serializer::new(String::new());
        let (from, until) = (ask.from.to_string(), ask.until.to_string());
        query.extend_pairs([
            ("local", "true"),
            ("sysAttrs", "true"),
            ("timeproperty", "modifiedAt"),
            ("timerel", "between"),
            ("timeAt", &from),
            ("endTimeAt", &until),
        ]);
        if !self.types.is_empty() {
            query.append_pair("type", &self.types.join(","));
        }
        let attributes = match &ask.attribute {
            // Scopes are no attribute that could be asked for by its name.
            Some(_) if is_scope(ask) => &[],
            Some(only) => std::slice::from_ref(only),
            None => self.attributes.as_slice(),
        };
        if is_scope(ask) {
            query.append_pair("pick", "id,type,scope");
        }
        if !attributes.is_empty() {
            query.append_pair("attrs", &attributes.join(","));
        }
        match &ask.entities {
            Entities::Page { after, limit } => {
                query.append_pair("after", after).append_pair("limit", &limit.to_string());
            }
            Entities::NextId { after } => {
                query.append_pair("after", after).append_pair("limit", "1");
                // Attributes cannot be asked for and not be picked at once.
                match attributes {
                    [] => query.append_pair("pick", "id,type"),
                    _ => query.append_pair("lastN", "1"),
                };
            }
            Entities::These(ids) => {
                query.append_pair("id", &ids.join(","));
                query.append_pair("limit", &ids.len().to_string());
            }
        }
        format!("{PATH}?{}", query.finish())
    }

    async fn answer(&self, ask: &Ask) -> Result<Answer, NoAnswer> {
        if is_scope(ask) && !self.attributes.is_empty() {
            return Ok(Answer { body: b"[]".to_vec(), cut: None, next: None });
        }
        let target = self.target(ask);
        if matches!(&ask.entities, Entities::These(ids) if ids.len() > 1)
            && target.len() > LONGEST_TARGET
        {
            return Err(NoAnswer::TooLong);
        }
        let response = match self.api.exchange(Method::GET, &target, Vec::new()).await {
            Ok(response) => response,
            Err(Unanswered::TooLong) => return Err(NoAnswer::TooLong),
            Err(Unanswered::Because(reason)) => return Err(NoAnswer::Because(reason)),
        };
        if !response.status.is_success() {
            let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            return Err(refusal(response.status, &problem));
        }
        if let Some(warning) = text(&response.headers, "NGSILD-Warning") {
            *self.warning.lock() = Some(format!("the broker says: {warning}"));
        }
        let cut = if response.status == StatusCode::PARTIAL_CONTENT {
            let range = text(&response.headers, header::CONTENT_RANGE.as_str());
            let no_end = || NoAnswer::Because("the broker does not say where it cut".to_owned());
            Some(range.and_then(end_of_range).ok_or_else(no_end)?)
        } else {
            None
        };
        let next = next_cursor(&response.headers);
        Ok(Answer { body: response.body.into(), cut, next })
    }
}

impl Source for Evolutions {
    fn ask<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answer, NoAnswer>> {
        self.answer(ask).boxed()
    }
}

/// Whether nothing but scopes is asked for.
fn is_scope(ask: &Ask) -> bool {
    ask.attribute.as_deref() == Some("scope")
}

fn refusal(status: StatusCode, problem: &Value) -> NoAnswer {
    let kind = problem.get("type").and_then(Value::as_str).unwrap_or_default();
    let is_too_much = ["TooManyResults", "TooComplexQuery"].iter().any(|name| kind.ends_with(name));
    if is_too_much { NoAnswer::TooLong } else { NoAnswer::Because(said(status, problem)) }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The latest that it can be where these headers come from: `Date` has whole seconds.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = rfc2822::parse(text(headers, "date")?).ok()?;
    Some(Timestamp::from_micros(date.timestamp().as_microsecond()).plus_micros(999_999))
}

/// The second time in `date-time START-END/SIZE` (CIM 009, clause 6.3.10).
fn end_of_range(range: &str) -> Option<Timestamp> {
    let (times, _size) = range.rsplit_once('/')?;
    let (_start, end) = times.split_once("Z-")?;
    end.parse().ok()
}

/// The cursor of the link to the next page.
fn next_cursor(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(header::LINK).iter().filter_map(|link| link.to_str().ok());
    let next =
        links.flat_map(|links| links.split(", <")).find(|link| link.contains("rel=\"next\""))?;
    let (target, _) = next.trim_start_matches('<').split_once('>')?;
    let url = Url::parse("http://broker").and_then(|base| base.join(target)).ok()?;
    url.query_pairs().find(|(name, _)| name == "after").map(|(_, cursor)| cursor.into_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_end_of_an_answer_is_read_whatever_its_times_look_like() {
        let check = |range: &str, end: Option<&str>| {
            assert_eq!(end_of_range(range), end.map(|end| end.parse().unwrap()), "{range}");
        };
        check(
            "date-time 2020-01-01T00:00:00Z-2020-01-02T00:00:00.000001Z/*",
            Some("2020-01-02T00:00:00.000001Z"),
        );
        check(
            "date-time 0000-01-01T00:00:00.5Z-9999-12-31T23:59:59Z/7",
            Some("9999-12-31T23:59:59Z"),
        );
        check("date-time 2020-01-01T00:00:00Z/*", None);
        check("", None);
    }

    #[test]
    fn the_next_cursor_is_found_among_links() {
        let mut headers = HeaderMap::new();
        let context = "<https://x/context.jsonld>; rel=\"http://www.w3.org/ns/json-ld#context\"";
        headers.append(header::LINK, HeaderValue::from_static(context));
        assert_eq!(next_cursor(&headers), None);
        let next = "</ngsi-ld/v1/temporal/entities?after=urn:a%3A1%26%2B&limit=5>; rel=\"next\"; type=\"application/json\"";
        headers.append(header::LINK, HeaderValue::from_static(next));
        assert_eq!(next_cursor(&headers).as_deref(), Some("urn:a:1&+"));
    }

    #[test]
    fn the_time_is_that_of_whoever_is_behind() {
        let mut headers = HeaderMap::new();
        headers.insert("date", HeaderValue::from_static("Tue, 15 Nov 1994 08:12:31 GMT"));
        let theirs = "1994-11-15T08:12:31.999999Z".parse().unwrap();
        assert_eq!(date(&headers), Some(theirs));
        assert_eq!(earlier(theirs.plus_micros(9), date(&headers)), theirs);
        assert_eq!(earlier(Timestamp::EPOCH, date(&headers)), Timestamp::EPOCH);
        assert_eq!(earlier(theirs, None), theirs);
    }

    #[test]
    fn what_is_too_much_is_asked_for_in_pieces_and_nothing_else_is() {
        let of = |kind: &str| {
            let kind = format!("https://uri.etsi.org/ngsi-ld/errors/{kind}");
            refusal(StatusCode::FORBIDDEN, &serde_json::json!({ "type": kind, "detail": "no" }))
        };
        assert_eq!(of("TooManyResults"), NoAnswer::TooLong);
        assert_eq!(of("TooComplexQuery"), NoAnswer::TooLong);
        assert_eq!(of("BadRequestData"), NoAnswer::Because("no (403 Forbidden)".to_owned()));
    }
}
