//! A history in memory, that answers as a broker does: plainly, over everything.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use musubi_export::{Answer, Ask, Entities, NoAnswer, Row, Source};
use musubi_model::Timestamp;
use serde_json::{Value, json};

/// An instance as it was at one time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kept {
    pub(crate) entity: String,
    pub(crate) attribute: String,
    pub(crate) id: u64,
    pub(crate) time: Timestamp,
}

impl Kept {
    pub(crate) fn of(row: &Row) -> Self {
        let id = row.instance_id.as_deref().unwrap().rsplit(':').next().unwrap();
        Self {
            entity: row.entity.clone(),
            attribute: row.attribute.clone(),
            id: id.parse().unwrap(),
            time: row.modified_at,
        }
    }
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

#[derive(Debug)]
struct State {
    now: BTreeMap<u64, Kept>,
    /// All versions that there ever were.
    ever: BTreeSet<Kept>,
    /// The most instances of an answer.
    most: usize,
    /// The longest answer, in bytes.
    longest: usize,
    /// How many answers there will be.
    answers: usize,
    /// Whether whoever asks for more waits for ever, as if they were killed then.
    hangs: bool,
}

#[derive(Debug)]
pub(crate) struct History(parking_lot::Mutex<State>);

impl Default for History {
    fn default() -> Self {
        let (now, ever) = (BTreeMap::new(), BTreeSet::new());
        let state =
            State { now, ever, most: 10_000, longest: 1 << 20, answers: usize::MAX, hangs: false };
        Self(parking_lot::Mutex::new(state))
    }
}

impl History {
    fn keep(&self, kept: Kept) {
        let mut state = self.0.lock();
        state.ever.insert(kept.clone());
        state.now.insert(kept.id, kept);
    }

    pub(crate) fn record(&self, entity: &str, attribute: &str, id: u64, seconds: i64) {
        let (entity, attribute) = (entity.to_owned(), attribute.to_owned());
        self.keep(Kept { entity, attribute, id, time: at(seconds) });
    }

    pub(crate) fn correct(&self, id: u64, seconds: i64) {
        let kept = Kept { time: at(seconds), ..self.0.lock().now[&id].clone() };
        self.keep(kept);
    }

    pub(crate) fn place(&self, id: u64) -> (String, String) {
        let kept = self.0.lock().now[&id].clone();
        (kept.entity, kept.attribute)
    }

    pub(crate) fn limit(&self, most: usize, longest: usize) {
        let mut state = self.0.lock();
        state.most = most;
        state.longest = longest;
    }

    pub(crate) fn fail_after(&self, answers: usize) {
        let mut state = self.0.lock();
        (state.answers, state.hangs) = (answers, false);
    }

    pub(crate) fn hang_after(&self, answers: usize) {
        let mut state = self.0.lock();
        (state.answers, state.hangs) = (answers, true);
    }

    /// How many instances of an attribute are of one moment.
    pub(crate) fn of_moment(&self, entity: &str, attribute: &str, time: Timestamp) -> usize {
        let state = self.0.lock();
        let is = |kept: &&Kept| {
            kept.entity == entity && kept.attribute == attribute && kept.time == time
        };
        state.now.values().filter(is).count()
    }

    /// All that is there now and was modified before a moment, sorted.
    pub(crate) fn until(&self, time: Timestamp) -> Vec<Kept> {
        let state = self.0.lock();
        let kept: BTreeSet<Kept> =
            state.now.values().filter(|kept| kept.time < time).cloned().collect();
        kept.into_iter().collect()
    }

    /// Whether there ever was such a version.
    pub(crate) fn was(&self, kept: &Kept) -> bool {
        self.0.lock().ever.contains(kept)
    }
}

impl State {
    fn answer(&mut self, ask: &Ask) -> Result<Answer, NoAnswer> {
        if self.answers == 0 {
            return Err(NoAnswer::Because("the power went".to_owned()));
        }
        self.answers -= 1;
        let is_asked = |kept: &&Kept| {
            let named = ask.attribute.as_ref().is_none_or(|name| *name == kept.attribute);
            named && ask.from <= kept.time && kept.time < ask.until
        };
        let mut entities: BTreeMap<&str, Vec<&Kept>> = BTreeMap::new();
        for kept in self.now.values().filter(is_asked) {
            entities.entry(&kept.entity).or_default().push(kept);
        }
        let mut next = None;
        match &ask.entities {
            Entities::These(ids) => entities.retain(|id, _| ids.iter().any(|one| one == id)),
            Entities::Page { after, limit } => next = page(&mut entities, after, *limit),
            Entities::NextId { after } => {
                let next = page(&mut entities, after, 1);
                let ids = entities.keys().map(|id| json!({ "id": id, "type": "T" }));
                let body = Value::Array(ids.collect()).to_string().into_bytes();
                return Ok(Answer { body, cut: None, next });
            }
        }
        let (stays, cut) = cut(&entities, self.most);
        let body = body(&entities, &stays);
        if body.len() > self.longest {
            return Err(NoAnswer::TooLong);
        }
        Ok(Answer { body, cut, next })
    }
}

fn page(entities: &mut BTreeMap<&str, Vec<&Kept>>, after: &str, limit: usize) -> Option<String> {
    entities.retain(|id, _| *id > after);
    let on_page: Vec<&str> = entities.keys().take(limit).copied().collect();
    let more = entities.len() > on_page.len();
    entities.retain(|id, _| on_page.contains(id));
    on_page.last().filter(|_| more).map(|last| (*last).to_owned())
}

/// Which instances stay, and the last moment of them if others go.
fn cut(entities: &BTreeMap<&str, Vec<&Kept>>, most: usize) -> (BTreeSet<u64>, Option<Timestamp>) {
    let mut all: Vec<&Kept> = entities.values().flatten().copied().collect();
    all.sort_by_key(|kept| (kept.time, &kept.entity, &kept.attribute, kept.id));
    let ids = |kept: &[&Kept]| kept.iter().map(|kept| kept.id).collect();
    let Some(beyond) = all.get(most) else { return (ids(&all), None) };
    let whole = all.partition_point(|kept| kept.time < beyond.time);
    let stay = &all[..if whole == 0 { most } else { whole }];
    (ids(stay), stay.last().map(|kept| kept.time))
}

fn body(entities: &BTreeMap<&str, Vec<&Kept>>, stays: &BTreeSet<u64>) -> Vec<u8> {
    let entity = |(id, all): (&&str, &Vec<&Kept>)| {
        let mut members =
            json!({ "id": id, "type": ["T", "U"], "createdAt": "2024-01-01T00:00:00Z" });
        for kept in all {
            if members[&kept.attribute].is_null() {
                members[&kept.attribute] = json!([]);
            }
            if stays.contains(&kept.id) {
                let instance = json!({
                    "type": "Property",
                    "value": kept.id,
                    "instanceId": format!("urn:i:{}", kept.id),
                    "createdAt": "1970-01-01T00:00:00.000Z",
                    "modifiedAt": kept.time.to_string(),
                });
                members[&kept.attribute].as_array_mut().unwrap().push(instance);
            }
        }
        members
    };
    Value::Array(entities.iter().map(entity).collect()).to_string().into_bytes()
}

impl Source for History {
    fn ask<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answer, NoAnswer>> {
        let mut state = self.0.lock();
        if state.hangs && state.answers == 0 {
            return futures_util::future::pending().boxed();
        }
        let answer = state.answer(ask);
        async move { answer }.boxed()
    }
}
