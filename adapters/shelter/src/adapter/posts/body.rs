//! One body on its way: what each of its items does to the count of its shelter.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use musubi_adapter_kit::{Settled, SinkError, Skip};
use musubi_model::{EntityId, Timestamp};
use serde_json::json;

use super::Counted;
use crate::adapter::{Base, remembered};
use crate::map::{CountMethod, Known, Step};
use crate::occupancy::{Baseline, Effect, Occupancy};
use crate::report::{CheckIn, InvalidReport, Items, Report};
use crate::{Observation, Shelter, Stated};

/// The most steps that one body makes of a shelter. Each is a change of its own, so that a report
/// that comes late, along with newer ones, has its place in the shelter's history; what is left
/// for the last step is one change.
const MAX_STEPS: usize = 50;

/// One item of a body, as far as it could be read.
pub(super) type Item = Result<Posted, InvalidReport>;

#[derive(Debug)]
pub(super) enum Posted {
    Report(Report),
    CheckIn(CheckIn),
}

/// What became of the items of a body.
#[derive(Debug, Default)]
pub(super) struct Answer {
    applied: usize,
    duplicate: usize,
    late: usize,
    rejected: Vec<(usize, String)>,
}

/// The items of a body by shelter, and what could not be used.
pub(super) struct Body<'a> {
    base: &'a Base,
    by_shelter: BTreeMap<EntityId, Vec<(usize, Posted)>>,
    answer: Answer,
}

/// What a body does to one shelter.
struct Work {
    id: EntityId,
    occupancy: Occupancy,
    shelter: Shelter,
    /// What is still to be done: reports, or all comings and goings.
    steps: VecDeque<Vec<(usize, Posted)>>,
}

/// A step that is to be written, and the places of its items in the body.
struct Pending {
    work: usize,
    places: Vec<usize>,
    item: musubi_adapter_kit::Item,
}

impl Posted {
    pub(super) fn all<T>(items: Items<T>, as_posted: fn(T) -> Self) -> Vec<Item> {
        items.into_iter().map(|item| item.map(as_posted)).collect()
    }

    fn shelter(&self) -> &EntityId {
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

    /// As it could be posted again.
    fn to_json(&self) -> serde_json::Value {
        let (shelter, at) = (self.shelter().as_str(), self.at().to_string());
        match self {
            Self::CheckIn(CheckIn { event, delta, .. }) => {
                json!({ "eventId": event, "shelter": shelter, "at": at, "delta": delta })
            }
            Self::Report(report) => {
                let mut members = serde_json::Map::new();
                members.insert("shelter".to_owned(), shelter.into());
                members.insert("at".to_owned(), at.into());
                members.insert("people".to_owned(), report.people.into());
                if let Some(households) = report.households {
                    members.insert("households".to_owned(), households.into());
                }
                if let Some(status) = report.status {
                    members.insert("status".to_owned(), status.as_str().into());
                }
                members.into()
            }
        }
    }
}

impl Answer {
    pub(super) fn into_json(self) -> serde_json::Value {
        let rejected: Vec<serde_json::Value> = self
            .rejected
            .into_iter()
            .map(|(index, reason)| json!({ "index": index, "reason": reason }))
            .collect();
        json!({
            "applied": self.applied,
            "duplicate": self.duplicate,
            "late": self.late,
            "rejected": rejected,
        })
    }

    /// Why something was rejected, if anything was.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.rejected.first().map(|(_, reason)| reason.as_str())
    }

    pub(super) fn count(&self, base: &Base) {
        base.counters.skipped(Skip::DUPLICATE, self.duplicate);
        base.counters.skipped(Skip::LATE, self.late);
        base.counters.skipped(Skip::BAD_VALUE, self.rejected.len());
        base.counters.succeeded(base.services.clock.now());
    }
}

