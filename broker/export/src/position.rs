//! Where a run of an export stands, and what it asks next.
//!
//! Entities are asked for page by page. If the answer to a page is cut in time, the page's entities
//! are pending: what of them is behind the cut is asked for by their ids, until nothing is cut any
//! more. If one moment has more than an answer holds, or an answer is too long, what is pending is
//! split: into single entities, into shorter stretches, at last into single attributes.

use musubi_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::answer::Told;
use crate::{Answer, Ask, Entities, Row};

/// How many entities a page has at most.
pub(crate) const PAGE: usize = 100;

/// Where a run stands. It can be kept, and gone on from in another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The cursor of the page that comes next; none behind the last one.
    after: Option<String>,
    /// What is to be asked for before that, the last one first.
    pending: Vec<Pending>,
    /// How many entities a page has; with 0 nothing but the id of the next one is asked for.
    page: usize,
}

/// A part of a page of which an answer was cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    entities: Vec<String>,
    attribute: Option<String>,
    #[serde(with = "crate::journal::moment")]
    from: Timestamp,
    #[serde(with = "crate::journal::moment")]
    until: Timestamp,
}

/// A stretch of time, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

/// What an answer adds to an export.
#[derive(Debug, Default)]
pub(crate) struct Gain {
    pub(crate) rows: Vec<Row>,
    /// Entities that no answer told of before.
    pub(crate) entities: u64,
}

impl Position {
    /// Before the first entity.
    pub(crate) fn beginning() -> Self {
        Self { after: Some(String::new()), pending: Vec::new(), page: PAGE }
    }

    /// What to ask next; nothing if the run is at its end.
    pub(crate) fn ask(&self, stretch: Stretch) -> Option<Ask> {
        if let Some(pending) = self.pending.last() {
            return Some(Ask {
                entities: Entities::These(pending.entities.clone()),
                attribute: pending.attribute.clone(),
                from: pending.from,
                until: pending.until,
            });
        }
        let (after, limit) = (self.after.clone()?, self.page);
        let entities =
            if limit == 0 { Entities::NextId { after } } else { Entities::Page { after, limit } };
        Some(Ask { entities, attribute: None, from: stretch.from, until: stretch.until })
    }

    /// Goes on with an answer to the question of [`ask`](Self::ask).
    pub(crate) fn answered(
        &mut self,
        stretch: Stretch,
        answer: &Answer,
        told: Vec<Told>,
    ) -> Result<Gain, String> {
        let Some(pending) = self.pending.pop() else {
            let entities = u64::try_from(told.len()).unwrap_or_default();
            let ids: Vec<String> = told.iter().map(|told| told.entity.clone()).collect();
            let pending = Pending {
                entities: ids,
                attribute: None,
                from: stretch.from,
                until: stretch.until,
            };
            let only_id = self.page == 0;
            self.after.clone_from(&answer.next);
            self.page = (self.page * 2).clamp(1, PAGE);
            if only_id {
                self.pending.extend((!told.is_empty()).then_some(pending));
                return Ok(Gain { rows: Vec::new(), entities });
            }
            let rows = self.taken(pending, answer.cut, told)?;
            return Ok(Gain { rows, entities });
        };
        let rows = self.taken(pending, answer.cut, told)?;
        Ok(Gain { rows, entities: 0 })
    }

    /// The rows that are taken of an answer about these entities; what has to be asked once more is
    /// pending again.
    fn taken(
        &mut self,
        pending: Pending,
        cut: Option<Timestamp>,
        told: Vec<Told>,
    ) -> Result<Vec<Row>, String> {
        let Some(last) = cut else { return Ok(rows(told)) };
        if last < pending.from || last >= pending.until {
            return Err(format!("the broker's answer ends at {last}, where nothing was asked for"));
        }
        let behind = last.plus_micros(1);
        let first = told.iter().flat_map(|told| &told.rows).map(|row| row.modified_at).min();
        if first.is_some_and(|first| first < last) {
            if behind < pending.until {
                self.pending.push(Pending { from: behind, ..pending });
            }
            return Ok(rows(told));
        }
        // All are of one moment, and more of them may be missing.
        if behind < pending.until {
            self.pending.push(Pending { from: behind, ..pending.clone() });
            self.pending.push(Pending { until: behind, ..pending });
            return Ok(Vec::new());
        }
        if self.split_entities(&pending) {
            return Ok(Vec::new());
        }
        let entity = pending.entities.first().map(String::as_str).unwrap_or_default();
        if let Some(attribute) = &pending.attribute {
            return Err(format!(
                "more instances of {attribute} of {entity} were modified at {last} than the broker \
                gives in one answer: raise instances under [history] in its configuration"
            ));
        }
        let mut names: Vec<String> = told.into_iter().flat_map(|told| told.attributes).collect();
        // Of scopes alone an answer need not say that there are more.
        if names.iter().all(|name| name != "scope") {
            names.push("scope".to_owned());
        }
        for name in names {
            self.pending.push(Pending { attribute: Some(name), ..pending.clone() });
        }
        Ok(Vec::new())
    }

    /// Asks for less, because an answer is too long.
    pub(crate) fn too_long(&mut self) -> Result<(), String> {
        let Some(pending) = self.pending.pop() else {
            if self.page == 0 {
                return Err("the broker's answer is too long".to_owned());
            }
            self.page /= 2;
            return Ok(());
        };
        if self.split_entities(&pending) {
            return Ok(());
        }
        let (from, until) = (pending.from.as_micros(), pending.until.as_micros());
        let half = Timestamp::from_micros(from.midpoint(until));
        if half <= pending.from {
            let entity = pending.entities.first().map(String::as_str).unwrap_or_default();
            return Err(format!(
                "what was modified of {entity} at {} alone is too long for an answer",
                pending.from
            ));
        }
        self.pending.push(Pending { from: half, ..pending.clone() });
        self.pending.push(Pending { until: half, ..pending });
        Ok(())
    }

    /// Makes two of what is pending, if it is more than one entity.
    fn split_entities(&mut self, pending: &Pending) -> bool {
        let (one, other) = pending.entities.split_at(pending.entities.len() / 2);
        if one.is_empty() {
            return false;
        }
        for entities in [other, one] {
            self.pending.push(Pending { entities: entities.to_vec(), ..pending.clone() });
        }
        true
    }
}

fn rows(told: Vec<Told>) -> Vec<Row> {
    told.into_iter().flat_map(|told| told.rows).collect()
}
