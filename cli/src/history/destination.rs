//! A broker that history is brought back to.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Method;
use musubi_export::{Destination, Refusal, Taken};
use serde::Deserialize;
use serde_json::Value;

use crate::api::{Api, Unanswered, said};

const PATH: &str = "/musubi/v1/history/entities";

/// A running broker.
#[derive(Debug)]
pub(super) struct Broker {
    api: Api,
}

/// What it answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    recorded: u64,
    already_there: u64,
}

impl Broker {
    pub(super) fn new(api: Api) -> Self {
        Self { api }
    }

    async fn send(&self, body: Vec<u8>) -> Result<Taken, Refusal> {
        let failure = |reason: String| Refusal::Failure(reason);
        let response = match self.api.exchange(Method::POST, PATH, body).await {
            Ok(response) => response,
            Err(Unanswered::TooLong) => return Err(failure("the answer is too long".to_owned())),
            Err(Unanswered::Because(reason)) => return Err(failure(reason)),
        };
        if response.status.is_success() {
            let answer: Result<Answer, _> = serde_json::from_slice(&response.body);
            let Answer { recorded, already_there } =
                answer.map_err(|error| failure(format!("the broker's answer: {error}")))?;
            return Ok(Taken { recorded, already_there });
        }
        let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let reason = said(response.status, &problem);
        // What was sent is at fault, or too much of it.
        match response.status.as_u16() {
            400 | 413 => Err(Refusal::Instances(reason)),
            _ => Err(failure(reason)),
        }
    }
}

impl Destination for Broker {
    fn take(&self, body: Vec<u8>) -> BoxFuture<'_, Result<Taken, Refusal>> {
        self.send(body).boxed()
    }
}