impl<'a> Body<'a> {
    pub(super) fn new(base: &'a Base, items: Vec<Item>) -> Self {
        let mut body = Self { base, by_shelter: BTreeMap::new(), answer: Answer::default() };
        for (index, item) in items.into_iter().enumerate() {
            let reason = match item {
                Ok(posted) if base.is_future(posted.at()) => {
                    format!("at: {} lies in the future", posted.at())
                }
                Ok(posted) => {
                    let id = posted.shelter().clone();
                    body.by_shelter.entry(id).or_default().push((index, posted));
                    continue;
                }
                Err(error) => error.to_string(),
            };
            body.answer.rejected.push((index, reason));
        }
        body
    }

    /// Writes what the items say. `counted` holds what is written and nothing else, also if this
    /// fails.
    pub(super) async fn take(mut self, counted: &mut Counted) -> Result<Answer, SinkError> {
        let mut works = self.works(counted).await?;
        for step in 1..=MAX_STEPS {
            let mut pending = Vec::new();
            for (index, work) in works.iter_mut().enumerate() {
                if step == MAX_STEPS {
                    work.steps = VecDeque::from([work.steps.drain(..).flatten().collect()]);
                }
                while let Some(posted) = work.steps.pop_front() {
                    let made = work.step(self.base, &posted, &mut self.answer);
                    if let Some((places, item)) = made {
                        pending.push(Pending { work: index, places, item });
                        break;
                    }
                }
            }
            if pending.is_empty() {
                break;
            }
            self.write(&mut works, pending).await?;
        }
        counted.extend(works.into_iter().map(|work| (work.id, work.occupancy)));
        self.answer.rejected.sort_by_key(|(index, _)| *index);
        Ok(self.answer)
    }

    /// The shelters of the body as they are now. Their counts are taken out of `counted`.
    async fn works(&mut self, counted: &mut Counted) -> Result<Vec<Work>, SinkError> {
        let by_shelter = std::mem::take(&mut self.by_shelter);
        if by_shelter.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<EntityId> = by_shelter.keys().cloned().collect();
        let mut known = self.base.known(&ids).await?;
        let mut works = Vec::with_capacity(by_shelter.len());
        for (id, posted) in by_shelter {
            let occupancy = match counted.remove(&id) {
                Some(occupancy) => occupancy,
                None => remembered::occupancy(self.base, &id).await?,
            };
            let known = known.remove(&id).unwrap_or_default();
            let mut work =
                Work { id, occupancy, shelter: Shelter::default(), steps: steps(posted) };
            work.know(known);
            works.push(work);
        }
        Ok(works)
    }

