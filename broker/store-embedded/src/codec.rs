//! Rows and keys: how things stand in the engine.
//!
//! Every row begins with a byte that names its format. Numbers in keys are big-endian, so that the
//! engine's order is theirs.

use std::sync::Arc;

use musubi_model::{Entity, EntityId, Position, Revision, Tenant};
use musubi_store::{Found, RecordKey, RecordKind};
use serde::Serialize;

use crate::interner::Vocabulary;

mod entity;
mod log;
#[cfg(test)]
mod samples;
mod writer;

pub(crate) use log::{log_key, log_row, read_log, state_of_log};
use writer::Writer;

/// The format of every row but those of the log.
const FORMAT: u8 = 1;

/// Why a row or a key cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowError {
    /// It is of another format.
    #[error("the row has format {0:?}, which this version does not read")]
    Format(Option<u8>),
    /// It ends too early.
    #[error("the row is too short")]
    Short,
    /// Its key says nothing.
    #[error("the key is malformed")]
    Key,
    /// What it holds is malformed.
    #[error("the row is malformed")]
    Content(#[from] postcard::Error),
    /// The entity that it holds is malformed.
    #[error("the row holds no entity")]
    Malformed,
}

/// Makes `bytes` an entity as it stands in rows: encoded once, used in the state and in the log.
pub(crate) fn entity_bytes(entity: &Entity, bytes: &mut Vec<u8>) {
    bytes.clear();
    Writer(bytes).entity(entity);
}

/// Makes `key` the key of an entity's state.
pub(crate) fn state_key(tenant: &Tenant, id: &EntityId, key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(tenant.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(id.as_str().as_bytes());
}

/// Makes `row` an entity's state.
pub(crate) fn state_row(
    (revision, position): (Revision, Position),
    entity: &[u8],
    row: &mut Vec<u8>,
) {
    row.clear();
    row.push(FORMAT);
    row.extend_from_slice(&revision.0.to_be_bytes());
    row.extend_from_slice(&position.0.to_be_bytes());
    row.extend_from_slice(entity);
}

/// Which tenant's an entity's state is, by its key.
pub(crate) fn tenant_of_state(key: &[u8]) -> Result<&str, RowError> {
    let zero = key.iter().position(|byte| *byte == 0).ok_or(RowError::Key)?;
    text(key.get(..zero).ok_or(RowError::Key)?)
}

/// Reads an entity's state.
pub(crate) fn read_state(row: &[u8], names: &mut Vocabulary<'_>) -> Result<Found, RowError> {
    let (revision, row) = number(checked(row)?)?;
    let (position, row) = number(row)?;
    let entity = Arc::new(entity::read(row, names)?);
    Ok(Found { position: Position(position), revision: Revision(revision), entity })
}

/// How the keys of all records of a kind begin.
pub(crate) fn kind_prefix(kind: RecordKind) -> [u8; 1] {
    [kind as u8]
}

/// The key of a record.
pub(crate) fn record_key(key: &RecordKey) -> Vec<u8> {
    record_key_from(key.kind, &key.tenant, &key.key)
}

/// How the keys of a tenant's records of a kind begin whose names begin so.
pub(crate) fn record_key_from(kind: RecordKind, tenant: &Tenant, name: &str) -> Vec<u8> {
    let (tenant, name) = (tenant.as_str().as_bytes(), name.as_bytes());
    let mut bytes = Vec::with_capacity(2 + tenant.len() + name.len());
    bytes.extend_from_slice(&kind_prefix(kind));
    bytes.extend_from_slice(tenant);
    bytes.push(0);
    bytes.extend_from_slice(name);
    bytes
}

/// The first key behind all that begin so. What begins a key is never empty, and ends in no byte
/// 255, which is in no text.
pub(crate) fn after_all_with(beginning: &[u8]) -> Vec<u8> {
    let mut bytes = beginning.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last = last.saturating_add(1);
    }
    bytes
}

/// A record.
pub(crate) fn record_row(revision: Revision, value: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(9 + value.len());
    row.push(FORMAT);
    row.extend_from_slice(&revision.0.to_be_bytes());
    row.extend_from_slice(value);
    row
}

/// Reads a record.
pub(crate) fn read_record(
    key: &[u8],
    row: &[u8],
) -> Result<(RecordKey, Revision, Arc<[u8]>), RowError> {
    let (kind, key) = key.split_first().ok_or(RowError::Key)?;
    let kind = RecordKind::ALL.into_iter().find(|known| *known as u8 == *kind);
    let kind = kind.ok_or(RowError::Key)?;
    let zero = key.iter().position(|byte| *byte == 0).ok_or(RowError::Key)?;
    let (tenant, name) = key.split_at_checked(zero).ok_or(RowError::Key)?;
    let tenant = text(tenant)?.parse().map_err(|_| RowError::Key)?;
    let name = text(name.get(1..).ok_or(RowError::Key)?)?.to_owned();
    let (revision, value) = number(checked(row)?)?;
    Ok((RecordKey { kind, tenant, key: name }, Revision(revision), value.into()))
}

/// Reads no more of a record than its version.
pub(crate) fn read_record_revision(row: &[u8]) -> Result<Revision, RowError> {
    let (revision, _) = number(checked(row)?)?;
    Ok(Revision(revision))
}

/// Numbers below which revisions and positions may have been given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ceilings {
    pub(crate) revision: u64,
    pub(crate) position: u64,
}

/// The row that holds the ceilings.
pub(crate) fn ceilings_row(ceilings: Ceilings) -> Vec<u8> {
    let mut row = vec![FORMAT];
    row.extend_from_slice(&ceilings.revision.to_be_bytes());
    row.extend_from_slice(&ceilings.position.to_be_bytes());
    row
}

/// Reads the ceilings.
pub(crate) fn read_ceilings(row: &[u8]) -> Result<Ceilings, RowError> {
    let (revision, row) = number(checked(row)?)?;
    let (position, _) = number(row)?;
    Ok(Ceilings { revision, position })
}

fn encode(value: &impl Serialize, bytes: &mut Vec<u8>) -> Result<(), RowError> {
    *bytes = postcard::to_extend(value, std::mem::take(bytes))?;
    Ok(())
}

fn checked(row: &[u8]) -> Result<&[u8], RowError> {
    match row.split_first() {
        Some((&FORMAT, rest)) => Ok(rest),
        Some((other, _)) => Err(RowError::Format(Some(*other))),
        None => Err(RowError::Format(None)),
    }
}

fn number(bytes: &[u8]) -> Result<(u64, &[u8]), RowError> {
    let (number, rest) = bytes.split_first_chunk::<8>().ok_or(RowError::Short)?;
    Ok((u64::from_be_bytes(*number), rest))
}

fn text(bytes: &[u8]) -> Result<&str, RowError> {
    std::str::from_utf8(bytes).map_err(|_| RowError::Key)
}
