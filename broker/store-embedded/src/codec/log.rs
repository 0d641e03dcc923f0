//! Log rows: what a change is, and at the end the entity after it, as its state has it.
//!
//! What the entity was before is said by what it does not share with what it is after, so that the row
//! of a small change says little more than the entity.

use std::sync::Arc;

use musubi_model::{
    Cause, EntityChange, EntityId, EvolutionChange, Position, Revision, Sequence, Tenant, Timestamp,
};
use musubi_store::{Change, RecordChange, Subject};
use serde::Deserialize;

use super::writer::Writer;
use super::{RowError, encode, number, state_key, state_row};

mod before;
mod first;

use before::{Before, Name, Names};

/// The format of the rows that are written.
pub(super) const FORMAT: u8 = 2;

/// The part of a change before the after-image.
#[derive(Deserialize)]
struct Head<E> {
    tenant: Tenant,
    time: Timestamp,
    cause: Cause,
    subject: HeadSubject<E>,
}

#[derive(Deserialize)]
enum HeadSubject<E> {
    Entity(E),
    Record(RecordChange),
    Evolution(EvolutionChange),
}

#[derive(Deserialize)]
struct EntityHead {
    id: EntityId,
    revision: Revision,
    position: Position,
    deleted: bool,
    before: Option<Before>,
    changed: Vec<Name>,
}

/// The key of a change.
pub(crate) fn log_key(sequence: Sequence) -> [u8; 8] {
    sequence.0.to_be_bytes()
}

/// Makes `row` a change. `after` is the after-image of an entity's change as
/// [`entity_bytes`](super::entity_bytes) gave it, empty if there is none.
pub(crate) fn log_row(change: &Change, after: &[u8], row: &mut Vec<u8>) -> Result<(), RowError> {
    row.clear();
    let mut writer = Writer(row);
    writer.byte(FORMAT);
    writer.text(change.tenant.as_str());
    writer.time(change.time);
    writer.cause(&change.cause);
    match &change.subject {
        Subject::Entity(subject) => {
            writer.byte(0);
            entity_head(subject, &mut writer);
        }
        Subject::Record(subject) => {
            writer.byte(1);
            encode(subject, row)?;
        }
        Subject::Evolution(subject) => {
            writer.byte(2);
            encode(subject, row)?;
        }
    }
    row.extend_from_slice(after);
    Ok(())
}

fn entity_head(change: &EntityChange, writer: &mut Writer<'_>) {
    let (before, after) = (change.before.as_deref(), change.after.as_deref());
    writer.text(change.id.as_str());
    writer.number(change.revision.0);
    writer.number(change.position.0);
    writer.byte(u8::from(after.is_none()));
    writer.option(before, |writer, before| before::write(before, (&change.id, after), writer));
    let mut names = Names::of(after, before);
    writer.list(&change.changed, |writer, name| names.write(name, writer));
}

/// Reads a change.
pub(crate) fn read_log(key: &[u8], row: &[u8]) -> Result<Change, RowError> {
    let (sequence, _) = number(key)?;
    let sequence = Sequence(sequence);
    match row.split_first() {
        Some((&FORMAT, row)) => read(sequence, row, EntityHead::change),
        Some((&first::FORMAT, row)) => read(sequence, row, first::EntityHead::change),
        other => Err(RowError::Format(other.map(|(format, _)| *format))),
    }
}

/// The key of a state, and the state if there is one.
pub(crate) type KeyAndState = (Vec<u8>, Option<Vec<u8>>);

/// The key of the state that a change leads to, and the state; none if the entity is gone. Changes of
/// something else lead to no state.
pub(crate) fn state_of_log(row: &[u8]) -> Result<Option<KeyAndState>, RowError> {
    match row.split_first() {
        Some((&FORMAT, row)) => {
            state(row, |head: EntityHead| (head.id, (head.revision, head.position), head.deleted))
        }
        Some((&first::FORMAT, row)) => state(row, |head: first::EntityHead| {
            (head.id, (head.revision, head.position), head.deleted)
        }),
        other => Err(RowError::Format(other.map(|(format, _)| *format))),
    }
}

fn state<'r, E: Deserialize<'r>>(
    row: &'r [u8],
    said: impl FnOnce(E) -> (EntityId, (Revision, Position), bool),
) -> Result<Option<KeyAndState>, RowError> {
    let (head, after): (Head<E>, _) = postcard::take_from_bytes(row)?;
    let HeadSubject::Entity(entity) = head.subject else { return Ok(None) };
    let (id, numbers, deleted) = said(entity);
    let (mut key, mut state) = (Vec::new(), Vec::new());
    state_key(&head.tenant, &id, &mut key);
    state_row(numbers, after, &mut state);
    Ok(Some((key, (!deleted).then_some(state))))
}

fn read<'r, E: Deserialize<'r>>(
    sequence: Sequence,
    row: &'r [u8],
    change: impl FnOnce(E, &[u8]) -> Result<EntityChange, RowError>,
) -> Result<Change, RowError> {
    let (head, after): (Head<E>, _) = postcard::take_from_bytes(row)?;
    let subject = match head.subject {
        HeadSubject::Entity(head) => Subject::Entity(change(head, after)?),
        HeadSubject::Record(change) => Subject::Record(change),
        HeadSubject::Evolution(change) => Subject::Evolution(change),
    };
    Ok(Change { sequence, tenant: head.tenant, time: head.time, cause: head.cause, subject })
}

impl EntityHead {
    /// The change, of which `after` is the after-image if there is one.
    fn change(self, after: &[u8]) -> Result<EntityChange, RowError> {
        let Self { id, revision, position, deleted, before, changed } = self;
        let after = if deleted { None } else { Some(postcard::from_bytes(after)?) };
        let before = before.map(|before| before.entity(&id, after.as_ref())).transpose()?;
        let names = Names::of(after.as_ref(), before.as_ref());
        let changed: Result<_, _> = changed.into_iter().map(|name| names.read(name)).collect();
        let (before, after) = (before.map(Arc::new), after.map(Arc::new));
        Ok(EntityChange { id, revision, position, before, after, changed: changed? })
    }
}

#[cfg(test)]
mod tests;
