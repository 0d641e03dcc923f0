//! What is posted: reports (absolute) and check-ins (comings and goings).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;
use musubi_adapter_kit::{Item, ReceiveError, Settled, SinkError, StateWrite};
use musubi_model::{EntityId, Timestamp};
use serde_json::json;

use super::ShelterAdapter;
use crate::lifecycle::Shelter;
use crate::map::{CountMethod, dynamic, shelter_id};
use crate::report::{parse_check_ins, parse_reports};
use crate::{CheckIn, Effect, InvalidReport, Occupancy, Report};

/// How far a clock elsewhere may be ahead of ours, in microseconds.
const TOLERANCE: i64 = 3_600_000_000;

/// One item of a body.
enum Posted {
    Report(Report),
    CheckIn(CheckIn),
}

/// What became of the items of a body.
#[derive(Default)]
struct Answer {
    applied: usize,
    duplicate: usize,
    late: usize,
    rejected: Vec<(usize, String)>,
}

/// An item on its way to the sink, and its place in the body.
struct Waiting {
    index: usize,
    item: Item,
}

impl Posted {
    fn shelter(&self) -> &str {
        match self {
            Self::Report(report) => &report.shelter,
            Self::CheckIn(check_in) => &check_in.shelter,
        }
    }

    fn at(&self) -> Timestamp {
        match self {
            Self::Report(report) => report.at,
            Self::CheckIn(check_in) => check_in.at,
        }
    }
}

impl ShelterAdapter {
    /// Takes a body, and answers when all of it is durable.
    pub(super) async fn post(
        &self,
        what: &str,
        body: &[u8],
    ) -> Result<serde_json::Value, ReceiveError> {
        let bad = |error: InvalidReport| ReceiveError::BadBody(error.to_string());
        let posted: Vec<Result<Posted, InvalidReport>> = match what {
            "reports" => {
                let items = parse_reports(body).map_err(bad)?;
                items.into_iter().map(|item| item.map(Posted::Report)).collect()
            }
            "checkins" => {
                let items = parse_check_ins(body).map_err(bad)?;
                items.into_iter().map(|item| item.map(Posted::CheckIn)).collect()
            }
            _ => return Err(ReceiveError::NotSupported(format!("{}/{what}", self.name))),
        };
        self.counters.received(posted.len());
        let mut counted = self.counted.lock().await;
        let taken = self.take(posted, &mut counted).await;
        if taken.is_err() {
            // What was counted may not have been written: it is read again next time.
            counted.clear();
        }
        let answer =
            taken.map_err(|error: SinkError| ReceiveError::Unavailable(error.to_string()))?;
        self.counters.succeeded(self.services.clock.now());
        let rejected: Vec<serde_json::Value> = answer
            .rejected
            .into_iter()
            .map(|(index, reason)| json!({ "index": index, "reason": reason }))
            .collect();
        Ok(json!({
            "applied": answer.applied,
            "duplicate": answer.duplicate,
            "late": answer.late,
            "rejected": rejected,
        }))
    }

    async fn take(
        &self,
        posted: Vec<Result<Posted, InvalidReport>>,
        counted: &mut HashMap<String, Occupancy>,
    ) -> Result<Answer, SinkError> {
        let mut answer = Answer::default();
        let mut usable: Vec<(usize, EntityId, Posted)> = Vec::new();
        for (index, item) in posted.into_iter().enumerate() {
            match item.and_then(|item| self.usable(item)) {
                Ok((id, item)) => usable.push((index, id, item)),
                Err(error) => answer.rejected.push((index, error.to_string())),
            }
        }
        let ids: Vec<EntityId> = usable.iter().map(|(_, id, _)| id.clone()).collect();
        let mut shelters = self.current(&ids).await?;
        let mut waiting = Vec::new();
        for (index, id, item) in usable {
            let occupancy = self.counted(counted, item.shelter()).await?;
            let shelter = shelters.entry(id.clone()).or_default();
            match self.apply_posted(&item, id, occupancy, shelter) {
                Ok((Effect::Applied, item)) => waiting.push(Waiting { index, item }),
                Ok((Effect::Duplicate, _)) => answer.duplicate += 1,
                Ok((Effect::Late, _)) => answer.late += 1,
                Err(error) => answer.rejected.push((index, error.to_string())),
            }
        }
        let (places, items): (Vec<usize>, Vec<Item>) =
            waiting.into_iter().map(|waiting| (waiting.index, waiting.item)).unzip();
        self.counters.mapped(items.len());
        for (index, settled) in places.into_iter().zip(self.pipeline.run(&self.tenant, items).await?)
        {
            match settled {
                Settled::Written | Settled::Unchanged => answer.applied += 1,
                Settled::Dead(reason) => {
                    answer.rejected.push((index, reason));
                    // The memory runs ahead of what is written.
                    counted.clear();
                }
            }
        }
        answer.rejected.sort_by_key(|(index, _)| *index);
        Ok(answer)
    }

