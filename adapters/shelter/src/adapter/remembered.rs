//! What a source of shelters remembers, as the sink keeps it.
//!
//! Of tables: the moment of the newest, which files made it up, which shelters they named, and
//! which files could not be used. Of what is posted: for each shelter the newest head count, and
//! each coming and going since.

use std::sync::Arc;

use musubi_adapter_kit::{SinkError, StateWrite};
use musubi_model::{EntityId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Base;
use crate::files::mark;
use crate::occupancy::{Occupancy, Unsaved};

/// The key of [`Applied`].
const APPLIED: &str = "snapshot/applied";
/// The most files of one moment that correct each other.
const MAX_MARKS: usize = 100;

/// The newest table that was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Applied {
    /// Its moment; none before the first.
    at: Option<Timestamp>,
    /// The signs of the files of this moment. Another file of it is a correction.
    marks: Vec<String>,
    /// The shelters that are open, as far as tables have said so.
    pub(super) open: Vec<EntityId>,
}

impl Applied {
    /// Whether a table of that moment, with that sign, is to be applied now.
    pub(super) fn awaits(&self, at: Timestamp, mark: &str) -> bool {
        match self.at {
            Some(known) if known == at => {
                self.marks.len() < MAX_MARKS && self.marks.iter().all(|known| known != mark)
            }
            Some(known) => at > known,
            None => true,
        }
    }

    /// After a table of that moment that names these shelters.
    pub(super) fn with(&self, at: Timestamp, mark: &str, open: Vec<EntityId>) -> Self {
        let mut marks = if self.at == Some(at) { self.marks.clone() } else { Vec::new() };
        marks.push(mark.to_owned());
        Self { at: Some(at), marks, open }
    }

    /// Remembers it.
    pub(super) fn write(&self) -> StateWrite {
        StateWrite { key: APPLIED.to_owned(), value: Some(bytes(self)) }
    }
}

/// The newest table that was applied.
pub(super) async fn applied(base: &Base) -> Result<Applied, SinkError> {
    match exact(base, APPLIED).await? {
        Some(value) => read(APPLIED, &value),
        None => Ok(Applied::default()),
    }
}

/// Whether these bytes of that origin were found to be of no use.
pub(super) async fn is_refused(base: &Base, origin: &str, sign: &str) -> Result<bool, SinkError> {
    let found = exact(base, &refused_key(origin)).await?;
    Ok(found.is_some_and(|value| &*value == sign.as_bytes()))
}

/// Remembers that bytes with this sign, of that origin, are of no use.
pub(super) fn refusal(origin: &str, sign: &str) -> StateWrite {
    StateWrite { key: refused_key(origin), value: Some(sign.as_bytes().into()) }
}

/// The path of a file can be longer than a key.
fn refused_key(origin: &str) -> String {
    format!("refused/{}", mark(origin.as_bytes()))
}

/// What has been counted of a shelter.
pub(super) async fn occupancy(base: &Base, id: &EntityId) -> Result<Occupancy, SinkError> {
    let prefix = count_key(id, "");
    let found = base.services.sink.state(&base.tenant, &base.name, &prefix).await?;
    let mut baseline = None;
    let mut events = Vec::with_capacity(found.len());
    for (key, value) in &found {
        match key.strip_prefix(&prefix) {
            None => {}
            Some("") => baseline = Some(read(key, value)?),
            Some(event) => {
                let (at, delta): (Timestamp, i64) = read(key, value)?;
                events.push((Arc::from(event), at, delta));
            }
        }
    }
    Ok(Occupancy::remembered(baseline, events.into_iter()))
}

/// Remembers what has changed of the counts of a shelter.
pub(super) fn count(id: &EntityId, unsaved: Unsaved) -> Vec<StateWrite> {
    let baseline = unsaved
        .baseline
        .map(|baseline| StateWrite { key: count_key(id, ""), value: Some(bytes(&baseline)) });
    let events = unsaved.events.into_iter().map(|(event, kept)| StateWrite {
        key: count_key(id, &event),
        value: kept.map(|kept| bytes(&kept)),
    });
    baseline.into_iter().chain(events).collect()
}

/// An id of an entity has no space in it, so no two pairs have the same key.
fn count_key(id: &EntityId, event: &str) -> String {
    format!("count {id} {event}")
}

async fn exact(base: &Base, key: &str) -> Result<Option<Arc<[u8]>>, SinkError> {
    let found = base.services.sink.state(&base.tenant, &base.name, key).await?;
    Ok(found.into_iter().find(|(name, _)| name == key).map(|(_, value)| value))
}

fn bytes<T: Serialize>(value: &T) -> Arc<[u8]> {
    // What is remembered is plain data, which always can be written.
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// To forget silently would be to count anew, so what cannot be read is an error.
fn read<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, SinkError> {
    serde_json::from_slice(value).map_err(|error| SinkError {
        reason: format!("what is remembered under {key:?} cannot be read: {error}"),
    })
}
