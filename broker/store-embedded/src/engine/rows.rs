//! Rows that are written together.

use std::sync::Arc;
use std::time::Duration;

use musubi_model::Sequence;

use super::Place;
use super::log::Frame;
use super::tables::Batch;

/// A batch in the making.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(super) frame: Frame,
    pub(super) kept: KeptRows,
}

/// What a batch makes of the tables.
#[derive(Debug, Default)]
pub(super) struct KeptRows {
    /// Keys and rows of entities, one behind the other.
    pub(super) bytes: Vec<u8>,
    /// Where they are.
    pub(super) state: Vec<StateRow>,
    /// Keys and rows of records; no row if there is none any more.
    pub(super) records: Vec<RecordRow>,
    /// The row of the ceilings, if they have become others.
    pub(super) ceilings: Option<Arc<[u8]>>,
}

/// The key of a record, and its row if there is one.
pub(super) type RecordRow = (Arc<[u8]>, Option<Arc<[u8]>>);

/// Where an entity's key is, and behind it its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct StateRow {
    at: u32,
    key: u32,
    /// The row's length; the largest number if there is no row.
    row: u32,
}

const NONE: u32 = u32::MAX;

impl StateRow {
    pub(super) fn key(self, bytes: &[u8]) -> &[u8] {
        part(bytes, self.at, self.key)
    }

    pub(super) fn row(self, bytes: &[u8]) -> Option<&[u8]> {
        (self.row != NONE).then(|| part(bytes, self.at + self.key, self.row))
    }
}

fn part(bytes: &[u8], at: u32, length: u32) -> &[u8] {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    bytes.get(at..).and_then(|rest| rest.get(..length)).unwrap_or_default()
}

fn short(length: usize) -> u32 {
    // A batch of which the log says that it is too large is not kept.
    u32::try_from(length).unwrap_or(NONE - 1)
}

impl KeptRows {
    /// Keeps an entity's row.
    pub(super) fn state(&mut self, key: &[u8], row: Option<&[u8]>) {
        let at = short(self.bytes.len());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(row.unwrap_or_default());
        let row = row.map_or(NONE, |row| short(row.len()));
        self.state.push(StateRow { at, key: short(key.len()), row });
    }
}

impl Rows {
    pub(crate) fn put(&mut self, place: Place, key: &[u8], row: &[u8]) {
        match place {
            Place::State => self.kept.state(key, Some(row)),
            Place::Records => {
                self.frame.put(key, row);
                self.kept.records.push((key.into(), Some(row.into())));
            }
        }
    }

    pub(crate) fn delete(&mut self, place: Place, key: &[u8]) {
        match place {
            Place::State => self.kept.state(key, None),
            Place::Records => {
                self.frame.delete(key);
                self.kept.records.push((key.into(), None));
            }
        }
    }

    /// Adds a change. The entity's row that it leads to is put besides; when the log is read again, it
    /// is made of the change.
    pub(crate) fn log(&mut self, sequence: Sequence, row: &[u8]) {
        self.frame.change(sequence, row);
    }

    pub(crate) fn ceilings(&mut self, row: &[u8]) {
        self.frame.ceilings(row);
        self.kept.ceilings = Some(row.into());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frame.is_empty()
    }
}

/// A batch that is in the log, and not yet seen by readers.
#[derive(Debug)]
#[must_use = "nobody sees it until it is shown"]
pub(crate) struct Written {
    pub(super) batch: Batch,
    /// The number of the change that follows it.
    pub(super) next: Sequence,
    pub(super) logged: u64,
    pub(super) kept: KeptRows,
    pub(super) stalled: Duration,
}

impl Written {
    /// The time that was spent waiting for the tables to catch up.
    pub(crate) fn stalled(&self) -> Duration {
        self.stalled
    }
}
