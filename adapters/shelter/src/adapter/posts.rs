//! What is posted: reports (absolute) and check-ins (comings and goings).

mod body;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use musubi_adapter_kit::{DeadLetter, ReceiveError, SinkError};
use musubi_model::EntityId;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::Base;
use crate::occupancy::Occupancy;
use crate::report::{parse_check_ins, parse_reports};
use body::{Answer, Body, Posted};

/// The most shelters whose counts are kept in memory between two bodies.
const MAX_SHELTERS: usize = 10_000;
/// The most comings and goings that are kept in memory between two bodies.
const MAX_EVENTS: usize = 200_000;

/// What has been counted of shelters, exactly as the sink remembers it. A shelter whose count is
/// being changed is not in it.
type Counted = HashMap<EntityId, Occupancy>;

/// A source that is posted to.
#[derive(Debug)]
pub(super) struct Posts {
    base: Arc<Base>,
    /// The lock makes one body follow the other.
    counted: Arc<tokio::sync::Mutex<Counted>>,
    /// The body that is being taken. A client that goes away must not stop it half-way: what it
    /// had given to the broker could still be written, after the next body was counted without
    /// it.
    tasks: Mutex<JoinSet<()>>,
}

impl Posts {
    pub(super) fn new(base: Arc<Base>) -> Self {
        Self { base, counted: Arc::default(), tasks: Mutex::default() }
    }

    /// Takes a body, and answers when all of it is durable.
    pub(super) async fn receive(
        &self,
        what: &str,
        body: &[u8],
    ) -> Result<serde_json::Value, ReceiveError> {
        self.take(what, body).await.map(Answer::into_json)
    }

    /// Takes the items of a dead letter once more.
    pub(super) async fn replay(&self, origin: &str, payload: Bytes) -> Result<(), String> {
        if payload.len() >= DeadLetter::MAX_PAYLOAD {
            return Err("the letter may hold only the beginning of what was posted".to_owned());
        }
        let what = origin.split(' ').next().unwrap_or_default();
        let answer = self.take(what, &payload).await.map_err(|error| error.to_string())?;
        answer.refusal().map_or(Ok(()), |reason| Err(reason.to_owned()))
    }

    /// Waits until nothing is being taken any more.
    pub(super) async fn finish(&self) {
        drop(self.counted.lock().await);
    }

    async fn take(&self, what: &str, body: &[u8]) -> Result<Answer, ReceiveError> {
        let base = Arc::clone(&self.base);
        let posted = match what {
            "reports" => parse_reports(body).map(|items| Posted::all(items, Posted::Report)),
            "checkins" => parse_check_ins(body).map(|items| Posted::all(items, Posted::CheckIn)),
            _ => return Err(ReceiveError::NotSupported(format!("{}/{what}", base.name))),
        };
        let posted = posted.map_err(|error| ReceiveError::BadBody(error.to_string()))?;
        base.counters.received(posted.len());
        let mut counted = Arc::clone(&self.counted).lock_owned().await;
        let (answer, answered) = tokio::sync::oneshot::channel();
        {
            let mut tasks = self.tasks.lock();
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async move {
                let taken = take(&base, posted, &mut counted).await;
                drop(counted);
                // Nobody may be there any more to hear it.
                let _ = answer.send(taken);
            });
        }
        match answered.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(ReceiveError::Unavailable(error.reason)),
            Err(_) => Err(ReceiveError::Unavailable("the work was broken off".to_owned())),
        }
    }
}

async fn take(
    base: &Base,
    posted: Vec<body::Item>,
    counted: &mut Counted,
) -> Result<Answer, SinkError> {
    let taken = Body::new(base, posted).take(counted).await;
    match &taken {
        Ok(answer) => answer.count(base),
        Err(error) => base.counters.failed(base.services.clock.now(), error.to_string()),
    }
    if counted.len() > MAX_SHELTERS
        || counted.values().map(Occupancy::events).sum::<usize>() > MAX_EVENTS
    {
        // What is needed again is read again.
        counted.clear();
    }
    taken
}
