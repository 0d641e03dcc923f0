//! The change log.

use std::sync::Arc;

use musubi_model::{
    Cause, EntityChange, EvolutionChange, EvolutionStep, Recordings, Revision, Sequence, Tenant,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::RecordKind;

/// One entry of the log. It suffices by itself: no reader has to look anything up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its place in the log: consecutive, from 1.
    pub sequence: Sequence,
    /// Whose change it is.
    pub tenant: Tenant,
    /// When, as the group said.
    pub time: Timestamp,
    /// Who brought it about.
    pub cause: Cause,
    /// What changed.
    pub subject: Subject,
}

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// An entity.
    Entity(EntityChange),
    /// A record of a kind that is logged.
    Record(RecordChange),
    /// What is recorded of an entity's past.
    Evolution(EvolutionChange),
}

impl Change {
    /// What this change records, if it does nothing else to the temporal evolution of an entity.
    pub fn recordings(&self) -> Option<Recordings<'_>> {
        let (sequence, time) = (self.sequence, self.time);
        match &self.subject {
            Subject::Entity(change) => Some(Recordings::of_entity(sequence, time, change)),
            Subject::Evolution(change) => Recordings::of_evolution(sequence, time, change),
            Subject::Record(_) => None,
        }
    }

    /// What this change does to the temporal evolution of an entity; none if it is about a record.
    pub fn evolution_step(&self) -> Option<EvolutionStep> {
        let (sequence, time) = (self.sequence, self.time);
        match &self.subject {
            Subject::Entity(change) => Some(EvolutionStep::of_entity(sequence, time, change)),
            Subject::Evolution(change) => Some(EvolutionStep::of_evolution(sequence, time, change)),
            Subject::Record(_) => None,
        }
    }
}

/// A record's change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordChange {
    /// What it is.
    pub kind: RecordKind,
    /// Which one.
    pub key: String,
    /// The revision that the write made.
    pub revision: Revision,
    /// The new value; none if the record was deleted.
    pub value: Option<Arc<[u8]>>,
}
