//! What a backup says of itself, and the count that it is held against.

use musubi_model::{Sequence, Tenant, Timestamp};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::codec;
use crate::engine::Table;
use crate::interner::{Interner, Vocabulary};

/// Of what a backup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHead {
    /// The format of the store whose rows these are: the number in its file `FORMAT`.
    pub store_format: u32,
    /// When it was begun, by the clock of whoever was asked.
    pub made_at: Timestamp,
    /// The version of the program that made it.
    pub made_by: String,
}

/// How much a store, or a backup of it, holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Entities, of all tenants.
    pub entities: u64,
    /// Records: tenants, subscriptions, what is due, and their like.
    pub records: u64,
    /// Rows in which the store remembers what it needs itself.
    pub own: u64,
    /// Changes that the log still holds.
    pub changes: u64,
    /// The oldest of them; 0 if there is none.
    pub oldest: Sequence,
    /// The newest of them, with which the store went on; 0 if there has been none.
    pub newest: Sequence,
    /// Attached files.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
}

/// Why rows are not those of a store.
#[derive(Debug, thiserror::Error)]
#[error("{table}: {what}")]
pub struct RowProblem {
    table: &'static str,
    what: String,
}

impl Contents {
    /// Counts a row.
    pub(super) fn add(&mut self, table: Table, key: &[u8]) {
        match table {
            Table::State => self.entities += 1,
            Table::Records => self.records += 1,
            Table::Meta => self.own += 1,
            Table::Log => {
                let number = key.first_chunk().map_or(0, |number| u64::from_be_bytes(*number));
                if self.changes == 0 {
                    self.oldest = Sequence(number);
                }
                self.newest = Sequence(number);
                self.changes += 1;
            }
        }
    }

    /// Counts a file.
    pub(super) fn add_file(&mut self, bytes: u64) {
        self.files += 1;
        self.file_bytes = self.file_bytes.saturating_add(bytes);
    }

    /// The same without the files.
    pub(super) fn rows(self) -> Self {
        Self { files: 0, file_bytes: 0, ..self }
    }
}

/// Looks at every row of a store, in order: whether it can be read, and whether none is missing in
/// the log.
pub(super) struct Checker {
    contents: Contents,
    sum: Xxh3,
    last: Option<(Table, Vec<u8>)>,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checker").field("contents", &self.contents).finish_non_exhaustive()
    }
}

/// What a [`Checker`] has seen: the count, and a checksum of all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) contents: Contents,
    pub(super) sum: u64,
}

impl Checker {
    pub(super) fn new() -> Self {
        Self { contents: Contents::default(), sum: Xxh3::new(), last: None }
    }

    /// Looks at the next row.
    pub(super) fn row(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), RowProblem> {
        let problem = |what: String| RowProblem { table: name(table), what };
        match &mut self.last {
            Some((last, before)) if *last == table => {
                if &**before >= key {
                    return Err(problem("a row is not in its place".to_owned()));
                }
                before.clear();
                before.extend_from_slice(key);
            }
            last => *last = Some((table, key.to_vec())),
        }
        decode(table, key, value).map_err(|error| problem(format!("a row: {error}")))?;
        let newest = self.contents.newest;
        let is_first = self.contents.changes == 0;
        self.contents.add(table, key);
        if table == Table::Log && !is_first && self.contents.newest.0 != newest.0 + 1 {
            return Err(problem(format!("the changes after {} are missing", newest.0)));
        }
        self.sum.update(&[table as u8]);
        self.sum.update(&key.len().to_be_bytes());
        self.sum.update(&value.len().to_be_bytes());
        self.sum.update(key);
        self.sum.update(value);
        Ok(())
    }

    pub(super) fn seen(&self) -> Seen {
        Seen { contents: self.contents, sum: self.sum.digest() }
    }
}

fn name(table: Table) -> &'static str {
    match table {
        Table::State => "the entities",
        Table::Records => "the records",
        Table::Meta => "the counters",
        Table::Log => "the log",
    }
}

fn decode(table: Table, key: &[u8], value: &[u8]) -> Result<(), codec::RowError> {
    match table {
        Table::State => decode_state(key, value),
        Table::Records => codec::read_record(key, value).map(drop),
        Table::Meta => codec::read_ceilings(value).map(drop),
        Table::Log => codec::read_log(key, value).map(drop),
    }
}

fn decode_state(key: &[u8], value: &[u8]) -> Result<(), codec::RowError> {
    let tenant = codec::tenant_of_state(key)?;
    tenant.parse::<Tenant>().map_err(|_| codec::RowError::Key)?;
    let alone = Interner::default();
    codec::read_state(value, &mut Vocabulary::of(&alone)).map(drop)
}
