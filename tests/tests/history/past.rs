//! A past that is told of: late, out of order, corrected, and removed in part.

use std::collections::BTreeMap;

use musubi_tests::{Http, until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::sensors::{moment, values};

/// What was told of one entity, and what may be recorded at each of its moments.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    pub(crate) id: String,
    /// For each number the values that may stand at its moment; none means nothing. More than one
    /// where a request was not acknowledged.
    pub(crate) moments: BTreeMap<u64, Vec<Option<i64>>>,
    next: u64,
}

/// How many instances one request adds.
const ADDED: u64 = 20;

impl Past {
    pub(crate) fn new(writer: usize) -> Self {
        Self { id: format!("urn:ngsi-ld:Past:{writer}"), moments: BTreeMap::new(), next: 0 }
    }

    /// Tells of the next few moments, the last of them first. None if the connection broke.
    pub(crate) async fn add(&mut self, http: &Http) -> Option<()> {
        let numbers: Vec<u64> = (self.next..self.next + ADDED).rev().collect();
        self.next += ADDED;
        let instance = |number: &u64| json!({"type": "Property", "value": number, "observedAt": moment(*number)});
        let instances: Vec<Value> = numbers.iter().map(instance).collect();
        let body = json!({"id": self.id, "type": "Past", "count": instances});
        for number in &numbers {
            self.moments.insert(*number, vec![None, Some(value(*number))]);
        }
        let path = "/ngsi-ld/v1/temporal/entities";
        let answer = http.try_send(Method::POST, path, Some(&body)).await.ok()?;
        assert!(matches!(answer.status, 201 | 204), "{}", answer.text);
        for number in &numbers {
            self.moments.insert(*number, vec![Some(value(*number))]);
        }
        Some(())
    }

    /// Corrects one instance of those that are certain, or removes it.
    pub(crate) async fn revise(&mut self, http: &Http, pick: usize, removes: bool) -> Option<()> {
        let certain: Vec<u64> = self
            .moments
            .iter()
            .filter(|(_, values)| matches!(values[..], [Some(_)]))
            .map(|(number, _)| *number)
            .collect();
        let number = *certain.get(pick % certain.len().max(1))?;
        let path = format!(
            "/ngsi-ld/v1/temporal/entities/{}?attrs=count&timerel=between&timeAt={}&endTimeAt={}",
            self.id,
            moment(number),
            moment(number + 1)
        );
        let answer = http.try_send(Method::GET, &path, None).await.ok()?;
        let body = answer.json();
        let instance = [&body["count"]].into_iter().find_map(|found| match found {
            Value::Array(all) => all.first(),
            one => Some(one),
        });
        let instance = instance.and_then(|instance| instance["instanceId"].as_str());
        let instance = instance.unwrap_or_else(|| panic!("{path}: {}", answer.text));
        let path = format!("/ngsi-ld/v1/temporal/entities/{}/attrs/count/{instance}", self.id);
        let values = self.moments.get_mut(&number)?;
        let now = if removes { None } else { values.first()?.map(|value| -value) };
        values.push(now);
        let fragment = json!({"value": now, "type": "Property"});
        let (method, body) =
            if removes { (Method::DELETE, None) } else { (Method::PATCH, Some(&fragment)) };
        let answer = http.try_send(method, &path, body).await.ok()?;
        assert_eq!(answer.status, 204, "{path}: {}", answer.text);
        self.moments.insert(number, vec![now]);
        Some(())
    }

    /// What is recorded is what was told.
    pub(crate) async fn check(&mut self, http: &Http) {
        let mut found = BTreeMap::new();
        for (value, at) in values(http, &self.id, "count").await {
            let value = value.as_i64().expect("a number");
            let number = value.unsigned_abs();
            assert_eq!(at, moment(number), "{}", self.id);
            assert_eq!(found.insert(number, value), None, "{}: {number} is there twice", self.id);
        }
        for (number, values) in &mut self.moments {
            let there = found.remove(number);
            assert!(values.contains(&there), "{}: {number} is {there:?}, not {values:?}", self.id);
            *values = vec![there];
        }
        assert_eq!(found, BTreeMap::new(), "{}: nobody told of these", self.id);
    }

    /// How many instances are certain to be there.
    pub(crate) fn certain(&self) -> usize {
        self.moments.values().filter(|values| matches!(values[..], [Some(_)])).count()
    }

    /// Waits until the broker answers questions about it at all.
    pub(crate) async fn is_known(&self, http: &Http) {
        let path = format!("/ngsi-ld/v1/temporal/entities/{}?lastN=1", self.id);
        until("the history answers", || async {
            matches!(http.get(&path).await.status, 200 | 206 | 404).then_some(())
        })
        .await;
    }
}

/// The value that is told first at the moment of a number.
fn value(number: u64) -> i64 {
    i64::try_from(number).expect("few numbers")
}
