//! What is asked of a commit, and what became of it.

use std::sync::Arc;

use musubi_model::{
    Cause, Entity, EntityId, EvolutionChange, Revision, Sequence, Tenant, Timestamp,
};

use crate::RecordWrite;

/// What must hold for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing has this id or key.
    Absent,
    /// It is still at the revision that the caller read.
    At(Revision),
    /// Whatever there is.
    Any,
}

/// One entity's new state.
#[derive(Clone, Debug)]
pub struct Write {
    /// Whose entity it is.
    pub tenant: Tenant,
    /// Which one.
    pub id: EntityId,
    /// What must hold.
    pub expect: Expect,
    /// The new state; none deletes the entity. To delete what is not there changes nothing and
    /// leaves no trace in the log.
    pub state: Option<Arc<Entity>>,
}

/// A change of what is recorded of an entity's past. It stands in the log and nowhere else: the
/// entity's state is not touched by it.
#[derive(Clone, Debug)]
pub struct EvolutionWrite {
    /// Whose entity it is.
    pub tenant: Tenant,
    /// What changes.
    pub change: EvolutionChange,
}

/// Writes that happen together or not at all. A group names an entity, and a record, once. In
/// the log its changes stand one after another: those of entities, then those of records, then
/// those of evolutions, each in the order given here.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// When, as the log says it.
    pub time: Timestamp,
    /// Who brings the change about.
    pub cause: Cause,
    /// Entities.
    pub writes: Vec<Write>,
    /// Records.
    pub records: Vec<RecordWrite>,
    /// What was.
    pub evolutions: Vec<EvolutionWrite>,
}

/// What became of a [`Group`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Durable and visible.
    Committed {
        /// The newest change in the log at the time, those of this group included.
        newest: Sequence,
        /// The new revision of each write and then of each record write, in order.
        revisions: Vec<Revision>,
    },
    /// Nothing happened: the expectation at this index, the first of those, did not hold. Writes
    /// are counted first, record writes after them.
    Refused(usize),
}