    async fn write(&mut self, works: &mut [Work], pending: Vec<Pending>) -> Result<(), SinkError> {
        let base = self.base;
        let (owners, items): (Vec<_>, Vec<_>) = pending
            .into_iter()
            .map(|pending| ((pending.work, pending.places), pending.item))
            .unzip();
        base.counters.mapped(items.len());
        let settled = base.pipeline.run(&base.tenant, items).await?;
        for ((index, places), settled) in owners.into_iter().zip(settled) {
            match settled {
                Settled::Written | Settled::Unchanged => self.answer.applied += places.len(),
                Settled::Dead(reason) => {
                    let rejected = places.into_iter().map(|place| (place, reason.clone()));
                    self.answer.rejected.extend(rejected);
                    // What was counted is not written, so the next step begins before it.
                    if let Some(work) = works.get_mut(index) {
                        let ids = std::slice::from_ref(&work.id);
                        let known = base.known(ids).await?.remove(&work.id);
                        work.occupancy = remembered::occupancy(base, &work.id).await?;
                        work.know(known.unwrap_or_default());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Reports one by one, and comings and goings together. A body holds one kind only.
fn steps(posted: Vec<(usize, Posted)>) -> VecDeque<Vec<(usize, Posted)>> {
    match posted.first() {
        Some((_, Posted::CheckIn(_))) => VecDeque::from([posted]),
        Some((_, Posted::Report(_))) | None => posted.into_iter().map(|one| vec![one]).collect(),
    }
}

impl Work {
    /// Takes what the broker knows. A head count that another source has written since is as
    /// good as a report: what comes and goes is added to it.
    fn know(&mut self, known: Known) {
        let counted = known.counted_at.zip(known.shelter.people);
        if let Some((at, people)) = counted
            && Some(at) > self.occupancy.newest()
        {
            self.occupancy.report(baseline(at, people, None, None));
        }
        self.shelter = known.shelter;
    }

    /// Counts what was posted, and gives what there is to be written, with the places of those
    /// that count.
    fn step(
        &mut self,
        base: &Base,
        posted: &[(usize, Posted)],
        answer: &mut Answer,
    ) -> Option<(Vec<usize>, musubi_adapter_kit::Item)> {
        let mut places = Vec::new();
        let mut earliest: Option<Timestamp> = None;
        let mut report = None;
        for (place, posted) in posted {
            match self.count(posted) {
                Effect::Duplicate => answer.duplicate += 1,
                Effect::Late => answer.late += 1,
                Effect::Applied => {
                    places.push(*place);
                    earliest = Some(earliest.map_or(posted.at(), |at| at.min(posted.at())));
                    if let Posted::Report(newest) = posted {
                        report = Some(newest);
                    }
                }
            }
        }
        let earliest = earliest?;
        let newest = self.occupancy.newest().unwrap_or(earliest);
        let before = self.shelter.clone();
        self.shelter = self.after(base, report, earliest, newest);
        let method = match report {
            Some(report) if report.at == newest => CountMethod::HeadCount,
            Some(_) | None => CountMethod::CheckIn,
        };
        let mut fragment = base.fragment(self.id.clone());
        fragment.step(&Step {
            before: &before,
            after: &self.shelter,
            at: newest,
            people: Some(method),
            households: report.and_then(|report| report.households.map(|_| report.at)),
        });
        let what = match posted.first() {
            Some((_, Posted::Report(_))) => "reports",
            Some((_, Posted::CheckIn(_))) | None => "checkins",
        };
        let payload: serde_json::Value =
            posted.iter().map(|(_, posted)| posted.to_json()).collect();
        let item = musubi_adapter_kit::Item {
            entities: vec![fragment.into_inner()],
            state: remembered::count(&self.id, self.occupancy.take_unsaved()),
            dead_letters: Vec::new(),
            origin: format!("{what} of {}", self.id),
            payload: Bytes::from(payload.to_string()),
            // The same items posted again make the same letter.
            arrival: newest,
        };
        Some((places, item))
    }

    fn count(&mut self, posted: &Posted) -> Effect {
        match posted {
            Posted::Report(report) => self.occupancy.report(baseline(
                report.at,
                report.people,
                report.households,
                report.status,
            )),
            Posted::CheckIn(check_in) => {
                self.occupancy.check_in(&check_in.event, check_in.at, check_in.delta)
            }
        }
    }

    /// The shelter after what was posted: as the report says at its time, and then as those make
    /// it who came and went after it.
    fn after(
        &self,
        base: &Base,
        report: Option<&Report>,
        earliest: Timestamp,
        newest: Timestamp,
    ) -> Shelter {
        let people = self.occupancy.people();
        let first = match report {
            None => Observation::count(earliest, people),
            Some(report) => Observation {
                at: report.at,
                people: Some(report.people),
                households: report.households,
                stated: report.status.map_or(Stated::Nothing, Stated::As),
            },
        };
        let mut after = self.shelter.observed(&first, &base.thresholds);
        if newest > first.at {
            let doubt = after.data_quality.take();
            after = after.observed(&Observation::count(newest, people), &base.thresholds);
            after.data_quality = after.data_quality.or(doubt);
        }
        after
    }
}

fn baseline(
    at: Timestamp,
    people: u64,
    households: Option<u64>,
    status: Option<crate::Status>,
) -> Baseline {
    let people = i64::try_from(people).unwrap_or(i64::MAX);
    Baseline { at, people, households, status }
}