    fn usable(&self, item: Posted) -> Result<(EntityId, Posted), InvalidReport> {
        let id = shelter_id(item.shelter()).map_err(|error| InvalidReport(error.to_string()))?;
        if item.at() > self.services.clock.now().plus_micros(TOLERANCE) {
            return Err(InvalidReport(format!("at: {} lies in the future", item.at())));
        }
        Ok((id, item))
    }

    /// What has been counted of a shelter, from memory or from the sink.
    async fn counted<'a>(
        &self,
        counted: &'a mut HashMap<String, Occupancy>,
        shelter: &str,
    ) -> Result<&'a mut Occupancy, SinkError> {
        match counted.entry(shelter.to_owned()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let sink = &self.services.sink;
                let baseline = sink.state(&self.tenant, &self.name, &baseline_key(shelter)).await?;
                let prefix = event_key(shelter, "");
                let events = sink.state(&self.tenant, &self.name, &prefix).await?;
                let read = |value: &[u8]| serde_json::from_slice(value).ok();
                Ok(place.insert(Occupancy {
                    baseline: baseline.first().and_then(|(_, value)| read(value)),
                    events: events
                        .iter()
                        .filter_map(|(key, value)| {
                            let event = key.strip_prefix(&prefix)?.to_owned();
                            Some((event, serde_json::from_slice(value).ok()?))
                        })
                        .collect(),
                }))
            }
        }
    }

    fn apply_posted(
        &self,
        posted: &Posted,
        id: EntityId,
        occupancy: &mut Occupancy,
        shelter: &mut Shelter,
    ) -> Result<(Effect, Item), InvalidReport> {
        let name = posted.shelter();
        let before: Vec<String> = match posted {
            Posted::Report(_) => occupancy.events.keys().cloned().collect(),
            Posted::CheckIn(_) => Vec::new(),
        };
        let (effect, method, status) = match posted {
            Posted::Report(report) => {
                let effect = occupancy.report(report.at, report.people);
                (effect, CountMethod::HeadCount, report.status)
            }
            Posted::CheckIn(check_in) => {
                if occupancy.events.len() >= Occupancy::MAX_EVENTS {
                    return Err(InvalidReport(format!(
                        "{name} has {} check-ins since its last head count; report a head count first",
                        Occupancy::MAX_EVENTS
                    )));
                }
                let effect = occupancy.check_in(&check_in.event, check_in.at, check_in.delta);
                (effect, CountMethod::CheckIn, None)
            }
        };
        if effect != Effect::Applied {
            return Ok((effect, Item::default()));
        }
        let at = occupancy.newest().unwrap_or_else(|| posted.at());
        let mut next = shelter.reported(at, Some(occupancy.people()), status, &self.thresholds);
        if let Posted::Report(report) = posted {
            next.households = report.households.or(next.households);
        }
        let item = Item {
            entities: vec![dynamic(id, &next, at, method)],
            state: state(posted, occupancy, before),
            dead_letters: Vec::new(),
            origin: format!("{}/{name}", self.name),
            payload: Bytes::new(),
            arrival: self.services.clock.now(),
        };
        *shelter = next;
        Ok((effect, item))
    }
}

/// What has to be remembered of an input that counted.
fn state(posted: &Posted, occupancy: &Occupancy, before: Vec<String>) -> Vec<StateWrite> {
    let keep = |key: String, value: &serde_json::Value| StateWrite {
        key,
        value: Some(value.to_string().into_bytes().into()),
    };
    match posted {
        Posted::CheckIn(check_in) => {
            let value = json!([check_in.at, check_in.delta]);
            vec![keep(event_key(&check_in.shelter, &check_in.event), &value)]
        }
        Posted::Report(report) => {
            let value = json!([report.at, report.people]);
            let settled = before.into_iter().filter(|event| !occupancy.events.contains_key(event));
            let forget = settled.map(|event| StateWrite {
                key: event_key(&report.shelter, &event),
                value: None,
            });
            std::iter::once(keep(baseline_key(&report.shelter), &value)).chain(forget).collect()
        }
    }
}

fn baseline_key(shelter: &str) -> String {
    format!("baseline/{}/", escaped(shelter))
}

fn event_key(shelter: &str, event: &str) -> String {
    format!("event/{}/{event}", escaped(shelter))
}

/// A shelter's id without the sign that separates it from what follows.
fn escaped(shelter: &str) -> String {
    shelter.replace('%', "%25").replace('/', "%2F")
}
