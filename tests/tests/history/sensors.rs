//! Sensors whose state is written, and what is recorded of that by itself.

use std::collections::BTreeMap;

use musubi_tests::{Answer, Http};
use reqwest::Method;
use serde_json::{Value, json};

/// The moment of a number: so many seconds after the beginning of 2026.
pub(crate) fn moment(number: u64) -> String {
    let start: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let seconds = i64::try_from(number).expect("few numbers");
    (start + jiff::SignedDuration::from_secs(seconds)).to_string()
}

/// The numbers that the state of a few sensors was given, all of them the same.
#[derive(Clone, Debug)]
pub(crate) struct Sensors {
    pub(crate) ids: Vec<String>,
    /// Those that were sent, and whether they were acknowledged.
    pub(crate) numbers: BTreeMap<u64, bool>,
}

impl Sensors {
    pub(crate) fn new(writer: usize, count: usize) -> Self {
        let ids = (0..count).map(|sensor| format!("urn:ngsi-ld:Sensor:{writer}-{sensor}"));
        Self { ids: ids.collect(), numbers: BTreeMap::new() }
    }

    /// Writes the next number to all of them. None if the connection broke.
    pub(crate) async fn write(&mut self, http: &Http) -> Option<()> {
        let number = self.numbers.last_key_value().map_or(0, |(last, _)| last + 1);
        let entity = |id: &String| {
            json!({"id": id, "type": "Sensor", "count": {
                "type": "Property", "value": number, "observedAt": moment(number)}})
        };
        let body = Value::Array(self.ids.iter().map(entity).collect());
        self.numbers.insert(number, false);
        let path = "/ngsi-ld/v1/entityOperations/upsert";
        let answer = http.try_send(Method::POST, path, Some(&body)).await.ok()?;
        assert!(matches!(answer.status, 201 | 204), "{}", answer.text);
        self.numbers.insert(number, true);
        Some(())
    }

    /// What is recorded is what was acknowledged, and perhaps what was sent last.
    pub(crate) async fn check(&mut self, http: &Http) {
        let mut found = Vec::new();
        for id in &self.ids {
            let values = values(http, id, "count").await;
            for (value, at) in &values {
                let number = value.as_u64().expect("a number");
                assert_eq!(*at, moment(number), "{id}");
            }
            let numbers: Vec<u64> = values.iter().filter_map(|(value, _)| value.as_u64()).collect();
            found.push(numbers);
        }
        for (id, numbers) in self.ids.iter().zip(&found) {
            assert_eq!(Some(numbers), found.first(), "{id}: a batch is whole or not there");
            let certain = self.numbers.iter().filter(|(_, acknowledged)| **acknowledged);
            for (number, _) in certain {
                assert!(numbers.binary_search(number).is_ok(), "{id}: {number} is lost");
            }
            for number in numbers {
                assert!(self.numbers.contains_key(number), "{id}: nobody wrote {number}");
            }
            assert!(numbers.is_sorted_by(|one, next| one < next), "{id}: {numbers:?}");
        }
        // What is there now stays, whoever was told of it.
        if let Some(numbers) = found.first() {
            self.numbers = numbers.iter().map(|number| (*number, true)).collect();
        }
    }
}

/// Everything that is recorded of an attribute: values with their times, ascending. Answers that
/// are cut in time are gone on with.
pub(crate) async fn values(http: &Http, id: &str, attribute: &str) -> Vec<(Value, String)> {
    let mut all: Vec<(Value, String)> = Vec::new();
    let mut start = "0000-01-01T00:00:00Z".to_owned();
    loop {
        let path = format!(
            "/ngsi-ld/v1/temporal/entities/{id}?attrs={attribute}&format=temporalValues\
             &timerel=after&timeAt={start}"
        );
        let answer = http.get(&path).await;
        if answer.status == 404 && all.is_empty() {
            return all;
        }
        assert!(matches!(answer.status, 200 | 206), "{path}: {} {}", answer.status, answer.text);
        let body = answer.json();
        let found = body[attribute]["values"].as_array().cloned().unwrap_or_default();
        // The last moment of the answer before comes again, all of it.
        all.retain(|(_, at)| *at != start);
        for pair in found {
            all.push((pair[0].clone(), pair[1].as_str().expect("a time").to_owned()));
        }
        match end(&answer) {
            None => return all,
            Some(end) => {
                assert_ne!(end, start, "{path}: it does not get on");
                start = end;
            }
        }
    }
}

/// Until when an answer reaches that is not whole.
fn end(answer: &Answer) -> Option<String> {
    let range = answer.header("Content-Range").strip_prefix("date-time ")?;
    let (times, _size) = range.split_once('/')?;
    let (_start, end) = times.split_once("Z-")?;
    Some(end.to_owned())
}
